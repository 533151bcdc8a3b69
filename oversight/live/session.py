"""One live run as the service sees it: what it is, how it is controlled, what its watchers did."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from looplab.envs.errors import UsageError, finite, unknown
from looplab.oversight.live.event import Event
from looplab.oversight.live.refusal import Refused
from looplab.oversight.live.review import Actions
from looplab.oversight.live.roles import Person
from looplab.oversight.live.settings import MILLISECONDS

RUNNING, FINISHED, LOST, STOPPED = "open", "finished", "lost", "stopped"
#: Why a session ends: its trainer says so, is silent for too long, or was stopped.
ENDS = (FINISHED, LOST, STOPPED)
#: Verdicts that stop what runs.
VETOES = ("reject", "modify", "terminate")
_FASTEST = 1000.0
#: Counts of a session are written down so often, at most.
_COUNT_MILLISECONDS = 1000


@dataclass(frozen=True)
class Control:
    """What people set of a running session.

    Attributes:
        paused: nothing is executed while it is.
        speed: steps per second where somebody watches, above 0.
        stopped: every lane's episode is ended, and the training with it.
        regime: preset that was switched to; empty: the one that it began with.
    """

    paused: bool = False
    speed: float = 2.0
    stopped: bool = False
    regime: str = ""

    def changed(self, changes: Mapping[str, Any]) -> "Control":
        """This with some of it changed.

        Raises:
            Refused: if there is no such thing to set, or not like that.
        """
        values: dict[str, Any] = self.as_dict()
        for name, value in changes.items():
            if name not in values:
                raise Refused("invalid", str(unknown("control", name, values)))
            values[name] = value
        try:
            finite("speed", values["speed"], 0.01)
        except UsageError as error:
            raise Refused("invalid", str(error)) from None
        if values["speed"] > _FASTEST:
            raise Refused("invalid", f"speed must be at most {_FASTEST:g}, got {values['speed']}")
        if self.stopped and not values["stopped"]:
            raise Refused("ended", "a session that was stopped stays so")
        return Control(**values)

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "paused": self.paused, "speed": self.speed, "stopped": self.stopped,
            "regime": self.regime,
        }  # fmt: skip


@dataclass(frozen=True)
class About:
    """What a session is, as its trainer told.

    Attributes:
        env: name of the task, ``regime`` of the regime and ``algo`` of the algorithm.
        lanes: how many there are.
        actions: what can run in it.
        identity: tells one run from another, whatever it is called.
        regimes: presets that it can be switched to.
        people: pseudonyms of those whom it asks; empty: everybody who may answer.
        practice: whether people are told at once how right they were.
    """

    env: str
    regime: str
    algo: str
    lanes: int
    actions: Actions
    identity: str
    regimes: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    practice: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as ``about_of`` reads them."""
        of = self.actions
        actions = {"n": of.n, "names": list(of.names), "low": list(of.low), "high": list(of.high)}
        return {
            "env": self.env, "regime": self.regime, "algo": self.algo, "lanes": self.lanes,
            "identity": self.identity, "actions": actions, "regimes": list(self.regimes),
            "people": list(self.people), "practice": self.practice,
        }  # fmt: skip


def about_of(values: Mapping[str, Any]) -> About:
    """What ``About.as_dict`` made of it, back."""
    given = values["actions"]
    actions = Actions(given["n"], tuple(given["names"]), tuple(given["low"]), tuple(given["high"]))
    lists = {name: tuple(values[name]) for name in ("regimes", "people")}
    return About(**{**values, **lists, "actions": actions})


@dataclass(frozen=True)
class Frame:
    """What watchers see of one step, before it runs.

    Attributes:
        clock: number of the step.
        at: when it was shown, in milliseconds since 1970.
        context: SHA-256 of what is shown.
        shown: what is shown, as canonical text.
        picture: PNG; None: there is none.
    """

    clock: int
    at: int
    context: str
    shown: str
    picture: bytes | None


