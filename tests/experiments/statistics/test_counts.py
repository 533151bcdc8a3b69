import math

import pytest
import scipy.stats

from looplab.envs.errors import UsageError
from looplab.experiments.statistics import (
    poisson_interval,
    poisson_upper_bound,
    proportion_interval,
    rule_of_three,
)


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


@pytest.mark.parametrize("trials", [1, 3, 20, 1000])
def test_the_rule_of_three_is_exact(trials: int) -> None:
    bound = rule_of_three(trials)
    assert scipy.stats.binom.pmf(0, trials, bound) == pytest.approx(0.05)
    assert bound <= 3.0 / trials
    assert bound == pytest.approx(proportion_interval(0, trials, level=0.9).high)


def test_the_rule_of_three_over_three_hundred_trials_is_about_one_per_cent() -> None:
    assert rule_of_three(300) == pytest.approx(0.0099, abs=5e-5)


def test_counts_have_garwoods_interval() -> None:
    # 3 events: [0.618672, 8.767273]; none: -ln(0.05) = 2.995732 above
    assert poisson_interval(3, 2.0) == pytest.approx((1.5, 0.309336, 4.383637), abs=1e-6)
    assert poisson_interval(0, 2.0) == pytest.approx((0.0, 0.0, 2.995732 / 2), abs=1e-6)
    assert poisson_interval(0, 2.0).high == poisson_upper_bound(2.0)


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(UsageError, match="whole number of at least 1, got 0"):
        rule_of_three(0)
    with pytest.raises(UsageError, match="level must lie between 0 and 1, got 95"):
        rule_of_three(3, level=95)
    with pytest.raises(UsageError, match="events must be at least 0 and exposure above 0"):
        poisson_interval(-1, 2.0)
    with pytest.raises(UsageError, match="events must be at least 0 and exposure above 0"):
        poisson_interval(1, math.nan)
