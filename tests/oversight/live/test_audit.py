"""An audit finds any change, whoever made it without the key; exports hold what was said."""

import json
import shutil
import sqlite3
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import select

from looplab.envs.errors import UsageError
from looplab.oversight.live.audit import Audit, export, verify
from looplab.oversight.live.database import connect
from looplab.oversight.live.desk import Desk, Said
from looplab.oversight.live.event import Event
from looplab.oversight.live.messages import ShownIn
from looplab.oversight.live.review import Opinion
from looplab.oversight.live.session import Frame
from looplab.oversight.live.shown import Shown, digest_text
from looplab.oversight.live.store import Change
from looplab.oversight.live.tables import METADATA, PEOPLE, TEXTS
from tests.oversight.live.conftest import ABOUT, Clock, Place, asks, person, run

SECRET = "Ann Example thinks aloud"


def shown(step: int) -> Shown:
    values = {"action": 1, "episode": 0, "step": step, "observation": [0.5, step], "risks": {}}
    assert digest_text(values)
    return ShownIn(values=values, picture=None).shown()


async def live(desk: Desk) -> str:
    """A little of everything; returns the pseudonym of who wrote something."""
    await desk.start()
    trainer, _ = await desk.registry.make_person("trainer", 0, "machine", 1.0)
    ann, _ = await desk.registry.make_person("reviewer", 0, "Ann Example", 1.0)
    who = person(ann)
    _, number = await desk.registry.make_token(ann, 1.0)
    await desk.registry.revoke(number)
    await desk.open_session("s", ABOUT, person(trainer, role="trainer"))
    for step in range(3):
        batch = f"b{step}"
        pairs = [
            (
                type(ask)(f"s:{batch}:{ask.lane}", ask.lane, ask.kind, shown(step).digest),
                shown(step),
            )
            for ask in asks(0, 1)
        ]
        await desk.ask("s", batch, pairs, {"steps": 10.0 * (step + 1)})
        said = [
            Said(f"s:{batch}:0", Opinion("approve"), SECRET),
            Said(f"s:{batch}:1", Opinion("reject")),
        ]
        await desk.decide(said, who)
        await desk.decide([Said("s:none:0", Opinion("approve"))], who)
    frame = shown(9)
    desk.queue.session("s").frame = Frame(9, desk.clock(), frame.digest, frame.text, None)
    await desk.veto("s", "reject", (), None, who)
    await desk.change_settings({"undo_seconds": 1.0})
    await desk.control("s", {"paused": True}, who)
    await desk.stop()
    return ann


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, str]:
    """A database with everything in it, closed; and whose texts are in it."""
    place = Place(tmp_path_factory.mktemp("audit"), Clock())
    desk = place.desk()
    ann = run(live(desk))
    desk.store.close()
    return place, ann


@pytest.fixture
def copy(kept: tuple[Place, str], tmp_path: Path) -> Place:
    """A copy that a test may spoil."""
    for name in ("live.db", "audit.key"):
        shutil.copy(kept[0].folder / name, tmp_path / name)
    shutil.copytree(kept[0].anchors, tmp_path / "anchors")
    return Place(tmp_path, Clock())


def audit(place: Place) -> Audit:
    engine = connect(place.url)
    try:
        return verify(engine, place.key, place.anchors)
    finally:
        engine.dispose()


def spoil(place: Place, *statements: str) -> int:
    """Changes the database behind the service's back; returns how many rows that touched."""
    database = sqlite3.connect(place.folder / "live.db")
    with database:
        touched = sum(database.execute(statement).rowcount for statement in statements)
    database.close()
    return touched


def test_a_ledger_that_nobody_touched_is_whole(copy: Place) -> None:
    found = audit(copy)
    assert found.findings == ()
    assert found.events > 30


