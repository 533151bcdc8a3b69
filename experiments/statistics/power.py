"""How many seeds a difference between paired regimes needs (Cohen 1988; exact noncentral t).

Differences of equal seeds are taken as normal, and tested two-sided by Student's paired t.
"""

import numpy as np
import scipy.optimize
import scipy.stats

from looplab.envs.errors import UsageError, whole
from looplab.experiments.statistics.intervals import LEVEL, Interval, checked_level

#: Usual chance of finding an effect that is there, and of finding one that is not.
POWER, SIGNIFICANCE = 0.8, 0.05
#: Fewest seeds of which a difference has a spread.
FEWEST = 2
#: Seeds beyond which nobody is told a number.
MOST_SEEDS = 1_000_000


def power_of(effect: float, spread: float, seeds: int, *, significance: float) -> float:
    """Chance that a paired t test over ``seeds`` finds a true mean difference of ``effect``.

    Args:
        effect: mean difference, other than 0 in either direction.
        spread: standard deviation of the seeds' differences, above 0.
        seeds: at least 2.
        significance: chance of finding a difference where there is none, in (0, 1).

    Returns:
        The chance, in [significance, 1].

    Raises:
        UsageError: for a number outside of these ranges.
    """
    size = abs(_above_zero("effect", abs(effect))) / _above_zero("spread", spread)
    return _power(size, whole("seeds", seeds, FEWEST), _chance("significance", significance))


def seeds_needed(
    effect: float,
    spread: float,
    *,
    power: float = POWER,
    significance: float = SIGNIFICANCE,
) -> int:
    """Fewest seeds with which a paired t test finds ``effect`` with the chance ``power``.

    Args:
        effect: mean difference, other than 0 in either direction.
        spread: standard deviation of the seeds' differences, above 0.
        power: chance of finding it, in (significance, 1).
        significance: chance of finding a difference where there is none, in (0, 1).

    Returns:
        At least 2; ``MOST_SEEDS`` stands for that many and more.

    Raises:
        UsageError: for a number outside of these ranges.
    """
    size = abs(_above_zero("effect", abs(effect))) / _above_zero("spread", spread)
    asked = _checked_power(power, significance)
    low, high = FEWEST - 1, FEWEST
    while high < MOST_SEEDS and _power(size, high, significance) < asked:
        low, high = high, min(2 * high, MOST_SEEDS)
    while high - low > 1:
        middle = (low + high) // 2
        enough = _power(size, middle, significance) >= asked
        low, high = (low, middle) if enough else (middle, high)
    return high


def detectable_effect(
    seeds: int,
    spread: float,
    *,
    power: float = POWER,
    significance: float = SIGNIFICANCE,
) -> float:
    """Smallest mean difference that ``seeds`` find with the chance ``power``: the reverse.

    Args:
        seeds: at least 2.
        spread: standard deviation of the seeds' differences, above 0.
        power: chance of finding it, in (significance, 1).
        significance: chance of finding a difference where there is none, in (0, 1).

    Raises:
        UsageError: for a number outside of these ranges.
    """
    count, asked = whole("seeds", seeds, FEWEST), _checked_power(power, significance)
    high = 1.0
    while _power(high, count, significance) < asked:
        high *= 2.0
    size = scipy.optimize.brentq(lambda s: _power(s, count, significance) - asked, 0.0, high)
    return _above_zero("spread", spread) * float(size)


def spread_interval(spread: float, seeds: int, *, level: float = LEVEL) -> Interval:
    """A pilot's standard deviation with its interval, exact for normal values (chi-square).

    Args:
        spread: standard deviation of the pilot's differences, with ``seeds - 1`` below, above 0.
        seeds: of the pilot, at least 2.
        level: confidence level in (0, 1).

    Raises:
        UsageError: for a number outside of these ranges.
    """
    freedom = whole("seeds", seeds, FEWEST) - 1
    tail = (1.0 - checked_level(level)) / 2.0
    factors = np.sqrt(freedom / scipy.stats.chi2.ppf([1.0 - tail, tail], freedom))
    found = _above_zero("spread", spread)
    return Interval(found, found * float(factors[0]), found * float(factors[1]))


def _power(size: float, seeds: int, significance: float) -> float:
    """Both tails of the noncentral t; ``size`` is the effect in standard deviations."""
    critical = float(scipy.stats.t.isf(significance / 2.0, seeds - 1))
    shift = size * np.sqrt(seeds)
    upper = scipy.stats.nct.sf(critical, seeds - 1, shift)
    lower = scipy.stats.nct.cdf(-critical, seeds - 1, shift)
    return float(np.nan_to_num(upper, nan=1.0) + np.nan_to_num(lower, nan=0.0))


def _checked_power(power: float, significance: float) -> float:
    _chance("significance", significance)
    if not _chance("power", power) > significance:
        raise UsageError(f"power must exceed significance {significance:g}, got {power!r}")
    return power


def _above_zero(name: str, value: float) -> float:
    if not 0.0 < value < float("inf"):
        raise UsageError(f"{name} must be a number above 0, got {value!r}")
    return value


def _chance(name: str, value: float) -> float:
    if not 0.0 < value < 1.0:
        raise UsageError(f"{name} must lie between 0 and 1, got {value!r}")
    return value
