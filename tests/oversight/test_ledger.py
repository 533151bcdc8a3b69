"""One row per decision, columnar, buffered, and never a broken file."""

import errno
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from looplab.envs.errors import UsageError
from looplab.oversight import (
    Audit,
    Gate,
    Ledger,
    RiskAbove,
    ScriptedOverseer,
    Signal,
    Stack,
    Veto,
)
from looplab.oversight.ledger import writing
from looplab.oversight.types import VERDICTS

GO, CREEP, WAIT = range(3)
CELLS = [0.0, 0.6, 1.0, 0.0, 0.3]
FIELD = [0.0] * 20
LANES, STEPS = 3, 97

#: Steps without end and writes decisions; killed from outside.
ENDLESS = """
import sys
import numpy as np
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.oversight import Engine, Gate, Ledger

lanes = LavaShortcut(3)
engine = Engine(lanes, Gate(), ledger=Ledger(sys.argv[1], flush_rows=90))
lanes.reset()
rng = np.random.default_rng(0)
for _ in range(int(sys.argv[2])):
    record = engine.step(rng.integers(0, 5, 3))
    if record.done.any():
        lanes.reset(record.done)
        engine.begin(record.done)
engine.close()
"""


def play(corridor: Any, start: Any, folder: Path, **settings: Any) -> Any:
    """Some lanes of random proposals, recorded."""
    errs = ScriptedOverseer(miss_rate=0.3, false_alarm_rate=0.2, review_seconds=2.5)
    stack = Stack(Gate(trigger=RiskAbove(0.5), overseer=errs), Veto(overseer=errs, lag=1))
    run = start(
        corridor(LANES, harm=CELLS, ends=True, max_episode_steps=9),
        stack,
        signal=Signal(penalty=0.2),
        ledger=Ledger(folder, **settings),
    )
    return run.play(np.random.default_rng(1).integers(0, 3, (STEPS, LANES)))


@pytest.mark.parametrize("flush_rows", [1, 50, 10_000])
def test_the_merged_file_holds_every_decision(
    corridor: Any, start: Any, tmp_path: Path, flush_rows: int
) -> None:
    run = play(corridor, start, tmp_path, flush_rows=flush_rows)
    run.engine.close()
    frame = pq.read_table(tmp_path / "decisions.parquet").to_pandas()
    assert len(frame) == STEPS * LANES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["decisions.parquet"]
    assert frame["lane"].tolist() == [0, 1, 2] * STEPS
    for column in (
        "episode", "step", "proposed", "executed", "asked", "reviewed", "intervened", "unsafe",
        "unavoidable", "miss", "unasked", "late", "false_alarm", "standby", "unconsidered",
        "stale", "halted", "overdue", "caught", "disagreement", "elapsed", "score", "threshold",
        "seconds", "risk", "cost", "reward", "learning_reward",
    ):  # fmt: skip
        expected = np.concatenate([getattr(record, column) for record in run.records])
        np.testing.assert_allclose(
            frame[column].to_numpy().astype(float), expected.astype(float), atol=1e-6
        )
    for lane in range(LANES):
        rows = frame[frame["lane"] == lane]
        assert rows["verdict"].tolist() == run.verdicts(lane)
        assert rows["reason"].tolist() == run.reasons(lane)
        assert rows["overseer"].tolist() == run.overseers(lane)


def test_totals_equal_a_recount_of_the_file(corridor: Any, start: Any, tmp_path: Path) -> None:
    run = play(corridor, start, tmp_path, flush_rows=40)
    run.engine.close()
    frame = pq.read_table(tmp_path / "decisions.parquet").to_pandas()
    totals = run.totals
    for counter, column in (
        ("unsafe_proposals", "unsafe"), ("interventions", "intervened"), ("misses", "miss"),
        ("unasked", "unasked"), ("late", "late"), ("false_alarms", "false_alarm"),
    ):  # fmt: skip
        assert totals[counter] == frame[column].sum(), counter
        assert totals[counter] > 0 or counter == "unasked", counter
    assert totals["violations"] == (frame["cost"] > 0).sum()
    assert totals["steps"] == len(frame)
    assert totals["human_seconds"] == pytest.approx(frame["seconds"].sum())
    assert totals["task_return"] == pytest.approx(frame["reward"].sum())
    assert totals["learning_return"] == pytest.approx(frame["learning_reward"].sum(), abs=1e-4)
    assert set(frame["verdict"]) <= set(VERDICTS)


