"""Where runs are executed, by name."""

from collections.abc import Callable, Sequence
from functools import partial

from looplab.experiments.crew import Crew
from looplab.experiments.job import Failure, Job, Watcher, execute
from looplab.experiments.provenance import cores


def local(jobs: Sequence[Job], workers: int | None, watcher: Watcher) -> list[Failure]:
    """Executes runs in worker processes of this machine; one worker serves many runs.

    A run that fails does not stop the others. A worker that dies costs its run only: that run is
    tried once more, by a new worker and after the others.

    Args:
        jobs: the runs; the longest should come first.
        workers: number of processes; None: one per core. With one, runs execute in this process.
        watcher: is told how they go on.

    Returns:
        The failures, in the order of the jobs.
    """
    count = min(workers or cores(), len(jobs))
    found = _in_turn(jobs, watcher) if count <= 1 else Crew(jobs, count, watcher).failures()
    return [found[job.name] for job in jobs if job.name in found]


def _in_turn(jobs: Sequence[Job], watcher: Watcher) -> dict[str, Failure]:
    found = {}
    for job in jobs:
        watcher.started(job.name)
        failure = execute(job, partial(watcher.advanced, job.name))
        watcher.finished(job.name, failure)
        if failure is not None:
            found[job.name] = failure
    return found


Executor = Callable[[Sequence[Job], int | None, Watcher], list[Failure]]
#: Executors by name; each takes jobs, workers and a watcher, and returns the failures.
EXECUTORS: dict[str, Executor] = {"local": local}
