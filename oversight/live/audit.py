"""Audit: is the ledger as it was written, and do all tables say what it says?"""

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Connection, Engine, Table, select
from sqlalchemy.exc import SQLAlchemyError

from looplab.envs.errors import UsageError
from looplab.oversight.live.chain import START, Anchor, Head, seal
from looplab.oversight.live.event import Event, canonical
from looplab.oversight.live.projection import PROJECTED, rows_of
from looplab.oversight.live.tables import ABOUT, CONTEXTS, EVENTS, REQUESTS, TEXTS
from looplab.oversight.live.text import digest_of

_CHUNK = 1000
#: What of a text's digest stands in an event's body, beside the text's id.
_TEXTS = (("name", "name_digest"), ("text", "text_digest"))
#: Sheets of an export: the whole ledger, and the reviews with what was shown.
EVENTS_SHEET, REVIEWS_SHEET = "events", "reviews"


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was written.

    Attributes:
        where: event or table, and which row.
        what: how it differs.
    """

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        events: how many there are.
        findings: what is wrong; empty: nothing.
    """

    events: int
    findings: tuple[Finding, ...]


def verify(engine: Engine, key: bytes, anchors: Path) -> Audit:
    """Checks every seal, the anchor, and every row that follows from the events.

    Finds an event that was changed, dropped, added or moved; a ledger whose end was cut off; a
    row of people, tokens, sessions, requests or settings that says other than the events; what
    reviewers were shown, and names and texts, where they were changed or lost without being erased.

    Args:
        engine: of the database.
        key: the audit key.
        anchors: the folder of anchors.

    Raises:
        UsageError: if it is no database of the review service.
    """
    try:
        with engine.connect() as connection:
            name = connection.execute(select(ABOUT.c.value).where(ABOUT.c.name == "name")).scalar()
            if name is None:
                raise UsageError("the database is no review service's: it has no name")
            check = _Check(connection, key, Anchor(anchors / f"{name}.json").read())
            return check.run()
    except SQLAlchemyError as error:
        line = str(getattr(error, "orig", error)).splitlines()[0]
        raise UsageError(f"cannot read the database: {line}") from error


