"""Work that this process shares with helpers: whoever is free takes the next task."""

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

from looplab.experiments.processes import start

Task = TypeVar("Task")
Result = TypeVar("Result")


class _Lost(Exception):
    """A helper died over a task."""


def shared(work: Callable[[Task], Result], tasks: Sequence[Task], helpers: int) -> list[Result]:
    """Does every task once, in this process and in helpers beside it.

    This process waits for no helper that is still starting; a task over which one died is done
    here. What goes wrong with a task is raised here.

    Args:
        work: does one task. It is sent to the helpers, so it and all that it holds can be pickled.
        tasks: what to do; the longest should come first.
        helpers: how many processes help; 0: none.

    Returns:
        What came of each task.
    """
    waiting = deque(enumerate(tasks))
    answers: SimpleQueue[tuple[int, Result | Exception]] = SimpleQueue()
    for _ in range(helpers):
        Thread(target=_hand_out, args=(work, waiting, answers), daemon=True).start()
    found: dict[int, Result] = {}
    while len(found) < len(tasks):
        try:
            place, _ = waiting.popleft()
            answer: Result | Exception = _Lost()
        except IndexError:
            place, answer = answers.get()
        if isinstance(answer, _Lost):
            answer = work(tasks[place])
        if isinstance(answer, Exception):
            raise answer
        found[place] = answer
    return [found[place] for place in range(len(tasks))]


def _hand_out(
    work: Callable[[Task], Result],
    waiting: deque[tuple[int, Task]],
    answers: SimpleQueue[tuple[int, Result | Exception]],
) -> None:
    """Hands tasks to a helper of its own, as long as there are some."""
    ours, theirs = Pipe()
    with ours, suppress(IndexError):
        with theirs:  # closed here, so that the helper's death ends the line
            try:
                start(_help, theirs, work)
            except OSError:  # it died before it took anything
                return
        while True:
            place, task = waiting.popleft()
            try:
                ours.send(task)
                answers.put((place, ours.recv()))
            except (EOFError, OSError):
                answers.put((place, _Lost()))
                return


def _help(line: Connection, work: Callable[[Task], Result]) -> None:
    """A helper's life: does the tasks that it is sent."""
    with line, suppress(EOFError, OSError):
        while True:
            task = line.recv()
            answer: Result | Exception
            try:
                answer = work(task)
            except Exception as error:
                answer = error
            line.send(answer)
