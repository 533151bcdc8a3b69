"""Prior bias: some actions, or some groups of cases, are trusted more than others."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import numpy as np

from looplab.envs.actions import action_names, action_number
from looplab.envs.compiled import compiled
from looplab.envs.core import FloatArray
from looplab.envs.errors import UsageError, within
from looplab.oversight.humans.effects import Answer, Look, State
from looplab.oversight.humans.odds import Odds, shift

#: Beyond it, a criterion is never met or always.
_LARGEST_SHIFT = 10.0


@compiled
def _prejudge(action: Any, shifts: Any, errors: Any) -> None:
    """Moves the criteria of those who see an action, (n,); chances of an error, (2, n)."""
    for person in range(len(action)):
        shift(shifts[action[person]], person, errors)


@dataclass(frozen=True)
class PriorBias:
    """Trusts some actions, or some groups of cases, more than others, before looking.

    Adds to the criterion c: above 0 refuses less, below 0 more. Needs an accuracy with errors:
    a perfect eye has no use for prejudice.

    Attributes:
        actions: what is added by action, its name or its index; none: no bias.
        group: a plain function of a ``Look`` that gives what is added for each, shape (n,).
    """

    actions: Mapping[Any, float] | None = None
    group: Callable[[Look], FloatArray] | None = None
    NEEDS_ERRORS: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Checks the numbers."""
        for size in (self.actions or {}).values():
            within("a bias", size, -_LARGEST_SHIFT, _LARGEST_SHIFT)
        if self.group is not None and not callable(self.group):
            raise UsageError(f"group must be a function of a look, got {self.group!r}")

    @property
    def off(self) -> bool:
        """Whether it changes nothing."""
        return not any((self.actions or {}).values()) and self.group is None

    def start(self, num_people: int) -> State:
        """Prejudice remembers nothing."""
        return {}

    def __call__(self, state: State, look: Look, odds: Odds) -> None:
        """Moves the criterion by action and by group."""
        if self.actions:
            if look.proposals is None:
                raise UsageError("a bias by action needs a task; a queue does not show it")
            names = action_names(look.proposals.lanes)
            _prejudge(look.action, _by_action(names, self._shifts), odds.errors)
        if self.group is not None:
            odds.shift(self.group(look))

    @cached_property
    def _shifts(self) -> tuple[tuple[Any, float], ...]:
        return tuple((self.actions or {}).items())

    def settle(self, state: State, look: Look, answer: Answer) -> None:
        """Prejudice does not learn."""


@lru_cache(maxsize=16)
def _by_action(names: tuple[str, ...], shifts: tuple[tuple[Any, float], ...]) -> FloatArray:
    table = np.zeros(len(names))
    for action, size in shifts:
        table[action_number(names, action)] = size
    return table
