"""Where runs are executed."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from looplab.experiments.backlog import Backlog
from looplab.experiments.crew import Crew
from looplab.experiments.job import Failure, Job, Watcher, execute
from looplab.experiments.provenance import cores


class Executor(Protocol):
    """Executes runs somewhere."""

    def __call__(self, jobs: Sequence[Job], workers: int | None, watcher: Watcher) -> list[Failure]:
        """Executes runs. One that fails stops no other; by chance: it is tried once more, last.

        Args:
            jobs: the runs; the longest should come first.
            workers: how many go on at once; None: as many as there is room for.
            watcher: is told how they go on.

        Returns:
            Those that failed, in the order of the jobs.
        """

    def room(self, workers: int | None) -> int | None:
        """How many runs go on at once; None where that is not known beforehand."""


def executor_of(running: Mapping[str, Any]) -> Executor:
    """The executor that was asked for, its settings checked.

    Args:
        running: the words that say how to run; ``executor`` is its configuration.

    Raises:
        UsageError: if a setting is wrong, or a package is missing.
    """
    from looplab.experiments.build import make  # imports torch

    made: Executor = make(running["executor"])
    return made


class Local:
    """Worker processes of this machine; one worker serves many runs.

    With one worker, runs execute in this process. A worker that dies costs its run only.
    """

    def __call__(self, jobs: Sequence[Job], workers: int | None, watcher: Watcher) -> list[Failure]:
        """Executes runs, as many at once as there are workers; None: one per core."""
        return execute_here(Backlog(jobs, watcher), self.room(workers), watcher)

    def room(self, workers: int | None) -> int:
        """How many runs go on at once."""
        return workers or cores()


def execute_here(backlog: Backlog, workers: int, watcher: Watcher) -> list[Failure]:
    """Executes what waits, in this process or in several; returns what was given up."""
    count = min(workers, len(backlog))
    if count > 1:
        Crew(backlog, count, watcher).work()
    while backlog:
        job = backlog.take()
        watcher.started(job.name)
        backlog.ended(job, execute(job, partial(watcher.advanced, job.name)))
    return backlog.failures()
