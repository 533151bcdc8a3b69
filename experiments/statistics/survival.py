"""Times to an event that some seeds never reached: Kaplan-Meier curve and median."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from looplab.envs.errors import UsageError
from looplab.experiments.statistics.intervals import (
    LEVEL,
    UNDEFINED,
    Floats,
    Interval,
    normal_reach,
)


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

    def median(self) -> Interval:
        """First time at which at most half are still waiting, with where the band does so."""
        survival, low, high = (
            _first_at_most_half(self.times, side) for side in (self.survival, self.low, self.high)
        )
        return Interval(survival, low, high)


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
    Crowley 1982) is where the log-log band of the survival curve crosses one half.

    Args:
        times: time of the event, or at which watching ended, shape (seeds,), >= 0.
        reached: whether the event happened, shape (seeds,), boolean.
        level: confidence level in (0, 1).

    Returns:
        Median and ends; NaN where the curve or its band never comes down to one half ("not
        reached", "not bounded"), and ends NaN for one seed.

    Raises:
        UsageError: as ``survival_curve``.
    """
    curve = survival_curve(times, reached, level=level)
    if not curve.times.size:
        return UNDEFINED
    found = curve.median()
    return found if np.size(times) > 1 else Interval(found.mean, float("nan"), float("nan"))


def _first_at_most_half(times: Floats, survival: Floats) -> float:
    # Where nobody waits any more the band is undefined, and so its end is not bounded.
    below = np.nan_to_num(survival, nan=1.0) <= 0.5
    return float(times[int(below.argmax())]) if below.any() else float("nan")