def test_a_share_of_episodes_is_kept_whole(corridor: Any, start: Any, tmp_path: Path) -> None:
    errs = ScriptedOverseer(miss_rate=0.5)
    run = start(
        corridor(50, harm=CELLS, max_episode_steps=4),
        Gate(trigger=Audit(0.5), overseer=errs),
        ledger=Ledger(tmp_path, flush_rows=500, fraction=0.3),
    ).play([GO] * 80)
    run.engine.close()
    frame = pq.read_table(tmp_path / "decisions.parquet").to_pandas()
    sizes = frame.groupby(["lane", "episode"]).size()
    assert set(sizes) == {4}
    # 1000 episodes: outside 0.3 +- 0.08 with probability 4e-8.
    assert len(sizes) / 1000 == pytest.approx(0.3, abs=0.08)
    assert run.totals["steps"] == 4000  # counters stay exact


@pytest.mark.parametrize(("fraction", "rows"), [(0.0, 0), (1.0, 40)])
def test_nothing_or_everything_is_kept(
    corridor: Any, start: Any, tmp_path: Path, fraction: float, rows: int
) -> None:
    ledger = Ledger(tmp_path, flush_rows=10, fraction=fraction)
    run = start(corridor(4, harm=FIELD), Gate(), ledger=ledger).play([GO] * 10)
    run.engine.close()
    assert pq.read_table(tmp_path / "decisions.parquet").num_rows == rows


def test_a_killed_process_leaves_only_whole_parts(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    subprocess.run([sys.executable, "-c", ENDLESS, str(whole), "600"], check=True)
    killed = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", ENDLESS, str(killed), "100000000"])
    try:
        deadline = time.monotonic() + 60
        while len(list(killed.glob("decisions/*.parquet"))) < 4:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    parts = sorted((killed / "decisions").glob("*.parquet"))
    assert [part.name for part in parts] == [f"{i:06d}.parquet" for i in range(len(parts))]
    assert not (killed / "decisions.parquet").exists()
    undisturbed = pq.read_table(whole / "decisions.parquet").to_pandas()
    for place, part in enumerate(parts[:20]):
        rows = pq.read_table(part).to_pandas()
        assert len(rows) == 90
        expected = undisturbed.iloc[90 * place : 90 * (place + 1)].reset_index(drop=True)
        assert rows.astype(str).equals(expected.astype(str))


def test_no_space_leaves_nothing_half_written(tmp_path: Path) -> None:
    limited = (
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
    )
    script = limited + ENDLESS
    done = subprocess.run(
        [sys.executable, "-B", "-c", script, str(tmp_path / "run"), "1000"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "UsageError: cannot write" in last
    assert "000000.parquet: " in last
    assert list((tmp_path / "run").rglob("*.*")) == []


def test_a_file_that_fails_half_way_is_taken_away(tmp_path: Path) -> None:
    def fill() -> None:
        with writing(tmp_path / "decisions.parquet") as hidden:
            hidden.write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UsageError, match=r"cannot write .*decisions.parquet: No space left"):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(corridor: Any, start: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot make .*file/run/decisions: Not a directory"):
        start(corridor(harm=FIELD), Gate(), ledger=Ledger(tmp_path / "file" / "run"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_named(corridor: Any, start: Any, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(UsageError, match=r"cannot make .*Permission denied"):
        start(corridor(harm=FIELD), Gate(), ledger=Ledger(tmp_path / "locked" / "run"))


@pytest.mark.parametrize("left", ["decisions.parquet", "decisions"])
def test_an_occupied_folder_is_refused(tmp_path: Path, left: str) -> None:
    (tmp_path / left).mkdir()
    with pytest.raises(UsageError, match="already holds a ledger of decisions"):
        Ledger(tmp_path)


def test_one_ledger_belongs_to_one_engine(corridor: Any, start: Any, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    start(corridor(harm=FIELD), Gate(), ledger=ledger)
    with pytest.raises(UsageError, match="belongs to one engine"):
        start(corridor(harm=FIELD), Gate(), ledger=ledger)


def test_a_ledger_is_not_copied(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be pickled or copied"):
        pickle.dumps(Ledger(tmp_path))


def test_without_a_step_there_is_no_file(corridor: Any, start: Any, tmp_path: Path) -> None:
    run = start(corridor(harm=FIELD), Gate(), ledger=Ledger(tmp_path / "run"))
    run.engine.close()
    run.engine.close()
    assert list((tmp_path / "run").iterdir()) == []


def test_closing_twice_changes_nothing(corridor: Any, start: Any, tmp_path: Path) -> None:
    run = play(corridor, start, tmp_path)
    run.engine.close()
    before = (tmp_path / "decisions.parquet").read_bytes()
    run.engine.close()
    assert (tmp_path / "decisions.parquet").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("flush_rows", 0, "flush_rows must be a whole number of at least 1"),
        ("fraction", 1.1, r"fraction must be a number in \[0, 1\]"),
    ],
)
def test_settings_are_checked(tmp_path: Path, name: str, value: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Ledger(tmp_path, **{name: value})
