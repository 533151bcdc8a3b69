"""Means over seeds with intervals that cover what they promise.

``docs/decisions/intervals.md`` says which interval is used when, and how often each one covers.
"""

from functools import cache

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike

from looplab.envs.errors import UsageError
from looplab.experiments.statistics.counts import RARE_EVENTS, poisson_interval
from looplab.experiments.statistics.intervals import (
    LEVEL,
    UNDEFINED,
    Floats,
    Interval,
    checked_level,
)
from looplab.experiments.statistics.resampling import RESAMPLES, studentised, weights

#: From this many seeds on, means get a bootstrap instead of a Student-t interval.
BOOTSTRAP_SEEDS = 20
#: Rows that are resampled at once.
_ROWS = 256


def mean_interval(
    values: ArrayLike,
    *,
    level: float = LEVEL,
    count_exposure: float | None = None,
    nonnegative: bool = False,
    rng: np.random.Generator,
) -> Interval:
    """Mean over seeds: Student-t below ``BOOTSTRAP_SEEDS`` values, bootstrap-t from there on.

    Args:
        values: one value per seed, shape (seeds,); NaN marks seeds where it is not defined.
        level: confidence level in (0, 1).
        count_exposure: for counts and rates, the total exposure in the values' own unit (events in
            all = mean x exposure): thousands of steps for rates per 1k steps, number of runs for
            totals per run. Where events are rare the interval then covers the exact Poisson
            interval too, and where there are none it reaches to the one-sided bound
            ``poisson_upper_bound``, so that neither "0" nor equal small counts ever look certain.
            The quantity is then at least 0.
        nonnegative: whether the quantity cannot be negative (see ``mean_intervals``).
        rng: generator of the bootstrap.

    Returns:
        The interval. All NaN without values; ends NaN for one value, which says nothing about
        others.

    Raises:
        UsageError: if the level is not in (0, 1).
    """
    kept = np.asarray(values, dtype=np.float64).ravel()
    kept = kept[~np.isnan(kept)]
    if not kept.size:
        return UNDEFINED
    positive = nonnegative or count_exposure is not None
    mean, low, high = (
        float(part[0])
        for part in mean_intervals(kept[None, :], level=level, nonnegative=positive, rng=rng)
    )
    if kept.size > 1 and count_exposure is not None:
        low, high = _cover_poisson(Interval(mean, low, high), count_exposure, level)
    return Interval(mean, low, high)


def mean_intervals(
    values: Floats,
    *,
    level: float = LEVEL,
    nonnegative: bool = False,
    rng: np.random.Generator,
) -> tuple[Floats, Floats, Floats]:
    """Means of many rows at once, each with its interval.

    Below ``BOOTSTRAP_SEEDS`` seeds it is Student-t; from there on bootstrap-t (Efron & Tibshirani
    1993, section 12.5), and where too many resamples have no spread for that, whatever Student-t
    and BCa (Efron 1987) cover together.

    Args:
        values: shape (rows, seeds), without NaN.
        level: confidence level in (0, 1).
        nonnegative: whether the quantity cannot be negative. Such quantities are skewed to the
            right where their spread is large beside their mean. The upper end then reaches at least
            to that of the quasi-score interval with variance in proportion to the mean (McCullagh
            1983), which hardly differs where the spread is small; the lower end is at least 0.
        rng: generator of the bootstrap; all rows share the same resamples.

    Returns:
        Means, low and high ends, each of shape (rows,); ends are NaN for one seed.

    Raises:
        UsageError: if the level is not in (0, 1) or ``values`` has not two axes.
    """
    checked_level(level)
    if values.ndim != 2:
        raise UsageError(f"values must have shape (rows, seeds), got {values.shape}")
    rows, seeds = values.shape
    means = np.asarray(values.mean(axis=1))
    if seeds < 2:
        return means, np.full(rows, np.nan), np.full(rows, np.nan)
    reach = _student_reach(values, level)
    low, high = means - reach, means + reach
    varying = np.flatnonzero(reach > 0.0)
    if seeds >= BOOTSTRAP_SEEDS and varying.size:
        low[varying], high[varying] = _bootstrap_t(values[varying], level, rng)
    if nonnegative:
        low, high = np.maximum(low, 0.0), np.maximum(high, _quasi_score_end(means, reach))
    return means, low, high


