"""Runs as jobs of a Slurm cluster, submitted and followed by submitit."""

import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from looplab.envs.adapters.building import require
from looplab.envs.errors import UsageError, choice, finite, whole
from looplab.experiments.backlog import Backlog
from looplab.experiments.executors import execute_here
from looplab.experiments.job import Failure, Job, Watcher
from looplab.experiments.mailbox import Mailbox
from looplab.experiments.parcel import arrived, look_in, scratch
from looplab.experiments.provenance import cores
from looplab.experiments.store import lives

#: Beside the runs: what submitit keeps, logs, and what runs tell. It must be on a shared disk.
JOBS = ".slurm"
CLUSTERS = ("slurm", "local")
_READ_SECONDS = 0.5
#: How long jobs whose runs have all ended are waited for: they still write logs.
_LEAVE_SECONDS = 10.0
#: A shared disk shows files of other machines late, so long at most.
_LATE_SECONDS = {"slurm": 60.0, "local": 0.0}


@dataclass(frozen=True)
class Slurm:
    """Jobs of Slurm: each executes one run or several and leaves them in a shared folder.

    This process follows them and alone puts runs in their place. When it is killed, jobs go on; the
    same command finds them again.

    Args:
        cluster: ``slurm``; ``local``: the same jobs as processes of this machine.
        partition: queue; None: the cluster's default.
        account: whom the time is booked on; None: the user's default.
        time_minutes: a job's longest time.
        memory_gb: gigabytes of a job.
        cpus: cores of a job, which executes so many of its runs at once.
        runs_per_job: runs that one job executes.
        setup: lines of shell before a job.
        extra: further options of ``sbatch`` with their values; None: none.

    Raises:
        UsageError: if a setting is wrong, submitit is not installed, or there is no Slurm.
    """

    cluster: str = "slurm"
    partition: str | None = None
    account: str | None = None
    time_minutes: int = 240
    memory_gb: float = 4.0
    cpus: int = 1
    runs_per_job: int = 1
    setup: Sequence[str] = ()
    extra: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        choice("executor.cluster", self.cluster, CLUSTERS)
        for name in ("time_minutes", "cpus", "runs_per_job"):
            whole(f"executor.{name}", getattr(self, name), 1)
        finite("executor.memory_gb", self.memory_gb, 0.0)
        if not all(isinstance(line, str) for line in self.setup) or isinstance(self.setup, str):
            raise UsageError(f"executor.setup must be lines of shell, got {self.setup!r}")
        if self.extra is not None and not isinstance(self.extra, Mapping):
            raise UsageError(f"executor.extra must be options with values, got {self.extra!r}")
        require("submitit", "executor=slurm", "looplab[slurm]")
        if self.cluster == "slurm" and shutil.which("sbatch") is None:
            raise UsageError(
                "executor=slurm finds no sbatch on this machine; start it on a login node of the "
                "cluster, or give executor.cluster=local to try it here"
            )

    def __call__(self, jobs: Sequence[Job], workers: int | None, watcher: Watcher) -> list[Failure]:
        """Executes runs, ``workers`` jobs at once; None: as many as Slurm lets in."""
        if not jobs:
            return []
        folder = jobs[0].folder.parent.absolute() / JOBS
        failures = _Desk(
            self, folder, self._jobs_at_once(workers) or len(jobs), jobs, watcher
        ).work()
        if not failures:  # else its logs are wanted
            shutil.rmtree(folder, ignore_errors=True)
        return failures

    def room(self, workers: int | None) -> int | None:
        """How many runs go on at once; None: the cluster alone knows."""
        at_once = self._jobs_at_once(workers)
        return None if at_once is None else at_once * min(self.cpus, self.runs_per_job)

    def _jobs_at_once(self, workers: int | None) -> int | None:
        return workers or (cores() if self.cluster == "local" else None)

    def submitter(self, folder: Path) -> Any:
        """Submitit's executor with these settings.

        Raises:
            UsageError: if it refuses them.
        """
        import submitit

        settings = {
            "name": "looplab", "timeout_min": self.time_minutes, "cpus_per_task": self.cpus,
            "mem_gb": self.memory_gb, "slurm_partition": self.partition,
            "slurm_account": self.account, "slurm_setup": list(self.setup) or None,
            "slurm_additional_parameters": self.extra,
        }  # fmt: skip
        try:
            made = submitit.AutoExecutor(folder, cluster=self.cluster)
            made.update_parameters(**{k: v for k, v in settings.items() if v is not None})
        except (ValueError, TypeError, RuntimeError) as error:
            raise UsageError(f"executor=slurm: {' '.join(str(error).split())}") from error
        return made

    def found_again(self, folder: Path) -> list[tuple[Any, list[Job]]]:
        """Jobs that a former process submitted and that are still going on, with their runs."""
        import submitit

        kind: Any = submitit.LocalJob if self.cluster == "local" else submitit.SlurmJob
        found = []
        for file in sorted(folder.glob("*_submitted.pkl")):
            handle = kind(folder=folder, job_id=file.name.removesuffix("_submitted.pkl"))
            with suppress(Exception):  # of another version, or cut off: its runs are done anew
                runs = list(handle.submission().args[0])
                if not self.over(handle):
                    found.append((handle, runs))
        return found

    def over(self, handle: Any) -> bool:
        """Whether a job goes on no more."""
        if self.cluster == "local" and handle._process is None:  # another process's
            return handle.paths.result_pickle.exists() or not lives(int(handle.job_id))
        return bool(handle.done())


