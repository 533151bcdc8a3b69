"""Triggers that learn from verdicts: where the human would refuse, disagree or be unsure."""

from typing import Any

import numpy as np
import pytest

from looplab.envs.desks.ops_desk import FAST, OpsDesk
from looplab.envs.errors import UsageError
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.oversight import (
    ActiveQueries,
    AllOf,
    Always,
    Correction,
    Disagreement,
    Engine,
    Feedback,
    Gate,
    Learned,
    SafestAction,
    Scored,
    ScriptedOverseer,
    Uncertainty,
    Veto,
)
from looplab.oversight.triggers.refusals import sigmoid

GO, CREEP, WAIT = range(3)
LEARNING = (Learned, Disagreement, Uncertainty)


def cell(observations: Any) -> Any:
    """The corridor's cell, one-hot, without its noise."""
    return observations[:, :1] == np.arange(3)


def random_actions(count: int, steps: int, lanes: int) -> Any:
    return np.random.default_rng(0).integers(0, count, (steps, lanes))


def noting(trigger: Scored, notes: list[Any], answer: bool = True) -> AllOf:
    """The trigger, with every reading written down; or, where the answer is False, never."""

    def note(proposals: Any) -> Any:
        notes.append(trigger.reading(proposals).copy())
        return np.full(len(proposals), answer)

    return AllOf(trigger, note)


# Learned ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("errors", [{}, {"miss_rate": 0.1, "false_alarm_rate": 0.05}])
def test_it_asks_about_everything_at_first_and_about_little_in_the_end(
    start: Any, errors: dict[str, float]
) -> None:
    gate = Gate(Learned(), ScriptedOverseer(**errors), SafestAction())
    run = start(LavaShortcut(16), gate).play(random_actions(5, 1000, 16))
    asked = np.array([record.asked for record in run.records])
    unsafe = np.array([record.risky for record in run.records])
    assert asked[:5].all()
    assert asked[-300:].mean() < 1.5 * unsafe[-300:].mean()
    assert (unsafe & ~asked)[200:].sum() <= 0.01 * unsafe[200:].sum()


def test_it_learns_the_posterior_that_the_agents_view_allows(start: Any) -> None:
    """In the ops desk the log-odds of danger are linear in type and signal."""
    trigger = Learned(tau=0.0, optimism=0.0)
    run = start(OpsDesk(32), Gate(trigger, fallback=Correction())).play([FAST] * 1500)
    score = np.array([record.score for record in run.records[-200:]])
    lanes = OpsDesk(32)
    lanes.reset()
    again = start(lanes, Gate(Always(), fallback=Correction()))
    posterior = []
    for _ in range(1500):
        posterior.append(lanes.risk_of("estimated", np.full(32, FAST)))
        again.step(FAST)
    there = np.array(posterior[-200:]) > 0.0  # else there is no ticket, and nothing to refuse
    error = np.abs(score - posterior[-200:])[there]
    assert error.mean() < 0.02
    assert error.max() < 0.15


def test_it_learns_from_reviewed_proposals_only(corridor: Any, start: Any) -> None:
    task, notes = corridor(4, harm=[0.0] * 3), []
    trigger = Learned(optimism=0.0, features=cell)
    start(task, Gate(noting(trigger, notes, answer=False))).play([GO] * 50)
    gate = Gate(noting(trigger, notes), lambda p: ["escalate"] * 4)
    assert start(task, gate).play([GO] * 50).totals["reviews"] == 200
    assert np.unique(notes) == [0.5]  # nobody judged anything, neither time


@pytest.mark.parametrize("verdict", ["reject", "terminate", "modify"])
def test_everything_but_approval_is_a_refusal(corridor: Any, start: Any, verdict: str) -> None:
    notes: list[Any] = []
    trigger = noting(Learned(tau=0.0, optimism=0.0, features=cell), notes)
    gate = Gate(trigger, lambda p: [verdict if go else "approve" for go in p.action == GO])
    start(corridor(4, harm=[0.0] * 3), gate).play([[GO, GO, WAIT, WAIT]] * 60)
    assert notes[-1][:2].min() > 0.9
    assert notes[-1][2:].max() < 0.1


def test_silence_of_a_human_who_watches_is_approval(corridor: Any, start: Any) -> None:
    notes: list[Any] = []
    trigger = noting(Learned(tau=0.0, optimism=0.0, features=cell), notes)
    run = start(corridor(4, harm=[0.0] * 3), Veto(trigger=trigger)).play([GO] * 100)
    assert run.totals["reviews"] == 0
    assert notes[-1].max() < 0.1


def test_more_optimism_asks_longer(corridor: Any, start: Any) -> None:
    reviews = []
    for optimism in (0.0, 1.0, 3.0):
        trigger = Learned(optimism=optimism, features=cell)
        run = start(corridor(harm=[0.0] * 3, max_episode_steps=10), Gate(trigger))
        reviews.append(run.play([GO] * 400).totals["reviews"])
    assert 5 < reviews[0] < reviews[1] < reviews[2] < 400


# Disagreement ----------------------------------------------------------------------------------


