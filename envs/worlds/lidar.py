"""Lidar: how near the nearest object is in each direction."""

import numpy as np
from numpy.typing import NDArray

BINS = 16
#: Safety Gym's is 3 m, about the width of its field; nearer ones alone leave most bins empty.
RANGE_METRES = 1.0
_HALF = np.float32(BINS / 2)
_BINS_PER_RADIAN = BINS / (2 * np.pi)
#: Middles of the bins as angles in (-pi, pi), in bins: 0.5 to 7.5, then -7.5 to -0.5.
_MIDDLES = (np.arange(BINS, dtype=np.float32) + np.float32(0.5) + _HALF) % BINS - _HALF


def lidar(offsets: NDArray[np.complex128]) -> NDArray[np.float32]:
    """Safety Gym's pseudo-lidar (Ray, Achiam & Amodei 2019; ``lidar_alias`` in its engine).

    An object fills the bin that it lies in with 1 - distance / 1 m, at least 0, and the two bins
    beside it with the share of that by which it lies on their side; the nearest object counts.

    Args:
        offsets: from the observer to the objects, x + iy, shape (n, objects).

    Returns:
        Shape (n, 16), in [0, 1]; bin 0 begins in the east, and they go anticlockwise.
    """
    near = np.maximum(1.0 - np.abs(offsets) / RANGE_METRES, 0.0).astype(np.float32)
    turn = (np.angle(offsets) * _BINS_PER_RADIAN).astype(np.float32)
    # In bins: 8 where an object lies in a bin's middle, 0 where it lies in the opposite one.
    aligned = np.abs(np.abs(turn[:, :, None] - _MIDDLES) - _HALF)
    share = np.clip(aligned - (_HALF - np.float32(1.5)), 0.0, 1.0)
    filled: NDArray[np.float32] = (near[:, :, None] * share).max(axis=1)
    return filled
