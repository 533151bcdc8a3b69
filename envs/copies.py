"""Copies of environments in their present state."""

import copy
from typing import Any, TypeVar

import gymnasium as gym
from gymnasium.utils import EzPickle

from looplab.envs.errors import UsageError

World = TypeVar("World", bound=gym.Env[Any, Any])

#: Modules of what only draws, and cannot be copied; copies share it with their original.
_SCREENS = ("pygame", "gymnasium.envs.mujoco.mujoco_rendering")


def copied(env: World, name: str) -> World:
    """A copy of an environment in the same state, with its random generator.

    An environment that is pickled by its arguments (Gymnasium's ``EzPickle``) would be made anew,
    in another state, so its attributes are copied instead. Screens are shared: a copy is for trying
    things out, not for pictures. A wrapper that knows better how to copy the world below it says so
    by a method ``twin_world()``.

    Args:
        env: the environment, with its wrappers.
        name: what the message calls it.

    Raises:
        UsageError: if it cannot be copied.
    """
    world = env.unwrapped
    screens = [part for part in vars(world).values() if type(part).__module__.startswith(_SCREENS)]
    memo: dict[int, Any] = {id(screen): screen for screen in screens}
    try:
        if env.has_wrapper_attr("twin_world"):
            memo[id(world)] = env.get_wrapper_attr("twin_world")()
        elif isinstance(world, EzPickle):
            twin = memo[id(world)] = object.__new__(type(world))
            twin.__dict__.update(copy.deepcopy(vars(world), memo))
        return copy.deepcopy(env, memo)
    except Exception as error:  # whatever an environment holds may refuse to be copied
        raise UsageError(
            f"{name} cannot be copied to look ahead ({error}); "
            "pass risk=, a function of (env, action)"
        ) from error
