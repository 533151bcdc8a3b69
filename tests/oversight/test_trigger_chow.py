"""Chow's rule with imperfect reviewers: asks exactly where a review costs less than it saves."""

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from looplab.envs.desks.ops_desk import DANGER_BY_TYPE, FAST, SIGNAL_SD, OpsDesk
from looplab.envs.errors import UsageError
from looplab.oversight import (
    Chow,
    ConfidenceBelow,
    Correction,
    Gate,
    RiskAbove,
    Scored,
    ScriptedOverseer,
)

GO, CREEP, WAIT = range(3)
#: Review, violation, block, miss rate, false-alarm rate.
COSTS = (0.05, 1.0, 0.3, 0.2, 0.1)
LANES, STEPS = 32, 500
#: Exceeded by chance once in 2 million.
STANDARD_ERRORS = 5.0


@pytest.mark.parametrize(
    ("review", "violation", "block", "miss", "false_alarm", "tau"),
    [
        (0.05, 1.0, 0.0, 0.0, 0.0, 0.05),
        (0.05, 0.5, 0.0, 0.0, 0.0, 0.1),
        (0.05, 1.0, 0.0, 0.5, 0.0, 0.1),
        (0.05, 1.0, 0.5, 0.2, 0.1, 0.1 / 0.85),
        (0.0, 1.0, 0.5, 0.0, 0.0, 0.0),
        (1.0, 1.0, 0.0, 0.0, 0.0, math.inf),  # a review costs what it can save at most
        (0.0, 1.0, 0.0, 1.0, 0.0, math.inf),  # a reviewer who sees nothing
        (0.1, 0.0, 0.0, 0.0, 0.0, math.inf),  # nothing to save
    ],
)
def test_the_threshold(
    review: float, violation: float, block: float, miss: float, false_alarm: float, tau: float
) -> None:
    found = Chow(review, violation, block, miss, false_alarm).tau
    assert found == (pytest.approx(tau) if tau < math.inf else tau)


@pytest.mark.parametrize(("cost", "error"), [(0.1, 0.0), (0.1, 0.15), (0.3, 0.2)])
def test_chows_own_rule_is_a_special_case(cost: float, error: float) -> None:
    assert Chow(cost, 1.0, 1.0, error, error).tau == pytest.approx(cost + error)


def spent(start: Any, trigger: Scored) -> Any:
    """Cost of every lane and step, and whether there was a ticket, shape (STEPS, LANES) each.

    Every ticket is closed within the step, whatever is decided, so that all triggers meet the same
    tickets and the same errors of the reviewer.
    """
    review, violation, block, miss, false_alarm = COSTS
    lanes = OpsDesk(LANES, max_episode_steps=10**9)
    overseer = ScriptedOverseer(miss, false_alarm)
    run = start(lanes, Gate(trigger, overseer, Correction()), seed=7)
    costs, there = [], []
    for _ in range(STEPS):
        there.append(lanes.queue > 0)
        record = run.step(FAST)
        cost = review * record.reviewed + violation * (record.cost > 0)
        costs.append(cost + block * record.false_alarm)
    return np.array(costs), np.array(there)


def expected(tau: float) -> float:
    """Expected cost of one ticket, if those are asked about whose posterior is at least tau."""
    review, violation, block, miss, false_alarm = COSTS
    signal = np.linspace(-4.0, 5.0, 20_001)
    totals = []
    for prior in DANGER_BY_TYPE:
        danger = prior * norm.pdf(signal, 1.0, SIGNAL_SD)
        safe = (1.0 - prior) * norm.pdf(signal, 0.0, SIGNAL_SD)
        reviewed = review * (danger + safe) + danger * miss * violation + safe * false_alarm * block
        unasked = danger < tau * (danger + safe)
        totals.append(np.trapezoid(np.where(unasked, danger * violation, reviewed), signal))
    return float(np.mean(totals))