def serve(jobs: Sequence[Job], folder: Path, workers: int, path: Sequence[str]) -> None:
    """A job: executes runs on the machine where Slurm has put it, and leaves them in the mailbox.

    Args:
        jobs: the runs.
        folder: of the mailbox.
        workers: runs at once.
        path: where modules are looked for there; here too.
    """
    import torch

    torch.set_num_threads(1)
    look_in(path)
    with scratch() as temporary:
        mailbox = Mailbox(folder, temporary)
        here = [Job(job.name, job.config, temporary / job.name) for job in jobs]
        execute_here(Backlog(here, mailbox, attempts=1), workers, mailbox)


class _Desk:
    """Submits jobs and follows them.

    Args:
        slurm: the settings.
        folder: of submitit's files and the mailbox.
        limit: jobs at once.
        jobs: the runs.
        watcher: is told how they go on.
    """

    def __init__(
        self, slurm: Slurm, folder: Path, limit: int, jobs: Sequence[Job], watcher: Watcher
    ) -> None:
        self._slurm = slurm
        self._limit = limit
        self._watcher = watcher
        self._mailbox = Mailbox(folder)
        self._submitter = slurm.submitter(folder)
        self._backlog = Backlog(jobs, watcher)
        self._handles: dict[str, Any] = {}
        self._over: dict[str, float] = {}
        self._under_way: dict[str, tuple[str, Job]] = {}
        self._steps: dict[str, int] = {}

    def work(self) -> list[Failure]:
        """Executes all runs; returns those that were given up."""
        try:
            self._find_again()
            while self._backlog or self._under_way:
                self._submit()
                for name, handle in list(self._handles.items()):
                    self._follow(name, handle)
                time.sleep(_READ_SECONDS * bool(self._under_way))
        except BaseException:  # interrupted: what was started ends
            for handle in self._handles.values():
                with suppress(Exception):
                    handle.cancel(check=False)
            raise
        leaving = time.monotonic() + _LEAVE_SECONDS
        while time.monotonic() < leaving and not all(map(self._slurm.over, self._handles.values())):
            time.sleep(_READ_SECONDS)
        return self._backlog.failures()

    def _find_again(self) -> None:
        there = self._slurm.found_again(self._mailbox.folder)
        where = {run.name: handle for handle, runs in there for run in runs}
        for job in self._backlog.claim({*where, *self._mailbox.names()}):
            if job.name in where:
                self._begin(job, where[job.name])
            else:  # it ended while nobody looked
                self._settle(job)

    def _submit(self) -> None:
        batches: list[list[Job]] = []
        while self._backlog and len(self._handles) + len(batches) < self._limit:
            size = min(self._slurm.runs_per_job, len(self._backlog))
            batches.append([self._backlog.take() for _ in range(size)])
        for job in (job for batch in batches for job in batch):
            self._mailbox.forget(job.name)
        if not batches:
            return
        folder = self._mailbox.folder
        with self._submitter.batch():
            handles = [
                self._submitter.submit(serve, batch, folder, self._slurm.cpus, sys.path)
                for batch in batches
            ]
        for handle, batch in zip(handles, batches, strict=True):
            for job in batch:
                self._begin(job, handle)

    def _begin(self, job: Job, handle: Any) -> None:
        self._handles[handle.job_id] = handle
        self._under_way[job.name] = (handle.job_id, job)

    def _follow(self, number: str, handle: Any) -> None:
        """Reads what a job's runs tell, and notices when it has ended."""
        if number not in self._over and self._slurm.over(handle):
            self._over[number] = time.monotonic()  # before reading: nothing comes after it
        waited = time.monotonic() - self._over.get(number, time.monotonic())
        died = number in self._over and waited >= _LATE_SECONDS[self._slurm.cluster]
        mine = [job for at, job in self._under_way.values() if at == number]
        for job in mine:
            self._advance(job.name)
            if not self._settle(job) and died:
                self._under_way.pop(job.name)
                reason = f"its job {number} died ({_last_words(handle)})"
                self._backlog.ended(job, Failure(job.name, reason, chance=True))
        if died or (number in self._over and not mine):
            del self._handles[number], self._over[number]

    def _advance(self, name: str) -> None:
        steps, before = self._mailbox.steps(name), self._steps.get(name)
        if steps is None:
            return
        if before is None or steps < before:
            self._watcher.started(name)
            before = 0
        if steps > before:
            self._watcher.advanced(name, steps - before)
        self._steps[name] = steps

    def _settle(self, job: Job) -> bool:
        """Puts a run that has ended in its place; returns whether it has."""
        outcome = self._mailbox.outcome(job.name)
        if outcome is None:
            return False
        failure = arrived(job, outcome)
        self._mailbox.forget(job.name)
        self._under_way.pop(job.name, None)
        self._steps.pop(job.name, None)
        self._backlog.ended(job, failure)
        return True


def _last_words(handle: Any) -> str:
    """The last line of a job's log, or the state in which Slurm left it."""
    with suppress(OSError):
        lines = [line.strip() for line in (handle.stderr() or "").splitlines() if line.strip()]
        if lines:
            return lines[-1]
    return f"state {handle.state}"
