"""A simulated human around any overseer: who errs, takes time, tires, and trusts too much."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from looplab.envs.core import BoolArray, FloatArray, IntArray
from looplab.envs.errors import UsageError, choice, finite
from looplab.oversight.asking import consult
from looplab.oversight.humans.effects import (
    Answer,
    AutomationBias,
    Fatigue,
    Look,
    PriorBias,
    SkillDecay,
    State,
    Vigilance,
)
from looplab.oversight.humans.odds import Accuracy, Odds
from looplab.oversight.humans.tempo import Tempo
from looplab.oversight.overseers.scripted import ScriptedOverseer
from looplab.oversight.proposals import Proposals
from looplab.oversight.types import APPROVE, REJECT, Verdicts

#: Whether an error is drawn anew each time, or once per state and action and remembered for the
#: rest of the episode, or for good.
ERROR_MEMORIES = ("none", "episode", "always")
#: By unsafe (0 or 1) + 2 x erred (0 or 1).
_REASONS = ("looks safe", "looks unsafe", "looks unsafe, in error", "looks safe, in error")
#: Uniform draws of one look: whether it errs, and how long it takes.
_DRAWS = 2
_ERROR, _TIME = range(_DRAWS)


@dataclass(slots=True)
class Mind:
    """What n people carry from one look to the next; arrays of shape (n,).

    Attributes:
        last: clock of the last look in steps; -1 before the first.
        busy: seconds of the last answer.
        effects: state of every effect, in their order.
    """

    last: IntArray
    busy: FloatArray
    effects: list[State]

    def of(self, person: int) -> "Mind":
        """The mind of one person: the same arrays, of which only their place is seen."""
        here = slice(person, person + 1)
        effects = [{name: each[here] for name, each in state.items()} for state in self.effects]
        return Mind(self.last[here], self.busy[here], effects)


class SimulatedHuman:
    """A person who judges as an overseer does, but errs, takes time, tires and trusts too much.

    The overseer within says what is right, as far as anybody could know; the person answers the
    opposite with the odds of a miss or of a false alarm, which begin with the accuracy and are then
    moved by every effect that is switched on. All effects are off by default. Each lane has a
    person of its own, who lives by the engine's clock.

    Args:
        overseer: whose judgement the person has at best; default a ``ScriptedOverseer``.
        accuracy: odds of erring when alert and rested: an ``Accuracy``, or a plain function of a
            ``Look`` that returns (miss rate, false-alarm rate), each a number or (n,).
        review: time of a review, a ``Tempo``; None: what the overseer within takes.
        reaction: time to react when watching; None: as a review.
        fatigue: errors and time rise with work.
        vigilance: noticing falls with watching.
        skill_decay: errors rise where reviews are rare.
        prior_bias: trust by action or group.
        automation_bias: trust after a run without errors.
        effects: further effects, e.g. plain functions of (look, odds) that change ``odds`` in
            place.
        error_memory: ``none``: errors are independent; ``episode``: the same proposal in the same
            state meets the same error for the rest of the episode; ``always``: in all episodes.
        step_seconds: how long a step of the world lasts for the person, above 0.
        name: name in the record.

    Raises:
        UsageError: if an effect needs an accuracy that has errors, and it has none.
    """

    def __init__(
        self,
        overseer: Any = None,
        accuracy: Accuracy | Callable[[Look], tuple[Any, Any]] | None = None,
        review: Tempo | None = None,
        reaction: Tempo | None = None,
        fatigue: Fatigue | None = None,
        vigilance: Vigilance | None = None,
        skill_decay: SkillDecay | None = None,
        prior_bias: PriorBias | None = None,
        automation_bias: AutomationBias | None = None,
        effects: Sequence[Any] = (),
        error_memory: str = "none",
        step_seconds: float = 1.0,
        name: str = "human",
    ) -> None:
        self.overseer = ScriptedOverseer() if overseer is None else overseer
        self.accuracy = Accuracy() if accuracy is None else accuracy
        self.review = review
        self.reaction = reaction
        given = (fatigue, vigilance, skill_decay, prior_bias, automation_bias, *effects)
        self.effects = [
            effect for effect in given if effect is not None and not getattr(effect, "off", False)
        ]
        self.error_memory = choice("error_memory", error_memory, ERROR_MEMORIES)
        self.step_seconds = finite("step_seconds", step_seconds, np.finfo(np.float64).tiny)
        self.name = name
        self._own = isinstance(self.accuracy, Accuracy) and not effects
        for effect in self.effects:
            if not callable(effect):
                raise UsageError(f"an effect must be a function of (look, odds), got {effect!r}")
            self._check_errors(effect)

    def _check_errors(self, effect: Any) -> None:
        if not getattr(effect, "NEEDS_ERRORS", False) or not isinstance(self.accuracy, Accuracy):
            return
        if not all(0.0 < rate < 1.0 for rate in self.accuracy.rates):
            miss, false_alarm = self.accuracy.rates
            raise UsageError(
                f"{type(effect).__name__} moves d' or c, so both chances of an error must lie "
                f"above 0 and below 1; got miss {miss:g}, false alarm {false_alarm:g}"
            )

    @property
    def well_formed(self) -> bool:
        """Whether every number of an answer is LoopLab's own, so that none needs a check."""
        return self._own

    @property
    def parts(self) -> tuple[object, ...]:
        """The overseer within."""
        return (self.overseer,)

    def start(self, num_people: int) -> Mind:
        """Everybody is rested, alert and in practice."""
        return Mind(
            np.full(num_people, -1),
            np.zeros(num_people),
            [effect.start(num_people) if _remembers(effect) else {} for effect in self.effects],
        )

    def __call__(self, proposals: Proposals) -> Verdicts:
        """What each lane's person says of its proposal."""
        asked, watching = proposals.asked, proposals.watching
        inner = consult(self.overseer, proposals, asked, watching)
        mind: Mind = proposals.memory(self)
        gap: FloatArray = np.where(mind.last >= 0, proposals.clock - mind.last, 0.0)
        gap *= self.step_seconds
        rest, watched = gap, np.zeros(len(asked))
        if watching:
            watched = np.minimum(gap, self.step_seconds)
            rest = gap - watched
        elif proposals.running:
            rest = np.maximum(gap - mind.busy, 0.0)
        look = Look(asked, watching, rest * asked, watched * asked, proposals.action, proposals)
        draws = proposals.uniforms(self, "look", _DRAWS)
        if self.error_memory != "none":
            draws[:, _ERROR] = self._remembered(proposals)
        unsafe = inner.code != APPROVE
        answer = self.answer(mind, look, unsafe, draws, inner.seconds)
        np.copyto(mind.last, proposals.clock, where=asked)
        code = np.where(answer.refused, np.where(unsafe, inner.code, REJECT), APPROVE)
        return Verdicts(
            code=code.astype(np.int8),
            seconds=answer.seconds,
            reason=unsafe + 2 * (answer.refused != unsafe),
            reasons=_REASONS,
            overseer=self.name,
            correction=inner.correction,
            corrected=inner.corrected,
        )

    def answer(
        self,
        mind: Mind,
        look: Look,
        unsafe: BoolArray,
        draws: FloatArray,
        seconds: FloatArray | float = 0.0,
    ) -> Answer:
        """What n people say, and what it does to them; also for people who serve a queue.

        Args:
            mind: what they carry; changed in place where they were asked.
            look: what they look at.
            unsafe: what they should refuse, shape (n,).
            draws: uniforms in [0, 1), one for the error and one for the time, shape (n, 2).
            seconds: time of an answer where no tempo is given, shape (n,) or one number.
        """
        tempo = self.reaction if look.watching and self.reaction is not None else self.review
        if tempo is None:
            times = np.full(len(unsafe), seconds, dtype=np.float64)
        else:
            times = tempo.seconds(draws[:, _TIME])
        if isinstance(self.accuracy, Accuracy):
            odds = self.accuracy.odds(times)
        else:
            odds = Odds(np.empty((2, len(unsafe))), times)
            odds.errors[0], odds.errors[1] = self.accuracy(look)
        for effect, state in zip(self.effects, mind.effects, strict=True):
            if _remembers(effect):
                effect(state, look, odds)
            else:
                effect(look, odds)
        miss, false_alarm = odds.errors
        errs = draws[:, _ERROR] < np.where(unsafe, miss, false_alarm)
        answer = Answer(unsafe ^ errs, unsafe, odds.seconds)
        for effect, state in zip(self.effects, mind.effects, strict=True):
            if _remembers(effect):
                effect.settle(state, look, answer)
        np.copyto(mind.busy, answer.seconds, where=look.asked)
        return answer

    def _remembered(self, proposals: Proposals) -> FloatArray:
        """One draw per lane that depends on state and action alone, shape (n,)."""
        episode = proposals.episode
        if self.error_memory == "always":
            episode = np.zeros_like(episode)
        place = _mark(proposals.observation, 0)
        place += _mark(proposals.action, 1)
        draws = proposals.uniforms(self, "remembered", 1, episode, place.view(np.int64))
        return draws[:, 0]


