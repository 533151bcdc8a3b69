"""The benchmark: its numbers come from the times, and its file is whole."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from looplab.envs.desks.ops_desk import OpsDesk
from looplab.envs.errors import UsageError
from looplab.experiments import bench


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "LANES", (2, 4))
    monkeypatch.setattr(bench, "SHARE_LANES", 4)
    monkeypatch.setattr(bench, "HUMAN_LANES", 4)
    monkeypatch.setattr(bench, "ROLLOUT_STEPS", 16)
    monkeypatch.setattr(bench, "MIN_STEPS", 64)
    monkeypatch.setattr(bench, "SHARE_STEPS", 64)
    monkeypatch.setattr(bench, "REPEATS", 1)
    monkeypatch.setattr(bench, "DIFFERENCE_REPEATS", 1)


def test_it_really_runs_and_writes_its_ratios(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    lines: list[str] = []
    found = bench.bench(tmp_path / "bench.json", lines.append)
    assert json.loads((tmp_path / "bench.json").read_text()) == found
    shares = ["oversight_share", "oversight_share_lean"]
    assert list(found) == ["bound_ratio", *shares, "human_share"]
    assert found["human_share"] < 1
    assert list(found["bound_ratio"]) == ["2", "4"]
    assert all(ratio > 0 for ratio in found["bound_ratio"].values())
    for name in shares:
        assert list(found[name]) == ["rules", "confidence_ledger"]
        assert all(share < 1 for share in found[name].values())
    assert any("n =   4" in line for line in lines)
    assert list((tmp_path / "temporary").glob("SB3-*")) == []


def test_ratios_and_shares_follow_from_the_times(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {"stock": [8.0, 8.0, 1.0], "ours": [10.0, 10.0, 90.0]}
    seconds |= {"stock ": [9.0], "stock rules": [10.0], "stock confidence_ledger": [12.0]}
    seconds |= {"lean ": [6.0, 6.0, 7.0], "lean rules": [10.0, 10.0, 7.0]}
    seconds |= {"lean confidence_ledger": [12.0, 12.0, 8.0]}
    seconds |= {"scripted": [6.0, 5.0, 7.0], "human": [8.0, 8.0, 8.0]}

    def times(makers: Any, learn: bool, repeats: int, min_steps: int) -> Any:
        return {name: seconds[name] for name in makers}

    monkeypatch.setattr(bench, "LANES", (2,))
    monkeypatch.setattr(bench, "_times", times)
    said: list[str] = []
    assert bench.learning(said.append) == {"2": pytest.approx(0.8)}
    shares = bench.shares(said.append)
    assert shares["oversight_share"] == {
        "rules": pytest.approx(0.1),
        "confidence_ledger": pytest.approx(0.25),
    }
    assert shares["oversight_share_lean"] == {
        "rules": pytest.approx(0.4),  # the median of 0.4, 0.4 and 0
        "confidence_ledger": pytest.approx(0.5),
    }
    assert "as Stable-Baselines3 does (144000000 us a step" in said[-6]
    assert bench.human_share(said.append) == pytest.approx(0.25)


def test_a_folder_that_is_not_there_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="its folder does not exist"):
        bench.bench(tmp_path / "no" / "bench.json", lambda line: None)
    with pytest.raises(UsageError, match="it is a folder; name a file"):
        bench.bench(tmp_path, lambda line: None)


def test_prepared_arrays_never_end_and_own_their_rewards() -> None:
    task = OpsDesk(1)
    venv = bench.PreparedArrays(task.observation_space, task.action_space, 3)
    assert venv.reset().shape == (3, 8)
    first = venv.step(np.zeros(3))
    first[1][:] = 99.0
    for _ in range(600):
        _, rewards, dones, infos = venv.step(np.zeros(3))
        assert not dones.any()
        assert (rewards < 50).all()
        assert infos == [{}, {}, {}]
