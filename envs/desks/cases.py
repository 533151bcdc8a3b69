"""What desks share: their queue, and the normal deviates of a case."""

import numpy as np
from scipy.special import ndtri

from looplab.envs.core import BoolArray, FloatArray, IntArray

START_QUEUE = 3
QUEUE_CAP = 10
#: Reward per step for each case that waits.
QUEUE_REWARD = -0.02
#: No normal deviate of a draw of 53 bits lies beyond this: the quantiles of 2^-54 and 1 - 2^-53
#: are +-8.3.
DEVIATE_BOUND = 8.5
#: A draw of exactly 0 has no normal quantile; this is half of the smallest draw above 0.
_SMALLEST_DRAW = 2.0**-54


def normals(draws: FloatArray) -> FloatArray:
    """Standard normal deviates of uniform draws, same shape."""
    deviates: FloatArray = ndtri(np.maximum(draws, _SMALLEST_DRAW))
    return deviates


def queue_after(queue: IntArray, closed: BoolArray, arrivals: BoolArray) -> IntArray:
    """The queue when a case was closed and others arrived, at most ``QUEUE_CAP``, (n,)."""
    return np.minimum(queue - closed + arrivals, QUEUE_CAP)
