"""LavaCrossing of MiniGrid: over rivers of lava by their fords (Chevalier-Boisvert 2023)."""

from functools import partial

from looplab.envs.adapters import minigrid_lava
from looplab.envs.adapters.building import side_by_side
from looplab.envs.adapters.minigrid_view import ACTIONS
from looplab.envs.annotated import Annotated
from looplab.envs.gym_lanes import GymLanes

ENV_IDS = (
    "MiniGrid-LavaCrossingS9N1-v0",
    "MiniGrid-LavaCrossingS9N2-v0",
    "MiniGrid-LavaCrossingS9N3-v0",
    "MiniGrid-LavaCrossingS11N5-v0",
)
#: A success is worth 1 - 0.9 x steps / limit, 0.95 by the shortest ways: 0.85 is reached by
#: policies that arrive in 90 of 100 episodes without detours.
THRESHOLD = 0.85
CARD = minigrid_lava.card(
    "the fords lie between lava, others at each episode", "MiniGrid, CrossingEnv"
)


def make(
    env_id: str = ENV_IDS[0],
    max_episode_steps: int | None = None,
    render_mode: str | None = None,
) -> Annotated:
    """LavaCrossing as a vector of the whole room, (151,) in one of side 9; see ``minigrid_lava``.

    Args:
        env_id: one of ``ENV_IDS``.
        max_episode_steps: steps after which an episode is truncated; None: MiniGrid's own limit.
        render_mode: ``rgb_array`` or None.

    Raises:
        UsageError: if an argument is out of range, or MiniGrid is not installed.
    """
    return minigrid_lava.make(env_id, ENV_IDS, max_episode_steps, render_mode)


def lanes(
    num_lanes: int = 1,
    env_id: str = ENV_IDS[0],
    max_episode_steps: int | None = None,
    render_mode: str | None = None,
) -> GymLanes:
    """As many lanes of ``make``, each episode's layout by its seed.

    Args:
        num_lanes: number of lanes, at least 1.
        env_id: as in ``make``.
        max_episode_steps: as in ``make``.
        render_mode: as in ``make``.
    """
    maker = partial(make, env_id, max_episode_steps, render_mode)
    return side_by_side(maker, num_lanes, THRESHOLD, ACTIONS)
