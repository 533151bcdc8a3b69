"""Where runs are executed: in worker processes of this machine, several runs per worker."""

import os
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from queue import Empty
from typing import Any, Protocol

from looplab.envs.errors import LoopLabError, UsageError
from looplab.experiments.provenance import cores
from looplab.experiments.store import written_whole

#: A run whose worker died this often is given up.
ATTEMPTS = 2
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Job:
    """One run to execute.

    Attributes:
        name: the run's name.
        config: its resolved configuration.
        folder: where its files go, whole or not at all.
    """

    name: str
    config: Mapping[str, Any]
    folder: Path


@dataclass
class Failure:
    """A run that did not finish.

    Attributes:
        name: the run's name.
        message: one line for a person.
        details: the traceback, where it is a fault and no complaint about the input.
        usage: whether the input was at fault.
    """

    name: str
    message: str
    details: str = field(default="", repr=False)
    usage: bool = False


class Watcher(Protocol):
    """Who is told how runs go on."""

    def started(self, name: str) -> None:
        """A run has begun."""

    def advanced(self, name: str, steps: int) -> None:
        """A run has made some more steps."""

    def finished(self, name: str, failure: Failure | None) -> None:
        """A run has ended, well or not."""


Report = Callable[[str, str, int], None]


def execute(job: Job, report: Report) -> Failure | None:
    """Executes one run in this process; returns what went wrong, if anything did."""
    from looplab.experiments.run import run  # imports torch

    report("started", job.name, 0)
    try:
        with written_whole(job.folder) as folder:
            run(job.config, folder, lambda steps: report("advanced", job.name, steps))
    except UsageError as error:
        return Failure(job.name, str(error), usage=True)
    except LoopLabError as error:
        return Failure(job.name, str(error))
    except Exception as error:  # isolated: the other runs go on, and it is reported
        line = f"{type(error).__name__}: {error}".splitlines()[0]
        return Failure(job.name, line, traceback.format_exc())
    return None


_queue: Any = None


def _begin_worker(queue: Any) -> None:
    """Prepares a worker process: one torch thread, and an end together with its parent."""
    global _queue
    _queue = queue
    os.environ["OMP_NUM_THREADS"] = "1"
    parent = parent_process()

    def follow() -> None:
        if parent is not None:
            wait_for([parent.sentinel])
        os._exit(1)  # the parent is gone: whatever was half-written stays hidden

    threading.Thread(target=follow, daemon=True).start()
    import torch

    torch.set_num_threads(1)


def _work(job: Job) -> Failure | None:
    return execute(job, lambda kind, name, steps: _queue.put((kind, name, steps)))


def local(jobs: Sequence[Job], workers: int | None, watcher: Watcher) -> list[Failure]:
    """Executes runs in worker processes of this machine; one worker serves many runs.

    A run that fails does not stop the others. A worker that dies costs its run only: that run is
    tried once more, the others are taken up by new workers.

    Args:
        jobs: the runs; the longest should come first.
        workers: number of processes; None: one per core. With one, runs execute in this process.
        watcher: is told how they go on.

    Returns:
        The failures, in the order of the jobs.
    """
    count = min(workers or cores(), max(len(jobs), 1))
    failures: dict[str, Failure] = {}
    if count == 1:
        for job in jobs:
            failure = execute(job, lambda kind, name, steps: _tell(watcher, kind, name, steps))
            watcher.finished(job.name, failure)
            if failure is not None:
                failures[job.name] = failure
    else:
        _pooled(jobs, count, watcher, failures)
    return [failures[job.name] for job in jobs if job.name in failures]


def _tell(watcher: Watcher, kind: str, name: str, steps: int) -> None:
    if kind == "started":
        watcher.started(name)
    else:
        watcher.advanced(name, steps)


def _pooled(
    jobs: Sequence[Job], count: int, watcher: Watcher, failures: dict[str, Failure]
) -> None:
    attempts: dict[str, int] = {}
    left = list(jobs)
    while left:
        ended, running = _one_pool(left, count, watcher, failures)
        for name in running:  # their worker died, or another's of the same pool
            attempts[name] = attempts.get(name, 0) + 1
            if attempts[name] >= ATTEMPTS:
                failure = Failure(name, "its worker process died (out of memory, or killed)")
                failures[name] = failure
                watcher.finished(name, failure)
                ended.add(name)
        left = [job for job in left if job.name not in ended]


def _one_pool(
    jobs: Sequence[Job], count: int, watcher: Watcher, failures: dict[str, Failure]
) -> tuple[set[str], set[str]]:
    """Runs jobs until all have ended or the pool broke; returns who ended and who was running."""
    context = get_context("spawn")
    queue = context.Queue()
    ended: set[str] = set()
    running: set[str] = set()
    pool = ProcessPoolExecutor(count, context, _begin_worker, (queue,))
    try:
        futures = {pool.submit(_work, job): job.name for job in jobs}
        pending: set[Future[Failure | None]] = set(futures)
        while pending:
            done, pending = wait(pending, _POLL_SECONDS, FIRST_COMPLETED)
            for kind, name, steps in _drained(queue):
                if kind == "started":
                    running.add(name)
                _tell(watcher, kind, name, steps)
            for future in done:
                name = futures[future]
                try:
                    failure = future.result()
                except BrokenProcessPool:
                    continue
                ended.add(name)
                running.discard(name)
                if failure is not None:
                    failures[name] = failure
                watcher.finished(name, failure)
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        queue.close()
    return ended, running - ended


def _drained(queue: Any) -> Iterable[tuple[str, str, int]]:
    while True:
        try:
            yield queue.get_nowait()
        except Empty:
            return


#: Executors by name; each takes jobs, workers and a watcher, and returns the failures.
EXECUTORS: dict[str, Callable[[Sequence[Job], int | None, Watcher], list[Failure]]] = {
    "local": local
}
