"""A live overseer in the engine: what people answer is what runs, on both faces."""

import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import looplab  # noqa: F401  (registers the tasks)
from looplab.envs.errors import UsageError
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.oversight import (
    Always,
    Autonomous,
    Correction,
    Engine,
    Feedback,
    Gate,
    Hold,
    Overseen,
    RiskAbove,
    ScriptedOverseer,
    Veto,
)
from looplab.oversight.live.controlled import Controlled
from looplab.oversight.live.journal import JournalEnds
from looplab.oversight.live.line import LiveRun
from looplab.oversight.live.overseer import LiveOverseer
from looplab.oversight.protocols.feedback import UNRATED
from looplab.oversight.types import Stopped
from tests.oversight.live.conftest import Robot, Service, say

LANES, STEPS = 3, 12


def lava(num_lanes: int = LANES) -> LavaShortcut:
    lanes = LavaShortcut(num_lanes)
    lanes.reseed(5)
    lanes.reset()
    return lanes


def proposals(steps: int, num_lanes: int = LANES) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4, (steps, num_lanes))


def play(engine: Engine, actions: np.ndarray) -> list[dict[str, Any]]:
    """What was executed, rewarded and said in each step."""
    told = []
    for row in actions:
        record = engine.step(row)
        told.append(
            {
                "executed": record.executed.tolist(), "reward": record.reward.tolist(),
                "verdict": record.verdict.tolist(), "risk": record.risk.tolist(),
                "intervened": record.intervened.tolist(), "misses": record.miss.tolist(),
            }
        )  # fmt: skip
        done = record.terminated | record.truncated
        if done.any():
            engine.lanes.reset(done)
            engine.begin(done)
    return told


def as_scripted(request: dict[str, Any]) -> dict[str, Any]:
    """Refuses what is unsafe, by the risk that is shown."""
    return {"verdict": "reject" if request["shown"]["risks"]["exact"] > 1e-9 else "approve"}


def run_of(session: str, journal: Path | None = None, replay: bool = False) -> LiveRun:
    return LiveRun("lava_shortcut", "in_the_loop", "ppo", session, f"id-{session}", journal, replay)


def test_a_person_who_judges_as_the_scripted_overseer_makes_the_same_run(seat: Service) -> None:
    scripted = play(Engine(lava(), Gate(overseer=ScriptedOverseer())), proposals(STEPS))
    live = LiveOverseer(session="same", patience=20)
    with Robot(seat.person(), as_scripted, "same") as robot:
        told = play(Engine(lava(), Gate(overseer=live)), proposals(STEPS))
    live.close()
    assert told == scripted
    assert len(robot.answered) == STEPS * LANES
    assert any(any(step["intervened"]) for step in told)


@pytest.mark.parametrize(
    ("policy", "executed", "verdict"),
    [
        (say("approve"), 1, "approve"),
        (say("reject"), "hold", "reject"),
        (say("modify", action=2), 2, "modify"),
        (say("modify", action="left"), "left", "modify"),
        (say("escalate"), "hold", "escalate"),
        (say("terminate"), None, "terminate"),
    ],
)
def test_each_verdict_ends_in_its_executed_action_and_in_both_ledgers(
    seat: Service, policy: Callable, executed: Any, verdict: str
) -> None:
    session = f"verdict-{verdict}-{executed}"
    live = LiveOverseer(session=session, patience=20)
    env = Overseen(gym.make("looplab/LavaShortcut-v0"), Gate(overseer=live, fallback=Hold()))
    env.reset(seed=0)
    names = list(LavaShortcut(1).ACTIONS)
    with Robot(seat.person(tier=1), policy, session):
        _, reward, terminated, truncated, info = env.step(1)
    told = info["oversight"]
    assert told["verdict"] == verdict
    if executed is None:
        assert (reward, terminated, truncated) == (0.0, False, True)
    elif executed == "hold":
        assert told["executed_action"] == int(LavaShortcut(1).hold()[0])
    else:
        wanted = names.index(executed) if isinstance(executed, str) else executed
        assert told["executed_action"] == wanted
    assert told["overseer"].startswith("live: p_")
    live.close()
    decided = [
        e
        for e in seat.events()
        if e["session"] == session and e["kind"] in ("decided", "escalated")
    ]
    said = [e["body"].get("answer", e["body"].get("said"))["verdict"] for e in decided]
    assert set(said) == {verdict}


