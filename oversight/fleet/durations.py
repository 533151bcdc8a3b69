"""How long something takes: thinking, reviewing, patience."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from looplab.envs.core import FloatArray
from looplab.envs.errors import finite

#: 95th percentile of the standard normal distribution.
Z95 = 1.6448536269514722
#: Draws that are made together.
_CHUNK = 256


class Duration(Protocol):
    """A distribution of times of at least 0 s."""

    @property
    def mean_seconds(self) -> float:
        """Expected time."""

    def draws(self, rng: np.random.Generator, count: int) -> FloatArray:
        """Independent times in seconds, shape (count,)."""


@dataclass(frozen=True)
class Fixed:
    """Always the same time.

    Attributes:
        seconds: at least 0.
    """

    seconds: float

    def __post_init__(self) -> None:
        """Checks the range."""
        finite("seconds", self.seconds, 0.0)

    @property
    def mean_seconds(self) -> float:
        """The time itself."""
        return self.seconds

    def draws(self, rng: np.random.Generator, count: int) -> FloatArray:
        """The same time ``count`` times; nothing is drawn."""
        return np.full(count, float(self.seconds))


@dataclass(frozen=True)
class Exponential:
    """Exponential times: how long it has lasted says nothing of how long it will.

    Attributes:
        mean_seconds: at least 0.
    """

    mean_seconds: float

    def __post_init__(self) -> None:
        """Checks the range."""
        finite("mean seconds", self.mean_seconds, 0.0)

    def draws(self, rng: np.random.Generator, count: int) -> FloatArray:
        """Independent times in seconds, shape (count,)."""
        return rng.exponential(self.mean_seconds, count)


@dataclass(frozen=True)
class Lognormal:
    """Lognormal times, as people's response times are.

    Attributes:
        median_seconds: above 0.
        p95_seconds: 95th percentile, at least the median.
    """

    median_seconds: float
    p95_seconds: float

    def __post_init__(self) -> None:
        """Checks the ranges."""
        finite("median seconds", self.median_seconds, np.finfo(np.float64).tiny)
        finite("p95 seconds", self.p95_seconds, self.median_seconds)

    @property
    def sigma(self) -> float:
        """Standard deviation of the logarithm."""
        return math.log(self.p95_seconds / self.median_seconds) / Z95

    @property
    def mean_seconds(self) -> float:
        """Expected time: median x exp(sigma^2 / 2)."""
        return self.median_seconds * math.exp(self.sigma**2 / 2.0)

    def draws(self, rng: np.random.Generator, count: int) -> FloatArray:
        """Independent times in seconds, shape (count,)."""
        return self.median_seconds * np.exp(self.sigma * rng.standard_normal(count))


def stream(duration: Duration, rng: np.random.Generator) -> Iterator[float]:
    """Endless times in seconds, drawn many together."""
    while True:
        yield from duration.draws(rng, _CHUNK).tolist()
