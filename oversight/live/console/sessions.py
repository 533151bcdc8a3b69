"""Live runs as administrators steer them: pause, speed, stop, and another regime by its name."""

from typing import Any

from looplab.oversight.live.console.elements import Node, button, choice_of, field, section
from looplab.oversight.live.console.visit import Press, Visit
from looplab.oversight.live.messages import ControlIn
from looplab.oversight.live.refusal import Refused
from looplab.oversight.live.session import RUNNING, Session

_MOST = 20


class SessionsCard:
    """Live runs, those that go on first.

    Args:
        visit: of an administrator.
    """

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._drawn: dict[str, tuple[Node, Any]] = {}
        with section("Sessions", "sessions wide"):
            self._none = Node("p", "There is none.", "label")
            self._list = Node("div")
        visit.presses |= {
            "pause": self._set, "resume": self._set, "speed": self._set, "regime": self._set,
            "stop": self._set,
        }  # fmt: skip

    def draw(self) -> None:
        """Shows them; one that is as it was is left alone, for somebody may be typing there."""
        sessions = self._visit.desk.queue.sessions.values()
        found = sorted(sessions, key=lambda one: (one.state != RUNNING, one.id))[:_MOST]
        self._none.put(hidden=bool(found))
        for gone in self._drawn.keys() - {one.id for one in found}:
            self._drawn.pop(gone)[0].delete()
        for session in found:
            shown = (session.state, session.control, session.about)
            place, before = self._drawn.get(session.id, (None, None))
            if place is None:
                with self._list:
                    place = Node("div")
            if before != shown:
                place.clear()
                with place:
                    self._entry(session)
                self._drawn[session.id] = (place, shown)

    def _entry(self, session: Session) -> None:
        control, about = session.control, session.about
        running = session.state == RUNNING
        with Node("div", "", "entry", data_form="", data_session=session.id):
            with Node("div", "", "line"):
                Node("strong", session.id)
                state = "paused" if running and control.paused else session.state
                regime = control.regime or about.regime
                what = f"{state} · {about.env} · {regime} · {about.algo} · {about.lanes} lanes"
                Node("span", what, "label")
            if not running:
                return
            with Node("div", "", "line"):
                press = "resume" if control.paused else "pause"
                button(press.capitalize(), press, "", "", "small", data_value=session.id)
                field(
                    "Steps per second",
                    "speed",
                    "number",
                    f"{control.speed:g}",
                    min=0.01,
                    step="any",
                )
                button("Set", "speed", "", "", "small", data_value=session.id)
                if about.regimes:
                    options = [(name, name) for name in about.regimes]
                    choice_of("Regime", "regime", options, control.regime or about.regime)
                    button("Switch", "regime", "", "", "small", data_value=session.id)
                button(
                    "Stop for good", "stop", "", "", "small kill", data_value=session.id,
                    data_twice="Press again: it ends the run for good",
                )  # fmt: skip

    async def _set(self, press: Press) -> None:
        changes = self._changes(press)
        control = await self._visit.desk.control(press.value, changes, self._visit.person)
        said = {
            "pause": "Paused.", "resume": "It goes on.",
            "speed": f"{control.speed:g} steps per second.",
            "regime": f"Switched to {control.regime}; the run is kept out of comparisons.",
            "stop": "Stopped for good.",
        }  # fmt: skip
        self._visit.say(f"{press.value}: {said[press.what]}", "good")

    def _changes(self, press: Press) -> dict[str, Any]:
        if press.what == "stop":
            return {"stopped": True}
        if press.what in ("pause", "resume"):
            return {"paused": press.what == "pause"}
        given = press.form.get(press.what, "")
        if not given:
            raise Refused("invalid", f"{press.what} is empty")
        return ControlIn.model_validate({press.what: given}).changes()
