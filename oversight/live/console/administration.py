"""The administrators' page: people, deadlines, sessions, and the end of the ledger."""

import json

from sqlalchemy import select

from looplab.oversight.live.console.elements import Node, Rows, button, field, section
from looplab.oversight.live.console.people import PeopleCard
from looplab.oversight.live.console.sessions import SessionsCard
from looplab.oversight.live.console.visit import Press, Visit
from looplab.oversight.live.console.words import NONE, moment
from looplab.oversight.live.event import Event
from looplab.oversight.live.messages import SettingsIn
from looplab.oversight.live.tables import EVENTS

_TAIL = 12
_COLUMNS = ("number", "when (UTC)", "what", "session", "who", "body")
_QUIET = frozenset(("shown", "claimed"))
_SETTINGS = {
    "deadlines": "Seconds of each tier, parted by commas; none: all the time",
    "claim_seconds": "Seconds for which a question is kept",
    "lease_seconds": "Seconds for which a trainer may be silent",
    "undo_seconds": "Seconds in which an answer can be undone",
    "speed": "Steps per second at first",
}


class AdminView:
    """All that administrators may do, each as a form of its own.

    Args:
        visit: who looks.
    """

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._fields: dict[str, Node] = {}
        with Node("div", "", "admin", id="main", tabindex="-1"):
            with Node("div", "", "answers wide"):
                visit.status()
            self._people = PeopleCard(visit)
            self._sessions = SessionsCard(visit)
            self._lay_out_settings()
            with section("The ledger's end", "ledger wide"):
                self._ledger = Rows(_COLUMNS, _TAIL, "The latest events, latest first")
        visit.presses["settings"] = self._change

    def _lay_out_settings(self) -> None:
        kept = self._visit.desk.queue.settings.as_dict()
        with section("Deadlines and the like", "wide"), Node("div", "", "form", data_form=""):
            for name, what in _SETTINGS.items():
                self._fields[name] = field(what, name, value=_as_text(kept[name]))
            button("Save", "settings")
            Node("p", "Questions that are open keep their time.", "label")

    # How things stand

    def hear(self, event: Event) -> bool:
        """Takes all news but those that no ledger holds."""
        return event.kind not in _QUIET

    def leave(self) -> None:
        """Nothing is kept by an administrator."""

    async def draw(self) -> None:
        """Shows people, sessions and the latest events."""
        desk = self._visit.desk
        self._visit.badge(0, len(desk.queue.open(self._visit.person)))
        await self._people.draw()
        self._sessions.draw()
        latest = select(EVENTS).order_by(EVENTS.c.number.desc()).limit(_TAIL)
        self._ledger.fill(
            [
                (
                    str(row["number"]), moment(row["at"]), row["kind"], row["session"] or NONE,
                    row["who"] or NONE, row["body"][:160],
                )
                for row in await desk.read(latest)
            ]
        )  # fmt: skip

    async def _change(self, press: Press) -> None:
        given = {name: press.form.get(name, "").strip() for name in _SETTINGS}
        kept = self._visit.desk.queue.settings.as_dict()
        changed = {name: text for name, text in given.items() if text != _as_text(kept[name])}
        body = SettingsIn.model_validate({name: _as_value(name, changed[name]) for name in changed})
        await self._visit.desk.change_settings(body.changes(), by=self._visit.person.id)
        self._visit.say("Saved." if changed else "Nothing was changed.", "good")


def _as_text(value: object) -> str:
    """A setting as people write it."""
    if isinstance(value, list):
        return ", ".join(map(_as_text, value))
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _as_value(name: str, text: str) -> object:
    """What people wrote, as the settings have it; what is no number is left for them to refuse."""
    if name == "deadlines":
        return [_one(part.strip()) for part in text.split(",")]
    return _one(text)


def _one(text: str) -> object:
    if text == "none":
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text