def _mark(values: Any, salt: int) -> FloatArray:
    """One number per row of values that other rows share only by a freak of chance, (n,)."""
    rows = values.reshape(len(values), -1)
    marks: FloatArray = np.einsum("ij,j->i", rows, _weights(rows.shape[1], salt))
    return marks


@lru_cache(maxsize=16)
def _weights(size: int, salt: int) -> FloatArray:
    return np.random.default_rng([size, salt]).standard_normal(size)


def _remembers(effect: Any) -> bool:
    return hasattr(effect, "start")


def human(
    overseer: Any = None,
    accuracy: Mapping[str, Any] | None = None,
    review: Mapping[str, Any] | None = None,
    reaction: Mapping[str, Any] | None = None,
    fatigue: Mapping[str, Any] | None = None,
    vigilance: Mapping[str, Any] | None = None,
    skill_decay: Mapping[str, Any] | None = None,
    prior_bias: Mapping[str, Any] | None = None,
    automation_bias: Mapping[str, Any] | None = None,
    **settings: Any,
) -> SimulatedHuman:
    """A ``SimulatedHuman`` from numbers alone, as configuration files have them."""
    return SimulatedHuman(
        overseer=overseer,
        accuracy=Accuracy(**accuracy or {}),
        review=None if review is None else Tempo(**review),
        reaction=None if reaction is None else Tempo(**reaction),
        fatigue=Fatigue(**fatigue or {}),
        vigilance=Vigilance(**vigilance or {}),
        skill_decay=SkillDecay(**skill_decay or {}),
        prior_bias=PriorBias(**prior_bias or {}),
        automation_bias=AutomationBias(**automation_bias or {}),
        **settings,
    )
