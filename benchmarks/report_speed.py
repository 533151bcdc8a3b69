"""Time and memory of a report: python benchmarks/report_speed.py [runs [episodes]].

Makes a results folder of that many runs (1 000) with that many episodes each (1 000) in a temporary
place, has `looplab report` draw it in a process of its own, and prints seconds, processor seconds
and the peak of memory. Status 1 if they are above the limits.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from looplab.experiments.collecting import write_frame
from looplab.experiments.result_folder import (
    ALARMS_FILE,
    CALIBRATION_FILE,
    COMPARISON_FILE,
    READINGS,
    RESULTS_FILE,
    RUNS_FILE,
    TOTALS,
)
from looplab.experiments.run_tables import alarm_rows, calibration_rows
from looplab.oversight.calibration import BINS, RISK, SAFETY
from looplab.oversight.measures import EPISODE_COLUMNS

RUNS, EPISODES = 1_000, 1_000
LIMIT_SECONDS, LIMIT_MIB = 60.0, 2048.0
TASKS = ("lava_shortcut", "ops_desk", "hazard_grid", "lane_drive", "dose_control")
REGIMES = (
    "autonomous", "feedback", "on_the_loop", "veto_window", "in_the_loop",
    "in_the_loop_correction", "in_the_loop_penalty", "adaptive", "rules", "behind_the_loop",
)  # fmt: skip
EVALUATIONS = [
    (p, q) for p in ("eval_overseen", "eval_alone") for q in ("stochastic", "deterministic")
]
#: Share of a run's episodes that are training.
TRAINED = 0.6
EPISODE_STEPS, LANES, SEED = 50, 16, 7


def main(words: list[str]) -> int:
    runs, episodes = (int(word) for word in (*words, *map(str, (RUNS, EPISODES)[len(words) :])))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "large"
        folder.mkdir()
        write(folder, runs, episodes)
        size = sum(file.stat().st_size for file in folder.iterdir()) / 2**20
        started = time.perf_counter()
        command = [sys.executable, "-m", "looplab.experiments.cli", "report", str(folder)]
        status = subprocess.run(command, check=False).returncode
        seconds = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak, processor = used.ru_maxrss / 1024.0, used.ru_utime + used.ru_stime
    print(
        f"{runs} runs x {episodes} episodes, {size:.0f} MiB on disk: {seconds:.1f} s "
        f"(limit {LIMIT_SECONDS:.0f}), {processor:.1f} s of processor, "
        f"{peak:.0f} MiB at most (limit {LIMIT_MIB:.0f})"
    )
    return int(status != 0 or seconds > LIMIT_SECONDS or peak > LIMIT_MIB)


def write(folder: Path, runs: int, episodes: int) -> None:
    """A results folder with all columns that a comparison writes; two of its tasks drift."""
    rng = np.random.default_rng(SEED)
    cells = [(task, regime) for task in TASKS for regime in REGIMES]
    names = [(*cells[k % len(cells)], "ppo", k // len(cells)) for k in range(runs)]
    runs_frame = pd.DataFrame(names, columns=["env", "regime", "algo", "seed"])
    runs_frame["run"] = [f"{e}-{r}-{a}-s{s}-{k:012x}" for k, (e, r, a, s) in enumerate(names)]
    frames = list(_episodes(runs_frame, episodes, rng))
    steps = int(EPISODE_STEPS * TRAINED * episodes)
    runs_frame = runs_frame.assign(steps=steps, threshold=0.5, wall_seconds=1.0)
    totals = {f"total_{name}": rng.poisson(40.0, runs) for name in TOTALS}
    readings = {name: rng.uniform(0.0, 1.0, runs) for name in READINGS}
    runs_frame = pd.concat([runs_frame, pd.DataFrame(totals | readings)], axis="columns")
    drifting = runs_frame["env"].isin(TASKS[:2])
    runs_frame["drift_step"] = np.where(drifting, steps / 2.0, np.nan)
    write_frame(folder / RESULTS_FILE, pd.concat(frames, ignore_index=True))
    write_frame(folder / RUNS_FILE, runs_frame)
    bins = {"count": [50] * BINS, "predicted": [25.0] * BINS, "happened": [20] * BINS}
    told = {
        run: {
            "calibration": {RISK: bins, SAFETY: bins},
            "alarms": [{"monitor": "PageHinkley", "steps": [steps // 3, steps - 1]}],
        }
        for run in runs_frame["run"]
    }
    write_frame(folder / CALIBRATION_FILE, calibration_rows(told))
    write_frame(folder / ALARMS_FILE, alarm_rows(told))
    comparison = {"name": "large", "command": None, "axes": ["env", "regime", "algo"]}
    (folder / COMPARISON_FILE).write_text(json.dumps(comparison), encoding="utf-8")


def _episodes(
    runs: pd.DataFrame, episodes: int, rng: np.random.Generator
) -> Iterator[pd.DataFrame]:
    train = int(TRAINED * episodes)
    each = (episodes - train) // len(EVALUATIONS)
    phases = [("train", "stochastic", train), *((p, q, each) for p, q in EVALUATIONS)]
    for row in runs.itertuples():
        for phase, policy, count in phases:
            length = rng.integers(EPISODE_STEPS // 2, EPISODE_STEPS + 1, count)
            columns = {name: rng.poisson(1.0, count) for name in EPISODE_COLUMNS}
            columns |= {"length": length, "lane": np.arange(count) % LANES}
            columns |= {"episode": np.arange(count) // LANES}
            columns["end_step"] = EPISODE_STEPS * np.arange(1, count + 1)
            progress = np.linspace(0.0, 1.0, count)
            columns["task_return"] = rng.normal(progress, 0.3)
            columns["learning_return"] = columns["task_return"]
            columns["success"] = np.full(count, np.nan)
            named = {"env": row.env, "regime": row.regime, "algo": row.algo, "seed": row.seed}
            named |= {"run": row.run}
            yield pd.DataFrame(columns).assign(**named, phase=phase, policy=policy)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
