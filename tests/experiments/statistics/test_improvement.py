import math

import numpy as np
import pytest

from looplab.envs.errors import UsageError
from looplab.experiments.statistics import performance_profile, probability_of_improvement

# Reference numbers of rliable 1.2.0 (see test_aggregates.py):
#   python -c "from rliable import metrics as m; print(m.probability_of_improvement(X, Y))"
#   python -c "from rliable import library as l; print([l.run_score_deviation(X, t) for t in T])"
SCORES = np.array(
    [[0.1, 1.2, 3.0], [0.4, 0.9, 2.5], [0.2, 1.9, 2.5], [0.9, 1.1, 7.0], [0.3, 1.0, 2.8]]
)
OTHERS = np.array(
    [[0.2, 0.8, 2.5], [0.1, 1.2, 2.9], [0.2, 0.7, 2.4], [0.5, 1.0, 3.0], [0.0, 0.9, 2.8]]
)
RLIABLE_IMPROVEMENT = 0.6933333333333334
THRESHOLDS = [0.0, 0.2, 1.0, 2.5, 3.0, 8.0]
RLIABLE_PROFILE = [
    1.0, 0.8666666666666667, 0.5333333333333333, 0.2, 0.06666666666666667, 0.0,
]  # fmt: skip


def test_it_is_rliables_with_ties_as_halves() -> None:
    assert probability_of_improvement(SCORES, OTHERS).mean == pytest.approx(RLIABLE_IMPROVEMENT)
    # Of 4 pairs 1 wins, 1 ties and 2 lose.
    assert probability_of_improvement([1.0, 2.0], [2.0, 3.0]).mean == pytest.approx(0.125)
    assert probability_of_improvement([1.0, 1.0], [1.0, 1.0]).mean == 0.5


def test_the_other_way_round_it_is_the_complement() -> None:
    one, other = (
        probability_of_improvement(SCORES, OTHERS),
        probability_of_improvement(OTHERS, SCORES),
    )
    assert (1 - one.mean, 1 - one.high, 1 - one.low) == pytest.approx(other)


def test_the_ends_solve_newcombes_equation() -> None:
    share, low, high = probability_of_improvement([1.0, 2.0, 5.0], [0.0, 3.0, 4.0])
    assert share == pytest.approx(5 / 9)
    for end in (low, high):
        spread = 1 + 2 * ((1 - end) / (2 - end) + end / (1 + end))
        error = math.sqrt(end * (1 - end) * spread / 9)
        assert abs(end - share) == pytest.approx(4.302653 * error, rel=1e-5)


def test_always_winning_is_not_certain() -> None:
    share, low, high = probability_of_improvement(np.arange(5.0) + 10, np.arange(5.0))
    assert (share, high) == (1.0, 1.0)
    # (1 - low)^2 = t^2 x low (1 - low) (...) / 25 with t(0.975, 4) = 2.776445
    assert 0.3 < low < 0.9
    assert probability_of_improvement(np.arange(5.0), np.arange(5.0) + 10)[:2] == (0.0, 0.0)


def test_tasks_narrow_it() -> None:
    one = probability_of_improvement(SCORES[:, :1], OTHERS[:, :1])
    four = probability_of_improvement(np.tile(SCORES[:, :1], 4), np.tile(OTHERS[:, :1], 4))
    assert four.mean == one.mean
    assert four.high - four.low == pytest.approx((one.high - one.low) / 2)


def test_sides_may_have_different_runs_and_one_run_has_no_interval() -> None:
    found = probability_of_improvement(SCORES, OTHERS[:3])
    assert found.low < found.mean < found.high
    assert math.isnan(probability_of_improvement(SCORES, OTHERS[:1]).low)


def test_wrong_tables_are_named() -> None:
    with pytest.raises(UsageError, match="both need the same tasks, got 3 and 2"):
        probability_of_improvement(SCORES, OTHERS[:, :2])
    with pytest.raises(UsageError, match="second must be finite"):
        probability_of_improvement([1.0], [math.inf])
    with pytest.raises(UsageError, match="level must lie between 0 and 1"):
        probability_of_improvement(SCORES, OTHERS, level=1.0)


def test_profiles_are_rliables_with_exact_bands() -> None:
    found = performance_profile(SCORES, THRESHOLDS)
    assert found.share == pytest.approx(RLIABLE_PROFILE)
    # Clopper & Pearson of 15 of 15, 8 of 15 and 0 of 15
    assert found.low[[0, 2, 5]] == pytest.approx([0.781981, 0.265861, 0.0], abs=1e-6)
    assert found.high[[0, 2, 5]] == pytest.approx([1.0, 0.787333, 0.218019], abs=1e-6)


def test_profiles_of_nothing_asked_are_empty_and_bad_thresholds_are_named() -> None:
    assert performance_profile(SCORES, []).share.shape == (0,)
    with pytest.raises(UsageError, match="thresholds must be finite"):
        performance_profile(SCORES, [0.0, math.nan])