LAST = "(SELECT MAX(number) FROM events)"
A_REVIEW = "(SELECT id FROM requests WHERE verdict = 'approve' LIMIT 1)"
A_NOTE = "(SELECT id FROM texts WHERE text LIKE '%aloud%' LIMIT 1)"
CHANGES = {
    "a verdict in the ledger": "UPDATE events SET body = replace(body, 'approve', 'reject') "
    "WHERE number = (SELECT MIN(number) FROM events WHERE kind = 'decided')",
    "who said it": "UPDATE events SET who = 'p_000000000000' WHERE number = "
    "(SELECT MIN(number) FROM events WHERE kind = 'decided')",
    "when": f"UPDATE events SET at = at + 1 WHERE number = {LAST}",
    "an event is gone": "DELETE FROM events WHERE number = 12",
    "the first is gone": "DELETE FROM events WHERE number = 1",
    "the last is gone": f"DELETE FROM events WHERE number = {LAST}",
    "an event is added": "INSERT INTO events SELECT number + 1, at, kind, session, request, who, "
    f"body, seal FROM events WHERE number = {LAST}",
    "a verdict in the table": f"UPDATE requests SET verdict = 'reject' WHERE id = {A_REVIEW}",
    "seconds in the table": f"UPDATE requests SET seconds = 0.5 WHERE id = {A_REVIEW}",
    "a request is gone": f"DELETE FROM requests WHERE id = {A_REVIEW}",
    "a request is added": "INSERT INTO requests SELECT id || 'x', session, batch, lane, kind, "
    "state, tier, priority, asked_at, deadline_at, decided_at, verdict, answer, who, seconds, "
    f"context, unsafe, trial, form, \"limit\" FROM requests WHERE id = {A_REVIEW}",
    "whether it was unsafe": f"UPDATE requests SET unsafe = 1 WHERE id = {A_REVIEW}",
    "what was counted": "UPDATE sessions SET counts = '{}'",
    "a role": "UPDATE people SET role = 'admin' WHERE role = 'reviewer'",
    "a revoked token": "UPDATE tokens SET revoked_at = NULL WHERE revoked_at IS NOT NULL",
    "a token's end": "UPDATE tokens SET expires_at = expires_at + 1",
    "a session": "UPDATE sessions SET mixed = 1",
    "a setting": "UPDATE settings SET value = '9.0'",
    "what was shown": "UPDATE contexts SET shown = replace(shown, '0.5', '0.6')",
    "what was shown is gone": "DELETE FROM contexts",
    "a note": f"UPDATE texts SET text = 'all is well' WHERE id = {A_NOTE}",
    "a note's salt": f"UPDATE texts SET salt = 'aa' WHERE id = {A_NOTE}",
    "a note is gone": f"DELETE FROM texts WHERE id = {A_NOTE}",
    "a note is added": "INSERT INTO texts VALUES ('t_new', 'aa', 'I never said that')",
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_is_found(copy: Place, change: str) -> None:
    assert spoil(copy, CHANGES[change]) > 0
    assert audit(copy).findings


def test_two_events_that_changed_places_are_found(copy: Place) -> None:
    spoil(
        copy,
        "UPDATE events SET number = -5 WHERE number = 5",
        "UPDATE events SET number = 5 WHERE number = 6",
        "UPDATE events SET number = 6 WHERE number = -5",
    )
    assert audit(copy).findings


def test_an_event_of_another_past_with_a_good_seal_is_found(copy: Place, tmp_path: Path) -> None:
    """Somebody puts a backup back, goes on differently, and mixes both pasts."""
    other = Place(tmp_path / "other", Clock())
    shutil.copytree(copy.folder, other.folder, ignore=shutil.ignore_patterns("other"))
    number = audit(copy).events + 1
    for place, role in ((copy, "viewer"), (other, "admin")):
        store = place.store()
        store.append(Change([Event(1, "login", {"role": role}), Event(2, "stopped")])).result(10)
        store.close()
    database = sqlite3.connect(other.folder / "live.db")
    (row,) = database.execute(f"SELECT body, seal FROM events WHERE number = {number}")
    database.close()
    spoil(copy, f"UPDATE events SET body = '{row[0]}', seal = '{row[1]}' WHERE number = {number}")
    (finding,) = audit(copy).findings
    assert str(finding).startswith(f"event {number + 1}: its seal is broken")


def test_the_anchor_that_is_gone_or_spoilt_is_told(copy: Place) -> None:
    (file,) = copy.anchors.iterdir()
    there = json.loads(file.read_text())
    file.write_text(json.dumps({**there, "seal": "0" * 64}))
    assert "the anchor names another seal" in str(audit(copy).findings[0])
    file.unlink()
    assert "there is none" in str(audit(copy).findings[0])


def test_with_another_key_nothing_holds(copy: Place) -> None:
    (copy.folder / "audit.key").write_text("00" * 32)
    assert "seal is broken" in str(audit(copy).findings[0])


def test_one_change_is_told_once_and_not_for_all_that_follow(copy: Place) -> None:
    first = "(SELECT MIN(number) FROM events WHERE kind = 'released')"
    spoil(copy, CHANGES["when"].replace(LAST, first))
    (finding,) = audit(copy).findings
    assert str(finding).endswith("its seal is broken: it, or the one before it, was changed")


def test_names_and_notes_can_be_forgotten_and_the_ledger_stays_whole(
    kept: tuple[Place, str], copy: Place
) -> None:
    ann = kept[1]
    desk = copy.desk()

    async def forget() -> int:
        return await desk.registry.erase(ann)

    assert run(forget()) == 4  # the name, and a note in each of three steps
    assert [row["text"] for row in desk.store.read(select(TEXTS))] == ["machine"]
    assert len(desk.store.read(select(PEOPLE))) == 2
    for file in copy.folder.glob("live.db*"):  # the running service's own log too
        assert SECRET.encode() not in file.read_bytes()
    desk.store.close()
    assert audit(copy).findings == ()
    assert SECRET.encode() not in (copy.folder / "live.db").read_bytes()
    assert b"Ann Example" not in (copy.folder / "live.db").read_bytes()


def test_the_ledger_itself_holds_no_name_no_note_and_no_token(kept: tuple[Place, str]) -> None:
    database = sqlite3.connect(kept[0].folder / "live.db")
    for table in METADATA.tables:
        if table != "texts":
            everything = str(database.execute(f"SELECT * FROM {table}").fetchall())
            assert "Ann" not in everything
            assert "aloud" not in everything
            assert "looplab_" not in everything
    database.close()


def test_an_export_holds_every_event_and_review(copy: Place, tmp_path: Path) -> None:
    engine = connect(copy.url)
    files = export(engine, tmp_path / "out")
    assert [file.name for file in files] == [
        "events.parquet", "events.jsonl", "reviews.parquet", "reviews.jsonl"
    ]  # fmt: skip
    events = pd.read_parquet(tmp_path / "out" / "events.parquet")
    assert len(events) == audit(copy).events
    reviews = pd.read_parquet(tmp_path / "out" / "reviews.parquet")
    assert reviews["verdict"].tolist() == ["approve", "reject"] * 3
    assert reviews["observation"].map(list).tolist()[2:4] == [[0.5, 1.0]] * 2
    lines = (tmp_path / "out" / "reviews.jsonl").read_text().splitlines()
    assert [json.loads(line)["verdict"] for line in lines] == reviews["verdict"].tolist()
    with pytest.raises(UsageError, match="no session 'other'"):
        export(engine, tmp_path / "out", "other")
    engine.dispose()


def test_what_is_no_ledger_is_refused(tmp_path: Path) -> None:
    empty = connect(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(UsageError, match="cannot read the database"):
        verify(empty, b"x" * 32, tmp_path)
    empty.dispose()
