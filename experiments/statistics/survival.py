"""Times to an event that some seeds never reached: Kaplan-Meier curve and median."""

from dataclasses import dataclass

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike, NDArray

from looplab.envs.errors import UsageError
from looplab.experiments.statistics.intervals import (
    LEVEL,
    UNDEFINED,
    Floats,
    Interval,
    normal_reach,
)

#: Below this many seeds the median's interval is exact; above, the log-log band covers well.
EXACT_SEEDS = 20


@dataclass(frozen=True)
class SurvivalCurve:
    """Share of seeds still waiting after each time at which one got there, arrays (events,).

    Attributes:
        times: distinct times of events, rising.
        waiting: seeds that were still waiting just before.
        reached: seeds that got there at that time.
        survival: share still waiting afterwards (Kaplan & Meier 1958); 1 before the first time.
        error: its standard error (Greenwood 1926); NaN where nobody waits any more.
        low: lower ends of the pointwise log-log band (Kalbfleisch & Prentice 1980), NaN likewise.
        high: upper ends.
    """

    times: Floats
    waiting: Floats
    reached: Floats
    survival: Floats
    error: Floats
    low: Floats
    high: Floats


def survival_curve(times: ArrayLike, reached: ArrayLike, *, level: float = LEVEL) -> SurvivalCurve:
    """Kaplan-Meier curve with Greenwood's standard errors and a log-log band.

    Seeds whose watching ended at the time of an event count as waiting then.

    Args:
        times: time of the event, or at which watching ended, shape (seeds,), >= 0.
        reached: whether the event happened, shape (seeds,), boolean.
        level: confidence level in (0, 1).

    Raises:
        UsageError: if ``times`` and ``reached`` differ in length, a time is negative or NaN, or the
            level is none.
    """
    at, event = np.asarray(times, dtype=np.float64), np.asarray(reached, dtype=np.bool_)
    if at.shape != event.shape:
        raise UsageError(f"times and reached differ in length: {at.size} and {event.size}")
    if not np.all(at >= 0.0):
        raise UsageError(f"times must be at least 0, got {at[~(at >= 0.0)][0]:g}")
    reach = normal_reach(level)
    moments, counts = np.unique(at[event], return_counts=True)
    waiting = (at[None, :] >= moments[:, None]).sum(axis=1).astype(np.float64)
    staying = waiting - counts
    survival = np.cumprod(staying / waiting)
    last = staying == 0.0
    hazard = np.where(last, np.nan, counts / (waiting * np.where(last, 1.0, staying)))
    relative = np.sqrt(np.cumsum(hazard))
    power = np.exp(reach * relative / -np.log(np.where(last, np.nan, survival)))
    return SurvivalCurve(
        times=moments,
        waiting=waiting,
        reached=counts.astype(np.float64),
        survival=survival,
        error=survival * relative,
        low=survival**power,
        high=survival ** (1.0 / power),
    )


def kaplan_meier_median(times: ArrayLike, reached: ArrayLike, *, level: float = LEVEL) -> Interval:
    """Median time to an event that some seeds never reached (Kaplan & Meier 1958).

    The median is the first time at which at most half are still waiting; its interval (Brookmeyer &
    Crowley 1982) is where a band of the survival curve crosses one half. Below ``EXACT_SEEDS``
    seeds it is the beta product band (Fay, Brittain & Proschan 2013), whose ends without censoring
    are the exact order statistics; from there on the log-log band.

    Args:
        times: time of the event, or at which watching ended, shape (seeds,), >= 0.
        reached: whether the event happened, shape (seeds,), boolean.
        level: confidence level in (0, 1).

    Returns:
        Median and ends; NaN where the curve or its band never comes down to one half ("not
        reached", "not bounded"), and ends NaN for one seed. At 95 % fewer than six seeds bound
        nothing: the ends are 0 and NaN.

    Raises:
        UsageError: as ``survival_curve``.
    """
    curve = survival_curve(times, reached, level=level)
    if not curve.times.size:
        return UNDEFINED
    median = _first_at_most_half(curve.times, curve.survival)
    seeds = np.size(times)
    if seeds < 2:
        return Interval(median, float("nan"), float("nan"))
    if seeds >= EXACT_SEEDS:
        low, high = (_first_at_most_half(curve.times, end) for end in (curve.low, curve.high))
        return Interval(median, low, high)
    at = np.asarray(times, dtype=np.float64)
    moments, lowest, highest = _beta_product_band(at, np.asarray(reached, np.bool_), level)
    low, high = (_first_at_most_half(moments, end) for end in (lowest, highest))
    return Interval(median, low, high)


def _beta_product_band(at: Floats, event: NDArray[np.bool_], level: float) -> tuple[Floats, ...]:
    """Time 0 and every time at which a seed left, with the ends of the band from there on.

    Survival after an event that leaves k - 1 of k waiting is Beta(k, 1) of what it was; products
    are taken as beta variables with their first two moments, which is exact without censoring.
    """
    order = np.lexsort((~event, at))  # who got there at a time left before those not watched on
    waiting = np.arange(at.size, 0, -1.0)
    moments = np.concatenate([[0.0], at[order]])
    first, second = (
        np.concatenate(
            [[0.0], np.cumsum(np.where(event[order], np.log(waiting / (waiting + k)), 0))]
        )
        for k in (1.0, 2.0)
    )
    after = np.concatenate([waiting, [0.0]])
    tail = (1.0 - level) / 2.0
    with np.errstate(divide="ignore"):
        lowest = _beta_quantile(
            tail, first + np.log(after / (after + 1.0)), second + np.log(after / (after + 2.0))
        )
    highest = _beta_quantile(1.0 - tail, first, second)
    last = np.append(np.diff(moments) > 0.0, True)  # of those that left at the same time
    return moments[last], lowest[last], highest[last]


def _beta_quantile(chance: float, log_first: Floats, log_second: Floats) -> Floats:
    """Quantiles of beta variables with these logarithms of their first two moments."""
    first, second = np.exp(log_first), np.exp(log_second)
    spread = second - first**2
    certain = spread <= 0.0
    scale = (first - second) / np.where(certain, 1.0, spread)
    a, b = np.where(certain, 1.0, first * scale), np.where(certain, 1.0, (1.0 - first) * scale)
    return np.where(certain, first, scipy.stats.beta.ppf(chance, a, b))


def _first_at_most_half(times: Floats, survival: Floats) -> float:
    # Where nobody waits any more a band may be undefined, and so its end is not bounded.
    below = np.nan_to_num(survival, nan=1.0) <= 0.5
    return float(times[int(below.argmax())]) if below.any() else float("nan")
