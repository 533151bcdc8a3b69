"""Exact intervals for counts, which are often 0: Poisson, Clopper-Pearson, the rule of three."""

from functools import lru_cache

import numpy as np
import scipy.stats

from looplab.envs.errors import UsageError, whole
from looplab.experiments.statistics.intervals import LEVEL, UNDEFINED, Interval, checked_level

#: Up to this many events in all, a count's interval also covers its exact Poisson interval.
RARE_EVENTS = 100


def poisson_upper_bound(exposure: float, *, level: float = LEVEL) -> float:
    """Exact upper bound of a rate after no event in ``exposure``: -ln(1 - level) / exposure.

    One-sided, since nothing lies below 0: at 95 % the "rule of three", 3.00 / exposure.
    """
    if not exposure > 0.0:
        return float("nan")
    return float(-np.log1p(-level) / exposure)


def poisson_interval(events: float, exposure: float, *, level: float = LEVEL) -> Interval:
    """Rate ``events / exposure`` with its exact interval (Garwood 1936).

    Args:
        events: events in all, at least 0; need not be whole where exposures were weighted.
        exposure: what they were counted over, above 0.
        level: confidence level in (0, 1). Where there is no event the interval is one-sided.

    Raises:
        UsageError: if ``events`` is negative, ``exposure`` is not above 0, or the level is none.
    """
    if not events >= 0.0 or not exposure > 0.0:
        raise UsageError(
            f"events must be at least 0 and exposure above 0, got {events!r} and {exposure!r}"
        )
    if events == 0.0:
        return Interval(0.0, 0.0, poisson_upper_bound(exposure, level=checked_level(level)))
    tail = (1.0 - checked_level(level)) / 2.0
    low = float(scipy.stats.gamma.ppf(tail, events)) / exposure
    high = float(scipy.stats.gamma.ppf(1.0 - tail, events + 1.0)) / exposure
    return Interval(events / exposure, low, high)


@lru_cache(maxsize=4096)  # profiles ask for the same few shares again and again
def proportion_interval(successes: int, trials: int, *, level: float = LEVEL) -> Interval:
    """Share ``successes / trials`` with its exact interval (Clopper & Pearson 1934).

    Raises:
        UsageError: if there are more successes than trials, or fewer than 0.
    """
    if not 0 <= successes <= trials:
        raise UsageError(f"successes must lie in [0, {trials}], got {successes}")
    if trials == 0:
        return UNDEFINED
    found = scipy.stats.binomtest(successes, trials).proportion_ci(level, method="exact")
    return Interval(successes / trials, float(found.low), float(found.high))


def rule_of_three(trials: int, *, level: float = LEVEL) -> float:
    """Exact upper bound of a chance after 0 of ``trials``: 1 - (1 - level)^(1 / trials).

    One-sided; at 95 % close to 3 / trials (Hanley & Lippman-Hand 1983), and never above it. What
    happens per unit of time or steps, rather than per trial, has ``poisson_upper_bound``.

    Args:
        trials: seeds, episodes or proposals of which none had the event, at least 1.
        level: confidence level in (0, 1).

    Raises:
        UsageError: if there is no trial, or the level is none.
    """
    return float(-np.expm1(np.log1p(-checked_level(level)) / whole("trials", trials, 1)))
