"""Runs on the machines of a Ray cluster, which send their files back."""

import logging
import os
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from platform import node
from typing import Any

from looplab import __version__
from looplab.envs.adapters.building import require
from looplab.envs.errors import UsageError, finite, whole
from looplab.experiments.backlog import Backlog
from looplab.experiments.job import Failure, Job, Watcher
from looplab.experiments.parcel import Parcel, arrived, execute_away, look_in
from looplab.experiments.processes import ONE_THREAD
from looplab.experiments.provenance import cores

#: Ray's own switches: no word about this use is sent anywhere, nothing is said of GPUs, and
#: a cluster that has gone is not waited for long.
_SWITCHES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_NUM_REDIS_GET_RETRIES": "2",
}
#: How often runs tell what they have done, and how often that is read.
_TELL_SECONDS, _READ_SECONDS = 0.5, 0.2
_GIGABYTE = 1024**3
#: Memory for files that runs of an own cluster send back; what is more goes to disk.
_STORE_BYTES = 256 * 1024**2
_WAIT_SECONDS = 10
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Ray:
    """Tasks of Ray: each executes one run in a temporary folder and returns its files.

    The results folder need not be shared; this process alone writes there. A machine or a worker
    that dies costs its runs only.

    Args:
        address: of a running cluster, as ``ray.init`` takes it; None: a cluster of its own on this
            machine, which listens to this machine alone and ends with the runs.
        cpus: cores that a run reserves.
        memory_gb: gigabytes that a run reserves; None: none.
        working_dir: folder with modules of the user's own, which Ray copies to every machine.

    Raises:
        UsageError: if a setting is wrong, or Ray is not installed.
    """

    address: str | None = None
    cpus: int = 1
    memory_gb: float | None = None
    working_dir: str | None = None

    def __post_init__(self) -> None:
        if self.address is not None and (not isinstance(self.address, str) or not self.address):
            raise UsageError(f"executor.address must be host:port or auto, got {self.address!r}")
        whole("executor.cpus", self.cpus, 1)
        if self.memory_gb is not None:
            finite("executor.memory_gb", self.memory_gb, 0.0)
        if self.working_dir is not None and not Path(str(self.working_dir)).is_dir():
            raise UsageError(f"executor.working_dir: there is no folder {self.working_dir}")
        for name, value in _SWITCHES.items():
            os.environ.setdefault(name, value)
        require("ray", "executor=ray", "looplab[ray]")

    def __call__(self, jobs: Sequence[Job], workers: int | None, watcher: Watcher) -> list[Failure]:
        """Executes runs, ``workers`` at once; None: as many as the cluster has room for."""
        backlog = Backlog(jobs, watcher)
        if jobs:
            room = min(self.room(workers) or len(jobs), len(jobs))
            with self._connected(room * self.cpus):
                _Tasks(self, backlog, room, watcher).work()
        return backlog.failures()

    def room(self, workers: int | None) -> int | None:
        """How many runs go on at once; None: the cluster alone knows."""
        return workers or (cores() if self.address is None else None)

    @contextmanager
    def _connected(self, own_cpus: int) -> Iterator[None]:
        """Connects to the cluster, or makes one; not where the caller is connected already."""
        import ray

        if ray.is_initialized():
            yield
            return
        shared = {"working_dir": str(self.working_dir)} if self.working_dir else {}
        settings: dict[str, Any] = {
            "runtime_env": shared, "logging_level": logging.CRITICAL, "log_to_driver": False,
        }  # fmt: skip
        try:
            if self.address is None:
                with _this_machine_alone():
                    ray.init(
                        "local", num_cpus=own_cpus, include_dashboard=False,
                        object_store_memory=_STORE_BYTES, **settings,
                    )  # fmt: skip
            else:
                with _reached(self.address):
                    ray.init(self.address, **settings)
        except (ConnectionError, OSError, ValueError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[:1]
            raise UsageError(
                f"no Ray cluster answers at executor.address={self.address} "
                f"({''.join(reason) or type(error).__name__}); start one with `ray start --head`"
            ) from error
        try:
            yield
        finally:
            ray.shutdown()

    def options(self) -> dict[str, Any]:
        """What Ray is told of every task."""
        memory = {} if self.memory_gb is None else {"memory": int(self.memory_gb * _GIGABYTE)}
        return {
            "num_cpus": self.cpus, "max_retries": 0, **memory,
            "runtime_env": {"env_vars": ONE_THREAD},
        }  # fmt: skip


@contextmanager
def _this_machine_alone() -> Iterator[None]:
    """A cluster that is made within listens on the loopback address."""
    from ray._private import ray_constants

    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


@contextmanager
def _reached(address: str) -> Iterator[None]:
    """Sees first whether anybody answers: Ray itself would try for many minutes.

    A cluster that listens to its own machine alone is met there: Ray by itself takes a loopback
    address for the machine's outer one.

    Raises:
        ConnectionError: if nobody does.
    """
    import ray

    host, _, port = address.rpartition(":")
    if not port.isdigit() or "/" in host:  # auto, or a form that Ray alone knows
        yield
        return
    outer: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    if not _answers(host, int(port)):
        raise ConnectionError("nobody answers there")
    local = host in _LOOPBACK and not _answers(outer, int(port))
    with _this_machine_alone() if local else nullcontext():
        yield


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), _WAIT_SECONDS).close()
    except OSError:
        return False
    return True


