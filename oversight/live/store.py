"""Storage: events, sealed and on disk before anybody is told of them, many in one commit."""

import queue
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    Select,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from looplab.envs.errors import UsageError
from looplab.oversight.live.chain import Anchor, Head, seal
from looplab.oversight.live.database import connect, forget, lock, prepare
from looplab.oversight.live.event import Event, canonical
from looplab.oversight.live.projection import Row, rows_of
from looplab.oversight.live.refusal import Refused
from looplab.oversight.live.tables import CONTEXTS, EVENTS, TEXTS

#: Events that are written in one commit, about.
_GROUP = 4000


@dataclass(slots=True)
class Change:
    """What is written together, or not at all.

    Attributes:
        events: in their order.
        contexts: what reviewers were shown: digest, text, picture.
        texts: free text and names: id, salt, text.
        erased: ids of texts to be forgotten.
    """

    events: Sequence[Event]
    contexts: Sequence[tuple[str, str, bytes | None]] = ()
    texts: Sequence[tuple[str, str, str]] = ()
    erased: Sequence[str] = ()
    done: "Future[None]" = field(default_factory=Future)


class Store:
    """One database, which one service at a time may write.

    A thread of its own writes: it takes all changes that wait, seals their events and commits them
    together; only then are they told to be done. If that fails, nothing of them is there, and the
    store takes no further change: what runs beside it starts anew from what is on disk.

    Args:
        url: of the database, in SQLAlchemy's words: ``sqlite:///file`` or ``postgresql+...``.
        key: the secret that seals events.
        anchors: folder, outside of the database, of the file that names the last event's seal.

    Raises:
        UsageError: if the database cannot be used, another service uses it, or it holds anything
            but a chain of events that ends where the anchor says.
    """

    def __init__(self, url: str, key: bytes, anchors: Path) -> None:
        self.engine = connect(url)
        self._key = key
        try:
            self._lock = lock(self.engine)
        except BaseException:
            self.engine.dispose()
            raise
        self._changes: queue.SimpleQueue[Change | None] = queue.SimpleQueue()
        self.failure: Exception | None = None
        try:
            self.name = prepare(self.engine)
            self.anchor = Anchor(anchors / f"{self.name}.json")
            self.head = self._resume()
        except BaseException:
            self._unlock()
            self.engine.dispose()
            raise
        self._thread = threading.Thread(target=self._write, name="store", daemon=True)
        self._thread.start()

    def append(self, change: Change) -> "Future[None]":
        """Takes a change; the future is done when it is on disk, and fails with ``Refused``."""
        if self.failure is not None:
            change.done.set_exception(_unavailable())
        else:
            self._changes.put(change)
        return change.done

    def read(self, statement: Select[Any]) -> list[Mapping[str, Any]]:
        """Rows of a statement."""
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(statement).mappings()]

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection for which the database stands still, whatever is written meanwhile."""
        with self.engine.connect() as connection:
            if self.engine.dialect.name == "sqlite":  # whose driver begins nothing to read
                connection.exec_driver_sql("BEGIN")
            else:
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    def close(self) -> None:
        """Writes what still waits, and lets go of the database."""
        self._changes.put(None)
        self._thread.join()
        self._unlock()
        self.engine.dispose()

    def _unlock(self) -> None:
        self._lock.close()

    def _resume(self) -> Head:
        """The head of the chain that is there; refuses one that was cut off."""
        with self.engine.connect() as connection:
            last = connection.execute(
                select(EVENTS.c.number, EVENTS.c.seal).order_by(EVENTS.c.number.desc()).limit(1)
            ).first()
            head = Head() if last is None else Head(int(last.number), last.seal)
            anchored = self.anchor.read()
            if anchored is not None and anchored.number:
                there = connection.execute(
                    select(EVENTS.c.seal).where(EVENTS.c.number == anchored.number)
                ).scalar()
                if there != anchored.seal:
                    raise UsageError(
                        f"the ledger does not hold event {anchored.number} as its anchor "
                        f"{self.anchor.path} names it: it was cut off or changed; see "
                        "looplab audit verify"
                    )
        return head

    def _write(self) -> None:
        while True:
            first = self._changes.get()
            group = [] if first is None else [first]
            count = sum(len(change.events) for change in group)
            while group and count < _GROUP and not self._changes.empty():
                more = self._changes.get()
                if more is None:
                    first = None
                    break
                group.append(more)
                count += len(more.events)
            if group:
                self._commit(group)
            if first is None:
                return

    def _commit(self, group: list[Change]) -> None:
        try:
            if self.failure is not None:
                raise self.failure
            head = self.head
            with self.engine.begin() as connection:
                _write_contexts(connection, [c for change in group for c in change.contexts])
                _write_texts(connection, group)
                head = self._write_events(connection, head, (e for c in group for e in c.events))
            if any(change.erased for change in group):
                forget(self.engine)
            self.anchor.write(head)
            self.head = head
        except Exception as error:  # whatever it was, nothing may be told to be done
            self.failure = error
            for change in group:
                change.done.set_exception(_unavailable())
        else:
            for change in group:
                change.done.set_result(None)

    def _write_events(self, connection: Connection, head: Head, events: Iterable[Event]) -> Head:
        number, last = head.number, head.seal
        sealed: list[dict[str, object]] = []
        rows: list[Row] = []
        for happened in events:
            number += 1
            row = (
                number, happened.at, happened.kind, happened.session, happened.request,
                happened.who, canonical(happened.body),
            )  # fmt: skip
            last = seal(self._key, last, row)
            sealed.append(dict(zip(EVENTS.c.keys(), (*row, last), strict=True)))
            rows += rows_of(happened)
        if sealed:
            connection.execute(insert(EVENTS), sealed)
        _write_rows(connection, rows)
        return Head(number, last)


def _write_rows(connection: Connection, rows: Iterable[Row]) -> None:
    """Writes rows: those of one key as one, and those of one shape together."""
    merged: dict[tuple[str, str], Row] = {}
    for row in rows:
        place = (row.table.name, row.key)
        before = merged.get(place)
        if before is not None and not row.new:
            row = Row(row.table, row.key, {**before.values, **row.values}, before.new)
        merged[place] = row
    shapes: dict[tuple[str, tuple[str, ...], bool], list[Row]] = {}
    for row in merged.values():
        shapes.setdefault((row.table.name, tuple(row.values), row.new), []).append(row)
    for alike in shapes.values():
        _write_alike(connection, alike)


def _write_alike(connection: Connection, rows: list[Row]) -> None:
    """Writes rows of one table with the same columns, each of another key."""
    table, new = rows[0].table, rows[0].new
    (key,) = table.primary_key.columns
    there = {row.key for row in rows}
    if new:
        there = set(connection.execute(select(key).where(key.in_(there))).scalars())
    fresh = [{key.name: row.key, **row.values} for row in rows if row.key not in there]
    if fresh:
        connection.execute(insert(table), fresh)
    again = [row for row in rows if row.key in there]
    if again:
        statement = update(table).where(key == bindparam("its_key"))
        statement = statement.values({name: bindparam(f"its_{name}") for name in again[0].values})
        values = [
            {"its_key": row.key, **{f"its_{name}": value for name, value in row.values.items()}}
            for row in again
        ]
        connection.execute(statement, values)


def _write_contexts(connection: Connection, contexts: list[tuple[str, str, bytes | None]]) -> None:
    fresh = {digest: (shown, picture) for digest, shown, picture in contexts}
    if not fresh:
        return
    there = select(CONTEXTS.c.digest).where(CONTEXTS.c.digest.in_(fresh))
    for digest in connection.execute(there).scalars():
        del fresh[digest]
    if fresh:
        rows = [
            {"digest": digest, "shown": shown, "picture": picture}
            for digest, (shown, picture) in fresh.items()
        ]
        connection.execute(insert(CONTEXTS), rows)


def _write_texts(connection: Connection, group: list[Change]) -> None:
    texts = [
        {"id": name, "salt": salt, "text": words}
        for change in group
        for name, salt, words in change.texts
    ]
    if texts:
        connection.execute(insert(TEXTS), texts)
    erased = [name for change in group for name in change.erased]
    if erased:
        connection.execute(delete(TEXTS).where(TEXTS.c.id.in_(erased)))


def _unavailable() -> Refused:
    return Refused("unavailable", "the service cannot write to its database, and stops")
