"""Processes that are forked from a server: what they begin with, and when they end."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from multiprocessing import Pipe, forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from looplab.experiments import processes
from looplab.experiments.processes import ONE_THREAD, begin, start

WAIT_SECONDS = 60.0
VARIABLE = "LOOPLAB_TEST_VARIABLE"
#: Threads that their library starts anew in a forked process.
FORKABLE = ("jemalloc_bg_thd",)
linux = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")


def look(line: Connection) -> None:
    """Tells what a process sees around it."""
    import torch

    blocked = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    line.send(
        {
            "folder": os.getcwd(),
            "path": sys.path,
            "environment": dict(os.environ),
            "threads": torch.get_num_threads(),
            "deaf": blocked,
        }
    )


def seen() -> dict[str, Any]:
    ours, theirs = Pipe()
    process = start(look, theirs)
    theirs.close()
    found: dict[str, Any] = ours.recv()
    process.join(WAIT_SECONDS)
    assert process.exitcode == 0
    return found


def test_a_process_sees_what_its_parent_sees_when_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(2)
    monkeypatch.setenv(VARIABLE, "set after the server began")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    found = seen()
    assert found["folder"] == str(tmp_path)
    assert found["path"] == sys.path
    assert found["environment"] == {**os.environ, **ONE_THREAD}
    assert found["threads"] == 1
    assert found["deaf"]
    monkeypatch.delenv(VARIABLE)
    assert VARIABLE not in seen()["environment"]


@linux
def test_the_server_has_one_thread_and_what_runs_need() -> None:
    seen()
    server = Path(f"/proc/{forkserver._forkserver._forkserver_pid}")  # type: ignore[attr-defined]
    names = [(task / "comm").read_text().strip() for task in (server / "task").iterdir()]
    assert len([name for name in names if name not in FORKABLE]) == 1
    assert "libtorch" in (server / "maps").read_text()


def sleep(line: Connection) -> None:
    """Says that it lives, and does nothing."""
    line.send(os.getpid())
    time.sleep(WAIT_SECONDS)


@pytest.fixture
def sleeper() -> Iterator[Any]:
    """A process that does nothing."""
    ours, theirs = Pipe()
    process = start(sleep, theirs)
    theirs.close()
    assert ours.recv() == process.pid
    yield process
    process.kill()
    process.join()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_signal_that_ends_a_process_is_named(number: int, sleeper: Any) -> None:
    os.kill(sleeper.pid, number)
    sleeper.join(WAIT_SECONDS)
    assert sleeper.exitcode == -number


def test_ctrl_c_is_not_heard(sleeper: Any) -> None:
    os.kill(sleeper.pid, signal.SIGINT)
    sleeper.join(0.5)
    assert sleeper.is_alive()


def test_one_process_needs_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_begun", False)
    monkeypatch.setattr(forkserver, "ensure_running", pytest.fail)
    begin(1)
    monkeypatch.setattr(processes, "cores", lambda: 1)
    begin(None)
    assert processes.helpers(10) == 0


def test_helpers_are_as_many_as_cores_and_tasks_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_begun", True)
    monkeypatch.setattr(processes, "cores", lambda: 4)
    assert [processes.helpers(tasks) for tasks in (0, 1, 2, 3, 4, 5, 100)] == [0, 0, 1, 2, 3, 3, 3]
