"""Change detection: has what we see of the agent and its task changed?

A monitor looks at a stream after every step and raises an alarm in the step in which the evidence
suffices; then it begins anew. As a trigger it asks in the step after an alarm; in an adaptive
protocol its alarm raises the level of oversight.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from looplab.envs.core import RISK_RESOLUTION, BoolArray, FloatArray
from looplab.envs.errors import UsageError, choice, finite, probability, whole, within
from looplab.oversight.proposals import Proposals
from looplab.oversight.record import Record
from looplab.oversight.types import APPROVE, Reason, brief, some

#: What is monitored of one step, shape (n,); NaN where there is nothing to see.
Stream = Callable[[Record], FloatArray]

#: How many standard deviations a feature can be off at most.
_FARTHEST = 5.0
#: Standard deviation of a feature that never varied.
_CONSTANT = 1e-3


def violations(record: Record) -> FloatArray:
    """1 where the step did harm, else 0, shape (n,)."""
    return np.asarray(record.cost > 0, np.float64)


def refusals(record: Record) -> FloatArray:
    """1 where a human who looked refused the proposal, 0 where they did not, shape (n,)."""
    looked = (record.asked | record.watched) & ~record.standby
    return np.where(looked, record.verdict != APPROVE, np.nan)


@dataclass(slots=True)
class Familiar:
    """What observations used to look like: number, mean and sum of squares of each feature."""

    count: int = 0
    mean: FloatArray | float = 0.0
    squares: FloatArray | float = 0.0


class FeatureShift:
    """How far observations lie from those of the first steps, in their standard deviations.

    The mean over features of |x - mean| / deviation, each at most 5; about 0.8 while nothing
    changes and features are normal.

    Args:
        settle: observations, of all lanes together, that say what is familiar, at least 2.
    """

    def __init__(self, settle: int = 2000) -> None:
        self.settle = whole("settle", settle, 2)

    def start(self) -> Familiar:
        """Nothing was seen yet."""
        return Familiar()

    def read(self, familiar: Familiar, record: Record) -> FloatArray:
        """Distance of what each lane saw, shape (n,); NaN until enough is familiar."""
        flat = record.observed.reshape(len(record.observed), -1).astype(np.float64)
        if familiar.count < self.settle:
            familiar.count += len(flat)
            before = flat - familiar.mean
            familiar.mean = familiar.mean + before.sum(axis=0) / familiar.count
            familiar.squares = familiar.squares + (before * (flat - familiar.mean)).sum(axis=0)
            return np.full(len(flat), np.nan)
        deviation = np.maximum(np.sqrt(familiar.squares / (familiar.count - 1)), _CONSTANT)
        distance = np.abs(flat - familiar.mean) / deviation
        far: FloatArray = np.minimum(distance, _FARTHEST).mean(axis=1)
        return far


#: Streams by name.
STREAMS: Mapping[str, Callable[[], Any]] = {
    "violations": lambda: violations, "refusals": lambda: refusals, "features": FeatureShift,
}  # fmt: skip


@dataclass(slots=True)
class Watch:
    """State of a monitor; arrays of shape (m,): one for all lanes together, or one per lane.

    Attributes:
        alarm: raised in the last step.
        reading: statistic of the last step, before it began anew.
        statistic: statistic so far.
        count: values since the beginning.
        total: their sum.
        recent: sums and counts of the last steps, shape (steps, 2, m); None where not kept.
        source: what the stream remembers; None where it remembers nothing.
        steps: steps seen so far.
        raised: steps in which an alarm was raised, in any lane, counted from 0.
    """

    alarm: BoolArray
    reading: FloatArray
    statistic: FloatArray
    count: FloatArray
    total: FloatArray
    recent: FloatArray | None
    source: Any
    steps: int = 0
    raised: list[int] = field(default_factory=list)


class Monitor(ABC):
    """Looks for an upward change of a stream's mean.

    Args:
        stream: ``violations``, ``refusals``, ``features``, or a function of the step's ``Record``;
            one that remembers something has ``start()`` and ``read(state, record)`` instead.
        pooled: one monitor for all lanes, to which every lane's value counts, those of one step
            added together; else one per lane.

    Attributes:
        threshold: what the statistic is held against.
    """

    threshold: float
    #: Steps whose sums are kept.
    keeps = 0

    def __init__(self, stream: str | Stream, pooled: bool) -> None:
        if isinstance(stream, str):
            stream = STREAMS[choice("stream", stream, STREAMS)]()
        elif not callable(stream) and not hasattr(stream, "read"):
            raise UsageError(f"stream must be a name or a function of a record, got {stream!r}")
        self.stream: Any = stream
        self.pooled = bool(pooled)

    def start(self, num_lanes: int) -> Watch:
        """No evidence yet."""
        size = 1 if self.pooled else num_lanes
        return Watch(
            alarm=np.zeros(size, np.bool_),
            reading=np.zeros(size),
            statistic=np.zeros(size),
            count=np.zeros(size),
            total=np.zeros(size),
            recent=np.zeros((self.keeps, 2, size)) if self.keeps else None,
            source=self.stream.start() if hasattr(self.stream, "start") else None,
        )

    def see(self, watch: Watch, record: Record) -> None:
        """Takes in one step; begins anew where the alarm is raised."""
        values = self._values(watch, record)
        seen = ~np.isnan(values)
        total, count = np.where(seen, values, 0.0), seen.astype(np.float64)
        if self.pooled:
            total, count = total.sum(keepdims=True), count.sum(keepdims=True)
        watch.count += count
        watch.total += total
        watch.statistic = self.update(watch, total, count)
        watch.reading = watch.statistic
        watch.alarm = watch.statistic >= self.threshold - RISK_RESOLUTION
        watch.steps += 1
        if watch.alarm.any():
            watch.raised.append(watch.steps - 1)
            going_on = ~watch.alarm
            watch.statistic = watch.statistic * going_on
            watch.count *= going_on
            watch.total *= going_on
            if watch.recent is not None:
                watch.recent *= going_on

    def _values(self, watch: Watch, record: Record) -> FloatArray:
        """What the stream says of each lane in this step, shape (n,); NaN: nothing."""
        read = self.stream.read if hasattr(self.stream, "read") else None
        answer = self.stream(record) if read is None else read(watch.source, record)
        given = np.asarray(answer)
        if given.shape != record.cost.shape or given.dtype.kind not in "fiub":
            raise UsageError(
                f"stream {self._of} must answer {len(record.cost)} numbers, got {brief(answer)}"
            )
        values = given.astype(np.float64)
        if some(np.isinf(values)):
            raise UsageError(
                f"stream {self._of} must answer finite numbers, or NaN where there is nothing "
                f"to see, got {brief(answer)}"
            )
        return values

    @property
    def _of(self) -> str:
        return getattr(self.stream, "__name__", type(self.stream).__name__.lower())

    @abstractmethod
    def update(self, watch: Watch, total: FloatArray, count: FloatArray) -> FloatArray:
        """The statistic after one more step, a fresh array of shape (m,).

        Args:
            watch: the state, to which the step's values have been added.
            total: sum of the step's values, shape (m,).
            count: their number, shape (m,).
        """

    def __call__(self, proposals: Proposals) -> BoolArray:
        """Lanes in which an alarm was raised in the last step, shape (n,)."""
        watch: Watch = proposals.memory(self)
        return np.repeat(watch.alarm, len(proposals)) if self.pooled else watch.alarm.copy()

    def reasons(self, proposals: Proposals, asked: BoolArray) -> Iterator[Reason]:
        """The alarm, with the statistic that raised it."""
        yield Reason(asked, f"alarm: {self}", proposals.memory(self).reading, self.threshold)

    def __str__(self) -> str:
        return f"{type(self).__name__} of {self._of} >= {self.threshold:g}"


class Cusum(Monitor):
    """Cumulative sum of what exceeds a reference, never below 0 (Page 1954).

    With ``bernoulli_reference`` it is the log-likelihood ratio test of one rate against another,
    in units of events. The average number of values until a false alarm grows exponentially with
    the threshold.

    Args:
        reference: between the mean that is normal and the one that is to be found.
        threshold: alarm from here on, above 0.
        stream: see ``Monitor``.
        pooled: see ``Monitor``.
    """

    def __init__(
        self,
        reference: float,
        threshold: float,
        stream: str | Stream = "violations",
        pooled: bool = True,
    ) -> None:
        super().__init__(stream, pooled)
        self.reference = finite("reference", reference, -np.inf)
        self.threshold = within("threshold", threshold, np.finfo(np.float64).tiny)

    def update(self, watch: Watch, total: FloatArray, count: FloatArray) -> FloatArray:
        """Adds what exceeds the reference."""
        return np.maximum(watch.statistic + total - count * self.reference, 0.0)


def bernoulli_reference(before: float, after: float) -> float:
    """Reference of a ``Cusum`` that tells two rates of events apart in the shortest time.

    The log-likelihood ratio of an event is log(p1 / p0), of none log((1 - p1) / (1 - p0)); divided
    by their difference, an event adds 1 - reference and none takes the reference away.

    Args:
        before: rate that is normal, in (0, 1).
        after: rate that is to be found, in (before, 1).

    >>> round(bernoulli_reference(0.05, 0.2), 4)
    0.1103
    """
    if not 0.0 < before < after < 1.0:
        raise UsageError(f"rates must satisfy 0 < before < after < 1, got {before} and {after}")
    rises = math.log(after / before)
    falls = math.log((1.0 - before) / (1.0 - after))
    return falls / (rises + falls)


class PageHinkley(Monitor):
    """As ``Cusum``, with the mean so far, and some slack, as its reference (Page 1954).

    Needs to know nothing beforehand, but takes a slow change for normal.

    Args:
        threshold: alarm from here on, above 0.
        slack: excess over the mean that is no change, at least 0.
        settle: values that must have been seen before an alarm, at least 1.
        stream: see ``Monitor``.
        pooled: see ``Monitor``.
    """

    def __init__(
        self,
        threshold: float = 20.0,
        slack: float = 0.05,
        settle: int = 200,
        stream: str | Stream = "refusals",
        pooled: bool = True,
    ) -> None:
        super().__init__(stream, pooled)
        self.threshold = within("threshold", threshold, np.finfo(np.float64).tiny)
        self.slack = within("slack", slack, 0.0)
        self.settle = whole("settle", settle, 1)

    def update(self, watch: Watch, total: FloatArray, count: FloatArray) -> FloatArray:
        """Adds what exceeds the mean so far, once that is settled."""
        mean = watch.total / np.maximum(watch.count, 1.0)
        excess = np.maximum(watch.statistic + total - count * (mean + self.slack), 0.0)
        return excess * (watch.count > self.settle)


class WindowTest(Monitor):
    """Compares the last steps with all before (two windows: Kifer, Ben-David & Gehrke 2004).

    For values in [0, 1] that are independent and unchanged, Hoeffding's inequality bounds the
    chance of an alarm in any one step by ``error``: the difference of two means must exceed
    sqrt(ln(1 / error) / 2 x (1 / recent + 1 / older)), which the statistic counts as 1.

    Args:
        steps: steps of the recent window, at least 1.
        error: chance of a false alarm per step, in (0, 1).
        stream: see ``Monitor``; values in [0, 1].
        pooled: see ``Monitor``.
    """

    threshold = 1.0

    def __init__(
        self,
        steps: int = 100,
        error: float = 1e-6,
        stream: str | Stream = "violations",
        pooled: bool = True,
    ) -> None:
        super().__init__(stream, pooled)
        self.keeps = self.steps = whole("steps", steps, 1)
        if not 0.0 < probability("error", error) < 1.0:
            raise UsageError(f"error must lie between 0 and 1, got {error}")
        self.error = error

    def update(self, watch: Watch, total: FloatArray, count: FloatArray) -> FloatArray:
        """Difference of the two windows' means, in units of its bound."""
        assert watch.recent is not None  # ``keeps`` is at least 1
        watch.recent[:-1] = watch.recent[1:]
        watch.recent[-1] = total, count
        new_total, new = watch.recent.sum(axis=0)
        old_total, old = watch.total - new_total, watch.count - new
        known = (new > 0) & (old > 0)
        new, old = np.where(known, new, 1.0), np.where(known, old, 1.0)
        bound = np.sqrt(-math.log(self.error) / 2.0 * (1.0 / new + 1.0 / old))
        return np.where(known, (new_total / new - old_total / old) / bound, 0.0)
