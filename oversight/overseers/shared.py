"""Few reviewers for many lanes: who is asked while all of them are busy waits."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from looplab.envs.core import BoolArray, FloatArray
from looplab.envs.errors import finite, whole
from looplab.oversight.asking import consult
from looplab.oversight.humans.effects import Answer, Look
from looplab.oversight.humans.simulated import Mind, SimulatedHuman
from looplab.oversight.overseers.scripted import ScriptedOverseer
from looplab.oversight.proposals import Proposals
from looplab.oversight.types import APPROVE, Verdicts


@dataclass(slots=True)
class Desk:
    """What reviewers carry from one step to the next; arrays of shape (reviewers,).

    Attributes:
        free: when each of them is free again in a running world, in seconds.
        mind: the minds of reviewers who are simulated humans with effects; else None.
        ended: when each of them ended the last review, by the wall clock; NaN before the first.
        wall: wall clock at the end of the last step's reviews of a paused world, in seconds.
        clock: steps until then.
    """

    free: FloatArray
    mind: Mind | None
    ended: FloatArray
    wall: float = 0.0
    clock: int = 0


class Shared:
    """Reviewers whom all lanes share, one queue before them, served in random order within a step.

    An approximation: lanes step together, so that requests of one step come at the same time, and
    in a paused world the next step begins when the last of them is answered. Queueing is exact in
    ``looplab.oversight.fleet``. Waiting counts as elapsed time, against deadlines and in steps of a
    running world, not as human time.

    Each reviewer who is a ``SimulatedHuman`` has one mind, which all lanes that it serves tire and
    train, and rests from the end of one review to the beginning of the next. What other overseers
    remember, and what people carry who watch, stays with the lane.

    Args:
        overseer: how each of them answers; default a ``ScriptedOverseer``.
        reviewers: how many there are, at least 1.
        step_seconds: seconds that one step of a running world takes, above 0.
        name: name in the record.
    """

    def __init__(
        self,
        overseer: Any = None,
        reviewers: int = 2,
        step_seconds: float = 1.0,
        name: str = "shared",
    ) -> None:
        self.overseer: Any = ScriptedOverseer() if overseer is None else overseer
        self.reviewers = whole("reviewers", reviewers, 1)
        self.step_seconds = finite("step_seconds", step_seconds, np.finfo(np.float64).tiny)
        self.name = name

    @property
    def parts(self) -> tuple[object, ...]:
        """How each of them answers."""
        return (self.overseer,)

    def start(self, num_lanes: int) -> Desk:
        """Everybody is free, rested and in practice."""
        person = self.overseer
        minded = isinstance(person, SimulatedHuman) and len(person.effects) > 0
        return Desk(
            np.zeros(self.reviewers),
            person.start(self.reviewers) if minded else None,
            np.full(self.reviewers, np.nan),
        )

    def __call__(self, proposals: Proposals) -> Verdicts:
        """Verdicts of all lanes, with the time that each of them waited for a reviewer."""
        desk: Desk = proposals.memory(self)
        order = np.argsort(proposals.uniform(self, "order"))
        lanes = order[proposals.asked[order]].tolist()
        if desk.mind is not None and not proposals.watching:
            return self._by_people(desk, desk.mind, lanes, proposals)
        answer = consult(self.overseer, proposals, proposals.asked, proposals.watching)
        takes = np.broadcast_to(answer.wait, proposals.asked.shape)
        elapsed = self._serve(desk, lanes, proposals, lambda lane, *_: float(takes[lane]))
        return replace(answer, elapsed=np.where(proposals.asked, elapsed, takes))

    def _serve(
        self,
        desk: Desk,
        lanes: list[int],
        proposals: Proposals,
        review: Callable[[int, int, float], float],
    ) -> FloatArray:
        """Seconds until each lane's answer came, shape (n,).

        Args:
            desk: who is free when.
            lanes: lanes that are asked about, in the order in which they are served.
            proposals: what was proposed.
            review: seconds of a review, by lane, reviewer, and when it begins in this step's time.
        """
        now, free = 0.0, np.zeros(self.reviewers)
        if proposals.running:
            now, free = proposals.clock * self.step_seconds, desk.free
        elapsed = np.zeros(len(proposals))
        for lane in lanes:
            reviewer = int(free.argmin())
            begins = max(float(free[reviewer]), now)
            free[reviewer] = begins + review(lane, reviewer, begins)
            elapsed[lane] = free[reviewer] - now
        return elapsed

    def _by_people(
        self, desk: Desk, minds: Mind, lanes: list[int], proposals: Proposals
    ) -> Verdicts:
        """Verdicts of people, one review after another, each with the mind of who gives it."""
        person: SimulatedHuman = self.overseer
        asked: BoolArray = proposals.asked
        inner = consult(person.overseer, proposals, asked)
        draws, unsafe = person.draws(proposals), inner.code != APPROVE
        given = Answer(np.zeros(len(asked), np.bool_), unsafe, np.zeros(len(asked)))
        start = 0.0  # of this step's time, by the wall clock
        if not proposals.running:
            start = desk.wall + (proposals.clock - desk.clock) * person.step_seconds

        def review(lane: int, reviewer: int, begins: float) -> float:
            here, rest = np.zeros(len(asked), np.bool_), np.zeros(len(asked))
            here[lane] = True
            if not np.isnan(desk.ended[reviewer]):
                rest[lane] = max(start + begins - desk.ended[reviewer], 0.0)
            look = Look(here, False, rest, np.zeros(len(asked)), proposals.action, proposals)
            mind = minds.lent(reviewer, len(asked))
            answer = person.answer(mind, look, unsafe, draws, inner.seconds)
            minds.returned(reviewer, mind, lane)
            given.refused[lane], given.seconds[lane] = answer.refused[lane], answer.seconds[lane]
            desk.ended[reviewer] = start + begins + answer.seconds[lane]
            return float(answer.seconds[lane])

        elapsed = self._serve(desk, lanes, proposals, review)
        if not proposals.running:
            desk.wall, desk.clock = start + float(elapsed.max()), proposals.clock
        return replace(person.verdicts(inner, given), elapsed=elapsed)
