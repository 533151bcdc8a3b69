"""The on-the-loop view and the rating view: what is pressed ends in what runs."""

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from .conftest import NAMES, Service, Trainer, Visitors, lane

MakeTrainer = Callable[..., Trainer]
KeepPicture = Callable[[Page, str], Path]


def watched(page: Page, runs: Trainer) -> None:
    """Waits until a session's next step is shown."""
    expect(page.locator(".question")).to_have_attribute("data-request", runs.session)


def test_space_vetoes_even_where_another_button_has_the_focus(
    service: Service, visit: Visitors, trainer: MakeTrainer, keep_picture: KeepPicture
) -> None:
    runs = trainer(lanes=2)
    service.call("PUT", f"/api/sessions/{runs.session}/speed", {"speed": 0.1})
    page = visit(service.person("reviewer"), "/watch")
    stopped = runs.watched(1, lane(0), lane(1))
    watched(page, runs)
    page.get_by_role("button", name="Slower").focus()
    keep_picture(page, "watch")
    page.keyboard.press("Space")
    (veto,) = stopped()["vetoes"]
    assert (veto["verdict"], veto["lanes"]) == ("reject", [])
    expect(page.locator("#rate")).to_have_text("0.1 steps/s")
    (event,) = service.events("vetoed", session=runs.session)
    assert event["body"]["verdict"] == "reject"
    assert event["who"] == veto["who"]


def test_one_lane_modified_and_one_episode_ended(
    service: Service, visit: Visitors, trainer: MakeTrainer
) -> None:
    runs = trainer(lanes=2)
    service.call("PUT", f"/api/sessions/{runs.session}/speed", {"speed": 0.1})
    page = visit(service.person("reviewer"), "/watch")
    stopped = runs.watched(1, lane(0), lane(1, action=1, name="check"))
    watched(page, runs)
    for _ in range(2):  # all, lane 0, lane 1
        page.keyboard.press("l")
    expect(page.locator("#proposal")).to_have_text("check")
    page.keyboard.press("m")
    page.keyboard.press("3")
    (veto,) = stopped()["vetoes"]
    assert (veto["verdict"], veto["lanes"], veto["action"]) == ("modify", [1], NAMES.index("hold"))
    stopped = runs.watched(2, lane(0), lane(1))
    expect(page.locator("#picture")).to_have_attribute("src", re.compile("clock=2$"))
    page.keyboard.press("t")
    (veto,) = stopped()["vetoes"]
    assert (veto["verdict"], veto["lanes"]) == ("terminate", [1])


def test_the_picture_moves_and_nothing_stops_it(
    service: Service, visit: Visitors, trainer: MakeTrainer
) -> None:
    runs = trainer(lanes=1)
    page = visit(service.person("reviewer"), "/watch")
    service.call("PUT", f"/api/sessions/{runs.session}/speed", {"speed": 2.0})
    for clock in (1, 2, 3):
        answer = runs.watched(clock, lane(0, step=clock))
        expect(page.locator(".place")).to_contain_text(f"step {clock}")
        assert answer()["vetoes"] == []
    page.keyboard.press("+")
    expect(page.locator("#rate")).to_have_text("3 steps/s")
    page.keyboard.press("-")
    expect(page.locator("#rate")).to_have_text("2 steps/s")
    assert service.call("GET", f"/api/sessions/{runs.session}")["control"]["speed"] == 2.0


def test_the_kill_switch_needs_two_presses(
    service: Service, visit: Visitors, trainer: MakeTrainer
) -> None:
    runs = trainer(lanes=1)
    service.call("PUT", f"/api/sessions/{runs.session}/speed", {"speed": 0.1})
    page = visit(service.person("reviewer"), "/watch")
    stopped = runs.watched(1, lane(0))
    watched(page, runs)
    page.keyboard.press("Shift+K")
    expect(page.get_by_role("button", name="Press again")).to_be_visible()
    assert (
        service.events("control", session=runs.session)[-1]["body"]["control"]["stopped"] is False
    )
    page.keyboard.press("Shift+K")
    assert stopped()["control"]["stopped"] is True
    expect(page.locator("#state")).to_contain_text("stopped")
    (ended,) = service.events("session_ended", session=runs.session)
    assert ended["body"]["reason"] == "stopped"


def test_a_viewer_watches_and_stops_nothing(
    service: Service, visit: Visitors, trainer: MakeTrainer
) -> None:
    runs = trainer(lanes=1)
    page = visit(service.person("viewer"), "/watch")
    answer = runs.watched(1, lane(0))
    watched(page, runs)
    assert page.locator("#answers button").count() == 0
    page.keyboard.press("Space")
    assert answer()["vetoes"] == []
    assert service.events("vetoed", session=runs.session) == []


def test_ratings(
    service: Service, visit: Visitors, trainer: MakeTrainer, keep_picture: KeepPicture
) -> None:
    runs = trainer(lanes=3)
    page = visit(service.person("reviewer"), "/rate")
    batch = runs.ask(lane(0), lane(1, action=1, name="check"), lane(2, name="x"), kind="rating")
    for key, action in (("g", "fast"), ("b", "check"), ("s", "fast")):
        expect(page.locator("#proposal")).to_have_text(action)
        page.wait_for_timeout(450)
        keep_picture(page, "rate")
        page.keyboard.press(key)
        expect(page.locator(".question[data-request$=':0']")).to_have_count(0)
    answers = runs.executed(batch)
    assert [answer.get("rating") for answer in answers] == [1.0, -1.0, None]
    assert len(service.events("decided", session=runs.session)) == 3
