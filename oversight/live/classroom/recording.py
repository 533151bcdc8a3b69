"""A lesson as data: every step of a real run, packed so that a page without a server can show it.

Each lane holds what changes with its steps, its ``moves``, and which second of the clock each of
them fell in; between two moves a lane waits for a verdict.
"""

from typing import Any

from looplab.oversight.live.classroom.counters import COUNTED
from looplab.oversight.live.classroom.lane import STATES, Run
from looplab.oversight.live.classroom.lesson import LANES, PHASES, TITLES, Lesson
from looplab.oversight.live.classroom.settings import SLIDERS
from looplab.oversight.types import VERDICTS

#: What a move holds, in this order, before what is counted.
MOVE = (
    "second", "picture", "row", "column", "wish", "state", "last_row", "last_column", "proposed",
    "executed", "verdict", "risk", "violated", "success", "done",
)  # fmt: skip


class _Film:
    """The moves of one lane in one phase."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._pictures: dict[tuple[str, ...], int] = {}
        self.moves: list[list[Any]] = []
        self.waits: list[list[float]] = []
        self._steps = -1

    def take(self, second: int) -> None:
        """Notes what the lane shows at a second of the clock."""
        shown = self._run.shown()
        if (steps := shown["counters"]["steps"]) != self._steps:
            self._steps = steps
            self.moves.append(self._move(second, shown))
        if shown["state"] == "waits":
            if not self.waits or self.waits[-1][0] + self.waits[-1][1] != second:
                self.waits.append([second, 0, shown["left"], shown["allowed"]])
            self.waits[-1][1] += 1

    def _move(self, second: int, shown: dict[str, Any]) -> list[Any]:
        rows = tuple(row.replace("@", ".").replace("S", ".") for row in shown["rows"])
        picture = self._pictures.setdefault(rows, len(self._pictures))
        last = shown["last"]
        told: list[Any] = []
        if last is not None:
            told = [
                STATES.index(last["state"]), *last["cell"], last["proposed"], last["executed"],
                VERDICTS.index(last["verdict"]), last["risk"],
                *(int(last[name]) for name in ("violated", "success", "done")),
            ]  # fmt: skip
        place = [second, picture, *shown["cell"], shown["proposed"]]
        # before the first step nothing is told
        told = told or [STATES.index("acts"), *shown["cell"], 0, 0, 0, 0, 0, 0, 0]
        return [*place, *told, *(_short(shown["counters"][name]) for name in COUNTED)]

    def packed(self) -> dict[str, Any]:
        """Pictures, moves and waits: first second, seconds, what was left at first, and in all."""
        return {
            "pictures": [list(rows) for rows in self._pictures],
            "moves": self.moves,
            "waits": self.waits,
        }


def record(lesson: Lesson, steps: int, alone_steps: int) -> dict[str, Any]:
    """Runs a lesson from where it is, then sends the humans home, and keeps everything shown.

    Args:
        lesson: a lesson in which nobody has taken a seat.
        steps: seconds of the clock with oversight, at least 1.
        alone_steps: seconds alone afterwards, at least 1.

    Returns:
        Plain values; the same seed and settings give the same ones.
    """
    overseen = _phase(lesson, lesson.runs, steps)
    lesson.send_home()
    alone = _phase(lesson, lesson.alone, alone_steps)
    task, settings = lesson.task, lesson.settings
    return {
        "env": task.name,
        "story": task.story,
        "violation": task.violation,
        "actions": list(task.actions),
        "seed": lesson.seed,
        "titles": TITLES,
        "settings": {
            slider.label: slider.text(getattr(settings, name)) for name, slider in SLIDERS.items()
        },
        "states": list(STATES),
        "verdicts": list(VERDICTS),
        "move": [*MOVE, *COUNTED],
        "counted": list(COUNTED),
        "phases": dict(zip(PHASES, (overseen, alone), strict=True)),
    }


def _phase(lesson: Lesson, runs: dict[str, Run], steps: int) -> dict[str, Any]:
    films = {name: _Film(runs[name]) for name in LANES}
    for second in range(steps + 1):
        if second:
            lesson.run(1)
        for film in films.values():
            film.take(second)
    return {
        "seconds": steps,
        "lanes": {name: film.packed() for name, film in films.items()},
        "courses": lesson.courses(),
        "totals": {name: runs[name].counters.shown() for name in LANES},
    }


def _short(value: float) -> float:
    """A whole number without its point."""
    return int(value) if value == int(value) else value