@dataclass(frozen=True)
class Veto:
    """Somebody stopped what ran.

    Attributes:
        id: name of it.
        verdict: one of ``VETOES``.
        lanes: which; empty: all.
        action: what to execute instead, where the verdict is ``modify``.
        who: pseudonym.
        seconds: from the picture to the key.
    """

    id: str
    verdict: str
    lanes: tuple[int, ...]
    action: Any
    who: str
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "id": self.id, "verdict": self.verdict, "lanes": list(self.lanes),
            "action": self.action, "who": self.who, "seconds": self.seconds,
        }  # fmt: skip


def veto_of(values: Mapping[str, Any]) -> Veto:
    """What ``Veto.as_dict`` made of it, back."""
    return Veto(**{**values, "lanes": tuple(values["lanes"])})


@dataclass
class Session:
    """A live run.

    Attributes:
        id: its name.
        about: what it is.
        state: ``open``, or why it ended.
        seen_at: when its trainer was last heard of, in milliseconds since 1970.
        control: what people set.
        frame: what watchers see now; None: nothing is watched.
        pending: vetoes that the trainer has not been told yet.
        taken: those that it was told, by the step that they stopped.
        batches: names of the open requests of each batch.
        counts: what its trainer has counted so far; see ``counts``.
        written: what was last written down of them, and ``counted_at`` when, in milliseconds.
    """

    id: str
    about: About
    state: str = RUNNING
    seen_at: int = 0
    control: Control = field(default_factory=Control)
    frame: Frame | None = None
    pending: list[Veto] = field(default_factory=list)
    taken: dict[int, list[Veto]] = field(default_factory=dict)
    batches: dict[str, list[str]] = field(default_factory=dict)
    counts: Mapping[str, float] = field(default_factory=dict)
    written: Mapping[str, float] = field(default_factory=dict)
    counted_at: int = 0

    def count(self, counts: Mapping[str, float], now: int, at_once: bool = False) -> list[Event]:
        """Takes what the trainer has counted; writes it down now and then, or at once."""
        self.counts = dict(counts or self.counts)
        soon = now - self.counted_at < _COUNT_MILLISECONDS and not at_once
        if soon or self.counts == self.written:
            return []
        self.counted_at, self.written = now, self.counts
        return [Event(now, "counted", {"counts": self.counts}, self.id)]

    def asks(self, person: Person) -> bool:
        """Whether it asks somebody."""
        return not self.about.people or person.id in self.about.people

    def check_open(self) -> None:
        """Refuses what comes after the end."""
        if self.state != RUNNING:
            stopped = self.state == STOPPED
            raise Refused("ended", f"session {self.id} is {self.state}", stopped=stopped)

    def veto(self, verdict: str, lanes: tuple[int, ...], action: Any, who: str, now: int) -> Event:
        """Somebody on the loop stops what runs.

        Raises:
            Refused: if nothing runs, or it cannot be stopped like that.
        """
        self.check_open()
        frame = self.frame
        if frame is None:
            raise Refused("invalid", "nothing is running that could be stopped")
        if verdict not in VETOES:
            raise Refused("invalid", f"a veto is one of {', '.join(VETOES)}, got {verdict!r}")
        if any(not 0 <= lane < self.about.lanes for lane in lanes):
            raise Refused(
                "invalid", f"lanes must lie in 0..{self.about.lanes - 1}, got {list(lanes)}"
            )
        if (verdict == "modify") != (action is not None):
            raise Refused("invalid", "modify needs an action, and no other verdict takes one")
        instead = None if action is None else self.about.actions.checked(action)
        seconds = max(now - frame.at, 0) / MILLISECONDS
        veto = Veto(f"v_{secrets.token_hex(6)}", verdict, lanes, instead, who, seconds)
        self.pending.append(veto)
        body = {**veto.as_dict(), "clock": frame.clock, "context": frame.context}
        return Event(now, "vetoed", body, self.id, who=who)

    def take_vetoes(self, clock: int, now: int) -> tuple[list[Veto], list[Event]]:
        """The vetoes on the step that a trainer shows; they are its own from now on."""
        before = self.taken.get(clock, [])
        if not self.pending:
            return before, []
        taken = before + self.pending
        self.pending, self.taken[clock] = [], taken
        body = {"clock": clock, "vetoes": [veto.as_dict() for veto in taken]}
        return taken, [Event(now, "veto_taken", body, self.id)]
