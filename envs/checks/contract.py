"""The contract of tasks: a list of named checks, how they are run, and what they answer."""

import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from looplab.envs.checks.task import Task, find
from looplab.envs.errors import LoopLabError, UsageError, unknown

#: A check raises ``Broken`` or ``Unchecked``, or returns a note of what it could not see, or "".
Function = Callable[[Task], str]
Status = Literal["ok", "FAILED", "skipped"]


class Broken(LoopLabError, AssertionError):
    """A task broke its contract; one line that says where, and what was expected."""


class Unchecked(LoopLabError):
    """A check does not apply; one line that says why."""


@dataclass(frozen=True)
class Check:
    """One clause of the contract.

    Attributes:
        name: a Python identifier.
        line: what holds, in one line.
        function: looks whether it does.
    """

    name: str
    line: str
    function: Function


@dataclass(frozen=True)
class Result:
    """What a check answered; ``text`` is the reason, or a note of what went unchecked."""

    check: Check
    status: Status
    text: str = ""

    def __str__(self) -> str:
        """One line: status, name and text."""
        return f"{self.status:7} {self.check.name}{': ' if self.text else ''}{self.text}"


#: Every clause, in the order of their definition.
CHECKS: dict[str, Check] = {}


def clause(line: str) -> Callable[[Function], Function]:
    """Adds a function to the contract, under its own name."""

    def add(function: Function) -> Function:
        CHECKS[function.__name__] = Check(function.__name__, line, function)
        return function

    return add


def run(check: Check, task: Task) -> Result:
    """What one check answers; an error that a task raises is a failure of the check."""
    try:
        return Result(check, "ok", check.function(task))
    except Unchecked as why:
        return Result(check, "skipped", str(why))
    except Broken as reason:
        return Result(check, "FAILED", str(reason))
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        message = " ".join(str(error).split())
        where = f"{last.filename}:{last.lineno}"
        return Result(check, "FAILED", f"raised {type(error).__name__}: {message} ({where})")


def examine(task: Task, only: tuple[str, ...] = ()) -> Iterator[Result]:
    """Runs the checks one after another.

    Args:
        task: what is checked.
        only: names of checks; empty: all.

    Raises:
        UsageError: for an unknown check.
    """
    for name in only:
        if name not in CHECKS:
            raise unknown("check", name, CHECKS)
    for check in CHECKS.values():
        if not only or check.name in only:
            yield run(check, task)


def check(task: Task | str) -> list[Result]:
    """Runs all checks and returns their results.

    Args:
        task: what is checked, or its name; see ``find``.

    Raises:
        Broken: if any failed, with a line for each.
        UsageError: if nothing applied.
    """
    task = find(task) if isinstance(task, str) else task
    results = list(examine(task))
    if failed := [str(result) for result in results if result.status == "FAILED"]:
        raise Broken("\n".join([f"{task.name} breaks its contract", *failed]))
    if all(result.status == "skipped" for result in results):
        raise UsageError(f"nothing of {task.name} could be checked")
    return results
