"""Probability of improvement: how often a run of one regime beats a run of another."""

from typing import Literal

import numpy as np
import scipy.optimize
import scipy.stats
from numpy.typing import ArrayLike

from looplab.envs.errors import UsageError
from looplab.experiments.statistics.intervals import LEVEL, Floats, Interval, checked_level, table

_SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")
#: A share nearer to 0 or 1 than this is 0 or 1.
_NEXT = 1e-9


def probability_of_improvement(
    first: ArrayLike, second: ArrayLike, *, level: float = LEVEL
) -> Interval:
    """Chance that a run of ``first`` scores higher than one of ``second``, averaged over tasks.

    Ties count half (Agarwal et al. 2021; Mann & Whitney 1947). Each task's interval is Newcombe's
    fifth (2006, part 2), which does not collapse where one regime always wins, with Student's
    quantile for the smaller side in place of the normal one, which covers too little below 20 runs;
    over tasks they combine by recovered variances (Zou & Donner 2008). Nothing is resampled.
    Seeds are not taken as pairs: what pairs share makes the interval a little too wide.

    Args:
        first: shape (runs, tasks) or (runs,).
        second: the other regime's scores, shape (other runs, tasks): the same tasks in order.
        level: confidence level in (0, 1).

    Returns:
        The interval, within [0, 1]; ends NaN where a side has one run. For harm, fewer is better:
        improvement is then 1 minus this.

    Raises:
        UsageError: if one is no table, their tasks differ in number, or the level is none.
    """
    left, right = table(first, "first"), table(second, "second")
    if left.shape[1] != right.shape[1]:
        raise UsageError(f"both need the same tasks, got {left.shape[1]} and {right.shape[1]}")
    seeds = min(len(left), len(right))
    shares = np.array([_share(*columns) for columns in zip(left.T, right.T, strict=True)])
    mean = float(shares.mean())
    tail = (1.0 - checked_level(level)) / 2.0
    if seeds < 2:
        return Interval(mean, float("nan"), float("nan"))
    reach = float(scipy.stats.t.isf(tail, seeds - 1))
    ends = np.array([_newcombe(share, len(left), len(right), reach) for share in shares])
    below, above = (np.sqrt(((shares - side) ** 2).sum()) / shares.size for side in ends.T)
    return Interval(mean, max(0.0, float(mean - below)), min(1.0, float(mean + above)))


def _share(first: Floats, second: Floats) -> float:
    """Share of all pairs in which the first is higher, ties as halves."""
    ordered = np.sort(second)
    below, up_to = (np.searchsorted(ordered, first, side) for side in _SIDES)
    return float((below + up_to).sum()) / (2.0 * first.size * second.size)


def _newcombe(share: float, first: int, second: int, reach: float) -> tuple[float, float]:
    """Shares at ``reach`` standard errors from ``share``, the error being that at the end."""
    weight = (first + second) / 2.0 - 1.0

    def gap(end: float) -> float:
        spread = 1.0 + weight * ((1.0 - end) / (2.0 - end) + end / (1.0 + end))
        error = np.sqrt(end * (1.0 - end) * spread / (first * second))
        return float(abs(end - share) - reach * error)

    # Shares of 0 and 1 have no error: there the ends meet the estimate, which is not their root.
    low = 0.0 if share < _NEXT else scipy.optimize.brentq(gap, 0.0, min(share, 1.0 - _NEXT))
    high = 1.0 if share > 1.0 - _NEXT else scipy.optimize.brentq(gap, max(share, _NEXT), 1.0)
    return float(low), float(high)
