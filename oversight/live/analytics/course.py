"""How it went over time: what charts show."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from looplab.oversight.live.analytics.answers import UNDONE, Answer
from looplab.oversight.live.analytics.extract import Extract
from looplab.oversight.live.analytics.figures import times_of
from looplab.oversight.live.analytics.steps import automated, increases
from looplab.oversight.types import VERDICTS


@dataclass(frozen=True)
class Point:
    """One stretch of time: what was asked in it and became of that; no catch trial is in it.

    Attributes:
        at: when it begins, in milliseconds since 1970.
        asked: reviews.
        verdicts: how many answers of each.
        overdue: reviews that nobody answered in time.
        p50: seconds from asked to answered, the median; None: nothing was answered.
        p95: the 95th percentile likewise.
        steps: that runs executed in it.
        automated: share of them on which nobody was asked; None: it is not known.
    """

    at: int
    asked: int
    verdicts: Mapping[str, int]
    overdue: int
    p50: float | None
    p95: float | None
    steps: int
    automated: float | None


@dataclass(frozen=True)
class Course:
    """Points one after the other, without gaps; none where nothing happened.

    Attributes:
        seconds: that each of them spans.
        points: at most ``extract.MOST_POINTS``.
    """

    seconds: float
    points: list[Point]


def course_of(extract: Extract, answers: Iterable[Answer]) -> Course:
    """The course of an extract."""
    width, first, last = extract.width, extract.first, extract.last
    asked, overdue = Counter[int](), Counter[int]()
    for question in extract.questions:
        if question.counts:
            at = question.asked_at // width
            asked[at] += 1
            overdue[at] += question.overdue
    said: dict[int, Counter[str]] = {}
    elapsed: dict[int, list[float]] = {}
    for answer in answers:
        if answer.question.counts and answer.verdict != UNDONE:
            at = answer.question.asked_at // width
            said.setdefault(at, Counter())[answer.verdict] += 1
            elapsed.setdefault(at, []).append(answer.elapsed)
    counted = increases(extract)
    points = []
    there = range(0) if first is None or last is None else range(first // width, last // width + 1)
    for at in there:
        given, times = said.get(at, Counter()), times_of(elapsed.get(at, []))
        steps = counted.get(at, Counter())
        points.append(
            Point(
                at * width, asked[at], {verdict: given[verdict] for verdict in VERDICTS},
                overdue[at], times.p50, times.p95, round(steps["steps"]), automated(steps).share,
            )
        )  # fmt: skip
    return Course(width / 1000.0, points)
