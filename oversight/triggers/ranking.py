"""Where a score stands among the last ones."""

import math

import numpy as np

from looplab.envs.core import FloatArray

#: The window is sorted anew once this share of it is new.
_REFRESHED = 1.0 / 16.0


class Ranking:
    """A sliding window of scores, and the rank of others among them.

    Args:
        window: scores that are kept, at least 1.
    """

    def __init__(self, window: int) -> None:
        self._scores = np.zeros(window)
        self._added = 0
        self._fresh = 0
        self._sorted = np.zeros(0)

    def add(self, scores: FloatArray) -> None:
        """Takes in some scores, shape (m,); NaN counts as the highest."""
        window = len(self._scores)
        self._scores[(self._added + np.arange(len(scores))) % window] = scores
        self._added += len(scores)
        self._fresh += len(scores)
        kept = min(self._added, window)
        if self._fresh > _REFRESHED * kept:
            self._sorted = np.sort(self._scores[:kept])
            self._fresh = 0

    def rank(self, scores: FloatArray, draws: FloatArray) -> FloatArray:
        """Share of the window that lies above each score, in [0, 1), shape (n,).

        Among equals the draw decides, a uniform in [0, 1) per lane, so that the rank of one more
        score from the same source is uniform too (Vovk, Gammerman & Shafer 2005, smoothed p-value).
        """
        above = len(self._sorted) - np.searchsorted(self._sorted, scores, side="right")
        equal = len(self._sorted) - above - np.searchsorted(self._sorted, scores, side="left")
        ranks: FloatArray = (above + draws * (equal + 1)) / (len(self._sorted) + 1)
        return ranks

    def quantile(self, level: float) -> float:
        """The score that about this share of the window reaches; NaN of an empty one."""
        if not len(self._sorted):
            return math.nan
        place = int((1.0 - level) * len(self._sorted))
        return float(self._sorted[min(max(place, 0), len(self._sorted) - 1)])
