"""The analytics page: how reviews go, by session and time, kept up to date as answers come."""

import asyncio
import time
from datetime import UTC, datetime

from nicegui import background_tasks
from sqlalchemy import select

from looplab.oversight.live.analytics.extract import MOST_POINTS, Extract, Selection
from looplab.oversight.live.analytics.summary import Summary, summary_of
from looplab.oversight.live.console.charts import Chart
from looplab.oversight.live.console.elements import Node, Rows, button, choice_of, field, section
from looplab.oversight.live.console.figures import (
    COURSE_HEADS,
    LOAD_HEADS,
    MEANINGS,
    TRUTH_HEADS,
    VERDICT_HEADS,
    course_rows,
    key_figures,
    people_rows,
)
from looplab.oversight.live.console.sheet import Meters
from looplab.oversight.live.console.visit import Press, Visit
from looplab.oversight.live.console.words import moment, refused
from looplab.oversight.live.event import Event
from looplab.oversight.live.refusal import Refused
from looplab.oversight.live.settings import MILLISECONDS
from looplab.oversight.live.tables import PEOPLE, TEXTS
from looplab.oversight.types import VERDICTS

#: What changes figures.
_NEWS = frozenset(
    ("asked", "decided", "overdue", "escalated", "undone", "withdrawn", "vetoed", "counted",
     "session_opened", "session_ended", "person_erased", "person_made")
)  # fmt: skip
#: Figures are read once a second at most, and at most for this share of the time.
_REST_SECONDS, _BUSY = 1.0, 0.25
_MOST_PEOPLE, _MOST_SESSIONS = 12, 200
_ALL = "all"
#: Seconds up to now, by name; the beginning moves on in so many pieces.
_WINDOWS = {
    _ALL: "all, or as given", "900": "last 15 minutes", "3600": "last hour",
    "86400": "last 24 hours", "604800": "last 7 days",
}  # fmt: skip
_PIECES = 60
_OVERDUE = "overdue"
_NOTHING = summary_of(Extract(Selection(), [], [], [], [], [], MILLISECONDS, None, None))


