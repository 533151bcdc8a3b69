"""The running engine against formulas of the field (Knox & Stone; renewal theory; binomials).

Every statistical bound is met with another seed too, but for the stated probability: two-sided
binomial tests at 1e-6, and five standard errors over 64 lanes (about 5e-6).
"""

from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from looplab.envs.desks.ops_desk import DANGER_BY_TYPE, FAST, OpsDesk
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.oversight import (
    Audit,
    Autonomous,
    Correction,
    Gate,
    Hold,
    SafestAction,
    ScriptedOverseer,
    Veto,
)

GO, CREEP, WAIT = range(3)
TRAP = [1.0]
SIGNIFICANCE = 1e-6
STANDARD_ERRORS = 5.0


def random_actions(count: int, steps: int, lanes: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, count, (steps, lanes))


@pytest.mark.parametrize("fallback", [Hold(), Correction(), SafestAction()])
@pytest.mark.parametrize(("task", "actions"), [(LavaShortcut, 5), (OpsDesk, 4)])
def test_a_perfect_gate_lets_nothing_happen(
    start: Any, task: Any, actions: int, fallback: Any
) -> None:
    run = start(task(16), Gate(fallback=fallback)).play(random_actions(actions, 800, 16))
    assert run.totals["unsafe_proposals"] > 300
    assert run.totals["violations"] == run.totals["cost"] == 0
    assert run.totals["misses"] == run.totals["false_alarms"] == run.totals["unasked"] == 0
    alone = start(task(16), Autonomous()).play(random_actions(actions, 800, 16))
    assert alone.totals["violations"] > 100


@pytest.mark.parametrize("error", [0.05, 0.3])
def test_what_a_reviewer_misses_is_binomial(start: Any, error: float) -> None:
    gate = Gate(overseer=ScriptedOverseer(miss_rate=error), fallback=Correction())
    run = start(OpsDesk(32), gate).play(np.full((600, 32), FAST))
    unsafe, violations = run.totals["unsafe_proposals"], run.totals["violations"]
    assert unsafe > 2000
    assert violations == run.totals["misses"]
    assert binomtest(violations, unsafe, error).pvalue > SIGNIFICANCE


@pytest.mark.parametrize(("audit", "error"), [(0.1, 0.0), (0.5, 0.2), (1.0, 0.2), (0.0, 0.0)])
def test_an_audit_leaks_what_it_does_not_see_or_misses(
    start: Any, audit: float, error: float
) -> None:
    gate = Gate(
        trigger=Audit(audit), overseer=ScriptedOverseer(miss_rate=error), fallback=Correction()
    )
    run = start(OpsDesk(32), gate).play(np.full((600, 32), FAST))
    unsafe, violations = run.totals["unsafe_proposals"], run.totals["violations"]
    leak = 1.0 - audit * (1.0 - error)
    assert binomtest(violations, unsafe, leak).pvalue > SIGNIFICANCE
    assert violations == run.totals["misses"] + run.totals["unasked"]
    assert binomtest(run.totals["reviews"], run.totals["steps"], audit).pvalue > SIGNIFICANCE


@pytest.mark.parametrize("lag", [0, 1, 2, 3, 5, 7])
@pytest.mark.parametrize("width", [1, 2, 3, 5])
@pytest.mark.parametrize("spare", [0, 2])
def test_a_corridor_costs_its_width_or_the_lag(
    corridor: Any, start: Any, width: int, lag: int, spare: int
) -> None:
    override = max(width - lag, 1) + spare
    task = corridor(harm=[0.0, 0.0] + [1.0] * width + [0.0] * 20)
    run = start(task, Veto(lag=lag, override=override)).play([GO] * 20)
    assert run.totals["violations"] == min(width, lag)


@pytest.mark.parametrize("width", [3, 5])
def test_an_override_that_is_too_short_costs_more(corridor: Any, start: Any, width: int) -> None:
    task = corridor(harm=[0.0] + [1.0] * width + [0.0] * 20)
    run = start(task, Veto(lag=1, override=1)).play([GO] * 20)
    assert run.totals["violations"] == (width + 1) // 2  # every other step


def per_lane_rates(start: Any, protocol: Any, steps: int, lanes: int, burn_in: int) -> Any:
    """Violations per step in each lane of an ops desk that is never reset."""
    run = start(OpsDesk(lanes, max_episode_steps=10**9), protocol, seed=3)
    run.play(np.full((steps, lanes), FAST))
    costs = np.stack([record.cost for record in run.records[burn_in:]])
    unsafe = np.stack([record.risky for record in run.records[burn_in:]])
    return costs.mean(axis=0), unsafe.mean()


