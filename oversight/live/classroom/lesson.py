"""A lesson: three lanes of one task on one clock, and everything that a class can change."""

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from looplab.envs.errors import UsageError, choice, unknown, whole
from looplab.oversight.fallbacks import Correction, Hold
from looplab.oversight.humans.odds import Accuracy
from looplab.oversight.humans.simulated import SimulatedHuman
from looplab.oversight.humans.tempo import Tempo
from looplab.oversight.live.classroom.ballot import Ballot
from looplab.oversight.live.classroom.counters import Course
from looplab.oversight.live.classroom.lane import Run
from looplab.oversight.live.classroom.seat import CLASS, SIMULATED, Seat
from looplab.oversight.live.classroom.settings import LessonSettings
from looplab.oversight.live.classroom.stopwatch import Stopwatch
from looplab.oversight.live.classroom.task import Task
from looplab.oversight.protocols.autonomous import Autonomous
from looplab.oversight.protocols.base import OversightProtocol
from looplab.oversight.protocols.gate import Gate
from looplab.oversight.protocols.veto import Veto
from looplab.oversight.triggers.risk import RiskAbove

WITHOUT, IN_THE_LOOP, ON_THE_LOOP = LANES = ("without", "in_the_loop", "on_the_loop")
TITLES = dict(zip(LANES, ("Without oversight", "In the loop", "On the loop"), strict=True))
OVERSEEN, ALONE = PHASES = ("overseen", "alone")
#: Steps of the clock per second that a class can choose.
SPEEDS = (1, 2, 5, 20, 100, 500)
#: At most so many while a person answers, watches, or waits to be asked.
ANSWERING, WATCHING, WAITING = 1, 2, 10
#: 95 % of reviews take at most so many times their median.
_TAIL = 2.0
#: Seeds of the agents' time alone lie so far from those of their training.
_ALONE_SEED = 1_000_000


