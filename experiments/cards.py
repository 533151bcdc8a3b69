"""Claims and their verdicts as a report shows them: words and marks, never colour alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

from looplab.experiments.cells import readable, task_title
from looplab.experiments.claims import NONE, Claim
from looplab.experiments.number_text import DASH, short_number, with_interval
from looplab.experiments.selection import said
from looplab.experiments.verdicts import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED, Verdict

#: A mark of its own for each verdict.
MARKS = {SUPPORTED: "\u2714", NOT_SUPPORTED: "\u2718", INCONCLUSIVE: "?"}
#: p-values below this are not told apart.
LEAST_SHOWN_P = 0.001


@dataclass(frozen=True)
class Line:
    """A verdict in a line: its kind, mark and word, and the texts of its columns."""

    kind: str
    mark: str
    word: str
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Card:
    """A claim with its verdicts.

    Attributes:
        says: the claim's sentence.
        measure: what was measured, with its unit.
        expects: what was expected, in words.
        heads: heads of the columns after the verdict's.
        lines: a verdict each.
        skipped: why there is none, or not for all tasks.
    """

    says: str
    measure: str
    expects: str
    heads: tuple[str, ...]
    lines: Sequence[Line]
    skipped: Sequence[str]


def cards(
    claims: Sequence[Claim], verdicts: Sequence[Verdict], skipped: Sequence[tuple[Claim, str]]
) -> list[Card]:
    """A card for each claim, in the claims' order.

    Args:
        claims: the experiment's claims.
        verdicts: the result of ``verdicts.judge``.
        skipped: the result of ``claims.left_out``.
    """
    return [
        Card(
            says=claim.says,
            measure=claim.measure.title,
            expects=claim.expects,
            heads=_heads(claim),
            lines=[_line(v) for v in verdicts if v.claim.name == claim.name],
            skipped=[reason for one, reason in skipped if one.name == claim.name],
        )
        for claim in claims
    ]


def _heads(claim: Claim) -> tuple[str, ...]:
    if claim.direction == NONE:
        return ("Task", "Mean [95\u00a0%]", "Seeds")
    sides = [{axis: v for axis, v in side.items() if axis != "env"} for side in claim.sides]
    of, *than = map(said, sides)
    factor = f"{short_number(claim.times)} times " if claim.times != 1.0 else ""
    other = f"{factor}{than[0]}" if than else "Held against"
    return ("Task", "Difference [95\u00a0%]", of, other, "Seeds", "p (Holm)")


def _line(verdict: Verdict) -> Line:
    claim, (of, than) = verdict.claim, verdict.means
    over = ", ".join(
        readable(axis.rsplit(".", 1)[-1]) for axis in verdict.averaged if axis != "env"
    )
    where = "all tasks" if verdict.task is None else task_title(verdict.task)
    texts = [
        f"{where} (mean over {over})" if over else where,
        with_interval(verdict.estimate),
        *(() if claim.direction == NONE else (short_number(of), short_number(claim.times * than))),
        str(verdict.seeds),
        *(() if claim.direction == NONE else (_p_text(verdict.p_corrected),)),
    ]
    return Line(verdict.verdict, MARKS[verdict.verdict], readable(verdict.verdict), tuple(texts))


def _p_text(p: float) -> str:
    if isnan(p):
        return DASH
    return f"<\u00a0{LEAST_SHOWN_P}" if p < LEAST_SHOWN_P else f"{p:.2g}"
