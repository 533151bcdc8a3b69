"""The bad end of what seeds did: conditional value at risk and the worst seed."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from looplab.envs.errors import UsageError, choice
from looplab.experiments.statistics.intervals import Floats

#: Which end is bad: the low one of returns, the high one of harm.
ENDS = ("low", "high")


def conditional_value_at_risk(values: ArrayLike, share: float, *, worst: str) -> float:
    """Mean of the worst ``share`` of values (Rockafellar & Uryasev 2000).

    Where the share is no whole number of values, the last one counts in part: the worst 0.25 of
    five values are one whole value and a quarter of the next. A share below one value is the worst.

    Args:
        values: shape (seeds,), or of any shape, which is then one sample; without NaN.
        share: in (0, 1]; 1 is the mean.
        worst: ``low`` where more is better, ``high`` for harm.

    Raises:
        UsageError: if there is no value or one is NaN, the share is none, or ``worst`` is neither.
    """
    ordered = _worst_first(values, worst)
    if not 0.0 < share <= 1.0:
        raise UsageError(f"share must lie above 0 and up to 1, got {share!r}")
    parts = np.clip(share * ordered.size - np.arange(ordered.size), 0.0, 1.0)
    return float(ordered @ parts / parts.sum())


def worst_seed(values: ArrayLike, seeds: Sequence[int], *, worst: str) -> tuple[int, float]:
    """The seed that did worst, and its value; the first of several.

    Args:
        values: shape (seeds,), without NaN.
        seeds: their names, in the same order.
        worst: as in ``conditional_value_at_risk``.

    Raises:
        UsageError: as there, and if there are not as many seeds as values.
    """
    value = float(_worst_first(values, worst)[0])
    found = np.asarray(values, dtype=np.float64)
    if found.shape != (len(seeds),):
        raise UsageError(f"every value needs its seed, got {found.size} and {len(seeds)}")
    return seeds[int(np.flatnonzero(found == value)[0])], value


def _worst_first(values: ArrayLike, worst: str) -> Floats:
    choice("worst", worst, ENDS)
    found = np.asarray(values, dtype=np.float64).ravel()
    if not found.size or np.isnan(found).any():
        raise UsageError(f"there must be values, none of them NaN, got {values!r}")
    ordered = np.sort(found)
    return ordered if worst == "low" else ordered[::-1]
