"""Comparisons: every cell with every seed, trained, evaluated, collected and reported."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from looplab.envs.errors import LoopLabError, UsageError
from looplab.experiments.build import make
from looplab.experiments.cells import GROUP_AXES
from looplab.experiments.claims import left_out, read_claims
from looplab.experiments.composition import TRIAL
from looplab.experiments.estimate import estimate
from looplab.experiments.executors import executor_of
from looplab.experiments.job import Failure, Job
from looplab.experiments.manifest import extended, manifest_of, with_notes
from looplab.experiments.number_text import counted
from looplab.experiments.overrides import Plan, plan
from looplab.experiments.processes import begin
from looplab.experiments.progress import display
from looplab.experiments.report import write_report
from looplab.experiments.result_folder import RESULTS_FILE
from looplab.experiments.store import (
    RUNS,
    check_same,
    check_writable,
    is_finished,
    locked,
    run_name,
    write_manifest,
)
from looplab.experiments.trials import kind, trial_of
from looplab.experiments.versions import place_of
from looplab.experiments.words import value_of

RESULTS = Path("results")
_HASH_DIGITS = 8


class RunsFailed(LoopLabError):
    """Some runs failed; the others are finished and kept.

    Args:
        failures: what went wrong, per run.
        total: number of runs that were executed.
    """

    def __init__(self, failures: Sequence[Failure], total: int) -> None:
        self.failures = tuple(failures)
        first = self.failures[0]
        super().__init__(
            f"{len(self.failures)} of {counted(total, 'run')} failed, "
            f"first {first.name}: {first.message}"
        )

    @property
    def usage(self) -> bool:
        """Whether the input was at fault in every one of them."""
        return all(failure.usage for failure in self.failures)


def compare(words: str | Sequence[str] = (), **settings: Any) -> pd.DataFrame:
    """Runs a comparison and returns its results, one row per finished episode.

    The same as ``looplab compare``: finished runs are not repeated, and tables, figures and report
    are left in the results folder. In a script, call it under ``if __name__ == "__main__":``,
    because worker processes import the script.

    Args:
        words: ``key=value``, as on the command line.
        **settings: the same as arguments; lists sweep, e.g. ``env=["lava_shortcut", "ops_desk"]``;
            dotted keys as ``**{"overseer.miss_rate": [0, 0.1]}``.

    Raises:
        UsageError: before anything runs, if something cannot be run.
        RunsFailed: at the end, if runs failed.
    """
    given = [words] if isinstance(words, str) else list(words)
    asked = plan([*given, *(_word(key, value) for key, value in settings.items())])
    return pd.read_parquet(run_plan(asked, command=None) / RESULTS_FILE)


def _word(key: str, value: Any) -> str:
    if not isinstance(value, list | tuple):
        return f"{key}={value_of(value).text}"
    texts = ",".join(value_of(item).text for item in value)
    return f"{key}={texts}" if len(value) > 1 else f"{key}=choice({texts})"


def out_folder(asked: Plan) -> Path:
    """Where a comparison's results go: ``out``, or a folder named after what is compared.

    Raises:
        UsageError: if results of another version of LoopLab are there.
    """
    folder = _named_folder(asked)
    runs = [job.folder for job in jobs(asked, folder)]
    return place_of(folder, runs, asked.running["other_version"])


def _named_folder(asked: Plan) -> Path:
    if asked.running["out"] is not None:
        return Path(asked.running["out"])
    if asked.experiment is not None:
        return RESULTS / str(asked.experiment["name"])
    text = json.dumps([asked.axes, asked.settings], sort_keys=True)
    return RESULTS / f"compare-{hashlib.sha256(text.encode()).hexdigest()[:_HASH_DIGITS]}"


def jobs(asked: Plan, folder: Path) -> list[Job]:
    """Every run of a plan: seeds within cells, cells in the order that they were asked for."""
    found = {}
    for cell in asked.cells:
        for seed in asked.seeds:
            config = {**cell, "seed": seed}
            name = run_name(config)
            found[name] = Job(name, config, folder / RUNS / name, asked.running["tracker"])
    return list(found.values())


def listing(asked: Plan) -> list[str]:
    """Every run of a plan in a line, whether it is finished, and what those to do will cost."""
    folder = out_folder(asked)
    wanted = jobs(asked, folder)
    new = [job for job in wanted if not is_finished(job.folder)]
    lines = [f"{folder}: {counted(len(wanted), 'run')}, {len(new)} to do"]
    for job in wanted:
        state = "finished" if is_finished(job.folder) else "to do"
        lines.append(f"  {state:8}  {job.name}  {job.config['total_steps']} steps")
    return lines + ([expected(new, folder, asked.running)[0]] if new else [])


def check_cells(asked: Plan) -> None:
    """Builds every cell once, small and dry, before anything trains.

    Raises:
        UsageError: naming the first cell that cannot run and why, and how many cannot.
    """
    make(asked.running["tracker"])
    wrong = []
    for cell in asked.cells:
        config = {**cell, "seed": asked.seeds[0]}
        try:
            trial_of(config).check(config)
        except UsageError as error:
            where = f"{cell_name(cell['cell'])}: " if len(asked.cells) > 1 else ""
            wrong.append(f"{where}{error}")
    if wrong:
        others = f" (and {len(wrong) - 1} more of {len(asked.cells)} cells)" * (len(wrong) > 1)
        raise UsageError(f"{wrong[0]}{others}")


def run_plan(
    asked: Plan, command: str | None, say: Callable[[str], None] = lambda line: None
) -> Path:
    """Executes what a plan still lacks, and writes its tables and report.

    Args:
        asked: the plan.
        command: the exact command line; None where there was none.
        say: is told, in a line, what will be done.

    Returns:
        The results folder.

    Raises:
        UsageError: before anything runs, if something cannot be run.
        RunsFailed: after all others are done, if runs failed.
    """
    begin(asked.running["workers"])
    check_cells(asked)
    folder = out_folder(asked)
    wanted = jobs(asked, folder)
    manifest = manifest_of(asked, wanted, command)
    check_same(folder, manifest)
    new = [job for job in wanted if not is_finished(job.folder)]
    cost, needed = expected(new, folder, asked.running)
    check_writable(folder, len(new), needed)
    with locked(folder):
        manifest = extended(check_same(folder, manifest), manifest)
        write_manifest(folder, manifest)
        new = [job for job in wanted if not is_finished(job.folder)]
        say(f"{counted(len(wanted), 'run')}, {len(new)} to do, in {folder}")
        for line in not_judged(asked):
            say(line)
        if new:
            say(cost)
        failures = execute_all(new, asked.running)
        done = [run for run in manifest["runs"] if is_finished(folder / RUNS / run["run"])]
        if done:
            write_manifest(folder, with_notes(manifest, folder, done))
            kind(manifest).collect(folder, done, manifest["axes"])
            write_report(folder)
    if failures:
        raise RunsFailed(failures, len(new))
    return folder


def expected(new: Sequence[Job], folder: Path, running: Mapping[str, Any]) -> tuple[str, float]:
    """What runs will cost where they are executed: a line for a person, and bytes on disk.

    Args:
        new: the runs.
        folder: the results folder; it need not exist.
        running: ``executor`` and ``workers``.

    Raises:
        UsageError: if the executor's settings are wrong, or a package is missing.
    """
    room = executor_of(running).room(running["workers"])
    found = estimate(new, folder)
    return found.line(None if room is None else max(1, min(room, len(new)))), found.bytes


def execute_all(new: Sequence[Job], running: Mapping[str, Any]) -> list[Failure]:
    """Executes runs, the longest first, and shows how they go on.

    Args:
        new: the runs.
        running: ``executor``, ``workers`` and ``display``.

    Returns:
        The failures.
    """
    if not new:
        return []
    longest_first = sorted(new, key=lambda job: -int(job.config["total_steps"]))
    cells = {job.name: cell_name(job.config["cell"]) for job in longest_first}
    steps = {job.name: int(job.config["total_steps"]) for job in longest_first}
    with display(running["display"], cells, steps) as shown:
        return executor_of(running)(longest_first, running["workers"], shown)


def not_judged(asked: Plan) -> list[str]:
    """A line for each of the experiment's claims that speaks of cells which nobody asked for."""
    claims = read_claims(asked.experiment or {}, measures=kind({TRIAL: asked.trial}).measures())
    found = left_out(claims, [cell["cell"] for cell in asked.cells])
    return [f"claim {claim.name} is left out: {reason}" for claim, reason in found]


def cell_name(cell: Mapping[str, Any]) -> str:
    """A cell in a few words, further axes with their names."""
    named = (str(v) if k in GROUP_AXES.values() else f"{k}={v}" for k, v in cell.items())
    return " ".join(named)
