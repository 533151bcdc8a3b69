"""Processes of this machine that have what a run needs in memory from the start.

On Linux they are forked from a server: a process without threads that imports everything once, on
another core, while this one still composes and checks. Elsewhere each imports it for itself.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import forkserver, parent_process, resource_tracker
from multiprocessing.connection import wait as wait_for
from multiprocessing.process import BaseProcess
from typing import Any

from looplab.experiments.provenance import cores

#: Libraries that start threads of their own when they are first imported read these.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_FORKS = sys.platform == "linux"
_PRELOADED = "looplab.experiments.preloaded"
_begun = False
#: Held while the environment is another one for a moment.
_starting = threading.Lock()


def begin(processes: int | None = None) -> None:
    """Lets what processes need be imported, beside this process, if several will be wanted.

    Args:
        processes: how many are asked for; None: as many as there are cores.
    """
    global _begun
    if not _FORKS or (processes or cores()) < 2:
        return
    with _starting, _one_thread(), _undisturbed():
        forkserver.set_forkserver_preload([_PRELOADED])
        forkserver.ensure_running()
    _begun = True


def helpers(tasks: int) -> int:
    """How many processes beside this one are worth starting for so many tasks of a second each."""
    return max(0, min(cores(), tasks) - 1) if _begun else 0


def start(target: Callable[..., None], *args: Any) -> BaseProcess:
    """Starts a process that ends with this one, never hears Ctrl-C, and uses one thread.

    The working directory, ``sys.path`` and the environment are this process's of now.

    Args:
        target: what it does, a function of a module.
        *args: its arguments.
    """
    begin(processes=2)
    context: Any = multiprocessing.get_context("forkserver" if _FORKS else "spawn")
    environment = {**os.environ, **ONE_THREAD}
    process: BaseProcess = context.Process(target=_live, args=(environment, target, args))
    with _starting, _one_thread(), _undisturbed():
        process.start()
    return process


def _live(environment: Mapping[str, str], target: Callable[..., None], args: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's alone to hear
    threading.Thread(target=_follow, daemon=True).start()
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)
    import torch

    torch.set_num_threads(1)
    target(*args)


def _follow() -> None:
    parent = parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
    os._exit(1)  # the parent is gone: whatever is half-written stays hidden


@contextmanager
def _one_thread() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Starts processes that never hear Ctrl-C; this one hears it afterwards."""
    resource_tracker.ensure_running()  # else the first process would start it and hear Ctrl-C
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