class _Check:
    """One audit, event by event."""

    def __init__(self, connection: Connection, key: bytes, anchored: Head | None) -> None:
        self._connection = connection
        self._key = key
        self._anchored = anchored
        self._findings: list[Finding] = []
        self._rows: dict[str, dict[str, dict[str, Any]]] = {table.name: {} for table in PROJECTED}
        self._texts: dict[str, str] = {}
        self._erased: set[str] = set()
        self._shown: set[str] = set()

    def run(self) -> Audit:
        """All checks, in the order in which their findings are told."""
        events = self._chain()
        for table in PROJECTED:
            self._table(table)
        self._contexts()
        self._texts_kept()
        return Audit(events, tuple(self._findings))

    def _found(self, where: str, what: str) -> None:
        self._findings.append(Finding(where, what))

    def _chain(self) -> int:
        number, last, broken = 0, START, False
        for row in events_of(self._connection):
            where = f"event {row['number']}"
            if row["number"] != number + 1:
                self._found(where, f"event {number + 1} is missing before it")
            number = int(row["number"])
            fields = [row[name] for name in EVENTS.c.keys() if name != "seal"]  # noqa: SIM118
            expected = seal(self._key, last, fields)
            if not hmac.compare_digest(expected, row["seal"]) and not broken:
                self._found(where, "its seal is broken: it, or the one before it, was changed")
                broken = True  # all that follow are sealed on it
            elif broken:
                broken = not hmac.compare_digest(expected, row["seal"])
            last = row["seal"]
            anchored = self._anchored
            if anchored is not None and anchored.number == number and anchored.seal != last:
                self._found(where, "the anchor names another seal")
            self._follow(row, where)
        if self._anchored is None and number:
            self._found("anchor", "there is none, so that a cut-off end cannot be told")
        elif self._anchored is not None and self._anchored.number > number:
            self._found(
                "ledger", f"it ends with event {number}, its anchor names {self._anchored.number}"
            )
        return number

    def _follow(self, row: Mapping[str, Any], where: str) -> None:
        """Makes the rows that follow from an event, and notes what it refers to."""
        try:
            body = json.loads(row["body"])
            event = Event(row["at"], row["kind"], body, row["session"], row["request"], row["who"])
            for made in rows_of(event):
                rows = self._rows[made.table.name]
                rows[made.key] = {**({} if made.new else rows.get(made.key, {})), **made.values}
        except (ValueError, KeyError, TypeError):
            self._found(where, "it cannot be read")
            return
        for place in (body, body.get("answer") or {}, body.get("said") or {}):
            for name, digest in _TEXTS:
                if place.get(digest):
                    self._texts[place[name]] = place[digest]
        if event.kind == "person_erased":
            self._erased.update(body["texts"])
        if event.kind in ("asked", "vetoed"):
            self._shown.add(body["context"])

    def _table(self, table: Table) -> None:
        (key,) = table.primary_key.columns
        expected = self._rows[table.name]
        seen = set()
        for row in self._connection.execute(select(table)).mappings():
            name = row[key.name]
            seen.add(name)
            where = f"{table.name} {name}"
            if name not in expected:
                self._found(where, "no event says so")
                continue
            for column, value in expected[name].items():
                if row[column] != value:
                    self._found(where, f"{column} is {row[column]!r}, the events say {value!r}")
        for name in expected.keys() - seen:
            self._found(f"{table.name} {name}", "it is missing")

    def _contexts(self) -> None:
        missing = set(self._shown)
        for row in self._connection.execute(select(CONTEXTS)).mappings():
            missing.discard(row["digest"])
            content = row["shown"].encode() + b"\0" + (row["picture"] or b"")
            if hashlib.sha256(content).hexdigest() != row["digest"]:
                self._found(f"contexts {row['digest']}", "what was shown was changed")
        for digest in sorted(missing):
            self._found(f"contexts {digest}", "what was shown is missing")

    def _texts_kept(self) -> None:
        missing = self._texts.keys() - self._erased
        for row in self._connection.execute(select(TEXTS)).mappings():
            missing.discard(row["id"])
            expected = self._texts.get(row["id"])
            if expected is None:
                self._found(f"texts {row['id']}", "no event says so")
            elif row["id"] in self._erased:
                self._found(f"texts {row['id']}", "it was erased, and is there")
            elif expected != digest_of(self._key, row["salt"], row["text"]):
                self._found(f"texts {row['id']}", "it was changed")
        for name in sorted(missing):
            self._found(f"texts {name}", "it is missing, and was not erased")


def events_of(connection: Connection, session: str | None = None) -> Iterator[dict[str, Any]]:
    """The ledger in its order, a piece at a time.

    Args:
        connection: to the database.
        session: only what belongs to it; None: all.
    """
    last = 0
    while True:
        wanted = select(EVENTS).where(EVENTS.c.number > last)
        if session is not None:
            wanted = wanted.where(EVENTS.c.session == session)
        rows = connection.execute(wanted.order_by(EVENTS.c.number).limit(_CHUNK)).mappings().all()
        yield from map(dict, rows)
        if len(rows) < _CHUNK:
            return
        last = int(rows[-1]["number"])


