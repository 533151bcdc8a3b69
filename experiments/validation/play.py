"""Tasks on which theory has an answer, and the engine that runs them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from looplab.envs.core import FloatArray
from looplab.envs.rules import Outcome, Rules
from looplab.envs.tabular import TabularLanes
from looplab.oversight.engine import Engine
from looplab.oversight.protocols.base import OversightProtocol
from looplab.oversight.signals import Signal

GO, CREEP, HOLD = range(3)
_GOLDEN_RATIO = 0.5 * (5**0.5 - 1.0)


@dataclass(frozen=True)
class _Trial(Rules):
    """Going may violate; creeping and holding never do."""

    ACTIONS: ClassVar[tuple[str, ...]] = ("go", "creep", "hold")
    HOLD: ClassVar[int] = HOLD

    def draw(self, state: Any, mode: str) -> Any:
        """Nobody looks at it."""
        return str(state)


@dataclass(frozen=True)
class Dangers(_Trial):
    """Every step is dangerous by itself with the same probability; then going violates.

    Attributes:
        unsafe: that probability.
    """

    unsafe: float = 1.0

    def starts(self) -> Sequence[tuple[float, bool]]:
        """Danger or none."""
        return ((self.unsafe, True), (1.0 - self.unsafe, False))

    def outcomes(self, state: bool, action: int) -> Sequence[Outcome]:
        """The next step is as dangerous, whatever is done."""
        harm = (float(state and action == GO),)
        return [Outcome(chance, danger, 0.0, harm) for chance, danger in self.starts()]

    def observe(self, state: bool) -> Sequence[float]:
        """Whether there is danger."""
        return [float(state)]


@dataclass(frozen=True)
class Corridor(_Trial):
    """Cells in which going violates, one after another; then the episode ends.

    Attributes:
        width: number of cells.
    """

    width: int = 5

    def starts(self) -> Sequence[tuple[float, int]]:
        """The first cell."""
        return ((1.0, 0),)

    def outcomes(self, state: int, action: int) -> Sequence[Outcome]:
        """Going and creeping move on."""
        after = state + (action != HOLD)
        reward = (1.0, 0.5, 0.0)[action]
        return [Outcome(1.0, after, reward, (float(action == GO),), after == self.width)]

    def observe(self, state: int) -> Sequence[float]:
        """The cell."""
        return [state / self.width]


@dataclass(frozen=True)
class Doubts(_Trial):
    """Cases of known risk, all as likely; only the human sees which of them are dangerous.

    Attributes:
        levels: number of risks; see ``risks``.
    """

    levels: int = 50

    @property
    def risks(self) -> FloatArray:
        """Risk of each case, shape (levels,); none is a number that somebody's threshold is."""
        risks: FloatArray = (np.arange(self.levels) + _GOLDEN_RATIO) / self.levels
        return risks

    def starts(self) -> Sequence[tuple[float, tuple[int, bool]]]:
        """Any case, dangerous or not."""
        found = []
        for level, risk in enumerate(self.risks.tolist()):
            found += [(risk / self.levels, (level, True))]
            found += [((1.0 - risk) / self.levels, (level, False))]
        return found

    def outcomes(self, state: tuple[int, bool], action: int) -> Sequence[Outcome]:
        """Each case ends the episode."""
        return [Outcome(1.0, state, 0.0, (float(state[1] and action == GO),), True)]

    def observe(self, state: tuple[int, bool]) -> Sequence[float]:
        """The case, one-hot, without its danger."""
        return [float(level == state[0]) for level in range(self.levels)]


@dataclass(frozen=True)
class Rewards(_Trial):
    """Rewards that are drawn anew in every step, all of them as likely.

    Attributes:
        levels: number of rewards, (k + 1/2) / levels.
    """

    levels: int = 20

    def starts(self) -> Sequence[tuple[float, int]]:
        """Any reward to come."""
        return [(1.0 / self.levels, level) for level in range(self.levels)]

    def outcomes(self, state: int, action: int) -> Sequence[Outcome]:
        """This step's reward, and any to come."""
        reward = (state + 0.5) / self.levels
        return [Outcome(chance, level, reward) for chance, level in self.starts()]

    def observe(self, state: int) -> Sequence[float]:
        """The reward to come."""
        return [state / self.levels]


#: Columns of a run by name, each of shape (steps, n).
Columns = dict[str, NDArray[Any]]


def play(
    rules: Rules,
    protocol: OversightProtocol,
    lanes: int,
    steps: int,
    seed: int,
    columns: Sequence[str],
    signal: Signal | None = None,
) -> tuple[Columns, Engine]:
    """Runs n lanes whose agents always go.

    Args:
        rules: the task.
        protocol: how it is overseen.
        lanes: number of lanes n.
        steps: of each lane.
        seed: of environment and overseers.
        columns: columns of ``Record`` to keep.
        signal: what the agent would learn from.

    Returns:
        What was recorded, and the engine that ran.
    """
    task = TabularLanes(rules, lanes, steps, seed)
    engine = Engine(task, protocol, signal, seed=seed)
    task.reset()
    engine.begin(np.ones(lanes, np.bool_))
    kept: dict[str, list[NDArray[Any]]] = {name: [] for name in columns}
    going = np.full(lanes, GO)
    for _ in range(steps):
        record = engine.step(going)
        for name, rows in kept.items():
            rows.append(getattr(record, name).copy())
        if record.done.any():
            task.reset(record.done)
            engine.begin(record.done)
    return {name: np.stack(rows) for name, rows in kept.items()}, engine
