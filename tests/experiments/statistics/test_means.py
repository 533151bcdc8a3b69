import math

import numpy as np
import pytest
import scipy.stats

from looplab.envs.errors import UsageError
from looplab.experiments.statistics import (
    RESAMPLES,
    mean_interval,
    mean_intervals,
    paired_difference,
    poisson_upper_bound,
)


def test_three_seeds_get_the_student_interval_worked_by_hand(rng: np.random.Generator) -> None:
    # mean 2, standard error 1 / sqrt(3), t(0.975, 2) = 4.302653
    found = mean_interval([1.0, 2.0, 3.0], rng=rng)
    assert found == pytest.approx((2.0, 2.0 - 4.302653 / 3**0.5, 2.0 + 4.302653 / 3**0.5))


@pytest.mark.parametrize("seeds", [2, 5, 19])
def test_below_twenty_seeds_it_is_scipys_student_interval(
    seeds: int, rng: np.random.Generator
) -> None:
    values = rng.normal(3.0, 2.0, seeds)
    low, high = scipy.stats.t.interval(
        0.9, seeds - 1, values.mean(), values.std(ddof=1) / seeds**0.5
    )
    found = mean_interval(values, level=0.9, rng=rng)
    assert found == pytest.approx((values.mean(), low, high))


def test_from_twenty_seeds_on_it_is_a_bootstrap_t_with_the_given_generator() -> None:
    values = np.random.default_rng(0).exponential(1.0, 20)
    found = mean_interval(values, rng=np.random.default_rng(5))
    # The same resamples, one by one as the book has it.
    parts = np.random.default_rng(5).multinomial(20, np.full(20, 0.05), RESAMPLES)
    drawn = [np.repeat(values, counts) for counts in parts]
    distances = [(d.mean() - values.mean()) / (d.std(ddof=1) / 20**0.5) for d in drawn]
    tail = (1.0 - 0.95) / 2.0
    lowest, highest = np.quantile(distances, [tail, 1.0 - tail], method="inverted_cdf")
    error = values.std(ddof=1) / 20**0.5
    expected = (values.mean(), values.mean() - highest * error, values.mean() - lowest * error)
    assert found == pytest.approx(expected)
    assert found == mean_interval(values, rng=np.random.default_rng(5))
    assert found != mean_interval(values, rng=np.random.default_rng(6))


def test_a_large_mean_loses_no_figures() -> None:
    values = np.random.default_rng(0).normal(size=(1, 25))
    near = mean_intervals(values, rng=np.random.default_rng(5))
    far = mean_intervals(values + 1e9, rng=np.random.default_rng(5))
    for one, other in zip(near, far, strict=True):
        assert other - 1e9 == pytest.approx(one, abs=1e-5)


def test_where_resamples_have_no_spread_student_and_bca_bound_together() -> None:
    values = np.array([0.0] * 19 + [5.0])  # more than a third of the resamples are all 0
    mean, low, high = mean_interval(values, rng=np.random.default_rng(5))
    reach = scipy.stats.t.ppf(0.975, 19) * values.std(ddof=1) / 20**0.5
    bca = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, method="BCa", rng=np.random.default_rng(9)
    ).confidence_interval
    assert (mean, low) == pytest.approx((0.25, 0.25 - reach))
    assert high == pytest.approx(max(0.25 + reach, bca.high), rel=0.1)
    assert math.isfinite(high)


def test_rows_are_treated_one_by_one_and_equal_values_have_no_width() -> None:
    rows = np.random.default_rng(1).normal(size=(3, 25))
    rows[1] = 7.0
    means, low, high = mean_intervals(rows, rng=np.random.default_rng(5))
    alone = mean_interval(rows[2], rng=np.random.default_rng(5))
    assert (means[2], low[2], high[2]) == pytest.approx(alone)
    assert (means[1], low[1], high[1]) == (7.0, 7.0, 7.0)


