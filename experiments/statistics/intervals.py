"""What every statistic here speaks of: an estimate with its interval, and tables of scores."""

from typing import NamedTuple

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike, NDArray

from looplab.envs.errors import UsageError

#: Usual confidence level of every interval that is reported.
LEVEL = 0.95

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """An estimate with the ends of its interval; NaN where the data set no value or no bound."""

    mean: float
    low: float
    high: float


UNDEFINED = Interval(float("nan"), float("nan"), float("nan"))


def checked_level(level: float) -> float:
    """Returns a confidence level if it lies in (0, 1).

    Raises:
        UsageError: if it does not.
    """
    if not 0.0 < level < 1.0:
        raise UsageError(f"level must lie between 0 and 1, got {level!r}")
    return level


def normal_reach(level: float) -> float:
    """Standard errors on each side of a normal interval, 1.96 at 0.95."""
    return float(scipy.stats.norm.ppf((1.0 + checked_level(level)) / 2.0))


def table(scores: ArrayLike, name: str = "scores") -> Floats:
    """Scores as an array of shape (runs, tasks); one task may be given as (runs,).

    Raises:
        UsageError: if it has another shape, no entry, or one that is NaN: a run that failed has to
            be repeated or left out of every task, since what stays would no longer be balanced.
    """
    found = np.asarray(scores, dtype=np.float64)
    found = found[:, None] if found.ndim == 1 else found
    if found.ndim != 2 or not found.size:
        raise UsageError(f"{name} must have shape (runs, tasks), got {np.shape(scores)}")
    holes = np.argwhere(~np.isfinite(found))
    if holes.size:
        run, task = holes[0]
        raise UsageError(
            f"{name} must be finite, got {found[run, task]} for run {run}, task {task}"
        )
    return found


def paired_tables(first: ArrayLike, second: ArrayLike) -> tuple[Floats, Floats]:
    """Two tables of the same runs and tasks in the same order.

    Raises:
        UsageError: if their shapes differ, or one of them is no table.
    """
    left, right = table(first, "first"), table(second, "second")
    if left.shape != right.shape:
        raise UsageError(
            f"paired values need equal runs and tasks, got {left.shape} and {right.shape}"
        )
    return left, right
