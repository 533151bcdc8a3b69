"""What makes people err more or less than they would at their best, and how it comes and goes.

Every effect is a function of a ``Look`` that changes ``Odds`` in place; a plain function is one.
An effect that remembers has a state, which ``start(n)`` makes, gets it as its first argument, and
is told by ``settle`` what was answered. Effects that are switched off say so by ``off``.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from looplab.envs.actions import action_names, action_number
from looplab.envs.core import Actions, BoolArray, FloatArray
from looplab.envs.errors import UsageError, choice, probability, within
from looplab.oversight.humans.odds import Odds
from looplab.oversight.proposals import Proposals

_SECONDS_PER_MINUTE = 60.0
#: Beyond it, a criterion is never met or always.
_LARGEST_SHIFT = 10.0
_TINY = float(np.finfo(np.float64).tiny)

#: What an effect remembers of n people: arrays of shape (n,) by name.
State = dict[str, Any]


@dataclass(slots=True)
class Look:
    """What n people look at in one moment; arrays of shape (n,).

    Attributes:
        asked: who looks at all.
        watching: they watch what is about to run, instead of being asked.
        rest: seconds since the last look that were neither work nor watching.
        watched: seconds of watching since the last look; 0 where they do not watch.
        action: what is proposed, shape (n, ...).
        proposals: everything about the proposals; None where people serve a queue.
    """

    asked: BoolArray
    watching: bool
    rest: FloatArray
    watched: FloatArray
    action: Actions
    proposals: Proposals | None = None


@dataclass(slots=True)
class Answer:
    """What they answered; arrays of shape (n,).

    Attributes:
        refused: the answer was not approve.
        unsafe: what it should have been, as far as they could know at their best.
        seconds: time that it took.
    """

    refused: BoolArray
    unsafe: BoolArray
    seconds: FloatArray


#: An effect without memory.
Effect = Callable[[Look, Odds], None]


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
        within("capacity_minutes", self.capacity_minutes, _TINY)
        within("recovery_minutes", self.recovery_minutes, _TINY)

    @property
    def off(self) -> bool:
        """Whether it changes nothing."""
        return not (self.worst_error or self.slowdown)

    def start(self, num_people: int) -> State:
        """Everybody is rested."""
        return {"load": np.zeros(num_people)}

    def __call__(self, state: State, look: Look, odds: Odds) -> None:
        """Errs more, and takes longer, the more work has piled up."""
        load = state["load"]
        load *= np.exp(look.rest * (-1.0 / (self.recovery_minutes * _SECONDS_PER_MINUTE)))
        tired = -np.expm1(load * (-1.0 / (self.capacity_minutes * _SECONDS_PER_MINUTE)))
        if self.worst_error:
            odds.toward(self.worst_error, tired)
        if self.slowdown:
            odds.seconds *= 1.0 + self.slowdown * tired

    def settle(self, state: State, look: Look, answer: Answer) -> None:
        """Work adds to the load: reviewing, or watching."""
        work = look.watched if look.watching else answer.seconds
        state["load"] += look.asked * work


DECREMENTS = ("sensitivity", "criterion")


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
        within("tau_minutes", self.tau_minutes, _TINY)
        within("recovery_minutes", self.recovery_minutes, _TINY)

    @property
    def off(self) -> bool:
        """Whether it changes nothing."""
        return not self.loss

    def start(self, num_people: int) -> State:
        """Everybody is alert."""
        return {"level": np.ones(num_people)}

    def __call__(self, state: State, look: Look, odds: Odds) -> None:
        """Notices less, the longer the watch; hands-on work in between has helped."""
        level = state["level"]
        if look.watching:
            level *= np.exp(look.watched * (-1.0 / (self.tau_minutes * _SECONDS_PER_MINUTE)))
        level += look.rest * (1.0 / (self.recovery_minutes * _SECONDS_PER_MINUTE))
        np.minimum(level, 1.0, out=level)
        lost = self.loss * (1.0 - level)
        if self.decrement == "sensitivity":
            odds.desensitise(lost)
        else:
            odds.shift(lost)

    def settle(self, state: State, look: Look, answer: Answer) -> None:
        """A review is hands-on work."""
        if not look.watching:
            worked = answer.seconds * (1.0 / (self.recovery_minutes * _SECONDS_PER_MINUTE))
            level = state["level"]
            level += look.asked * worked
            np.minimum(level, 1.0, out=level)


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
        within("k0", self.k0, _TINY)

    @property
    def off(self) -> bool:
        """Whether it changes nothing."""
        return not self.a_max

    def start(self, num_people: int) -> State:
        """Nothing has passed unchallenged yet."""
        return {"run": np.zeros(num_people)}

    def __call__(self, state: State, look: Look, odds: Odds) -> None:
        """Approves more, whatever is proposed."""
        odds.copy_proposal(-self.a_max * np.expm1(state["run"] * (-1.0 / self.k0)))

    def settle(self, state: State, look: Look, answer: Answer) -> None:
        """One more went through, or the run ends."""
        run = state["run"]
        run += look.asked
        run *= ~(look.asked & answer.refused)


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
        within("tau_hours", self.tau_hours, _TINY)
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
        skill = state["skill"]
        idle = look.rest + look.watched if look.watching else look.rest
        skill *= np.exp(idle * (-1.0 / (self.tau_hours * 60.0 * _SECONDS_PER_MINUTE)))
        odds.toward(self.worst_error, 1.0 - skill)

    def settle(self, state: State, look: Look, answer: Answer) -> None:
        """A review is practice; watching is not."""
        if not look.watching:
            state["skill"] += look.asked * self.practice * (1.0 - state["skill"])


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
        for shift in (self.actions or {}).values():
            within("a bias", shift, -_LARGEST_SHIFT, _LARGEST_SHIFT)
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
            odds.shift(_by_action(names, tuple(self.actions.items())).take(look.action))
        if self.group is not None:
            odds.shift(np.asarray(self.group(look), dtype=np.float64))

    def settle(self, state: State, look: Look, answer: Answer) -> None:
        """Prejudice does not learn."""


@lru_cache(maxsize=16)
def _by_action(names: tuple[str, ...], shifts: tuple[tuple[Any, float], ...]) -> FloatArray:
    table = np.zeros(len(names))
    for action, shift in shifts:
        table[action_number(names, action)] = shift
    return table
