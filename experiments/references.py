"""What a task's returns are measured against: a random, the reference and the safe policy.

The measured values lie in ``references.json`` beside this file; ``looplab bench solve`` measures
them anew. Finite tasks are exact (dynamic programming over the episode's length); the others are
means over episodes on held-out seeds, with 95 % intervals.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from looplab.envs.core import Actions, Lanes
from looplab.envs.errors import UsageError
from looplab.envs.exact import FiniteModel, exact_risk, optimal_values, policy_value, safe_actions
from looplab.envs.exact import start_value as best_value
from looplab.experiments import build
from looplab.experiments.overrides import plan
from looplab.experiments.statistics import mean_interval

FILE = Path(__file__).with_name("references.json")
EPISODES = 1000
_LANES = 50
_SEED = 20_000

#: What to do in every lane's state.
Policy = Callable[[Lanes], Actions]


@dataclass(frozen=True)
class Value:
    """Mean undiscounted return of a policy, and its violations.

    Attributes:
        mean, low, high: return with its 95 % interval; an exact one has no width.
        violations_per_1k: steps with harm per 1000 steps.
    """

    mean: float
    low: float
    high: float
    violations_per_1k: float


def returns(lanes: Lanes, policy: Policy, episodes: int = EPISODES, seed: int = _SEED) -> Value:
    """Plays a policy and returns its value.

    Args:
        lanes: the task; every lane plays the same number of episodes.
        policy: what to do; it may draw from a generator of its own.
        episodes: finished episodes in all, at least; rounded up to whole rounds of lanes.
        seed: lane i draws from seed + i.
    """
    lanes.reseed(seed)
    lanes.reset()
    share = -(-episodes // lanes.num_lanes)
    left = np.full(lanes.num_lanes, share)
    running = np.zeros(lanes.num_lanes)
    found: list[float] = []
    violations = steps = 0
    while left.any():
        counted = left > 0
        step = lanes.step(policy(lanes))
        running += step.reward
        steps += int(counted.sum())
        violations += int((step.cost[counted] > 0.0).sum())
        done = step.terminated | step.truncated
        if done.any():
            found += running[done & counted].tolist()
            running[done] = 0.0
            left -= done & counted
            lanes.reset(done)
    interval = mean_interval(found, rng=np.random.default_rng(seed))
    return Value(interval.mean, interval.low, interval.high, 1000.0 * violations / steps)


def at_random(lanes: Lanes, seed: int = _SEED) -> Policy:
    """Actions drawn uniformly from the action space."""
    space = lanes.action_space
    space.seed(seed)
    return lambda lanes: np.array([space.sample() for _ in range(lanes.num_lanes)])


def exact_values(model: FiniteModel, horizon: int) -> dict[str, Value]:
    """Random, optimum and safe optimum of a finite task over an episode of ``horizon`` steps."""
    states, actions = model.chance.shape[:2]
    safe = safe_actions(exact_risk(model, horizon))
    uniform = np.full((states, actions), 1.0 / actions)
    found = {"random": policy_value(model, uniform, 1.0, horizon)}
    rates = {"random": _violations(model, uniform, horizon)}
    for name, allowed in (("reference", None), ("safe", safe)):
        values = optimal_values(model, 1.0, allowed, horizon)
        found[name] = best_value(model, values)
        rates[name] = _violations(model, np.eye(actions)[values.argmax(axis=1)], horizon)
    return {name: Value(mean, mean, mean, rates[name]) for name, mean in found.items()}


def _violations(model: FiniteModel, policy: np.ndarray[Any, Any], horizon: int) -> float:
    every_step = np.ones(model.chance.shape[:2])
    harm = policy_value(model, policy, 1.0, horizon, model.harm)
    return 1000.0 * harm / policy_value(model, policy, 1.0, horizon, every_step)


def task_values(name: str, episodes: int = EPISODES) -> tuple[dict[str, Value], bool]:
    """Random, reference and safe value of an environment's preset, and whether they are exact.

    Raises:
        UsageError: if the task states no reference.
    """
    config = plan([f"env={name}"], sweeps=False).cells[0]
    lanes = build.lanes(config, _LANES)
    if _in_plain_sight(lanes):
        return exact_values(lanes.model(), lanes.max_episode_steps), True  # type: ignore[attr-defined]
    lanes.reset()
    if lanes.reference() is None:
        raise UsageError(f"{name} states no reference policy")
    policies: dict[str, Policy] = {
        "random": at_random(lanes),
        "reference": _asked(Lanes.reference),
        "safe": _asked(Lanes.correction),
    }
    return {name: returns(lanes, policy, episodes) for name, policy in policies.items()}, False


def _in_plain_sight(lanes: Lanes) -> bool:
    """Whether the task is a finite model in which the agent can tell all states apart."""
    table = getattr(lanes, "table", None)
    looks = getattr(table, "observations", None)
    return looks is not None and len(np.unique(looks, axis=0)) == len(looks)


def _asked(question: Callable[[Lanes], Actions | None]) -> Policy:
    def policy(lanes: Lanes) -> Actions:
        answer = getattr(lanes, question.__name__)()
        if answer is None:
            raise UsageError(f"{type(lanes).__name__} has no {question.__name__}")
        return answer  # type: ignore[no-any-return]

    return policy


@lru_cache(maxsize=1)
def references() -> dict[str, Any]:
    """What was measured, by preset."""
    if not FILE.is_file():
        return {}
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found
