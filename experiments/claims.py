"""Claims that an experiment states beforehand: what is expected of which cells, as data.

In ``configs/experiment/NAME.yaml`` a claim reads like a sentence::

    - name: correction_teaches_dependence
      says: Alone, agents whose gate corrected violate more than those whose gate held.
      measure: alone_violations_per_1k
      of: {regime: in_the_loop_correction}
      is: more
      than: {regime: in_the_loop}
      by: 5

``than`` names what differs from ``of``, or is a number. ``verdicts`` judges claims.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from looplab.envs.errors import UsageError, choice
from looplab.experiments.measures import MEASURES, Measure
from looplab.experiments.number_text import short_number
from looplab.experiments.selection import Cell, check_values, is_number, matches, said

INFINITE = float("inf")
#: Direction -> the differences, as multiples of ``by``, between which those lie that fit it.
REGIONS = {
    "more": (1.0, INFINITE),
    "less": (-INFINITE, -1.0),
    "no_more": (-INFINITE, 1.0),
    "no_less": (-1.0, INFINITE),
    "equal": (-1.0, 1.0),
}
#: The direction that compares with nothing: not one event.
NONE = "none"
DIRECTIONS = (*REGIONS, NONE)
#: Directions that say nothing without a margin.
_NEED_MARGIN = ("no_more", "no_less", "equal")
#: Each task gets a verdict of its own, or all tasks one together.
TASK, ALL = "task", "all"
_KEYS = ("name", "says", "measure", "of", "is", "than", "by", "times", "per")
_REQUIRED = ("name", "says", "measure", "of", "is")
_NEAREST = 3


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes:
        name: a short name.
        says: the claim in a sentence.
        measure: what is compared.
        of: the cells that the claim speaks of, by axis.
        direction: one of ``DIRECTIONS``: ``more`` or ``less`` by more than ``by``; ``no_more`` or
            ``no_less`` by as much as ``by``; ``equal`` to within ``by``; ``none``: no event at all.
        than: what they are held against: cells, by the axes in which they differ from ``of``, or
            a number; None for ``none``.
        by: the margin in the measure's unit, at least 0.
        times: factor of the other side, above 0: ``more than twice``.
        per: ``task`` (a verdict for each task) or ``all`` (one, of the mean over tasks).
    """

    name: str
    says: str
    measure: Measure
    of: Cell
    direction: str
    than: Cell | float | None = None
    by: float = 0.0
    times: float = 1.0
    per: str = TASK

    @property
    def region(self) -> tuple[float, float]:
        """The differences that fit the claim lie between these, ends left out."""
        low, high = REGIONS[self.direction]
        ends = [end if abs(end) == INFINITE else end * self.by for end in (low, high)]
        return ends[0], ends[1]

    @property
    def sides(self) -> tuple[Cell, ...]:
        """The cells that are compared, in full: those of ``of``, and those of ``than``."""
        return (self.of, {**self.of, **self.than}) if isinstance(self.than, Mapping) else (self.of,)

    @property
    def expects(self) -> str:
        """What is expected, in words."""
        if self.direction == NONE:
            return f"{said(self.of)}: none at all"
        than = said(self.than) if isinstance(self.than, Mapping) else short_number(self.than or 0.0)
        by = short_number(self.by)
        relation = {
            "more": f"more by over {by} than" if self.by else "more than",
            "less": f"less by over {by} than" if self.by else "less than",
            "no_more": f"at most {by} more than",
            "no_less": f"at most {by} less than",
            "equal": f"within {by} of",
        }[self.direction]
        factor = f"{short_number(self.times)} times " if self.times != 1.0 else ""
        return f"{said(self.of)}: {relation} {factor}{than}"


def read_claims(
    experiment: Mapping[str, Any],
    axes: Mapping[str, Sequence[Any]] | None = None,
    measures: Mapping[str, Measure] = MEASURES,
) -> list[Claim]:
    """Reads an experiment's claims.

    Args:
        experiment: ``name`` and ``claims``.
        axes: every axis that a cell can be named by, with its values; None: they have been checked.
        measures: what the claims can be about.

    Raises:
        UsageError: naming the experiment, the claim, what is wrong and the nearest valid name.
    """
    found: list[Claim] = []
    for place, entry in enumerate(experiment.get("claims") or ()):
        given = entry if isinstance(entry, Mapping) else {}
        where = f"experiment {experiment.get('name')}, claim {given.get('name', place + 1)}"
        try:
            claim = _claim(given, measures)
            for cell in (claim.of, claim.than):
                if axes is not None and isinstance(cell, Mapping):
                    check_values(cell, axes)
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from error
        if any(claim.name == other.name for other in found):
            raise UsageError(f"{where}: two claims have this name")
        found.append(claim)
    return found


