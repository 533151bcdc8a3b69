"""Fatigue: errors and times rise with work, and fall with rest."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from looplab.envs.compiled import compiled
from looplab.envs.errors import probability, within
from looplab.oversight.humans.effects import LEAST, SECONDS_PER_MINUTE, Answer, Look, State
from looplab.oversight.humans.odds import Odds, toward


@compiled
def _tire(
    rest: Any, recovery: float, capacity: float, slowdown: float, worst_error: float, load: Any,
    seconds: Any, errors: Any,
) -> None:  # fmt: skip
    """Rest forgets work; by what is left, times grow, (n,), and chances of an error, (2, n)."""
    for person in range(len(load)):
        load[person] *= math.exp(rest[person] * (-1.0 / recovery))
        tired = -math.expm1(load[person] * (-1.0 / capacity))
        seconds[person] *= 1.0 + slowdown * tired
        toward(worst_error, tired, person, errors)


@compiled
def _work(asked: Any, seconds: Any, load: Any) -> None:
    """Adds the seconds of those who were asked."""
    for person in range(len(load)):
        if asked[person]:
            load[person] += seconds[person]


@dataclass(frozen=True)
class Fatigue:
    """Errors and times rise with recent work and fall with rest.

    Load l is the seconds of work so far, which rest forgets: l exp(-rest / recovery). Tiredness is
    f = 1 - exp(-l / capacity); both chances of an error move from e to e + (worst_error - e) f, and
    times grow by 1 + slowdown f. The exponentials are a modelling choice; that errors rise with
    time on task and fall after breaks is Grandjean 1979's finding.

    Attributes:
        worst_error: chance of an error when wholly tired, in [0, 1]; 0: errors do not rise.
        slowdown: share by which an answer then takes longer, at least 0.
        capacity_minutes: work after which tiredness is 63 %, above 0.
        recovery_minutes: rest after which 63 % of the load is forgotten, above 0.
    """

    worst_error: float = 0.0
    slowdown: float = 0.0
    capacity_minutes: float = 60.0
    recovery_minutes: float = 30.0

    def __post_init__(self) -> None:
        """Checks the ranges."""
        probability("worst_error", self.worst_error)
        within("slowdown", self.slowdown, 0.0)
        within("capacity_minutes", self.capacity_minutes, LEAST)
        within("recovery_minutes", self.recovery_minutes, LEAST)

    @property
    def off(self) -> bool:
        """Whether it changes nothing."""
        return not (self.worst_error or self.slowdown)

    def start(self, num_people: int) -> State:
        """Everybody is rested."""
        return {"load": np.zeros(num_people)}

    def __call__(self, state: State, look: Look, odds: Odds) -> None:
        """Errs more, and takes longer, the more work has piled up."""
        _tire(
            look.rest,
            self.recovery_minutes * SECONDS_PER_MINUTE,
            self.capacity_minutes * SECONDS_PER_MINUTE,
            float(self.slowdown),
            float(self.worst_error),
            state["load"],
            odds.seconds,
            odds.errors,
        )

    def settle(self, state: State, look: Look, answer: Answer) -> None:
        """Work adds to the load: reviewing, or watching."""
        work = look.watched if look.watching else answer.seconds
        _work(look.asked, work, state["load"])
