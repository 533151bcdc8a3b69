"""When is a human asked? Each trigger maps n proposals to n booleans; a plain function will do."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from looplab.envs.core import BoolArray, FloatArray, check_source
from looplab.envs.errors import UsageError, probability
from looplab.oversight.parts import ANY_RISK, CONFIDENCE
from looplab.oversight.proposals import Proposals
from looplab.oversight.types import some

#: Lanes about whose proposal a human is asked, shape (n,).
Trigger = Callable[[Proposals], BoolArray]

#: Which risk a trigger reads where none is named: what the agent could know comes first.
PREFERRED_SOURCES = ("estimated", "exact", "immediate")


class Always:
    """Asks about every proposal."""

    def __call__(self, proposals: Proposals) -> BoolArray:
        """True in all lanes, shape (n,)."""
        return np.ones(len(proposals), dtype=np.bool_)

    def __str__(self) -> str:
        return "always"


class Never:
    """Asks about no proposal."""

    def __call__(self, proposals: Proposals) -> BoolArray:
        """False in all lanes, shape (n,)."""
        return np.zeros(len(proposals), dtype=np.bool_)

    def __str__(self) -> str:
        return "never"


class Scored(ABC):
    """Asks where a score is at least a threshold, or, where ``BELOW``, at most.

    Attributes:
        tau: the threshold.
    """

    BELOW: ClassVar[bool] = False
    tau: float

    @abstractmethod
    def score(self, proposals: Proposals) -> FloatArray:
        """What the trigger reads of each lane, shape (n,)."""

    def reading(self, proposals: Proposals) -> FloatArray:
        """The score, worked out once a step, shape (n,)."""
        return proposals.once(self, lambda: self.score(proposals))

    def __call__(self, proposals: Proposals) -> BoolArray:
        """Lanes that are asked about, shape (n,)."""
        reading = self.reading(proposals)
        return reading <= self.tau if self.BELOW else reading >= self.tau


class RiskAbove(Scored):
    """Asks where the risk of the proposal is at least ``tau``.

    Args:
        tau: threshold in [0, 1].
        source: ``estimated``, ``exact`` or ``immediate``; None: the first of estimated, exact and
            immediate that the task offers. ``exact`` is an oracle, a perfect detector for free.
    """

    def __init__(self, tau: float, source: str | None = None) -> None:
        self.tau = probability("tau", tau)
        self.source = None if source is None else check_source(source)

    @property
    def needs(self) -> tuple[str, ...]:
        """The named risk, or any."""
        return (ANY_RISK if self.source is None else self.source,)

    def reads(self, proposals: Proposals) -> str:
        """The source of risk that is read in this task."""
        if self.source is not None:
            return self.source
        for source in PREFERRED_SOURCES:
            if proposals.lanes.offers(source):
                return source
        raise UsageError("RiskAbove: the environment offers no risk; pass risk=")

    def score(self, proposals: Proposals) -> FloatArray:
        """Risk of each proposal, shape (n,)."""
        if self.source is not None:
            return proposals.risk(self.source)
        found = proposals.memory(self)
        if "source" not in found:
            found["source"] = self.reads(proposals)
        return proposals.risk(found["source"])

    def start(self, num_lanes: int) -> dict[str, str]:
        """Remembers which source was found, so that it is looked up once."""
        return {}

    def __str__(self) -> str:
        kind = {"exact": "exact risk (oracle)", None: "risk"}.get(
            self.source, f"{self.source} risk"
        )
        return f"{kind} >= {self.tau:g}"


class ConfidenceBelow(Scored):
    """Asks where the policy's probability of its own proposal is at most ``tau``.

    Args:
        tau: threshold in [0, 1].
    """

    BELOW = True
    needs = (CONFIDENCE,)

    def __init__(self, tau: float) -> None:
        self.tau = probability("tau", tau)

    def score(self, proposals: Proposals) -> FloatArray:
        """Confidence in each proposal, shape (n,)."""
        return proposals.confidence

    def __str__(self) -> str:
        return f"confidence <= {self.tau:g}"


class Audit:
    """Asks at random, independently of everything.

    Args:
        probability: chance in [0, 1] that a proposal is audited.
    """

    def __init__(self, probability: float) -> None:
        self.probability = _checked("probability", probability)

    def __call__(self, proposals: Proposals) -> BoolArray:
        """Audited lanes, shape (n,)."""
        return proposals.uniform(self) < self.probability

    def __str__(self) -> str:
        return f"audit {self.probability:g}"


_checked = probability


class _Combined:
    word: str

    def __init__(self, *triggers: Trigger | list[Trigger]) -> None:
        flat: list[Trigger] = []
        for trigger in triggers:
            flat.extend([trigger] if callable(trigger) else trigger)
        if not flat:
            raise UsageError(f"{type(self).__name__} needs at least one trigger")
        self.parts = tuple(flat)

    def __str__(self) -> str:
        return f" {self.word} ".join(describe(trigger) for trigger in self.parts)


class AnyOf(_Combined):
    """Asks where any of several triggers does."""

    word = "or"

    def __call__(self, proposals: Proposals) -> BoolArray:
        """Lanes where at least one trigger asks, shape (n,)."""
        asked: BoolArray = np.logical_or.reduce([trigger(proposals) for trigger in self.parts])
        return asked

    def reasons(self, proposals: Proposals, asked: BoolArray) -> Iterator["Reason"]:
        """The first trigger that asks about each masked lane, with its reading."""
        left = asked
        for trigger in self.parts:
            here = left & trigger(proposals)
            if some(here):
                yield from reasons(trigger, proposals, here)
            left = left & ~here


class AllOf(_Combined):
    """Asks where all of several triggers do."""

    word = "and"

    def __call__(self, proposals: Proposals) -> BoolArray:
        """Lanes where every trigger asks, shape (n,)."""
        asked: BoolArray = np.logical_and.reduce([trigger(proposals) for trigger in self.parts])
        return asked


@dataclass(frozen=True, slots=True)
class Reason:
    """Why some lanes are asked about.

    Attributes:
        lanes: which, shape (n,).
        text: the trigger in words.
        score: what it read, shape (n,), or NaN where it reads nothing.
        threshold: what it compared that with, or NaN.
    """

    lanes: BoolArray
    text: str
    score: FloatArray | float = math.nan
    threshold: FloatArray | float = math.nan


def reasons(trigger: Trigger, proposals: Proposals, asked: BoolArray) -> Iterator[Reason]:
    """Why the masked lanes are asked about; of several triggers, the first that asks.

    A trigger of one's own may say it by a method ``reasons(proposals, asked)``.
    """
    own = getattr(trigger, "reasons", None)
    if own is not None:
        yield from own(proposals, asked)
    elif isinstance(trigger, Scored):
        yield Reason(asked, describe(trigger), trigger.reading(proposals), trigger.tau)
    else:
        yield Reason(asked, describe(trigger))


def describe(part: object) -> str:
    """A trigger, or another part, in words: its own, or a plain function's name."""
    return getattr(part, "__name__", None) or str(part)
