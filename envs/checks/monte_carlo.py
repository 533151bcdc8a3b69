"""Clauses on the meaning of risks: against Monte-Carlo, from the same states with other draws."""

from typing import NamedTuple

import numpy as np

from looplab.envs.checks.contract import Broken, Unchecked, clause
from looplab.envs.checks.harm import needs_costs, safe
from looplab.envs.checks.risk import LANES, MOMENTS, MOST_ERRORS, choices, moments, needs
from looplab.envs.checks.rollout import (
    at_least,
    first_action,
    generator,
    over,
    put,
    sampled,
    spread,
    two_sided,
)
from looplab.envs.checks.task import Task
from looplab.envs.core import RISK_RESOLUTION, Actions, BoolArray, FloatArray, IntArray, Lanes
from looplab.envs.native import NativeLanes
from looplab.envs.tabular import TabularLanes

#: Redrawn steps per state and action; fewer where each is a fork of an environment.
SAMPLES, FORKED_SAMPLES = 64, 12
#: States looked at, and episodes from each: where risks are tabled, and where they take longer.
TABLED, ROLLED_OUT = (4 * LANES, 96), (8, 16)
#: Steps of a policy that only takes what has no exact risk.
RISKLESS_STEPS = 60
#: Probability that a task which keeps its word fails one of these checks.
LEVEL = 1e-4
#: An episode without an end is left after so many steps.
MOST_STEPS = 2000


class Tried(NamedTuple):
    """One action per lane, and how many of its trials violated; arrays (n,)."""

    step: int
    actions: Actions
    risk: FloatArray
    counts: IntArray


@clause("immediate risk is the share of redrawn steps that violate")
def immediate_risk(task: Task) -> str:
    """Tries actions many times from the same states, each time with other draws."""
    needs_costs(task)
    needs(task, "immediate")
    lanes, rng = task.lanes(LANES), generator(task)
    trials = SAMPLES if task.native else FORKED_SAMPLES
    many = spread(task, lanes, trials) if task.native else None
    found: dict[int, list[Tried]] = {}
    for t in moments(task, lanes):
        for number, actions in enumerate(choices(lanes, rng)):
            risk = lanes.risk_of("immediate", actions)
            assert risk is not None  # ``needs`` has looked
            if many is None:
                counts = _forked(lanes, actions, trials)
            else:
                put(many, lanes, task.seed + 1000 * t + number)
                cost = many.step(np.repeat(actions, trials, axis=0)).cost
                counts = (cost.reshape(-1, trials) > 0.0).sum(axis=1)
            found.setdefault(number, []).append(Tried(t, actions, risk, counts))
    for tried in found.values():
        _agree(tried, trials, LEVEL / len(found))
    return ""


def _forked(lanes: Lanes, actions: Actions, trials: int) -> IntArray:
    counts = np.zeros(lanes.num_lanes, dtype=np.int64)
    for lane, action in enumerate(actions):
        for trial in range(trials):
            env = lanes.fork(lane)
            env.get_wrapper_attr("redraw")(trial)
            counts[lane] += int(env.step(action)[-1]["cost"] > 0.0)
    return counts


def _agree(tried: list[Tried], trials: int, level: float) -> None:
    """Tests every state by itself, and the mean over all of them."""
    risks = np.array([each.risk for each in tried])
    counts = np.array([each.counts for each in tried])
    p_values = two_sided(counts, trials, risks)
    for row, lane in np.argwhere(p_values < level / risks.size):
        raise Broken(
            f"lane {lane}, step {tried[row].step}, action {tried[row].actions[lane]}: immediate "
            f"risk is {risks[row, lane]:g}, expected about {counts[row, lane] / trials:g} "
            f"({counts[row, lane]} of {trials} redrawn steps violate)"
        )
    what = f"immediate risk of action {tried[0].actions[0]}"
    _agree_on_average(what, tried, trials, "redrawn steps that violate")


def _agree_on_average(what: str, tried: list[Tried], trials: int, share: str) -> None:
    risks = np.array([each.risk for each in tried])
    counts = np.array([each.counts for each in tried])
    excess = counts.sum() - trials * risks.sum()
    error = np.sqrt(trials * (risks * (1.0 - risks)).clip(0.0).sum())
    if abs(excess) > MOST_ERRORS * error + RISK_RESOLUTION * trials * risks.size:
        raise Broken(
            f"{what} is {risks.mean():.4f} on average, "
            f"expected {counts.mean() / trials:.4f}, the share of {share} "
            f"(standard error {error / trials / risks.size:.4f})"
        )


