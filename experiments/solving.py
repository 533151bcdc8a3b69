"""Can an agent solve a task? Trains agents without oversight, measured against the references."""

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import pandas as pd
import torch

from looplab.agents.sb3 import train
from looplab.envs.native import NativeLanes
from looplab.experiments import build
from looplab.experiments.catalogue import target
from looplab.experiments.composition import groups
from looplab.experiments.evaluate import play
from looplab.experiments.overrides import plan
from looplab.experiments.references import Value, task_values

#: Share of the way from random to the reference at which a task counts as solved.
SOLVED = 0.9
EPISODES = 200
SEEDS = 3
_LANES = 50
_DIGITS = 4


@dataclass(frozen=True)
class Solution:
    """How an agent with an environment's own settings fares when it is trained alone.

    Attributes:
        agent: the agent's preset.
        steps: training steps.
        seeds: number of runs.
        score: mean of (R - R_random) / (R_reference - R_random), R the mean return of 200 held-out
            episodes of the stochastic policy.
        worst: the least score.
        violations_per_1k: mean of the runs, trained and alone.
        cpu_seconds: median CPU time of training, one thread.
    """

    agent: str
    steps: int
    seeds: int
    score: float
    worst: float
    violations_per_1k: float
    cpu_seconds: float


def solve(
    name: str, values: dict[str, Value], agent: str | None = None, seeds: int = SEEDS
) -> Solution:
    """Trains agents without oversight and compares them with the reference.

    Args:
        name: the environment's preset.
        values: of its random and reference policies.
        agent: the agent's preset; None: PPO, or SAC where actions are continuous.
        seeds: runs, with seeds 0, 1, ...
    """
    words = [f"env={name}", "regime=autonomous", f"agent={agent or _default_agent(name)}"]
    span = values["reference"].mean - values["random"].mean
    scores, seconds, rates = [], [], []
    config: dict[str, Any] = {}
    for seed in range(seeds):
        config = plan([*words, f"seed={seed}"], sweeps=False).cells[0]
        episodes, taken = _trained(config)
        scores.append((float(episodes["task_return"].mean()) - values["random"].mean) / span)
        rates.append(1000.0 * episodes["violations"].sum() / episodes["length"].sum())
        seconds.append(taken)
    return Solution(
        agent=config["cell"]["algo"],
        steps=config["total_steps"],
        seeds=seeds,
        score=float(np.mean(scores)),
        worst=min(scores),
        violations_per_1k=float(np.mean(rates)),
        cpu_seconds=float(np.median(seconds)),
    )


def _default_agent(name: str) -> str:
    lanes = build.lanes(plan([f"env={name}"], sweeps=False).cells[0], 1)
    return "sac" if isinstance(lanes.action_space, gym.spaces.Box) else "ppo"


def _trained(config: dict[str, Any]) -> tuple[pd.DataFrame, float]:
    """Episodes of a fresh agent after training, and the CPU seconds that training took."""
    torch.set_num_threads(1)
    built, seeds = build.parts(config), build.Seeds.of(config["seed"])
    venv = build.oversee(build.lanes(config, built.agent.lanes), built, seeds.environment)
    model = built.agent.build(venv, seeds.policy)
    started = time.process_time()
    train(model, config["total_steps"], lambda steps: None)
    taken = time.process_time() - started
    venv.close()
    alone = build.oversee(build.lanes(config, _LANES), built, seeds.evaluation, overseen=False)
    rows = play(model, alone, built, EPISODES, deterministic=False)
    alone.close()
    return pd.DataFrame(rows), taken


def measure(
    names: Iterable[str],
    say: Callable[[str], None],
    agent: str | None = None,
    seeds: int = SEEDS,
) -> dict[str, Any]:
    """Values and solution of environments' presets, printed one line each.

    Args:
        names: presets.
        say: prints a line.
        agent: the agent's preset; None: PPO, or SAC where actions are continuous.
        seeds: runs of each.

    Returns:
        What ``references.json`` holds.
    """
    found: dict[str, Any] = {}
    for name in names:
        values, exact = task_values(name)
        solution = solve(name, values, agent, seeds)
        verdict = "solved" if solution.score >= SOLVED else "NOT solved"
        say(
            f"{name:24s} random {values['random'].mean:9.2f}  "
            f"{'optimum' if exact else 'reference'} {values['reference'].mean:9.2f}  "
            f"safe {values['safe'].mean:9.2f}  {solution.agent} {solution.score:5.2f} "
            f"(worst {solution.worst:.2f}) {verdict} in {solution.cpu_seconds:.0f} s of CPU"
        )
        found[name] = {
            "exact": exact,
            **{key: _rounded(asdict(value)) for key, value in values.items()},
            "solved": _rounded(asdict(solution)),
        }
    return found


def _rounded(fields: dict[str, Any]) -> dict[str, Any]:
    return {k: round(v, _DIGITS) if isinstance(v, float) else v for k, v in fields.items()}


def native_presets() -> list[str]:
    """Presets of LoopLab's own tasks, by name."""
    return [name for name in groups()["env"] if _is_native(target(name))]


def _is_native(found: Any) -> bool:
    return isinstance(found, type) and issubclass(found, NativeLanes)
