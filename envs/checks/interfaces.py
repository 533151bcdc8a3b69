"""Clauses on what callers see: Gymnasium's and SB3's rules, spaces, bad actions, pictures."""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np

from looplab.envs.checks.contract import Broken, Unchecked, clause
from looplab.envs.checks.rollout import at_random, generator, same, sampled
from looplab.envs.checks.task import Task
from looplab.envs.core import Lanes
from looplab.envs.errors import UsageError
from looplab.envs.faces import RENDER_MODES, LaneEnv

LANES = 8
STEPS = 100
#: What Gymnasium's check says of an environment that is not registered, or is wrapped on purpose.
_EXPECTED_WARNINGS = ("environment not having a spec", "different from the unwrapped version")


@clause("gymnasium's check_env finds nothing, in every render mode")
def gymnasium(task: Task) -> str:
    """Runs it on the bare environment.

    Where the environment is not LoopLab's face of lanes, it is checked as it is wrapped, warnings
    are told and do not fail, and what asks for a registered id is left out.
    """
    from gymnasium.utils.env_checker import check_env

    env = task.environment()
    if isinstance(env.unwrapped, LaneEnv):
        return _told(env.unwrapped, check_env)
    return _told(env, partial(check_env, skip_render_check=True, skip_close_check=True))


@clause("stable-baselines3's check_env finds nothing")
def stable_baselines3(task: Task) -> str:
    """Runs it on the environment as it is made."""
    try:
        from stable_baselines3.common.env_checker import check_env
    except ImportError as error:
        raise Unchecked("stable-baselines3 is not installed") from error
    return _told(task.environment(), check_env)


def _told(env: gym.Env[Any, Any], check_env: Callable[[Any], None]) -> str:
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            check_env(env)
        except (AssertionError, TypeError, ValueError) as error:
            raise Broken(_plain(error)) from error
    for warning in caught:
        text = _plain(warning.message)
        if not any(expected in text for expected in _EXPECTED_WARNINGS):
            said.append(text)
    if said and isinstance(env.unwrapped, LaneEnv):
        raise Broken(f"it warns: {said[0]}")
    return f"it warns: {said[0]}" if said else ""


def _plain(message: Any) -> str:
    """One line without the colours of a terminal."""
    text = " ".join(str(message).split())
    for colour in ("\x1b[33m", "\x1b[31m", "\x1b[0m"):
        text = text.replace(colour, "")
    return text.removeprefix("WARN: ")


@clause("every observation lies in the observation space")
def observations(task: Task) -> str:
    """Looks at resets and steps of random actions, also at the last one of an episode."""
    lanes = task.lanes(LANES)
    _contained(lanes, lanes.observation, "at reset")
    for t, step in enumerate(at_random(lanes, STEPS, generator(task))):
        _contained(lanes, step.observation, f"step {t}")
        _contained(lanes, lanes.observation, f"after step {t}")
    return ""


def _contained(lanes: Lanes, found: Any, where: str) -> None:
    space = lanes.observation_space
    for lane, observation in enumerate(found):
        if not space.contains(observation):
            kind = (
                f"{observation.dtype} {observation.shape}" if hasattr(observation, "dtype") else ""
            )
            raise Broken(
                f"lane {lane}, {where}: observation {' '.join(str(observation).split())} {kind} "
                f"is not in {' '.join(str(space).split())}"
            )


@clause("a step's arrays have one row per lane and the promised types")
def step_arrays(task: Task) -> str:
    """Looks at types, shapes, finite rewards, and ends that are told once."""
    lanes = task.lanes(LANES)
    n = lanes.num_lanes
    for t, step in enumerate(at_random(lanes, STEPS, generator(task))):
        for name in ("reward", "cost", "success", "terminated", "truncated", "catastrophe"):
            values = getattr(step, name)
            kind = np.float64 if name in ("reward", "cost", "success") else np.bool_
            if values.shape != (n,) or values.dtype != kind:
                raise Broken(
                    f"step {t}: {name} is {values.dtype} {values.shape}, "
                    f"expected {kind.__name__} {(n,)}"
                )
        _refuse(~np.isfinite(step.reward), t, "reward is not finite")
        if task.native:
            _refuse(step.terminated & step.truncated, t, "terminated and truncated at once")
        ended = step.terminated | step.truncated
        _refuse(~ended & ~np.isnan(step.success), t, "success is told before the end")
        _refuse(
            ~np.isnan(step.success) & ~np.isin(step.success, (0.0, 1.0)), t, "success is not 0 or 1"
        )
    return ""


def _refuse(lanes: Any, t: int, what: str) -> None:
    for lane in np.flatnonzero(lanes):
        raise Broken(f"lane {lane}, step {t}: {what}")


@clause("actions outside the space raise UsageError and change nothing")
def bad_actions(task: Task) -> str:
    """Tries an action above, one below, one that is no number, and too few."""
    lanes, twin = task.lanes(2), task.lanes(2)
    good = sampled(lanes.action_space, lanes.num_lanes, generator(task))
    for what, bad in _bad(lanes, good):
        try:
            lanes.step(bad)
        except UsageError:
            continue
        raise Broken(f"{what} was accepted, expected UsageError")
    one, other = lanes.step(good), twin.step(good)
    same("observation", one.observation, other.observation, "after a refused action")
    return ""


def _bad(lanes: Lanes, good: Any) -> list[tuple[str, Any]]:
    space = lanes.action_space
    wrong: list[tuple[str, Any]] = [("an action too few", good[:-1])]
    if isinstance(space, gym.spaces.Discrete):
        above, below = int(space.start + space.n), int(space.start) - 1
        wrong += [(f"action {a}", np.full_like(good, a)) for a in (above, below)]
        return wrong
    broken = good.copy()
    broken.reshape(lanes.num_lanes, -1)[-1, 0] = np.nan
    return [*wrong, ("an action of NaN", broken)]


@clause("every render mode draws, and drawing changes nothing")
def pictures(task: Task) -> str:
    """Draws along an episode, and compares with lanes that nobody draws."""
    modes = [m for m in task.environment().metadata.get("render_modes", ()) if m in RENDER_MODES]
    if not modes:
        raise Unchecked(f"it has neither of the render modes {', '.join(RENDER_MODES)}")
    quiet: Any = None
    for mode in (None, *modes):
        env = task.environment(mode)
        if env.render_mode != mode:
            raise Unchecked(f"make() takes no render mode, so {mode} is not drawn")
        trace = _drawn(env, mode, task)
        env.close()
        quiet = quiet or trace
        if trace != quiet:
            raise Broken(f"drawing as {mode} changes what happens")
    return ""


def _drawn(env: gym.Env[Any, Any], mode: str | None, task: Task) -> list[tuple[Any, ...]]:
    rng = generator(task)
    env.reset(seed=task.seed)
    trace = []
    for t in range(STEPS // 5):
        if mode is not None:
            _look(env.render(), mode, t)
        _, reward, terminated, truncated, _ = env.step(sampled(env.action_space, 1, rng)[0])
        trace.append((float(reward), terminated, truncated))
        if terminated or truncated:
            env.reset()
    return trace


def _look(picture: Any, mode: str, t: int) -> None:
    if mode == "ansi":
        if not isinstance(picture, str) or not picture.strip():
            raise Broken(f"step {t}: ansi draws {picture!r}, expected text")
        return
    if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.ndim != 3:
        raise Broken(f"step {t}: rgb_array draws no uint8 array of (height, width, 3)")
    if picture.shape[2] != 3 or (picture == picture[0, 0]).all():
        raise Broken(f"step {t}: rgb_array draws a blank picture of shape {picture.shape}")
