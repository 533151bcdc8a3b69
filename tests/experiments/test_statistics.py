import math

import numpy as np
import pytest
import scipy.stats

from looplab.envs.errors import UsageError
from looplab.experiments.statistics import (
    RESAMPLES,
    kaplan_meier_median,
    mean_interval,
    mean_intervals,
    paired_difference,
    poisson_upper_bound,
    proportion_interval,
)

# Freireich et al. 1963: weeks in remission under 6-MP, and whether it ended.
REMISSION_WEEKS = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
RELAPSED = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]


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


def test_from_twenty_seeds_on_it_is_scipys_bootstrap_with_the_given_generator() -> None:
    values = np.random.default_rng(0).exponential(1.0, 20)
    expected = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, method="BCa", rng=np.random.default_rng(5)
    ).confidence_interval
    found = mean_interval(values, rng=np.random.default_rng(5))
    assert found == pytest.approx((values.mean(), expected.low, expected.high))
    assert found == mean_interval(values, rng=np.random.default_rng(5))
    assert found != mean_interval(values, rng=np.random.default_rng(6))


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
    assert mean_interval(values, count_exposure=3.0, rng=rng) == mean_interval(values, rng=rng)


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


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (0, 3, 0.0, 1 - 0.025 ** (1 / 3)),
        (3, 3, 0.025 ** (1 / 3), 1.0),
        (5, 10, 0.187086, 0.812914),
        (1, 20, 0.001265, 0.248733),
    ],
)
def test_shares_have_clopper_pearson_intervals(
    successes: int, trials: int, low: float, high: float
) -> None:
    found = proportion_interval(successes, trials)
    assert found == pytest.approx((successes / trials, low, high), abs=1e-6)


def test_impossible_shares_are_refused() -> None:
    with pytest.raises(UsageError, match=r"successes must lie in \[0, 3\], got 4"):
        proportion_interval(4, 3)
    assert all(math.isnan(part) for part in proportion_interval(0, 0))


def test_pairing_removes_what_seeds_share(rng: np.random.Generator) -> None:
    shared = np.array([0.0, 50.0, 100.0])
    found = paired_difference(np.add(shared, [2.0, 3.0, 4.0]), shared, rng=rng)
    assert found == pytest.approx(mean_interval([2.0, 3.0, 4.0], rng=rng))
    with pytest.raises(UsageError, match="equal seeds, got 3 and 2"):
        paired_difference(shared, shared[:2], rng=rng)


def test_kaplan_meier_median_of_published_remissions() -> None:
    # S(22) = 0.538, S(23) = 0.448: median 23. The log-log band's lower end falls to one half first
    # at week 13 (0.43, after 0.503 at week 10), its upper end never does.
    median, low, high = kaplan_meier_median(REMISSION_WEEKS, RELAPSED)
    assert (median, low) == (23.0, 13.0)
    assert math.isnan(high)


def test_kaplan_meier_without_censoring_is_the_plain_median() -> None:
    times = np.arange(1.0, 42.0)
    median, low, high = kaplan_meier_median(times, np.ones(41, bool))
    assert median == 21.0
    assert 1.0 < low < 21.0 < high < 41.0


def test_kaplan_meier_says_nothing_where_half_never_got_there() -> None:
    assert math.isnan(kaplan_meier_median([5.0, 9.0, 9.0], [True, False, False]).mean)
    assert math.isnan(kaplan_meier_median([9.0, 9.0], [False, False]).mean)
    assert kaplan_meier_median([7.0], [True]).mean == 7.0
    with pytest.raises(UsageError, match="differ in length: 2 and 1"):
        kaplan_meier_median([1.0, 2.0], [True])


def _coverage(low: np.ndarray, high: np.ndarray, truth: float) -> float:
    return float(((low <= truth) & (truth <= high)).mean())


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_student_intervals_cover_at_their_nominal_rate(seeds: int) -> None:
    rng = np.random.default_rng(11)
    _, low, high = mean_intervals(rng.normal(5.0, 2.0, (20_000, seeds)), rng=rng)
    assert _coverage(low, high, 5.0) == pytest.approx(0.95, abs=0.006)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [20, 40])
def test_bootstrap_intervals_cover_nearly_at_their_nominal_rate(seeds: int) -> None:
    rng = np.random.default_rng(12)
    parts = [mean_intervals(rng.normal(size=(100, seeds)), rng=rng)[1:] for _ in range(20)]
    low, high = (np.concatenate(ends) for ends in zip(*parts, strict=True))
    assert 0.92 <= _coverage(low, high, 0.0) <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("events_per_run", [0.02, 0.3, 1.0, 5.0])
def test_intervals_of_rare_events_cover_at_least_nominally(events_per_run: float) -> None:
    rng = np.random.default_rng(13)
    found = [
        mean_interval(rng.poisson(events_per_run, 5), count_exposure=5.0, rng=rng)
        for _ in range(3000)
    ]
    low, high = np.array([i.low for i in found]), np.array([i.high for i in found])
    assert _coverage(low, high, events_per_run) >= 0.945