class Postbox:
    """Keeps what runs tell, wherever they are, until it is read: name and steps, None at first."""

    def __init__(self) -> None:
        self._notes: list[tuple[str, int | None]] = []

    def put(self, name: str, steps: int | None) -> None:
        """A run has begun (None), or made some more steps."""
        self._notes.append((name, steps))

    def take(self) -> list[tuple[str, int | None]]:
        """What was told since the last call."""
        taken, self._notes = self._notes, []
        return taken


def serve(job: Job, version: str, path: Sequence[str], postbox: Any) -> Failure | Parcel:
    """A task: executes a run on the machine where Ray has put it.

    Args:
        job: the run.
        version: LoopLab's, where the runs come from.
        path: where modules are looked for there; here too, after its own places.
        postbox: handle of a ``Postbox``.
    """
    import ray
    import torch

    if version != __version__:
        return Failure(job.name, f"LoopLab is {__version__} on {node()}, not {version}", usage=True)
    torch.set_num_threads(1)
    look_in(path)
    postbox.put.remote(job.name, None)
    made, told = 0, time.monotonic()

    def advanced(steps: int) -> None:
        nonlocal made, told
        made += steps
        if time.monotonic() - told >= _TELL_SECONDS:
            postbox.put.remote(job.name, made)
            made, told = 0, time.monotonic()

    outcome = execute_away(job, advanced)
    with suppress(ray.exceptions.RayError):  # nobody need hear it
        ray.get(postbox.put.remote(job.name, made))  # has arrived before the outcome does
    return outcome


class _Tasks:
    """Tasks that are under way, and the runs that wait for them."""

    def __init__(self, cluster: Ray, backlog: Backlog, at_once: int, watcher: Watcher) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = ray.get_runtime_context().get_node_id()
        self._backlog = backlog
        self._at_once = at_once
        self._watcher = watcher
        self._serve: Any = ray.remote(serve).options(**cluster.options())
        # Where this process is: on another machine, what is told would be lost together with it.
        here_alone = NodeAffinitySchedulingStrategy(here, soft=False)
        self._postbox: Any = (
            ray.remote(Postbox).options(num_cpus=0, scheduling_strategy=here_alone).remote()
        )
        self._under_way: dict[Any, Job] = {}
        self._reply: Any = None

    def work(self) -> None:
        """Executes all runs that wait."""
        import ray

        try:
            while self._backlog or self._under_way:
                self._submit()
                ended, _ = ray.wait(list(self._under_way), timeout=_READ_SECONDS)
                self._read()
                for task in ended:
                    job = self._under_way.pop(task)
                    self._backlog.ended(job, _outcome(job, task))
        finally:
            for task in self._under_way:  # none but where this is interrupted
                with suppress(ray.exceptions.RayError, ValueError):
                    ray.cancel(task, force=True)

    def _submit(self) -> None:
        while self._backlog and len(self._under_way) < self._at_once:
            job = self._backlog.take()
            self._under_way[self._serve.remote(job, __version__, sys.path, self._postbox)] = job

    def _read(self) -> None:
        """Passes on what runs told; their progress is no reason to stop when it is lost.

        A reply that is late is waited for again at the next call: what it holds is told only once.
        """
        import ray

        running = {job.name for job in self._under_way.values()}
        if self._reply is None:
            self._reply = self._postbox.take.remote()
        told: list[tuple[str, int | None]] = []
        try:
            told = ray.get(self._reply, timeout=_WAIT_SECONDS)
        except ray.exceptions.GetTimeoutError:
            return
        except ray.exceptions.RayError:  # the postbox is lost, and what it held
            pass
        self._reply = None
        for name, steps in told:
            if name not in running:
                continue
            if steps is None:
                self._watcher.started(name)
            else:
                self._watcher.advanced(name, steps)


def _outcome(job: Job, task: Any) -> Failure | None:
    """What came of a task that has ended: its files are put in place."""
    import ray

    try:
        return arrived(job, ray.get(task))
    except ray.exceptions.RayTaskError as error:
        line = str(error.cause).splitlines()[0] if str(error.cause) else type(error).__name__
        return Failure(job.name, f"its task failed: {line}", str(error), chance=True)
    except ray.exceptions.RayError as error:
        return Failure(job.name, f"its machine or worker died ({_short(error)})", chance=True)


def _short(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
