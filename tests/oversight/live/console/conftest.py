"""One service, one browser and one simulated trainer for all tests of the console."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from looplab.oversight.live.client import Connection, TrainerClient

NAMES = ["fast", "check", "safe", "hold"]
DISCRETE = {"n": 4, "names": NAMES}
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAQAAAADCAIAAAA7ljmRAAAAEklEQVR4nGNkYPjPAANMDEgANwcAKwgBBYo8"
    "QkIAAAAASUVORK5CYII="
)


def wait_for(true: Callable[[], Any], what: str, seconds: float = 10.0) -> Any:
    """What a call returns as soon as that is true of it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = true()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds:g} s for {what}")


def lane(number: int = 0, **changes: Any) -> dict[str, Any]:
    """What a trainer shows of a lane."""
    values = {
        "lane": number, "episode": 3, "step": 7, "action": 0, "name": "fast", "phase": "training",
        "because": "20 % of proposals, of highest risk", "score": 0.81, "threshold": 0.42,
        "probability": 0.62, "risks": {"estimated": 0.81, "exact": 1.0}, "precedents": [],
        "alternatives": [
            {"action": 1, "name": "check", "probability": 0.25},
            {"action": 2, "name": "safe", "probability": 0.1},
            {"action": 3, "name": "hold", "probability": 0.03},
        ],
        "history": [
            {"step": step, "proposed": "fast", "executed": "safe" if step % 3 == 0 else "fast",
             "verdict": "modify" if step % 3 == 0 else "", "reward": 0.4 + step / 10,
             "cost": 1.0 if step == 4 else 0.0}
            for step in range(7)
        ],
        "env": "ops_desk", "regime": "in_the_loop",
    }  # fmt: skip
    return {**values, **changes}


