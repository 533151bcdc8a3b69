"""Budgets: any score asks about the same share, and caps are never exceeded."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from looplab.envs.desks.ops_desk import OpsDesk
from looplab.envs.errors import UsageError
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.oversight import (
    AllOf,
    Audit,
    Budget,
    Chow,
    ConfidenceBelow,
    Disagreement,
    Gate,
    Learned,
    Novelty,
    RiskAbove,
    SafestAction,
    Scored,
    ScriptedOverseer,
    Uncertainty,
    Veto,
)
from looplab.oversight.triggers.ranking import Ranking

GO, CREEP, WAIT = range(3)
LANES, STEPS = 16, 600
SCORES: dict[str, Callable[[], Scored | None]] = {
    "risk": RiskAbove,
    "confidence": ConfidenceBelow,
    "novelty": Novelty,
    "disagreement": Disagreement,
    "learned": Learned,
    "uncertainty": Uncertainty,
    "chow": Chow,
    "random": lambda: None,
}
#: What a drift of the score may cost: of about 1 000 reviews.
TOLERANCE = 0.06


def approve(proposals: Any) -> list[bool]:
    return [True] * len(proposals)


class Softmax:
    """A policy that differs from state to state: random weights, softmax."""

    def __init__(self, lanes: Any) -> None:
        width = lanes.observation.reshape(lanes.num_lanes, -1).shape[1]
        self._weights = np.random.default_rng(1).normal(size=(width, lanes.action_space.n))
        self._lanes = lanes
        self.probabilities = self.confidence = np.zeros(0)

    def __call__(self, actions: Any) -> "Softmax":
        logits = self._lanes.observation.reshape(len(actions), -1) @ self._weights
        chances = np.exp(logits - logits.max(axis=1, keepdims=True))
        self.probabilities = chances / chances.sum(axis=1, keepdims=True)
        self.confidence = self.probabilities[np.arange(len(actions)), actions]
        return self


def play(start: Any, task: Any, trigger: Any, **settings: Any) -> Any:
    """Random proposals in one of the tasks, behind a gate that corrects."""
    lanes = task(LANES)
    run = start(lanes, Gate(trigger, fallback=SafestAction(), **settings))
    run.engine.policy = Softmax(lanes)
    actions = np.random.default_rng(0).integers(0, lanes.action_space.n, (STEPS, LANES))
    return run.play(actions)


# Share -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "task"),
    [*((name, OpsDesk) for name in SCORES), ("risk", LavaShortcut), ("learned", LavaShortcut)],
)
def test_every_score_asks_about_the_same_share(start: Any, name: str, task: Any) -> None:
    totals = play(start, task, Budget(SCORES[name](), share=0.1)).totals
    assert totals["reviews"] / totals["steps"] == pytest.approx(0.1, rel=TOLERANCE)
    assert totals["human_seconds"] == 5.0 * totals["reviews"]


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9, 1.0])
def test_every_share_is_met(start: Any, share: float) -> None:
    totals = play(start, OpsDesk, Budget(RiskAbove(), share=share)).totals
    assert totals["reviews"] / totals["steps"] == pytest.approx(share, rel=TOLERANCE)


def test_the_share_buys_the_highest_scores(start: Any) -> None:
    by_risk, at_random = (
        play(start, OpsDesk, Budget(trigger, share=0.1)).totals for trigger in (RiskAbove(), None)
    )
    caught = [t["caught"] / t["unsafe_proposals"] for t in (by_risk, at_random)]
    assert caught[0] > 0.9
    assert caught[1] == pytest.approx(0.1, abs=0.06)


@pytest.mark.parametrize(("lanes", "steps"), [(4, 2000), (64, 250)])
@pytest.mark.parametrize("drift", [1.0, -1.0])
def test_a_score_that_drifts_meets_its_share_too(
    corridor: Any, start: Any, drift: float, lanes: int, steps: int
) -> None:
    """Each score exceeds, or falls short of, all that came before.

    From a rank of 0.1 to one of 1 / 2049, or 2048 / 2049, the log-odds of the level move by up to
    10, and each of these costs 1 / gain + lanes x share x (1 - share) reviews.
    """

    def trend(proposals: Any) -> Any:
        return drift * proposals.clock + proposals.uniform(trend)

    budget = Budget(trend, share=0.1)
    run = start(corridor(lanes, harm=[0.0]), Gate(budget, approve)).play([GO] * steps)
    most = 10.0 * (1.0 / budget.gain + lanes * 0.1 * 0.9)
    assert abs(run.totals["reviews"] - 0.1 * lanes * steps) < most < 0.014 * lanes * steps


def test_ties_are_broken_at_random(corridor: Any, start: Any) -> None:
    """Half the proposals share the highest risk; a quarter may be asked about."""
    task = corridor(200, harm=[[0.7, 0.2, 0.0]])
    budget = Budget(RiskAbove(), share=0.25)
    run = start(task, Gate(budget, approve)).play([[GO] * 100 + [CREEP] * 100] * 100)
    asked = np.array([record.asked for record in run.records])[20:]
    assert asked.mean() == pytest.approx(0.25, rel=0.02)
    assert asked[:, 100:].sum() < 0.02 * asked.sum()
    # The draw is independent of lane and step: 8 000 tosses of a coin.
    assert binomtest(int(asked[:, :100].sum()), asked[:, :100].size, 0.5).pvalue > 1e-6
    assert 20 < asked[:, :100].sum(axis=0).min() < asked[:, :100].sum(axis=0).max() < 60


def test_what_is_drawn_depends_on_the_seed(corridor: Any, start: Any) -> None:
    def asked(seed: int) -> list[bool]:
        run = start(corridor(harm=[0.5]), Gate(Budget(share=0.5), approve), seed=seed)
        column: list[bool] = run.play([GO] * 60).column("asked")
        return column

    assert asked(1) == asked(1) != asked(2)


def test_the_rank_of_one_more_score_is_uniform() -> None:
    rng = np.random.default_rng(0)
    ranking = Ranking(100)
    assert ranking.rank(np.zeros(2), np.array([0.25, 0.75])).tolist() == [0.25, 0.75]
    ranking.add(np.array([1.0, 2.0, 2.0, 3.0]))
    found = ranking.rank(np.array([0.0, 2.0, 2.0, 9.0, np.nan]), np.array([0.5, 0, 0.5, 0.5, 0.5]))
    assert found == pytest.approx([4.5 / 5, 1 / 5, 2.5 / 5, 0.5 / 5, 0.5 / 5])
    assert [ranking.quantile(level) for level in (0.0, 0.3, 0.6, 1.0)] == [3.0, 2.0, 2.0, 1.0]
    ranks = []
    for _ in range(2000):
        fresh = Ranking(50)
        fresh.add(rng.integers(0, 3, 20).astype(float))
        ranks.append(fresh.rank(rng.integers(0, 3, 1).astype(float), rng.random(1))[0])
    # Kolmogorov-Smirnov at 1e-6: 2.7 / sqrt(2000).
    assert np.abs(np.sort(ranks) - np.arange(1, 2001) / 2000).max() < 0.06


def test_the_window_slides() -> None:
    ranking = Ranking(4)
    ranking.add(np.arange(10.0))
    assert ranking.quantile(1.0) == 6.0
    ranking.add(np.array([-1.0]))
    assert ranking.quantile(1.0) == -1.0
    assert ranking.quantile(0.0) == 9.0


def test_only_proposals_that_are_considered_count(corridor: Any, start: Any) -> None:
    """In a running world a review of 3 seconds is followed by 3 steps of waiting."""

    def waiting(proposals: Any) -> Any:
        return proposals.memory(gate).steps > 0  # a high score that is never asked about

    gate = Gate(Budget(waiting, share=0.2), ScriptedOverseer(review_seconds=3.0), world="running")
    run = start(corridor(50, harm=[0.0]), gate).play([GO] * 400)
    considered = run.totals["steps"] - run.totals["unconsidered"]
    assert run.totals["unconsidered"] > 0
    assert run.totals["reviews"] / considered == pytest.approx(0.2, rel=TOLERANCE)


def test_on_the_loop_it_is_watching_that_is_shared_out(corridor: Any, start: Any) -> None:
    run = start(corridor(50, harm=[0.0]), Veto(trigger=Budget(share=0.3))).play([GO] * 400)
    assert run.totals["human_seconds"] / run.totals["steps"] == pytest.approx(0.3, rel=TOLERANCE)
    capped = start(corridor(5, harm=[0.0]), Veto(trigger=Budget(per_episode=7))).play([GO] * 20)
    assert capped.totals["human_seconds"] == 35.0


def test_another_engine_goes_on_from_the_quantile(corridor: Any, start: Any) -> None:
    def trigger() -> Budget:
        return Budget(RiskAbove(), share=0.1, total=2000)

    trained = play(start, OpsDesk, trigger())
    heir = start(OpsDesk(LANES), Gate(trigger()))
    heir.engine.inherit(trained.engine)
    heir.step(*[GO] * LANES)
    assert 0.0 < heir.records[0].threshold[heir.records[0].asked].min() < 1.0
    assert heir.engine._memory.state(heir.engine.protocol.trigger).total == heir.totals["reviews"]


# Time ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step_seconds", [1.0, 4.0])
def test_a_share_of_the_humans_time(start: Any, step_seconds: float) -> None:
    """At 5 seconds a review, a fifth of the time is a review every 25 seconds."""
    budget = Budget(RiskAbove(), share=0.2, unit="seconds", step_seconds=step_seconds)
    totals = play(start, OpsDesk, budget).totals
    seconds = totals["steps"] * step_seconds
    assert totals["human_seconds"] / seconds == pytest.approx(0.2, rel=TOLERANCE)


def test_scores_cost_the_same_human_time(start: Any) -> None:
    spent = [
        play(start, OpsDesk, Budget(SCORES[name](), share=0.3, unit="seconds")).totals[
            "human_seconds"
        ]
        for name in ("risk", "novelty", "random")
    ]
    assert spent == pytest.approx([0.3 * LANES * STEPS] * len(spent), rel=TOLERANCE)


# Caps ------------------------------------------------------------------------------------------


def test_a_cap_per_episode(corridor: Any, start: Any) -> None:
    task = corridor(3, harm=[0.0], max_episode_steps=5)
    run = start(task, Gate(Budget(per_episode=2), approve)).play([GO] * 10)
    assert run.column("asked") == [True, True, False, False, False] * 2
    assert [row["reviews"] for row in run.rows] == [2] * 6


def test_a_cap_per_hour_of_the_clock(corridor: Any, start: Any) -> None:
    budget = Budget(per_hour=2, step_seconds=900.0)  # four steps an hour
    task = corridor(2, harm=[0.0], max_episode_steps=3)  # episodes do not matter
    run = start(task, Gate(budget, approve)).play([GO] * 12)
    assert run.column("asked") == [True, True, False, False] * 3


def test_a_cap_in_all_goes_to_the_highest_scores(corridor: Any, start: Any) -> None:
    task = corridor(3, harm=[[0.7, 0.2, 0.5]])
    run = start(task, Gate(Budget(RiskAbove(0.1), total=5), approve))
    run.play([[CREEP, GO, WAIT]] * 3)
    assert [record.asked.tolist() for record in run.records] == [
        [True, True, True],
        [False, True, True],
        [False, False, False],
    ]


def test_a_cap_in_all_is_drawn_among_equals(corridor: Any, start: Any) -> None:
    run = start(corridor(400, harm=[0.0]), Gate(Budget(total=100), approve)).play([GO] * 3)
    asked = run.records[0].asked
    assert asked.sum() == run.totals["reviews"] == 100
    assert binomtest(int(asked[:200].sum()), 100, 0.5).pvalue > 1e-6


@pytest.mark.parametrize(
    ("caps", "seconds"),
    [
        ({"per_episode": 17.0}, 15.0),
        ({"per_hour": 20.0}, 20.0),
        ({"total": 32.0}, 30.0),
        ({"total": 4.0}, 5.0),  # the first review of all tells what they take
        ({"total": 0.0}, 0.0),
    ],
)
def test_caps_in_seconds(corridor: Any, start: Any, caps: dict[str, float], seconds: float) -> None:
    """Nobody is asked for whom less is left than a review takes, once that is known."""
    lanes = 4 if "total" in caps else 1
    budget = Budget(unit="seconds", **caps)
    run = start(corridor(lanes, harm=[0.0]), Gate(budget)).play([GO] * 30)
    assert run.totals["human_seconds"] == seconds


def test_share_and_caps_hold_together(start: Any) -> None:
    budget = Budget(RiskAbove(), share=0.3, per_episode=5, total=300)
    run = play(start, OpsDesk, budget)
    assert run.totals["reviews"] == 300
    assert max(row["reviews"] for row in run.rows) == 5


# What it asks for, and why ---------------------------------------------------------------------


def test_a_users_own_score(corridor: Any, start: Any) -> None:
    def pace(proposals: Any) -> Any:
        return np.where(proposals.action == GO, 1.0, 0.2)

    gate = Gate(Budget(pace, share=0.5), approve)
    run = start(corridor(4, harm=[0.0]), gate).play([[GO, GO, CREEP, WAIT]] * 200)
    asked = np.array([record.asked for record in run.records])[50:]
    assert asked[:, :2].mean() > 0.95
    assert asked[:, 2:].mean() < 0.05


def test_a_users_own_trigger_keeps_its_threshold_without_a_share(corridor: Any, start: Any) -> None:
    gate = Gate(Budget(lambda p: p.action == GO, per_episode=1), approve)
    run = start(corridor(harm=[0.0]), gate).play([CREEP, GO, GO])
    assert run.column("asked") == [False, True, False]


def test_being_asked_twice_changes_nothing(start: Any) -> None:
    def budget() -> Budget:
        return Budget(RiskAbove(), share=0.2, per_episode=8)

    twice = budget()
    once, again = (play(start, OpsDesk, each) for each in (budget(), AllOf(twice, twice)))
    assert once.column("asked") == again.column("asked")


@pytest.mark.parametrize(
    ("budget", "text"),
    [
        (Budget(RiskAbove(), share=0.1), "10 % of proposals, of highest risk"),
        (Budget(ConfidenceBelow(), share=0.025), "2.5 % of proposals, of lowest confidence"),
        (Budget(share=0.1), "10 % of proposals, at random"),
        (
            Budget(Novelty(), share=0.5, unit="seconds", per_hour=60),
            "50 % of time, of highest novelty, at most 60 seconds per hour",
        ),
        (Budget(RiskAbove(0.2), total=9), "risk >= 0.2, at most 9 reviews total"),
        (Budget(Audit(0.5), per_episode=1), "audit 0.5, at most 1 reviews per episode"),
    ],
)
def test_it_says_what_it_is(budget: Budget, text: str) -> None:
    assert str(budget) == text


def test_requests_name_score_and_quantile(start: Any) -> None:
    run = play(start, OpsDesk, Budget(ConfidenceBelow(), share=0.1))
    record = run.records[-1]
    asked = record.asked
    assert asked.any()
    texts = {record.decision.reasons.texts[code] for code in record.because[asked]}
    assert texts == {"10 % of proposals, of lowest confidence"}
    assert (record.score[asked] <= record.threshold[asked] + 0.05).all()
    assert (record.threshold[asked] > 0.0).all()
    assert (record.threshold[asked] < 0.5).all()


def test_bad_arguments(corridor: Any, start: Any) -> None:
    with pytest.raises(UsageError, match="Budget needs share, per_episode, per_hour or total"):
        Budget(RiskAbove())
    with pytest.raises(UsageError, match=r"share must be a number in \[0, 1\], got 10"):
        Budget(share=10)
    with pytest.raises(UsageError, match="per_hour must be a number at least 0, got -1"):
        Budget(per_hour=-1)
    with pytest.raises(UsageError, match="unknown unit 'minutes'"):
        Budget(share=0.1, unit="minutes")
    with pytest.raises(UsageError, match="step_seconds must be a number"):
        Budget(share=0.1, step_seconds=0.0)
    with pytest.raises(UsageError, match="must be a function of proposals, got 'risk'"):
        Budget("risk", share=0.1)  # type: ignore[arg-type]

    def number(proposals: Any) -> Any:
        return proposals.step

    with pytest.raises(UsageError, match="number returns scores and has no threshold of its own"):
        start(corridor(harm=[0.0]), Gate(Budget(number, total=1))).step(GO)
    with pytest.raises(UsageError, match="score <lambda> must answer 1 numbers, got"):
        start(corridor(harm=[0.0]), Gate(Budget(lambda p: None, share=1.0))).step(GO)
