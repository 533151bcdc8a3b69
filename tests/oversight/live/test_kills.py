"""Nothing that was acknowledged is lost, and nothing is there twice, whoever is killed when."""

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.oversight import Engine, Gate
from looplab.oversight.live.audit import verify
from looplab.oversight.live.chain import key_from
from looplab.oversight.live.client import ReviewerClient
from looplab.oversight.live.database import connect
from looplab.oversight.live.overseer import LiveOverseer
from looplab.oversight.live.places import ANCHORS, DEFAULT_DATABASE, KEY_FILE
from looplab.oversight.live.refusal import Refused
from tests.oversight.live.conftest import Robot, Service, say

LANES, BATCHES = 50, 20
VERDICTS = LANES * BATCHES
KILLED_AFTER = 333


def is_whole(service: Service) -> bool:
    """Whether an audit of the service's ledger finds nothing."""
    engine = connect(f"sqlite:///{service.home / DEFAULT_DATABASE}")
    try:
        found = verify(engine, key_from(service.home / KEY_FILE), service.home / ANCHORS)
    finally:
        engine.dispose()
    assert found.findings == ()
    return True


def test_a_service_killed_among_a_thousand_verdicts_keeps_each_that_it_acknowledged(
    own_service: Callable[..., Service],
) -> None:
    service = own_service("deadlines=[null]")
    trainer = service.trainer("kill", patience=60.0, lanes=LANES)
    trainer.open()
    for batch in range(BATCHES):
        trainer.ask(f"b{batch}", [{"lane": lane, "values": {"b": batch}} for lane in range(LANES)])
    names = [f"kill:b{batch}:{lane}" for batch in range(BATCHES) for lane in range(LANES)]
    said = {name: ("approve", "reject")[n % 2] for n, name in enumerate(names)}
    reviewers = [service.person(name=f"r{n}") for n in range(4)]
    acknowledged: set[str] = set()
    lock = threading.Lock()

    def answer(client: ReviewerClient, mine: list[str]) -> None:
        """One at a time and in tens; what is not acknowledged is said again."""
        for at in range(0, len(mine), 11):
            client.answer(mine[at], said[mine[at]])
            with lock:
                acknowledged.add(mine[at])
            many = mine[at + 1 : at + 11]
            if not many:
                continue
            told = client.answer_many([{"request": n, "verdict": said[n]} for n in many])
            assert all(one["ok"] for one in told), told
            with lock:
                acknowledged.update(many)

    threads = [
        threading.Thread(target=answer, args=(client, names[n::4]))
        for n, client in enumerate(reviewers)
    ]
    for thread in threads:
        thread.start()
    while len(acknowledged) < KILLED_AFTER:
        time.sleep(0.001)
    service.end(signal.SIGKILL)
    before = set(acknowledged)
    assert KILLED_AFTER <= len(before) < VERDICTS
    service.start()  # the same port; the reviewers' programs go on by themselves
    for thread in threads:
        thread.join(60)
    decided = [e["request"] for e in service.events("decided")]
    assert sorted(decided) == sorted(names)  # each once: none is lost, none is there twice
    kept = {e["request"]: e["body"]["answer"]["verdict"] for e in service.events("decided")}
    assert kept == said
    for batch in range(BATCHES):
        told = trainer.answers(f"b{batch}")
        assert told["ready"]
        assert [a["verdict"] for a in told["answers"]] == [
            said[f"kill:b{batch}:{lane}"] for lane in range(LANES)
        ]
    for client in reviewers:
        client.connection.close()
    trainer.connection.close()
    service.end()
    assert is_whole(service)


