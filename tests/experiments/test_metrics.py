import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from looplab.envs.errors import UsageError
from looplab.experiments.cells import cell_labels, in_order
from looplab.experiments.curves import training_curves
from looplab.experiments.metrics import first_step_at_threshold, per_seed, summary
from looplab.experiments.result_folder import READINGS, TOTALS, load

AXES = ["env", "regime", "algo"]
NAMED_METRICS = [
    "train_violations",
    "train_violations_per_1k",
    "reviews_per_1k",
    "interventions_per_1k",
    "human_hours",
    "oversight_cost",
    "overseen_return",
    "overseen_violations_per_1k",
    "alone_return",
    "alone_violations_per_1k",
    "overseen_return_deterministic",
    "overseen_violations_per_1k_deterministic",
    "alone_return_deterministic",
    "alone_violations_per_1k_deterministic",
    "steps_to_threshold",
    "zero_violation_seeds",
]


def run_row(run: str, seed: int = 0, **values: object) -> dict[str, object]:
    row: dict[str, object] = {"env": "task", "regime": "autonomous", "algo": "ppo", "seed": seed}
    row |= {"run": run, "steps": 2000, "threshold": math.nan, "wall_seconds": 1.0}
    row |= {f"total_{name}": 0 for name in TOTALS} | dict.fromkeys(READINGS, math.nan)
    return row | values


def episode(run: str, **values: object) -> dict[str, object]:
    row: dict[str, object] = {"run": run, "phase": "train", "policy": "stochastic", "lane": 0}
    row |= {"episode": 0, "end_step": 0, "length": 10, "task_return": 0.0, "violations": 0}
    row |= dict.fromkeys(("catastrophes", "interventions", "reviews", "caught", "overlooked"), 0)
    return row | {"success": math.nan} | values


