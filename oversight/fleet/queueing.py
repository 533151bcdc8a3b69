"""N agents before a desk in virtual time, event by event (SimPy)."""

import math
from collections.abc import Callable, Iterator
from itertools import repeat

import numpy as np
from simpy import Environment, Event
from simpy.events import Timeout

from looplab.envs.streams import checked_seed
from looplab.oversight.fleet.desk import Desk, Process, Request
from looplab.oversight.fleet.durations import stream
from looplab.oversight.fleet.outcome import Outcome
from looplab.oversight.fleet.reviewers import Question, Reviewers
from looplab.oversight.fleet.settings import Fleet, Period
from looplab.oversight.fleet.work import PROPOSED, REFUSED, WITHHELD, Requests, Work

#: Whose random streams.
_AGENT, _REVIEWER = range(2)


def simulate(
    fleet: Fleet, reviewers: Reviewers, period: Period, work: Work | None = None, seed: int = 0
) -> Outcome:
    """Runs a fleet and returns all of its requests.

    What agent i draws of thinking, patience and urgency, and reviewer k of errors and times, comes
    from streams of their own, keyed by the seed: they stay the same when others join. Agents begin
    somewhere within their first thought, so that equal thoughts do not make them march in step.
    When the agents stop, the reviewers still answer what is left, so that no wait is cut short.

    Args:
        fleet: agents, reviewers and rules.
        reviewers: who answers; what they remember must be fresh.
        period: how long to run, and from when on to count.
        work: what the agents do, begun afresh; None: every proposal is a safe request, and nothing
            else happens.
        seed: of all streams, at least 0.

    Raises:
        UsageError: if the queue would never settle (see ``Fleet.check_load``), or a reviewer
            answers in no possible time.
    """
    checked_seed(seed)
    work = Requests() if work is None else work
    fleet.check_load(float(getattr(reviewers, "mean_seconds", 0.0)), work.least_asked)
    clock = Environment()
    people = [_generator(seed, _REVIEWER, reviewer) for reviewer in range(fleet.reviewers)]
    desk = Desk(clock, fleet, reviewers, people)
    agents = [
        _Agent(agent, clock, fleet, period, work, desk, _generator(seed, _AGENT, agent))
        for agent in range(fleet.agents)
    ]
    clock.run()
    requests = {name: np.array(values) for name, values in desk.log.items()}
    steps = sum(agent.steps for agent in agents)
    outcome = Outcome(fleet, period, requests, steps, work.finish())
    if work.least_asked < 1.0 and len(outcome.waits):
        fleet.check_load(outcome.service_seconds, len(outcome.waits) / steps)
    return outcome


def _generator(seed: int, whose: int, index: int) -> np.random.Generator:
    """A generator that does not depend on how many others there are."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(whose, index)))


class _Agent:
    """One agent: thinks, proposes, and waits for the verdict or goes on."""

    def __init__(
        self, index: int, clock: Environment, fleet: Fleet, period: Period, work: Work, desk: Desk,
        rng: np.random.Generator,
    ) -> None:  # fmt: skip
        #: Steps in the counted time.
        self.steps = 0
        self._index, self._clock, self._work, self._desk = index, clock, work, desk
        self._begins, self._ends = period.warmup_seconds, period.horizon_seconds
        self._urgent_share = fleet.urgent_share if fleet.priority == "class" else 0.0
        thinking, waiting, self._chance = rng.spawn(3)
        self._patience: Iterator[float] = (
            repeat(math.inf) if fleet.patience is None else stream(fleet.patience, waiting)
        )
        self._thoughts = stream(fleet.think, thinking)
        clock.process(self._blocked() if fleet.blocking else self._going_on())

    def _blocked(self) -> Process:
        """Waits for the verdict on every proposal that is asked about."""
        clock = self._clock
        yield self._first_thought()
        while clock.now < self._ends:
            question = self._work.propose(self._index)
            approved = True
            if question is not None:
                verdict = Event(clock)
                self._ask(question, verdict.succeed)
                approved = yield verdict
            self._execute(PROPOSED if approved else REFUSED)
            yield Timeout(clock, next(self._thoughts))

    def _going_on(self) -> Process:
        """Never waits: the fallback runs where somebody is asked."""
        clock = self._clock
        yield self._first_thought()
        while clock.now < self._ends:
            question = self._work.propose(self._index)
            if question is not None:
                self._ask(question, self._told_late(question))
            self._execute(PROPOSED if question is None else WITHHELD)
            yield Timeout(clock, next(self._thoughts))

    def _first_thought(self) -> Timeout:
        return Timeout(self._clock, self._chance.random() * next(self._thoughts))

    def _ask(self, question: Question, then: Callable[[bool], object]) -> None:
        urgent = self._urgent_share > 0.0 and self._chance.random() < self._urgent_share
        now, patience = self._clock.now, next(self._patience)
        self._desk.ask(Request(self._index, question, now, urgent, patience, then))

    def _told_late(self, question: Question) -> Callable[[bool], None]:
        def told(approved: bool) -> None:
            if approved:
                self._work.approve_late(self._index, question)

        return told

    def _execute(self, what: int) -> None:
        if self._begins <= self._clock.now < self._ends:
            self.steps += 1
            self._work.execute(self._index, what, True)
        else:
            self._work.execute(self._index, what, False)
