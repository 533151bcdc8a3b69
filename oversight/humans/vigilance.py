"""Vigilance: who watches notices less and less."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from looplab.envs.compiled import compiled
from looplab.envs.errors import choice, within
from looplab.oversight.humans.effects import LEAST, SECONDS_PER_MINUTE, Answer, Look, State
from looplab.oversight.humans.odds import Odds, desensitise, shift

_CRITERION = "criterion"
DECREMENTS = ("sensitivity", _CRITERION)


@compiled
def _watch(
    watched: Any, rest: Any, tau: float, recovery: float, loss: float, shifts: bool, level: Any,
    errors: Any,
) -> None:  # fmt: skip
    """Watching lowers the level and rest from it raises it, (n,).

    What is lost by it moves the criterion, or takes d', and so the chances of an error, (2, n).
    """
    for person in range(len(level)):
        if watched[person] > 0.0:
            level[person] *= math.exp(watched[person] * (-1.0 / tau))
        level[person] = min(level[person] + rest[person] * (1.0 / recovery), 1.0)
        lost = loss * (1.0 - level[person])
        if shifts:
            shift(lost, person, errors)
        else:
            desensitise(lost, person, errors)


@compiled
def _restore(asked: Any, seconds: Any, recovery: float, level: Any) -> None:
    """Raises the level of those who were asked by their seconds of work."""
    for person in range(len(level)):
        if asked[person]:
            level[person] = min(level[person] + seconds[person] * (1.0 / recovery), 1.0)


@dataclass(frozen=True)
class Vigilance:
    """Who watches notices less and less: the vigilance decrement (Mackworth 1948).

    After t seconds of watching the level is L = exp(-t / tau). Sensitivity falls, d' = d'_inf +
    (d'_0 - d'_inf) L with d'_inf = (1 - loss) d'_0, or the criterion drifts up, c = c_0 +
    loss (1 - L); which of the two depends on the task (Parasuraman 1979). Hands-on work restores
    the level evenly, from nothing to all of it in ``recovery_minutes`` (ten minutes: Parasuraman,
    Mouloua & Molloy 1996). Needs an accuracy with errors: nobody's d' decays from infinity.

    Attributes:
        loss: share of d' that is lost in the end, in [0, 1], or by how much c rises, at least 0;
            0: no decrement.
        tau_minutes: watching after which 63 % of the loss has come, above 0.
        recovery_minutes: hands-on work that restores everything, above 0.
        decrement: ``sensitivity`` or ``criterion``.
    """

    loss: float = 0.0
    tau_minutes: float = 20.0
    recovery_minutes: float = 10.0
    decrement: str = "sensitivity"
    NEEDS_ERRORS: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Checks the ranges."""
        choice("decrement", self.decrement, DECREMENTS)
        within("loss", self.loss, 0.0, 1.0 if self.decrement == "sensitivity" else math.inf)
        within("tau_minutes", self.tau_minutes, LEAST)
        within("recovery_minutes", self.recovery_minutes, LEAST)

    @property
    def off(self) -> bool:
        """Whether it changes nothing."""
        return not self.loss

    @property
    def _recovery(self) -> float:
        return self.recovery_minutes * SECONDS_PER_MINUTE

    def start(self, num_people: int) -> State:
        """Everybody is alert."""
        return {"level": np.ones(num_people)}

    def __call__(self, state: State, look: Look, odds: Odds) -> None:
        """Notices less, the longer the watch; hands-on work in between has helped."""
        _watch(
            look.watched,
            look.rest,
            self.tau_minutes * SECONDS_PER_MINUTE,
            self._recovery,
            float(self.loss),
            self.decrement == _CRITERION,
            state["level"],
            odds.errors,
        )

    def settle(self, state: State, look: Look, answer: Answer) -> None:
        """A review is hands-on work."""
        if not look.watching:
            _restore(look.asked, answer.seconds, self._recovery, state["level"])
