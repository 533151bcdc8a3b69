"""The review view: each answer ends in what is executed and in the ledger."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from .conftest import NAMES, PNG, Service, Trainer, Visitors, lane, wait_for

MakeTrainer = Callable[..., Trainer]
KeepPicture = Callable[[Page, str], Path]
BOX = {"low": [-1.0, 0.0], "high": [1.0, 2.0]}
#: A key that comes too soon after a question appeared is not taken; this is long enough.
SETTLED_MS = 450


def opened(page: Page, action: str = "fast") -> None:
    """Waits until a question is open and can be answered."""
    expect(page.locator("#proposal")).to_have_text(action)
    expect(page.locator(".question")).to_have_attribute("data-request", re.compile("."))
    page.wait_for_timeout(SETTLED_MS)


def decided(service: Service, session: str) -> list[dict[str, Any]]:
    """What the ledger says was decided in a session."""
    return service.events("decided", session=session)


@pytest.mark.parametrize(
    ("key", "verdict"),
    [("a", "approve"), ("r", "reject"), ("t", "terminate")],
)
def test_one_key_answers(
    service: Service, visit: Visitors, trainer: MakeTrainer, key: str, verdict: str
) -> None:
    runs = trainer()
    page = visit(service.person("reviewer"))
    batch = runs.ask(lane())
    opened(page)
    page.keyboard.press(key)
    (answer,) = runs.executed(batch)
    assert (answer["verdict"], answer["lane"]) == (verdict, 0)
    (event,) = decided(service, runs.session)
    assert event["who"].startswith("p_")
    assert event["body"]["answer"]["verdict"] == verdict
    expect(page.locator("#status")).to_contain_text("lane 0")
    expect(page.locator(".question")).to_have_attribute("data-idle", "yes")


def test_buttons_with_reasons_and_a_remark(
    service: Service, visit: Visitors, trainer: MakeTrainer, keep_picture: KeepPicture
) -> None:
    runs = trainer()
    page = visit(service.person("reviewer"))
    batch = runs.ask(lane())
    opened(page)
    page.get_by_role("button", name="too risky").click()
    page.keyboard.press("x")
    page.keyboard.type("a remark with a, r and <b>t</b>")
    page.keyboard.press("Escape")
    keep_picture(page, "review")
    page.get_by_role("button", name="Reject").click()
    (answer,) = runs.executed(batch)
    assert (answer["verdict"], answer["tags"]) == ("reject", ["too risky"])
    assert answer["text"].startswith("t_")  # kept apart, by its number
    expect(page.locator("#note")).to_have_value("")
    assert page.locator(".tag[aria-pressed=true]").count() == 0


def test_modify_by_number_key(service: Service, visit: Visitors, trainer: MakeTrainer) -> None:
    runs = trainer()
    page = visit(service.person("reviewer"))
    batch = runs.ask(lane())
    opened(page)
    page.keyboard.press("2")  # a reason, as long as no action is asked for
    page.keyboard.press("m")
    page.keyboard.press("2")
    (answer,) = runs.executed(batch)
    assert (answer["verdict"], answer["action"]) == ("modify", NAMES.index("safe"))
    assert answer["tags"] == ["too risky"]
    expect(page.locator("#status")).to_contain_text("Modified to safe")


def test_modify_by_name_where_there_are_many(
    service: Service, visit: Visitors, trainer: MakeTrainer
) -> None:
    names = [f"move {at}" for at in range(24)]
    runs = trainer(actions={"n": 24, "names": names})
    page = visit(service.person("reviewer"))
    batch = runs.ask(lane(name="move 0", alternatives=[]))
    opened(page, "move 0")
    page.keyboard.press("m")
    page.keyboard.type("move 17")
    page.keyboard.press("Enter")
    (answer,) = runs.executed(batch)
    assert (answer["verdict"], answer["action"]) == ("modify", 17)


def test_modify_numbers_within_bounds(
    service: Service, visit: Visitors, trainer: MakeTrainer
) -> None:
    runs = trainer(actions=BOX)
    page = visit(service.person("reviewer"))
    batch = runs.ask(lane(action=[0.5, 1.5], name="[0.5, 1.5]", alternatives=[]))
    opened(page, "(0.5, 1.5)")
    page.keyboard.press("m")
    first = page.locator("#chooser input").first
    assert first.input_value() == "0.5"  # what was proposed stands there at first
    first.fill("7")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text("is not in [-1, 1]")
    assert first.input_value() == "7"  # nothing is lost
    first.fill("-0.25")
    page.keyboard.press("Enter")
    (answer,) = runs.executed(batch)
    assert (answer["verdict"], answer["action"]) == ("modify", [-0.25, 1.5])


def test_escalate_goes_to_the_next_tier(
    service: Service, visit: Visitors, trainer: MakeTrainer
) -> None:
    runs = trainer()
    first, second = visit(service.person("reviewer", 0)), visit(service.person("reviewer", 1))
    second.goto(f"{service.url}/console/watch")  # so that it takes nothing yet
    batch = runs.ask(lane())
    opened(first)
    first.keyboard.press("e")
    expect(first.locator(".question")).to_have_attribute("data-idle", "yes")
    second.goto(f"{service.url}/console/")
    opened(second)
    expect(second.locator("#holder")).to_contain_text("Tier 1")
    second.keyboard.press("a")
    (answer,) = runs.executed(batch)
    assert answer["verdict"] == "approve"
    assert len(service.events("escalated", session=runs.session)) == 1


def test_nobody_in_time_fails_closed(
    service: Service, visit: Visitors, trainer: MakeTrainer
) -> None:
    runs = trainer()
    page = visit(service.person("reviewer", 9))
    service.settings(deadlines=[1.2])
    try:
        batch = runs.ask(lane())
        opened(page)
        (answer,) = runs.executed(batch)
    finally:
        service.settings(deadlines=[60.0, 60.0])
    assert (answer["verdict"], answer["overdue"]) == ("escalate", True)
    assert len(service.events("overdue", session=runs.session)) == 1
    expect(page.locator("#status")).to_contain_text("failed closed")


def test_undo_until_it_was_executed(
    service: Service, visit: Visitors, trainer: MakeTrainer
) -> None:
    runs = trainer()
    page = visit(service.person("reviewer"))
    batch = runs.ask(lane(0), lane(1, action=2, name="safe"))
    opened(page)
    page.keyboard.press("a")  # the other lane of the batch still waits
    opened(page, "safe")
    page.keyboard.press("u")
    opened(page, "fast")
    page.keyboard.press("r")
    opened(page, "safe")
    page.keyboard.press("a")
    assert [a["verdict"] for a in runs.executed(batch)] == ["reject", "approve"]
    assert len(service.events("undone", session=runs.session)) == 1
    page.keyboard.press("Control+z")
    expect(page.locator("#status")).to_contain_text("Too late to undo")


def test_the_most_urgent_first_and_one_question_for_one_person(
    service: Service, visit: Visitors, trainer: MakeTrainer
) -> None:
    runs = trainer(lanes=3)
    low = runs.ask(lane(0, name="fast"), priority=0.1)
    high = runs.ask(lane(1, action=1, name="check"), priority=0.9)
    first = visit(service.person("reviewer"))
    opened(first, "check")
    second = visit(service.person("reviewer"))
    opened(second, "fast")
    expect(first.locator("#waiting")).to_contain_text("2 waiting")
    expect(first).to_have_title(re.compile(r"^\(2\) Review"))
    second.keyboard.press("n")  # nothing else is free: it stays
    opened(second, "fast")
    first.keyboard.press("a"), second.keyboard.press("r")
    assert [a["verdict"] for a in runs.executed(high)] == ["approve"]
    assert [a["verdict"] for a in runs.executed(low)] == ["reject"]
    expect(first).to_have_title("Review · LoopLab")


def test_somebody_else_was_first(service: Service, visit: Visitors, trainer: MakeTrainer) -> None:
    runs = trainer()
    viewer, page = visit(service.person("viewer")), visit(service.person("reviewer"))
    batch = runs.ask(lane())
    opened(page), opened(viewer)
    request = page.locator(".question").get_attribute("data-request")
    page.keyboard.press("x")
    page.keyboard.type("half a sentence")
    me = service.call("GET", f"/api/requests/{request}")["claimed_by"]
    rival = service.person("reviewer")
    service.settings(claim_seconds=0.05)  # the claim lapses, and is not renewed in time
    try:
        page.evaluate(
            "Object.defineProperty(document, 'hidden', {value: true}) && "
            "document.dispatchEvent(new Event('visibilitychange'))"
        )
        wait_for(
            lambda: service.call("GET", f"/api/requests/{request}")["claimed_by"] != me, "release"
        )
        service.call("POST", f"/api/requests/{request}/verdict", {"verdict": "reject"}, rival)
    finally:
        service.settings(claim_seconds=30.0)
    # A key that was on its way meets a question that is answered already.
    page.evaluate(
        "request => emitEvent('press', {what: 'approve', request, value: '', tags: [], text: '', "
        "form: {}, action: null})",
        request,
    )
    expect(page.locator("#status")).to_contain_text("Somebody else answered first")
    assert page.locator("#note").input_value() == "half a sentence"
    assert [a["verdict"] for a in runs.executed(batch)] == ["reject"]
    codes = [e["body"]["code"] for e in service.events("refused")]
    assert "answered" in codes


def test_a_key_too_soon_is_meant_for_the_question_before(
    service: Service, visit: Visitors, trainer: MakeTrainer
) -> None:
    runs = trainer()
    page = visit(service.person("reviewer"))
    first = runs.ask(lane(0))
    opened(page)
    second = runs.ask(lane(1, action=2, name="safe"))
    page.keyboard.press("a")
    page.wait_for_function("document.querySelector('#proposal').textContent === 'safe'")
    page.keyboard.press("a")
    page.keyboard.press("a")
    assert [a["verdict"] for a in runs.executed(first)] == ["approve"]
    page.wait_for_timeout(SETTLED_MS)
    assert len(decided(service, runs.session)) == 1
    page.keyboard.press("r")
    assert [a["verdict"] for a in runs.executed(second)] == ["reject"]


def test_the_question_is_left_with_the_page(
    service: Service, visit: Visitors, trainer: MakeTrainer
) -> None:
    runs = trainer()
    page = visit(service.person("reviewer"))
    runs.ask(lane())
    opened(page)
    request = page.locator(".question").get_attribute("data-request")
    assert service.call("GET", f"/api/requests/{request}")["claimed_by"]
    page.close()
    wait_for(
        lambda: not service.call("GET", f"/api/requests/{request}")["claimed_by"], "release", 15.0
    )


def test_a_viewer_sees_and_has_no_buttons(
    service: Service, visit: Visitors, trainer: MakeTrainer, keep_picture: KeepPicture
) -> None:
    runs = trainer()
    page = visit(service.person("viewer"))
    runs.ask(lane())
    opened(page)
    keep_picture(page, "viewer")
    own = page.locator("#main button, #main input, #main [data-press]")
    assert own.count() == 0
    for key in "aretm":
        page.keyboard.press(key)
    request = page.locator(".question").get_attribute("data-request")
    page.evaluate(  # what no button offers is not taken either
        "request => emitEvent('press', {what: 'approve', request, value: '', tags: [], text: '', "
        "form: {}, action: null})",
        request,
    )
    expect(page.locator("#status")).to_contain_text("your role, viewer, may not do that")
    assert decided(service, runs.session) == []
    assert service.call("GET", f"/api/requests/{request}")["claimed_by"] == ""


def test_risk_is_absent_where_it_is_hidden(
    service: Service, visit: Visitors, trainer: MakeTrainer
) -> None:
    runs = trainer()
    hidden = lane()
    for name in ("risks", "score", "threshold"):
        del hidden[name]
    page = visit(service.person("reviewer"))
    runs.ask(hidden)
    opened(page)
    expect(page.locator(".risks")).to_be_hidden()
    expect(page.locator("#why")).to_contain_text("of highest risk")


def test_by_keyboard_alone_with_a_visible_focus(
    service: Service, visit: Visitors, trainer: MakeTrainer
) -> None:
    runs = trainer()
    page = visit(service.person("reviewer"))
    batch = runs.ask(lane())
    opened(page)
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.innerText.split('\\n')[0]"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", seen[-1]
        if seen[-1] == "Reject":
            break
    assert {"Review", "Watch", "Log out", "unsafe", "Undo", "Approve", "Reject"} <= set(seen)
    page.keyboard.press("Enter")
    assert [a["verdict"] for a in runs.executed(batch)] == ["reject"]
    page.keyboard.press("Shift+?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("phone", {"viewport": {"width": 390, "height": 844}, "has_touch": True}),
        ("zoom_200", {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2}),
        ("dark", {"color_scheme": "dark"}),
    ],
)  # fmt: skip
def test_readable_everywhere(
    service: Service, visit: Visitors, trainer: MakeTrainer, keep_picture: KeepPicture,
    name: str, settings: dict[str, Any],
) -> None:  # fmt: skip
    runs = trainer()
    page = visit(service.person("reviewer"), **settings)
    expect(page.locator("#waiting")).to_have_text("Nothing waits.")
    idle = page.locator("#answers").bounding_box()
    batch = runs.ask(lane())
    opened(page)
    keep_picture(page, name)
    assert page.locator("#answers").bounding_box() == idle  # nothing moves when a question comes
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(21, 24, 28)") == (name == "dark")
    approve = page.get_by_role("button", name="Approve")
    box = approve.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= page.viewport_size["height"]  # type: ignore[index]
    approve.click()
    assert [a["verdict"] for a in runs.executed(batch)] == ["approve"]


SAID = {"first": "1", "second": "2", "equal": "=", "skip": "s"}


@pytest.mark.parametrize("said", SAID)
def test_one_key_compares_two_segments(
    service: Service, visit: Visitors, trainer: MakeTrainer, keep_picture: KeepPicture, said: str
) -> None:  # fmt: skip
    runs = trainer()
    page = visit(service.person("reviewer"))
    values = {
        "title": "Which of the two is better?", "text": ["What lane 0 lately did."],
        "table": [["", "step 1"], ["first", "up"], ["second", "down"]],
        "keys": list(SAID.values()),
    }  # fmt: skip
    ask = {"lane": 0, "kind": "form", "values": values, "picture": PNG,
           "form": [{"name": "better", "options": list(SAID)}]}  # fmt: skip
    runs.client.ask("pair", [ask])
    expect(page.get_by_role("heading", name="Which of the two is better?")).to_be_visible()
    page.wait_for_timeout(SETTLED_MS)
    keep_picture(page, "pair")
    page.keyboard.press(SAID[said])
    (answer,) = runs.executed("pair")
    assert answer["values"] == {"better": said}
    (event,) = decided(service, runs.session)
    assert event["body"]["answer"]["values"] == {"better": said}
    expect(page.locator("[data-filling]")).to_have_count(0)
