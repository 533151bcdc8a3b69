"""What the agent sees, as flat numbers on a common scale."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from looplab.envs.core import FloatArray, Observations
from looplab.envs.errors import UsageError

#: Numbers for observations (n, ...), shape (n, d).
FeatureFunction = Callable[[Observations], Any]

#: A feature that has hardly varied counts as if it had this share of the mean variance.
_LEAST_SHARE = 1e-6
_LEAST_VARIANCE = 1e-10
#: Standard deviations beyond which a standardised feature is cut off.
CLIP = 5.0


class Features:
    """Features of observations: one-hot where these are numbers of states, else flattened.

    Args:
        space: of one lane's observations.
        function: what to use instead; None: the default.

    Raises:
        UsageError: if there is no function and the observations are no plain array.
    """

    def __init__(self, space: gym.Space[Any], function: FeatureFunction | None = None) -> None:
        if function is None and not isinstance(space, gym.spaces.Box | gym.spaces.Discrete):
            raise UsageError(
                f"observations of {space} have no features of their own; pass features=, a "
                "function of observations"
            )
        self._space = space
        self._function = function

    def __call__(self, observations: Observations) -> FloatArray:
        """Features, shape (n, d).

        Raises:
            UsageError: if the function's answer does not have a row of finite numbers per lane.
        """
        if self._function is not None:
            found = np.asarray(self._function(observations), dtype=np.float64)
            if found.ndim != 2 or len(found) != len(observations) or not np.isfinite(found).all():
                raise UsageError(
                    f"features must be finite and of shape ({len(observations)}, d), got shape "
                    f"{found.shape}"
                )
            return found
        if isinstance(self._space, gym.spaces.Discrete):
            states = np.arange(self._space.start, self._space.start + self._space.n)
            observations = observations[:, None] == states
        flat: FloatArray = observations.reshape(len(observations), -1).astype(np.float64)
        return flat


class RunningScale:
    """Mean and variance of features over everything shown (Chan, Golub & LeVeque 1983).

    Args:
        width: number of features d.
    """

    def __init__(self, width: int) -> None:
        self.count = 0
        self.mean = np.zeros(width)
        self._squares = np.zeros(width)

    def see(self, features: FloatArray) -> None:
        """Takes in some rows, shape (n, d)."""
        mean = features.mean(axis=0)
        shift = mean - self.mean
        total = self.count + len(features)
        self._squares += np.square(features - mean).sum(axis=0)
        self._squares += np.square(shift) * (self.count * len(features) / total)
        self.mean += shift * (len(features) / total)
        self.count = total

    @property
    def variance(self) -> FloatArray:
        """Variance of each feature, above 0 also where it never varied, shape (d,)."""
        variance = self._squares / max(self.count, 1)
        least: FloatArray = variance + (_LEAST_SHARE * variance.mean() + _LEAST_VARIANCE)
        return least

    def standard(self, features: FloatArray) -> FloatArray:
        """Features in standard deviations from their mean, cut off at ``CLIP``, shape (n, d)."""
        scaled = (features - self.mean) / np.sqrt(self.variance)
        return np.clip(scaled, -CLIP, CLIP, out=scaled)
