"""What live runs counted of their own steps: how much ran by itself, and what harm was done."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from looplab.oversight.live.analytics.extract import Extract
from looplab.oversight.live.analytics.figures import Share, share_of

_PER = 1000.0
#: Steps of runs that tell about how many of them somebody was asked.
_TOLD = "told"


@dataclass(frozen=True)
class Steps:
    """Counts of steps, as trainers told them; what needs the truth is 0 where nobody knows it.

    Attributes:
        steps: of all lanes together.
        automated: share of them on which nobody was asked, whether or not somebody watched.
        watched: on which somebody watched.
        violations: with cost, and ``violations_per_1k`` steps; None: there was no step.
        unsafe: proposals that were unsafe: ``caught`` by who was asked, ``missed`` by who was
            asked or watched, ``unasked`` with neither, ``late`` noticed too late.
        false_alarms: safe proposals that were not approved.
        human_seconds: by the run's own account, watching included; and ``_per_1k`` steps.
    """

    steps: int
    automated: Share
    watched: int
    violations: int
    violations_per_1k: float | None
    unsafe: int
    caught: int
    missed: int
    unasked: int
    late: int
    false_alarms: int
    human_seconds: float
    human_seconds_per_1k: float | None


def increases(extract: Extract) -> dict[int, Counter[str]]:
    """What was counted within each point of the course, by the number of the point.

    A trainer that begins again counts from 0 up to where it was: only what exceeds it counts.
    """
    highest: dict[str, dict[str, float]] = {}
    for before in extract.before:
        highest[before.session] = dict(before.counts)
    found: dict[int, Counter[str]] = {}
    for one in extract.counted:
        known = highest.setdefault(one.session, {})
        point = found.setdefault(one.at // extract.width, Counter())
        for name, value in one.counts.items():
            more = max(value - known.get(name, 0.0), 0.0)
            known[name] = max(value, known.get(name, 0.0))
            point[name] += more  # type: ignore[assignment]  # counts are floats
            if name == "steps" and "asked" in one.counts:
                point[_TOLD] += more  # type: ignore[assignment]
    return found


def automated(counts: Mapping[str, float]) -> Share:
    """Share of the steps on which nobody was asked."""
    told = round(counts.get(_TOLD, 0.0))
    return share_of(max(told - round(counts.get("asked", 0.0)), 0), told)


def steps_of(counts: Mapping[str, float]) -> Steps:
    """All that was counted together."""

    def whole(name: str) -> int:
        return round(counts.get(name, 0.0))

    def rate(name: str) -> float | None:
        steps = counts.get("steps", 0.0)
        return _PER * counts.get(name, 0.0) / steps if steps else None

    return Steps(
        whole("steps"), automated(counts), whole("watched"), whole("violations"),
        rate("violations"), whole("unsafe"), whole("caught"), whole("miss"), whole("unasked"),
        whole("late"), whole("false_alarm"), counts.get("human_seconds", 0.0),
        rate("human_seconds"),
    )  # fmt: skip
