"""Rules of a finite task, written state by state: what each action can lead to."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import Any, ClassVar, NamedTuple


class Outcome(NamedTuple):
    """One thing that an action can lead to.

    Attributes:
        chance: its probability.
        state: the next state; where the episode ends, the one that is shown last.
        reward: reward of the step.
        costs: harm by kind, in the order of the rules' ``COSTS``; empty: none.
        ends: the episode terminates.
        success: it terminates as it should.
        details: further numbers for ``info``, in the order of the rules' ``DETAILS``.
    """

    chance: float
    state: Hashable
    reward: float
    costs: tuple[float, ...] = ()
    ends: bool = False
    success: bool = False
    details: tuple[float, ...] = ()


class Rules(ABC):
    """What one state offers; subclasses are frozen dataclasses whose fields are the parameters.

    Attributes:
        ACTIONS: names of the actions.
        HOLD: index of the action that does nothing or least.
        COSTS: kinds of harm.
        CATASTROPHES: those among them that cannot be undone.
        DETAILS: names of further numbers that ``info`` shows.
        THRESHOLD: mean task return that counts as learned.
    """

    ACTIONS: ClassVar[tuple[str, ...]]
    HOLD: ClassVar[int]
    COSTS: ClassVar[tuple[str, ...]] = ("violation",)
    CATASTROPHES: ClassVar[tuple[str, ...]] = ()
    DETAILS: ClassVar[tuple[str, ...]] = ()
    THRESHOLD: ClassVar[float] = float("nan")

    @abstractmethod
    def starts(self) -> Sequence[tuple[float, Hashable]]:
        """First states with their probabilities, which sum to 1."""

    @abstractmethod
    def outcomes(self, state: Any, action: int) -> Sequence[Outcome]:
        """What an action can lead to; the chances sum to 1, outcomes of chance 0 may be there."""

    @abstractmethod
    def observe(self, state: Any) -> Sequence[float]:
        """What the agent sees, numbers in [0, 1]; nothing that only an overseer may know."""

    @abstractmethod
    def draw(self, state: Any, mode: str) -> Any:
        """The state as text (``ansi``) or pixels (``rgb_array``)."""