@clause("exact risk is the chance of a violation if the safest actions follow; never from 0")
def exact_risk(task: Task) -> str:
    """Follows actions without risk, and plays episodes to their end from the same states."""
    needs_costs(task)
    needs(task, "exact")
    _riskless(task, generator(task, 2))
    if not task.native:
        raise Unchecked("episodes of environments that step one after another are not replayed")
    tabled = isinstance(task.one, TabularLanes)
    num_lanes, episodes = TABLED if tabled else ROLLED_OUT
    lanes, rng = task.lanes(num_lanes), generator(task)
    if safe(lanes) is None:
        raise Unchecked("actions are continuous and it knows no correction to follow")
    many = spread(task, lanes, episodes)
    level = LEVEL / num_lanes / len(MOMENTS)
    found: list[Tried] = []
    for t in moments(task, lanes):
        actions = _worth_trying(lanes, rng)
        risk = lanes.risk_of("exact", actions)
        assert risk is not None  # ``needs`` has looked
        put(many, lanes, task.seed + t)
        if tabled:  # tables are of whole episodes
            many.elapsed[:] = 0
        counts = _violated(many, np.repeat(actions, episodes, axis=0), num_lanes)
        found.append(Tried(t, actions, risk, counts))
        wrong = at_least(counts, episodes, risk + RISK_RESOLUTION + task.exact_error) < level
        if tabled:
            wrong |= two_sided(counts, episodes, risk) < level
        for lane in np.flatnonzero(wrong):
            raise Broken(
                f"lane {lane}, step {t}, action {actions[lane]}: exact risk is {risk[lane]:g}, "
                f"expected about {counts[lane] / episodes:g} ({counts[lane]} of {episodes} "
                "episodes violate in which the safest actions follow)"
            )
    if not tabled:
        return "a risk that is too high goes unnoticed"
    _agree_on_average("exact risk", found, episodes, "episodes that violate")
    return ""


def _riskless(task: Task, rng: np.random.Generator) -> None:
    """Runs a policy that takes any action of exact risk 0: nothing happens, and one is left."""
    lanes = task.lanes(LANES)
    begun = np.zeros(lanes.num_lanes, dtype=np.bool_)
    taken, wrong = 0, []
    for t in range(RISKLESS_STEPS):
        table = lanes.risk_table("exact")
        if table is None:
            return
        actions, safe_yet = _without_risk(lanes, table, rng)
        for lane in np.flatnonzero(begun & ~safe_yet):
            wrong.append(
                f"lane {lane}, step {t}: every action has exact risk {table[lane].min():g} or "
                "more after an action of exact risk 0, expected one without"
            )
        step = lanes.step(actions, safe_yet)
        taken += int(safe_yet.sum())
        for lane in np.flatnonzero(safe_yet & (step.cost > 0.0)):
            wrong.append(f"lane {lane}, step {t}: action {actions[lane]} of exact risk 0 violates")
        begun = safe_yet & ~over(step)
        again = over(step) | ~safe_yet
        if again.any():
            lanes.reset(again)
    if wrong and at_least(len(wrong), taken, task.exact_error) < LEVEL:
        raise Broken(wrong[0])


def _without_risk(
    lanes: Lanes, table: FloatArray, rng: np.random.Generator
) -> tuple[Actions, BoolArray]:
    """Any action of risk 0 in each lane, and whether there is one."""
    free = np.where(table <= RISK_RESOLUTION, rng.random(table.shape), -1.0)
    return free.argmax(axis=1) + first_action(lanes), free.max(axis=1) >= 0.0


def _worth_trying(lanes: Lanes, rng: np.random.Generator) -> Actions:
    """A random action per lane; in half of them one without risk, in most others the riskiest."""
    actions = sampled(lanes.action_space, lanes.num_lanes, rng)
    table = lanes.risk_table("exact")
    if table is not None:
        riskless, known = _without_risk(lanes, table, rng)
        place = np.arange(lanes.num_lanes)
        actions = np.where(known & (place % 2 == 1), riskless, actions)
        riskiest = table.argmax(axis=1) + first_action(lanes)
        actions = np.where((place % 2 == 0) & (place % 8 != 0), riskiest, actions)
    return actions


def _violated(many: NativeLanes, actions: Actions, num_lanes: int) -> IntArray:
    """How many of each lane's episodes violate after the action."""
    alive = np.ones(many.num_lanes, dtype=np.bool_)
    harmed = np.zeros(many.num_lanes, dtype=np.bool_)
    chosen: Actions | None = actions
    for _ in range(MOST_STEPS):
        assert chosen is not None  # callers have looked
        step = many.step(chosen, alive)
        harmed |= alive & (step.cost > 0.0)
        alive &= ~over(step) & ~harmed
        if not alive.any():
            break
        chosen = safe(many)
    return np.asarray(harmed.reshape(num_lanes, -1).sum(axis=1), dtype=np.int64)
