"""The overseer's seat in one lane: the simulated human sits there, the visitor, or the class."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from looplab.envs.errors import choice
from looplab.oversight.asking import consult
from looplab.oversight.humans.simulated import SimulatedHuman
from looplab.oversight.live.classroom.ballot import Ballot
from looplab.oversight.live.classroom.score import Score
from looplab.oversight.live.classroom.stopwatch import Stopwatch
from looplab.oversight.proposals import Proposals
from looplab.oversight.types import APPROVE, ESCALATE, REJECT, Verdicts

SIMULATED, VISITOR, CLASS = OCCUPANTS = ("simulated", "visitor", "class")
#: Steps of the clock after which nobody has answered, and the gate fails closed.
DEADLINE_SECONDS = 20
_REASONS = ("said so", "the majority says so", "a tie: refused", "nobody answered in time")
_SAID, _MAJORITY, _TIE, _NOBODY = range(len(_REASONS))


class Unanswered(Exception):  # no error: the step is asked for again later
    """Whoever was asked has not answered yet; the same step can be tried again."""


@dataclass
class Question:
    """A proposal that waits for its verdict.

    Attributes:
        inner: what the simulated human says of it.
        unsafe: whether it is.
        asked_at: time of the lesson's clock.
        watch_at: seconds of the stopwatch.
    """

    inner: Verdicts
    unsafe: bool
    asked_at: int
    watch_at: float

    @property
    def simulated(self) -> tuple[bool, float]:
        """Whether the simulated human refuses it, and how many seconds that takes."""
        return bool(self.inner.code[0] != APPROVE), float(np.ravel(self.inner.wait)[0])


class Seat:
    """An overseer of one lane whose answers may come later.

    The simulated human judges every proposal, whoever sits there, so that people can be compared
    with it. Asked by a gate, whoever sits there takes time: until then ``Unanswered`` is raised,
    the engine forgets the step, and it is tried again. On the loop, a person vetoes the proposal
    that is shown, or lets it run.

    Args:
        human: the simulated human.
        clock: time of the lesson in seconds, one for each step of the world.
        watch: runs while the lesson does.
        ballot: how the class votes.
    """

    def __init__(
        self, human: SimulatedHuman, clock: Callable[[], int], watch: Stopwatch, ballot: Ballot
    ) -> None:
        self.human = human
        self.parts = (human,)
        self.occupant = SIMULATED
        self.question: Question | None = None
        self.score = Score()
        self._clock, self._watch, self._ballot = clock, watch, ballot
        self._verdict: bool | None = None
        self._veto_seconds: float | None = None
        self._shown_at = 0.0
        #: Votes on the last question, for and against; None: the class has decided nothing yet.
        self.last_votes: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """Who answers, for the record."""
        return {SIMULATED: self.human.name, VISITOR: "visitor", CLASS: "class"}[self.occupant]

    @property
    def by_person(self) -> bool:
        """Whether a person or the class sits there."""
        return self.occupant != SIMULATED

    def sit(self, occupant: str) -> None:
        """Somebody takes the seat; what they are scored on begins anew.

        Raises:
            UsageError: if it is none of ``OCCUPANTS``.
        """
        self.occupant = choice("occupant", occupant, OCCUPANTS)
        self.score = Score()
        self._verdict = self._veto_seconds = None
        if self.question is not None:
            self.question.watch_at = self._watch.seconds
            self._ballot.open()

    def show(self) -> None:
        """A new proposal is shown: what was said of the last one is over."""
        self._veto_seconds = None
        self._shown_at = self._watch.seconds

    def answer(self, approves: bool) -> bool:
        """The visitor answers the open question; whether there was one to answer."""
        if self.question is None or self.occupant != VISITOR:
            return False
        self._verdict = approves
        return True

    def veto(self) -> bool:
        """The visitor vetoes the proposal that is shown; whether the visitor sits there."""
        if self.occupant != VISITOR:
            return False
        if self._veto_seconds is None:
            self._veto_seconds = self._watch.seconds - self._shown_at
        return True

    @property
    def vetoed(self) -> bool:
        """Whether the proposal that is shown has been vetoed."""
        return self._veto_seconds is not None

    @property
    def left(self) -> float:
        """Seconds of the clock until the open question is answered or overdue; 0: there is none."""
        question = self.question
        if question is None:
            return 0.0
        allowed = DEADLINE_SECONDS if self.by_person else question.simulated[1]
        return max(question.asked_at + allowed - self._clock(), 0.0)

    @property
    def allowed(self) -> float:
        """Seconds that the open question has in all."""
        if self.question is None:
            return 0.0
        return float(DEADLINE_SECONDS) if self.by_person else self.question.simulated[1]

    @property
    def waits(self) -> bool:
        """Whether a question is open that nobody has answered."""
        if self.question is None or self.left <= 0.0:
            return False
        if self.occupant == VISITOR:
            return self._verdict is None
        return self.occupant == SIMULATED or not self._ballot.complete

    def __call__(self, proposals: Proposals) -> Verdicts:
        """The verdict on the lane's proposal.

        Raises:
            Unanswered: if it is not there yet.
        """
        watching = proposals.watching
        if watching:
            return self._watched(consult(self.human, proposals, proposals.asked, True), proposals)
        if self.question is None:
            inner = consult(self.human, proposals, proposals.asked)
            unsafe = bool(proposals.unsafe[0])
            self.question = Question(inner, unsafe, self._clock(), self._watch.seconds)
            self._verdict = None
            self._ballot.open()
        if self.waits:
            raise Unanswered
        question, self.question = self.question, None
        return self._closed(question)

    def _watched(self, inner: Verdicts, proposals: Proposals) -> Verdicts:
        """What is said of a proposal that runs unless somebody objects."""
        if not self.by_person:
            return inner
        refuses = self._veto_seconds is not None
        simulated = bool(inner.code[0] != APPROVE)
        self.score.add(bool(proposals.unsafe[0]), (refuses, self._veto_seconds), (simulated, None))
        seconds = self._veto_seconds or 0.0
        return self._verdicts(REJECT if refuses else APPROVE, _SAID, 0.0, seconds)

    def _closed(self, question: Question) -> Verdicts:
        """The verdict on a question that has been answered, or is overdue."""
        if not self.by_person:
            return question.inner
        seconds = self._watch.seconds - question.watch_at
        if self.occupant == VISITOR:
            overdue = self._verdict is None
            refuses, people, reason = not self._verdict, 1, _NOBODY if overdue else _SAID
        else:
            votes = self.last_votes = self._ballot.votes
            people, overdue = len(self._ballot.present), not any(votes)
            refuses = votes[0] <= votes[1]
            tie = votes[0] == votes[1]
            reason = _NOBODY if overdue else _TIE if tie else _MAJORITY
        if not overdue:
            self.score.add(question.unsafe, (refuses, seconds), question.simulated)
        code = ESCALATE if overdue else REJECT if refuses else APPROVE
        return self._verdicts(code, reason, people * seconds, seconds, overdue)

    def _verdicts(
        self, code: int, reason: int, seconds: float, elapsed: float, overdue: bool = False
    ) -> Verdicts:
        """One lane's verdict."""
        disagreement: Any = None
        if self.occupant == CLASS and self.last_votes is not None and any(self.last_votes):
            disagreement = np.array([min(self.last_votes) / sum(self.last_votes)])
        return Verdicts(
            code=np.array([code], np.int8),
            seconds=seconds,
            reason=np.array([reason]),
            reasons=_REASONS,
            overseer=self.name,
            elapsed=np.array([elapsed]),
            overdue=np.array([overdue]),
            disagreement=disagreement,
        )
