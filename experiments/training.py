"""The ``train`` command: one run, and a small table of what came of it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import yaml

from looplab.envs.errors import UsageError
from looplab.experiments.collecting import EPISODES_FILE
from looplab.experiments.compare import RESULTS, RunsFailed, check_cells, execute_all, expected
from looplab.experiments.evaluate import summarise
from looplab.experiments.job import Job
from looplab.experiments.overrides import Plan, plan
from looplab.experiments.store import (
    CONFIG_FILE,
    check_writable,
    identity,
    is_finished,
    remove_partial,
    run_name,
)
from looplab.experiments.text_table import text_table
from looplab.experiments.versions import place_of
from looplab.experiments.yaml_text import read_yaml

_TRAIN = "train"


def single_job(words: Sequence[str]) -> tuple[Plan, Job]:
    """The one run that the words ask for.

    Raises:
        UsageError: if they ask for more than one.
    """
    asked = plan(words, sweeps=False)
    config = asked.cells[0]
    name = run_name(config)
    out = asked.running["out"]
    folder = RESULTS / _TRAIN / name if out is None else Path(out)
    place = place_of(folder, (), asked.running["other_version"])
    return asked, Job(name, config, place, asked.running["tracker"])


def train_one(words: Sequence[str], say: Callable[[str], None], dry_run: bool = False) -> None:
    """Executes the run that the words ask for, unless it is finished, and prints its results.

    Args:
        words: ``key=value``, as in Hydra.
        say: prints a line.
        dry_run: only name the run; the same as ``dry_run=true`` among the words.

    Raises:
        UsageError: before anything runs, if it cannot be run.
        RunsFailed: if it failed.
    """
    asked, job = single_job(words)
    check_cells(asked)
    if dry_run or asked.running["dry_run"]:
        say(f"{job.name}  {job.config['total_steps']} steps  -> {job.folder}")
        if not is_finished(job.folder):
            say(expected([job], job.folder.parent.parent, asked.running)[0])
        return
    if job.folder.is_file() or (job.folder.is_dir() and any(job.folder.iterdir())):
        _check_finished(job)
        say("this run is finished already; nothing is repeated")
    else:
        cost, needed = expected([job], job.folder.parent.parent, asked.running)
        check_writable(job.folder, 1, needed)
        say(cost)
        remove_partial(job.folder.parent)
        failures = execute_all([job], {**asked.running, "workers": 1})
        if failures:
            raise RunsFailed(failures, 1)
    say(text_table(summarise(pd.read_parquet(job.folder / EPISODES_FILE))))
    say(f"run: {job.folder}")


def _check_finished(job: Job) -> None:
    """Refuses a folder that holds anything but this very run."""
    if not is_finished(job.folder):
        raise UsageError(f"{job.folder} exists and holds no finished run; give another out=")
    try:
        there = read_yaml(job.folder / CONFIG_FILE)
        same = identity(there) == identity(job.config)
    except (OSError, ValueError, AttributeError, yaml.YAMLError) as error:
        line = str(error).splitlines()[0]
        raise UsageError(f"cannot read {job.folder / CONFIG_FILE}: {line}") from error
    if not same:
        raise UsageError(f"{job.folder} holds another run, {run_name(there)}; give another out=")
