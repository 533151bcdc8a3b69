"""What a trigger is, what a scored one reads, and why it asked."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from looplab.envs.compiled import compiled, takes
from looplab.envs.core import BoolArray, FloatArray
from looplab.envs.errors import UsageError, within
from looplab.oversight.proposals import Proposals
from looplab.oversight.types import Reason, brief, some

#: Lanes about whose proposal a human is asked, shape (n,).
Trigger = Callable[[Proposals], BoolArray]
#: Numbers by which proposals are told apart, higher where asking matters more, shape (n,).
Score = Callable[[Proposals], Any]


class Scored(ABC):
    """Asks where a score is at least a threshold, or, where ``BELOW``, at most.

    Attributes:
        tau: the threshold.
    """

    BELOW: ClassVar[bool] = False
    tau: float
    _words: tuple[float, str] | None = None

    @abstractmethod
    def score(self, proposals: Proposals) -> FloatArray:
        """What the trigger reads of each lane, shape (n,)."""

    @property
    def name(self) -> str:
        """What it reads, in words."""
        return type(self).__name__

    def reading(self, proposals: Proposals) -> FloatArray:
        """The score, worked out once a step, shape (n,).

        Raises:
            UsageError: if it is not one number per lane.
        """
        return proposals.once(self, self._read)

    def _read(self, proposals: Proposals) -> FloatArray:
        given = self.score(proposals)
        fits = type(given) is np.ndarray and given.shape == proposals.asked.shape
        return given if fits and takes(given.dtype) else self._numbers(given, proposals)

    def _numbers(self, given: Any, proposals: Proposals) -> FloatArray:
        """What is no array of numbers, but can be made one of."""
        try:
            return np.asarray(given, dtype=np.float64).reshape(proposals.asked.shape)
        except (TypeError, ValueError):
            raise UsageError(
                f"score {self.name} must answer {len(proposals)} numbers, got {brief(given)}"
            ) from None

    def __call__(self, proposals: Proposals) -> BoolArray:
        """Lanes that are asked about, shape (n,)."""
        asked = np.empty(len(proposals.action), np.bool_)
        _compare(self.reading(proposals), self.tau, self.BELOW, asked)
        return asked

    def reasons(self, proposals: Proposals, asked: BoolArray) -> Sequence[Reason]:
        """The trigger in words, what it read and what it compared that with."""
        return (Reason(asked, str(self), self.reading(proposals), self.tau),)

    def __str__(self) -> str:
        if self._words is None or self._words[0] != self.tau:  # said at every request
            words = f"{self.name} {'<=' if self.BELOW else '>='} {self.tau:g}"
            self._words = self.tau, words
        return self._words[1]


class ScoreAbove(Scored):
    """Asks where a plain function's score is at least ``tau``.

    Args:
        function: maps n proposals to n numbers or booleans; a trigger will do.
        tau: the threshold.
    """

    def __init__(self, function: Score, tau: float = 0.5) -> None:
        if not callable(function):
            raise UsageError(f"a score must be a function of proposals, got {function!r}")
        self.function = function
        self.tau = within("tau", tau, -math.inf)

    @property
    def parts(self) -> tuple[object, ...]:
        """The function, which may be a part of its own."""
        return (self.function,)

    @property
    def name(self) -> str:
        """The function in words."""
        return describe(self.function)

    def score(self, proposals: Proposals) -> FloatArray:
        """The function's answer as numbers, shape (n,).

        Raises:
            UsageError: if it is not one number per lane, or NaN, which no threshold ever meets.
        """
        given = np.asarray(self.function(proposals))
        if given.shape != (len(proposals),) or given.dtype.kind not in "fiub":
            raise UsageError(
                f"score {self.name} must answer {len(proposals)} numbers, got {brief(given)}"
            )
        scores = given.astype(np.float64)
        if some(np.isnan(scores)):
            raise UsageError(f"score {self.name} must answer numbers, got {brief(given)}")
        return scores


def as_scored(score: "Scored | Score") -> Scored:
    """A scored trigger as it is; anything else by what it answers."""
    return score if isinstance(score, Scored) else ScoreAbove(score)


def reasons(trigger: Trigger, proposals: Proposals, asked: BoolArray) -> Sequence[Reason]:
    """Why the masked lanes are asked about; of several triggers, the first that asks.

    A trigger of one's own may say it by a method ``reasons(proposals, asked)``.
    """
    own = getattr(trigger, "reasons", None)
    if own is not None:
        return tuple(own(proposals, asked))
    return (Reason(asked, describe(trigger)),)


def describe(part: object) -> str:
    """A trigger, or another part, in words: its own, or a plain function's name."""
    name = getattr(part, "__name__", None)
    says_nothing = type(part).__str__ is object.__str__ and type(part).__repr__ is object.__repr__
    return name or (type(part).__name__ if says_nothing else str(part))


@compiled
def asks(reading: Any, tau: Any, below: Any) -> Any:
    """Whether a scored trigger asks about one lane."""
    return reading <= tau if below else reading >= tau


@compiled
def _compare(reading: Any, tau: Any, below: Any, out: Any) -> None:
    """Marks lanes that are asked about, (n,)."""
    for lane in range(len(out)):
        out[lane] = asks(reading[lane], tau, below)
