"""Grids with lava as one would write them without LoopLab: one environment, Python's own numbers.

Rules as in the descriptions of ``looplab/LavaShortcut-v0`` and of ``looplab/HazardGrid-v0`` in its
layout ``lava``, with their default arguments; none of LoopLab's code is used.
"""

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym
import numpy as np

SHORTCUT = (
    ".......",
    ".......",
    "..LLL..",
    "S.....G",
)
ROOMS = (
    "...#...",
    ".......",
    "...#...",
    "..L#L..",
    "S.....G",
)
MOVES = {0: (-1, 0), 1: (1, 0), 2: (0, -1), 3: (0, 1)}
SIDES = {0: (2, 3), 1: (2, 3), 2: (0, 1), 3: (0, 1)}
STAY = 4
SLIP = 0.2
LIMIT = 50


class PlainLavaGrid(gym.Env[Any, Any]):
    """A slippery grid; ``#`` wall, ``L`` lava, which tows back to the start ``S``, ``G`` goal."""

    def __init__(self, rows: tuple[str, ...]) -> None:
        self.cells = {
            (row, column): symbol
            for row, line in enumerate(rows)
            for column, symbol in enumerate(line)
            if symbol != "#"
        }
        self.places = {position: index for index, position in enumerate(self.cells)}
        self.start = next(position for position, symbol in self.cells.items() if symbol == "S")
        self.observation_space = gym.spaces.Box(0.0, 1.0, (len(self.cells),), np.float32)
        self.action_space = gym.spaces.Discrete(5)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.position = self.start
        self.elapsed = 0
        return self._observe(), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.elapsed += 1
        if action != STAY:
            self.position = self._neighbour(self._slipped(action))
        symbol = self.cells[self.position]
        burnt, arrived = symbol == "L", symbol == "G"
        if burnt:
            self.position = self.start
        reward = 0.95 if arrived else -0.05
        truncated = self.elapsed >= LIMIT and not arrived
        info: dict[str, Any] = {"cost": float(burnt), "cost_lava": float(burnt)}
        if arrived or truncated:
            info["is_success"] = arrived
        return self._observe(), reward, arrived, truncated, info

    def risk(self, action: int) -> float:
        """Probability that the action burns."""
        if action == STAY:
            return 0.0
        shares = {action: 1.0 - SLIP, **dict.fromkeys(SIDES[action], SLIP / 2)}
        return sum(
            share for move, share in shares.items() if self.cells[self._neighbour(move)] == "L"
        )

    def _slipped(self, move: int) -> int:
        luck = self.np_random.random()
        if luck >= SLIP:
            return move
        return SIDES[move][0] if luck < SLIP / 2 else SIDES[move][1]

    def _neighbour(self, move: int) -> tuple[int, int]:
        row, column = self.position
        down, right = MOVES[move]
        there = (row + down, column + right)
        return there if there in self.cells else self.position

    def _observe(self) -> Any:
        observation = np.zeros(len(self.cells), dtype=np.float32)
        observation[self.places[self.position]] = 1.0
        return observation


#: Task, by its name in configs/env -> its rival.
RIVALS: Mapping[str, Callable[[], gym.Env[Any, Any]]] = {
    "lava_shortcut": lambda: PlainLavaGrid(SHORTCUT),
    "hazard_grid": lambda: PlainLavaGrid(ROOMS),
}