def test_what_is_shown_can_be_reviewed(seat: Service) -> None:
    """Proposal, names, risks, history and a picture; or no risk, where people are studied."""
    seen: list[dict[str, Any]] = []

    def look(request: dict[str, Any]) -> dict[str, Any]:
        seen.append(request)
        return {"verdict": "approve"}

    for show_risk in (True, False):
        session = f"shown-{show_risk}"
        live = LiveOverseer(session=session, show_risk=show_risk, patience=20)
        gate = Gate(trigger=RiskAbove(0.01, source="exact"), overseer=live)
        with Robot(seat.person(), look, session):
            play(Engine(lava(), gate), proposals(STEPS))
        live.close()
    with_risk = [one for one in seen if one["session"] == "shown-True"]
    without = [one for one in seen if one["session"] == "shown-False"]
    assert len(with_risk) == len(without) > 0
    first = with_risk[-1]["shown"]
    assert first["name"] in LavaShortcut(1).ACTIONS
    assert first["risks"]["exact"] > 0
    assert "exact" in first["because"]
    assert first["score"] > first["threshold"]
    assert first["history"][-1]["executed"] in LavaShortcut(1).ACTIONS
    assert with_risk[-1]["picture"]
    for one in without:
        assert not {"risks", "score", "threshold"} & set(one["shown"])
        assert one["priority"] == 0.0
    with seat.owner() as owner:
        png = owner.connection.fetch(f"/api/shown/{with_risk[-1]['context']}/picture")
    assert png.startswith(b"\x89PNG")


