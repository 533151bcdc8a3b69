"""The contract as a class of tests that a user's own test inherits."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar
from unittest import SkipTest

from looplab.envs.checks.contract import CHECKS, Broken, Check, run
from looplab.envs.checks.task import Task, find
from looplab.envs.core import Lanes
from looplab.envs.errors import UsageError


class TaskContract:
    """One test per clause of the contract, for pytest.

        class TestMyTask(TaskContract):
            def make(self, num_lanes, **settings):
                return MyLanes(num_lanes, **settings)

    Or, for what is registered with Gymnasium, ``task_id = "my/Task-v0"`` instead of ``make``.

    Attributes:
        task_id: a Gymnasium id; empty: ``make`` builds the lanes.
        hidden: names of state arrays that the agent must never see.
        seed: what all checks are seeded from.
    """

    task_id: ClassVar[str] = ""
    hidden: ClassVar[tuple[str, ...]] = ()
    seed: ClassVar[int] = 0

    def make(self, num_lanes: int, **settings: Any) -> Lanes:
        """Builds the lanes of the task; settings are ``reward_mode`` and ``drift``."""
        raise UsageError(f"{type(self).__name__} needs make() or task_id")

    def task(self) -> Task:
        """What is checked."""
        found = find(self.task_id) if self.task_id else Task(type(self).__name__, self.make)
        return replace(found, hidden=self.hidden, seed=self.seed)


def _test(check: Check) -> Callable[[TaskContract], None]:
    def test(self: TaskContract) -> None:
        result = run(check, self.task())
        if result.status == "skipped":
            raise SkipTest(result.text)
        if result.status == "FAILED":
            raise Broken(str(result))

    test.__doc__ = check.line
    return test


for _check in CHECKS.values():
    setattr(TaskContract, f"test_{_check.name}", _test(_check))
