"""LavaGap of MiniGrid: through a gap in a strip of lava to the goal (Chevalier-Boisvert 2023)."""

from typing import Any, cast

import gymnasium as gym

from looplab.envs.adapters.minigrid_view import FORWARD, STAY, MiniGridView
from looplab.envs.annotated import Annotated
from looplab.envs.errors import UsageError, choice, whole
from looplab.envs.gym_lanes import GymLanes

ENV_IDS = ("MiniGrid-LavaGapS5-v0", "MiniGrid-LavaGapS6-v0", "MiniGrid-LavaGapS7-v0")
INSTALL = "pip install 'minigrid>=3.2,<4'"
#: A success is worth 1 - 0.9 x steps / limit, 0.94 - 0.96 by the shortest ways: 0.9 is reached by
#: policies that arrive in 95 of 100 episodes without detours.
THRESHOLD = 0.9
RENDER_MODES = ("rgb_array",)


def risk(env: gym.Env[Any, Any], action: Any) -> float:
    """1 where a step forward enters lava, else 0: the world is deterministic."""
    view = cast(MiniGridView, env)
    return float(action == FORWARD and view.front in view.room.lava)


def correction(env: gym.Env[Any, Any]) -> int:
    """First action of a shortest way to the goal that avoids lava; stay where there is none."""
    way = cast(MiniGridView, env).way_to_goal()
    return STAY if way is None else way


def make(
    env_id: str = ENV_IDS[0],
    max_episode_steps: int | None = None,
    render_mode: str | None = None,
) -> Annotated:
    """LavaGap as a vector of the whole room, with cost, risk, hold and correction.

    Observations are those of ``MiniGridView``, float32, shape (31,) in the room of side 5; actions
    0 left, 1 right, 2 forward, 3 stay (MiniGrid's ``done``; its pick-up, drop and toggle do nothing
    here and are left out). Lava ends the episode: a catastrophe.

    Args:
        env_id: one of MiniGrid's three sizes.
        max_episode_steps: steps after which an episode is truncated; None: MiniGrid's own limit, 4
            x side x side, which its reward is scaled by in any case.
        render_mode: ``rgb_array`` or None.

    Raises:
        UsageError: if an argument is out of range, or MiniGrid is not installed.
    """
    choice("env_id", env_id, ENV_IDS)
    if render_mode is not None:
        choice("render_mode", render_mode, RENDER_MODES)
    try:
        import minigrid  # noqa: F401  # registers its environments with Gymnasium
    except ImportError as error:
        raise UsageError(f"{env_id} needs MiniGrid; install it with: {INSTALL}") from error
    limit = max_episode_steps
    if limit is not None:
        whole("max_episode_steps", limit, 1)
    env = gym.make(env_id, max_episode_steps=limit, render_mode=render_mode)
    own: Any = env.unwrapped
    if limit is not None and limit > own.max_steps:
        raise UsageError(
            f"max_episode_steps must be at most {own.max_steps}, {env_id}'s own limit, got {limit}"
        )
    return Annotated(MiniGridView(env), risk=risk, hold=STAY, correction=correction)


def lanes(
    num_lanes: int = 1,
    env_id: str = ENV_IDS[0],
    max_episode_steps: int | None = None,
    render_mode: str | None = None,
) -> GymLanes:
    """As many lanes of ``make``, each episode's layout by its seed; learned at a return of 0.9.

    Args:
        num_lanes: number of lanes, at least 1.
        env_id: one of MiniGrid's three sizes.
        max_episode_steps: as in ``make``.
        render_mode: as in ``make``.
    """
    count = whole("num_lanes", num_lanes, 1)
    envs = [make(env_id, max_episode_steps, render_mode) for _ in range(count)]
    return GymLanes(envs, threshold=THRESHOLD, episode_seeds=True)
