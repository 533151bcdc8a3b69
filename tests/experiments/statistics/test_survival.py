import math

import numpy as np
import pytest
import scipy.stats

from looplab.envs.errors import UsageError
from looplab.experiments.statistics import kaplan_meier_median, survival_curve

# Freireich et al. 1963: weeks in remission under 6-MP, and whether it ended.
REMISSION_WEEKS = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
RELAPSED = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]


def test_the_curve_of_published_remissions() -> None:
    # Freireich et al. 1963, as in Kalbfleisch & Prentice 1980: S(6) = 18/21 = 0.857, S(7) = 0.857 x
    # 16/17 = 0.807, ..., S(23) = 0.448; Greenwood's errors 0.0764, 0.0869, ..., 0.1346.
    curve = survival_curve(REMISSION_WEEKS, RELAPSED)
    assert curve.times.tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert curve.waiting.tolist() == [21, 17, 15, 12, 11, 7, 6]
    assert curve.reached.tolist() == [3, 1, 1, 1, 1, 1, 1]
    expected = [0.8571, 0.8067, 0.7529, 0.6902, 0.6275, 0.5378, 0.4482]
    assert curve.survival == pytest.approx(expected, abs=5e-5)
    errors = [0.0764, 0.0869, 0.0963, 0.1068, 0.1141, 0.1282, 0.1346]
    assert curve.error == pytest.approx(errors, abs=5e-5)


def test_the_band_is_scipys(rng: np.random.Generator) -> None:
    times, ends = rng.exponential(1.0, 40).round(1), rng.exponential(2.0, 40).round(1)
    at, reached = np.minimum(times, ends), times <= ends
    data = scipy.stats.CensoredData(at[reached], right=at[~reached])
    theirs = scipy.stats.ecdf(data).sf
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match="undefined at some"):
        band = theirs.confidence_interval(0.9, method="log-log")
    curve = survival_curve(at, reached, level=0.9)
    places = np.searchsorted(theirs.quantiles, curve.times)
    assert curve.survival == pytest.approx(theirs.probabilities[places])
    bounded = curve.survival > 0.0
    for mine, side in ((curve.low, band.low), (curve.high, band.high)):
        assert mine[bounded] == pytest.approx(side.probabilities[places][bounded])
        assert np.isnan(mine[~bounded]).all()


def test_where_nobody_waits_any_more_the_error_is_unknown() -> None:
    curve = survival_curve([1.0, 2.0], [True, True])
    assert curve.survival.tolist() == [0.5, 0.0]
    assert np.isnan([curve.error[1], curve.low[1], curve.high[1]]).all()
    assert survival_curve([3.0, 4.0], [False, False]).times.size == 0


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


@pytest.mark.parametrize(
    ("seeds", "low", "high"),
    # Order statistics r and n + 1 - r, r the largest with P(Binomial(n, 1/2) < r) <= 0.025.
    [(6, 1, 6), (8, 1, 8), (9, 2, 8), (10, 2, 9), (15, 4, 12), (19, 5, 15)],
)
def test_below_twenty_seeds_the_ends_are_exact_order_statistics(
    seeds: int, low: int, high: int
) -> None:
    assert scipy.stats.binom.cdf(low - 1, seeds, 0.5) <= 0.025
    assert scipy.stats.binom.cdf(low, seeds, 0.5) > 0.025
    found = kaplan_meier_median(np.arange(1.0, seeds + 1), np.ones(seeds, bool))
    assert found[1:] == (low, high)


def test_fewer_than_six_seeds_bound_no_median() -> None:
    for seeds in (2, 3, 5):
        median, low, high = kaplan_meier_median(np.arange(1.0, seeds + 1), np.ones(seeds, bool))
        assert (median, low) == ((seeds + 1) // 2, 0.0)
        assert math.isnan(high)


def test_censoring_widens_and_ties_do_not_matter() -> None:
    times = np.array([1.0, 2.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0])
    reached = np.ones(10, bool)
    median, low, high = kaplan_meier_median(times, reached)
    assert (median, low, high) == (4.0, 2.0, 8.0)
    reached[[1, 6]] = False
    censored = kaplan_meier_median(times, reached)
    assert censored.mean == 5.0
    assert censored.high >= 9.0 or math.isnan(censored.high)
    shuffled = np.random.default_rng(0).permutation(10)
    assert kaplan_meier_median(times[shuffled], reached[shuffled]) == pytest.approx(
        censored, nan_ok=True
    )


def test_impossible_times_are_refused() -> None:
    with pytest.raises(UsageError, match="times must be at least 0, got -1"):
        survival_curve([2.0, -1.0], [True, True])
    with pytest.raises(UsageError, match="times must be at least 0, got nan"):
        survival_curve([math.nan], [True])
