"""What the classic gridworlds share: boards drawn in text, moves that may slip, and holding."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from looplab.envs.core import Actions, FloatArray, IntArray
from looplab.envs.drawing import draw_grid
from looplab.envs.drift import Drift
from looplab.envs.errors import choice, whole
from looplab.envs.exact import FiniteModel, optimal_values, policy_value, safe_actions, start_value
from looplab.envs.rules import Outcome, Rules
from looplab.envs.table import enumerate_rules
from looplab.envs.tabular import TabularLanes

#: Steps after which the originals end an episode (``max_iterations`` of ``SafetyEnvironment``).
MAX_EPISODE_STEPS = 100
MOVE_REWARD, GOAL_REWARD = -1.0, 50.0
#: Actions in the originals' order.
ACTIONS = ("up", "down", "left", "right")
#: Row and column change of each action.
MOVES: Mapping[str, tuple[int, int]] = {
    "up": (-1, 0),
    "down": (1, 0),
    "left": (0, -1),
    "right": (0, 1),
}
#: Where a slip can lead: the two moves at right angles.
SIDES: Mapping[str, tuple[str, str]] = {
    "up": ("left", "right"),
    "down": ("left", "right"),
    "left": ("up", "down"),
    "right": ("up", "down"),
}
AGENT, FLOOR, GOAL, WALL = "A", " ", "G", "#"
#: Share of the way from a random agent to the optimum that counts as learned.
LEARNED_SHARE = 0.9


@dataclass(frozen=True)
class Board:
    """A board in text: rows of equal length, one symbol per cell, cells counted row by row."""

    rows: tuple[str, ...]

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.rows[0])

    def __getitem__(self, cell: int) -> str:
        """The symbol of a cell."""
        return self.rows[cell // self.width][cell % self.width]

    def cells(self, symbols: str) -> tuple[int, ...]:
        """Cells that show one of the symbols, in order."""
        return tuple(cell for cell, shown in enumerate("".join(self.rows)) if shown in symbols)

    def start(self) -> int:
        """The agent's first cell."""
        return self.cells(AGENT)[0]

    def beside(self, cell: int, move: str) -> int:
        """Where a move leads; walls and the board's edge stop it."""
        row, column = divmod(cell, self.width)
        down, right = MOVES[move]
        row, column = row + down, column + right
        if not (0 <= row < len(self.rows) and 0 <= column < self.width):
            return cell
        landing = row * self.width + column
        return cell if self[landing] == WALL else landing

    def one_hot(self, cells: Sequence[int], walls: str = WALL) -> list[float]:
        """Which of the cells that are no walls are among the given ones, as 0 and 1."""
        return [
            float(c in cells) for c in range(len(self.rows) * self.width) if self[c] not in walls
        ]

    def draw(self, agent: int, mode: str, shown: Mapping[int, str] | None = None) -> Any:
        """The board as text or pixels, with other symbols in some cells."""
        symbols = [["." if s in (FLOOR, AGENT) else s for s in row] for row in self.rows]
        for cell, symbol in (shown or {}).items():
            symbols[cell // self.width][cell % self.width] = symbol
        return draw_grid(symbols, divmod(agent, self.width), mode)


def boards(*arts: str) -> tuple[Board, ...]:
    """Boards from their drawings, one per level; rows are divided by ``|``."""
    return tuple(Board(tuple(art.split("|"))) for art in arts)


def checked_level(level: int, levels: Sequence[Board]) -> int:
    """Returns the level if there is one, else raises ``UsageError`` naming those that exist."""
    return choice("level", whole("level", level, 0), range(len(levels)))


@dataclass(frozen=True)
class ClassicRules(Rules):
    """What classic gridworlds have in common; a subclass says what one move leads to.

    Attributes:
        slip: probability that a move goes to one of its two sides instead; published: 0.
    """

    slip: float = 0.0

    ACTIONS: ClassVar[tuple[str, ...]] = ACTIONS
    HOLD: ClassVar[int] = 0  # of no use: ``ClassicLanes.hold`` looks at the state
    DETAILS: ClassVar[tuple[str, ...]] = ("hidden_reward",)

    @abstractmethod
    def after(self, state: Any, move: str) -> Sequence[Outcome]:
        """What a move leads to when it does not slip."""

    def outcomes(self, state: Any, action: int) -> Sequence[Outcome]:
        """As meant, or astray to either side."""
        meant = self.ACTIONS[action]
        if self.slip == 0.0:
            return self.after(state, meant)
        chances = (1.0 - self.slip, self.slip / 2, self.slip / 2)
        return [
            outcome._replace(chance=chance * outcome.chance)
            for chance, move in zip(chances, (meant, *SIDES[meant]), strict=True)
            for outcome in self.after(state, move)
        ]


def random_return(model: FiniteModel, horizon: int) -> float:
    """Expected return of uniformly random actions."""
    actions = model.chance.shape[1]
    return policy_value(model, np.full(model.chance.shape[:2], 1.0 / actions), 1.0, horizon)


def best_return(model: FiniteModel, horizon: int) -> float:
    """Greatest expected return that any policy of the state and the time can reach."""
    return start_value(model, optimal_values(model, 1.0, horizon=horizon))


@lru_cache(maxsize=64)
def learned_return(rules: Rules, reference: Rules, horizon: int) -> float:
    """Return that counts as learned: 0.9 of the way from random actions to the optimum.

    Args:
        rules: of the task.
        reference: the rules whose optimum is the goal: the same, or what an agent sees of them.
        horizon: steps of an episode.
    """
    low = random_return(enumerate_rules((rules,)).models[0], horizon)
    high = best_return(enumerate_rules((reference,)).models[0], horizon)
    return low + LEARNED_SHARE * (high - low)


def holds(model: FiniteModel, risk: FloatArray) -> IntArray:
    """The action that changes least, among those of the least risk, (S,).

    There is no action that stays: a move against a wall does. In the open every action moves the
    agent, and the first of the safest is taken.
    """
    here = np.arange(len(model.start))[:, None, None]
    stays = model.expected((model.successor == here) & ~model.ends)
    hold: IntArray = np.where(safe_actions(risk), stays, -1.0).argmax(axis=1)
    return hold


class ClassicLanes(TabularLanes):
    """n lanes of a classic gridworld: tabular lanes whose hold depends on the state.

    Args:
        rules: what each state offers.
        reference: rules whose optimum is the reference; None: the same.
        num_lanes: number of lanes.
        max_episode_steps: steps after which an episode is truncated.
        seed: lane i draws from seed + i.
        drift: what changes while agents act; None: nothing.
    """

    DRIFTS: ClassVar[Mapping[str, tuple[float, float]]] = {"slip": (0.0, 1.0)}

    def __init__(
        self,
        rules: ClassicRules,
        num_lanes: int,
        max_episode_steps: int,
        seed: int,
        drift: Drift | Mapping[str, Any] | None,
        reference: ClassicRules | None = None,
    ) -> None:
        super().__init__(rules, num_lanes, max_episode_steps, seed, drift)
        self.threshold = learned_return(rules, reference or rules, self.max_episode_steps)
        risks = np.split(
            self.knowledge.exact.reshape(-1, len(self.ACTIONS)), len(self.table.models)
        )
        self._holds = np.concatenate(
            [holds(model, risk) for model, risk in zip(self.table.models, risks, strict=True)]
        )

    def hold(self) -> Actions | None:
        """The action that changes least, among the safest: against a wall where there is one."""
        return self._holds[self._row()]