def test_a_request_that_nobody_answers_fails_closed(
    own_service: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = own_service("deadlines=[0.2,0.2]")
    monkeypatch.setenv("LOOPLAB_URL", service.url)
    monkeypatch.setenv("LOOPLAB_TOKEN", service.tokens["trainer"])
    live = LiveOverseer(session="nobody", patience=20)
    engine = Engine(lava(1), Gate(overseer=live))
    (told,) = play(engine, proposals(1, 1))
    assert told["executed"] == LavaShortcut(1).hold().tolist()
    assert engine.totals["overdue"] == 1
    live.close()
    assert [e["kind"] for e in service.events() if e["request"]] == [
        "asked", "escalated", "overdue", "released"
    ]  # fmt: skip


def test_feedback_asks_for_ratings_of_what_runs(seat: Service) -> None:
    live = LiveOverseer(session="rated", patience=20)
    given = iter([1.0, None, -0.5])

    def rate(request: dict[str, Any]) -> dict[str, Any]:
        assert request["kind"] == "rating"
        return {"rating": next(given)}

    engine = Engine(lava(1), Feedback(overseer=live))
    with Robot(seat.person(), rate, "rated"):
        told = []
        for row in proposals(3, 1):
            decision = engine.step(row).decision
            told.append((decision.rating[0], decision.reasons.texts[decision.reason[0]]))
    live.close()
    assert told == [(1.0, "approve"), (0.0, UNRATED), (-0.5, "reject")]
    assert engine.totals["reviews"] == 3


def test_on_the_loop_a_veto_stops_the_step_that_is_shown(seat: Service) -> None:
    live = LiveOverseer(session="watched", patience=20)
    engine = Engine(lava(1), Veto(overseer=live, fallback=Hold(), lag=0, override=1))
    actions = np.ones((3, 1), int)
    owner = seat.owner()

    def watch() -> None:
        """Lets the first step run, stops the second, and lets the third run fast."""
        while not any(
            one["id"] == "watched" and one["clock"] is not None
            for one in owner.connection.call("GET", "/api/sessions")
        ):
            time.sleep(0.01)
        owner.connection.call("PUT", "/api/sessions/watched/speed", {"speed": 0.5})
        first = owner.connection.call("GET", "/api/sessions/watched/frame")["clock"]
        owner.connection.call("PUT", "/api/sessions/watched/speed", {"speed": 100.0})
        while owner.connection.call("GET", "/api/sessions/watched/frame")["clock"] == first:
            owner.connection.call("PUT", "/api/sessions/watched/speed", {"speed": 0.5})
        owner.veto("watched", "reject")
        owner.connection.call("PUT", "/api/sessions/watched/speed", {"speed": 100.0})

    import threading

    watcher = threading.Thread(target=watch)
    watcher.start()
    told = play(engine, actions)
    watcher.join()
    live.close()
    owner.connection.close()
    hold = LavaShortcut(1).hold().tolist()
    vetoed = [step["executed"] == hold for step in told]
    assert vetoed.count(True) == 1
    assert not vetoed[0]
    kinds = [e["kind"] for e in seat.events() if e["session"] == "watched"]
    assert kinds.count("vetoed") == kinds.count("veto_taken") == 1


def test_the_kill_switch_stops_every_lane_before_anything_else_runs(seat: Service) -> None:
    live = LiveOverseer(session="killed", patience=20)
    protocol = Controlled({"in_the_loop": Gate(overseer=live)}, live)
    engine = Engine(lava(), protocol)
    owner = seat.owner()
    stopped: list[None] = []

    def stop(request: dict[str, Any]) -> dict[str, Any] | None:
        if request["shown"]["step"] == 2:
            if not stopped:
                stopped.append(owner.stop("killed"))
            return None
        return {"verdict": "approve"}

    actions = np.ones((9, LANES), int)
    with Robot(seat.person(), stop, "killed"):
        for row in actions[:3]:
            record = engine.step(row)
        assert record.halted.all()
        assert [*record.verdict] == [4] * LANES
        with pytest.raises(Stopped, match="stopped by a person"):
            engine.step(actions[3])
    live.close()
    owner.connection.close()
    assert engine.totals["interventions"] == LANES


def test_a_pause_holds_a_run_that_asks_nobody(seat: Service) -> None:
    import threading

    live = LiveOverseer(session="paused", patience=20)
    protocol = Controlled({"autonomous": Autonomous(), "gate": Gate(overseer=live)}, live)
    engine = Engine(lava(1), protocol)
    owner = seat.owner()
    engine.step(np.array([1]))
    owner.connection.call("PATCH", "/api/sessions/paused/control", {"paused": True})
    while not live.line.control.paused:
        time.sleep(0.01)
    stepped = threading.Event()
    thread = threading.Thread(target=lambda: (engine.step(np.array([1])), stepped.set()))
    thread.start()
    assert not stepped.wait(0.3)
    owner.connection.call("PATCH", "/api/sessions/paused/control", {"paused": False})
    assert stepped.wait(10)
    thread.join()
    live.close()
    owner.connection.close()


def test_another_regime_comes_into_force_at_a_step_and_is_replayed_there(
    seat: Service, tmp_path: Path
) -> None:
    def made(replay: bool) -> tuple[LiveOverseer, Engine]:
        live = LiveOverseer(session="switched", patience=20)
        live.bind(LiveRun(
            "lava_shortcut", "gate", "ppo", "switched", "id-switched", tmp_path / "j.jsonl",
            replay, ("gate", "alone"),
        ))  # fmt: skip
        protocol = Controlled({"gate": Gate(overseer=live), "alone": Autonomous()}, live)
        return live, Engine(lava(1), protocol)

    live, engine = made(replay=False)
    owner = seat.owner()
    with Robot(seat.person(), say("reject"), "switched"):
        told = play(engine, np.ones((3, 1), int))
        owner.connection.call("PATCH", "/api/sessions/switched/control", {"regime": "alone"})
        while live.line.control.regime != "alone":
            time.sleep(0.01)
        told += play(engine, np.ones((3, 1), int))
    live.close()
    owner.connection.close()
    assert [step["intervened"][0] for step in told] == [True] * 3 + [False] * 3
    again, engine = made(replay=True)
    assert play(engine, np.ones((6, 1), int)) == told
    again.close()


def test_a_run_goes_on_from_its_journal_and_replays_from_it_alone(
    seat: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, actions = tmp_path / "journal.jsonl", proposals(STEPS)
    whole = LiveOverseer(session="whole", patience=20)
    whole.bind(run_of("whole", tmp_path / "whole.jsonl"))
    with Robot(seat.person(), as_scripted, "whole"):
        wanted = play(Engine(lava(), Gate(overseer=whole)), actions)
    whole.close()

    first = LiveOverseer(session="again", patience=20)
    first.bind(run_of("again", journal))
    with Robot(seat.person(), as_scripted, "again"):
        play(Engine(lava(), Gate(overseer=first)), actions[:5])
        first.close(finished=False)  # as if it were killed here
        second = LiveOverseer(session="again", patience=20)
        second.bind(run_of("again", journal))
        told = play(Engine(lava(), Gate(overseer=second)), actions)
        assert second.repeated == 5
        second.close()
    assert told == wanted

    monkeypatch.delenv("LOOPLAB_URL")
    monkeypatch.delenv("LOOPLAB_TOKEN")
    replay = LiveOverseer(session="again")
    replay.bind(run_of("again", journal, replay=True))
    engine = Engine(lava(), Gate(overseer=replay))
    assert play(engine, actions) == wanted
    with pytest.raises(JournalEnds):
        engine.step(actions[0])
    replay.close()


def test_without_its_journal_a_run_is_told_again_by_the_service(seat: Service) -> None:
    """Requests have the same names: what was answered is not asked of anybody again."""
    actions = proposals(4)
    one = LiveOverseer(session="told-again", patience=20)
    with Robot(seat.person(), as_scripted, "told-again") as robot:
        wanted = play(Engine(lava(), Gate(overseer=one)), actions)
        one.close(finished=False)
    two = LiveOverseer(session="told-again", patience=20)
    assert play(Engine(lava(), Gate(overseer=two)), actions) == wanted
    two.close()
    assert len(robot.answered) == 4 * LANES


def test_lanes_that_wait_together_can_be_answered_by_several_people(seat: Service) -> None:
    live = LiveOverseer(session="several", patience=20)
    only = [lambda request, lane=lane: {"verdict": "approve"} if request["lane"] == lane else None
            for lane in range(LANES)]  # fmt: skip
    engine = Engine(lava(), Gate(overseer=live))
    with (
        Robot(seat.person(), only[0], "several") as one,
        Robot(seat.person(), only[1], "several") as two,
        Robot(seat.person(), only[2], "several") as three,
    ):
        play(engine, proposals(3))
    live.close()
    assert [len(robot.answered) for robot in (one, two, three)] == [3, 3, 3]


def test_a_copy_connects_anew_and_a_journal_is_not_copied(tmp_path: Path) -> None:
    live = LiveOverseer("http://127.0.0.1:1", session="copied")
    assert pickle.loads(pickle.dumps(live)).url == live.url
    live.bind(run_of("copied", tmp_path / "j.jsonl"))
    live._kept(lava(1))
    with pytest.raises(UsageError, match="cannot be copied"):
        pickle.dumps(live)
    live.close()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: LiveOverseer("localhost:8700"), "as in http://127"),
        (lambda: LiveOverseer("http://user:pass@host"), "no secrets"),
        (lambda: LiveOverseer("http://host/#token=x"), "no secrets"),
        (lambda: LiveOverseer("http://h", patience=-1.0), "patience"),
        (lambda: Engine(lava(65), Gate(overseer=LiveOverseer("http://h"))), "at most 64 lanes"),
    ],
)
def test_what_cannot_work_is_refused_at_once(build: Callable, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build()


def test_without_a_service_or_a_token_one_line_says_what_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("LOOPLAB_URL", "LOOPLAB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match="needs a service"):
        Engine(lava(1), Gate(overseer=LiveOverseer())).step(np.array([0]))
    with pytest.raises(UsageError, match="LOOPLAB_TOKEN"):
        Engine(lava(1), Gate(overseer=LiveOverseer("http://127.0.0.1:1"))).step(np.array([0]))


def test_corrections_of_the_task_run_where_the_fallback_is_one(seat: Service) -> None:
    live = LiveOverseer(session="corrected", patience=20)
    engine = Engine(lava(1), Gate(trigger=Always(), overseer=live, fallback=Correction()))
    with Robot(seat.person(), say("reject"), "corrected"):
        wanted = engine.lanes.correction().tolist()
        (told,) = play(engine, np.array([[1]]))
    live.close()
    assert told["executed"] == wanted
    assert told["verdict"] == [1]  # modify
