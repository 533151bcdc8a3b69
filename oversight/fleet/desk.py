"""The desk: requests that wait, in order, and the reviewers who take them up."""

import math
from array import array
from collections import deque
from collections.abc import Callable, Generator
from heapq import heappop, heappush
from typing import Any, NamedTuple

import numpy as np
from simpy import Environment, Event
from simpy.events import Timeout

from looplab.envs.errors import UsageError
from looplab.oversight.fleet.reviewers import Question, Reviewers
from looplab.oversight.fleet.settings import Fleet

#: How a request ends; a number's name is its place here.
ENDINGS = ("approved", "refused", "overdue", "abandoned")
APPROVED, REFUSED, OVERDUE, ABANDONED = range(len(ENDINGS))
#: What is kept of every request; ``busy`` are the reviewer's seconds.
COLUMNS = ("agent", "asked_at", "wait", "busy", "ending", "urgent")

Process = Generator[Event, Any, None]


class Request(NamedTuple):
    """One proposal at the desk.

    Attributes:
        agent: whose.
        question: what is asked.
        asked_at: seconds since the run began.
        urgent: comes before those that are not, where the desk goes by class.
        patience: seconds that it waits before it is withdrawn.
        then: is told whether the proposal may run.
    """

    agent: int
    question: Question
    asked_at: float
    urgent: bool
    patience: float
    then: Callable[[bool], object]


class Desk:
    """c reviewers behind one queue; who has been idle for longest takes the next request.

    Args:
        clock: virtual time.
        fleet: rules of the queue.
        people: what the reviewers answer.
        generators: one for each reviewer.
    """

    def __init__(
        self,
        clock: Environment,
        fleet: Fleet,
        people: Reviewers,
        generators: list[np.random.Generator],
    ) -> None:
        #: Ended requests, a column each.
        self.log = {name: array("d") for name in COLUMNS}
        self._clock, self._fleet, self._people = clock, fleet, people
        self._deadline = math.inf if fleet.deadline_seconds is None else fleet.deadline_seconds
        self._queue: list[tuple[float, int, Request]] = []
        self._waiting: set[int] = set()
        self._arrived = 0
        self._idle: deque[Event] = deque()
        for reviewer, rng in enumerate(generators):
            clock.process(self._review(reviewer, rng))

    def ask(self, request: Request) -> None:
        """Hands a request to an idle reviewer, or lets it wait."""
        if self._idle:
            self._idle.popleft().succeed(request)
            return
        self._arrived += 1
        place = self._arrived
        self._waiting.add(place)
        heappush(self._queue, (self._rank(request), place, request))
        limit = min(request.patience, self._deadline)
        if limit < math.inf:
            alarm: Any = Timeout(self._clock, limit)
            alarm.callbacks.append(lambda _: self._withdraw(place, request))

    def _rank(self, request: Request) -> float:
        """The lowest rank comes first; among equals, who came first."""
        if self._fleet.priority == "risk":
            return -request.question.risk
        return 0.0 if self._fleet.priority == "fifo" or request.urgent else 1.0

    def _withdraw(self, place: int, request: Request) -> None:
        """Ends a request that has waited for too long, unless somebody has taken it up."""
        if place in self._waiting:
            self._waiting.remove(place)
            ending = OVERDUE if self._deadline <= request.patience else ABANDONED
            self._end(request, self._clock.now - request.asked_at, 0.0, ending)

    def _next(self) -> Request | None:
        """Takes the first of those who still wait out of the queue."""
        while self._queue:
            _, place, request = heappop(self._queue)
            if place in self._waiting:
                self._waiting.remove(place)
                return request
        return None

    def _review(self, reviewer: int, rng: np.random.Generator) -> Process:
        clock = self._clock
        while True:
            request = self._next()
            if request is None:
                called = Event(clock)
                self._idle.append(called)
                request = yield called
            now = clock.now
            refuses, seconds = self._people.answer(reviewer, request.question, now, rng)
            if not 0.0 <= seconds < math.inf:
                raise UsageError(
                    f"a review must take a finite time of at least 0 s, got {seconds!r}"
                )
            left = request.asked_at + self._deadline - now
            busy = min(seconds, left)
            yield Timeout(clock, busy)
            ending = OVERDUE if seconds > left else REFUSED if refuses else APPROVED
            self._end(request, now - request.asked_at, busy, ending)

    def _end(self, request: Request, wait: float, busy: float, ending: int) -> None:
        log = self.log
        log["agent"].append(request.agent)
        log["asked_at"].append(request.asked_at)
        log["wait"].append(wait)
        log["busy"].append(busy)
        log["ending"].append(ending)
        log["urgent"].append(request.urgent)
        runs = ending == APPROVED or (ending != REFUSED and self._fleet.fails_open)
        request.then(runs)