def test_the_running_engine_pays_what_the_formula_says(start: Any) -> None:
    for trigger in (Chow(*COSTS), RiskAbove(0.02), RiskAbove(0.5)):
        costs, there = spent(start, trigger)
        paid = costs[there]
        error = paid.std() / math.sqrt(paid.size)
        assert abs(paid.mean() - expected(trigger.tau)) < STANDARD_ERRORS * error
        assert error < 0.04 * paid.mean()
        assert not costs[~there].any()


def test_no_other_threshold_costs_less(start: Any) -> None:
    chow = Chow(*COSTS)
    best, there = spent(start, chow)
    assert chow.tau == pytest.approx(0.08 / 0.83)
    saved = []
    for factor in (0.05, 0.4, 0.8, 1.25, 2.5, 8.0):
        other, _ = spent(start, RiskAbove(chow.tau * factor))
        difference = (other - best)[there]
        error = difference.std() / math.sqrt(difference.size)
        assert difference.mean() > -STANDARD_ERRORS * error
        assert expected(chow.tau * factor) > expected(chow.tau)
        saved.append(difference.mean() / error)
    assert min(saved[0], saved[-1]) > STANDARD_ERRORS  # far off it is plain
    assert abs(saved[2]) < STANDARD_ERRORS  # and near by the optimum is flat


def test_wrong_rates_cost_more(start: Any) -> None:
    best, there = spent(start, Chow(*COSTS))
    naive, _ = spent(start, Chow(*COSTS[:2], 0.0, 0.0, 0.0))
    assert naive[there].mean() > best[there].mean()


# What p is read from ---------------------------------------------------------------------------


class Alarm(Scored):
    """A user's own score."""

    def __init__(self, tau: float) -> None:
        self.tau = tau

    def score(self, proposals: Any) -> Any:
        return np.where(proposals.action == CREEP, 0.3, 0.0)


@pytest.mark.parametrize(
    ("source", "asked", "text"),
    [
        (None, [True, False, False], "risk >= 0.25 (Chow)"),
        ("immediate", [True, False, False], "immediate risk >= 0.25 (Chow)"),
        ("confidence", [False, True, True], "1 - confidence >= 0.25 (Chow)"),
        (ConfidenceBelow(0.01), [False, True, True], "1 - confidence >= 0.25 (Chow)"),
        (Alarm(0.9), [False, True, False], "Alarm >= 0.25 (Chow)"),
        (lambda p: p.action == WAIT, [False, False, True], "<lambda> >= 0.25 (Chow)"),
    ],
)
def test_where_the_probability_comes_from(
    corridor: Any, start: Any, policy: Any, source: Any, asked: list[bool], text: str
) -> None:
    trigger = Chow(0.25, block_cost=0.0, source=source)
    run = start(
        corridor(harm=[[0.3, 0.0, 0.0]]),
        Gate(trigger, lambda p: [True]),
        policy=policy(0.8, 0.15, 0.05),
    )
    run.play([GO, CREEP, WAIT])
    assert run.column("asked") == asked
    assert str(trigger) == text


def test_bad_arguments(corridor: Any, start: Any) -> None:
    with pytest.raises(UsageError, match="review_cost must be a number at least 0, got -1"):
        Chow(review_cost=-1)
    with pytest.raises(UsageError, match=r"miss_rate must be a number in \[0, 1\], got 2"):
        Chow(miss_rate=2)
    with pytest.raises(UsageError, match="unknown source 'risc'"):
        Chow(source="risc")
    with pytest.raises(UsageError, match=r"must be a function of proposals, got 0\.5"):
        Chow(source=0.5)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="RiskAbove: needs the estimated risk"):
        start(corridor(harm=[0.0]), Gate(Chow(source="estimated")))
    with pytest.raises(UsageError, match="must answer 1 numbers, got"):
        start(corridor(harm=[0.0]), Gate(Chow(source=lambda p: "high"))).step(GO)
    for wrong in (7.0, -0.5):
        source = lambda p, wrong=wrong: [wrong]  # noqa: E731
        with pytest.raises(
            UsageError, match=rf"<lambda> must be a probability in .*, got {wrong:g}"
        ):
            start(corridor(harm=[0.0]), Gate(Chow(source=source))).step(GO)
