"""A queue with a clock that the test moves, a desk on a file, and a service in its own process."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from looplab.oversight.live.chain import key_from
from looplab.oversight.live.client import Connection, ReviewerClient, TrainerClient
from looplab.oversight.live.desk import Desk
from looplab.oversight.live.places import HOME_VARIABLE, TOKEN_VARIABLE, URL_VARIABLE
from looplab.oversight.live.queue import Queue
from looplab.oversight.live.refusal import Refused
from looplab.oversight.live.review import Actions, Ask, Opinion
from looplab.oversight.live.roles import Person
from looplab.oversight.live.session import About
from looplab.oversight.live.settings import Settings
from looplab.oversight.live.store import Store

Result = TypeVar("Result")

THREE = Actions(3, ("left", "stay", "right"))
ABOUT = About("corridor", "in_the_loop", "ppo", 4, THREE, "run-1")
#: What a trainer sends of itself.
ABOUT_BODY: dict[str, Any] = {
    "env": "corridor", "regime": "in_the_loop", "algo": "ppo", "lanes": 4,
    "actions": {"n": 3, "names": ["left", "stay", "right"]}, "identity": "run-1",
}  # fmt: skip
START = 1_700_000_000_000


def person(name: str = "p_ann", tier: int = 0, role: str = "reviewer") -> Person:
    """Somebody whose token does not end."""
    return Person(name, role, tier, "t", 10**15)


def asks(*lanes: int, context: str = "c", **more: Any) -> list[Ask]:
    """Requests of one batch named b."""
    return [Ask(f"s:b:{lane}", lane, "review", context, **more) for lane in lanes]


APPROVE, REJECT = Opinion("approve"), Opinion("reject")


@dataclass
class Clock:
    """Milliseconds that the test moves."""

    now: int = START

    def __call__(self) -> int:
        return self.now

    def pass_seconds(self, seconds: float) -> int:
        self.now += round(seconds * 1000)
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> Queue:
    """A queue of two tiers with ten seconds each, and one session s."""
    made = Queue(Settings(deadlines=(10.0, 10.0), claim_seconds=5.0, lease_seconds=60.0))
    made.open_session("s", ABOUT, "p_trainer", clock.now)
    return made


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """LoopLab's own folder, of this test only."""
    place = tmp_path / "home"
    monkeypatch.setenv(HOME_VARIABLE, str(place))
    return place


KEY_NAME = "audit.key"


@dataclass
class Place:
    """Where a desk is kept, so that it can be opened again."""

    folder: Path
    clock: Clock
    opened: list[Store] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder / 'live.db'}"

    @property
    def key(self) -> bytes:
        return key_from(self.folder / KEY_NAME)

    @property
    def anchors(self) -> Path:
        return self.folder / "anchors"

    def store(self) -> Store:
        found = Store(self.url, self.key, self.anchors)
        self.opened.append(found)
        return found

    def desk(self) -> Desk:
        return Desk(self.store(), self.key, self.clock)


@pytest.fixture
def place(tmp_path: Path, clock: Clock) -> Iterator[Place]:
    found = Place(tmp_path, clock)
    yield found
    for store in found.opened:
        store.close()


def run(work: Awaitable[Result]) -> Result:
    """Runs a coroutine in an event loop and a thread of its own: a browser may hold this one's."""

    async def main() -> Result:
        return await work

    with ThreadPoolExecutor(1) as threads:
        return threads.submit(lambda: asyncio.run(main())).result()