def test_training_goes_on_over_restarts_of_the_service(
    own_service: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = own_service("deadlines=[null]")
    monkeypatch.setenv("LOOPLAB_URL", service.url)
    monkeypatch.setenv("LOOPLAB_TOKEN", service.tokens["trainer"])
    actions = np.random.default_rng(1).integers(0, 4, (60, 2))

    def executed(overseer: Any) -> list[list[int]]:
        lanes = LavaShortcut(2)
        lanes.reseed(3)
        lanes.reset()
        engine = Engine(lanes, Gate(overseer=overseer))
        found = []
        for row in actions:
            record = engine.step(row)
            found.append(record.executed.tolist())
            done = record.terminated | record.truncated
            if done.any():
                lanes.reset(done)
                engine.begin(done)
        return found

    live = LiveOverseer(session="restarts", patience=60.0)
    stepping = threading.Event()
    found: list[list[list[int]]] = []
    thread = threading.Thread(target=lambda: (stepping.set(), found.append(executed(live))))
    with Robot(service.person(), say("reject")) as robot:
        thread.start()
        for enough in (20, 60):
            while len(robot.answered) < enough:
                time.sleep(0.002)
            service.end(signal.SIGKILL)
            service.start()
        thread.join(90)
    live.close()
    hold = LavaShortcut(2).hold().tolist()
    assert found == [[hold] * len(actions)]
    asked = [e["request"] for e in service.events("asked")]
    assert len(asked) == len(set(asked)) == 120
    assert len(service.events("released")) == 120
    service.end()
    assert is_whole(service)


def test_what_a_killed_trainer_asked_is_withdrawn_and_asked_again_by_the_next(
    own_service: Callable[..., Service],
) -> None:
    service = own_service("deadlines=[null]", "lease_seconds=0.5")
    trainer = service.trainer("gone")
    trainer.open()
    trainer.ask("b", [{"lane": lane, "values": {}} for lane in range(2)])
    ann = service.person()
    ann.answer("gone:b:0", "modify", action="left", text="kept")
    trainer.connection.close()
    end = time.monotonic() + 20
    while ann.waiting() and time.monotonic() < end:
        time.sleep(0.05)
    with pytest.raises(Refused) as late:
        ann.answer("gone:b:1", "approve")
    assert late.value.code == "withdrawn"
    assert [e["request"] for e in service.events("withdrawn")] == ["gone:b:1"]

    following = service.trainer("gone")
    following.open()
    following.ask("b", [{"lane": lane, "values": {}} for lane in range(2)])
    assert [one["id"] for one in ann.waiting()] == ["gone:b:1"]  # the other has its answer
    ann.answer("gone:b:1", "approve")
    told = following.answers("b")["answers"]
    assert [(a["verdict"], a.get("action")) for a in told] == [("modify", 0), ("approve", None)]
    following.end()
    following.connection.close()
    ann.connection.close()
    service.end()
    assert is_whole(service)


def test_two_reviewers_at_once_one_wins_and_the_other_is_told_so(
    own_service: Callable[..., Service],
) -> None:
    service = own_service("deadlines=[null]")
    trainer = service.trainer("race")
    trainer.open()
    rounds = 30
    outcomes: dict[str, list[str]] = {}
    people = [service.person(name=name) for name in ("Ann", "Bob")]
    barrier = threading.Barrier(2)

    def answer(client: ReviewerClient, verdict: str) -> None:
        for number in range(rounds):
            name = f"race:b{number}:0"
            barrier.wait()
            if client is people[0]:
                trainer.ask(f"b{number}", [{"lane": 0, "values": {}}])
            barrier.wait()
            try:
                client.answer(name, verdict)
                outcomes.setdefault(name, []).append(verdict)
            except Refused as refused:
                told = refused.code == "answered" and refused.details["by"].startswith("p_")
                outcomes.setdefault(name, []).append("told so" if told else refused.code)

    threads = [
        threading.Thread(target=answer, args=pair)
        for pair in zip(people, ("approve", "reject"), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(outcomes) == rounds
    for number in range(rounds):
        name = f"race:b{number}:0"
        won = [one for one in outcomes[name] if one != "told so"]
        assert len(won) == 1
        assert outcomes[name].count("told so") == 1
        told = trainer.answers(f"b{number}")["answers"]
        assert [a["verdict"] for a in told] == won
    for client in people:
        client.connection.close()
    trainer.connection.close()