def frames(
    runs: list[dict[str, object]], episodes: list[dict[str, object]]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    results = pd.DataFrame(episodes).astype(dict.fromkeys(("run", "phase", "policy"), "category"))
    return results, pd.DataFrame(runs)


def measured(runs: list[dict[str, object]], episodes: list[dict[str, object]]) -> pd.DataFrame:
    return per_seed(*frames(runs, episodes), AXES)


def test_training_rates_use_exact_totals_and_the_steps_that_ran() -> None:
    totals = {"total_violations": 6, "total_interventions": 5, "total_reviews": 2000}
    spent = {"total_human_seconds": 7200.0, "total_oversight_cost": 60.0}
    row = measured(
        [run_row("a", **totals, **spent)], [episode("a", violations=4, interventions=3)]
    ).iloc[0]
    assert row["train_violations"] == 6
    assert row["train_violations_per_1k"] == 3.0
    assert row["interventions_per_1k"] == 2.5
    assert row["reviews_per_1k"] == 1000.0
    assert row["human_hours"] == 2.0
    assert row["oversight_cost"] == 60.0
    assert row["zero_violations"] == 0.0


def test_evaluation_rates_divide_by_lengths_and_keep_phases_and_policies_apart() -> None:
    alone = {"phase": "eval_alone"}
    row = measured(
        [run_row("a")],
        [
            episode("a", length=10, violations=1, task_return=1.0, **alone),
            episode("a", length=30, violations=0, task_return=3.0, **alone),
            episode("a", length=50, violations=5, policy="deterministic", **alone),
            episode("a", length=20, violations=2, phase="eval_overseen", success=1.0),
        ],
    ).iloc[0]
    assert row["alone_violations_per_1k"] == 25.0
    assert row["alone_return"] == 2.0
    assert row["alone_violations_per_1k_deterministic"] == 100.0
    assert row["overseen_violations_per_1k"] == 100.0
    assert row["overseen_success"] == 1.0
    assert math.isnan(row["alone_success"])
    assert math.isnan(row["overseen_return_deterministic"])


def test_threshold_counts_the_last_hundred_episodes_in_order_of_step_and_lane() -> None:
    # Returns are 0 in the first 100 episodes and 1 after; their mean over 100 reaches 0.5 when 50
    # ones are in, at the 150th. Two lanes end at each step: that is step 75, in whatever order.
    episodes = [
        episode("a", end_step=1 + k // 2, lane=k % 2, task_return=float(k >= 100))
        for k in range(200)
    ]
    shuffled = [episodes[k] for k in np.random.default_rng(0).permutation(200)]
    row = measured([run_row("a", threshold=0.5)], shuffled).iloc[0]
    assert (row["threshold_reached"], row["threshold_time"]) == (1.0, 75.0)
    assert (row["start_return"], row["train_return"]) == (0.0, 1.0)


def test_episodes_that_end_together_are_taken_in_order_of_their_lanes() -> None:
    episodes = [episode("a", end_step=50, lane=k, task_return=float(k)) for k in range(101)]
    shuffled = [episodes[k] for k in np.random.default_rng(0).permutation(101)]
    row = measured([run_row("a")], shuffled).iloc[0]
    assert (row["start_return"], row["train_return"]) == (49.5, 50.5)


def test_fewer_than_a_hundred_episodes_never_reach_the_threshold() -> None:
    returns = np.ones(100)
    assert first_step_at_threshold(np.arange(100.0), returns, 0.9) == 99.0
    assert math.isnan(first_step_at_threshold(np.arange(99.0), returns[:99], 0.9))
    row = measured(
        [run_row("a", threshold=0.5)],
        [episode("a", end_step=k, task_return=9.0) for k in range(99)],
    ).iloc[0]
    assert (row["threshold_reached"], row["threshold_time"]) == (0.0, 2000.0)


def test_a_task_without_threshold_is_neither_reached_nor_censored() -> None:
    seeds = measured([run_row("a")], [episode("a")])
    assert math.isnan(seeds.iloc[0]["threshold_reached"])
    cell = summary(seeds, AXES).iloc[0]
    assert math.isnan(cell["steps_to_threshold"])
    assert math.isnan(cell["threshold_seeds"])


@pytest.mark.parametrize(
    ("alone_return", "violations", "frozen"), [(-3.0, 0, 1.0), (-1.0, 0, 0.0), (-3.0, 9, 0.0)]
)
def test_frozen_means_no_better_than_at_the_start_and_harmless(
    alone_return: float, violations: int, frozen: float
) -> None:
    row = measured(
        [run_row("a")],
        [
            episode("a", task_return=-2.0),
            episode("a", phase="eval_alone", task_return=alone_return, violations=violations),
        ],
    ).iloc[0]
    assert row["frozen"] == frozen


def test_summary_has_the_named_columns_first_the_cell(trial: Path) -> None:
    data = load(trial)
    cells = summary(per_seed(data.results, data.runs, data.axes), data.axes)
    assert list(cells.columns[:4]) == ["env", "regime", "algo", "seeds"]
    for metric in NAMED_METRICS:
        place = list(cells.columns).index(metric)
        assert list(cells.columns[place + 1 : place + 3]) == [f"{metric}_low", f"{metric}_high"]
        known = cells[[metric, f"{metric}_low", f"{metric}_high"]].dropna()
        assert (known[f"{metric}_low"] <= known[metric]).all()
        assert (known[metric] <= known[f"{metric}_high"]).all()
    assert len(cells) == 10
    assert (cells["seeds"] == 3).all()


def test_summary_of_the_trial_tasks_tells_what_was_put_in(trial: Path) -> None:
    data = load(trial)
    cells = summary(per_seed(data.results, data.runs, data.axes), data.axes)
    cells = cells.set_index(["env", "regime"])
    gate = cells.loc[("lava_shortcut", "in_the_loop")]
    assert gate["train_violations"] == 0.0
    assert gate["train_violations_per_1k_high"] == pytest.approx(2.995732 / 180.0)
    assert gate["zero_violation_seeds"] == 1.0
    assert gate["zero_violation_seeds_low"] == pytest.approx(0.025 ** (1 / 3))
    autonomous = cells.loc[("lava_shortcut", "autonomous")]
    assert autonomous["train_violations_per_1k"] == pytest.approx(46.0, rel=0.1)
    corrected = cells.loc[("lava_shortcut", "in_the_loop_correction")]
    assert corrected["alone_violations_per_1k_low"] > gate["alone_violations_per_1k_high"]
    assert cells.loc[("lava_shortcut", "feedback"), "frozen_seeds"] == 1.0
    assert cells.loc[("ops_desk", "feedback"), "frozen_seeds"] == 0.0


def test_steps_to_threshold_is_the_median_over_seeds_with_censoring() -> None:
    def until(run: str, step: int) -> list[dict[str, object]]:
        return [episode(run, end_step=step - 99 + k, task_return=1.0) for k in range(100)]

    runs = [run_row(name, seed, threshold=0.5) for seed, name in enumerate("abc")]
    seeds = measured(runs, [*until("a", 500), *until("b", 900), episode("c")])
    cell = summary(seeds, AXES).iloc[0]
    assert cell["steps_to_threshold"] == 900.0
    assert cell["threshold_seeds"] == pytest.approx(2 / 3)


def test_cells_without_a_value_on_an_axis_stay_cells() -> None:
    axes = [*AXES, "overseer.miss_rate"]
    runs = pd.DataFrame(
        [
            run_row("b", 1, regime="in_the_loop", **{"overseer.miss_rate": 0.05}),
            run_row("a", 0, regime="in_the_loop", **{"overseer.miss_rate": 0.05}),
            run_row("c", 0, **{"overseer.miss_rate": None}),
        ]
    )
    ordered = in_order(runs, axes)
    assert list(ordered["run"]) == ["c", "a", "b"]
    results = frames([], [episode(name) for name in "abc"])[0]
    cells = summary(per_seed(results, ordered, axes), axes)
    assert list(cells["seeds"]) == [1, 2]
    assert cell_labels(cells, axes) == ["autonomous", "in the loop / miss rate 0.05"]


def test_labels_name_only_what_differs() -> None:
    frame = pd.DataFrame({"regime": ["in_the_loop"] * 2, "algo": ["ppo", "dqn"]})
    assert cell_labels(frame, AXES) == ["PPO", "DQN"]
    frame = pd.DataFrame({"regime": ["in_the_loop", "veto_window"], "algo": ["ppo"] * 2})
    assert cell_labels(frame, AXES) == ["in the loop", "veto window"]


def write_folder(folder: Path, runs: list[dict[str, object]], episodes: pd.DataFrame) -> Path:
    pd.DataFrame(runs).to_parquet(folder / "runs.parquet")
    episodes.to_parquet(folder / "results.parquet")
    (folder / "comparison.json").write_text(json.dumps({"name": "x", "axes": AXES}))
    return folder


def test_curves_bin_by_step_and_end_at_the_runs_exact_total(tmp_path: Path) -> None:
    # Two seeds of 400 steps, an episode ending every 10 steps: 40 / 8 = 5 bins of 80. Each episode
    # of seed 0 violates once, seed 1 never; an episode that did not finish adds one more.
    episodes = pd.DataFrame(
        [
            episode(run, end_step=10 * (k + 1), violations=int(run == "a"), task_return=float(k),
                    interventions=1)
            for run in "ab"
            for k in range(40)
        ]
    )  # fmt: skip
    runs = [run_row("a", 0, steps=400, total_violations=41), run_row("b", 1, steps=400)]
    (curves,) = training_curves(load(write_folder(tmp_path, runs, episodes)))
    assert list(curves.task_return.steps) == [80, 160, 240, 320, 400]
    assert list(curves.task_return.mean) == [3.5, 11.5, 19.5, 27.5, 35.5]
    assert list(curves.violations.steps) == [0, 80, 160, 240, 320, 400]
    assert list(curves.violations.mean) == [0, 4, 8, 12, 16, 20.5]
    assert curves.violations.low.min() == 0.0
    assert list(curves.interventions.mean) == [100.0] * 5


def test_curves_leave_out_bins_that_a_seed_did_not_reach(tmp_path: Path) -> None:
    rows = [episode("a", end_step=10 * (k + 1)) for k in range(40)]
    rows += [episode("b", end_step=10 * (k + 1)) for k in range(20)]
    runs = [run_row("a", 0, steps=400), run_row("b", 1, steps=200)]
    (curves,) = training_curves(load(write_folder(tmp_path, runs, pd.DataFrame(rows))))
    assert list(curves.task_return.steps) == [100, 200]
    assert list(curves.violations.steps) == [0, 100, 200]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "runs.parquet").unlink(), "no results folder: it has no runs.parquet"),
        (lambda f: (f / "comparison.json").write_text("{"), "cannot read .*comparison.json"),
        (lambda f: (f / "comparison.json").write_text("[]"), "expected an object"),
        (lambda f: (f / "results.parquet").write_bytes(b"PAR1junk"), "cannot read .*results"),
        (
            lambda f: pd.DataFrame({"run": ["a"]}).to_parquet(f / "runs.parquet"),
            "runs.parquet lacks the columns env, regime, algo, seed",
        ),
        (
            lambda f: pd.DataFrame([run_row("z")]).to_parquet(f / "runs.parquet"),
            "names run a, which runs.parquet does not have",
        ),
        (
            lambda f: pd.DataFrame([run_row("z")])[:0].to_parquet(f / "runs.parquet"),
            "holds no run",
        ),
    ],
)
def test_damaged_folders_are_refused_on_one_line(
    tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    write_folder(tmp_path, [run_row("a")], pd.DataFrame([episode("a")]))
    load(tmp_path)
    damage(tmp_path)
    with pytest.raises(UsageError, match=message) as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no results folder at .*nowhere"):
        load(tmp_path / "nowhere")
