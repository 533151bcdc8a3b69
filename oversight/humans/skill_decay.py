"""Skill decay: who is seldom asked loses the skill, and gets it back with practice."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from looplab.envs.compiled import compiled
from looplab.envs.errors import probability, within
from looplab.oversight.humans.effects import LEAST, SECONDS_PER_MINUTE, Answer, Look, State
from looplab.oversight.humans.odds import Odds, toward

_MINUTES_PER_HOUR = 60.0


@compiled
def _forget(
    rest: Any, watched: Any, tau: float, worst_error: float, skill: Any, errors: Any
) -> None:
    """Time without a review takes skill, (n,); without it chances of an error, (2, n), rise."""
    for person in range(len(skill)):
        skill[person] *= math.exp((rest[person] + watched[person]) * (-1.0 / tau))
        toward(worst_error, 1.0 - skill[person], person, errors)


@compiled
def _practise(asked: Any, practice: float, skill: Any) -> None:
    """Gives those who were asked a share of what they miss."""
    for person in range(len(skill)):
        if asked[person]:
            skill[person] += practice * (1.0 - skill[person])


@dataclass(frozen=True)
class SkillDecay:
    """Who is seldom asked loses the skill, and gets it back with practice.

    Skill s decays with the time since the last review, s exp(-t / tau), and a review gives back
    ``practice`` of what is missing; both chances of an error move from e to
    e + (worst_error - e)(1 - s). Decay with disuse is Arthur et al. 1998's finding, the exponential
    a modelling choice.

    Attributes:
        worst_error: chance of an error without any skill left, in [0, 1]; 0: skill does not matter.
        tau_hours: hours without a review after which 63 % of the skill is gone, above 0.
        practice: share of the missing skill that one review gives back, in [0, 1].
    """

    worst_error: float = 0.0
    tau_hours: float = 8.0
    practice: float = 0.1

    def __post_init__(self) -> None:
        """Checks the ranges."""
        probability("worst_error", self.worst_error)
        within("tau_hours", self.tau_hours, LEAST)
        probability("practice", self.practice)

    @property
    def off(self) -> bool:
        """Whether it changes nothing."""
        return not self.worst_error

    def start(self, num_people: int) -> State:
        """Everybody is in practice."""
        return {"skill": np.ones(num_people)}

    def __call__(self, state: State, look: Look, odds: Odds) -> None:
        """Errs more, the longer nobody asked."""
        tau = self.tau_hours * _MINUTES_PER_HOUR * SECONDS_PER_MINUTE
        worst_error = float(self.worst_error)
        _forget(look.rest, look.watched, tau, worst_error, state["skill"], odds.errors)

    def settle(self, state: State, look: Look, answer: Answer) -> None:
        """A review is practice; watching is not."""
        if not look.watching:
            _practise(look.asked, float(self.practice), state["skill"])
