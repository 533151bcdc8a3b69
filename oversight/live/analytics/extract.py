"""What is read of the ledger: questions and answers of some sessions, asked within some time."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, func, select

from looplab.oversight.live.refusal import Refused
from looplab.oversight.live.review import DECIDED, FORM, RELEASED, REVIEW
from looplab.oversight.live.settings import MILLISECONDS
from looplab.oversight.live.tables import EVENTS, REQUESTS, SESSIONS

#: Points of a course at most, and the seconds that one may span; longer ones double the last.
MOST_POINTS = 30
_WIDTHS = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400,
    172800, 604800,
)  # fmt: skip
#: Rows that are taken at a time: others may work in between.
_CHUNK = 2000
#: Sessions in which people practise; no text of a session's own can hold these characters.
_PRACTICE = '%"practice":true%'


@dataclass(frozen=True, slots=True)
class Selection:
    """What figures are wanted of.

    Attributes:
        session: name of a live run; empty: all of them but those in which people practise.
        since: first moment, in milliseconds since 1970, at which a question was asked; None: any.
        until: moment before which it was asked; None: any.

    Raises:
        Refused: if the time is empty.
    """

    session: str = ""
    since: int | None = None
    until: int | None = None

    def __post_init__(self) -> None:
        """Checks the time."""
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise Refused("invalid", f"since must be before until, got {self.since}, {self.until}")


class Question(NamedTuple):
    """A review or a rating that was asked for; times in milliseconds since 1970."""

    id: str
    kind: str
    state: str
    asked_at: int
    decided_at: int | None
    verdict: str | None
    who: str | None
    seconds: float
    context: str
    unsafe: bool | None
    trial: bool

    @property
    def counts(self) -> bool:
        """Whether it is a review of something real: no rating, and no catch trial."""
        return self.kind == REVIEW and not self.trial

    @property
    def overdue(self) -> bool:
        """Whether nobody answered in time, the last tier neither."""
        return self.state in (DECIDED, RELEASED) and not self.who


class Act(NamedTuple):
    """A question was passed on or an answer taken back; ``seconds`` is all it had taken till then.

    Nobody's name: a deadline passed it on.
    """

    kind: str
    at: int
    who: str
    request: str
    seconds: float


class Veto(NamedTuple):
    """Somebody on the loop stopped what ran."""

    who: str
    seconds: float


class Counted(NamedTuple):
    """What a session had counted of its steps at a moment, by the names in ``counts``."""

    session: str
    at: int
    counts: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Extract:
    """What the ledger holds of a selection.

    Attributes:
        chosen: the selection.
        questions: asked within its time; forms are left out.
        acts: what became of them on their way, in their order.
        vetoes: on the loop, within its time.
        before: what each session had counted before it, and ``counted`` at each point within it.
        width: milliseconds of one point of a course; points begin at its multiples.
        first: moment of the first thing within it, and ``last`` of the last; None: there is none.
    """

    chosen: Selection
    questions: list[Question]
    acts: list[Act]
    vetoes: list[Veto]
    before: list[Counted]
    counted: list[Counted]
    width: int
    first: int | None
    last: int | None


def extract(connection: Connection, chosen: Selection) -> Extract:
    """Reads a selection.

    Raises:
        Refused: if there is no such session.
    """
    if chosen.session:
        known = select(SESSIONS.c.id).where(SESSIONS.c.id == chosen.session)
        if connection.execute(known).first() is None:
            raise Refused("unknown", f"there is no session {chosen.session!r}")
    questions = _questions(connection, chosen)
    now_and_then = EVENTS.c.kind == "counted", *_of(EVENTS.c.session, chosen)
    within = _within(EVENTS.c.at, chosen)
    ends = select(func.min(EVENTS.c.at), func.max(EVENTS.c.at)).where(*now_and_then, *within)
    first, last = connection.execute(ends).one()
    moments = [at for at in (first, last) if at is not None]
    moments += [at for q in questions for at in (q.asked_at, q.decided_at) if at is not None]
    first, last = min(moments, default=None), max(moments, default=None)
    width = width_of(first, last)
    before = () if chosen.since is None else (EVENTS.c.at < chosen.since,)
    return Extract(
        chosen, questions, _acts(connection, chosen), _vetoes(connection, chosen),
        _counted(connection, (*now_and_then, *before)) if before else [],
        _counted(connection, (*now_and_then, *within), EVENTS.c.at // width), width, first, last,
    )  # fmt: skip


def width_of(first: int | None, last: int | None) -> int:
    """Milliseconds of a point, so that there are at most ``MOST_POINTS`` from first to last."""
    if first is None or last is None:
        return _WIDTHS[0] * MILLISECONDS
    width, wider = 0, iter(_WIDTHS)
    while not width or last // width - first // width >= MOST_POINTS:
        width = next(wider, 0) * MILLISECONDS or 2 * width
    return width


def _of(session: ColumnElement[str], chosen: Selection) -> tuple[ColumnElement[bool], ...]:
    if chosen.session:
        return (session == chosen.session,)
    practice = select(SESSIONS.c.id).where(SESSIONS.c.about.like(_PRACTICE))
    return (session.not_in(practice),)


def _within(at: ColumnElement[int], chosen: Selection) -> tuple[ColumnElement[bool], ...]:
    since = () if chosen.since is None else (at >= chosen.since,)
    until = () if chosen.until is None else (at < chosen.until,)
    return (*since, *until)


def _asked(chosen: Selection) -> tuple[ColumnElement[bool], ...]:
    """Which questions are wanted."""
    within = _within(REQUESTS.c.asked_at, chosen)
    return (REQUESTS.c.kind != FORM, *_of(REQUESTS.c.session, chosen), *within)


def _questions(connection: Connection, chosen: Selection) -> list[Question]:
    columns = [REQUESTS.c[name] for name in Question._fields]
    wanted = select(*columns).where(*_asked(chosen))
    return [Question._make(row) for row in _rows(connection, wanted)]


def _acts(connection: Connection, chosen: Selection) -> list[Act]:
    of = EVENTS.c
    wanted = (
        select(of.kind, of.at, of.who, of.request, of.body)
        .join(REQUESTS, REQUESTS.c.id == of.request)
        .where(of.kind.in_(("escalated", "undone")), of.at >= REQUESTS.c.asked_at)
        .where(*_asked(chosen))
        .order_by(of.number)
    )
    return [
        Act(kind, at, who, request, float(json.loads(body)["seconds"]))
        for kind, at, who, request, body in _rows(connection, wanted)
    ]


def _vetoes(connection: Connection, chosen: Selection) -> list[Veto]:
    of = EVENTS.c
    wanted = select(of.who, of.body).where(
        of.kind == "vetoed", *_of(of.session, chosen), *_within(of.at, chosen)
    )
    return [
        Veto(who, float(json.loads(body)["seconds"])) for who, body in _rows(connection, wanted)
    ]


def _counted(
    connection: Connection, which: tuple[ColumnElement[bool], ...], *points: ColumnElement[int]
) -> list[Counted]:
    """The latest counts of each session, at each point."""
    of = EVENTS.c
    latest = select(func.max(of.number)).where(*which).group_by(of.session, *points)
    wanted = select(of.session, of.at, of.body).where(of.number.in_(latest)).order_by(of.number)
    return [
        Counted(session, at, json.loads(body)["counts"])
        for session, at, body in _rows(connection, wanted)
    ]


def _rows(connection: Connection, wanted: Select[Any]) -> list[Any]:
    found: list[Any] = []
    for some in connection.execute(wanted).partitions(_CHUNK):
        found += some
    return found
