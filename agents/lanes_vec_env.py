"""Lanes as a Stable-Baselines3 VecEnv."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import VecEnv

from looplab.envs.core import Actions, Lanes, Observations
from looplab.envs.errors import UsageError

_SEED_RANGE = 2**31


class LanesVecEnv(VecEnv):
    """All lanes of a task as a VecEnv with same-step autoreset.

    ``infos`` hold ``cost`` at every step and, at episode ends, ``terminal_observation``,
    ``TimeLimit.truncated`` and ``is_success``. Under ``OverseenVecEnv`` the arrays of ``lanes`` are
    used directly.

    Args:
        lanes: the task.
    """

    def __init__(self, lanes: Lanes) -> None:
        self.lanes = lanes
        self.render_mode = None
        super().__init__(lanes.num_lanes, lanes.observation_space, lanes.action_space)
        self._actions: Actions | None = None
        self._seeded = False

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Lane i draws from ``seed + i`` from the next reset on."""
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1)[0]) % _SEED_RANGE
        self.lanes.reseed(seed)
        self._seeded = True
        return [seed + lane for lane in range(self.num_envs)]

    def reset(self) -> Observations:
        """Begins an episode in every lane."""
        if not self._seeded:
            self.seed()
        return self.lanes.reset().copy()

    def step_async(self, actions: Actions) -> None:
        """Takes the actions of all lanes."""
        self._actions = actions

    def step_wait(self) -> tuple[Observations, Any, Any, list[dict[str, Any]]]:
        """Runs the actions; lanes that are done have begun anew in what is returned."""
        if self._actions is None:
            raise UsageError("step_wait() was called without step_async()")
        step = self.lanes.step(np.asarray(self._actions))
        self._actions = None
        done = step.terminated | step.truncated
        infos: list[dict[str, Any]] = [{"cost": cost} for cost in step.cost.tolist()]
        observation = step.observation
        if np.count_nonzero(done):
            truncated = step.truncated & ~step.terminated
            for lane in np.flatnonzero(done).tolist():
                info = infos[lane]
                info["terminal_observation"] = step.observation[lane].copy()
                info["TimeLimit.truncated"] = truncated.item(lane)
                success = step.success.item(lane)
                if not math.isnan(success):
                    info["is_success"] = bool(success)
            observation = self.lanes.reset(done)
        return observation.copy(), step.reward.astype(np.float32), done, infos

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Attribute of the lanes, once per lane; ``render_mode`` is this face's own."""
        owner: Any = self if attr_name == "render_mode" else self.lanes
        return [getattr(owner, attr_name)] * len(self._lanes_of(indices))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refuses: lanes share their attributes."""
        raise UsageError(f"{attr_name} cannot be set: lanes share their attributes")

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> list[Any]:
        """Refuses: lanes are not environments of their own."""
        raise UsageError(f"{method_name}() cannot be called on a lane; use .lanes")

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: Any = None
    ) -> list[bool]:
        """No lane is wrapped."""
        return [False] * len(self._lanes_of(indices))

    def close(self) -> None:
        """Closes the environments of lanes that are made of some."""
        for env in getattr(self.lanes, "envs", ()):
            env.close()

    def get_images(self) -> Sequence[Any]:
        """Draws every lane."""
        return [self.lanes.render(lane, "rgb_array") for lane in range(self.num_envs)]

    def _lanes_of(self, indices: int | Iterable[int] | None) -> list[int]:
        if indices is None:
            return list(range(self.num_envs))
        return [indices] if isinstance(indices, int) else list(indices)
