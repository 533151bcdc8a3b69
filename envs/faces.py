"""Gymnasium's two faces of native lanes: one environment, and a vector of them."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector.utils import batch_space

from looplab.envs.core import Actions, FloatArray, Lanes, Observations, RiskSource
from looplab.envs.errors import UsageError, choice
from looplab.envs.native import NativeLanes

RENDER_MODES = ("ansi", "rgb_array")
RENDER_FPS = 4


def _check_render_mode(render_mode: str | None) -> str | None:
    return None if render_mode is None else choice("render_mode", render_mode, RENDER_MODES)


class LaneEnv(gym.Env[Any, Any]):
    """One lane of a native task as a ``gymnasium.Env``.

    The random stream is keyed by the seed of the last seeded reset and the number of resets since,
    so that it equals lane i of a batch whose seed is i less. ``info`` holds ``cost``, its
    parts by kind (``cost_<kind>``) and ``catastrophe`` at every step, whatever else the task
    tells (``details``), and, at the end, ``is_success`` where the task defines it.

    Args:
        lanes: the task, with exactly one lane.
        render_mode: ``ansi``, ``rgb_array`` or None.
    """

    metadata = {"render_modes": list(RENDER_MODES), "render_fps": RENDER_FPS}  # noqa: RUF012

    def __init__(self, lanes: Lanes, render_mode: str | None = None) -> None:
        if lanes.num_lanes != 1:
            raise UsageError(f"a single environment has one lane, got {lanes.num_lanes}")
        self.lanes = lanes
        self.observation_space = lanes.observation_space
        self.action_space = lanes.action_space
        self.render_mode = _check_render_mode(render_mode)
        self._seeded = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """Begins an episode; with a seed, the first one of that seed's stream."""
        super().reset(seed=seed)
        if seed is None and not self._seeded:
            seed = int(self.np_random.integers(2**31))
        if seed is not None:
            self.lanes.reseed(seed)
            self._seeded = True
        return self.lanes.reset()[0].copy(), {}

    def step(self, action: Any) -> tuple[Observations, float, bool, bool, dict[str, Any]]:
        """Runs one action; harm is ``info["cost"]``."""
        step = self.lanes.step(np.asarray(action)[None])
        info: dict[str, Any] = {
            "cost": float(step.cost[0]),
            "catastrophe": bool(step.catastrophe[0]),
        }
        info |= {name: values[0].item() for name, values in self.lanes.details().items()}
        if not np.isnan(step.success[0]):
            info["is_success"] = bool(step.success[0])
        return (
            step.observation[0].copy(),
            float(step.reward[0]),
            bool(step.terminated[0]),
            bool(step.truncated[0]),
            info,
        )

    def redraw(self, seed: int) -> None:
        """Draws the rest of the episode from another seed, in the same state."""
        if not isinstance(self.lanes, NativeLanes):
            raise UsageError(f"{type(self.lanes).__name__} cannot be redrawn")
        self.lanes.redraw(seed)

    def offers(self, what: str) -> bool:
        """Whether a risk (by its source), ``hold``, ``correction`` or ``potential`` is known."""
        return self.lanes.offers(what)

    def risk_table(self, source: RiskSource) -> FloatArray | None:
        """Risk of every action in the present state, shape (A,); None if it is not known."""
        table = self.lanes.risk_table(source)
        return None if table is None else table[0]

    def risk_of(self, source: RiskSource, action: Any) -> float | None:
        """Risk of one action in the present state; None if it is not known."""
        risk = self.lanes.risk_of(source, np.asarray(action)[None])
        return None if risk is None else float(risk[0])

    def least_risk(self, source: RiskSource) -> float | None:
        """Risk of the safest action in the present state; None if it is not known."""
        risk = self.lanes.least_risk(source)
        return None if risk is None else float(risk[0])

    def hold(self) -> Any | None:
        """The action that does nothing now; None if the task has none."""
        hold = self.lanes.hold()
        return None if hold is None else hold[0]

    def note_refused(self, refused: bool) -> None:
        """Tells the task that a human refused what is proposed now."""
        self.lanes.note_refusals(np.array([refused]))

    def correction(self) -> Any | None:
        """The action that a perfect overseer would take now; None if none is known."""
        correction = self.lanes.correction()
        return None if correction is None else correction[0]

    def potential(self) -> float | None:
        """Potential of the present state; None if the task has none."""
        potential = self.lanes.potential()
        return None if potential is None else float(potential[0])

    def render(self) -> Any:
        """Draws the state as ``render_mode`` asks."""
        return None if self.render_mode is None else self.lanes.render(0, self.render_mode)


class LaneVectorEnv(gym.vector.VectorEnv[Any, Any, Any]):
    """All lanes of a native task as a ``gymnasium.vector.VectorEnv`` with same-step autoreset.

    ``infos`` hold ``cost``, ``catastrophe`` and the task's ``details`` as arrays of shape (n,), and
    at episode ends
    ``final_obs`` with the mask ``_final_obs``.

    Args:
        lanes: the task.
        render_mode: ``ansi``, ``rgb_array`` or None.
    """

    def __init__(self, lanes: Lanes, render_mode: str | None = None) -> None:
        self.lanes = lanes
        self.num_envs = lanes.num_lanes
        self.render_mode = _check_render_mode(render_mode)
        self.metadata = {
            "render_modes": list(RENDER_MODES),
            "render_fps": RENDER_FPS,
            "autoreset_mode": gym.vector.AutoresetMode.SAME_STEP,
        }
        self.single_observation_space = lanes.observation_space
        self.single_action_space = lanes.action_space
        self.observation_space = batch_space(lanes.observation_space, self.num_envs)
        self.action_space = batch_space(lanes.action_space, self.num_envs)
        self._seeded = False

    def reset(
        self,
        *,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observations, dict[str, Any]]:
        """Begins an episode in every lane; lane i draws from ``seed + i``."""
        if isinstance(seed, list):
            first = seed[0]
            if first is None or seed != [first + lane for lane in range(self.num_envs)]:
                raise UsageError(f"seeds of lanes must be consecutive whole numbers, got {seed}")
            seed = first
        super().reset(seed=seed)
        if seed is None and not self._seeded:
            seed = int(self.np_random.integers(2**31))
        if seed is not None:
            self.lanes.reseed(seed)
            self._seeded = True
        return self.lanes.reset().copy(), {}

    def step(self, actions: Actions) -> tuple[Observations, FloatArray, Any, Any, dict[str, Any]]:
        """Runs one action per lane; lanes that are done have begun anew in what is returned."""
        step = self.lanes.step(np.asarray(actions))
        infos: dict[str, Any] = {"cost": step.cost, "catastrophe": step.catastrophe}
        infos |= self.lanes.details()
        done = step.terminated | step.truncated
        observation = step.observation
        if done.any():
            final = np.full(self.num_envs, None, dtype=object)
            for lane in np.flatnonzero(done):
                final[lane] = step.observation[lane].copy()
            infos |= {"final_obs": final, "_final_obs": done}
            if not np.isnan(step.success).all():
                infos["is_success"] = step.success == 1.0
            observation = self.lanes.reset(done)
        return observation.copy(), step.reward, step.terminated, step.truncated, infos

    def render(self) -> tuple[Any, ...]:
        """Draws every lane as ``render_mode`` asks."""
        if self.render_mode is None:
            return tuple(None for _ in range(self.num_envs))
        return tuple(self.lanes.render(i, self.render_mode) for i in range(self.num_envs))
