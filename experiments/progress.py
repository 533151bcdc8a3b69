"""Progress for people: a live display on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from looplab.experiments.job import Failure
from looplab.experiments.number_text import counted

#: Seconds between two plain lines about runs that go on.
PLAIN_SECONDS = 10.0
_SHORTEST_SECONDS = 1e-9
_MINUTE, _HOUR = 60, 3600
_ALL = "all runs"


class Display(AbstractContextManager["Display"]):
    """Counts steps and runs, and estimates the time that is left.

    Args:
        cells: the cell of every run that will be executed, by the run's name; the first to begin
            first.
        steps: training steps of every run.
    """

    def __init__(self, cells: Mapping[str, str], steps: Mapping[str, int]) -> None:
        self.cells = cells
        self.steps = steps
        self.total = sum(steps.values())
        self.done = 0
        self.ended = 0
        self._made: dict[str, int] = dict.fromkeys(cells, 0)
        self._began = time.monotonic()

    def __enter__(self) -> "Display":
        """Begins to count time."""
        self._began = time.monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the display."""

    def started(self, name: str) -> None:
        """A run has begun, perhaps once more."""
        self.done -= self._made[name]
        self._made[name] = 0

    def advanced(self, name: str, steps: int) -> None:
        """A run has made some more steps."""
        self.done += steps
        self._made[name] += steps

    def finished(self, name: str, failure: Failure | None) -> None:
        """A run has ended, well or not."""
        self.ended += 1
        rest = self.steps[name] - self._made[name]
        self.done += rest
        self._made[name] += rest

    @property
    def rate(self) -> float:
        """Steps per second so far."""
        return self.done / max(time.monotonic() - self._began, _SHORTEST_SECONDS)

    @property
    def left(self) -> str:
        """Time that is left, as people write it."""
        return self._clock(self.total - self.done)

    def left_of(self, cell: str) -> str:
        """Time until a cell is complete: its runs wait for those that begin before them."""
        todo = {name: self.steps[name] - self._made[name] for name in self.cells}
        waits = [n for n, rest in todo.items() if rest > 0 and self.cells[n] == cell]
        names = list(todo)
        before = names[: names.index(waits[-1]) + 1] if waits else []
        return self._clock(sum(max(0, todo[name]) for name in before))

    def _clock(self, steps: int) -> str:
        return "?" if self.done == 0 else clock(max(0, steps) / self.rate)


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds, or hours and minutes.

    >>> clock(75), clock(7300)
    ('1:15', '2 h 01 min')
    """
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE}:{whole % _MINUTE:02d}"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"


class PlainDisplay(Display):
    """One line per finished run, and one every few seconds."""

    def __init__(
        self,
        cells: Mapping[str, str],
        steps: Mapping[str, int],
        say: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(cells, steps)
        self._say = say or (lambda line: print(line, flush=True))
        self._said = time.monotonic()

    def advanced(self, name: str, steps: int) -> None:
        """Counts, and now and then says how far it is."""
        super().advanced(name, steps)
        if time.monotonic() - self._said >= PLAIN_SECONDS:
            self._said = time.monotonic()
            self._say(
                f"{100 * self.done / self.total:3.0f} %  {_ended_of(self.ended, len(self.cells))}  "
                f"{self.rate:,.0f} steps/s  {self.left} left"
            )

    def finished(self, name: str, failure: Failure | None) -> None:
        """Says that a run has ended."""
        super().finished(name, failure)
        if failure is None:
            left = f"{self.left} left (its cell {self.left_of(self.cells[name])})"
            self._say(f"finished {self.ended}/{len(self.cells)}  {name}  {left}")
        else:
            self._say(f"FAILED   {self.ended}/{len(self.cells)}  {name}: {failure.message}")


class RichDisplay(Display):
    """A live table of cells with bars, steps per second and the time that is left."""

    def __init__(self, cells: Mapping[str, str], steps: Mapping[str, int]) -> None:
        super().__init__(cells, steps)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[runs]}"),
            TextColumn("{task.fields[left]}"),
            TimeElapsedColumn(),
            console=Console(stderr=False),
        )
        self._tasks: dict[str, TaskID] = {}
        self._ended: dict[str, int] = {}
        names = list(dict.fromkeys(cells.values()))
        self._of = {cell: [n for n, c in cells.items() if c == cell] for cell in names}
        for cell in names:
            total = sum(steps[name] for name in self._of[cell])
            self._ended[cell] = 0
            self._tasks[cell] = self._progress.add_task(
                escape(cell), total=total, runs=_ended_of(0, len(self._of[cell])), left=""
            )
        self._tasks[_ALL] = self._progress.add_task(
            f"[bold]{_ALL}", total=self.total, runs=_ended_of(0, len(cells)), left=""
        )

    def __enter__(self) -> "Display":
        """Begins the live display."""
        self._progress.start()
        return super().__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leaves the last state on the screen."""
        self._progress.stop()

    def started(self, name: str) -> None:
        """Takes back the steps of a first attempt."""
        super().started(name)
        self._draw(name)

    def advanced(self, name: str, steps: int) -> None:
        """Moves the bars."""
        super().advanced(name, steps)
        self._draw(name)

    def finished(self, name: str, failure: Failure | None) -> None:
        """Moves the bars, and says so if a run failed."""
        super().finished(name, failure)
        self._ended[self.cells[name]] += 1
        if failure is not None:
            text = escape(f"{name}: {failure.message}")
            self._progress.console.print(f"[red]failed[/red] {text}", highlight=False)
        self._draw(name)

    def _draw(self, name: str) -> None:
        cell = self.cells[name]
        members = self._of[cell]
        self._progress.update(
            self._tasks[cell],
            completed=sum(self._made[member] for member in members),
            runs=_ended_of(self._ended[cell], len(members)),
            left=f"{self.left_of(cell)} left",
        )
        self._progress.update(
            self._tasks[_ALL],
            completed=self.done,
            runs=_ended_of(self.ended, len(self.cells)),
            left=f"{self.rate:,.0f} steps/s, {self.left} left",
        )


def _ended_of(ended: int, runs: int) -> str:
    return f"{ended}/{counted(runs, 'run')}"


def display(kind: str, cells: Mapping[str, str], steps: Mapping[str, int]) -> Display:
    """The display that was asked for; ``auto`` is ``rich`` on a terminal, else ``plain``."""
    if kind == "auto":
        kind = "rich" if sys.stdout.isatty() else "plain"
    made: dict[str, type[Display]] = {"rich": RichDisplay, "plain": PlainDisplay, "none": Display}
    return made[kind](cells, steps)
