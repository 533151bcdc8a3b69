"""Automation bias: trust after a run without errors breeds copying."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from looplab.envs.compiled import compiled
from looplab.envs.errors import probability, within
from looplab.oversight.humans.effects import LEAST, Answer, Look, State
from looplab.oversight.humans.odds import Odds, copy


@compiled
def _trust(run: Any, a_max: float, k0: float, errors: Any) -> None:
    """Copies the more often, the longer the runs, (n,); moves chances of an error, (2, n)."""
    for person in range(len(run)):
        copy(-a_max * math.expm1(run[person] * (-1.0 / k0)), person, errors)


@compiled
def _pass(asked: Any, refused: Any, run: Any) -> None:
    """Lengthens the runs of those who were asked, or ends them."""
    for person in range(len(run)):
        if asked[person]:
            run[person] = 0.0 if refused[person] else run[person] + 1.0


@dataclass(frozen=True)
class AutomationBias:
    """Copies the proposal, unseen, the more often the longer nothing was wrong.

    With probability a(k) = a_max (1 - exp(-k / k0)) the proposal is approved whatever it is; k is
    the run of proposals that passed unchallenged, and a refusal ends it (Parasuraman & Manzey
    2010; Lyell et al. 2017 found 24.5 to 33.3 points more omissions under wrong advice). The
    exponential is a modelling choice.

    Attributes:
        a_max: chance of copying after an endless run, in [0, 1]; 0: no bias.
        k0: length of run after which 63 % of it has come, above 0.
    """

    a_max: float = 0.0
    k0: float = 10.0

    def __post_init__(self) -> None:
        """Checks the ranges."""
        probability("a_max", self.a_max)
        within("k0", self.k0, LEAST)

    @property
    def off(self) -> bool:
        """Whether it changes nothing."""
        return not self.a_max

    def start(self, num_people: int) -> State:
        """Nothing has passed unchallenged yet."""
        return {"run": np.zeros(num_people)}

    def __call__(self, state: State, look: Look, odds: Odds) -> None:
        """Approves more, whatever is proposed."""
        _trust(state["run"], float(self.a_max), float(self.k0), odds.errors)

    def settle(self, state: State, look: Look, answer: Answer) -> None:
        """One more went through, or the run ends."""
        _pass(look.asked, answer.refused, state["run"])
