"""The demo command: its words, its refusals, and the recording that it writes."""

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from looplab.experiments.classroom.demo import asked, export
from looplab.experiments.classroom.tasks import LEARNING, STORIES
from looplab.experiments.completion import completions

SHORT = ("steps=300", "alone_steps=50")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("sed=1",), "unknown key 'sed'; did you mean 'seed'?"),
        (("regime=in_the_loop",), "unknown key 'regime'"),
        (("env=lava_shortcutt",), "unknown env 'lava_shortcutt'; did you mean 'lava_shortcut'?"),
        (("env=ops_desk",), "unknown env for a class 'ops_desk';"),
        (("env.slipp=0.1",), "did you mean 'env.slip'?"),
        (("seed=1,2",), "takes one value of seed"),
        (("seed=-1",), "seed"),
        (("port=abc",), "port must be a whole number"),
        (("port=70000",), "port must be at most 65535"),
        (("open=maybe",), "open must be true or false"),
        (("error=2",), "error must be a number in [0, 1]"),
        (("lag_steps=1.5",), "lag_steps must be a whole number"),
        (("threshold=x",), "threshold must be a number"),
        (("error",), "not of the form key=value"),
        (("--export", "lesson.txt"), "must end with .html"),
        (("--export", "lesson.html", "steps=0"), "steps must be a whole number of at least 1"),
    ],
)
def test_wrong_words_are_answered_in_one_line_and_write_nothing(
    words: Sequence[str], said: str, refused: Callable[..., str], tmp_path: Path
) -> None:
    assert said in refused("demo", *words)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_extra_is_named(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("looplab.oversight.live")]:
        if name.endswith(("server", "page", "page_parts")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "nicegui", None)
    assert "pip install 'looplab[live]'" in refused("demo", "port=0")


def test_a_port_in_use_is_named(refused: Callable[..., str]) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"port={port} is in use; port=0 takes a free one" in refused("demo", f"port={port}")


def test_words_reach_task_settings_and_seed() -> None:
    found = asked(["env.slip=0.0", "seed=4", "error=0.3", "lag_steps=2", "threshold=0"])
    assert found.lesson.seed == 4
    assert (found.lesson.settings.error, found.lesson.settings.lag_steps) == (0.3, 2)
    assert found.lesson.task.lanes().slip == 0.0  # type: ignore[attr-defined]
    assert found.own["host"] == "127.0.0.1"


@pytest.mark.parametrize("env", LEARNING)
def test_every_task_for_a_class_is_told_drawn_and_learned(env: str) -> None:
    lesson = asked([f"env={env}"]).lesson
    lesson.run(4000)
    rows = lesson.runs["without"].rows
    assert len({len(row) for row in rows}) == 1
    assert sum(row.count("@") for row in rows) == 1
    assert set(STORIES) == set(LEARNING)
    lesson.send_home()
    lesson.run(300)
    assert lesson.alone["without"].counters["tasks"] > 5


def test_the_lesson_plan_says_what_the_tool_shows(root: Path) -> None:
    plan = " ".join((root / "docs" / "lesson_plan.md").read_text(encoding="utf-8").split())
    commands = re.findall(r"`looplab demo ([^`]*)`", plan)
    assert len(commands) >= 3
    for words in commands:
        assert asked([word for word in words.split() if "=" in word]).own["steps"] > 0
    lesson = asked([]).lesson
    lesson.run(4000)
    counted = [run.counters for run in lesson.runs.values()]

    def told(name: str) -> list[str]:
        return [f"{counters[name]:,.0f}".replace(",", " ") for counters in counted]

    violations, seconds, tasks = told("violations"), told("human_seconds"), told("tasks")
    for said in (
        f"{violations[0]} violations without oversight, {violations[1]} in the loop, "
        f"{violations[2]} on the loop",
        f"{seconds[0]}, {seconds[1]} and {seconds[2]} seconds",
        f"{tasks[0]} tasks, {tasks[1]} and {tasks[2]}",
        f"{told('steps')[1]} steps instead of 4 000",
    ):
        assert said in plan


