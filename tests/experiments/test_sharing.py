"""Tasks that this process shares with helpers."""

import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from looplab.envs.errors import UsageError
from looplab.experiments.sharing import shared

SLOW_SECONDS = 0.2
pytestmark = pytest.mark.usefixtures("forked")


def who(task: int) -> tuple[int, int]:
    """Takes a moment, and tells which process did it."""
    time.sleep(SLOW_SECONDS)
    return task, os.getpid()


@pytest.mark.parametrize("helpers", [0, 1, 2])
def test_every_task_is_done_once_and_results_are_in_order(helpers: int) -> None:
    found = shared(who, range(12), helpers)
    assert [task for task, _ in found] == list(range(12))
    workers = {process for _, process in found}
    assert os.getpid() in workers
    assert len(workers) == 1 + helpers


def test_no_task_needs_nobody() -> None:
    assert shared(who, [], 0) == []


def refuse(parent: int, task: int) -> int:
    """Complains in a helper only."""
    time.sleep(SLOW_SECONDS)
    if os.getpid() != parent:
        raise UsageError(f"cannot write {task}")
    return task


def test_what_goes_wrong_in_a_helper_is_raised_here() -> None:
    with pytest.raises(UsageError, match="cannot write"):
        shared(partial(refuse, os.getpid()), range(12), 1)


def die(parent: int, log: Path, task: int) -> int:
    """Dies in a helper only, and leaves a note."""
    time.sleep(SLOW_SECONDS)
    if os.getpid() != parent:
        (log / str(task)).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def test_a_task_over_which_a_helper_died_is_done_here(tmp_path: Path) -> None:
    found = shared(partial(die, os.getpid(), tmp_path), range(12), 1)
    assert found == list(range(12))
    assert len(list(tmp_path.iterdir())) == 1
