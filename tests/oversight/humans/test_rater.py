"""Ratings by B-Pref's teachers, through ``Feedback`` and the engine; tests as in test_teachers."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binomtest

from looplab.envs.desks.ops_desk import FAST, OpsDesk
from looplab.envs.errors import UsageError
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.oversight import (
    Feedback,
    Gate,
    Overseen,
    Rater,
    ScriptedOverseer,
    Signal,
    Teacher,
)
from looplab.oversight.humans.teachers import teacher

GO, CREEP, WAIT = range(3)
TRAP = [1.0]
SIGNIFICANCE = 1e-6
OFF = 1.1
TASKS = [(LavaShortcut, 5), (OpsDesk, 4)]


def random_actions(count: int, steps: int, lanes: int) -> Any:
    return np.random.default_rng(0).integers(0, count, (steps, lanes))


def gathered(run: Any, name: str) -> Any:
    return np.stack([getattr(record, name) for record in run.records])


@pytest.mark.parametrize(("task", "actions"), TASKS)
def test_the_oracle_rates_as_the_overseer_that_never_errs(
    start: Any, task: Any, actions: int
) -> None:
    played = random_actions(actions, 200, 16)
    oracle = start(task(16), Feedback(overseer=Rater())).play(played)
    script = start(task(16), Feedback(overseer=ScriptedOverseer())).play(played)
    assert oracle.totals == script.totals
    assert oracle.totals["caught"] > 100
    np.testing.assert_array_equal(gathered(oracle, "rating"), gathered(script, "rating"))


@pytest.mark.parametrize(("task", "actions"), TASKS)
@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"beta": 1.0}, expit(-1.0)),
        ({"beta": 2.0}, expit(-2.0)),
        ({"mistake": 0.1}, 0.1),
        ({"beta": 2.0, "mistake": 0.1}, 0.1 + 0.8 * expit(-2.0)),
        ({"beta": 0.0}, 0.5),
        ({"mistake": 0.5}, 0.5),
    ],
)
def test_ratings_err_as_the_teacher_does(
    start: Any, task: Any, actions: int, settings: dict[str, float], wrong: float
) -> None:
    run = start(task(64), Feedback(overseer=Rater(Teacher(**settings))))
    run.play(random_actions(actions, 400, 64))
    rating, unsafe = gathered(run, "rating"), gathered(run, "unsafe")
    assert set(np.unique(rating)) == {-1.0, 0.0}
    missed, alarmed = int((rating[unsafe] == 0.0).sum()), int((rating[~unsafe] == -1.0).sum())
    assert binomtest(missed, int(unsafe.sum()), wrong).pvalue > SIGNIFICANCE
    assert binomtest(alarmed, int((~unsafe).sum()), wrong).pvalue > SIGNIFICANCE
    assert run.totals["misses"] == run.totals["unsafe_proposals"]  # it ran all the same
    assert run.totals["false_alarms"] == alarmed


@pytest.mark.parametrize("name", ["beta", "mistake"])
def test_a_teacher_that_is_10_percent_off_is_noticed(corridor: Any, start: Any, name: str) -> None:
    settings = {"beta": 1.0, "mistake": 0.1}
    run = start(corridor(500), Feedback(overseer=Rater(Teacher(**settings)))).play([GO] * 200)
    bad = int((gathered(run, "rating") == -1.0).sum())

    def p_value(beta: float, mistake: float) -> float:
        chance = mistake + (1 - 2 * mistake) * expit(-beta)
        return float(binomtest(bad, 100_000, chance).pvalue)

    assert p_value(**settings) > SIGNIFICANCE
    assert p_value(**{**settings, name: OFF * settings[name]}) < 1e-4


@pytest.mark.parametrize(("gamma", "window"), [(0.8, 5), (1.0, 3)])
def test_the_last_actions_weigh_and_fade(
    corridor: Any, start: Any, gamma: float, window: int
) -> None:
    """One unsafe act, then safe ones: k steps later the harm is gamma^k, and 0 past the window."""
    lanes = 20_000
    rater = Rater(Teacher(beta=1.0, gamma=gamma), window=window)
    run = start(corridor(lanes, harm=[1.0, 0.0]), Feedback(overseer=rater)).play([GO] * 7)
    bad = (gathered(run, "rating") == -1.0).sum(axis=1)
    for age, count in enumerate(bad.tolist()):
        harm = gamma**age if age < window else 0.0
        assert binomtest(count, lanes, expit(2 * harm - 1)).pvalue > SIGNIFICANCE
        if 0 < age < window and gamma < 1.0:
            off = expit(2 * (gamma * OFF) ** age - 1)
            assert binomtest(count, lanes, off).pvalue < SIGNIFICANCE


def test_harm_adds_up_and_a_new_episode_is_rated_afresh(corridor: Any, start: Any) -> None:
    rater = Rater(Teacher(gamma=0.9), window=20)
    run = start(corridor(harm=TRAP, max_episode_steps=15), Feedback(overseer=rater))
    run.play([GO, GO] + [WAIT] * 13 + [GO] + [WAIT] * 14 + [WAIT])
    # Harm after two unsafe acts: 1.9 x 0.9^k, above 1/2 for k < ln(3.8) / ln(1 / 0.9) = 12.7;
    # after one, 0.9^k, for k < 6.6.
    assert run.column("rating") == [-1.0] * 14 + [0.0] + [-1.0] * 7 + [0.0] * 9
    lasting = Rater(window=20)
    again = start(corridor(harm=TRAP, max_episode_steps=3), Feedback(overseer=lasting))
    assert again.play([GO, WAIT, WAIT, WAIT]).column("rating") == [-1.0, -1.0, -1.0, 0.0]


def test_only_what_it_was_shown_is_remembered(corridor: Any, start: Any) -> None:
    shown = Feedback(lambda p: (p.step > 0) | [True, False], Rater(window=9))
    run = start(corridor(2, harm=[1.0, 0.0]), shown).play([GO] * 3)
    assert run.column("rating", 0) == [-1.0, -1.0, -1.0]
    assert run.column("rating", 1) == [0.0, 0.0, 0.0]


def test_a_graded_rater_sees_how_great_the_risk_is(corridor: Any, start: Any) -> None:
    risks = [0.1, 0.47, 0.53, 0.9]
    rater = Rater(Teacher(equal=0.1, skip=0.2), graded=True, praise=0.5)
    run = start(corridor(harm=risks), Feedback(overseer=rater)).play([GO] * 4)
    assert run.column("rating") == [0.0, 0.0, 0.0, -1.0]
    assert run.reasons() == ["no rating given", *["neither good nor bad"] * 2, "bad"]
    noisy = Rater(Teacher(beta=3.0), graded=True)
    many = start(corridor(20_000, harm=[0.3]), Feedback(overseer=noisy)).play([GO])
    bad = int((gathered(many, "rating") == -1.0).sum())
    assert binomtest(bad, 20_000, expit(3.0 * (0.6 - 1.0))).pvalue > SIGNIFICANCE
    assert binomtest(bad, 20_000, expit(3.0 * OFF * (0.6 - 1.0))).pvalue < SIGNIFICANCE


def test_a_rating_that_is_not_given_is_a_review_without_a_verdict(
    corridor: Any, start: Any
) -> None:
    overseer = Rater(teacher("skip"), praise=1.0)
    run = start(corridor(harm=TRAP), Feedback(overseer=overseer)).play([WAIT, GO])
    assert run.column("rating") == [0.0, -1.0]
    assert run.totals["reviews"] == 2
    assert run.column("seconds") == [5.0, 5.0]
    assert run.verdicts() == ["approve", "reject"]
    assert run.overseers() == ["nobody", "teacher"]
    assert run.totals["false_alarms"] == 0
    gate = start(corridor(harm=TRAP), Gate(overseer=overseer)).play([CREEP])
    assert gate.verdicts() == ["escalate"]
    assert gate.column("executed") == [WAIT]  # nobody answered: it fails closed


def test_praise_reaches_the_learning_reward_by_beta(corridor: Any, start: Any) -> None:
    feedback = Feedback(overseer=Rater(praise=0.25))
    run = start(corridor(harm=TRAP), feedback, signal=Signal(beta=2.0)).play([GO, CREEP])
    np.testing.assert_allclose(run.column("learning_reward"), [1.0 - 2.0, 0.5 + 0.5])


def test_a_gate_refuses_what_is_rated_as_bad(start: Any) -> None:
    run = start(OpsDesk(32), Gate(overseer=Rater(Teacher(mistake=0.2)))).play([FAST] * 300)
    unsafe, misses = run.totals["unsafe_proposals"], run.totals["misses"]
    assert binomtest(misses, unsafe, 0.2).pvalue > SIGNIFICANCE
    assert run.totals["violations"] == misses > 100


def test_one_overseen_environment_is_rated_too() -> None:
    env = Overseen(gym.make("looplab/LavaShortcut-v0"), Feedback(overseer=Rater(praise=0.5)))
    env.action_space.seed(0)
    env.reset(seed=0)
    said = []
    for _ in range(40):
        _, reward, _, _, info = env.step(env.action_space.sample())
        said.append(info["oversight"]["reason"])
        unsafe = info["oversight"]["unsafe"]
        assert said[-1] == ("bad" if unsafe else "good")
        assert reward == pytest.approx(info["reward"] + (-1.0 if unsafe else 0.5))
    assert {*said} == {"good", "bad"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"teacher": "oracle"}, "teacher must be a Teacher, got 'oracle'"),
        ({"window": 0}, "window"),
        ({"praise": 2.0}, r"praise must be a number in \[0, 1\], got 2.0"),
        ({"review_seconds": -1.0}, "review_seconds"),
        ({"graded": "yes"}, "graded"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Rater(**settings)
