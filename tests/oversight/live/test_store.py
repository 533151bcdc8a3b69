"""Storage: sealed, grouped, whole or not at all; one writer at a time."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import select, text

from looplab.envs.errors import UsageError
from looplab.oversight.live.chain import START, Anchor, Head, key_from, seal
from looplab.oversight.live.database import connect
from looplab.oversight.live.event import Event, canonical
from looplab.oversight.live.refusal import Refused
from looplab.oversight.live.store import Change
from looplab.oversight.live.tables import CONTEXTS, EVENTS, REQUESTS
from tests.oversight.live.conftest import Place


def asked(request: str, at: int = 1) -> Event:
    body = {
        "batch": "b", "lane": 0, "kind": "review", "context": "c" * 64, "priority": 0.0,
        "tier": 0, "deadline_at": None, "unsafe": None, "trial": False, "form": None,
        "limit": None,
    }  # fmt: skip
    return Event(at, "asked", body, "s", request)


def decided(request: str, verdict: str = "approve") -> Event:
    answer = {"verdict": verdict, "seconds": 1.0, "elapsed": 1.0}
    return Event(2, "decided", {"answer": answer}, "s", request, "p_ann")


def test_events_are_sealed_in_their_order_and_go_on_after_a_restart(place: Place) -> None:
    store = place.store()
    for number in range(5):
        store.append(Change([asked(f"r{number}")])).result(10)
    store.close()
    store = place.store()
    store.append(Change([decided("r3", "reject")])).result(10)
    rows = store.read(select(EVENTS).order_by(EVENTS.c.number))
    assert [row["number"] for row in rows] == [1, 2, 3, 4, 5, 6]
    last = START
    for row in rows:
        fields = [
            row[name] for name in ("number", "at", "kind", "session", "request", "who", "body")
        ]
        last = seal(place.key, last, fields)
        assert row["seal"] == last
    assert store.anchor.read() == Head(6, last)
    (request,) = store.read(select(REQUESTS).where(REQUESTS.c.id == "r3"))
    assert (request["state"], request["verdict"], request["who"]) == ("decided", "reject", "p_ann")


def test_many_changes_are_one_commit(place: Place) -> None:
    store = place.store()
    futures = [store.append(Change([asked(f"r{n}"), decided(f"r{n}")])) for n in range(500)]
    for future in futures:
        future.result(20)
    assert len(store.read(select(REQUESTS).where(REQUESTS.c.verdict == "approve"))) == 500


def test_a_request_that_is_asked_again_is_written_anew(place: Place) -> None:
    store = place.store()
    store.append(Change([asked("r"), decided("r"), asked("r", at=9)])).result(10)
    (row,) = store.read(select(REQUESTS))
    assert (row["state"], row["asked_at"], row["verdict"], row["who"]) == ("open", 9, None, None)
    store.append(Change([decided("r")])).result(10)
    store.append(Change([asked("r", at=11)])).result(10)
    (row,) = store.read(select(REQUESTS))
    assert (row["state"], row["asked_at"]) == ("open", 11)


def test_the_same_thing_shown_twice_is_kept_once(place: Place) -> None:
    store = place.store()
    for _ in range(2):
        store.append(Change([], contexts=[("d" * 64, "{}", b"png")])).result(10)
    assert len(store.read(select(CONTEXTS))) == 1


def test_a_change_that_cannot_be_written_leaves_nothing_and_ends_the_store(place: Place) -> None:
    store = place.store()
    store.append(Change([asked("r0")])).result(10)
    with store.engine.begin() as connection:
        connection.execute(text("DROP TABLE requests"))
    with pytest.raises(Refused, match="cannot write"):
        store.append(Change([Event(1, "login"), asked("r1")])).result(10)
    assert store.failure is not None
    with pytest.raises(Refused):
        store.append(Change([Event(1, "login")])).result(10)
    assert [row["kind"] for row in store.read(select(EVENTS))] == ["asked"]


def test_a_second_service_is_refused_until_the_first_is_gone(place: Place) -> None:
    store = place.store()
    with pytest.raises(UsageError, match="another service uses"):
        place.store()
    store.close()
    place.store().append(Change([asked("r")])).result(10)


def test_a_ledger_whose_end_was_cut_off_is_not_written_on(place: Place) -> None:
    store = place.store()
    store.append(Change([asked("r0"), asked("r1")])).result(10)
    store.close()
    with sqlite3.connect(place.folder / "live.db") as database:
        database.execute("DELETE FROM events WHERE number = 2")
    database.close()
    with pytest.raises(UsageError, match="event 2 as its anchor"):
        place.store()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "a URL such as sqlite"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("mysql://u:secret@h/d", r"one of sqlite, postgresql, got mysql://u:\*\*\*@h/d"),
        ("sqlite:////no/such/folder/live.db", "no folder /no/such/folder"),
        ("postgresql+nodriver://h/d", "a driver that is not installed"),
    ],
)
def test_what_is_no_database_for_a_ledger_is_refused_without_its_password(
    url: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message) as error:
        connect(url)
    assert "secret" not in str(error.value)


def test_a_database_of_another_layout_or_kind_is_refused(place: Place) -> None:
    place.store().close()
    with sqlite3.connect(place.folder / "live.db") as database:
        database.execute("UPDATE about SET value = '0' WHERE name = 'layout'")
    database.close()
    with pytest.raises(UsageError, match="layout 0, this version reads 2"):
        place.store()
    (place.folder / "live.db").write_bytes(b"no database at all, but long enough to be one" * 50)
    with pytest.raises(UsageError, match="cannot use"):
        place.store()


def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "audit.key"
    key = key_from(path)
    assert len(key) == 32
    assert key_from(path) == key
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("content", "message"), [(b"xyz", "no key"), (b"ab", "1 bytes"), (None, "cannot read")]
)
def test_a_key_that_is_none_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "audit.key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        key_from(path, make=False)


def test_an_anchor_that_is_none_is_refused(tmp_path: Path) -> None:
    anchor = Anchor(tmp_path / "a.json")
    assert anchor.read() is None
    anchor.write(Head(3, "f" * 64))
    assert anchor.read() == Head(3, "f" * 64)
    anchor.path.write_text("[]")
    with pytest.raises(UsageError, match="cannot read the anchor"):
        anchor.read()


def test_there_is_one_text_for_a_value_and_none_for_what_is_no_number() -> None:
    assert canonical({"b": 1, "a": [1.5, "ü"]}) == '{"a":[1.5,"ü"],"b":1}'
    with pytest.raises(ValueError, match="JSON"):
        canonical(float("nan"))
