"""B-Pref's teachers (Lee et al. 2021) against its formulas: on arrays, and as the engine runs them.

Binomial and z tests are two-sided at 1e-6; each setting is also tested 10 % off, and must fail.
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binomtest, norm

from looplab.envs.errors import UsageError
from looplab.oversight import Comparisons, Teacher
from looplab.oversight.humans.teachers import (
    PRESETS,
    Standard,
    bpref_choice,
    bpref_return,
    teacher,
)

GO, CREEP, WAIT = range(3)
SIGNIFICANCE = 1e-6
PAIRS = 100_000
OFF = 1.1
RAW = Standard(average=0.0, unit=1.0)


def answers(who: Teacher, gap: float, pairs: int = PAIRS, steps: int = 1, seed: int = 0) -> Any:
    """Labels of many equal pairs, whose second segment is better by the gap in its last step."""
    first, second = np.zeros((2, pairs, steps))
    second[:, -1] = gap
    return who.prefer(first, second, np.random.default_rng(seed).random(pairs), RAW)


def p_value(labels: Any, chance: float) -> float:
    return float(binomtest(int(np.sum(labels == 1.0)), len(labels), chance).pvalue)


# The formulas, by hand


def test_a_myopic_return_counts_the_last_step_in_full() -> None:
    assert bpref_return([1.0, 2.0, 3.0], gamma=0.5) == 0.25 * 1 + 0.5 * 2 + 3
    assert bpref_return([1.0, 2.0, 3.0]) == 6.0
    assert bpref_return([1.0, 2.0, 3.0], gamma=0.0) == 3.0
    np.testing.assert_allclose(bpref_return([[[1.0, 0.0]], [[0.0, 1.0]]], 0.9), [[0.9], [1.0]])


@pytest.mark.parametrize(
    ("gap", "beta", "mistake", "chance"),
    [
        (1.0, 1.0, 0.0, 0.7310585786),
        (-1.0, 1.0, 0.0, 0.2689414214),
        (0.5, 2.0, 0.1, 0.6848468629),
        (0.5, 0.0, 0.0, 0.5),
        (0.0, math.inf, 0.3, 0.5),
        (1e-3, math.inf, 0.1, 0.9),
        (-1e-3, math.inf, 0.1, 0.1),
        (1e9, 1e9, 0.0, 1.0),
        (7.0, 3.0, 0.5, 0.5),
    ],
)
def test_the_closed_form(gap: float, beta: float, mistake: float, chance: float) -> None:
    assert bpref_choice(gap, beta, mistake) == pytest.approx(chance, abs=1e-10)


def test_the_presets_are_the_published_ones() -> None:
    published = {
        "oracle": (math.inf, 0.0, 0.0, 0.0, 1.0),
        "stoc": (1.0, 0.0, 0.0, 0.0, 1.0),
        "mistake": (math.inf, 0.1, 0.0, 0.0, 1.0),
        "skip": (math.inf, 0.0, 0.1, 0.0, 1.0),
        "equal": (math.inf, 0.0, 0.0, 0.1, 1.0),
        "myopic": (math.inf, 0.0, 0.0, 0.0, 0.9),
    }
    found = {n: (t.beta, t.mistake, t.skip, t.equal, t.gamma) for n, t in PRESETS.items()}
    assert found == published
    assert teacher("stoc", beta=None, unit=1.0) == Teacher(beta=1.0, unit=1.0)


# Answers on arrays


@pytest.mark.parametrize("gap", [-2.0, 1.0, 1.5])
@pytest.mark.parametrize("beta", [0.5, 1.0, 3.0])
def test_boltzmann(gap: float, beta: float) -> None:
    labels = answers(Teacher(beta=beta), gap)
    assert p_value(labels, expit(beta * gap)) > SIGNIFICANCE
    assert p_value(labels, expit(OFF * beta * gap)) < SIGNIFICANCE


@pytest.mark.parametrize("mistake", [0.1, 0.3])
def test_mistakes_flip_the_label(mistake: float) -> None:
    labels = answers(Teacher(mistake=mistake), -1.0)
    assert p_value(labels, mistake) > SIGNIFICANCE
    assert p_value(labels, OFF * mistake) < SIGNIFICANCE


def test_the_limits_of_reason() -> None:
    assert (answers(Teacher(), 1e-6) == 1.0).all()
    assert (answers(Teacher(beta=1e9), 1e-6) == 1.0).all()
    for coin in (Teacher(beta=0.0), Teacher(mistake=0.5)):
        assert p_value(answers(coin, 5.0), 0.5) > SIGNIFICANCE
    assert p_value(answers(Teacher(), 0.0), 0.5) > SIGNIFICANCE  # a tie


def test_rounding_decides_nothing() -> None:
    first, second = np.tile([0.1, 0.2, 0.3], (PAIRS, 1)), np.tile([0.3, 0.2, 0.1], (PAIRS, 1))
    assert first[0].sum() != second[0].sum()
    labels = Teacher().prefer(first, second, np.random.default_rng(0).random(PAIRS))
    assert p_value(labels, 0.5) > SIGNIFICANCE


@pytest.mark.parametrize("gamma", [0.9, 0.5])
def test_the_myopic_teacher_forgets_what_came_early(gamma: float) -> None:
    """One unit k steps before the end is worth gamma^k at the end: the oracle turns just there."""
    first, second = np.zeros((2, 1, 5))
    first[0, 1] = 1.0
    for end, label in ((gamma**3 * 1.001, 1.0), (gamma**3 * 0.999, 0.0)):
        second[0, 4] = end
        assert Teacher(gamma=gamma).prefer(first, second, np.array([0.5])) == label
    off = min(OFF * gamma, 1.0)  # weighs the early unit more, and no longer turns there
    assert Teacher(gamma=off).prefer(first, second * 1.002, np.array([0.5])) == 0.0
    assert Teacher(gamma=1.0).prefer(first, second, np.array([0.5])) == 0.0


def test_a_pair_is_skipped_where_neither_exceeds_the_share() -> None:
    first = np.array([[0.4, 0.6], [0.4, 0.6], [0.4, 0.7], [3.0, -3.0]])
    second = np.array([[0.3, 0.0], [0.7, 0.5], [0.0, 0.0], [0.0, 0.5]])
    who, standard = Teacher(skip=0.1), Standard(average=10.0, unit=1.0)
    labels = who.prefer(first, second, np.full(4, 0.5), standard)
    np.testing.assert_array_equal(labels, [math.nan, 1.0, 0.0, math.nan])
    more = replace(who, skip=0.1 * OFF).prefer(first, second, np.full(4, 0.5), standard)
    np.testing.assert_array_equal(more, [math.nan, 1.0, math.nan, math.nan])
    assert not np.isnan(Teacher().prefer(-first, -second, np.full(4, 0.5), standard)).any()


def test_a_pair_is_equal_where_the_returns_are_close() -> None:
    gaps = np.array([0.0, 0.99, -0.99, 1.0, 1.05, -1.05, 1.2])
    first, second = np.full((7, 2), 5.0), np.stack([np.full(7, 5.0), 5.0 + gaps], axis=1)
    who, standard = Teacher(equal=0.1, mistake=1.0), Standard(average=10.0, unit=1.0)
    labels = who.prefer(first, second, np.full(7, 0.5), standard)
    assert labels.tolist() == [0.5, 0.5, 0.5, 0.0, 0.0, 1.0, 0.0]  # mistakes turn the others only
    more = replace(who, equal=0.1 * OFF).prefer(first, second, np.full(7, 0.5), standard)
    assert more.tolist() == [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.0]


def test_thresholds_count_from_the_floor() -> None:
    """The same behaviour, paid 1 less a step: with a floor of -1 the same pairs are answered."""
    rng = np.random.default_rng(0)
    first, second, draws = rng.random((500, 4)), rng.random((500, 4)), rng.random(500)
    who = Teacher(beta=1.0, skip=0.8, equal=0.1)
    labels = who.prefer(first, second, draws)
    assert np.isnan(labels).sum() > 20
    assert (labels == 0.5).sum() > 20
    low = replace(who, floor=-1.0).prefer(first - 1.0, second - 1.0, draws)
    np.testing.assert_array_equal(labels, low)
    flat = who.prefer(first - 1.0, second - 1.0, draws)  # as in the published code
    assert not np.isnan(flat).any()
    assert not (flat == 0.5).any()


def test_beta_counts_in_the_spread_of_returns() -> None:
    """Rewards of another scale leave the answers as they are, and 1 is one standard deviation."""
    rng = np.random.default_rng(0)
    first, second, draws = rng.normal(size=(900, 5)), rng.normal(size=(900, 5)), rng.random(900)
    labels = Teacher(beta=1.0).prefer(first, second, draws)
    np.testing.assert_array_equal(
        labels, Teacher(beta=1.0).prefer(1e3 * first, 1e3 * second, draws)
    )
    spread = float(np.concatenate([first, second]).sum(axis=1).std())
    np.testing.assert_array_equal(
        labels, Teacher(beta=1.0, unit=spread).prefer(first, second, draws)
    )
    assert (labels != (second.sum(axis=1) > first.sum(axis=1))).mean() > 0.15
    raw = Teacher(beta=1.0, unit=1.0).prefer(1e3 * first, 1e3 * second, draws)
    assert (raw == (second.sum(axis=1) > first.sum(axis=1))).all()  # nearly deterministic


def test_the_expected_label() -> None:
    first, second = np.array([[0.0], [5.0], [5.0]]), np.array([[0.5], [5.5], [9.0]])
    found = Teacher(beta=0.5, mistake=0.1, skip=0.1, equal=0.1).probability(
        first, second, Standard(10.0, 2.0)
    )
    np.testing.assert_allclose(found, [math.nan, 0.5, 0.1 + 0.8 * expit(1.0)])


# Answers through the engine


def compared(corridor: Any, start: Any, who: Teacher, **settings: Any) -> Any:
    """Comparisons of random behaviour in many lanes: protocol, run and what was collected."""
    lanes = 250
    asks = Comparisons(who, **{"every": 40, "queries": 80, "segment_steps": 4, **settings})
    run = start(corridor(lanes, harm=[0.3], max_episode_steps=37), asks)
    run.play(np.random.default_rng(1).integers(0, 3, (41, lanes)))
    return run, run.engine.state(asks).preferences()


def surprise(found: Any, chance: Any, other: Any) -> float:
    """p-value of labels of independent chances, by the score that is sharpest against others."""
    spread = chance * (1.0 - chance)
    weight = (other - chance) / spread
    error = np.sqrt(np.sum(weight**2 * spread))
    return float(2.0 * norm.sf(abs(np.sum(weight * (found.label - chance))) / error))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("beta", {"beta": 2.0}),
        ("mistake", {"beta": 8.0, "mistake": 0.2}),
        ("gamma", {"beta": 6.0, "gamma": 0.6}),
    ],
)
def test_twenty_thousand_comparisons_follow_the_formula(
    corridor: Any, start: Any, name: str, settings: dict[str, float]
) -> None:
    _, found = compared(corridor, start, Teacher(unit=1.0, **settings))
    assert len(found) == 20_000
    utility = [side.reward - side.cost for side in (found.first, found.second)]

    def chance(beta: float, mistake: float = 0.0, gamma: float = 1.0) -> Any:
        worth = [sum(gamma ** (3 - t) * u[:, t] for t in range(4)) for u in utility]
        return mistake + (1 - 2 * mistake) * expit(beta * (worth[1] - worth[0]))

    true, off = chance(**settings), chance(**{**settings, name: OFF * settings[name]})
    assert surprise(found, true, off) > SIGNIFICANCE
    assert surprise(found, off, true) < SIGNIFICANCE


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_in_the_engine(corridor: Any, start: Any, preset: str) -> None:
    who = teacher(preset)
    run, found = compared(corridor, start, who, segment_steps=3, queries=20)
    lived = run.records[:40]
    utility = np.stack([record.reward - record.cost for record in lived])
    worth = [(side.reward - side.cost).sum(axis=1) for side in (found.first, found.second)]
    average = (3 * utility.mean(axis=0))[found.first.lane]
    skipped = (np.maximum(*worth) <= 0.1 * average) & (preset == "skip")
    equal = (np.abs(worth[1] - worth[0]) < 0.1 * average) & (preset == "equal")
    np.testing.assert_array_equal(np.isnan(found.label), skipped)
    np.testing.assert_array_equal(found.label == 0.5, equal)
    assert (skipped.any(), equal.any()) == (preset == "skip", preset == "equal")
    late = [(side.reward - side.cost) @ [0.81, 0.9, 1.0] for side in (found.first, found.second)]
    judged = late if preset == "myopic" else worth
    clear = ~skipped & ~equal & (np.abs(judged[1] - judged[0]) > 1e-6)
    right = (found.label == (judged[1] > judged[0]))[clear]
    if preset == "mistake":
        assert binomtest(int((~right).sum()), len(right), 0.1).pvalue > SIGNIFICANCE
    elif preset == "stoc":
        assert 0.6 < right.mean() < 0.9
    else:
        assert right.all()


# Bad input


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"beta": -1.0}, "beta must be a number at least 0, got -1.0"),
        ({"beta": math.nan}, "beta"),
        ({"mistake": 1.1}, r"mistake must be a number in \[0, 1\], got 1.1"),
        ({"skip": -0.1}, "skip"),
        ({"equal": "often"}, "equal .*'often'"),
        ({"gamma": 1.5}, "gamma"),
        ({"unit": 0.0}, "unit"),
        ({"floor": -math.inf}, "floor"),
    ],
)
def test_impossible_teachers_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Teacher(**settings)
    with pytest.raises(UsageError, match=said):
        teacher("oracle", **settings)


def test_unknown_names_and_broken_segments_are_refused() -> None:
    with pytest.raises(UsageError, match="unknown preset 'mistakes'; did you mean 'mistake'"):
        teacher("mistakes")
    with pytest.raises(UsageError, match="unknown setting of a teacher 'betta'"):
        teacher("oracle", betta=1.0)
    for shapes in (((2, 3), (2, 4)), ((3,), (3,)), ((2, 0), (2, 0))):
        with pytest.raises(UsageError, match="segments must be two arrays of one shape"):
            Teacher().prefer(np.zeros(shapes[0]), np.zeros(shapes[1]), np.zeros(2))
