"""What a run does is a choice: fleets beside training, each with results and report of its own."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from looplab.envs.errors import UsageError
from looplab.experiments.composition import groups
from looplab.experiments.fleet_measures import MEASURES
from looplab.experiments.fleet_study import Study, asked
from looplab.experiments.overrides import plan
from looplab.experiments.report import write_report
from looplab.experiments.result_folder import load
from looplab.experiments.store import identity
from looplab.experiments.trials import kind, trial_of
from looplab.oversight.fleet.closed_forms import machine_repairman

SMALL = (
    "trial=fleet", "regime=in_the_loop", "trial.agents=4,8", "trial.reviewers=1",
    "trial.service=exponential", "trial.service_seconds=6", "trial.warmup_seconds=60",
    "total_steps=400", "seeds=2", "display=none", "workers=1", "out=fleets",
)  # fmt: skip


@pytest.fixture
def fleets(looplab: Callable[..., Any], tmp_path: Path) -> Path:
    """Results of a small comparison of fleets."""
    assert looplab("compare", *SMALL).status == 0
    return tmp_path / "fleets"


def test_a_fleet_without_its_runs_is_refused_in_a_line(fleets: Path) -> None:
    for config in fleets.glob("runs/*/config.yaml"):
        config.unlink()
    with pytest.raises(UsageError, match=r"cannot read .*config\.yaml, which tells the targets"):
        write_report(fleets)


def test_every_kind_of_trial_can_be_read() -> None:
    for name in groups()["trial"]:
        found = kind({"trial": name})
        assert isinstance(trial_of(plan([f"trial={name}"]).cells[0]), found)
        assert found.measures()
        assert found.figures()
    with pytest.raises(UsageError, match="unknown trial 'fleets'; did you mean 'fleet'"):
        kind({"trial": "fleets"})


def test_a_comparison_of_fleets_holds_what_fleets_have(fleets: Path) -> None:
    results = pd.read_parquet(fleets / "results.parquet")
    assert len(results) == 4
    assert list(results["trial.agents"]) == list(results["agents"]) == [4, 4, 8, 8]
    assert set(results["algo"]) == {"none"}
    assert set(MEASURES) <= set(results)
    assert "wall_seconds" not in results
    cells = pd.read_csv(fleets / "summary.csv")
    mean = results.groupby("agents")["wait_mean"].mean()
    assert cells["wait_mean"].tolist() == pytest.approx(mean.tolist())
    assert not any("return" in name and "alone" in name for name in cells)
    seconds = pd.read_parquet(fleets / "runs.parquet").groupby("trial.agents")["counted_seconds"]
    assert seconds.mean().tolist() == [400 * 30 / 4, 400 * 30 / 8]  # 30 s for each step
    page = re.sub(r"data:image[^\"]*", "", (fleets / "report.html").read_text())
    assert "4 agents: 1 reviewer" in page
    assert "machine-repairman" in page
    assert all(word not in page for word in ("evaluat", "PPO", ">nan<", "training steps"))
    assert sorted(path.name for path in (fleets / "figures").iterdir()) == [
        "fleet.pdf",
        "fleet.png",
    ]


def test_runs_are_those_of_the_fleet_command(fleets: Path) -> None:
    results = pd.read_parquet(fleets / "results.parquet")
    words = ["regime=in_the_loop", "agents=8", "reviewers=1", "service=exponential",
             "service_seconds=6", "warmup_seconds=60", "seed=1",
             f"horizon_seconds={60 + 400 * 30 / 8}"]  # fmt: skip
    study = Study(asked(words))
    row = study.row(study.fleets[0], 1)
    own = results[(results["agents"] == 8) & (results["seed"] == 1)].iloc[0]
    shared = sorted(set(row) & set(MEASURES))
    assert [own[name] for name in shared] == pytest.approx([row[name] for name in shared])
    theory = machine_repairman(8, 1, 30.0, 6.0)
    assert own["theory_wait_mean"] == theory.wait_seconds
    assert own["wait_above_theory"] == own["wait_mean"] - theory.wait_seconds


@pytest.mark.parametrize(
    "word", ["think=fixed", "waiting=non_blocking", "deadline_seconds=60", "service=overseer"]
)
def test_no_theory_is_quoted_where_it_does_not_hold(word: str) -> None:
    words = {"agents": "2", "reviewers": "1", "service": "exponential", "service_seconds": "6"}
    key, _, value = word.partition("=")
    words[key] = value
    if value == "overseer":
        del words["service_seconds"]
    study = Study(asked([f"{name}={text}" for name, text in words.items()]))
    assert study.theory(study.fleets[0]) is None


def test_more_seeds_extend_and_repeat_nothing(fleets: Path, looplab: Callable[..., Any]) -> None:
    before = {path: path.stat().st_mtime_ns for path in fleets.glob("runs/*/metrics.json")}
    first = pd.read_parquet(fleets / "results.parquet")
    assert looplab("compare", *(w.replace("seeds=2", "seeds=3") for w in SMALL)).status == 0
    after = {path: path.stat().st_mtime_ns for path in fleets.glob("runs/*/metrics.json")}
    assert len(after) == 6
    assert before.items() <= after.items()
    results = pd.read_parquet(fleets / "results.parquet")
    pd.testing.assert_frame_equal(
        results[results["seed"] < 2].reset_index(drop=True), first.reset_index(drop=True)
    )


def test_what_reads_training_refuses_fleets(fleets: Path, looplab: Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match="trial=fleet, which train no agent"):
        load(fleets)
    ended = looplab("power", str(fleets), "of=in_the_loop", "than=in_the_loop", "effect=1")
    assert ended.status == 2
    assert "trial=fleet" in ended.err


def test_a_folder_of_another_kind_is_refused(fleets: Path, looplab: Callable[..., Any]) -> None:
    manifest = json.loads((fleets / "comparison.json").read_text())
    assert manifest["trial"] == "fleet"
    ended = looplab("compare", "regime=in_the_loop", "seeds=1", "out=fleets", "total_steps=100")
    assert ended.status == 2
    assert "its trial is fleet, not train" in ended.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("compare", "trial=train,fleet"), "trial cannot be swept; give one value"),
        (("compare", "trial=fleets"), "unknown trial 'fleets'; did you mean 'fleet'"),
        (("compare", "trial=fleet", "trial.agent=3"), "unknown key 'trial.agent'"),
        (("compare", "trial.agents=3"), "under the chosen trial; trial=fleet has it"),
        (("compare", "trial=fleet", "trial.agents=[3,4]"), "sweep it with commas"),
        (("compare", "trial=fleet", "regime=on_the_loop"), "it needs a gate"),
        (("compare", "agent=none", "seeds=1"), "agent=none learns nothing"),
        (("train", "trial=fleet"), "trial=fleet is for `looplab compare`"),
    ],
)
def test_what_makes_no_sense_is_refused(
    words: tuple[str, ...], said: str, refused: Callable[..., str]
) -> None:
    assert said in refused(*words)


def test_runs_that_train_keep_the_names_that_they_had() -> None:
    (cell,) = plan(["regime=in_the_loop"]).cells
    named = {**cell, "seed": 0}
    without = {key: value for key, value in named.items() if key != "trial"}
    assert identity(named) == identity(without)
    other = plan(["trial=fleet", "regime=in_the_loop"]).cells[0]
    assert identity({**other, "seed": 0}) != identity({**other, "seed": 0, "trial": {}})


def test_progress_counts_every_step(tmp_path: Path) -> None:
    (cell,) = plan(["trial=fleet", "regime=in_the_loop", "total_steps=50",
                    "trial.warmup_seconds=10"]).cells  # fmt: skip
    told: list[int] = []
    trial_of(cell).run({**cell, "seed": 0}, tmp_path / "run", told.append)
    assert np.sum(told) == 50