def by_task(claim: Claim, cells: Sequence[Cell]) -> list[Claim]:
    """The claim once for each task that there is, where it is judged by tasks and names none."""
    named = {*claim.of, *(claim.than if isinstance(claim.than, Mapping) else ())}
    if claim.per == ALL or "env" in named:
        return [claim]
    tasks = dict.fromkeys(cell["env"] for cell in cells)
    return [replace(claim, of={"env": task, **claim.of}) for task in tasks]


def left_out(claims: Iterable[Claim], cells: Sequence[Cell]) -> list[tuple[Claim, str]]:
    """Claims that cannot be judged, because they speak of a cell that is not there, and why.

    Args:
        claims: the claims.
        cells: the values of every axis, for each cell that there is.
    """
    found = []
    for claim in claims:
        lacking = missing(claim, cells)
        of_tasks = [] if lacking else [missing(one, cells) for one in by_task(claim, cells)]
        found += [(claim, reason) for reason in (lacking, *of_tasks) if reason]
    return found


def missing(claim: Claim, cells: Sequence[Cell]) -> str:
    """Which of the claim's cells is not there, in words; empty if all are."""
    absent = [s for s in claim.sides if not any(matches(cell, s) for cell in cells)]
    return f"no cell has {said(absent[0])}" if absent else ""


def _claim(given: Mapping[str, Any], measures: Mapping[str, Measure]) -> Claim:
    for key in given:
        choice("key", key, _KEYS)
    lacking = [key for key in _REQUIRED if given.get(key) in (None, "")]
    if lacking:
        raise UsageError(f"{lacking[0]} is missing; a claim has {', '.join(_REQUIRED)}")
    direction = choice("direction 'is:'", given["is"], DIRECTIONS)
    claim = Claim(
        name=str(given["name"]),
        says=str(given["says"]),
        measure=_measure(given["measure"], measures),
        of=_cell(given["of"]),
        direction=direction,
        than=_than(given.get("than")),
        by=_positive("by", given.get("by", 0), zero=True),
        times=_positive("times", given.get("times", 1)),
        per=choice("per", given.get("per", TASK), (TASK, ALL)),
    )
    _check_sense(claim)
    return claim


def _check_sense(claim: Claim) -> None:
    """Refuses what is well-formed and means nothing."""
    if claim.direction == NONE:
        if not claim.measure.exposure:
            raise UsageError(f"is: none needs a count of events, and {claim.measure.name} is none")
        if claim.than is not None or claim.by or claim.times != 1.0:
            raise UsageError("is: none compares with nothing: leave out than, by and times")
        return
    if claim.than is None:
        raise UsageError(f"is: {claim.direction} needs than: cells or a number")
    if claim.times != 1.0 and not isinstance(claim.than, Mapping):
        raise UsageError("times is a factor of cells; than is a number already")
    if claim.direction in _NEED_MARGIN and not claim.by:
        raise UsageError(f"is: {claim.direction} needs a margin, by: above 0")
    if len(claim.sides) > 1 and claim.sides[0] == claim.sides[1]:
        raise UsageError("of and than name the same cells")


def _measure(name: Any, measures: Mapping[str, Measure]) -> Measure:
    if name in measures:
        return measures[name]
    near = get_close_matches(str(name), measures, n=_NEAREST, cutoff=0.5)
    hint = f"did you mean '{near[0]}'?" if near else "measures are columns of metrics.per_seed:"
    others = ", ".join(near[1:] or sorted(measures))
    raise UsageError(f"unknown measure '{name}'; {hint} others: {others}")


def _than(value: Any) -> Cell | float | None:
    if value is None or is_number(value):
        return value if value is None else float(value)
    return _cell(value)


def _cell(value: Any) -> Cell:
    if not isinstance(value, Mapping):
        raise UsageError(f"cells are named by axes, e.g. {{regime: in_the_loop}}, got {value!r}")
    return value


def _positive(name: str, value: Any, zero: bool = False) -> float:
    if not is_number(value) or not 0.0 <= value < INFINITE or (not zero and value == 0.0):
        raise UsageError(
            f"{name} must be a number {'from 0 on' if zero else 'above 0'}, got {value!r}"
        )
    return float(value)
