"""What all adapters do alike: ask for a library, make an environment, line lanes up."""

import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import Any

import gymnasium as gym

from looplab.envs.annotated import Annotated
from looplab.envs.errors import UsageError, choice, whole
from looplab.envs.gym_lanes import GymLanes

#: Set where X11 or Wayland has a display.
DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")


def require(module: str, wanted_by: str, install: str) -> Any:
    """Imports an optional library, which registers its environments with Gymnasium.

    Args:
        module: name that it is imported by.
        wanted_by: what cannot be had without it.
        install: what brings it, as pip reads it.

    Raises:
        UsageError: with the command that installs it, if it is missing.
    """
    try:
        with warnings.catch_warnings():
            # Box2D's types warn while they are loaded; an error there would crash the interpreter.
            warnings.simplefilter("ignore", DeprecationWarning)
            return import_module(module)
    except ImportError as error:
        raise UsageError(
            f"{wanted_by} needs {module}; install it with: pip install '{install}'"
        ) from error


def made(
    env_id: str,
    max_episode_steps: int | None,
    render_mode: str | None,
    render_modes: Iterable[str] = ("rgb_array",),
    **settings: Any,
) -> gym.Env[Any, Any]:
    """An environment of Gymnasium's registry, its limit and render mode checked.

    Args:
        env_id: registered id.
        max_episode_steps: steps after which an episode is truncated, at least 1; None: its own.
        render_mode: one of ``render_modes``, or None.
        render_modes: what it can be drawn as without a window.
        **settings: the environment's own arguments.

    Raises:
        UsageError: if an argument is out of range, or Gymnasium cannot make it.
    """
    if render_mode is not None:
        choice("render_mode", render_mode, render_modes)
        if not any(map(os.environ.get, DISPLAYS)):
            # Pygame, which most draw with, complains where it looks for a display in vain.
            os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    if max_episode_steps is not None:
        whole("max_episode_steps", max_episode_steps, 1)
    try:
        return gym.make(
            env_id, max_episode_steps=max_episode_steps, render_mode=render_mode, **settings
        )
    except (gym.error.Error, ImportError, TypeError) as error:
        raise UsageError(f"{env_id}: {' '.join(str(error).split())}") from error


def side_by_side(
    make: Callable[[], Annotated],
    num_lanes: int,
    threshold: float = float("nan"),
    actions: Sequence[str] = (),
) -> GymLanes:
    """As many lanes as asked for, every episode seeded from (seed + lane, episode).

    Args:
        make: makes one environment.
        num_lanes: number of lanes, at least 1.
        threshold: mean task return that counts as learned; NaN if none is stated.
        actions: names of discrete actions.
    """
    count = whole("num_lanes", num_lanes, 1)
    return GymLanes(
        [make() for _ in range(count)], threshold=threshold, episode_seeds=True, actions=actions
    )
