"""What people are told while runs go on."""

import io
from typing import Any

import pytest
from rich.console import Console

from looplab.experiments import progress
from looplab.experiments.job import Failure
from looplab.experiments.progress import Display, PlainDisplay, RichDisplay, clock, display

CELLS = {"a-s0": "a ppo", "a-s1": "a ppo", "b-s0": "b ppo"}
STEPS = {"a-s0": 100, "a-s1": 100, "b-s0": 200}


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress.time, "monotonic", clock)
    return clock


def test_rate_and_rest_follow_from_the_steps_of_all_runs(time: Clock) -> None:
    with Display(CELLS, STEPS) as shown:
        assert (shown.done, shown.left) == (0, "?")
        shown.started("a-s0")
        shown.advanced("a-s0", 40)
        shown.started("b-s0")
        shown.advanced("b-s0", 60)
        time.now += 10
        assert shown.rate == 10
        assert shown.left == "0:30"  # 300 of 400 steps at 10 per second


def test_a_cell_s_rest_counts_the_runs_that_begin_before_its_last(time: Clock) -> None:
    with Display(CELLS, STEPS) as shown:
        assert shown.left_of("a ppo") == "?"
        for name, steps in {"a-s0": 40, "b-s0": 60}.items():
            shown.started(name)
            shown.advanced(name, steps)
        time.now += 10
        assert shown.left_of("a ppo") == "0:16"  # 60 + 100 steps at 10 per second
        assert shown.left_of("b ppo") == "0:30"  # and 140 of its own
        shown.finished("a-s0", None)
        shown.finished("a-s1", None)
        assert shown.left_of("a ppo") == "0:00"


def test_a_run_that_begins_again_is_not_counted_twice(time: Clock) -> None:
    with Display(CELLS, STEPS) as shown:
        shown.started("a-s0")
        shown.advanced("a-s0", 90)
        shown.started("a-s0")
        shown.advanced("a-s0", 20)
        assert shown.done == 20


def test_a_run_that_ends_early_or_late_counts_as_a_whole_one(time: Clock) -> None:
    with Display(CELLS, STEPS) as shown:
        for name, steps in {"a-s0": 104, "a-s1": 3, "b-s0": 200}.items():
            shown.started(name)
            shown.advanced(name, steps)
            shown.finished(name, None)
        assert shown.done == shown.total == 400
        assert shown.ended == 3
        time.now += 1
        assert shown.left == "0:00"


def test_plain_lines_come_now_and_then_and_when_a_run_ends(time: Clock) -> None:
    said: list[str] = []
    with PlainDisplay(CELLS, STEPS, said.append) as shown:
        shown.started("a-s0")
        shown.advanced("a-s0", 50)
        assert said == []
        time.now += progress.PLAIN_SECONDS
        shown.advanced("a-s0", 10)
        shown.advanced("a-s0", 10)
        assert said == [" 15 %  0/3 runs  6 steps/s  0:57 left"]
        shown.finished("a-s0", None)
        shown.finished("a-s1", Failure("a-s1", "it broke"))
    assert said[1:] == [
        "finished 1/3  a-s0  0:30 left (its cell 0:10)",
        "FAILED   2/3  a-s1: it broke",
    ]


def rich_text(cells: dict[str, str], failure: Failure | None, monkeypatch: Any) -> str:
    paper = io.StringIO()
    console = Console(file=paper, width=120, force_terminal=True, color_system=None)
    monkeypatch.setattr(progress, "Console", lambda **settings: console)
    with RichDisplay(cells, STEPS) as shown:
        for name in cells:
            shown.started(name)
            shown.advanced(name, STEPS[name])
            shown.finished(name, failure if name == "a-s0" else None)
    return paper.getvalue()


def test_the_live_display_has_a_line_per_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    text = rich_text(CELLS, None, monkeypatch)
    for part in ("a ppo", "b ppo", "all runs", "2/2 runs", "1/1 run", "3/3 runs", "100 %"):
        assert part in text
    assert "1/1 runs" not in text


@pytest.mark.parametrize("name", ["hidden=[a, b]", "[/red]", "[bold]"])
def test_the_live_display_shows_brackets_as_they_are(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure = Failure("a-s0", f"must be one of {name}")
    text = rich_text({**CELLS, "a-s0": f"a {name}"}, failure, monkeypatch)
    assert f"a {name}" in text
    assert f"must be one of {name}" in text


@pytest.mark.parametrize(
    ("kind", "made"), [("rich", RichDisplay), ("plain", PlainDisplay), ("none", Display)]
)
def test_the_display_that_was_asked_for_is_shown(kind: str, made: type[Display]) -> None:
    assert type(display(kind, CELLS, STEPS)) is made


@pytest.mark.parametrize(("terminal", "made"), [(True, RichDisplay), (False, PlainDisplay)])
def test_a_terminal_gets_the_live_display(
    terminal: bool, made: type[Display], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.StringIO()
    monkeypatch.setattr(out, "isatty", lambda: terminal)
    monkeypatch.setattr(progress.sys, "stdout", out)
    assert type(display("auto", CELLS, STEPS)) is made


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (59.4, "0:59"), (59.6, "1:00"), (3599, "59:59"), (3600, "1 h 00 min")],
)
def test_times_are_written_as_people_do(seconds: float, text: str) -> None:
    assert clock(seconds) == text
