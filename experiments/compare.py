"""Comparisons: every cell with every seed, trained, evaluated, collected and reported."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd

from looplab.envs.errors import LoopLabError, UsageError
from looplab.experiments.build import check
from looplab.experiments.executors import EXECUTORS, Failure, Job
from looplab.experiments.files import write_whole
from looplab.experiments.overrides import Plan, plan
from looplab.experiments.progress import Display, PlainDisplay, display
from looplab.experiments.provenance import provenance
from looplab.experiments.report import write_report
from looplab.experiments.result_folder import (
    PROVENANCE_FILE,
    RESULTS_FILE,
    RUNS_FILE,
    TOTALS,
)
from looplab.experiments.store import (
    RUNS,
    check_same,
    is_finished,
    locked,
    remove_partial,
    run_name,
    write_manifest,
)

#: Order of the rows of ``results.parquet``, after the run.
_ROW_ORDER = ("phase", "policy", "end_step", "lane", "episode")
_RESULTS = Path("results")
_HASH_DIGITS = 8


class RunsFailed(LoopLabError):
    """Some runs of a comparison failed; the others are finished and kept.

    Args:
        failures: what went wrong, per run.
        total: number of runs that were executed.
    """

    def __init__(self, failures: Sequence[Failure], total: int) -> None:
        self.failures = list(failures)
        first = self.failures[0]
        super().__init__(
            f"{len(self.failures)} of {total} runs failed, first {first.name}: {first.message}"
        )

    @property
    def usage(self) -> bool:
        """Whether the input was at fault in every one of them."""
        return all(failure.usage for failure in self.failures)


def out_folder(asked: Plan) -> Path:
    """Where a comparison's results go: ``out``, or a folder named after what is compared."""
    if asked.running["out"] is not None:
        return Path(asked.running["out"])
    if asked.experiment is not None:
        return _RESULTS / asked.experiment["name"]
    text = json.dumps([asked.axes, asked.settings], sort_keys=True)
    return _RESULTS / f"compare-{hashlib.sha256(text.encode()).hexdigest()[:_HASH_DIGITS]}"


def jobs(asked: Plan, folder: Path) -> list[Job]:
    """Every run of a plan: seeds within cells, cells in the order that they were asked for."""
    found = []
    for cell in asked.cells:
        for seed in asked.seeds:
            config = {**cell, "seed": seed}
            name = run_name(config)
            found.append(Job(name, config, folder / RUNS / name))
    return list({job.name: job for job in found}.values())


def compare(*words: str, **settings: Any) -> pd.DataFrame:
    """Runs a comparison and returns its results, one row per finished episode.

    The same as ``looplab compare``: finished runs are not repeated, and tables, figures and report
    are left in the results folder. In a script, call it under ``if __name__ == "__main__":``,
    because worker processes import the script.

    Args:
        *words: ``key=value`` as on the command line.
        **settings: the same as arguments; lists sweep, e.g. ``env=["lava_shortcut", "ops_desk"]``.

    Raises:
        UsageError: before anything runs, if something cannot be run.
        RunsFailed: at the end, if runs failed.
    """
    asked = plan([*words, *(f"{key}={_word(value)}" for key, value in settings.items())])
    folder = run_plan(asked, command=None)
    return pd.read_parquet(folder / RESULTS_FILE)


