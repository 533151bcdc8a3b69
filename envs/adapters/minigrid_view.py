"""A MiniGrid room as a short vector, with four actions and its lava reported as harm."""

from collections import deque
from functools import lru_cache
from typing import Any, NamedTuple, cast

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from looplab.envs.adapters.building import made, require
from looplab.envs.drawing import PICTURE_WIDTH
from looplab.envs.errors import UsageError, choice

#: The ids of MiniGrid's first three actions, and doing nothing, which MiniGrid calls ``done``.
LEFT, RIGHT, FORWARD, STAY = range(4)
ACTIONS = ("left", "right", "forward", "stay")
DIRECTIONS = 4
INSTALL = "minigrid>=3.2,<4"

Cell = tuple[int, int]


class Room(NamedTuple):
    """Cells that cannot be entered unharmed, the hazards among them, and goals."""

    closed: frozenset[Cell]
    hazards: frozenset[Cell]
    goals: frozenset[Cell]


class MiniGridView(gym.Wrapper[NDArray[np.float32], Any, Any, Any]):
    """Shows all of a MiniGrid room, keeps the actions that matter, and reports lava.

    Observations are float32 in {0, 1}: for each cell inside the outer walls, column by column,
    whether there is the agent, a hazard, a goal; then the direction one-hot (right, down, left,
    up). This is fully observable, as MiniGrid's own ``FullyObsWrapper``: the state, nothing else.
    ``info`` holds ``cost`` and ``catastrophe`` where the step ended in lava, and ``is_success`` at
    the end.

    Args:
        env: a MiniGrid environment of a square or oblong room with walls, lava and goals only.
    """

    #: What MiniGrid calls the things that harm.
    HAZARD = "lava"

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self._world = cast(Any, env.unwrapped)
        self._inside = (self._world.width - 2, self._world.height - 2)
        size = 3 * self._inside[0] * self._inside[1] + DIRECTIONS
        self.observation_space = gym.spaces.Box(0.0, 1.0, (size,), np.float32)
        self.action_space = gym.spaces.Discrete(len(ACTIONS))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begins an episode, in a layout that the seed chooses."""
        self.env.reset(seed=seed, options=options)
        self.room = self._read_room()
        return self._observe(), {}

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Runs left, right, forward or stay."""
        meant = self._world.actions.done if action == STAY else int(action)
        _, reward, terminated, truncated, _ = self.env.step(meant)
        burnt = self.cell in self.room.hazards
        info: dict[str, Any] = {"cost": float(burnt), "catastrophe": burnt}
        if terminated or truncated:
            info["is_success"] = self.cell in self.room.goals
        return self._observe(), float(reward), bool(terminated), bool(truncated), info

    @property
    def cell(self) -> Cell:
        """Column and row of the agent."""
        column, row = self._world.agent_pos
        return int(column), int(row)

    @property
    def front(self) -> Cell:
        """Column and row of the cell that a step forward would enter."""
        column, row = self._world.front_pos
        return int(column), int(row)

    def way_to_goal(self) -> int | None:
        """First action of a shortest way to a goal without lava; None if there is no way."""
        return _ways(self.room).get((self.cell, int(self._world.agent_dir)))

    def _read_room(self) -> Room:
        found: dict[str, set[Cell]] = {"wall": set(), self.HAZARD: set(), "goal": set()}
        for place, thing in enumerate(self._world.grid.grid):
            if thing is not None:
                row, column = divmod(place, self._world.width)
                found[thing.type].add((column, row))
        hazards = frozenset(found[self.HAZARD])
        return Room(frozenset(found["wall"]) | hazards, hazards, frozenset(found["goal"]))

    def _observe(self) -> NDArray[np.float32]:
        maps = np.zeros((3, *self._inside), dtype=np.float32)
        for layer, cells in enumerate(((self.cell,), self.room.hazards, self.room.goals)):
            for column, row in cells:
                maps[layer, column - 1, row - 1] = 1.0
        direction = np.zeros(DIRECTIONS, dtype=np.float32)
        direction[self._world.agent_dir] = 1.0
        return np.concatenate((maps.ravel(), direction))


#: Column and row change of a step forward, by direction.
_AHEAD = ((1, 0), (0, 1), (-1, 0), (0, -1))


@lru_cache(maxsize=256)
def _ways(room: Room) -> dict[tuple[Cell, int], int]:
    """First action of a shortest way from every cell and direction, by breadth-first search."""
    first: dict[tuple[Cell, int], int] = {}
    shut = room.closed | room.goals
    reached = deque((goal, direction) for goal in room.goals for direction in range(DIRECTIONS))
    while reached:
        cell, direction = reached.popleft()
        for before, action in _before(cell, direction):
            if before[0] not in shut and before not in first:
                first[before] = action
                reached.append(before)
    return first


def _before(cell: Cell, direction: int) -> list[tuple[tuple[Cell, int], int]]:
    """Cells and directions that one action leads from to the given ones, with that action."""
    column, row = cell
    right, down = _AHEAD[direction]
    return [
        (((column - right, row - down), direction), FORWARD),
        ((cell, (direction + 1) % DIRECTIONS), LEFT),
        ((cell, (direction - 1) % DIRECTIONS), RIGHT),
    ]


def room(
    env_id: str, allowed: tuple[str, ...], max_episode_steps: int | None, render_mode: str | None
) -> gym.Env[Any, Any]:
    """One of MiniGrid's environments, with its arguments checked.

    Raises:
        UsageError: if an argument is out of range, or MiniGrid is not installed.
    """
    choice("env_id", env_id, allowed)
    require("minigrid", env_id, INSTALL)
    # MiniGrid would light up what its own agent sees; this one sees all.
    env = made(env_id, max_episode_steps, render_mode, highlight=False)
    world = cast(Any, env.unwrapped)
    world.tile_size = PICTURE_WIDTH // world.width
    own = int(world.max_steps)
    if max_episode_steps is not None and max_episode_steps > own:
        raise UsageError(
            f"max_episode_steps must be at most {own}, {env_id}'s own limit, "
            f"got {max_episode_steps}"
        )
    return env
