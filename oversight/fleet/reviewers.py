"""Who answers in a fleet: c reviewers, each of whom may have a state of their own."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from looplab.envs.errors import probability
from looplab.oversight.fleet.durations import Duration


class Question(NamedTuple):
    """What a reviewer is asked about.

    Attributes:
        unsafe: whether the proposal is unsafe: the truth, which no reviewer need see.
        risk: what the agent could know of its risk, which ranks it where the riskiest come first.
        action: what was proposed.
        episode: index of the agent's episode.
    """

    unsafe: bool
    risk: float = 0.0
    action: Any = None
    episode: int = 0


class Reviewers(Protocol):
    """The people of one run.

    They may have ``mean_seconds``, the expected time of a review; a queue that would never settle
    is then refused before it runs.
    """

    def answer(
        self, reviewer: int, question: Question, now: float, rng: np.random.Generator
    ) -> tuple[bool, float]:
        """Whether the proposal is refused, and the seconds that the review takes.

        Called when the reviewer takes the request up, in the order of time.

        Args:
            reviewer: index, from 0; whatever is remembered is remembered of this person.
            question: the proposal.
            now: seconds since the run began.
            rng: the reviewer's own generator.
        """


@dataclass(frozen=True)
class FlatReviewers:
    """Refuse what is unsafe, with the same error rates for everybody and at any time.

    Attributes:
        service: how long a review takes.
        miss_rate: chance that an unsafe proposal is approved, in [0, 1].
        false_alarm_rate: chance that a safe one is refused, in [0, 1].
    """

    service: Duration
    miss_rate: float = 0.0
    false_alarm_rate: float = 0.0

    def __post_init__(self) -> None:
        """Checks the rates."""
        probability("miss_rate", self.miss_rate)
        probability("false_alarm_rate", self.false_alarm_rate)

    @property
    def mean_seconds(self) -> float:
        """Expected time of a review."""
        return self.service.mean_seconds

    def answer(
        self, reviewer: int, question: Question, now: float, rng: np.random.Generator
    ) -> tuple[bool, float]:
        """One draw decides whether the reviewer errs, and the next how long it takes."""
        errs = rng.random() < (self.miss_rate if question.unsafe else self.false_alarm_rate)
        return question.unsafe != errs, float(self.service.draws(rng, 1)[0])
