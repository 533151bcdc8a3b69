"""Conformance kit: the contract of tasks, for LoopLab's own and for everybody's.

    python -m looplab.envs.checks looplab/LavaShortcut-v0

checks a registered task from the command line, ``check("my/Task-v0")`` from Python, and a test
class that inherits from ``TaskContract`` gets one test per clause.
"""

from looplab.envs.checks import (  # noqa: F401  # each adds its clauses
    behaviour,
    change,
    harm,
    interfaces,
    monte_carlo,
    privacy,
    risk,
)
from looplab.envs.checks.contract import CHECKS, Broken, Check, Result, Unchecked, check, examine
from looplab.envs.checks.inherit import TaskContract
from looplab.envs.checks.task import Task, find

__all__ = [
    "CHECKS", "Broken", "Check", "Result", "Task", "TaskContract", "Unchecked", "check",
    "examine", "find",
]  # fmt: skip
