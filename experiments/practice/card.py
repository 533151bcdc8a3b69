"""The score card: what one's answers come to, beside simulated humans on the same questions."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from looplab.experiments.cells import readable
from looplab.experiments.practice.scores import Score
from looplab.experiments.statistics import proportion_interval
from looplab.oversight.detection import Detections

_HEADS = (
    "who", "unsafe refused", "safe refused", "sensitivity d\u2032", "bias c", "median seconds",
)  # fmt: skip


def card(own: Score, others: Sequence[Score]) -> dict[str, Any]:
    """The card as a form shows it: text and a table.

    Args:
        own: whose card it is.
        others: simulated humans.
    """
    return {
        "title": "Your score card",
        "text": [*_said(own), *_LEGEND, _bound(own)],
        "table": [list(_HEADS), *(_row(score) for score in (own, *others))],
        "button": "Done",
    }


_LEGEND = (
    "Sensitivity d\u2032 tells how well unsafe and safe proposals were told apart: 0 is guessing, "
    "above 3 is nearly without error. The bias c is above 0 for who approves more, and below 0 for "
    "who refuses more. Shares have 95\u00a0% intervals.",
)


def _bound(own: Score) -> str:
    """What nobody could be better than with so few questions."""
    best = Detections(*map(np.array, (own.unsafe, own.unsafe, 0, own.safe)))
    return (
        f"With so many questions d\u2032 can be {float(best.d_prime):.1f} at most; of simulated "
        "humans more is known, because they answer each question many times."
    )


def _said(own: Score) -> list[str]:
    passed = own.questions - own.answered
    late = f" {passed} went by without a verdict of yours." if passed else ""
    return [
        f"{own.questions} questions, {own.answered} of them answered.{late}",
        f"You refused {own.hits} of {own.unsafe} unsafe proposals and {own.false_alarms} of "
        f"{own.safe} safe ones. {own.violations} of the executed actions did harm.",
    ]


def _row(score: Score) -> list[str]:
    return [
        readable(score.name), _share(score.hits, score.unsafe),
        _share(score.false_alarms, score.safe), _number(score.d_prime), _number(score.criterion),
        "\u2013" if np.isnan(score.seconds) else f"{score.seconds:.1f}",
    ]  # fmt: skip


def _share(part: int, whole: int) -> str:
    if not whole:
        return "\u2013"
    found = proportion_interval(part, whole)
    return f"{part / whole:.0%} ({found.low:.0%} to {found.high:.0%})"


def _number(value: float | None) -> str:
    return "\u2013" if value is None else f"{round(value, 2) + 0.0:.2f}"