def reviews_of(connection: Connection, session: str | None = None) -> Iterator[dict[str, Any]]:
    """Answered requests with what was shown, oldest first: what training and studies want.

    Args:
        connection: to the database.
        session: only those that belong to it; None: all.
    """
    wanted = select(REQUESTS, CONTEXTS.c.shown).join(
        CONTEXTS, CONTEXTS.c.digest == REQUESTS.c.context
    ).where(REQUESTS.c.state.in_(("decided", "released")))  # fmt: skip
    if session is not None:
        wanted = wanted.where(REQUESTS.c.session == session)
    for row in connection.execute(wanted.order_by(REQUESTS.c.asked_at, REQUESTS.c.id)).mappings():
        shown, answer = json.loads(row["shown"]), json.loads(row["answer"])
        yield {
            "session": row["session"], "request": row["id"], "lane": row["lane"],
            "kind": row["kind"], "episode": shown.get("episode"), "step": shown.get("step"),
            "asked_at": row["asked_at"], "decided_at": row["decided_at"],
            "who": row["who"] or "", "seconds": row["seconds"],
            "elapsed": answer.get("elapsed"), "overdue": bool(answer.get("overdue")),
            "verdict": answer["verdict"], "rating": answer.get("rating"),
            "proposed": _text(shown.get("action")), "action": _text(answer.get("action")),
            "tags": answer.get("tags", []), "observation": shown.get("observation"),
            "risks": _text(shown.get("risks")), "probability": shown.get("probability"),
            "unsafe": row["unsafe"], "trial": row["trial"], "values": _text(answer.get("values")),
        }  # fmt: skip


def _text(value: Any) -> str | None:
    return None if value is None else canonical(value)


REVIEWS_SCHEMA = pa.schema(
    [
        ("session", pa.string()), ("request", pa.string()), ("lane", pa.int32()),
        ("kind", pa.string()), ("episode", pa.int64()), ("step", pa.int64()),
        ("asked_at", pa.int64()), ("decided_at", pa.int64()), ("who", pa.string()),
        ("seconds", pa.float64()), ("elapsed", pa.float64()), ("overdue", pa.bool_()),
        ("verdict", pa.string()), ("rating", pa.float64()), ("proposed", pa.string()),
        ("action", pa.string()), ("tags", pa.list_(pa.string())),
        ("observation", pa.list_(pa.float64())), ("risks", pa.string()),
        ("probability", pa.float64()), ("unsafe", pa.bool_()), ("trial", pa.bool_()),
        ("values", pa.string()),
    ]
)  # fmt: skip
EVENTS_SCHEMA = pa.schema(
    [
        ("number", pa.int64()), ("at", pa.int64()), ("kind", pa.string()),
        ("session", pa.string()), ("request", pa.string()), ("who", pa.string()),
        ("body", pa.string()), ("seal", pa.string()),
    ]
)  # fmt: skip


def export(engine: Engine, folder: Path, session: str | None = None) -> list[Path]:
    """Writes ledger and reviews as Parquet and as JSON lines, whole or not at all.

    Args:
        engine: of the database.
        folder: where the files go; made if it is not there.
        session: only what belongs to it; None: all.

    Returns:
        The files: ``events`` and ``reviews``, each as ``.parquet`` and ``.jsonl``.

    Raises:
        UsageError: if they cannot be written, or there is no such session.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with engine.connect() as connection:
            if session is not None and not next(events_of(connection, session), None):
                raise UsageError(f"the ledger knows no session {session!r}")
            files = []
            for name, schema, rows in (
                (EVENTS_SHEET, EVENTS_SCHEMA, events_of(connection, session)),
                (REVIEWS_SHEET, REVIEWS_SCHEMA, reviews_of(connection, session)),
            ):
                files += _sheet(folder / name, schema, rows)
            return files
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror or error}") from error


def _sheet(base: Path, schema: pa.Schema, rows: Iterator[dict[str, Any]]) -> list[Path]:
    """One table in both forms."""
    parquet, lines = base.with_suffix(".parquet"), base.with_suffix(".jsonl")
    hidden = [path.with_name(f".{path.name}.tmp") for path in (parquet, lines)]
    with pq.ParquetWriter(hidden[0], schema) as writer, hidden[1].open("w") as text:
        while True:
            piece = [row for row, _ in zip(rows, range(_CHUNK), strict=False)]
            if not piece:
                break
            writer.write_table(pa.Table.from_pylist(piece, schema=schema))
            text.writelines(canonical(row) + "\n" for row in piece)
    for written, path in zip(hidden, (parquet, lines), strict=True):
        written.replace(path)
    return [parquet, lines]
