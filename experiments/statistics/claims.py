"""Several claims at once: Holm's correction."""

import numpy as np
from numpy.typing import ArrayLike

from looplab.envs.errors import UsageError
from looplab.experiments.statistics.intervals import Floats


def holm(p_values: ArrayLike) -> Floats:
    """P-values corrected for being a family (Holm 1979), in the order given.

    A claim whose corrected value is at most 0.05 holds with a chance of at most 5 % that any claim
    of the family holds wrongly, however the claims depend on each other.

    Args:
        p_values: shape (claims,), each in [0, 1].

    Returns:
        Corrected values, shape (claims,), in [0, 1].

    Raises:
        UsageError: if a value is no probability.
    """
    values = np.asarray(p_values, dtype=np.float64)
    if values.ndim != 1 or not np.all((values >= 0.0) & (values <= 1.0)):
        raise UsageError(f"p-values must be probabilities in a row, got {p_values!r}")
    order = np.argsort(values, kind="stable")
    remaining = np.arange(values.size, 0, -1)
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(np.maximum.accumulate(values[order] * remaining), 1.0)
    return corrected