class Lesson:
    """Three agents learn the same task from the same seed, each under a regime of its own.

    One step of the clock is one second of the world. The lanes without oversight and on the loop
    take a step with each; the one in the loop stands still while a verdict is awaited. Sent home,
    the humans oversee nobody: the agents do what they hold for best in new episodes, and learn
    nothing; what is counted then stands apart.

    Args:
        task: what is learned, and by whom.
        settings: the sliders.
        seed: of everything; the same seed and settings give the same counts, as long as no person
            takes a seat.
        ballot: how the class votes; None: with a random code.
        now: the time in seconds, for people.
    """

    def __init__(
        self,
        task: Task,
        settings: LessonSettings | None = None,
        seed: int = 0,
        ballot: Ballot | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.task = task
        self.settings = LessonSettings() if settings is None else settings
        self.ballot = Ballot() if ballot is None else ballot
        self.speed: int = SPEEDS[2]
        self.playing = False
        self.version = 0
        self._listeners: list[Callable[[], None]] = []
        self._watch = Stopwatch(now)
        self._owed = 0.0
        self._begin(seed)

    def _begin(self, seed: int) -> None:
        self.seed = whole("seed", seed, 0)
        self.phase = OVERSEEN
        self.clock = self.alone_clock = 0
        self.news = ""
        self.marks: list[int] = []
        self._learners = {name: self.task.learner(self.seed) for name in LANES}
        self._human = {name: SimulatedHuman(name="simulated human") for name in LANES[1:]}
        self._trigger = RiskAbove()
        self.seats = {
            name: Seat(human, lambda: self.clock, self._watch, self.ballot)
            for name, human in self._human.items()
        }
        self._veto = Veto(overseer=self.seats[ON_THE_LOOP], fallback=Correction())
        protocols: dict[str, OversightProtocol] = {
            WITHOUT: Autonomous(),
            IN_THE_LOOP: Gate(self._trigger, self.seats[IN_THE_LOOP], Hold()),
            ON_THE_LOOP: self._veto,
        }
        self._apply()
        self.runs = {
            name: Run(
                self.task, self._learners[name], protocols[name], self.seed, True,
                self.seats.get(name),
            )
            for name in LANES
        }  # fmt: skip
        self.course = Course(len(LANES))
        self.alone: dict[str, Run] = {}
        self.alone_course = Course(len(LANES))

    def _apply(self) -> None:
        """Gives the humans what the sliders say; they go by it from their next proposal on."""
        wanted = self.settings
        for human in self._human.values():
            human.accuracy = Accuracy(miss_rate=wanted.error)
            human.review = Tempo(wanted.review_seconds, _TAIL * wanted.review_seconds)
        self._trigger.tau = wanted.threshold
        self._veto.lag = 0 if self.seats[ON_THE_LOOP].by_person else wanted.lag_steps

    def on_change(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Calls ``listener()`` after every change; returns what ends that."""
        self._listeners.append(listener)

        def end() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return end

    def _changed(self, news: str | None = None) -> None:
        if news is not None:
            self.news = news
        self.version += 1
        self._watch.run(self.playing and self.phase == OVERSEEN)
        for listener in tuple(self._listeners):
            listener()

    # What a class can do.

    def play(self) -> None:
        """Lets the clock run, as ``advance`` is told of time."""
        self.playing, self._owed = True, 0.0
        self._changed()

    def pause(self) -> None:
        """Stops the clock."""
        self.playing = False
        self._changed()

    def step(self) -> None:
        """Stops the clock and moves it one step on."""
        self.playing = False
        self._tick()
        self._changed()

    def set_speed(self, speed: int) -> None:
        """Steps of the clock per second, one of ``SPEEDS``."""
        self.speed = choice("speed", speed, SPEEDS)
        self._changed()

    def restart(self, seed: int | None = None) -> None:
        """Begins anew, with agents that know nothing; settings and seats stay.

        Args:
            seed: of everything; None: the same one.
        """
        seed = self.seed if seed is None else whole("seed", seed, 0)
        occupants = {name: seat.occupant for name, seat in self.seats.items()}
        self.playing = False
        self._begin(seed)
        for name, occupant in occupants.items():
            self.seats[name].sit(occupant)
        self._apply()
        self._changed(f"Started anew with seed {self.seed}: the agents know nothing yet.")

    def set(self, name: str, value: float) -> None:
        """Moves a slider; the simulated humans go by it from their next proposal on.

        Raises:
            UsageError: for an unknown name or a value out of range.
        """
        former, self.settings = self.settings, self.settings.changed(name, value)
        if difference := self.settings.difference(former):
            self._apply()
            self.marks.append(self.clock)
            self._changed(f"Changed at {clock(self.clock)}: {difference}, from the next step on.")

    def sit(self, lane: str, occupant: str) -> None:
        """Puts somebody into the seat of an overseen lane.

        Raises:
            UsageError: for an unknown lane or occupant, or a class on the loop.
        """
        if lane not in self.seats:
            raise unknown("overseen lane", lane, self.seats)
        if (lane, occupant) == (ON_THE_LOOP, CLASS):
            raise UsageError("a class votes in the loop; on the loop it would be late")
        self.seats[lane].sit(occupant)
        self._apply()
        words = {SIMULATED: "The simulated human sits", CLASS: "The class sits"}
        who = words.get(occupant, "You sit")
        self._changed(f"{who} {TITLES[lane].lower()} from the next proposal on.")

    def answer(self, approves: bool) -> bool:
        """The visitor's verdict in the loop; whether a question was open."""
        taken = self.phase == OVERSEEN and self.seats[IN_THE_LOOP].answer(approves)
        self._changed()
        return taken

    def veto(self) -> bool:
        """The visitor's veto on the loop; whether the visitor sits there."""
        taken = self.phase == OVERSEEN and self.seats[ON_THE_LOOP].veto()
        self._changed()
        return taken

    def send_home(self) -> None:
        """All oversight ends: the agents act alone, as they have learned so far."""
        if self.phase == ALONE:
            return
        self.phase, self.alone_clock = ALONE, 0
        self.alone = {
            name: Run(
                self.task, self._learners[name], Autonomous(), self.seed + _ALONE_SEED, False
            )
            for name in LANES
        }  # fmt: skip
        self.alone_course = Course(len(LANES))
        self._changed("The humans are home: nobody oversees, nobody learns.")

    def call_back(self) -> None:
        """The humans come back, and the lesson goes on where it was."""
        if self.phase == OVERSEEN:
            return
        self.phase = OVERSEEN
        self._changed("The humans are back: training goes on where it was.")

    # How time passes.

    @property
    def pace(self) -> float:
        """Steps of the clock per second: the speed, or less while a person has a part in it."""
        in_loop, on_loop = self.seats[IN_THE_LOOP], self.seats[ON_THE_LOOP]
        if self.phase == ALONE:
            return self.speed
        if in_loop.by_person and in_loop.waits:
            return ANSWERING
        if on_loop.by_person:
            return min(self.speed, WATCHING)
        return min(self.speed, WAITING) if in_loop.by_person else self.speed

    def advance(self, seconds: float, budget_seconds: float) -> int:
        """Moves the clock on while it plays, but works no longer than it may.

        Args:
            seconds: time that has passed since the last call.
            budget_seconds: time that this call may take; steps that do not fit are dropped.

        Returns:
            Steps of the clock.
        """
        if not self.playing:
            return 0
        self._owed += seconds * self.pace
        end = time.perf_counter() + budget_seconds
        steps = 0
        while self._owed >= 1.0 and time.perf_counter() < end:
            before = self.pace
            self._owed -= 1.0
            self._tick()
            steps += 1
            if self.pace < before:  # a person is asked: the clock does not run ahead
                self._owed = min(self._owed, 0.0)
        self._owed = min(self._owed, 1.0)
        if steps:
            self._changed()
        return steps

    def run(self, steps: int) -> None:
        """Moves the clock some steps on at once."""
        for _ in range(whole("steps", steps, 0)):
            self._tick()
        self._changed()

    def _tick(self) -> None:
        if self.phase == ALONE:
            self.alone_clock += 1
            runs, course, at = self.alone, self.alone_course, self.alone_clock
        else:
            self.clock += 1
            runs, course, at = self.runs, self.course, self.clock
        for run in runs.values():
            run.step()
        course.add(at, [run.counters for run in runs.values()])

    # What a page shows.

    def shown(self) -> dict[str, Any]:
        """The lesson as a page shows it, of plain values."""
        alone = self.phase == ALONE
        runs = self.alone if alone else self.runs
        return {
            "phase": self.phase,
            "playing": self.playing,
            "speed": self.speed,
            "pace": self.pace,
            "clock": self.alone_clock if alone else self.clock,
            "seed": self.seed,
            "news": self.news,
            "settings": asdict(self.settings),
            "lanes": [
                {
                    "name": name,
                    "title": TITLES[name],
                    "occupant": self.seats[name].occupant if name in self.seats else "",
                    **runs[name].shown(),
                }
                for name in LANES
            ],
            "seats": {
                name: {
                    "occupant": seat.occupant,
                    "asked": seat.question is not None,
                    "left": round(seat.left, 1),
                    "vetoed": seat.vetoed,
                    "score": seat.score.shown() if seat.by_person else None,
                    "votes": seat.last_votes,
                }
                for name, seat in self.seats.items()
            },
        }

    def courses(self) -> dict[str, Any]:
        """The charts of the present phase, with the times at which settings changed."""
        alone = self.phase == ALONE
        course = self.alone_course if alone else self.course
        return {**course.shown(), "marks": [] if alone else list(self.marks)}


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds, e.g. 2:05."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
