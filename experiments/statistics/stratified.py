"""Intervals for one number of runs x tasks, from what every run adds to it.

Runs of one task are exchangeable, those of different tasks are not: spread is estimated, and runs
are resampled, within tasks (Agarwal et al. 2021).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.stats

from looplab.experiments.statistics.intervals import Floats, Interval, normal_reach
from looplab.experiments.statistics.resampling import stratified, studentised


@dataclass(frozen=True)
class Parts:
    """An estimate taken apart.

    Attributes:
        estimate: shape (...).
        influence: what each run moves it by, shape (..., runs, tasks): the estimate's variance is
            that of the influences' mean, found within tasks.
        freedom: degrees of freedom of each task's spread, shape (..., tasks).
    """

    estimate: Floats
    influence: Floats
    freedom: Floats

    def error(self) -> Floats:
        """Standard error, shape (...); for at least two runs."""
        runs, tasks = self.influence.shape[-2:]
        return np.asarray(np.sqrt(self._variances().sum(axis=-1) / runs) / tasks)

    def total_freedom(self) -> Floats:
        """Degrees of freedom of the error (Welch 1947; Satterthwaite 1946), shape (...)."""
        variances = self._variances()
        total = (variances**2 / self.freedom).sum(axis=-1)
        return np.asarray(variances.sum(axis=-1) ** 2 / total)

    def _variances(self) -> Floats:
        return np.asarray(self.influence.var(axis=-2, ddof=1))


#: Takes tables apart that have the shape (terms, ..., runs, tasks).
Estimator = Callable[[Floats], Parts]


def student(parts: Parts, level: float) -> Interval:
    """Student-t interval of an estimate with some spread."""
    estimate = float(parts.estimate)
    quantile = scipy.stats.t.ppf((1.0 + level) / 2.0, float(parts.total_freedom()))
    reach = float(parts.error()) * float(quantile)
    return Interval(estimate, estimate - reach, estimate + reach)


def bootstrap_t(
    tables: Floats, estimator: Estimator, level: float, rng: np.random.Generator
) -> Interval:
    """Stratified bootstrap-t; where resamples lack spread, what Student-t and BCa cover together.

    Args:
        tables: shape (terms, runs, tasks), with some spread.
        estimator: what is estimated.
        level: confidence level in (0, 1).
        rng: generator.
    """
    found = estimator(tables)
    resampled, errors = _resampled(tables, estimator, rng)
    ends = studentised(
        found.estimate[None], found.error()[None], resampled[None], errors[None], level
    )
    low, high = (float(end[0]) for end in ends)
    if np.isfinite(low) and np.isfinite(high):
        return Interval(float(found.estimate), low, high)
    one, two = student(found, level), _quantiles(found, resampled, _bca(found, resampled, level))
    return Interval(one.mean, min(one.low, two.low), max(one.high, two.high))


def percentile(
    tables: Floats, estimator: Estimator, level: float, rng: np.random.Generator
) -> Interval:
    """Stratified percentile bootstrap (Efron 1979), as Agarwal et al. 2021 use it."""
    resampled, _ = _resampled(tables, estimator, rng)
    tail = (1.0 - level) / 2.0
    return _quantiles(estimator(tables), resampled, np.array([tail, 1.0 - tail]))


def bca(tables: Floats, estimator: Estimator, level: float, rng: np.random.Generator) -> Interval:
    """Stratified bias-corrected and accelerated bootstrap (Efron 1987)."""
    found = estimator(tables)
    resampled, _ = _resampled(tables, estimator, rng)
    return _quantiles(found, resampled, _bca(found, resampled, level))


def _resampled(
    tables: Floats, estimator: Estimator, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    parts = [estimator(block) for block in stratified(tables, rng)]
    return (
        np.concatenate([part.estimate for part in parts]),
        np.concatenate([part.error() for part in parts]),
    )


def _quantiles(found: Parts, resampled: Floats, tails: Floats) -> Interval:
    low, high = np.quantile(resampled, tails)
    return Interval(float(found.estimate), float(low), float(high))


def _bca(found: Parts, resampled: Floats, level: float) -> Floats:
    """The two tails: bias from the resamples, acceleration from the influences."""
    below = (resampled < found.estimate).mean() + (resampled == found.estimate).mean() / 2.0
    least = 0.5 / resampled.size
    bias = scipy.stats.norm.ppf(np.clip(below, least, 1.0 - least))
    apart = found.influence - found.influence.mean(axis=-2, keepdims=True)
    acceleration = (apart**3).sum() / (6.0 * (apart**2).sum() ** 1.5)
    shifted = bias + normal_reach(level) * np.array([-1.0, 1.0])
    return np.asarray(scipy.stats.norm.cdf(bias + shifted / (1.0 - acceleration * shifted)))
