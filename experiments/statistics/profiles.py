"""Performance profiles: the share of runs that score above each of many thresholds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from looplab.envs.errors import UsageError
from looplab.experiments.statistics.counts import proportion_interval
from looplab.experiments.statistics.intervals import LEVEL, Floats, table


@dataclass(frozen=True)
class Profile:
    """A run-score distribution, each array of shape (thresholds,).

    Attributes:
        thresholds: scores, as they were given.
        share: of all runs of all tasks, those that score above.
        low: lower ends of the pointwise band.
        high: upper ends.
    """

    thresholds: Floats
    share: Floats
    low: Floats
    high: Floats


def performance_profile(
    scores: ArrayLike, thresholds: ArrayLike, *, level: float = LEVEL
) -> Profile:
    """Score distribution over runs x tasks with a pointwise band (Agarwal et al. 2021).

    The band is Clopper & Pearson's (1934) for all runs together. It is exact for one task, and too
    wide rather than too narrow for several, since chances that differ between tasks make the number
    of successes vary less (Hoeffding 1956). Nothing is resampled.

    Args:
        scores: shape (runs, tasks) or (runs,), on one scale for all tasks.
        thresholds: shape (thresholds,); a run counts where it scores more.
        level: confidence level in (0, 1) of each point by itself.

    Raises:
        UsageError: if the scores are no table, thresholds are not finite, or the level is none.
    """
    found = table(scores)
    at = np.asarray(thresholds, dtype=np.float64)
    if at.ndim != 1 or not np.isfinite(at).all():
        raise UsageError(f"thresholds must be finite numbers in a row, got {thresholds!r}")
    above = (found.ravel()[None, :] > at[:, None]).sum(axis=1)
    band = [proportion_interval(int(count), found.size, level=level) for count in above]
    share, low, high = np.array(band).reshape(-1, 3).T
    return Profile(at, share, low, high)
