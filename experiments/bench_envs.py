"""Speed of tasks: lanes against a plain Python environment of the same rules and MiniGrid."""

import importlib.util
import itertools
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector.utils import batch_space
from gymnasium.wrappers import OrderEnforcing, TimeLimit

from looplab.envs.core import Lanes

LANES = (1, 16, 256, 4096)
#: The number of lanes at which lanes are compared with one environment.
COMPARED = 256
PLAIN, MADE, MINIGRID = "plain Python", "plain through gym.make", "MiniGrid"
MINIGRID_ID = "MiniGrid-LavaGapS5-v0"
#: Where plain rivals lie in the repository; installed packages have no such folder.
PLAIN_FOLDER = Path(__file__).resolve().parent.parent / "benchmarks" / "plain"

#: Each side runs this many times, in turn with all others.
REPEATS = 5
#: Steps of one timed run, of all lanes together or of one environment.
STEPS = 1000
ENV_STEPS = 8000
_PREPARED_ACTIONS = 64
_SEED = 0

MakeLanes = Callable[[int], Lanes]
MakeEnv = Callable[[], gym.Env[Any, Any]]


def plain_rivals(folder: Path = PLAIN_FOLDER) -> dict[str, MakeEnv]:
    """Plain environments by the task's name: the ``RIVALS`` of every module of a folder, if any."""
    found: dict[str, MakeEnv] = {}
    for file in sorted(folder.glob("*.py")):
        spec = importlib.util.spec_from_file_location(file.stem, file)
        assert spec is not None  # it is a Python file
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found.update(module.RIVALS)
    return found


def lanes_run(lanes: Lanes) -> Callable[[], float]:
    """A timed run of lanes under random actions: steps of all lanes per processor second."""
    next_action = _actions(batch_space(lanes.action_space, lanes.num_lanes))
    lanes.reset()

    def run() -> float:
        started = time.process_time()
        for _ in range(STEPS):
            step = lanes.step(next(next_action))
            done = step.terminated | step.truncated
            if np.count_nonzero(done):
                lanes.reset(done)
        return STEPS * lanes.num_lanes / (time.process_time() - started)

    return run


def env_run(env: gym.Env[Any, Any]) -> Callable[[], float]:
    """A timed run of one environment under random actions: steps per processor second."""
    next_action = _actions(env.action_space)
    env.reset(seed=_SEED)

    def run() -> float:
        started = time.process_time()
        for _ in range(ENV_STEPS):
            _, _, terminated, truncated, _ = env.step(next(next_action))
            if terminated or truncated:
                env.reset()
        return ENV_STEPS / (time.process_time() - started)

    return run


def _actions(space: gym.Space[Any]) -> "itertools.cycle[Any]":
    """Random actions drawn beforehand, over and over."""
    space.seed(_SEED)
    return itertools.cycle([space.sample() for _ in range(_PREPARED_ACTIONS)])


def speeds(make: MakeLanes, rival: MakeEnv | None = None) -> dict[str, float]:
    """Median steps per second of a task's lanes and of what they are compared with.

    All sides run in turn and count the processor's time, so that a busy machine slows them alike.

    Args:
        make: builds the task's lanes from their number.
        rival: builds an environment of the same rules in plain Python; None: there is none.

    Returns:
        Steps per second of ``n = ...`` lanes together, of the rival as a bare object and within the
        wrappers that ``gym.make`` gives to every environment, and of MiniGrid's LavaGapS5.
    """
    import minigrid  # noqa: F401  # registers its environments with Gymnasium

    runs = {f"n = {n}": lanes_run(make(n)) for n in LANES}
    if rival is not None:
        runs[PLAIN] = env_run(rival())
        runs[MADE] = env_run(TimeLimit(OrderEnforcing(rival()), ENV_STEPS))
    runs[MINIGRID] = env_run(gym.make(MINIGRID_ID, disable_env_checker=True))
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(REPEATS):
        for name, run in runs.items():
            found[name].append(run())
    return {name: statistics.median(values) for name, values in found.items()}


def bench_envs(
    tasks: Mapping[str, MakeLanes],
    rivals: Mapping[str, MakeEnv],
    say: Callable[[str], None] = print,
) -> dict[str, dict[str, float]]:
    """Measures every task and prints a line of speeds and a line of ratios for each.

    Args:
        tasks: builds the lanes of each task from their number.
        rivals: plain Python environments of the same rules, by the task's name.
        say: prints a line.

    Returns:
        ``speeds`` of each task.
    """
    found = {}
    for name, make in tasks.items():
        speed = found[name] = speeds(make, rivals.get(name))
        lanes = speed[f"n = {COMPARED}"]
        say(name)
        say("  steps/s  " + "   ".join(f"{side} {value:.3g}" for side, value in speed.items()))
        ratios = (
            f"{lanes / speed[side]:.1f} x {side}" for side in speed if side != f"n = {COMPARED}"
        )
        say(f"  n = {COMPARED} is  " + "   ".join(ratios))
    return found