class AnalyticsView:
    """Figures of a selection: cards, charts, and tables with the numbers of the charts.

    They are read beside the page's drawing, which only shows what was read last.

    Args:
        visit: of an administrator.
    """

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._session, self._window = "", _ALL
        self._between: tuple[int | None, int | None] = (None, None)
        self._stale = True
        self._reading: asyncio.Task[None] | None = None
        self._found: Summary | None = None
        self._names: dict[str, str] = {}
        self._drawn: Summary | None = None
        self._offered: set[str] = set()
        self._values: dict[tuple[str, str], Node] = {}
        with Node("div", "", "admin analytics", id="main", tabindex="-1"):
            self._lay_out_choice()
            with Node("div", "", "cards wide"):
                for title, names in key_figures(_NOTHING).items():
                    with section(title, "figures"), Node("dl"):
                        for name in names:
                            Node("dt", name)
                            self._values[title, name] = Node("dd", data_figure=f"{title}: {name}")
            self._lay_out_charts()
            self._lay_out_people()
            with section("What the figures mean", "wide meanings"), Node("dl"):
                for name, meaning in MEANINGS.items():
                    Node("dt", name)
                    Node("dd", meaning)
        visit.presses["show"] = self._show

    def _lay_out_choice(self) -> None:
        with Node("div", "", "answers wide"):
            with Node("div", "", "form", data_form=""):
                self._sessions = choice_of("Session", "session", [("", "all but practice")], "")
                choice_of("Time", "window", list(_WINDOWS.items()), _ALL)
                field("From (UTC)", "since", "datetime-local", step=1)
                field("Until (UTC)", "until", "datetime-local", step=1)
                button("Show", "show")
            self._of = Node("p", "Reading\u2026", "label", id="of")
            self._visit.status()

    def _lay_out_charts(self) -> None:
        table = "the table \u201cOver time\u201d"
        marks = {verdict: verdict for verdict in VERDICTS}
        with section("Answers", "chart-card"):
            self._answers = Chart("Answers", {**marks, _OVERDUE: "overdue"}, table)
        with section("Response time", "chart-card"):
            names = {"p50": "median (p50)", "p95": "95 % take no longer (p95)"}
            self._times = Chart("Seconds from asked to answered", names, table)
        with section("Automation", "chart-card"):
            names = {"automated": "steps on which nobody was asked"}
            self._automation = Chart("Share of the steps", names, table)
        with section("Load", "chart-card"):
            Node("p", "Share of the human time of all", "label")
            self._load = Meters(_MOST_PEOPLE, "load")
        with section("Over time", "wide"), Node("details"):
            Node("summary", "The numbers of the charts, latest first")
            self._course = Rows(COURSE_HEADS, MOST_POINTS, "Over time, latest first")

    def _lay_out_people(self) -> None:
        count = _MOST_PEOPLE + 1
        with section("Reviewers", "wide people"):
            self._more = Node("p", "", "label", id="more")
            self._people = []
            for title, heads in (
                ("What they said", VERDICT_HEADS), ("Load and time", LOAD_HEADS),
                ("Right and wrong", TRUTH_HEADS),
            ):  # fmt: skip
                Node("h3", title)
                self._people.append(Rows(heads, count, title))

    # How things stand

    def hear(self, event: Event) -> bool:
        """Takes what changes figures; they are drawn when they have been read."""
        if event.kind in _NEWS:
            self._stale = True
            self._read_on()
        return False

    def leave(self) -> None:
        """Stops reading while nobody looks."""
        if self._reading is not None:
            self._reading.cancel()
        self._reading, self._stale = None, True

    async def draw(self) -> None:
        """Shows what was read last, and has it read anew where the time has moved on."""
        desk = self._visit.desk
        self._visit.badge(0, len(desk.queue.open(self._visit.person)))
        self._offer()
        found = self._found
        if found is not None and found is not self._drawn:
            self._drawn = found
            self._fill(found)
        shown = None if found is None else Selection(found.session, found.since, found.until)
        self._stale = self._stale or shown != self._selection()
        self._read_on()

    def _offer(self) -> None:
        """Adds sessions that have come; those that are there stay where they are."""
        new = sorted(self._visit.desk.queue.sessions.keys() - self._offered)
        with self._sessions:
            for session in new[: _MOST_SESSIONS - len(self._offered)]:
                self._offered.add(session)
                Node("option", session, value=session)

    def _selection(self) -> Selection:
        if self._window == _ALL:
            return Selection(self._session, *self._between)
        span = int(self._window) * MILLISECONDS
        piece = span // _PIECES
        return Selection(self._session, (self._visit.desk.clock() - span) // piece * piece)

    # Reading

    def _read_on(self) -> None:
        """Begins to read, unless that goes on already or nobody looks."""
        going = self._reading is not None and not self._reading.done()
        if self._stale and self._visit.visible and not going:
            self._reading = background_tasks.create(self._read(), name="analytics")

    async def _read(self) -> None:
        while self._stale:
            self._stale, began = False, time.monotonic()
            try:
                found = await self._visit.desk.analyst.summary(self._selection())
                self._names = await self._named(found)
                self._found = found
            except Refused as error:
                self._visit.say(refused(error, self._visit.person.id), "bad")
            self._visit.wake()
            took = time.monotonic() - began
            await asyncio.sleep(max(_REST_SECONDS, took / _BUSY) - took)

    async def _named(self, found: Summary) -> dict[str, str]:
        """What reviewers are called: by their names, unless those were erased."""
        shown = [one.person for one in found.people[:_MOST_PEOPLE]]
        named = select(PEOPLE.c.id, TEXTS.c.text).join(
            TEXTS, TEXTS.c.id == PEOPLE.c.name, isouter=True
        )
        rows = await self._visit.desk.read(named.where(PEOPLE.c.id.in_(shown)))
        return {row["id"]: f"{row['text'] or '(erased)'} \u00b7 {row['id']}" for row in rows}

    async def _show(self, press: Press) -> None:
        form = press.form
        window = form.get("window", _ALL)
        if window not in _WINDOWS:
            raise Refused("invalid", f"time must be one of {', '.join(_WINDOWS)}, got {window!r}")
        between = (_moment(form.get("since", "")), _moment(form.get("until", "")))
        chosen = Selection(form.get("session", ""), *between)
        if window != _ALL and between != (None, None):
            raise Refused("invalid", f"give times or {_WINDOWS[window]!r}, not both")
        if chosen.session:
            self._visit.desk.queue.session(chosen.session)  # refuses what is not there
        self._session, self._window, self._between = chosen.session, window, between
        self.leave()
        self._visit.say("")
        self._read_on()

    # Filling in

    def _fill(self, found: Summary) -> None:
        what = f"Session {found.session}" if found.session else "All sessions but practice"
        ends = "nothing yet" if found.first is None else (
            f"{moment(found.first)} to {moment(found.last)} UTC"
        )  # fmt: skip
        self._of.put(f"{what}: {ends}", data_event=found.event)
        for title, figures in key_figures(found).items():
            for name, text in figures.items():
                self._values[title, name].put(text)
        self._fill_charts(found)
        for table, rows in zip(
            self._people, people_rows(found, self._names, _MOST_PEOPLE), strict=True
        ):
            table.fill(rows)
        more = len(found.people) - _MOST_PEOPLE
        self._more.put(f"{more} more, with less time, are in the API." if more > 0 else "")

    def _fill_charts(self, found: Summary) -> None:
        points, seconds = found.course.points, found.course.seconds
        layers = {name: [float(p.verdicts[name]) for p in points] for name in VERDICTS}
        self._answers.bars({**layers, _OVERDUE: [float(p.overdue) for p in points]})
        self._answers.title(f"Answers in each {_span(seconds)}, by when they were asked for")
        self._times.lines(
            {"p50": [p.p50 for p in points], "p95": [p.p95 for p in points]}, unit=" s"
        )
        shares = [None if p.automated is None else 100.0 * p.automated for p in points]
        self._automation.lines({"automated": shares}, top=100.0, unit="%")
        for chart in (self._answers, self._times, self._automation):
            chart.times([point.at for point in points], seconds)
        self._course.fill(course_rows(points))
        self._load.fill(
            [
                (self._names.get(one.person, one.person), one.share_of_time, False)
                for one in found.people[:_MOST_PEOPLE]
            ]
        )


def _moment(text: str) -> int | None:
    """A time as browsers write it, in UTC, in milliseconds since 1970; None: nothing is said."""
    if not text:
        return None
    try:
        when = datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise Refused("invalid", f"a time must look like 2030-01-31T12:00, got {text!r}") from None
    return round(when.timestamp() * MILLISECONDS)


def _span(seconds: float) -> str:
    """A length of time in the largest unit that it is whole in."""
    for name, size in (("day", 86_400.0), ("hour", 3600.0), ("minute", 60.0)):
        if seconds >= size and seconds % size == 0.0:
            count = seconds / size
            return name if count == 1.0 else f"{count:g} {name}s"
    return "second" if seconds == 1.0 else f"{seconds:g} seconds"
