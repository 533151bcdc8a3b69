"""Clauses on what can be set: reward modes, and drift of every declared parameter."""

from typing import Any

import numpy as np

from looplab.envs.checks.contract import Broken, Unchecked, clause
from looplab.envs.checks.harm import LANES
from looplab.envs.checks.rollout import (
    at_random,
    generator,
    over,
    same,
    same_step,
    sampled,
)
from looplab.envs.checks.task import Task
from looplab.envs.core import RISK_SOURCES, Lanes, Step
from looplab.envs.drift import KINDS, Drift
from looplab.envs.errors import UsageError
from looplab.envs.native import NativeLanes

#: Steps before a drift, and steps in which it must change something.
BEFORE, AFTER = 5, 200
#: Steps that a gradual drift takes, and a phase of a recurring one.
PHASE = 50


@clause("every reward mode runs and can do harm, and an unknown one is refused")
def reward_modes(task: Task) -> str:
    """Runs random actions in each."""
    if not task.reward_modes:
        raise Unchecked("it takes no reward_mode")
    for mode in task.reward_modes:
        lanes = task.lanes(LANES, reward_mode=mode)
        steps = at_random(lanes, AFTER, generator(task))
        if not any(step.cost.any() for step in steps):
            raise Broken(f"reward_mode={mode}: no violation in {AFTER} steps of {LANES} lanes")
    try:
        task.make(1, reward_mode="no such mode")
    except UsageError:
        return ""
    raise Broken("reward_mode='no such mode' was accepted, expected UsageError")


@clause("every declared parameter drifts on time, and drift_active tells so")
def drift(task: Task) -> str:
    """Compares with lanes that do not drift, until something differs."""
    if not isinstance(task.one, NativeLanes) or not task.one.DRIFTS:
        raise Unchecked("it declares no parameter that drifts")
    if not task.takes("drift"):
        raise Broken("it declares drifting parameters, but takes no drift=")
    silent: list[str] = []
    for parameter, bounds in task.one.DRIFTS.items():
        value = float(getattr(task.one, parameter))
        far = max((b for b in bounds if np.isfinite(b)), key=lambda bound: abs(bound - value))
        for kind in KINDS:
            if not _changes_something(task, Drift(parameter, far, BEFORE, kind, PHASE)):
                silent.append(f"{kind} drift of {parameter} from {value:g} to {far:g}")
    if len(silent) == len(KINDS) * len(task.one.DRIFTS):
        raise Broken(f"{silent[0]} changes nothing in {AFTER} steps, nor does any other drift")
    return f"as the task is set, {silent[0]} changes nothing" if silent else ""


def _changes_something(task: Task, schedule: Drift) -> bool:
    """Whether anything differs after the drift began; before, nothing may."""
    drifting, steady = task.lanes(LANES, drift=schedule), task.lanes(LANES)
    rng = generator(task)
    for t in range(BEFORE + AFTER):
        actions = sampled(steady.action_space, LANES, rng)
        where = f"step {t} of {schedule.kind} drift of {schedule.parameter} at step {BEFORE}"
        ours, theirs = drifting.step(actions), steady.step(actions)
        active = drifting.details().get("drift_active")
        if t < BEFORE + PHASE:
            same("info['drift_active']", active, np.full(LANES, t >= BEFORE), where)
        if t < BEFORE - 1:  # the last observation before may already show what has changed
            same_step(ours, theirs, where)
        elif t > BEFORE and _unlike(drifting, steady, ours, theirs):
            return True
        done = over(ours)
        if done.any():
            drifting.reset(done)
            steady.reset(done)
    return False


def _unlike(one: Lanes, other: Lanes, ours: Step, theirs: Step) -> bool:
    pairs: list[tuple[Any, Any]] = [
        (ours.reward, theirs.reward),
        (ours.observation, theirs.observation),
        *((one.risk_table(source), other.risk_table(source)) for source in RISK_SOURCES),
    ]
    return not all(np.array_equal(mine, yours) for mine, yours in pairs if mine is not None)
