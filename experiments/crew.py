"""Worker processes of this machine: each executes many runs."""

from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from typing import Any

from looplab.experiments.backlog import Backlog
from looplab.experiments.job import Failure, Job, Watcher, execute
from looplab.experiments.processes import start

_END_SECONDS = 5.0
#: What a worker tells its parent.
ADVANCED, ENDED = "advanced", "ended"


def _serve(connection: Connection) -> None:
    """A worker's life: executes the jobs that it is sent."""
    with suppress(EOFError, ConnectionError):  # the parent has gone, without a word
        while (job := connection.recv()) is not None:
            failure = execute(job, lambda steps: connection.send((ADVANCED, steps)))
            connection.send((ENDED, failure))


class _Worker:
    """The parent's side of a worker process: what it is doing, and the line to it."""

    def __init__(self) -> None:
        self.connection, theirs = Pipe()
        self.process = start(_serve, theirs)
        theirs.close()  # so that the worker's death ends the line
        self.job: Job | None = None

    def begin(self, job: Job) -> bool:
        """Sends a job; returns whether the worker was there to take it."""
        self.job = job
        try:
            self.connection.send(job)
        except OSError:
            return False
        return True

    def message(self) -> tuple[str, Any] | None:
        """The next message; None if the worker died."""
        try:
            kind, content = self.connection.recv()
        except (EOFError, OSError):
            return None
        return kind, content

    def end(self) -> None:
        """Ends the process, whatever it is doing."""
        self.process.terminate()
        self.process.join(_END_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()  # only now, so that the worker does not stumble over it


class Crew:
    """Workers, and the runs that wait for them.

    Args:
        backlog: the runs.
        count: number of worker processes.
        watcher: is told how they go on.
    """

    def __init__(self, backlog: Backlog, count: int, watcher: Watcher) -> None:
        self._backlog = backlog
        self._count = count
        self._watcher = watcher
        self._idle: list[_Worker] = []
        self._busy: dict[Any, _Worker] = {}

    def work(self) -> None:
        """Executes all runs that wait."""
        try:
            while self._backlog or self._busy:
                self._assign()
                for connection in wait_for(list(self._busy)):
                    self._hear(self._busy[connection])
        finally:
            for worker in (*self._idle, *self._busy.values()):
                worker.end()

    def _assign(self) -> None:
        while self._backlog and len(self._busy) < self._count:
            worker = self._idle.pop() if self._idle else _Worker()
            job = self._backlog.take()
            self._busy[worker.connection] = worker
            if worker.begin(job):
                self._watcher.started(job.name)
            else:
                self._died(worker, job)

    def _hear(self, worker: _Worker) -> None:
        message, job = worker.message(), worker.job
        if job is None:
            raise RuntimeError("a worker without a job has spoken")
        match message:
            case None:
                self._died(worker, job)
            case (kind, int(steps)) if kind == ADVANCED:
                self._watcher.advanced(job.name, steps)
            case (kind, failure) if kind == ENDED:
                self._idle.append(self._busy.pop(worker.connection))
                self._backlog.ended(job, failure)
            case _:
                raise RuntimeError(f"a worker has sent {message!r}")

    def _died(self, worker: _Worker, job: Job) -> None:
        self._busy.pop(worker.connection).end()
        code = worker.process.exitcode
        reason = f"its worker process died (exit code {code}; out of memory?)"
        self._backlog.ended(job, Failure(job.name, reason, chance=True))
