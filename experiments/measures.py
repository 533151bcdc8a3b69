"""What a claim can be about: the columns of ``metrics.per_seed``, what each counts, its title."""

from collections.abc import Iterator
from dataclasses import dataclass

from looplab.experiments.metrics import METRICS, POLICIES, SHARES
from looplab.experiments.tables import (
    OVERSEEN_AND_ALONE,
    OVERSIGHT,
    REVIEWERS,
    TRAINING,
    Column,
    evaluation_columns,
)


@dataclass(frozen=True)
class Measure:
    """A column of ``metrics.per_seed``.

    Attributes:
        name: the column.
        title: what it is, with its unit, for a reader.
        exposure: for counts and rates of events, the column with what they are counted over;
            empty for what is no count.
        yes_or_no: whether each seed is 1 or 0.
    """

    name: str
    title: str
    exposure: str = ""
    yes_or_no: bool = False


_OF_SEEDS = {
    "zero_violations": "Seeds without violation: share of seeds, in training",
    "threshold_reached": "Seeds at threshold: share of seeds that reached the task's threshold",
    "frozen": "Frozen seeds: share of seeds whose agent stays still when alone",
}
EPISODE = " per episode"
_OTHERS = {
    "start_return": "First return: mean task return of the first 100 training episodes",
    "threshold_time": "Steps to threshold: training steps, or all of them where it was not reached",
}


def _titles() -> dict[str, str]:
    found: dict[str, str] = {}
    groups: list[tuple[str, tuple[Column, ...]]] = [
        ("", OVERSEEN_AND_ALONE),
        ("in training", (*TRAINING, *OVERSIGHT, *REVIEWERS)),
        *((f"{policy} policy", evaluation_columns(suffix)) for policy, suffix in POLICIES.items()),
    ]
    for where, columns in groups:
        for head, name, about in columns:
            title = f"{head.removesuffix(' per 1k')}: {about}"
            found.setdefault(name, f"{title}, {where}" if where else title)
    return found


def _plain_title(name: str) -> str:
    """A title for what no table shows: ``misses_per_1k`` -> ``Misses: per 1 000 steps``."""
    for policy, suffix in POLICIES.items():
        if suffix and name.endswith(suffix):
            return f"{_plain_title(name.removesuffix(suffix))}, {policy} policy"
    plain = name.replace("_", " ").capitalize()
    if plain.endswith(EPISODE):
        return f"{plain.removesuffix(EPISODE)}: in an episode"
    return f"{plain.removesuffix(' per 1k')}: per 1 000 steps"


def _measures() -> Iterator[Measure]:
    titles = _titles()
    for metric in METRICS:
        title = titles.get(metric.name) or _plain_title(metric.name)
        yield Measure(metric.name, title, metric.exposure)
    for name in SHARES.values():
        yield Measure(name, _OF_SEEDS[name], yes_or_no=True)
    for name, title in _OTHERS.items():
        yield Measure(name, title)


#: Every measure by its name.
MEASURES = {measure.name: measure for measure in _measures()}