def _word(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(_word(item) for item in value)
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def run_plan(asked: Plan, command: str | None) -> Path:
    """Executes what a plan still lacks, and writes its tables and report.

    Args:
        asked: the plan.
        command: the exact command line; None where there was none.

    Returns:
        The results folder.

    Raises:
        UsageError: before anything runs, if something cannot be run.
        RunsFailed: after all others are done, if runs failed.
    """
    for cell in asked.cells:
        check({**cell, "seed": asked.seeds[0]})
    folder = out_folder(asked)
    wanted = jobs(asked, folder)
    manifest = _manifest(asked, folder, command)
    check_same(folder, manifest)
    new = [job for job in wanted if not is_finished(job.folder)]
    with locked(folder, len(new)):
        remove_partial(folder)
        manifest = _extended(manifest, check_same(folder, manifest), wanted)
        write_manifest(folder, manifest)
        failures = _execute(asked, new)
        done = [run for run in manifest["runs"] if is_finished(folder / RUNS / run["run"])]
        if done:
            collect(folder, done, manifest["axes"])
            write_report(folder)
    if failures:
        raise RunsFailed(failures, len(new))
    return folder


def _execute(asked: Plan, new: Sequence[Job]) -> list[Failure]:
    if not new:
        return []
    cells = {job.name: _cell_name(job.config["cell"]) for job in new}
    steps = {job.name: int(job.config["total_steps"]) for job in new}
    longest_first = sorted(new, key=lambda job: -steps[job.name])
    executor = EXECUTORS[asked.running["executor"]]
    shown: Display = display(asked.running["display"], cells, steps)
    if isinstance(shown, PlainDisplay):
        print(f"{len(new)} runs to do", flush=True)
    with shown:
        return executor(longest_first, asked.running["workers"], shown)


def _cell_name(cell: Mapping[str, Any]) -> str:
    return " ".join(str(value) for value in cell.values())


def _manifest(asked: Plan, folder: Path, command: str | None) -> dict[str, Any]:
    name = asked.experiment["name"] if asked.experiment is not None else "comparison"
    return {
        "name": name,
        "command": command,
        "axes": list(asked.axes),
        "settings": asked.settings,
        "experiment": asked.experiment,
        "notes": [],
        "runs": [],
    }


def _extended(
    manifest: dict[str, Any], found: Mapping[str, Any], wanted: Sequence[Job]
) -> dict[str, Any]:
    """The manifest with the runs that the folder has already, and the wanted ones."""
    runs = {run["run"]: run for run in found.get("runs", [])}
    for job in wanted:
        runs[job.name] = {
            "run": job.name, "seed": job.config["seed"], "cell": dict(job.config["cell"])
        }  # fmt: skip
    commands = [c for c in (*found.get("commands", []), manifest["command"]) if c]
    return {
        **manifest,
        "command": manifest["command"] or found.get("command"),
        "commands": list(dict.fromkeys(commands)),
        "runs": sorted(runs.values(), key=lambda run: run["run"]),
    }


def collect(folder: Path, runs: Sequence[Mapping[str, Any]], axes: Sequence[str]) -> None:
    """Writes ``results.parquet``, ``runs.parquet`` and ``provenance.json`` of finished runs.

    Rows are ordered by run, phase, policy, end step, lane and episode, and hold no time of day, so
    that the same runs give the same file, however they were executed.
    """
    episodes, rows = [], []
    for entry in runs:
        place = folder / RUNS / entry["run"]
        labels = {axis: entry["cell"].get(axis) for axis in axes}
        frame = pd.read_parquet(place / "episodes.parquet")
        frame = frame.sort_values(list(_ROW_ORDER), kind="stable", ignore_index=True)
        others = [name for name in frame.columns if name not in (*labels, "seed", "run")]
        named = frame[others].assign(**labels, seed=entry["seed"], run=entry["run"])
        episodes.append(named[[*labels, "seed", "run", *others]])
        rows.append({**labels, "seed": entry["seed"], "run": entry["run"], **_totals(place)})
    _write_frame(folder / RESULTS_FILE, pd.concat(episodes, ignore_index=True))
    _write_frame(folder / RUNS_FILE, pd.DataFrame(rows))
    text = json.dumps(provenance(), indent=2) + "\n"
    write_whole(folder / PROVENANCE_FILE, text.encode())


def _totals(place: Path) -> dict[str, Any]:
    metrics = json.loads((place / "metrics.json").read_text(encoding="utf-8"))
    threshold = metrics["threshold"]
    return {
        "steps": metrics["steps"],
        "threshold": float("nan") if threshold is None else threshold,
        "wall_seconds": metrics["wall_seconds"],
        **{f"total_{name}": metrics["totals"][name] for name in TOTALS},
    }


def _write_frame(path: Path, frame: pd.DataFrame) -> None:
    buffer = BytesIO()
    frame.to_parquet(buffer, index=False)
    write_whole(path, buffer.getvalue())


def listing(asked: Plan) -> list[str]:
    """Every run of a plan in a line, and whether it is finished."""
    folder = out_folder(asked)
    lines = [f"{folder}: {len(jobs(asked, folder))} runs"]
    for job in jobs(asked, folder):
        state = "finished" if is_finished(job.folder) else "to do   "
        lines.append(f"  {state}  {job.name}  {job.config['total_steps']} steps")
    return lines


def single_job(words: Sequence[str]) -> tuple[Plan, Job]:
    """The one run that ``looplab train`` is asked for.

    Raises:
        UsageError: if the words ask for more than one.
    """
    asked = plan(words, sweeps=False)
    if len(asked.cells) != 1:
        raise UsageError("train runs one cell; use `looplab compare` for several")
    config = asked.cells[0]
    name = run_name(config)
    folder = Path(asked.running["out"] or _RESULTS / "train" / name)
    return asked, Job(name, config, folder)