def test_disagreement_of_models_is_the_deviation_of_what_they_say(
    corridor: Any, start: Any
) -> None:
    def model(chance: float) -> Any:
        return lambda seen: np.tile([chance, 0.1, 0.9 - chance], (len(seen), 1))

    trigger = Disagreement(tau=0.15, models=[model(0.2), model(0.6)])
    run = start(corridor(harm=[0.0] * 3), Gate(trigger)).play([GO, CREEP, WAIT])
    assert run.column("asked") == [True, False, True]
    assert run.column("score")[::2] == pytest.approx([0.2, 0.2])


def test_an_ensemble_agrees_where_much_was_reviewed(corridor: Any, start: Any) -> None:
    trigger = Disagreement(tau=0.0, features=cell)
    task = corridor(8, harm=[1.0, 0.0, 0.0], max_episode_steps=5)
    run = start(task, Gate(trigger)).play([WAIT] * 5 + [GO] * 100)  # held in the first cell
    scores = np.array(run.column("score"))
    assert scores[0] > 0.1
    assert scores[-20:].mean() < 0.02
    first, later = (Disagreement(tau=0.0, seed=seed) for seed in (1, 2))
    actions = random_actions(3, 5, 8)
    drawn = [
        start(corridor(8, harm=[0.0]), Gate(each)).play(actions).column("score")
        for each in (first, later, Disagreement(tau=0.0, seed=1))
    ]
    assert drawn[0] == drawn[2] != drawn[1]


# Uncertainty -----------------------------------------------------------------------------------


def test_active_queries_go_where_the_verdict_is_least_sure(corridor: Any, start: Any) -> None:
    def fickle(proposals: Any) -> list[bool]:
        """Approves in the first cell, refuses in the last, and tosses a coin in between."""
        where = proposals.observation[:, 0]
        coin = proposals.uniform(fickle) < 0.5
        return np.where(where == 1, coin, where == 0).tolist()

    shares = {}
    for query in ("uncertainty", "random"):
        task = corridor(16, harm=[0.0] * 3, ends=True)
        trigger = ActiveQueries(share=0.2, query=query, features=cell)
        run = start(task, Feedback(trigger, fickle)).play([GO] * 1200)
        asked = np.array([record.asked for record in run.records])[300:]
        middle = np.array([record.observed[:, 0] == 1 for record in run.records])[300:]
        assert asked.mean() == pytest.approx(0.2, rel=0.05)
        shares[query] = (asked & middle).sum() / asked.sum()
    assert shares["random"] == pytest.approx(1 / 3, abs=0.05)
    assert shares["uncertainty"] > 0.6


# All of them -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LEARNING)
def test_being_asked_twice_changes_nothing(start: Any, kind: Any) -> None:
    actions = random_actions(5, 100, 4)
    once = start(LavaShortcut(4), Gate(kind())).play(actions)
    trigger = kind()
    twice = start(LavaShortcut(4), Gate(AllOf(trigger, trigger))).play(actions)
    assert once.column("asked") == twice.column("asked")


@pytest.mark.parametrize("kind", LEARNING)
def test_another_engine_goes_on_from_what_was_learned(start: Any, kind: Any) -> None:
    trained = start(LavaShortcut(4), Gate(kind())).play(random_actions(5, 400, 4))
    heir = start(LavaShortcut(6), Gate(kind(), fallback=SafestAction()))
    heir.engine.inherit(trained.engine)
    heir.play(random_actions(5, 50, 6))
    fresh = start(LavaShortcut(6), Gate(kind(), fallback=SafestAction()))
    fresh.play(random_actions(5, 50, 6))
    assert heir.totals["reviews"] < 0.8 * fresh.totals["reviews"]
    untouched = start(LavaShortcut(4), Gate(kind())).play(random_actions(5, 400, 4))
    more = random_actions(5, 450, 4)[400:]
    assert trained.play(more).column("asked") == untouched.play(more).column("asked")


@pytest.mark.parametrize("kind", LEARNING)
def test_continuous_actions_are_features_too(kind: Any) -> None:
    from looplab.envs.worlds.point_hazard import PointHazard

    lanes = PointHazard(4)
    lanes.reset()
    engine = Engine(lanes, Gate(kind(tau=0.0)))
    engine.begin(np.ones(4, dtype=np.bool_))
    for _ in range(5):
        assert engine.step(np.zeros((4, 2), np.float32)).asked.all()


def test_probabilities_of_log_odds() -> None:
    assert sigmoid(np.array([-30.0, 0.0, np.log(3.0)])) == pytest.approx([0.0, 0.5, 0.75])


def test_bad_arguments(corridor: Any, start: Any) -> None:
    with pytest.raises(UsageError, match=r"tau must be a number in \[0, 1\], got 1.5"):
        Learned(tau=1.5)
    with pytest.raises(UsageError, match="optimism must be a number at least 0, got -1"):
        Learned(optimism=-1)
    with pytest.raises(UsageError, match="prior must be a number"):
        Uncertainty(prior=0.0)
    with pytest.raises(UsageError, match="Disagreement needs at least 2 models"):
        Disagreement(members=1)
    with pytest.raises(UsageError, match="Disagreement needs at least 2 models"):
        Disagreement(models=[np.zeros])
    with pytest.raises(UsageError, match="unknown query 'unsure'"):
        ActiveQueries(query="unsure")
    trigger = Disagreement(models=[lambda seen: np.zeros((len(seen), 2))] * 2)
    with pytest.raises(UsageError, match="one number per lane and discrete action"):
        start(corridor(harm=[0.0]), Gate(trigger)).step(GO)