def test_keys_are_completed() -> None:
    assert "lag_steps=" in completions("lag", (), "demo")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(["seed=3", *SHORT], tmp_path_factory.mktemp("demo") / "lesson.html", print)


def test_the_same_settings_and_seed_give_the_same_bytes(recording: Path, tmp_path: Path) -> None:
    again = export(["seed=3", *SHORT], tmp_path / "other.html", print)
    other = export(["seed=4", *SHORT], tmp_path / "seed.html", print)
    assert again.read_bytes() == recording.read_bytes()
    assert other.read_bytes() != recording.read_bytes()


def test_an_export_prints_what_the_file_shows(
    looplab: Callable[..., Any], tmp_path: Path, recording: Path
) -> None:
    ended = looplab("demo", "--export", "lesson.html", "seed=3", *SHORT)
    assert (ended.status, ended.err) == (0, "")
    assert (tmp_path / "lesson.html").read_bytes() == recording.read_bytes()
    assert list(tmp_path.iterdir()) == [tmp_path / "lesson.html"]
    counted = re.findall(r"^(\w+) +(\w+) +(\d+) violations", ended.out, re.MULTILINE)
    assert len(counted) == 6
    lesson = asked(["seed=3"]).lesson
    lesson.run(300)
    for phase, lane, violations in counted[:3]:
        assert phase == "overseen"
        assert lesson.runs[lane].engine.totals["violations"] == int(violations)


def shown(page: Page, lane: str, count: str) -> str:
    card = page.locator(".lane", has=page.get_by_role("heading", name=lane, exact=True))
    place = card.locator("div", has=page.get_by_text(count, exact=True)).locator("dd span").first
    return place.inner_text()


def test_the_recording_plays_without_a_server_and_asks_for_nothing(
    recording: Path, browser: Browser
) -> None:
    asked_for: list[str] = []
    faults: list[str] = []
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.on("request", lambda request: asked_for.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    page.goto(recording.as_uri())
    lesson = asked(["seed=3"]).lesson

    assert shown(page, "On the loop", "Human seconds") == "0"
    page.get_by_role("button", name="Step", exact=True).click()
    assert shown(page, "On the loop", "Human seconds") == "1"
    page.get_by_role("button", name="Step back").click()
    assert shown(page, "On the loop", "Human seconds") == "0"

    page.get_by_label("Place in the recording").fill("137")
    lesson.run(137)
    for name, run in zip(
        ("Without oversight", "In the loop", "On the loop"), lesson.runs.values(), strict=True
    ):
        assert shown(page, name, "Violations") == f"{run.engine.totals['violations']:.0f}"
        assert shown(page, name, "Human seconds") == f"{run.counters['human_seconds']:,.0f}"

    page.get_by_label("Speed").select_option("500")
    page.get_by_role("button", name="Play").click()
    page.get_by_text("Clock 5:00 of 5:00").wait_for()
    page.get_by_role("button", name="Play").wait_for()  # it has stopped
    lesson.run(163)
    violations = f"{lesson.runs['without'].counters['violations']:.0f}"
    assert shown(page, "Without oversight", "Violations") == violations

    page.get_by_label("Send the humans home").check()
    page.get_by_text("Alone for 0:00 of 0:50").wait_for()
    assert shown(page, "On the loop", "Human seconds") == "0"
    page.get_by_label("Place in the recording").fill("50")
    lesson.send_home()
    lesson.run(50)
    violations = f"{lesson.alone['without'].counters['violations']:.0f}"
    assert shown(page, "Without oversight", "Violations") == violations
    page.get_by_label("Send the humans home").uncheck()
    page.get_by_text("Clock 5:00 of 5:00").wait_for()
    assert asked_for == [recording.as_uri()]
    assert faults == []
    page.close()
