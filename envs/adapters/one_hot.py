"""One-hot observations for environments whose observation is the number of their state."""

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from looplab.envs.errors import UsageError


class OneHot(gym.ObservationWrapper[NDArray[np.float32], Any, Any]):
    """Shows the number of the state as a one-hot float32 vector, which a network learns well from.

    Args:
        env: an environment whose observation space is ``Discrete``.

    Raises:
        UsageError: if it is another one.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        if not isinstance(env.observation_space, gym.spaces.Discrete):
            raise UsageError(f"one-hot needs Discrete observations, got {env.observation_space}")
        self._first = int(env.observation_space.start)
        self._size = int(env.observation_space.n)
        self.observation_space = gym.spaces.Box(0.0, 1.0, (self._size,), np.float32)

    def all_observations(self) -> NDArray[np.float32]:
        """One row for each state, (S, S)."""
        return np.eye(self._size, dtype=np.float32)

    def observation(self, observation: Any) -> NDArray[np.float32]:
        """Vector of zeros with a 1 at the state's place."""
        vector = np.zeros(self._size, dtype=np.float32)
        vector[int(observation) - self._first] = 1.0
        return vector
