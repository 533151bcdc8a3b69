"""The ``train`` command: one run, and a small table of what came of it."""

from collections.abc import Callable, Sequence

import pandas as pd

from looplab.envs.errors import UsageError
from looplab.experiments.build import check
from looplab.experiments.compare import RunsFailed, single_job
from looplab.experiments.evaluate import summarise
from looplab.experiments.executors import local
from looplab.experiments.progress import display
from looplab.experiments.store import is_finished
from looplab.experiments.text_table import text_table


def train_one(words: Sequence[str], say: Callable[[str], None]) -> None:
    """Executes the run that the words ask for, unless it is finished, and prints its results.

    Args:
        words: ``key=value``, as in Hydra.
        say: prints a line.

    Raises:
        UsageError: before anything runs, if it cannot be run.
        RunsFailed: if it failed.
    """
    asked, job = single_job(words)
    check(job.config)
    if asked.running["dry_run"]:
        say(f"{job.name}  {job.config['total_steps']} steps  -> {job.folder}")
        return
    if is_finished(job.folder):
        say("this run is finished already; nothing is repeated")
    else:
        if job.folder.exists():
            raise UsageError(f"{job.folder} exists and holds no finished run; give another out=")
        steps = {job.name: int(job.config["total_steps"])}
        with display(asked.running["display"], {job.name: job.name}, steps) as shown:
            failures = local([job], 1, shown)
        if failures:
            raise RunsFailed(failures, 1)
    say(text_table(summarise(pd.read_parquet(job.folder / "episodes.parquet"))))
    say(f"run: {job.folder}")