def renewal_leak(chance: float, vigilance: float, lag: int, override: int) -> float:
    """Violations per step where proposals are unsafe independently with a given chance."""
    wait = 1.0 / (chance * vigilance)
    if lag == 0:
        return ((1.0 - vigilance) / vigilance) / (wait - 1.0 + override)
    return (1.0 / vigilance + chance * (lag - 1)) / (wait + lag - 1 + override)


@pytest.mark.parametrize(
    ("lag", "vigilance", "override"),
    [(0, 0.8, 3), (0, 0.4, 1), (1, 1.0, 3), (1, 0.6, 5), (3, 1.0, 3), (4, 0.5, 2)],
)
def test_the_leak_on_the_loop_is_a_renewal_process(
    start: Any, lag: int, vigilance: float, override: int
) -> None:
    steps, lanes, burn_in = 1500, 64, 60
    free, measured = per_lane_rates(start, Autonomous(), steps, lanes, burn_in)
    assert free.mean() == measured  # here an unsafe act violates at once
    # Once the queue has run dry there is a ticket whenever one arrived: 0.7 of the time.
    exact = 0.7 * DANGER_BY_TYPE.mean()
    error = free.std(ddof=1) / np.sqrt(lanes)
    assert abs(measured - exact) < STANDARD_ERRORS * error
    veto = Veto(lag=lag, vigilance=vigilance, override=override)
    rates, _ = per_lane_rates(start, veto, steps, lanes, burn_in)
    error = rates.std(ddof=1) / np.sqrt(lanes)
    assert abs(rates.mean() - renewal_leak(exact, vigilance, lag, override)) < (
        STANDARD_ERRORS * error
    )
    assert error < 0.1 * rates.mean()  # the comparison has some power


@pytest.mark.parametrize(("error", "tries"), [(0.1, 5), (0.02, 40)])
def test_a_held_agent_proposes_until_the_reviewer_errs(
    corridor: Any, start: Any, error: float, tries: int
) -> None:
    lanes = 2000
    gate = Gate(overseer=ScriptedOverseer(miss_rate=error))
    run = start(corridor(lanes, harm=TRAP), gate).play([GO] * tries)
    violated = np.any([record.cost > 0 for record in run.records], axis=0)
    chance = 1.0 - (1.0 - error) ** tries
    assert binomtest(int(violated.sum()), lanes, chance).pvalue > SIGNIFICANCE


def test_false_alarms_are_binomial_too(start: Any) -> None:
    gate = Gate(overseer=ScriptedOverseer(false_alarm_rate=0.1), fallback=SafestAction())
    run = start(LavaShortcut(32), gate).play(random_actions(5, 400, 32))
    safe = run.totals["steps"] - run.totals["unsafe_proposals"]
    assert binomtest(run.totals["false_alarms"], safe, 0.1).pvalue > SIGNIFICANCE
    assert run.totals["violations"] == 0  # the safest action replaces what was refused


def test_a_deterred_learner_would_need_the_penalty_of_the_formula(
    corridor: Any, start: Any
) -> None:
    """Audit rate x penalty is what a refusal costs on average, per unsafe proposal."""
    from looplab.oversight import Signal

    run = start(
        corridor(100, harm=TRAP), Gate(trigger=Audit(0.25)), signal=Signal(penalty=2.0)
    ).play([GO] * 100)
    paid = (run.totals["task_return"] - run.totals["learning_return"]) / 10_000
    # 10 000 draws of 2 x Bernoulli(0.25): outside 0.5 +- 0.05 with probability 8e-9.
    assert paid == pytest.approx(0.25 * 2.0, abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(("lag", "per_1k"), [(0, 22.5), (1, 97.4), (3, 102.3)])
def test_episodes_of_50_steps_come_near_the_stationary_leak(
    start: Any, lag: int, per_1k: float
) -> None:
    """The published figures (per 1k steps, k = 3): v = 0.8 at lag 0, v = 1 else."""
    veto = Veto(lag=lag, vigilance=0.8 if lag == 0 else 1.0)
    run = start(OpsDesk(64), veto).play(np.full((8000, 64), FAST))
    alone = start(OpsDesk(64), Autonomous()).play(np.full((1000, 64), FAST))
    chance = alone.totals["violations"] / alone.totals["steps"]
    found = 1000.0 * run.totals["violations"] / run.totals["steps"]
    predicted = 1000.0 * renewal_leak(chance, veto.vigilance, lag, 3)
    assert predicted == pytest.approx(per_1k, rel=0.15)
    assert found == pytest.approx(predicted, rel=0.06)
