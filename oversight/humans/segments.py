"""Segments: stretches of steps, cut from what the lanes lately lived through."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from looplab.envs.core import Actions, BoolArray, FloatArray, IntArray, Observations
from looplab.oversight.record import Record

#: Stands for the step of a lane that was stopped: nothing ran in it.
_STOPPED = -1


@dataclass(frozen=True)
class Segments:
    """m segments of T steps, each within one episode.

    Attributes:
        observation: before each step, shape (m, T, ...).
        action: what was executed, shape (m, T) or (m, T, ...).
        reward: the task's own, shape (m, T).
        cost: harm, shape (m, T).
        lane: shape (m,).
        episode: shape (m,).
        step: first step's place in its episode, shape (m,).
    """

    observation: Observations
    action: Actions
    reward: FloatArray
    cost: FloatArray
    lane: IntArray
    episode: IntArray
    step: IntArray

    def __len__(self) -> int:
        return len(self.lane)

    @classmethod
    def joined(cls, several: "Sequence[Segments]") -> "Segments":
        """At least one group of segments as one."""
        names = [field.name for field in fields(cls)]
        return cls(*(np.concatenate([getattr(each, name) for each in several]) for name in names))


class Trail:
    """The last steps of n lanes, from which segments are cut.

    Args:
        recent_steps: steps that are kept of each lane.
    """

    def __init__(self, recent_steps: int) -> None:
        self.recent_steps = recent_steps
        self._columns: dict[str, Any] = {}
        self._added = 0

    def add(self, record: Record) -> None:
        """Takes one step of all lanes, as the engine hands it to ``see``."""
        step = np.where(record.halted, _STOPPED, record.step)
        row = {
            "observation": record.observed, "action": record.executed, "reward": record.reward,
            "cost": record.cost, "episode": record.episode, "step": step,
        }  # fmt: skip
        at = self._added % self.recent_steps
        for name, values in row.items():
            column = self._columns.get(name)
            if column is None:
                shape = (self.recent_steps, *values.shape)
                column = self._columns[name] = np.empty(shape, values.dtype)
            column[at] = values
        self._added += 1

    def __len__(self) -> int:
        return min(self._added, self.recent_steps)

    def column(self, name: str) -> Any:
        """One column in the order of time, shape (steps, n, ...)."""
        return self._columns[name][self._places(np.arange(len(self)))]

    def _places(self, order: IntArray) -> IntArray:
        oldest = self._added - len(self)
        return (oldest + order) % self.recent_steps

    def whole(self, steps: int) -> BoolArray:
        """From which kept steps a lane's episode went on for so many, (starts, n).

        Starts are in the order of time; there are none before so many steps have been added.
        """
        place = self.column("step")
        first, last = place[: len(place) - steps + 1], place[steps - 1 :]
        whole: BoolArray = (first != _STOPPED) & (last - first == steps - 1)
        return whole

    def cut(self, start: IntArray, lane: IntArray, steps: int) -> Segments:
        """Copies segments out.

        Args:
            start: among the kept steps in the order of time, shape (m,).
            lane: shape (m,).
            steps: length T.
        """
        places = self._places(start[:, None] + np.arange(steps))
        cut = {name: column[places, lane[:, None]] for name, column in self._columns.items()}
        cut["episode"], cut["step"] = cut["episode"][:, 0], cut["step"][:, 0]
        return Segments(lane=lane, **cut)
