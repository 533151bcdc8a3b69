"""What executing runs costs beside them."""

import json
from pathlib import Path

import pytest

from looplab.envs.errors import UsageError
from looplab.experiments import bench_running
from looplab.experiments.bench import BENCHES
from looplab.experiments.overrides import plan


@pytest.mark.slow
def test_it_really_runs_and_writes_its_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = ("env=lava_shortcut", "regime=autonomous", "total_steps=800", "eval_episodes=4")
    share = bench_running.overhead(tiny, 2)
    assert 0.0 < share < 1.0
    monkeypatch.setattr(bench_running, "RUNS_PER_WORKER", 1)
    seconds = bench_running.seconds_per_run(plan([*tiny, "seeds=4"]), 2)
    assert 0.0 < seconds < 60.0
    monkeypatch.setattr(bench_running, "overhead", lambda: share)
    monkeypatch.setattr(bench_running, "seconds_per_run", lambda asked, workers: 3.0 / workers)
    said: list[str] = []
    BENCHES["running"]([], tmp_path / "found.json", said.append)
    assert json.loads((tmp_path / "found.json").read_text()) == {
        "overhead": share,
        "two_workers": 2.0,
    }
    assert said[1] == "two workers against one: 2.00 times as fast, start-up excluded"


def test_names_are_refused() -> None:
    with pytest.raises(UsageError, match="bench running takes no names, got ops_desk"):
        BENCHES["running"](["ops_desk"], None, print)
