"""A ledger on a PostgreSQL server holds what one in a file does, whoever is killed when."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from looplab.envs.errors import UsageError
from looplab.oversight.live.audit import export, verify
from looplab.oversight.live.chain import key_from
from looplab.oversight.live.database import connect
from looplab.oversight.live.places import ANCHORS, KEY_FILE
from tests.oversight.live.conftest import Clock, Place, Service, run
from tests.oversight.live.test_audit import live

# What holds of a file holds of a server: the same tests, on the ``place`` below.
from tests.oversight.live.test_store import (  # noqa: F401
    test_a_change_that_cannot_be_written_leaves_nothing_and_ends_the_store,
    test_a_request_that_is_asked_again_is_written_anew,
    test_a_second_service_is_refused_until_the_first_is_gone,
    test_events_are_sealed_in_their_order_and_go_on_after_a_restart,
    test_many_changes_are_one_commit,
    test_the_same_thing_shown_twice_is_kept_once,
)

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
SERVER_USER = "postgres"  # root may not run the server
OWNER = "looplab"
#: Seconds for the server to come up or to go.
PATIENCE = 60.0

pytestmark = pytest.mark.skipif(not PROGRAMS, reason="no PostgreSQL server is installed")


@dataclass
class Cluster:
    """A server of its own on 127.0.0.1, which makes databases."""

    port: int
    made: int = 0

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://{OWNER}@127.0.0.1:{self.port}/{database}"

    def database(self) -> str:
        """A new and empty database."""
        self.made += 1
        name = f"live{self.made}"
        engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return self.url(name)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    programs = PROGRAMS[-1].parent
    user: dict[str, Any] = {"user": SERVER_USER, "group": SERVER_USER} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="looplab-postgresql-"))
    if user:
        shutil.chown(folder, SERVER_USER, SERVER_USER)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = None
    try:
        subprocess.run(
            [programs / "initdb", "-D", folder / "data", "-A", "trust", "-U", OWNER, "-E", "UTF8",
             "--no-sync"],
            check=True, capture_output=True, cwd=folder, **user,
        )  # fmt: skip
        process = subprocess.Popen(
            [programs / "postgres", "-D", folder / "data", "-p", str(port), "-h", "127.0.0.1",
             "-c", "unix_socket_directories="],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder, **user,
        )  # fmt: skip
        _wait_for(port, process)
        yield Cluster(port)
    finally:
        if process is not None:
            process.send_signal(signal.SIGINT)  # a fast shutdown: clients are sent away
            process.wait(PATIENCE)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + PATIENCE
    engine = create_engine(Cluster(port).url("postgres"))
    while True:
        assert process.poll() is None, "the server ended"
        try:
            engine.connect().close()
            break
        except Exception:
            assert time.monotonic() < end, "the server does not answer"
            time.sleep(0.1)
    engine.dispose()


@dataclass
class OnServer(Place):
    """A desk whose ledger is on the server."""

    database: str = ""

    @property
    def url(self) -> str:
        return self.database


@pytest.fixture
def place(cluster: Cluster, tmp_path: Path, clock: Clock) -> Iterator[OnServer]:
    found = OnServer(tmp_path, clock, database=cluster.database())
    yield found
    for store in found.opened:
        store.close()


def test_an_audit_finds_a_ledger_whole_and_a_change_of_it(place: OnServer, tmp_path: Path) -> None:
    run(live(place.desk()))
    place.opened[-1].close()
    engine = connect(place.url)
    whole = verify(engine, place.key, place.anchors)
    assert whole.findings == ()
    files = export(engine, tmp_path / "export")
    assert sorted(file.name for file in files) == [
        "events.jsonl", "events.parquet", "reviews.jsonl", "reviews.parquet",
    ]  # fmt: skip
    with engine.begin() as connection:
        connection.execute(text("UPDATE requests SET verdict = 'approve' WHERE verdict = 'reject'"))
    assert verify(engine, place.key, place.anchors).findings != ()
    engine.dispose()


def test_a_service_killed_among_verdicts_keeps_each_that_it_acknowledged(
    cluster: Cluster, own_service: Callable[..., Service]
) -> None:
    database = cluster.database()
    service = own_service("deadlines=[null]", f"db={database}")
    trainer = service.trainer("kill", patience=60.0, lanes=20)
    trainer.open()
    names = []
    for batch in range(10):
        trainer.ask(f"b{batch}", [{"lane": lane, "values": {"b": batch}} for lane in range(20)])
        names += [f"kill:b{batch}:{lane}" for lane in range(20)]
    said = {name: ("approve", "reject")[n % 2] for n, name in enumerate(names)}
    reviewer = service.person()
    for name in names[:90]:
        reviewer.answer(name, said[name])
    service.end(signal.SIGKILL)
    service.start()
    for name in names[80:]:  # ten of them are said again
        reviewer.answer(name, said[name])
    decided = {e["request"]: e["body"]["answer"]["verdict"] for e in service.events("decided")}
    assert decided == said
    assert len(service.events("decided")) == len(names)
    for client in (reviewer, trainer):
        client.connection.close()
    service.end()
    engine = connect(database)
    found = verify(engine, key_from(service.home / KEY_FILE), service.home / ANCHORS)
    engine.dispose()
    assert found.findings == ()


def test_a_server_or_database_that_is_not_there_is_refused_on_one_line(cluster: Cluster) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for url in (cluster.url("nowhere"), Cluster(port).url("postgres")):
        place = OnServer(Path(tempfile.mkdtemp()), Clock(), database=url)
        with pytest.raises(UsageError, match=r"^db: ") as error:
            place.store()
        assert "\n" not in str(error.value)
        shutil.rmtree(place.folder)
