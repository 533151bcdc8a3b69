"""Simulated humans who serve a fleet: they tire, trust and lose practice as each of them works."""

from typing import Any

import numpy as np

from looplab.envs.errors import UsageError
from looplab.oversight.fleet.reviewers import Question
from looplab.oversight.humans.effects import Look
from looplab.oversight.humans.simulated import SimulatedHuman
from looplab.oversight.overseers.scripted import ScriptedOverseer

_ASKED = np.ones(1, np.bool_)


class People:
    """Reviewers who are all such a person, each with a state of their own.

    Time between reviews is rest; a review that a deadline breaks off counts in full. What the
    person needs to see of a case besides the action, e.g. for a bias by group or by the action's
    name, is not there in a queue.

    Args:
        human: what they are like. The question says what is unsafe, so the overseer within must be
            scripted and without errors of its own, and errors are independent of the state.
        reviewers: number of reviewers.

    Raises:
        UsageError: if the human needs more than a queue has.
    """

    def __init__(self, human: SimulatedHuman, reviewers: int) -> None:
        within = human.overseer
        exact = type(within) is ScriptedOverseer and not within.miss_rate + within.false_alarm_rate
        if not exact or human.error_memory != "none":
            raise UsageError(
                "a human who serves a fleet stands around a scripted overseer without errors, and "
                "has error_memory=none"
            )
        self.human = human
        self.review_seconds = within.review_seconds
        everybody = human.start(reviewers)
        self._minds = [everybody.of(reviewer) for reviewer in range(reviewers)]
        self._free_since = [0.0] * reviewers

    @property
    def mean_seconds(self) -> float:
        """Expected time of a review by somebody rested."""
        review = self.human.review
        return self.review_seconds if review is None else review.mean

    def answer(
        self, reviewer: int, question: Question, now: float, rng: np.random.Generator
    ) -> tuple[bool, float]:
        """Whether the reviewer refuses, and how long it takes; two draws each time."""
        rest = np.array([max(now - self._free_since[reviewer], 0.0)])
        action: Any = np.zeros(1) if question.action is None else np.asarray(question.action)[None]
        look = Look(_ASKED, False, rest, np.zeros(1), action)
        unsafe = np.array([question.unsafe])
        answer = self.human.answer(
            self._minds[reviewer], look, unsafe, rng.random((1, 2)), self.review_seconds
        )
        seconds = float(answer.seconds[0])
        self._free_since[reviewer] = now + seconds
        return bool(answer.refused[0]), seconds