def test_one_seed_has_no_interval_and_none_no_mean(rng: np.random.Generator) -> None:
    mean, low, high = mean_interval([4.0], rng=rng)
    assert mean == 4.0
    assert math.isnan(low)
    assert math.isnan(high)
    mean, low, high = mean_interval([0.0], count_exposure=60.0, rng=rng)
    assert mean == 0.0
    assert math.isnan(high)
    assert all(math.isnan(part) for part in mean_interval([], rng=rng))


def test_undefined_seeds_are_left_out(rng: np.random.Generator) -> None:
    assert mean_interval([1.0, math.nan, 3.0], rng=rng) == mean_interval([1.0, 3.0], rng=rng)


def test_no_event_at_all_is_bounded_by_the_exposure(rng: np.random.Generator) -> None:
    # -ln(0.05) = 2.995732: the rule of three, over 3 runs of 60 thousand steps
    found = mean_interval([0.0, 0.0, 0.0], count_exposure=180.0, rng=rng)
    assert found == pytest.approx((0.0, 0.0, 2.995732 / 180.0))
    assert scipy.stats.poisson.cdf(0, poisson_upper_bound(180.0) * 180.0) == pytest.approx(0.05)
    assert math.isnan(poisson_upper_bound(0.0))


def test_equal_small_counts_do_not_look_certain(rng: np.random.Generator) -> None:
    # 3 events in 3 runs; Garwood's exact interval for 3 events is [0.618672, 8.767273]
    found = mean_interval([1.0, 1.0, 1.0], count_exposure=3.0, rng=rng)
    assert found == pytest.approx((1.0, 0.618672 / 3, 8.767273 / 3), rel=1e-5)
    assert mean_interval([1.0, 1.0, 1.0], rng=rng) == (1.0, 1.0, 1.0)


def test_many_events_keep_the_spread_between_seeds(rng: np.random.Generator) -> None:
    values = [990.0, 1000.0, 1010.0]
    found = mean_interval(values, count_exposure=3.0, rng=rng)
    assert found == mean_interval(values, nonnegative=True, rng=rng)
    assert found == pytest.approx(mean_interval(values, rng=rng), rel=1e-3)


def test_upper_ends_of_what_cannot_be_negative_allow_for_skewness(
    rng: np.random.Generator,
) -> None:
    # mean 3, reach 4.302653 x 3 = 12.907958: (mu - 3)^2 = 12.907958^2 x mu / 3 at mu = 61.248
    found = mean_interval([0.0, 0.0, 9.0], nonnegative=True, rng=rng)
    reach = 4.302653 * 3.0
    assert (found.mean, found.low) == (3.0, 0.0)
    assert (found.high - 3.0) ** 2 == pytest.approx(reach**2 * found.high / 3.0, rel=1e-5)
    assert found.high > 3.0 + reach
    assert mean_interval([0.0, 0.0, 0.0], nonnegative=True, rng=rng) == (0.0, 0.0, 0.0)


def test_what_cannot_be_negative_is_clipped_at_zero(rng: np.random.Generator) -> None:
    values = [0.0, 0.0, 9.0]
    assert mean_interval(values, rng=rng).low < 0.0
    assert mean_interval(values, nonnegative=True, rng=rng).low == 0.0
    assert mean_interval(values, count_exposure=3.0, rng=rng).low == 0.0


def test_wrong_level_and_shape_are_named(rng: np.random.Generator) -> None:
    with pytest.raises(UsageError, match="level must lie between 0 and 1, got 95"):
        mean_interval([1.0, 2.0], level=95, rng=rng)
    with pytest.raises(UsageError, match=r"shape \(rows, seeds\), got \(4,\)"):
        mean_intervals(np.zeros(4), rng=rng)


def test_pairing_removes_what_seeds_share(rng: np.random.Generator) -> None:
    shared = np.array([0.0, 50.0, 100.0])
    found = paired_difference(np.add(shared, [2.0, 3.0, 4.0]), shared, rng=rng)
    assert found == pytest.approx(mean_interval([2.0, 3.0, 4.0], rng=rng))
    with pytest.raises(UsageError, match="equal seeds, got 3 and 2"):
        paired_difference(shared, shared[:2], rng=rng)
