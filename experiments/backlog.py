"""Runs that wait for their turn, and what became of those that had it."""

from collections import deque
from collections.abc import Collection, Sequence

from looplab.experiments.job import Failure, Job, Watcher

#: How often a run is tried, where it was not LoopLab itself that refused it.
ATTEMPTS = 2


class Backlog:
    """Hands out runs; one that failed by chance is handed out once more, after the others.

    Args:
        jobs: the runs, in the order in which they should begin.
        watcher: is told how each ends, once.
        attempts: how often a run is tried at most.
    """

    def __init__(self, jobs: Sequence[Job], watcher: Watcher, attempts: int = ATTEMPTS) -> None:
        self._jobs = tuple(jobs)
        self._waiting = deque(jobs)
        self._watcher = watcher
        self._attempts = attempts
        self._tried: dict[str, int] = dict.fromkeys((job.name for job in jobs), 0)
        self._failures: dict[str, Failure] = {}

    def __len__(self) -> int:
        """Number of runs that wait."""
        return len(self._waiting)

    def take(self) -> Job:
        """The next run."""
        job = self._waiting.popleft()
        self._tried[job.name] += 1
        return job

    def claim(self, names: Collection[str]) -> list[Job]:
        """Takes those of these runs that wait."""
        found = [job for job in self._waiting if job.name in names]
        for job in found:
            self._waiting.remove(job)
            self._tried[job.name] += 1
        return found

    def ended(self, job: Job, failure: Failure | None) -> None:
        """A run that was taken has ended, well or not."""
        if failure is not None:
            if failure.chance and self._tried[job.name] < self._attempts:
                self._waiting.append(job)
                return
            self._failures[job.name] = failure
        self._watcher.finished(job.name, failure)

    def failures(self) -> list[Failure]:
        """Those that were given up, in the order of the jobs."""
        return [self._failures[job.name] for job in self._jobs if job.name in self._failures]
