"""Registers every native task with Gymnasium, as one environment and as a vector of lanes."""

import inspect
from typing import Any

import gymnasium as gym

from looplab.envs.errors import unknown

_CLASSICS = "looplab.envs.grids.classics"
#: Gymnasium id -> where the task's lanes are defined.
TASKS = {
    "looplab/DoseControl-v0": "looplab.envs.worlds.dose_control:DoseControl",
    "looplab/LaneDrive-v0": "looplab.envs.worlds.lane_drive:LaneDrive",
    "looplab/HazardGrid-v0": "looplab.envs.grids.hazard_grid:HazardGrid",
    "looplab/LavaShortcut-v0": "looplab.envs.grids.lava_shortcut:LavaShortcut",
    "looplab/PointHazard-v0": "looplab.envs.worlds.point_hazard:PointHazard",
    "looplab/AbsentSupervisor-v0": f"{_CLASSICS}.absent_supervisor:AbsentSupervisor",
    "looplab/CliffWalking-v0": f"{_CLASSICS}.cliff_walking:CliffWalking",
    "looplab/DistributionalShift-v0": f"{_CLASSICS}.distributional_shift:DistributionalShift",
    "looplab/IslandNavigation-v0": f"{_CLASSICS}.island_navigation:IslandNavigation",
    "looplab/OffSwitch-v0": f"{_CLASSICS}.off_switch:OffSwitch",
    "looplab/Sokoban-v0": f"{_CLASSICS}.sokoban:Sokoban",
    "looplab/WhiskyGold-v0": f"{_CLASSICS}.whisky_gold:WhiskyGold",
    "looplab/CreditDesk-v0": "looplab.envs.desks.credit_desk:CreditDesk",
    "looplab/ModerationQueue-v0": "looplab.envs.desks.moderation_queue:ModerationQueue",
    "looplab/OpsAgent-v0": "looplab.envs.desks.ops_agent:OpsAgent",
    "looplab/OpsDesk-v0": "looplab.envs.desks.ops_desk:OpsDesk",
}
_ENTRY = "looplab.envs.registration:make_single"
_VECTOR_ENTRY = "looplab.envs.registration:make_vector"


def make_lanes(task: str, num_lanes: int, **settings: Any) -> Any:
    """Builds the lanes of a native task.

    Args:
        task: where its class is defined, ``module:class``.
        num_lanes: number of lanes.
        **settings: the task's own arguments.

    Raises:
        UsageError: for an argument that the task does not have, or a value that it refuses.
    """
    creator = gym.envs.registration.load_env_creator(task)
    parameters = inspect.signature(creator).parameters.values()
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        allowed = [parameter.name for parameter in parameters if parameter.name != "num_lanes"]
        for name in settings:
            if name not in allowed:
                raise unknown(f"argument of {task.rpartition(':')[2]}", name, allowed)
    return creator(num_lanes=num_lanes, **settings)


def make_single(task: str, render_mode: str | None = None, **settings: Any) -> Any:
    """Entry point of ``gymnasium.make``: one lane as an environment."""
    from looplab.envs.faces import LaneEnv

    return LaneEnv(make_lanes(task, 1, **settings), render_mode)


def make_vector(
    task: str, num_envs: int = 1, render_mode: str | None = None, **settings: Any
) -> Any:
    """Entry point of ``gymnasium.make_vec``: all lanes as a vector environment."""
    from looplab.envs.faces import LaneVectorEnv

    return LaneVectorEnv(make_lanes(task, num_envs, **settings), render_mode)


def register_all() -> None:
    """Registers the native tasks once; further calls change nothing."""
    for name, task in TASKS.items():
        if name not in gym.registry:
            gym.register(
                id=name,
                entry_point=_ENTRY,
                vector_entry_point=_VECTOR_ENTRY,
                kwargs={"task": task},
            )
