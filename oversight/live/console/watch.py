"""The on-the-loop view: what runs next, as it comes, and the keys that stop it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from looplab.oversight.live.console.elements import BLANK, Node, button, section
from looplab.oversight.live.console.sheet import History, Picture, Sheet
from looplab.oversight.live.console.verdicts import Chooser
from looplab.oversight.live.console.visit import Press, Visit, typed
from looplab.oversight.live.console.words import NONE, Reading, named, reading
from looplab.oversight.live.event import Event
from looplab.oversight.live.refusal import Refused
from looplab.oversight.live.roles import ADMIN
from looplab.oversight.live.session import RUNNING, Frame, Session

_NEWS = frozenset(
    ("shown", "control", "vetoed", "veto_taken", "session_opened", "session_resumed",
     "session_ended", "asked", "released", "withdrawn", "overdue", "decided")
)  # fmt: skip
_NOTHING = Reading("", NONE, None, (), "", "Nothing runs that could be watched.", "", (), (), "")
#: How much faster or slower one press makes it; the desk's own bounds hold.
_FACTOR = 1.5
_SLOWEST, _FASTEST = 0.1, 100.0
_ALL = "all"


class WatchView:
    """The step that runs next in one session, and what may be done about it.

    Args:
        visit: who looks.
    """

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._session = ""
        self._lane = _ALL
        self._clock = -1
        self._options: Sequence[str] = ()
        self._lay_out()
        visit.presses |= {
            "veto": self._veto, "modify": self._veto, "terminate": self._veto,
            "slower": self._speed, "faster": self._speed, "stop": self._stop, "pause": self._pause,
        }  # fmt: skip
        visit.presses["lane"] = self._next_lane
        visit.presses["session"] = self._next_session

    def _lay_out(self) -> None:
        acts, rules = self._visit.acts, self._visit.person.role == ADMIN
        with Node("div", "", "review watch", id="main", tabindex="-1"):
            with section("What runs next", "question") as self._sheet:
                with Node("div", "", "head"):
                    self._state = Node("p", "", "state", id="state", aria_live="polite")
                    button("Session", "session", "n", "n", "small", data_free="")
                    self._lanes = button("Lane: all", "lane", "l", "l", "small", data_free="")
                with Node("div", "", "look"):
                    self._picture = Picture()
                    with Node("div", "", "facts"):
                        self._facts = Sheet()
            with Node("div", "", "side"):
                with section("All lanes", "lanes"):
                    self._list = [Node("p", BLANK, "lane") for _ in range(4)]
                self._history = History()
            self._chooser: Chooser | None = None
            with Node("div", "", "answers", id="answers"):
                self._visit.status()
                if acts:
                    self._chooser = Chooser("modify")
                    with Node("div", "", "buttons"):
                        button("VETO", "veto", "Space", "space", "verdict reject veto")
                        button(
                            "Modify", "choose", "m", "m", "verdict modify", data_local="choose",
                            aria_expanded="false",
                        )  # fmt: skip
                        button("Terminate", "terminate", "t", "t", "verdict terminate")
                    with Node("div", "", "more"):
                        button("Slower", "slower", "-", "-", "small")
                        self._rate = Node("span", "", "rate", id="rate")
                        button("Faster", "faster", "+ =", "+", "small")
                        if rules:
                            self._pausing = button("Pause", "pause", "p", "p", "small")
                        button(
                            "Kill switch", "stop", "Shift+k", "shift K", "small kill",
                            data_twice="Press again: it ends the run for good",
                        )  # fmt: skip

    # How things stand

    def hear(self, event: Event) -> bool:
        """Takes news of sessions and of what runs; a moving picture leaves little else to draw."""
        own = event.session in ("", self._session) or event.kind.startswith("session_")
        return event.kind in _NEWS and (own or not self._session)

    def leave(self) -> None:
        """Nothing is kept by whoever watches."""

    def _found(self) -> Session | None:
        """The session that is watched: the chosen one, else one that shows something."""
        sessions = self._visit.desk.queue.sessions
        chosen = sessions.get(self._session)
        if chosen is not None and (chosen.state == RUNNING or not self._running()):
            return chosen
        running = self._running()
        return running[0] if running else chosen

    def _running(self) -> list[Session]:
        """Live runs, those that show something first."""
        found = [one for one in self._visit.desk.queue.sessions.values() if one.state == RUNNING]
        return sorted(found, key=lambda one: (one.frame is None, one.id))

    async def draw(self) -> None:
        """Shows the step that runs next."""
        desk = self._visit.desk
        reviews = desk.queue.open(self._visit.person)
        self._visit.badge(0, len(reviews))
        session = self._found()
        if session is None or session.id != self._session:
            self._session, self._lane, self._clock = "" if session is None else session.id, _ALL, -1
        self._tell(session)
        frame = None if session is None else session.frame
        if session is None or frame is None:
            self._clock = -1
            self._facts.idle(_NOTHING.why)
            self._sheet.put(data_request=None, data_idle="yes")
            for line in self._list:
                line.put(BLANK)
            return
        if self._chooser is not None:
            self._chooser.fit(session.about.actions)
        if frame.clock != self._clock:
            self._clock = frame.clock
            self._show(session, frame)

    def _tell(self, session: Session | None) -> None:
        """Says how the session goes."""
        if session is None:
            self._state.put("No session runs.", data_state="none")
            return
        control = session.control
        state = (
            session.state if session.state != RUNNING else "paused" if control.paused else "runs"
        )
        sign = {"runs": "▶", "paused": "⏸", "stopped": "⏹"}.get(state, "■")
        regime = control.regime or session.about.regime
        self._state.put(f"{sign} {session.id} {state} · {regime}", data_state=state)
        if self._visit.acts:
            self._rate.put(f"{control.speed:.3g} steps/s")
            if self._visit.person.role == ADMIN:
                self._pausing.default_slot.children[0].put(  # type: ignore[attr-defined]
                    "Resume" if control.paused else "Pause"
                )

    def _show(self, session: Session, frame: Frame) -> None:
        values = lanes_of(frame)
        self._options = [_ALL, *(str(one["lane"]) for one in values)]
        if self._lane not in self._options:
            self._lane = _ALL
        read = [reading(one, session.about.actions) for one in values]
        at = 0 if self._lane == _ALL else self._options.index(self._lane) - 1
        chosen = read[at] if read else _NOTHING
        self._facts.show(chosen)
        self._history.show(chosen)
        lane = "all" if self._lane == _ALL else self._lane
        self._lanes.put(hidden=session.about.lanes < 2)
        self._lanes.default_slot.children[0].put(f"Lane: {lane}")  # type: ignore[attr-defined]
        for place, line in enumerate(self._list):
            there = place < len(read)
            line.put(f"lane {values[place]['lane']}: {read[place].proposal}" if there else BLANK)
        address = f"/api/sessions/{session.id}/frame/picture?clock={frame.clock}"
        alt = f"Step {frame.clock}, before it runs; proposed: {chosen.proposal}"
        self._picture.show(address if frame.picture is not None else "", alt)
        self._sheet.put(data_request=session.id, data_idle=None)

    # What people press

    def _watched(self, press: Press) -> str:
        if not press.request:
            raise Refused("invalid", "nothing runs that could be stopped")
        return press.request

    async def _veto(self, press: Press) -> None:
        name = self._watched(press)
        verdict = "reject" if press.what == "veto" else press.what
        lanes = () if self._lane == _ALL else (int(self._lane),)
        actions = self._visit.desk.queue.session(name).about.actions
        action = typed(press.action) if verdict == "modify" else None
        await self._visit.desk.veto(name, verdict, lanes, action, self._visit.person)
        self._visit.call("cleared")
        whom = "all lanes" if self._lane == _ALL else f"lane {self._lane}"
        what = {"reject": "Vetoed", "terminate": "Terminated"}.get(verdict)
        self._visit.say(f"{what or f'Modified to {named(actions, action)}'}: {whom}.", "good")

    async def _speed(self, press: Press) -> None:
        name = self._watched(press)
        factor = _FACTOR if press.what == "faster" else 1.0 / _FACTOR
        speed = self._visit.desk.queue.session(name).control.speed * factor
        speed = float(f"{min(max(speed, _SLOWEST), _FASTEST):.2g}")
        await self._visit.desk.control(name, {"speed": speed}, self._visit.person)
        self._visit.say(f"{speed:g} steps per second.", "good")

    async def _pause(self, press: Press) -> None:
        if self._visit.person.role != ADMIN:
            raise Refused("forbidden", "only an administrator may pause")
        name = self._session
        paused = not self._visit.desk.queue.session(name).control.paused
        await self._visit.desk.control(name, {"paused": paused}, self._visit.person)
        self._visit.say("Paused." if paused else "It goes on.", "good")

    async def _stop(self, press: Press) -> None:
        name = press.request or self._session
        await self._visit.desk.control(name, {"stopped": True}, self._visit.person)
        self._visit.say(f"Stopped for good: {name}.", "good")

    async def _next_lane(self, press: Press) -> None:
        if self._options:
            at = self._options.index(self._lane) if self._lane in self._options else 0
            self._lane = self._options[(at + 1) % len(self._options)]
            self._clock = -1

    async def _next_session(self, press: Press) -> None:
        names = [one.id for one in self._running()]
        if names:
            at = names.index(self._session) if self._session in names else -1
            self._session, self._lane, self._clock = names[(at + 1) % len(names)], _ALL, -1


def lanes_of(frame: Frame) -> list[Mapping[str, Any]]:
    """What a frame tells of its lanes; each has a number."""
    told = json.loads(frame.shown)
    given = told.get("lanes")
    lanes = given if isinstance(given, list) else [told]
    rest = {name: told[name] for name in ("env", "regime") if name in told}
    return [
        {**rest, **one, "lane": one["lane"] if isinstance(one.get("lane"), int) else at}
        for at, one in enumerate(lanes) if isinstance(one, Mapping)
    ]  # fmt: skip
