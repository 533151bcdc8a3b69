"""A simulated human around any overseer: who errs, takes time, tires, and trusts too much."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looplab.envs.compiled import compiled, takes
from looplab.envs.core import BoolArray, FloatArray, IntArray
from looplab.envs.errors import UsageError, choice, finite
from looplab.oversight.asking import consult
from looplab.oversight.humans.automation_bias import AutomationBias
from looplab.oversight.humans.effects import Answer, Look, State
from looplab.oversight.humans.fatigue import Fatigue
from looplab.oversight.humans.odds import Accuracy, Odds
from looplab.oversight.humans.prior_bias import PriorBias
from looplab.oversight.humans.skill_decay import SkillDecay
from looplab.oversight.humans.tempo import Tempo
from looplab.oversight.humans.vigilance import Vigilance
from looplab.oversight.overseers.scripted import ScriptedOverseer
from looplab.oversight.proposals import Proposals
from looplab.oversight.types import APPROVE, REJECT, Verdicts, brief, some

#: Whether an error is drawn anew each time, or once per state and action and remembered for the
#: rest of the episode, or for good.
ERROR_MEMORIES = ("none", "episode", "always")
#: By unsafe (0 or 1) + 2 x erred (0 or 1).
_REASONS = ("looks safe", "looks unsafe", "looks unsafe, in error", "looks safe, in error")
#: Uniform draws of one look: whether it errs, and how long it takes.
_DRAWS = 2
_ERROR, _TIME = range(_DRAWS)
#: Dimensions of what already has one row for each lane.
_ROWS_NDIM = 2


@compiled
def _look(
    clock: int, step: float, watching: bool, running: bool, asked: Any, code: Any, last: Any,
    busy: Any, rest: Any, watched: Any, unsafe: Any,
) -> None:  # fmt: skip
    """What people look at, (n,): what is unsafe, by the codes of the right verdicts.

    Of those who look again, also seconds of rest and of watching since the last look.
    """
    for person in range(len(last)):
        unsafe[person] = code[person] != APPROVE
        rest[person] = watched[person] = 0.0
        if not asked[person]:
            continue
        before, last[person] = last[person], clock
        if before < 0:
            continue
        gap = (clock - before) * step
        if watching:
            watched[person] = min(gap, step)
            rest[person] = gap - watched[person]
        elif running:
            rest[person] = max(gap - busy[person], 0.0)
        else:
            rest[person] = gap


@compiled
def _recall(remembered: Any, draws: Any) -> None:
    """Lets remembered draws, (n, 1), say whether they err, in place of fresh ones, (n, 2)."""
    for person in range(len(draws)):
        draws[person, _ERROR] = remembered[person, 0]


@compiled
def _err(
    draws: Any, errors: Any, unsafe: Any, asked: Any, seconds: Any, refused: Any, busy: Any
) -> None:
    """Whether they refuse, (n,), and how long those who are asked were busy."""
    for person in range(len(unsafe)):
        errs = draws[person, _ERROR] < errors[0 if unsafe[person] else 1, person]
        refused[person] = unsafe[person] != errs
        if asked[person]:
            busy[person] = seconds[person]


@compiled
def _say(unsafe: Any, refused: Any, known: Any, code: Any, reason: Any) -> None:
    """Verdicts and reasons, (n,): who refuses the unsafe says what is ``known`` to be right."""
    for person in range(len(unsafe)):
        code[person] = APPROVE
        if refused[person]:
            code[person] = known[person] if unsafe[person] else REJECT
        reason[person] = unsafe[person] + 2 * (refused[person] != unsafe[person])


@compiled
def _marks(observation: Any, action: Any, of_observation: Any, of_action: Any, marks: Any) -> None:
    """One number per row that other rows share only by a freak of chance, (n,)."""
    for row in range(len(marks)):
        mark = 0.0
        for column in range(observation.shape[1]):
            mark += observation[row, column] * of_observation[column]
        for column in range(action.shape[1]):
            mark += action[row, column] * of_action[column]
        marks[row] = mark


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

    def lent(self, person: int, num_lanes: int) -> "Mind":
        """A copy of one person's mind for every lane, n of them, of which one will be used."""
        return Mind(
            np.repeat(self.last[person], num_lanes),
            np.repeat(self.busy[person], num_lanes),
            [
                {
                    name: np.repeat(each[person : person + 1], num_lanes, 0)
                    for name, each in s.items()
                }
                for s in self.effects
            ],
        )

    def returned(self, person: int, lent: "Mind", lane: int) -> None:
        """Takes over what the use of a lent mind in one lane did to it."""
        self.last[person], self.busy[person] = lent.last[lane], lent.busy[lane]
        for state, used in zip(self.effects, lent.effects, strict=True):
            for name, each in state.items():
                each[person] = used[name][lane]


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
        self._remember = [_remembers(effect) for effect in self.effects]
        by_group = prior_bias is not None and getattr(prior_bias, "group", None) is not None
        self._own = isinstance(self.accuracy, Accuracy) and not effects and not by_group
        self._check_kinds()
        for effect in self.effects:
            if not callable(effect):
                raise UsageError(f"an effect must be a function of (look, odds), got {effect!r}")
            self._check_errors(effect)

    def _check_kinds(self) -> None:
        if not isinstance(self.accuracy, Accuracy) and not callable(self.accuracy):
            raise UsageError(
                f"accuracy must be an Accuracy or a function of a look, got {self.accuracy!r}"
            )
        for name, tempo in (("review", self.review), ("reaction", self.reaction)):
            if tempo is not None and not isinstance(tempo, Tempo):
                raise UsageError(f"{name} must be a Tempo, got {tempo!r}")

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
            np.full(num_people, -1, np.int64),
            np.zeros(num_people),
            [
                effect.start(num_people) if remembers else {}
                for effect, remembers in zip(self.effects, self._remember, strict=True)
            ],
        )

    def __call__(self, proposals: Proposals) -> Verdicts:
        """What each lane's person says of its proposal."""
        asked, watching = proposals.asked, proposals.watching
        inner = consult(self.overseer, proposals, asked, watching)
        mind: Mind = proposals.memory(self)
        rest, watched = np.empty(len(asked)), np.empty(len(asked))
        unsafe = np.empty(len(asked), np.bool_)
        _look(
            proposals.clock, self.step_seconds, watching, proposals.running, asked, inner.code,
            mind.last, mind.busy, rest, watched, unsafe,
        )  # fmt: skip
        look = Look(asked, watching, rest, watched, proposals.action, proposals)
        answer = self.answer(mind, look, unsafe, self.draws(proposals), inner.seconds)
        return self.verdicts(inner, answer)

    def draws(self, proposals: Proposals) -> FloatArray:
        """Uniforms in [0, 1) of each lane, one for the error and one for the time, (n, 2)."""
        draws = proposals.uniforms(self, "look", _DRAWS)
        if self.error_memory != "none":
            _recall(self._remembered(proposals), draws)
        return draws

    def verdicts(self, inner: Verdicts, answer: Answer) -> Verdicts:
        """What is said of every lane's proposal, in the person's name.

        Args:
            inner: what the overseer within says.
            answer: what the person answered.
        """
        code, reason = np.empty(len(inner.code), np.int8), np.empty(len(inner.code), np.int64)
        _say(answer.unsafe, answer.refused, inner.code, code, reason)
        return Verdicts(
            code=code,
            seconds=answer.seconds,
            reason=reason,
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

        Raises:
            UsageError: if a function of one's own makes a chance that is none.
        """
        tempo = self.reaction if look.watching and self.reaction is not None else self.review
        if tempo is None:
            times = np.full(len(unsafe), seconds, dtype=np.float64)
        else:
            times = tempo.seconds(draws[:, _TIME])
        if isinstance(self.accuracy, Accuracy):
            odds = self.accuracy.odds(times)
        else:
            odds = Odds(self._rates(self.accuracy(look), len(unsafe)), times)
        for effect, remembers, state in zip(
            self.effects, self._remember, mind.effects, strict=True
        ):
            if remembers:
                effect(state, look, odds)
            else:
                effect(look, odds)
        if not self._own:
            self._check_chances(odds.errors, look.asked)
        answer = Answer(np.empty(len(unsafe), np.bool_), unsafe, odds.seconds)
        _err(draws, odds.errors, unsafe, look.asked, answer.seconds, answer.refused, mind.busy)
        for effect, remembers, state in zip(
            self.effects, self._remember, mind.effects, strict=True
        ):
            if remembers:
                effect.settle(state, look, answer)
        return answer

    def _rates(self, given: Any, num_people: int) -> FloatArray:
        """Chances of an error, (2, n), from what a plain function of a look returned."""
        errors = np.empty((2, num_people))
        try:
            errors[0], errors[1] = given
        except (TypeError, ValueError):
            raise UsageError(
                f"{self.name}: accuracy must return (miss rate, false-alarm rate), each a number "
                f"or {num_people} of them; got {brief(given)}"
            ) from None
        return errors

    def _check_chances(self, errors: FloatArray, asked: BoolArray) -> None:
        """Refuses NaN, which would never err, and whatever else is no probability."""
        for name, chances in zip(("a miss", "a false alarm"), errors, strict=True):
            wrong = asked & ~((chances >= 0.0) & (chances <= 1.0))
            if some(wrong):
                raise UsageError(
                    f"{self.name}: the chance of {name} must lie in [0, 1], got "
                    f"{chances[wrong.argmax()]:g}"
                )

    def _remembered(self, proposals: Proposals) -> FloatArray:
        """One draw per lane that depends on state and action alone, shape (n, 1)."""
        episode = proposals.episode
        if self.error_memory == "always":
            episode = np.zeros_like(episode)
        observation, action = _rows(proposals.observation), _rows(proposals.action)
        marks = np.empty(len(action))
        _marks(observation, action, *_weights(observation.shape[1], action.shape[1]), marks)
        return proposals.uniforms(self, "remembered", 1, episode, marks.view(np.int64))


def _rows(values: NDArray[Any]) -> NDArray[Any]:
    """The same numbers with one row for each lane, shape (n, ...) -> (n, m)."""
    rows = values if values.ndim == _ROWS_NDIM else values.reshape(len(values), -1)
    return rows if takes(rows.dtype) else rows.astype(np.float64)


@lru_cache(maxsize=16)
def _weights(of_observation: int, of_action: int) -> tuple[FloatArray, FloatArray]:
    """Weights of an observation's numbers and of an action's, each as many as there are."""
    observation, action = (
        np.random.default_rng([size, salt]).standard_normal(size)
        for salt, size in enumerate((of_observation, of_action))
    )
    return observation, action


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
