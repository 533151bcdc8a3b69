"""Clauses on harm: what cost is, that it can be met, and that it can be avoided."""

from typing import Any

import numpy as np

from looplab.envs.checks.contract import Broken, Unchecked, clause
from looplab.envs.checks.rollout import (
    at_most,
    at_random,
    details_of,
    first_action,
    generator,
    over,
    sampled,
)
from looplab.envs.checks.task import Task
from looplab.envs.core import RISK_RESOLUTION, Actions, Lanes
from looplab.envs.native import NativeLanes

LANES = 64
#: Batch steps that a random policy gets to meet the hazard.
STEPS = 400
#: Episodes of each lane whose first step is looked at.
STARTS = 3
#: Level at which the safe policy's violations must be fewer than the random one's.
LEVEL = 0.01
_ROUNDING = 1e-9


def needs_costs(task: Task) -> None:
    """Raises ``Unchecked`` if the task tells no harm."""
    if not task.costs:
        raise Unchecked("it tells no info['cost']; wrap it: Annotated(env, cost=...)")


@clause("an episode begins free of cost, and can go on so")
def cost_free_start(task: Task) -> str:
    """Looks at the first info, and at the first step of the safe policy."""
    needs_costs(task)
    _, info = task.environment().reset(seed=task.seed)
    if info.get("cost", 0.0):
        raise Broken(f"info of reset holds cost {info['cost']}, expected none")
    lanes = task.lanes(LANES)
    least = lanes.least_risk("immediate")
    if least is not None:
        for lane in np.flatnonzero(least > RISK_RESOLUTION):
            raise Broken(f"lane {lane}, at reset: no action has a risk below {least[lane]:g}")
    for _ in range(STARTS):
        chosen = safe(lanes)
        if chosen is None:
            return "no safe action is known, so no first step was looked at"
        step = lanes.step(chosen)
        for lane in np.flatnonzero(step.cost > 0.0):
            raise Broken(f"lane {lane}, first step of the safe policy: cost {step.cost[lane]:g}")
        lanes.reset()
    return ""


@clause("cost is finite, at least 0, the sum of its kinds; only harm is a catastrophe")
def cost(task: Task) -> str:
    """Looks at every step of random actions."""
    needs_costs(task)
    lanes = task.lanes(LANES)
    kinds: dict[str, Any] = {}
    for t, step in enumerate(at_random(lanes, STEPS // 4, generator(task))):
        for lane in np.flatnonzero(~np.isfinite(step.cost) | (step.cost < 0.0)):
            raise Broken(f"lane {lane}, step {t}: cost is {step.cost[lane]}, expected at least 0")
        told = details_of(lanes, step)
        kinds = {n: np.asarray(v, float) for n, v in told.items() if _is_kind(n)}
        _sum_up(kinds, step.cost, t)
        fatal = step.catastrophe & (step.cost > 0.0)
        if isinstance(lanes, NativeLanes):
            fatal = sum((kinds[f"cost_{k}"] for k in lanes.CATASTROPHES), np.zeros(LANES)) > 0.0
        wrong = step.catastrophe != fatal
        for lane in np.flatnonzero(wrong):
            raise Broken(
                f"lane {lane}, step {t}: catastrophe is {step.catastrophe[lane]}, "
                f"expected {fatal[lane]} (cost {step.cost[lane]:g})"
            )
    return "" if kinds else "it tells no cost_<kind>, so no sum was looked at"


def _is_kind(name: str) -> bool:
    """Whether ``info`` holds one kind of harm under this name; some sum them under another."""
    return name.startswith("cost_") and name != "cost_sum"


def _sum_up(kinds: dict[str, Any], total: Any, t: int) -> None:
    for name, values in kinds.items():
        for lane in np.flatnonzero(~(values >= 0.0)):
            raise Broken(f"lane {lane}, step {t}: {name} is {values[lane]}, expected at least 0")
    if kinds:
        added = np.sum(list(kinds.values()), axis=0)
        for lane in np.flatnonzero(np.abs(added - total) > _ROUNDING):
            raise Broken(
                f"lane {lane}, step {t}: cost is {total[lane]:g}, "
                f"expected {added[lane]:g}, the sum of {', '.join(kinds)}"
            )


@clause("a random policy meets the hazard")
def hazard_reachable(task: Task) -> str:
    """Runs random actions until something is harmed."""
    needs_costs(task)
    lanes = task.lanes(LANES)
    steps = 0
    for step in at_random(lanes, STEPS, generator(task)):
        steps += lanes.num_lanes
        if step.cost.any():
            return ""
    raise Broken(f"no violation in {steps} steps of random actions, expected some")


@clause("the hazard can be avoided: the safe policy violates clearly less than a random one")
def hazard_avoidable(task: Task) -> str:
    """Counts episodes with a violation under the correction, or the least exact risk."""
    needs_costs(task)
    lanes = task.lanes(LANES)
    if safe(lanes) is None:
        raise Unchecked("it knows neither a correction nor exact risk")
    harmed, episodes = _harmed_episodes(task, careful=False)
    kept_harmed, kept_episodes = _harmed_episodes(task, careful=True)
    if kept_harmed == 0:
        return ""
    if at_most(kept_harmed, kept_episodes, harmed / episodes) < LEVEL:
        return ""
    raise Broken(
        f"{kept_harmed} of {kept_episodes} episodes of the safe policy violate, "
        f"expected clearly less than {harmed} of {episodes} of a random one"
    )


def _harmed_episodes(task: Task, careful: bool) -> tuple[int, int]:
    """Episodes with a violation, and all that were begun."""
    lanes, rng = task.lanes(LANES), generator(task)
    now = np.zeros(lanes.num_lanes, dtype=np.bool_)
    harmed, episodes = 0, lanes.num_lanes
    for _ in range(STEPS // 2):
        chosen = safe(lanes) if careful else None
        if chosen is None:
            chosen = sampled(lanes.action_space, lanes.num_lanes, rng)
        step = lanes.step(chosen)
        now |= step.cost > 0.0
        done = over(step)
        if done.any():
            harmed += int(now[done].sum())
            episodes += int(done.sum())
            now[done] = False
            lanes.reset(done)
    return harmed + int(now.sum()), episodes


def safe(lanes: Lanes) -> Actions | None:
    """The correction, else the action of the least exact risk; None where neither is known."""
    correction = lanes.correction()
    if correction is not None:
        return correction
    table = lanes.risk_table("exact")
    return None if table is None else table.argmin(axis=1) + first_action(lanes)
