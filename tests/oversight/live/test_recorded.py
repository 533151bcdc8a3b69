"""A session's decisions as a scripted overseer afterwards."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from looplab.envs.errors import UsageError
from looplab.oversight import Engine, Gate, Recorded, ScriptedOverseer
from looplab.oversight.live.audit import REVIEWS_SCHEMA, export
from looplab.oversight.live.database import connect
from looplab.oversight.live.overseer import LiveOverseer
from looplab.oversight.types import VERDICTS
from tests.oversight.live.conftest import Robot, Service
from tests.oversight.live.test_overseer import as_scripted, lava, play, proposals


def reviews(file: Path, *rows: dict[str, Any]) -> Path:
    """A file as an export writes it."""
    blank = dict.fromkeys(REVIEWS_SCHEMA.names)
    full = [
        {
            **blank, "kind": "review", "who": "p_ann", "verdict": "approve", "seconds": 1.0,
            "observation": [0.0], "proposed": "0", "trial": False, **row,
        }
        for row in rows
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(full, REVIEWS_SCHEMA), file)
    return file


def test_a_session_is_overseen_again_by_what_people_said(seat: Service, tmp_path: Path) -> None:
    live = LiveOverseer(session="recorded", patience=20)
    actions = proposals(12)
    with Robot(seat.person(), as_scripted, "recorded"):
        told = play(Engine(lava(), Gate(overseer=live)), actions)
    live.close()
    database = next(seat.home.glob("*.db"))
    engine = connect(f"sqlite:///{database}", must_exist=True)
    export(engine, tmp_path, "recorded")
    engine.dispose()
    again = Recorded(tmp_path / "reviews.parquet")
    assert play(Engine(lava(), Gate(overseer=again)), actions) == told
    assert any(any(step["intervened"]) for step in told)
    other = play(Engine(lava(), Gate(overseer=ScriptedOverseer())), actions)
    assert other == told  # the people judged as the scripted overseer does


def ask(overseer: Recorded, lanes: Any, action: int) -> tuple[str, float, Any]:
    """Verdict, human seconds and executed action of one question."""
    record = Engine(lanes, Gate(overseer=overseer)).step(np.full(lanes.num_lanes, action))
    return VERDICTS[int(record.verdict[0])], float(record.seconds[0]), int(record.executed[0])


def test_most_count_and_of_equally_many_the_latest(tmp_path: Path) -> None:
    lanes = lava(1)
    seen = {"observation": lanes.observation[0].tolist(), "proposed": "1"}
    file = tmp_path / "reviews.parquet"
    reviews(
        file,
        {**seen, "verdict": "approve", "seconds": 9.0},
        {**seen, "verdict": "modify", "action": "2", "seconds": 2.0},
        {**seen, "verdict": "modify", "action": "2", "seconds": 4.0},
        {**seen, "verdict": "approve", "seconds": 7.0},
        {**seen, "verdict": "reject", "who": ""},  # overdue: nobody said so
        {**seen, "verdict": "reject", "kind": "rating"},
    )
    assert ask(Recorded(file), lava(1), 1) == ("approve", 8.0, 1)
    reviews(file, {**seen, "verdict": "modify", "action": "2", "seconds": 3.0})
    assert ask(Recorded(file), lava(1), 1) == ("modify", 3.0, 2)


@pytest.mark.parametrize("unknown", ["escalate", "approve", "reject", "terminate"])
def test_what_nobody_answered_is_met_as_asked_for(tmp_path: Path, unknown: str) -> None:
    seen = {"observation": lava(1).observation[0].tolist(), "proposed": "1"}
    file = reviews(tmp_path / "reviews.parquet", seen)
    assert ask(Recorded(file, unknown), lava(1), 1)[0] == "approve"
    assert ask(Recorded(file, unknown), lava(1), 0)[:2] == (unknown, 0.0)


def test_files_without_answers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"needs overseer\.file="):
        Recorded(None)
    with pytest.raises(UsageError, match="there is no file"):
        Recorded(tmp_path / "none.parquet")
    (tmp_path / "text").write_text("x")
    with pytest.raises(UsageError, match="holds no reviews"):
        Recorded(tmp_path / "text")
    empty = reviews(tmp_path / "empty.parquet", {"who": ""})
    with pytest.raises(UsageError, match="no review that a person answered"):
        Recorded(empty)
    with pytest.raises(UsageError, match=r"unknown overseer\.unknown 'perhaps'"):
        Recorded(empty, "perhaps")
    other = reviews(tmp_path / "other.parquet", {"observation": [1.0, 2.0], "proposed": "1"})
    with pytest.raises(UsageError, match="another task"):
        Engine(lava(1), Gate(overseer=Recorded(other)))


def test_observations_survive_the_ledger_bit_by_bit() -> None:
    values = np.random.default_rng(0).normal(size=64).astype(np.float32)
    kept = np.asarray(json.loads(json.dumps(values.tolist()))).astype(np.float32)
    assert kept.tobytes() == values.tobytes()
