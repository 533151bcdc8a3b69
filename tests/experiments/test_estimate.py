"""What runs will cost, told before they begin."""

import json
import math
import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from looplab.experiments import estimate as module
from looplab.experiments.compare import jobs
from looplab.experiments.estimate import Estimate, Pace, estimate, pace_of, trial
from looplab.experiments.job import Job
from looplab.experiments.overrides import plan
from looplab.experiments.store import RUN_BYTES

WORDS = ("env=ops_desk", "regime=autonomous,in_the_loop", "seeds=3")
MEBIBYTE = 2**20
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def untried(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(config: Any) -> None:
        pytest.fail("a run was tried")

    monkeypatch.setattr(module, "trial", never)


def asked(*words: str, out: Path) -> list[Job]:
    return jobs(plan([*WORDS, *words]), out)


def finish(job: Job, train: float, evaluated: float, **sizes: int) -> None:
    """Leaves the folder of a run that took so many seconds and bytes."""
    job.folder.mkdir(parents=True)
    (job.folder / "config.yaml").write_text(yaml.safe_dump(dict(job.config)))
    metrics = {
        "steps": job.config["total_steps"],
        "train_wall_seconds": train,
        "wall_seconds": train + evaluated,
    }
    (job.folder / "metrics.json").write_text(json.dumps(metrics))
    for name, size in sizes.items():
        suffix = ".zip" if name == "model" else ".parquet"
        (job.folder / f"{name}{suffix}").write_bytes(bytes(size))


@pytest.mark.usefixtures("untried")
def test_time_and_disk_follow_from_finished_runs(tmp_path: Path) -> None:
    out = tmp_path / "out"
    small = asked("total_steps=1000", "eval_episodes=10", "max_decisions=500", out=out)
    finish(small[0], 10.0, 5.0, model=MEBIBYTE, decisions=1000, episodes=500)
    finish(small[3], 20.0, 10.0, model=MEBIBYTE, decisions=2000, episodes=500)
    texts = sum(p.stat().st_size for p in small[0].folder.glob("*.[jy]*"))
    wanted = asked("total_steps=4000", "eval_episodes=20", "max_decisions=2000", out=out)
    found = estimate(wanted, out)
    assert found.seconds == pytest.approx(3 * (40 + 10) + 3 * (80 + 20))
    assert found.longest == pytest.approx(100)
    rows = 3 * 2000 * 1500 / 500 + 3 * 2000 * 2500 / 500
    assert found.bytes == pytest.approx(6 * (MEBIBYTE + texts) + rows, rel=1e-3)
    assert not found.trials


@pytest.mark.usefixtures("untried")
def test_runs_in_folders_beside_and_of_other_regimes_tell_too(tmp_path: Path) -> None:
    other = asked("total_steps=1000", "eval_episodes=10", out=tmp_path / "other")
    finish(other[0], 10.0, 5.0)
    wanted = asked("total_steps=200000", "eval_episodes=10", out=tmp_path / "out")
    found = estimate(wanted, tmp_path / "out")
    assert found.seconds == pytest.approx(6 * (2000 + 5))  # both regimes, from the one


@pytest.mark.usefixtures("untried")
def test_short_runs_that_nothing_is_known_of_are_not_tried(tmp_path: Path) -> None:
    found = estimate(asked("total_steps=1000", out=tmp_path / "out"), tmp_path / "out")
    assert math.isnan(found.seconds)
    assert found.bytes == 6 * RUN_BYTES
    assert "time unknown" in found.line(2)


def test_long_runs_are_tried_once_per_task_and_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def made(config: dict[str, Any]) -> Pace:
        tried.append(config["cell"])
        return Pace(0.001, 0.5, 2.0, 100.0)

    monkeypatch.setattr(module, "trial", made)
    found = estimate(asked("total_steps=50000", "eval_episodes=10", out=tmp_path), tmp_path)
    assert len(tried) == 1
    assert found == Estimate(6 * 55.0, 55.0, 6 * 100_100.0, trials=True)


def test_a_trial_tells_a_pace_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TRIAL_STEPS", (64,))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pace = trial({**plan(WORDS).cells[0], "seed": 0})
    assert pace is not None
    assert 0 < pace.step_seconds < 1
    assert 0 < pace.evaluation_seconds < 4 * 50  # episodes have 50 steps
    assert 10_000 < pace.fixed_bytes < RUN_BYTES
    assert list(tmp_path.glob("looplab-*")) == []


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"steps": 0}'])
def test_a_run_that_tells_nothing_is_passed_over(text: str, tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text(text)
    (tmp_path / "config.yaml").write_text("seed: 1")
    assert pace_of(tmp_path) is None


@pytest.mark.parametrize(
    ("found", "room", "line"),
    [
        (Estimate(20.0, 5.0, 3000.0), 2, "under a minute with 2 at once, 3 KiB on disk"),
        (Estimate(600.0, 60.0, 5 * MEBIBYTE), 2, "about 5 minutes with 2 at once, 5 MiB on disk"),
        (Estimate(600.0, 600.0, 5 * MEBIBYTE), 2, "about 10 minutes with 2 at once"),
        (Estimate(9000.0, 60.0, 2**31, trials=True), None,
         "about 2.5 hours of one core, 2.0 GiB on disk (by a short trial)"),
    ],
)  # fmt: skip
def test_an_estimate_is_one_line(found: Estimate, room: int | None, line: str) -> None:
    assert found.line(room).startswith(f"estimate: {line}")


@pytest.mark.usefixtures("untried")
def test_the_command_tells_and_refuses_before_anything_runs(
    looplab: Callable[..., Any], refused: Callable[..., str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    words = ("total_steps=4000", "eval_episodes=10")
    finish(asked(*words, out=tmp_path / "out")[0], 400.0, 200.0, model=10 * MEBIBYTE)
    ended = looplab("compare", *WORDS, *words, "out=out", "--dry-run", "workers=2")
    assert (ended.status, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0] == "out: 6 runs, 5 to do"
    assert lines[-1].startswith("estimate: about 25 minutes with 2 at once, 50 MiB on disk")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, 20 * MEBIBYTE))
    line = refused("compare", *WORDS, *words, "out=out")
    assert "no space for out: 5 runs may need 51 MiB, 20 MiB are free" in line
