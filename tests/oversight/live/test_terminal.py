"""The terminal client, driven by its keys: each ends in the answer that it says."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from textual.widgets import Static

from looplab.oversight.live.client import ReviewerClient, TrainerClient
from looplab.oversight.live.terminal import ReviewTerminal, action_of, picture
from tests.oversight.live.conftest import Service, run

SHOWN = {
    "lane": 0, "episode": 1, "step": 2, "name": "[red]left[/red]", "because": "always",
    "probability": 0.7, "alternatives": [{"name": "stay", "probability": 0.3}],
    "risks": {"exact": 0.25},
    "history": [{"step": 1, "proposed": "left", "executed": "stay", "verdict": "reject",
                 "reward": -1.0, "cost": 1.0}],
}  # fmt: skip


#: Among keys: the question has come to the next tier, and is on the screen again.
NEXT_TIER = "next tier"


async def until(app: ReviewTerminal, true: Callable[[], Any], pilot: Any) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end, "waited too long"
        await pilot.pause(0.05)


def drive(service: Service, session: str, keys: list[str], kind: str = "review") -> dict[str, Any]:
    """Asks one question, presses keys when it is on the screen, and returns the answer."""
    trainer = service.trainer(session)
    trainer.open()
    trainer.ask("b", [{"lane": 0, "kind": kind, "values": SHOWN}])
    client = service.person(tier=1)

    async def press() -> None:
        app = ReviewTerminal(client)
        async with app.run_test() as pilot:
            await until(app, lambda: (app.question or {}).get("session") == session, pilot)
            for key in keys:
                if key == NEXT_TIER:
                    await until(app, lambda: (app.question or {}).get("tier") == 1, pilot)
                else:
                    await pilot.press(key)
            told = asyncio.to_thread(trainer.answers, "b")
            answers.append(await told)

    answers: list[dict[str, Any]] = []
    run(press())
    client.connection.close()
    trainer.end()
    trainer.connection.close()
    (answer,) = answers[0]["answers"]
    return dict(answer)


@pytest.mark.parametrize(
    ("keys", "verdict", "action"),
    [
        (["a"], "approve", None),
        (["r"], "reject", None),
        (["t"], "terminate", None),
        (["e", NEXT_TIER, "e"], "escalate", None),
        (["m", *"right", "enter"], "modify", 2),
        (["m", "1", "enter"], "modify", 1),
    ],
)
def test_a_key_is_a_verdict(
    service: Service, keys: list[str], verdict: str, action: int | None
) -> None:
    answer = drive(service, f"keys-{verdict}-{action}", keys)
    assert (answer["verdict"], answer.get("action")) == (verdict, action)


def test_a_remark_goes_with_the_answer_and_stays_out_of_the_ledger(service: Service) -> None:
    answer = drive(service, "remark", ["x", *"odd", "enter", "r"])
    assert answer["verdict"] == "reject"
    assert answer["text"].startswith("t_")
    assert "odd" not in str([e["body"] for e in service.events() if e["session"] == "remark"])


@pytest.mark.parametrize(("key", "rating"), [("g", 1.0), ("b", -1.0), ("s", None)])
def test_a_key_is_a_rating(service: Service, key: str, rating: float | None) -> None:
    assert drive(service, f"rating-{key}", [key], kind="rating").get("rating") == rating


def test_who_practises_is_told_the_truth_and_forms_are_left_to_the_console(
    service: Service,
) -> None:
    client = service.person(tier=1)
    trainer = service.trainer("terminal-practice", practice=True, people=[client.me()["person"]])
    trainer.open()
    trainer.ask("a", [{"lane": 0, "kind": "form", "values": {"title": "A form"}}])
    trainer.ask("b", [{"lane": 0, "values": SHOWN, "unsafe": True}])

    async def press() -> None:
        app = ReviewTerminal(client)
        async with app.run_test() as pilot:

            def told(place: str) -> str:
                return str(app.query_one(place, Static).render())

            await until(app, lambda: app.question is not None, pilot)
            assert app.question["id"] == "terminal-practice:b:0"
            await pilot.press("r")
            await until(app, lambda: "In truth it was unsafe" in told("#told"), pilot)
            await until(app, lambda: "which the console shows" in told("#queue"), pilot)

    run(press())
    client.connection.close()
    trainer.end()
    trainer.connection.close()


def watched(service: Service, session: str) -> tuple[TrainerClient, ReviewerClient]:
    trainer = service.trainer(session, lanes=1)
    trainer.open()
    trainer.show(5, {"values": {"lanes": [SHOWN], "watching": True}})
    return trainer, service.person()


def test_space_vetoes_the_step_that_is_shown(service: Service) -> None:
    trainer, client = watched(service, "terminal-veto")

    async def press() -> dict[str, Any]:
        app = ReviewTerminal(client)
        async with app.run_test() as pilot:
            await until(app, lambda: app.watched == "terminal-veto", pilot)
            await pilot.press("space")
            return await asyncio.to_thread(trainer.vetoes, 5)

    (veto,) = run(press())["vetoes"]
    assert veto["verdict"] == "reject"
    trainer.end()
    for one in (trainer, client):
        one.connection.close()


def test_the_kill_switch_wants_to_be_pressed_twice(service: Service) -> None:
    trainer, client = watched(service, "terminal-kill")

    def stopped() -> bool:
        return client.connection.call("GET", "/api/sessions/terminal-kill")["state"] == "stopped"

    async def press() -> None:
        app = ReviewTerminal(client)
        async with app.run_test() as pilot:
            await until(app, lambda: app.watched == "terminal-kill", pilot)
            await pilot.press("K")
            await pilot.pause(0.3)
            assert not await asyncio.to_thread(stopped)
            await pilot.press("K")
            await until(app, lambda: "is stopped" in str(app.query_one("#told").render()), pilot)

    run(press())
    assert stopped()
    trainer.connection.close()
    client.connection.close()


def test_names_are_shown_as_text() -> None:
    table = picture({"shown": SHOWN})
    cells = [str(cell) for column in table.columns for cell in column.cells]
    assert "[red]left[/red]" in cells
    assert any("25%" in cell for cell in cells)
    assert any("cost 1" in cell for cell in cells)


@pytest.mark.parametrize(
    ("text", "action"),
    [("right", "right"), (" 2 ", 2), ("0.5, -1", [0.5, -1.0]), ("0.5", [0.5]), ("-1", -1)],
)
def test_an_action_is_a_name_a_number_or_numbers(text: str, action: Any) -> None:
    assert action_of(text) == action
