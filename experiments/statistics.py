"""Intervals for means, rates, shares and censored times over seeds.

Every function takes plain arrays, and a generator where it resamples. Below ``BOOTSTRAP_SEEDS``
values Student-t intervals are used, because a bootstrap over so few covers far less than it
promises.
"""

import warnings
from typing import NamedTuple

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike, NDArray

from looplab.envs.errors import UsageError

#: Usual confidence level of every interval that is reported.
LEVEL = 0.95
#: From this many seeds on, means get a bootstrap (BCa) instead of a Student-t interval.
BOOTSTRAP_SEEDS = 20
#: Resamples of each bootstrap.
RESAMPLES = 4000
#: Up to this many events in all, a count's interval also covers its exact Poisson interval.
RARE_EVENTS = 100

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """An estimate with the ends of its interval; NaN where the data set no value or no bound."""

    mean: float
    low: float
    high: float


UNDEFINED = Interval(float("nan"), float("nan"), float("nan"))


def mean_interval(
    values: ArrayLike,
    *,
    level: float = LEVEL,
    count_exposure: float | None = None,
    nonnegative: bool = False,
    rng: np.random.Generator,
) -> Interval:
    """Mean over seeds with its interval: Student-t below 20 values, bootstrap (BCa) from 20 on.

    Args:
        values: one value per seed, shape (seeds,); NaN marks seeds where it is not defined.
        level: confidence level in (0, 1).
        count_exposure: for counts and rates, the total exposure in the values' own unit (events in
            all = mean x exposure): thousands of steps for rates per 1k steps, number of runs for
            totals per run. Where events are rare the interval then covers the exact Poisson
            interval too, and where there are none it reaches to the one-sided bound
            ``poisson_upper_bound``, so that neither "0" nor equal small counts ever look certain.
        nonnegative: whether the quantity cannot be negative; its lower end is then clipped at 0.
            Implied by ``count_exposure``.
        rng: generator of the bootstrap.

    Returns:
        The interval. All NaN without values; ends NaN for one value, which says nothing about
        others.
    """
    kept = np.asarray(values, dtype=np.float64).ravel()
    kept = kept[~np.isnan(kept)]
    if not kept.size:
        return UNDEFINED
    mean, low, high = (
        float(part[0]) for part in mean_intervals(kept[None, :], level=level, rng=rng)
    )
    if kept.size > 1 and count_exposure is not None:
        low, high = _cover_poisson(Interval(mean, low, high), count_exposure, level)
    if nonnegative or count_exposure is not None:
        low = low if np.isnan(low) else max(low, 0.0)
    return Interval(mean, low, high)


def mean_intervals(
    values: Floats, *, level: float = LEVEL, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """Means of many rows at once, each with its interval, as ``mean_interval`` defines it.

    Args:
        values: shape (rows, seeds), without NaN.
        level: confidence level in (0, 1).
        rng: generator of the bootstrap; all rows share the same resamples.

    Returns:
        Means, low and high ends, each of shape (rows,); ends are NaN for one seed.

    Raises:
        UsageError: if the level is not in (0, 1) or ``values`` has not two axes.
    """
    if not 0.0 < level < 1.0:
        raise UsageError(f"level must lie between 0 and 1, got {level!r}")
    if values.ndim != 2:
        raise UsageError(f"values must have shape (rows, seeds), got {values.shape}")
    rows, seeds = values.shape
    means = np.asarray(values.mean(axis=1))
    if seeds < 2:
        return means, np.full(rows, np.nan), np.full(rows, np.nan)
    if seeds < BOOTSTRAP_SEEDS:
        error = values.std(axis=1, ddof=1) / np.sqrt(seeds)
        reach = error * float(scipy.stats.t.ppf((1.0 + level) / 2.0, seeds - 1))
        return means, means - reach, means + reach
    low, high = means.copy(), means.copy()
    varying = np.ptp(values, axis=1) > 0.0
    if varying.any():
        # Rows share resamples (paired by seed), which keeps memory at RESAMPLES x rows x seeds.
        found = scipy.stats.bootstrap(
            (values[varying],),
            np.mean,
            axis=1,
            confidence_level=level,
            n_resamples=RESAMPLES,
            method="BCa",
            rng=rng,
        ).confidence_interval
        low[varying], high[varying] = found.low, found.high
    return means, low, high


def poisson_upper_bound(exposure: float, *, level: float = LEVEL) -> float:
    """Exact upper bound of a rate after no event in ``exposure``: -ln(1 - level) / exposure.

    One-sided, since nothing lies below 0: at 95 % the "rule of three", 3.00 / exposure.
    """
    if not exposure > 0.0:
        return float("nan")
    return float(-np.log1p(-level) / exposure)


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


def paired_difference(
    first: ArrayLike, second: ArrayLike, *, level: float = LEVEL, rng: np.random.Generator
) -> Interval:
    """Mean of ``first - second`` over equal seeds with its interval (see ``mean_interval``).

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


def kaplan_meier_median(times: ArrayLike, reached: ArrayLike, *, level: float = LEVEL) -> Interval:
    """Median time to an event that some seeds never reached (Kaplan & Meier 1958).

    The median is the first time at which at most half are still waiting; its interval (Brookmeyer &
    Crowley 1982) is where the log-log band of the survival curve crosses one half.

    Args:
        times: time of the event, or at which watching ended, shape (seeds,), >= 0.
        reached: whether the event happened, shape (seeds,), boolean.
        level: confidence level in (0, 1).

    Returns:
        Median and ends; NaN where the curve or its band never comes down to one half ("not
        reached", "not bounded"), and ends NaN for one seed.

    Raises:
        UsageError: if ``times`` and ``reached`` differ in length.
    """
    at, event = np.asarray(times, dtype=np.float64), np.asarray(reached, dtype=np.bool_)
    if at.shape != event.shape:
        raise UsageError(f"times and reached differ in length: {at.size} and {event.size}")
    if not event.any():
        return UNDEFINED
    curve = scipy.stats.ecdf(scipy.stats.CensoredData(at[event], right=at[~event])).sf
    median = _first_at_most_half(curve.quantiles, curve.probabilities)
    if at.size < 2:
        return Interval(median, float("nan"), float("nan"))
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        # The band is undefined where nobody waits any more; such ends count as "not bounded".
        warnings.simplefilter("ignore", RuntimeWarning)
        band = curve.confidence_interval(level, method="log-log")
    low = _first_at_most_half(curve.quantiles, band.low.probabilities)
    return Interval(median, low, _first_at_most_half(curve.quantiles, band.high.probabilities))


def _first_at_most_half(times: Floats, survival: Floats) -> float:
    below = np.nan_to_num(survival, nan=1.0) <= 0.5
    return float(times[int(below.argmax())]) if below.any() else float("nan")


def _cover_poisson(found: Interval, exposure: float, level: float) -> tuple[float, float]:
    """Widens ``found`` to the exact Poisson interval (Garwood 1936) where events are rare."""
    events = found.mean * exposure
    if not exposure > 0.0 or events > RARE_EVENTS:
        return found.low, found.high
    if events == 0.0:
        return 0.0, poisson_upper_bound(exposure, level=level)
    tail = (1.0 - level) / 2.0
    low = float(scipy.stats.gamma.ppf(tail, events)) / exposure
    high = float(scipy.stats.gamma.ppf(1.0 - tail, events + 1.0)) / exposure
    return min(found.low, low), max(found.high, high)
