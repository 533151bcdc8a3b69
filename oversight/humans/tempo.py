"""How long an answer takes: lognormal times, named by their median and 95th percentile."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import ndtri

from looplab.envs.compiled import compiled
from looplab.envs.core import FloatArray
from looplab.envs.errors import UsageError, within
from looplab.oversight.humans.normal import quantile

_Z95 = float(ndtri(0.95))
#: What a draw of 0 counts as.
_LEAST_DRAW = 2.0**-53


@compiled
def _times(draws: Any, median: float, sigma: float, out: Any) -> None:
    """Lognormal times of uniform draws, (n,)."""
    for place in range(len(draws)):
        out[place] = median * math.exp(sigma * quantile(max(draws[place], _LEAST_DRAW)))


@dataclass(frozen=True)
class Tempo:
    """Lognormal response times (Luce 1986, "Response Times").

    Attributes:
        median: seconds that half of the answers take at most, above 0.
        p95: seconds that 95 % take at most, at least the median; equal to it: always the same.
    """

    median: float = 5.0
    p95: float = 5.0

    def __post_init__(self) -> None:
        """Checks the order of the two."""
        within("median", self.median, np.finfo(np.float64).tiny)
        within("p95", self.p95, np.finfo(np.float64).tiny)
        if self.p95 < self.median:
            raise UsageError(f"p95 must be at least the median, {self.median:g}; got {self.p95:g}")

    @cached_property
    def sigma(self) -> float:
        """Standard deviation of the logarithm."""
        return math.log(self.p95 / self.median) / _Z95

    @property
    def mean(self) -> float:
        """Expected seconds."""
        return self.median * math.exp(self.sigma**2 / 2.0)

    def seconds(self, draws: FloatArray) -> FloatArray:
        """Times from uniform draws in [0, 1), of the same shape; the draw 0 counts as 2^-53."""
        if self.p95 == self.median:
            return np.full(draws.shape, self.median)
        times = np.empty(draws.size)
        flat = draws if draws.ndim == 1 else draws.reshape(-1)
        _times(flat, float(self.median), self.sigma, times)
        return times if draws.ndim == 1 else times.reshape(draws.shape)
