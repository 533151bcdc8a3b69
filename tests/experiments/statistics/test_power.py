import math

import numpy as np
import pytest
import scipy.stats

from looplab.envs.errors import UsageError
from looplab.experiments.statistics import (
    detectable_effect,
    power_of,
    seeds_needed,
    spread_interval,
)


@pytest.mark.parametrize(
    ("size", "power", "seeds"),
    # Paired or one-sample t, two-sided at 0.05, as G*Power and R's power.t.test have it.
    [(0.2, 0.8, 199), (0.5, 0.8, 34), (0.8, 0.8, 15), (1.0, 0.8, 10), (0.5, 0.9, 44),
     (2.0, 0.8, 5)],
)  # fmt: skip
def test_published_numbers_of_pairs(size: float, power: float, seeds: int) -> None:
    assert seeds_needed(size, 1.0, power=power) == seeds
    assert seeds_needed(-3.0 * size, 3.0, power=power) == seeds
    assert power_of(size, 1.0, seeds, significance=0.05) >= power
    assert power_of(size, 1.0, seeds - 1, significance=0.05) < power


def test_power_is_the_noncentral_ts() -> None:
    # R: power.t.test(n = 10, delta = 1, sd = 1, type = "paired")$power is 0.8030962
    assert power_of(1.0, 1.0, 10, significance=0.05) == pytest.approx(0.8030962, abs=1e-6)
    assert power_of(1e-9, 1.0, 10, significance=0.05) == pytest.approx(0.05)
    assert power_of(1e6, 1.0, 3, significance=0.05) == pytest.approx(1.0)


@pytest.mark.parametrize("seeds", [2, 3, 5, 10, 20, 50])
def test_the_detectable_effect_is_the_reverse(seeds: int) -> None:
    effect = detectable_effect(seeds, 2.5, power=0.9, significance=0.01)
    assert power_of(effect, 2.5, seeds, significance=0.01) == pytest.approx(0.9)
    assert seeds_needed(effect * 1.0001, 2.5, power=0.9, significance=0.01) == seeds


def test_two_seeds_at_least_and_a_million_at_most() -> None:
    assert seeds_needed(1e6, 1.0) == 2
    assert seeds_needed(1e-9, 1.0) == 1_000_000


def test_the_spreads_interval_is_chi_square() -> None:
    # 10 seeds: sqrt(9 / 19.02277) = 0.687836, sqrt(9 / 2.700389) = 1.825607
    assert spread_interval(2.0, 10) == pytest.approx((2.0, 1.375672, 3.651215), rel=1e-5)
    assert spread_interval(1.0, 3).high == pytest.approx(6.284747, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "power", "significance"), [(1.5, 0.8, 0.05), (0.8, 0.9, 0.01)])
def test_simulated_experiments_find_the_effect_as_often_as_promised(
    size: float, power: float, significance: float
) -> None:
    seeds = seeds_needed(size, 1.0, power=power, significance=significance)
    rng, trials = np.random.default_rng(3), 20_000
    for effect in (size, 0.0, detectable_effect(seeds, 1.0, power=power)):
        shared = rng.normal(0.0, 5.0, (trials, seeds))  # seeds are paired
        first = shared + effect + rng.normal(0.0, 0.6, shared.shape)
        second = shared + rng.normal(0.0, 0.8, shared.shape)
        found = scipy.stats.ttest_rel(first, second, axis=1).pvalue <= significance
        promised = significance if effect == 0.0 else power_of(
            effect, 1.0, seeds, significance=significance
        )  # fmt: skip
        slack = 4.0 * math.sqrt(promised * (1.0 - promised) / trials)
        assert found.mean() == pytest.approx(promised, abs=slack)


def test_impossible_numbers_are_named() -> None:
    with pytest.raises(UsageError, match="effect must be a number above 0, got 0"):
        seeds_needed(0.0, 1.0)
    with pytest.raises(UsageError, match="spread must be a number above 0, got -1"):
        seeds_needed(1.0, -1.0)
    with pytest.raises(UsageError, match="spread must be a number above 0, got nan"):
        detectable_effect(5, math.nan)
    with pytest.raises(UsageError, match="power must lie between 0 and 1, got 80"):
        seeds_needed(1.0, 1.0, power=80)
    with pytest.raises(UsageError, match=r"power must exceed significance 0.05, got 0.05"):
        seeds_needed(1.0, 1.0, power=0.05)
    with pytest.raises(UsageError, match="seeds must be a whole number of at least 2, got 1"):
        detectable_effect(1, 1.0)
    with pytest.raises(UsageError, match="significance must lie between 0 and 1, got 0"):
        power_of(1.0, 1.0, 5, significance=0.0)
