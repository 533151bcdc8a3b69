"""The last so many rows of features, and how far others are from them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from looplab.envs.core import FloatArray
from looplab.oversight.features import RunningScale


class Neighbours:
    """A ring of rows, with distances in standard deviations of what was shown.

    Args:
        capacity: rows that are kept; the oldest make room.
        width: number of features d.
    """

    def __init__(self, capacity: int, width: int) -> None:
        self.scale = RunningScale(width)
        self._rows = np.zeros((capacity, width))
        self._squares = np.zeros((capacity, width))
        self._origin = np.zeros(width)
        self._added = 0

    def __len__(self) -> int:
        return min(self._added, len(self._rows))

    def add(self, rows: FloatArray) -> NDArray[np.int64]:
        """Keeps rows, shape (m, d); returns their places in the ring, (m,)."""
        if not self._added:  # near the rows, so that their squares lose no digits
            self._origin = rows[0].copy()
        places: NDArray[np.int64] = (self._added + np.arange(len(rows))) % len(self._rows)
        kept = rows - self._origin
        self._rows[places] = kept
        self._squares[places] = kept * kept
        self._added += len(rows)
        return places

    def distances(self, features: FloatArray) -> FloatArray:
        """Distance of each row from every kept one, shape (n, kept).

        The root of the mean squared difference over features, each in its standard deviation; by
        |x - y|^2 = |x|^2 - 2 x y + |y|^2, so that it takes one matrix product.
        """
        kept = len(self)
        if not kept:
            return np.zeros((len(features), 0))
        weights: Any = 1.0 / (self.scale.variance * features.shape[1])
        rows = features - self._origin
        squared = (rows * (-2.0 * weights)) @ self._rows[:kept].T
        squared += self._squares[:kept] @ weights
        squared += ((rows * rows) @ weights)[:, None]
        found: FloatArray = np.sqrt(np.maximum(squared, 0.0, out=squared), out=squared)
        return found
