"""What events say of sessions, requests and people, as rows: the tables are made of nothing else.

Because rows follow from events alone, an audit can make them again and compare.

========================  ==================================================================
``session_opened``        a trainer came: what it runs
``session_resumed``       the same trainer, or another that goes on with its run, is back
``session_ended``         it is over: finished, lost, or stopped
``control``               somebody paused, resumed, slowed, stopped it, or switched its regime
``counted``               what its trainer has counted so far
``asked``                 a request came; again, if its trainer had been given up
``deferred``              its deadline was set anew, because the service had been away
``escalated``             it went to the next tier, by a person or by its deadline
``decided``               a person answered
``overdue``               nobody did: it fails closed
``undone``                the answer was taken back before it was told
``released``              the trainer was told the answer: it stands
``withdrawn``             its trainer is gone
``vetoed, veto_taken``    somebody on the loop stopped what ran; the trainer was told
``person_made``           somebody may come in, and ``person_erased``: under no name any more
``token_made``            with which token, and ``token_revoked``
``settings``              deadlines and the like changed
``login, refused``        somebody came in, or was turned down
``started, stopped``      the service itself
========================  ==================================================================
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table

from looplab.oversight.live.event import Event, canonical
from looplab.oversight.live.tables import PEOPLE, REQUESTS, SESSIONS, SETTINGS, TOKENS

PROJECTED = (SESSIONS, REQUESTS, PEOPLE, TOKENS, SETTINGS)


@dataclass(frozen=True, slots=True)
class Row:
    """One row that an event writes.

    Attributes:
        table: where.
        key: value of the table's primary key.
        values: columns that change; a new row where ``new``.
        new: whether the row is not there yet; one that is there already is written anew.
    """

    table: Table
    key: str
    values: Mapping[str, Any]
    new: bool = False


Rows = tuple[Row, ...]


def rows_of(event: Event) -> Rows:
    """Rows that an event writes, in their order; none for most kinds."""
    write = _WRITERS.get(event.kind)
    return () if write is None else write(event, event.body)


def _session_opened(event: Event, body: Mapping[str, Any]) -> Rows:
    values = {
        "state": "open", "opened_at": event.at, "ended_at": None,
        "about": canonical(body["about"]), "control": canonical(body["control"]), "mixed": False,
        "counts": canonical({}),
    }  # fmt: skip
    return (Row(SESSIONS, event.session, values, new=True),)


def _session_resumed(event: Event, body: Mapping[str, Any]) -> Rows:
    return (Row(SESSIONS, event.session, {"state": "open", "ended_at": None}),)


def _session_ended(event: Event, body: Mapping[str, Any]) -> Rows:
    return (Row(SESSIONS, event.session, {"state": body["reason"], "ended_at": event.at}),)


def _control(event: Event, body: Mapping[str, Any]) -> Rows:
    values = {"control": canonical(body["control"]), "mixed": bool(body["mixed"])}
    return (Row(SESSIONS, event.session, values),)


def _counted(event: Event, body: Mapping[str, Any]) -> Rows:
    return (Row(SESSIONS, event.session, {"counts": canonical(body["counts"])}),)


def _asked(event: Event, body: Mapping[str, Any]) -> Rows:
    values = {
        "session": event.session, "batch": body["batch"], "lane": body["lane"],
        "kind": body["kind"], "state": "open", "tier": body["tier"],
        "priority": body["priority"], "asked_at": event.at, "deadline_at": body["deadline_at"],
        "decided_at": None, "verdict": None, "answer": None, "who": None, "seconds": 0.0,
        "context": body["context"], "unsafe": body["unsafe"], "trial": body["trial"],
        "form": None if body["form"] is None else canonical(body["form"]), "limit": body["limit"],
    }  # fmt: skip
    return (Row(REQUESTS, event.request, values, new=True),)


def _deferred(event: Event, body: Mapping[str, Any]) -> Rows:
    return (Row(REQUESTS, event.request, {"deadline_at": body["deadline_at"]}),)


def _escalated(event: Event, body: Mapping[str, Any]) -> Rows:
    values = {
        "tier": body["tier"], "deadline_at": body["deadline_at"], "seconds": body["seconds"],
    }  # fmt: skip
    return (Row(REQUESTS, event.request, values),)


def _decided(event: Event, body: Mapping[str, Any]) -> Rows:
    answer = body["answer"]
    values = {
        "state": "decided", "decided_at": event.at, "verdict": answer["verdict"],
        "answer": canonical(answer), "who": event.who or None, "seconds": answer["seconds"],
    }  # fmt: skip
    return (Row(REQUESTS, event.request, values),)


def _undone(event: Event, body: Mapping[str, Any]) -> Rows:
    values = {
        "state": "open", "decided_at": None, "verdict": None, "answer": None, "who": None,
        "seconds": body["seconds"], "deadline_at": body["deadline_at"],
    }  # fmt: skip
    return (Row(REQUESTS, event.request, values),)


def _now_in(state: str) -> Callable[[Event, Mapping[str, Any]], Rows]:
    return lambda event, body: (Row(REQUESTS, event.request, {"state": state}),)


def _person_made(event: Event, body: Mapping[str, Any]) -> Rows:
    values = {
        "role": body["role"], "tier": body["tier"], "name": body["name"], "made_at": event.at,
    }  # fmt: skip
    return (Row(PEOPLE, body["person"], values, new=True),)


def _token_made(event: Event, body: Mapping[str, Any]) -> Rows:
    values = {
        "digest": body["digest"], "person": body["person"], "made_at": event.at,
        "expires_at": body["expires_at"], "revoked_at": None,
    }  # fmt: skip
    return (Row(TOKENS, body["token"], values, new=True),)


def _token_revoked(event: Event, body: Mapping[str, Any]) -> Rows:
    return (Row(TOKENS, body["token"], {"revoked_at": event.at}),)


def _settings(event: Event, body: Mapping[str, Any]) -> Rows:
    return tuple(
        Row(SETTINGS, name, {"value": canonical(value)}, new=True)
        for name, value in body["settings"].items()
    )


_WRITERS: dict[str, Callable[[Event, Mapping[str, Any]], Rows]] = {
    "session_opened": _session_opened,
    "session_resumed": _session_resumed,
    "session_ended": _session_ended,
    "control": _control,
    "counted": _counted,
    "asked": _asked,
    "deferred": _deferred,
    "escalated": _escalated,
    "decided": _decided,
    "overdue": _decided,
    "undone": _undone,
    "released": _now_in("released"),
    "withdrawn": _now_in("withdrawn"),
    "person_made": _person_made,
    "token_made": _token_made,
    "token_revoked": _token_revoked,
    "settings": _settings,
}