@dataclass
class Service:
    """A service in a process of its own, which can be killed and started again.

    Args:
        home: LoopLab's folder.
        words: more words for ``looplab serve``.
    """

    home: Path
    words: tuple[str, ...] = ()
    port: int = 0
    process: "subprocess.Popen[str] | None" = None
    tokens: dict[str, str] = field(default_factory=dict)

    def start(self) -> "Service":
        """Starts it and waits until it answers; the same port as before."""
        command = [
            sys.executable, "-m", "looplab.experiments.cli", "serve", f"port={self.port}",
            *self.words,
        ]  # fmt: skip
        environment = {**os.environ, HOME_VARIABLE: str(self.home)}
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if "LOOPLAB_TOKEN is in " in line:
                file = Path(line.strip().partition("LOOPLAB_TOKEN is in ")[2])
                self.tokens = json.loads(file.read_text(encoding="utf-8"))
            if line.startswith("open: "):
                break
        else:
            raise AssertionError(self.process.communicate()[1])
        self.port = int(self.url.rpartition(":")[2])
        connection = Connection(self.url, self.tokens["trainer"], patience=20.0)
        connection.call("GET", "/health")
        connection.close()
        return self

    @property
    def url(self) -> str:
        return self.tokens["url"]

    def end(self, how: signal.Signals = signal.SIGTERM) -> str:
        """Ends it; returns what it said on stderr."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.communicate(timeout=30.0)[1]

    def trainer(self, session: str, patience: float = 30.0, **about: Any) -> TrainerClient:
        connection = Connection(self.url, self.tokens["trainer"], patience)
        return TrainerClient(connection, session, {**ABOUT_BODY, **about})

    def owner(self) -> ReviewerClient:
        return ReviewerClient(self.url, self.tokens["admin"], patience=30.0)

    def person(self, role: str = "reviewer", tier: int = 0, name: str = "Ann") -> ReviewerClient:
        """Somebody new, let in by the owner."""
        body = {"name": name, "role": role, "tier": tier}
        with self.owner() as owner:
            token = owner.connection.call("POST", "/api/people", body)["token"]
        return ReviewerClient(self.url, token, patience=30.0)

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The ledger, or what is of one kind in it."""
        found: list[dict[str, Any]] = []
        with self.owner() as owner:
            while True:
                after = found[-1]["number"] if found else 0
                more = owner.connection.call("GET", "/api/events", after=after, count=1000)
                found += more
                if len(more) < 1000:
                    return [event for event in found if kind in (None, event["kind"])]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for the tests of a module; each takes a session name of its own."""
    found = Service(tmp_path_factory.mktemp("home")).start()
    yield found
    found.end()


@pytest.fixture
def own_service(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Makes services that a test may kill."""
    made: list[Service] = []

    def make(*words: str) -> Service:
        made.append(Service(tmp_path / f"home{len(made)}", words))
        return made[-1].start()

    yield make
    for one in made:
        one.end(signal.SIGKILL)


@pytest.fixture
def seat(service: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    """The service, and its address and token in the environment, as a trainer has them."""
    monkeypatch.setenv(URL_VARIABLE, service.url)
    monkeypatch.setenv(TOKEN_VARIABLE, service.tokens["trainer"])
    return service


Policy = Callable[[dict[str, Any]], dict[str, Any] | None]


class Robot:
    """A reviewer's program that answers whatever waits, in a thread of its own.

    Args:
        client: who it is.
        policy: an answer to a request, from what is shown of it; None: none yet.
        session: whose requests it answers; None: all.
    """

    def __init__(self, client: ReviewerClient, policy: Policy, session: str | None = None) -> None:
        self.client = client
        self.answered: list[tuple[str, dict[str, Any]]] = []
        self.errors: list[Exception] = []
        self._policy = policy
        self._session = session
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Robot":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        self.client.connection.close()
        assert not self.errors, self.errors

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                if not self._round():
                    time.sleep(0.005)
        except Exception as error:
            self.errors.append(error)

    def _round(self) -> bool:
        waiting = [one for one in self.client.waiting() if self._session in (None, one["session"])]
        done = False
        for one in waiting:
            request = self.client.request(one["id"])
            answer = self._policy(request)
            if answer is None:
                continue
            try:
                self.client.answer(one["id"], **answer)
            except Refused as refused:
                if refused.code not in ("answered", "late", "withdrawn", "unknown"):
                    raise
            else:
                self.answered.append((one["id"], answer))
                done = True
        return done


def say(verdict: str, **more: Any) -> Policy:
    """A policy that always says the same."""
    return lambda request: {"verdict": verdict, **more}


def texts_of(events: Sequence[dict[str, Any]]) -> str:
    return json.dumps(list(events))
