"""Live people compare segments: what they say is the label, and takes the time that it takes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.oversight import Comparisons, Engine
from looplab.oversight.live.overseer import LiveOverseer
from looplab.oversight.live.pairs import KEYS, LABELS, LivePairs
from tests.oversight.live.conftest import Robot, Service
from tests.oversight.live.test_overseer import run_of

STEPS = 24


def collected(overseer: LiveOverseer, **more: Any) -> tuple[Engine, Any]:
    """A little run of two lanes, and what was compared in it."""
    lanes = LavaShortcut(2)
    lanes.reseed(5)
    lanes.reset()
    protocol = Comparisons(LivePairs(overseer), every=6, segment_steps=3, recent_steps=50, **more)
    engine = Engine(lanes, protocol)
    for row in np.random.default_rng(0).choice([0, 4], (STEPS, 2)):
        done = engine.step(row).done
        if done.any():
            lanes.reset(done)
            engine.begin(done)
    return engine, engine.state(protocol).preferences()


@pytest.mark.parametrize("said", list(LABELS))
def test_what_people_say_is_the_label(seat: Service, said: str) -> None:
    seen: list[dict[str, Any]] = []

    def judge(request: dict[str, Any]) -> dict[str, Any]:
        seen.append(request)
        return {"values": {"better": said}}

    live = LiveOverseer(session=f"pairs-{said}", patience=20)
    with Robot(seat.person(tier=1), judge, f"pairs-{said}"):
        engine, found = collected(live)
    live.close()
    assert len(found) == len(seen) > 3
    assert np.array_equal(found.label, np.full(len(found), LABELS[said]), equal_nan=True)
    assert engine.totals["reviews"] == len(found)
    assert engine.totals["human_seconds"] > 0.0
    assert engine.totals["interventions"] == 0
    for asked in seen:
        shown = asked["shown"]
        assert asked["kind"] == "form"
        assert asked["picture"]
        assert shown["keys"] == list(KEYS)
        assert [len(row) for row in shown["table"]] == [4, 4, 4]
        assert not {"reward", "cost", "risks"} & shown.keys()
    actions = [row[1:] for row in seen[0]["shown"]["table"][1:]]
    names = LavaShortcut(1).ACTIONS
    assert actions[0] == [names[a] for a in found.first.action[0]]
    assert actions[1] == [names[a] for a in found.second.action[0]]


def test_a_repeated_run_takes_what_was_said_from_its_journal(seat: Service, tmp_path: Path) -> None:
    turns = iter(range(1000))

    def judge(request: dict[str, Any]) -> dict[str, Any]:
        return {"values": {"better": list(LABELS)[next(turns) % 4]}}

    journal = tmp_path / "journal.jsonl"
    live = LiveOverseer(patience=20)
    live.bind(run_of("pairs-again", journal))
    with Robot(seat.person(tier=1), judge, "pairs-again"):
        first, labels = collected(live, queries=2)
    live.close()
    again = LiveOverseer()
    again.bind(run_of("pairs-again", journal, replay=True))
    second, repeated = collected(again, queries=2)
    assert again.line is None
    again.close()
    assert np.array_equal(labels.label, repeated.label, equal_nan=True)
    assert first.totals == second.totals
    assert len({str(value) for value in labels.label}) == 4


def test_a_session_that_is_stopped_leaves_pairs_without_a_label(seat: Service) -> None:
    live = LiveOverseer(session="pairs-stopped", patience=20)
    owner = seat.owner()

    def judge(request: dict[str, Any]) -> dict[str, Any]:
        owner.stop("pairs-stopped")
        return {"values": {"better": "first"}}

    with Robot(seat.person(tier=1), judge, "pairs-stopped"):
        _, found = collected(live)
    live.close()
    owner.connection.close()
    assert np.isnan(found.label).all()
