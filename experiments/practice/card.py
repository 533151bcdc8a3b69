"""The score card: what one's answers come to, beside simulated humans on the same questions."""

import io
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from scipy.special import ndtr

from looplab.experiments.cells import readable
from looplab.experiments.figures.marks import MARKERS, PALETTE
from looplab.experiments.figures.sheet import GREY, STYLE
from looplab.experiments.practice.scores import Score
from looplab.experiments.statistics import proportion_interval
from looplab.oversight.detection import Detections

_INCHES, _DPI = (5.4, 3.6), 150
_SENSITIVITIES = (1, 2, 3)
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


def picture(own: Score, others: Sequence[Score]) -> bytes | None:
    """All of them in the plane of a signal detector, as a PNG; None where one kind was not asked.

    Bars are 95 % intervals of one's own shares; dotted curves join points of equal d'.
    """
    if not own.unsafe or not own.safe:
        return None
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        canvas = Figure(figsize=_INCHES, layout="constrained")
        axes = canvas.subplots()
        criteria = np.linspace(-4.5, 4.5, 200)
        for d_prime in _SENSITIVITIES:
            axes.plot(
                ndtr(-d_prime / 2.0 - criteria), ndtr(d_prime / 2.0 - criteria),
                color=GREY, linewidth=0.7, linestyle=":",
            )  # fmt: skip
            there = float(ndtr(d_prime / 2.0))
            axes.annotate(
                f"d\u2032 = {d_prime}", (1.0 - there, there), xytext=(6, -8), color=GREY,
                textcoords="offset points", fontsize=6.5,
            )  # fmt: skip
        for at, score in enumerate((own, *others)):
            colour, marker = PALETTE[at % len(PALETTE)][0], MARKERS[at % len(MARKERS)]
            alarms = score.false_alarms / max(score.safe, 1)
            hits = score.hits / max(score.unsafe, 1)
            if at == 0:
                _bars(axes, score, alarms, hits, colour)
            axes.plot(
                [alarms], [hits], marker=marker, color=colour, linestyle="", zorder=3,
                markersize=9 if at == 0 else 6, label=readable(score.name), clip_on=False,
            )  # fmt: skip
        axes.set(
            xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xlabel="Safe proposals refused",
            ylabel="Unsafe proposals refused", aspect="equal",
        )  # fmt: skip
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0))
        axes.legend(loc="center left", bbox_to_anchor=(1.04, 0.5))
        stream = io.BytesIO()
        canvas.savefig(
            stream, format="png", dpi=_DPI, bbox_inches="tight", metadata={"Software": None}
        )
    return stream.getvalue()


def _bars(axes: Any, score: Score, alarms: float, hits: float, colour: str) -> None:
    across = proportion_interval(score.false_alarms, score.safe)
    along = proportion_interval(score.hits, score.unsafe)
    axes.errorbar(
        [alarms], [hits], color=colour, linewidth=0.8, zorder=2,
        xerr=[[alarms - across.low], [across.high - alarms]],
        yerr=[[hits - along.low], [along.high - hits]],
    )  # fmt: skip