@dataclass
class Service:
    """A review service in a process of its own.

    Attributes:
        url: of it.
        tokens: of its owner and of trainers.
    """

    url: str
    tokens: dict[str, str]
    made: int = field(default=0)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.url, timeout=20.0, trust_env=False)

    def call(self, method: str, path: str, body: Any = None, token: str | None = None) -> Any:
        """What the API answers, in the owner's name unless another token is given."""
        headers = {"Authorization": f"Bearer {token or self.tokens['admin']}"}
        answer = self.http.request(method, path, json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer.json()

    def person(self, role: str, tier: int = 0, name: str = "", hours: float = 1.0) -> str:
        """A new person's token."""
        self.made += 1
        body = {"role": role, "tier": tier, "name": name or f"{role} {self.made}", "hours": hours}
        return str(self.call("POST", "/api/people", body)["token"])

    def events(self, kind: str, **of: str) -> list[dict[str, Any]]:
        """Events of the ledger of a kind."""
        found: list[dict[str, Any]] = []
        while True:
            after = found[-1]["number"] if found else 0
            more = self.call("GET", f"/api/events?after={after}&count=1000")
            found += more
            if len(more) < 1000:
                break
        return [
            event for event in found
            if event["kind"] == kind and all(event[name] == value for name, value in of.items())
        ]  # fmt: skip

    def settings(self, **changes: Any) -> None:
        """Changes the service's settings."""
        self.call("PATCH", "/api/settings", changes)


class Trainer:
    """A simulated trainer: asks, shows, and executes what it is told."""

    def __init__(
        self, service: Service, session: str, lanes: int, actions: Any, **about: Any
    ) -> None:
        connection = Connection(service.url, service.tokens["trainer"], 20.0)
        told = {
            "env": "ops_desk", "regime": "in_the_loop", "algo": "ppo", "lanes": lanes,
            "actions": actions, "identity": session, **about,
        }  # fmt: skip
        self.client = TrainerClient(connection, session, told)
        self.client.open()
        self.session = session
        self._batches = 0

    def ask(self, *lanes: dict[str, Any], kind: str = "review", priority: float = 0.0) -> str:
        """Asks about lanes at once; returns the batch's name."""
        self._batches += 1
        batch = f"b{self._batches}"
        requests = [
            {"values": one, "picture": PNG, "lane": one["lane"], "kind": kind, "priority": priority}
            for one in lanes
        ]
        self.client.ask(batch, requests)
        return batch

    def executed(self, batch: str, seconds: float = 10.0) -> list[dict[str, Any]]:
        """The answers that come back, in the order of lanes."""
        told = wait_for(
            lambda: (a := self.client.answers(batch))["ready"] and a, "answers", seconds
        )
        return list(told["answers"])

    def watched(self, clock: int, *lanes: dict[str, Any]) -> Callable[[], dict[str, Any]]:
        """Shows a step; the call that is returned waits for what stopped it."""
        values = {
            "lanes": list(lanes),
            "watching": True,
            "env": "ops_desk",
            "regime": "on_the_loop",
        }
        self.client.show(clock, {"values": values, "picture": PNG})
        found: dict[str, Any] = {}

        def follow() -> None:
            while not found.get("ready") and not found.get("control", {}).get("stopped"):
                found.update(self.client.vetoes(clock))

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()

        def wait() -> dict[str, Any]:
            thread.join(20.0)
            assert not thread.is_alive()
            return found

        return wait

    def end(self) -> None:
        """The run is over."""
        self.client.end()
        self.client.connection.close()


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that is ended by its process."""
    home = tmp_path_factory.mktemp("console")
    environment = {**os.environ, "LOOPLAB_HOME": str(home)}
    command = [sys.executable, "-m", "looplab.experiments.cli", "serve", "port=0"]
    with (home / "stderr.txt").open("w") as complaints_go:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=complaints_go, text=True, env=environment,
            cwd=home,
        )  # fmt: skip
    try:
        wait_for(lambda: list((home / "tokens").glob("*.json")), "the service", 60.0)
        tokens = json.loads(next((home / "tokens").glob("*.json")).read_text())
        url = tokens.pop("url")
        assert process.stdout is not None
        wait_for(lambda: _lives(url), "the service to answer", 60.0)
        serving = Service(url, tokens)
        yield serving
        serving.http.close()
        complaints = (home / "stderr.txt").read_text()
        assert "Traceback" not in complaints, complaints
    finally:
        process.terminate()
        process.wait(20.0)
        if process.stdout is not None:
            process.stdout.close()


def _lives(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", trust_env=False).is_success
    except httpx.TransportError:
        return False


@dataclass
class Visitors:
    """Opens pages for people, and notes every address that they ask for."""

    service: Service
    browser: Browser
    contexts: list[BrowserContext] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __call__(self, token: str, path: str = "/", **settings: Any) -> Page:
        """A page of the console in a browser of its own, logged in by its link."""
        context = self.browser.new_context(
            viewport=settings.pop("viewport", {"width": 1280, "height": 800}), **settings
        )
        self.contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("websocket", lambda socket: self.asked.append(socket.url))
        page.on("console", lambda said: said.type == "error" and self.complaints.append(said.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(f"{self.service.url}/#token={token}")
        page.wait_for_url("**/console/")
        if path != "/":
            page.goto(f"{self.service.url}/console{path}")
        page.wait_for_selector("#main")
        page.wait_for_function("window.did_handshake")
        return page


@pytest.fixture
def visit(service: Service, browser: Browser) -> Iterator[Visitors]:
    """Pages that are closed after the test, and asked nobody but the service."""
    visitors = Visitors(service, browser)
    yield visitors
    for context in visitors.contexts:
        context.close()
    own = (service.url, service.url.replace("http:", "ws:"), "data:", "blob:")
    assert visitors.asked or not visitors.contexts
    assert [url for url in visitors.asked if not url.startswith(own)] == []


@pytest.fixture
def trainer(service: Service, request: pytest.FixtureRequest) -> Iterator[Callable[..., Trainer]]:
    """Makes trainers, whose sessions end with the test."""
    made: list[Trainer] = []

    def make(lanes: int = 2, actions: Any = DISCRETE, **about: Any) -> Trainer:
        name = f"{request.node.name.replace('[', '-').replace(']', '')}-{len(made)}"
        made.append(Trainer(service, name[:100], lanes, actions, **about))
        return made[-1]

    yield make
    for one in made:
        one.end()


@pytest.fixture
def keep_picture(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Page, str], Path]:
    """Keeps a screenshot with the test run's output."""
    folder = tmp_path_factory.getbasetemp() / "screenshots"
    folder.mkdir(exist_ok=True)

    def keep(page: Page, name: str) -> Path:
        file = folder / f"{name}.png"
        page.screenshot(path=file)
        return file

    return keep