def _student_reach(values: Floats, level: float) -> Floats:
    seeds = values.shape[1]
    error = values.std(axis=1, ddof=1) / np.sqrt(seeds)
    error[np.ptp(values, axis=1) == 0.0] = 0.0  # equal values have no spread but that of rounding
    return np.asarray(error * _student_quantile((1.0 + level) / 2.0, seeds - 1))


@cache
def _student_quantile(probability: float, degrees: int) -> float:
    return float(scipy.stats.t.ppf(probability, degrees))


def _bootstrap_t(values: Floats, level: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Ends of rows that vary; centred, so that their second moments lose no figures."""
    seeds = values.shape[1]
    parts = weights(seeds, rng).T
    ends = []
    for start in range(0, len(values), _ROWS):
        block = values[start : start + _ROWS]
        apart = block - block.mean(axis=1, keepdims=True)
        means = apart @ parts
        spread = np.maximum((apart**2) @ parts - means**2, 0.0)
        zero, error = np.zeros(len(block)), np.sqrt((apart**2).mean(axis=1) / (seeds - 1))
        ends.append(studentised(zero, error, means, np.sqrt(spread / (seeds - 1)), level))
    low, high = (values.mean(axis=1) + np.concatenate(side) for side in zip(*ends, strict=True))
    endless = np.flatnonzero(~(np.isfinite(low) & np.isfinite(high)))
    if endless.size:
        low[endless], high[endless] = _student_and_bca(values[endless], level, rng)
    return low, high


def _student_and_bca(
    values: Floats, level: float, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    means, reach = values.mean(axis=1), _student_reach(values, level)
    found = scipy.stats.bootstrap(
        (values,),
        np.mean,
        axis=1,
        confidence_level=level,
        n_resamples=RESAMPLES,
        method="BCa",
        rng=rng,
    ).confidence_interval
    return np.fmin(means - reach, found.low), np.fmax(means + reach, found.high)


def _quasi_score_end(means: Floats, reach: Floats) -> Floats:
    """Upper mu where (mu - mean)^2 = reach^2 x mu / mean."""
    relative = np.divide(reach, means, out=np.zeros_like(means), where=means > 0.0)
    times = 1.0 + relative**2 / 2.0 + relative * np.sqrt(1.0 + relative**2 / 4.0)
    return np.asarray(means * times)


def paired_difference(
    first: ArrayLike, second: ArrayLike, *, level: float = LEVEL, rng: np.random.Generator
) -> Interval:
    """Mean of ``first - second`` over equal seeds with its interval (see ``mean_interval``).

    Several tasks at once have ``aggregates.aggregate_difference``.

    Args:
        first: one value per seed, shape (seeds,).
        second: the other regime's values, the same seeds in the same order.
        level: confidence level in (0, 1).
        rng: generator of the bootstrap.

    Raises:
        UsageError: if the two have not the same number of seeds.
    """
    left, right = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if left.shape != right.shape:
        raise UsageError(f"paired values need equal seeds, got {left.size} and {right.size}")
    return mean_interval(left - right, level=level, rng=rng)


def _cover_poisson(found: Interval, exposure: float, level: float) -> tuple[float, float]:
    """Widens ``found`` to the exact Poisson interval where events are rare."""
    events = found.mean * exposure
    if not exposure > 0.0 or events > RARE_EVENTS:
        return found.low, found.high
    exact = poisson_interval(events, exposure, level=level)
    return min(found.low, exact.low), max(found.high, exact.high)
