"""Lanes made of Gymnasium environments, in this process."""

import copy
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from looplab.envs.actions import checked_actions
from looplab.envs.annotated import Annotated, name_of
from looplab.envs.copies import copied
from looplab.envs.core import Actions, BoolArray, FloatArray, Lanes, Observations, RiskSource, Step
from looplab.envs.errors import EnvironmentFault, UsageError, wrong_shape
from looplab.envs.streams import checked_seed

_EPISODE_SEED_BITS = 31


class GymLanes(Lanes):
    """Speaks to n Gymnasium environments as to one batched task.

    Args:
        envs: the environments, of equal spaces, each with ``info["cost"]`` (see ``Annotated``).
        threshold: mean task return that counts as learned; NaN if none is stated.
        episode_seeds: seed every episode from (seed + lane, episode), so that episodes pair across
            regimes. If False, a lane is seeded once and its own generator runs on, as Gymnasium
            has it.
        actions: names of discrete actions; default those of a native task, if it is one.
    """

    def __init__(
        self,
        envs: Sequence[gym.Env[Any, Any]],
        *,
        threshold: float = float("nan"),
        episode_seeds: bool = False,
        actions: Sequence[str] = (),
    ) -> None:
        if not envs:
            raise UsageError("at least one environment is needed")
        self.envs = [e if isinstance(e, Annotated) else Annotated(e) for e in envs]
        self.num_lanes = len(envs)
        self.observation_space = envs[0].observation_space
        self.action_space = envs[0].action_space
        self.threshold = threshold
        self.episode_seeds = episode_seeds
        task = getattr(envs[0].unwrapped, "lanes", None)
        self.ACTIONS = tuple(actions) or tuple(getattr(task, "ACTIONS", ()))
        self._results: list[Any] = [None] * self.num_lanes
        self.infos: list[dict[str, Any]] = [{} for _ in envs]
        self.reseed(0)

    def __deepcopy__(self, memo: dict[int, Any]) -> "GymLanes":
        """A copy in the same state, its environments copied as ``fork`` copies them."""
        twin = memo[id(self)] = object.__new__(type(self))
        for name, value in vars(self).items():
            if name == "envs":
                twin.envs = [copied(env, name_of(env)) for env in self.envs]
            else:
                setattr(twin, name, copy.deepcopy(value, memo))
        return twin

    def reseed(self, seed: int) -> None:
        """Lane i draws from ``seed + i`` from the next reset on, beginning with episode 0."""
        self.seed = checked_seed(seed)
        self.episode = np.full(self.num_lanes, -1, dtype=np.int64)
        self.elapsed = np.zeros(self.num_lanes, dtype=np.int64)

    def reset(self, mask: BoolArray | None = None) -> Observations:
        """Begins a new episode in the masked lanes (all by default); returns all observations."""
        lanes = range(self.num_lanes) if mask is None else np.flatnonzero(mask)
        for lane in lanes:
            self.reset_lane(int(lane), self._next_seed(int(lane)))
        self.observation = self._stacked()
        return self.observation

    def reset_lane(
        self, lane: int, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begins an episode in one lane; returns its own observation and info."""
        observation, info = self.envs[lane].reset(seed=seed, options=options)
        self.episode[lane] += 1
        self.elapsed[lane] = 0
        self._results[lane] = observation
        self.observation = self._stacked()
        return observation, info

    def _next_seed(self, lane: int) -> int | None:
        episode = int(self.episode[lane]) + 1
        if self.episode_seeds:
            sequence = np.random.SeedSequence(self.seed + lane, spawn_key=(episode,))
            return int(sequence.generate_state(1)[0]) % (1 << _EPISODE_SEED_BITS)
        return self.seed + lane if episode == 0 else None

    def step(self, actions: Actions, active: BoolArray | None = None) -> Step:
        """Runs one action in the active lanes (all by default), one environment after another.

        Raises:
            UsageError: if a Discrete or Box action lies outside its space or is not finite.
            EnvironmentFault: if an environment's reward or cost is no number, or an observation's
                shape not that of its space.
        """
        n = self.num_lanes
        reward, cost = np.zeros(n), np.zeros(n)
        terminated, truncated = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
        catastrophe, success = np.zeros(n, np.bool_), np.full(n, np.nan)
        infos: list[dict[str, Any]] = [{} for _ in range(n)]
        actions = checked_actions(self.action_space, actions, n)
        for lane, env in enumerate(self.envs):
            if active is not None and not active[lane]:
                continue
            action = actions[lane]
            if isinstance(action, np.integer):
                action = int(action)
            observation, gain, ended, cut, info = env.step(action)
            self._results[lane] = observation
            self.elapsed[lane] += 1
            try:
                reward[lane], cost[lane] = gain, info["cost"]
            except (TypeError, ValueError) as error:
                raise EnvironmentFault(
                    f"{name_of(env)}: reward {gain!r} and cost {info.get('cost')!r} must be numbers"
                ) from error
            terminated[lane], truncated[lane] = ended, cut
            catastrophe[lane] = bool(info.get("catastrophe", False))
            if (ended or cut) and "is_success" in info:
                success[lane] = float(info["is_success"])
            infos[lane] = info
        self.observation = self._stacked()
        self.infos = infos
        return Step(
            self.observation, reward, terminated, truncated, cost, catastrophe, success, infos
        )

    def result(self, lane: int) -> Any:
        """The last observation of one lane, just as its environment returned it."""
        return self._results[lane]

    def _stacked(self) -> Observations:
        """All lanes' observations as one array; of objects where the space has no one shape."""
        shape = self.observation_space.shape
        if shape is None:
            objects = np.empty(self.num_lanes, dtype=object)
            for lane, result in enumerate(self._results):
                objects[lane] = result
            return objects
        known = next((r for r in self._results if r is not None), None)
        seen: list[Any] = [known if r is None else r for r in self._results]
        if all(np.shape(observation) == shape for observation in seen):
            return np.array(seen)
        lane = next(lane for lane, other in enumerate(seen) if np.shape(other) != shape)
        raise wrong_shape(
            np.shape(seen[lane]), shape, lane, int(self.elapsed[lane]), int(self.episode[lane])
        )

    def offers(self, what: str) -> bool:
        """Whether a risk (by its source), ``hold``, ``correction`` or ``potential`` is known."""
        return self.envs[0].offers(what)

    def risk_table(self, source: RiskSource) -> FloatArray | None:
        """Risk of every action in each lane's state, (n, A); None if it is not known."""
        return _gathered([env.risk_table(source) for env in self.envs])

    def risk_of(self, source: RiskSource, actions: Actions) -> FloatArray | None:
        """Risk of one action per lane, (n,); None if it is not known."""
        pairs = zip(self.envs, actions, strict=True)
        return _gathered([env.risk_of(source, action) for env, action in pairs])

    def least_risk(self, source: RiskSource) -> FloatArray | None:
        """Risk of the safest action in each lane's state, (n,); None if it is not known."""
        least = _gathered([env.least_risk(source) for env in self.envs])
        return super().least_risk(source) if least is None else least

    def hold(self) -> Actions | None:
        """The action that does nothing (or least) in each lane; None if none is known."""
        return _gathered([env.hold() for env in self.envs])

    def correction(self) -> Actions | None:
        """The action that a perfect overseer would take in each lane; None if none is known."""
        return _gathered([env.correction() for env in self.envs])

    def potential(self) -> FloatArray | None:
        """A potential of each lane's state for shaping, (n,); None if there is none."""
        return _gathered([env.potential() for env in self.envs])

    def all_observations(self) -> Observations | None:
        """Every observation that the environments can show, (S, ...); None if they do not say."""
        return self.envs[0].all_observations()

    def note_refusals(self, refused: BoolArray) -> None:
        """Tells each environment whether a human refused what is proposed now, (n,)."""
        for env, flag in zip(self.envs, refused, strict=True):
            env.note_refused(bool(flag))

    def fork(self, lane: int) -> gym.Env[Any, Any]:
        """A deep copy of one lane's environment, with its random generator.

        Raises:
            UsageError: if the environment cannot be copied.
        """
        return copied(self.envs[lane], name_of(self.envs[lane]))

    def render(self, lane: int = 0, mode: str = "ansi") -> Any:
        """Draws one lane, as its environment was made to.

        Raises:
            UsageError: if it was made with another render mode, or none.
        """
        env = self.envs[lane]
        if env.render_mode != mode:
            raise UsageError(
                f"{name_of(env)} was made with render_mode={env.render_mode!r}, "
                f"so it cannot be drawn as {mode!r}"
            )
        return env.render()


def _gathered(answers: list[Any]) -> NDArray[Any] | None:
    """The lanes' answers as one array; None if a lane has none."""
    return None if any(answer is None for answer in answers) else np.array(answers)
