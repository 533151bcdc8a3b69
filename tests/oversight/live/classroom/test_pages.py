"""The running lesson in a browser: a teacher, students on phones, and nobody else."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

COMMAND = (sys.executable, "-W", "error", "-m", "looplab.experiments.cli", "demo", "port=0")
ENDING_SECONDS = 15


@dataclass
class Server:
    """A running classroom."""

    link: str
    folder: Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("classroom")
    with subprocess.Popen(
        [*COMMAND, "error=0", "seed=1"], cwd=folder, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env=os.environ | {"PYTHONUNBUFFERED": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            found = re.fullmatch(r"classroom: (http://127\.0\.0\.1:\d+) \(Ctrl-C ends it\)\n", line)
            assert found, line + process.stdout.read()
            yield Server(found[1], folder)
        finally:
            process.send_signal(signal.SIGINT)
            rest, _ = process.communicate(timeout=ENDING_SECONDS)
        assert (process.returncode, rest) == (0, "")  # Ctrl-C ends it, and nothing went wrong
        assert list(folder.iterdir()) == []  # nothing is left behind


class Watched:
    """A page whose requests and faults are kept."""

    def __init__(self, browser: Browser, address: str, width: int = 1280) -> None:
        self.hosts: set[str] = set()
        self.faults: list[str] = []
        self.page: Page = browser.new_context(viewport={"width": width, "height": 844}).new_page()
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        self.page.on("websocket", lambda socket: self.hosts.add(urlsplit(socket.url).netloc))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on(
            "console",
            lambda line: self.faults.append(line.text) if line.type == "error" else None,
        )
        self.page.goto(address)

    def close(self, server: Server) -> None:
        assert self.hosts == {urlsplit(server.link).netloc}
        assert self.faults == []
        self.page.context.close()


def counter(page: Page, lane: str, name: str) -> Locator:
    card = page.locator(".lane", has=page.get_by_role("heading", name=lane, exact=True))
    return card.locator("div", has=page.get_by_text(name, exact=True)).locator("dd span").first


def count(page: Page, lane: str, name: str) -> int:
    return int(counter(page, lane, name).inner_text().replace(",", ""))


def speed(page: Page, steps: int) -> None:
    page.get_by_label("Speed").click()
    page.get_by_role("option", name=f"{steps} steps/s", exact=True).click()


def test_a_teacher_runs_a_lesson(server: Server, browser: Browser) -> None:
    watched = Watched(browser, server.link)
    page = watched.page
    page.get_by_role("button", name="Step", exact=True).click()
    page.get_by_text("Clock 0:01").wait_for()
    expect(counter(page, "On the loop", "Human seconds")).to_have_text("1")
    speed(page, 500)
    page.get_by_role("button", name="Play").click()
    page.get_by_text(re.compile(r"Clock [4-9]:\d\d")).wait_for()
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Play").wait_for()
    assert count(page, "Without oversight", "Violations") > 0
    assert count(page, "In the loop", "Violations") == 0  # nobody errs
    assert count(page, "In the loop", "Human seconds") > 0

    slider = page.get_by_role("slider", name="Reviewer error")
    slider.press("ArrowRight")
    expect(page.get_by_role("status")).to_contain_text("Reviewer error 0 % → 5 %")

    page.get_by_role("switch", name="Send the humans home").click()
    page.get_by_text("Alone for 0:00").wait_for()
    page.get_by_role("button", name="Play").click()
    page.get_by_text(re.compile(r"Alone for [1-9]:\d\d")).wait_for()
    expect(counter(page, "On the loop", "Human seconds")).to_have_text("0")
    page.get_by_role("switch", name="Send the humans home").click()
    page.get_by_text("The humans are back").wait_for()
    page.get_by_role("button", name="Pause").click()
    page.get_by_label("Seed").fill("2")
    page.get_by_role("button", name="Restart").click()
    page.get_by_text("Clock 0:00").wait_for()
    expect(counter(page, "Without oversight", "Violations")).to_have_text("0")
    watched.close(server)


def test_a_visitor_takes_both_seats_by_keyboard(server: Server, browser: Browser) -> None:
    watched = Watched(browser, server.link)
    page = watched.page
    page.get_by_role("button", name="Restart").click()
    speed(page, 20)
    page.locator(".seat-in_the_loop").get_by_role("radio", name="You").click()
    page.get_by_role("button", name="Play").click()
    page.get_by_text("Your verdict?").wait_for()
    page.keyboard.press("r")
    page.locator("#score-in_the_loop").get_by_text("on 1 proposals").wait_for()
    assert count(page, "In the loop", "Violations") == 0

    page.locator(".seat-in_the_loop").get_by_role("radio", name="Simulated human").click()
    page.locator(".seat-on_the_loop").get_by_role("radio", name="You").click()
    expect(page.get_by_role("button", name="VETO (space)")).to_be_enabled()
    mine = page.locator("#score-on_the_loop tr", has_text="Mean time").locator("td").first
    for _ in range(15):  # a press between two proposals stops none
        page.keyboard.press("Space")
        page.wait_for_timeout(1000)
        if re.search(r"\d", mine.inner_text()):
            break
    expect(mine).to_have_text(re.compile(r"\d\.\d s"))  # it stopped a proposal
    page.get_by_role("button", name="Pause").click()
    page.locator(".seat-on_the_loop").get_by_role("radio", name="Simulated human").click()
    watched.close(server)


def test_students_join_and_their_majority_decides(server: Server, browser: Browser) -> None:
    teacher = Watched(browser, server.link)
    page = teacher.page
    page.get_by_role("button", name="Restart").click()
    speed(page, 20)
    found = re.search(r"Code\s+([A-Z0-9]{6})", page.locator(".lesson").inner_text())
    assert found
    students = []
    for name in ("Ada", "<img src=x onerror=alert(1)>"):
        student = Watched(browser, f"{server.link}/join?code={found[1]}", width=390)
        student.page.get_by_label("Your name").fill(name)
        student.page.get_by_role("button", name="Join").click()
        student.page.get_by_text("The class does not vote at the moment").wait_for()
        students.append(student)
    page.get_by_text("Ada, <img src=x onerror=alert", exact=True).wait_for()  # text, and cut short
    page.locator(".seat-in_the_loop").get_by_role("radio", name="The class").click()
    page.get_by_role("button", name="Play").click()
    for student in students:
        student.page.get_by_text("The agent proposes").wait_for()
        width = student.page.evaluate("document.documentElement.scrollWidth")
        assert width <= 390  # nothing to scroll sideways on a phone
        student.page.get_by_role("button", name="Reject").click()
    page.get_by_text("0 approve, 2 reject").wait_for()
    page.locator("#score-in_the_loop").get_by_text("on 1 proposals").wait_for()
    page.get_by_role("button", name="Pause").click()

    stranger = Watched(browser, f"{server.link}/join?code=AAAAAA", width=390)
    stranger.page.get_by_label("Your name").fill("Eve")
    stranger.page.get_by_role("button", name="Join").click()
    stranger.page.get_by_text("That is not the code of this class.").wait_for()
    for watched in (*students, stranger):
        watched.close(server)
    page.get_by_text("Joined: nobody.").wait_for()
    page.locator(".seat-in_the_loop").get_by_role("radio", name="Simulated human").click()
    teacher.close(server)


@pytest.mark.parametrize("origin", ["https://evil.example", None])
def test_pages_of_other_servers_get_no_websocket(server: Server, origin: str | None) -> None:
    address = (
        f"{server.link.replace('http', 'ws')}/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    )
    own = server.link if origin is None else origin
    if origin is None:
        with connect(address, origin=own, proxy=None) as socket:  # type: ignore[arg-type]
            assert str(socket.recv(timeout=5)).startswith("0{")
        return
    with pytest.raises(WebSocketException):
        connect(address, origin=own, proxy=None)  # type: ignore[arg-type]
