"""Somebody's Stable-Baselines3 VecEnv, spoken to as lanes."""

import copy
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from looplab.envs.actions import check_action_space
from looplab.envs.annotated import (
    ActionFunction,
    Annotated,
    CostFunction,
    RiskFunction,
    Transition,
    number,
)
from looplab.envs.core import Actions, BoolArray, FloatArray, Lanes, Observations, RiskSource, Step
from looplab.envs.errors import EnvironmentFault, UsageError, wrong_shape

#: Method of SB3's ``DummyVecEnv`` in which an observation of another shape raises.
_SAVES = "_save_obs"


class VecEnvLanes(Lanes):
    """Speaks to somebody's VecEnv as to one batched task.

    The VecEnv resets its lanes by itself; what it returned is handed out when the engine's face
    asks for that reset. A lane that must not be stepped (a stopped episode) needs a VecEnv whose
    environments can be stepped one by one, so one without further wrappers. It has no potential:
    a lane that is done has begun anew before anybody could ask for the one of its last state.

    Args:
        venv: the VecEnv.
        cost: harm of a transition; None: ``info["cost"]``.
        risk: immediate risk, called as ``risk(env, action)``; needs the environments in this
            process (``DummyVecEnv``).
        hold: the action that does nothing, or a function of the environment.
        correction: a function of the environment that returns the right action.
    """

    def __init__(
        self,
        venv: Any,
        *,
        cost: CostFunction | None = None,
        risk: RiskFunction | None = None,
        hold: Any | ActionFunction | None = None,
        correction: ActionFunction | None = None,
    ) -> None:
        check_action_space(venv.action_space)
        self.venv = venv
        self.num_lanes = venv.num_envs
        self.observation_space = venv.observation_space
        self.action_space = venv.action_space
        self._cost = cost
        envs: Sequence[gym.Env[Any, Any]] | None = getattr(venv.unwrapped, "envs", None)
        if envs is None and any(given is not None for given in (risk, hold, correction)):
            raise UsageError(
                "risk=, hold= and correction= need the environments in this process; wrap each in "
                "looplab.envs.Annotated where it is made, or use DummyVecEnv"
            )
        #: Ask the environments what is privileged; they are never stepped through these.
        self._envs = (
            None
            if envs is None
            else [
                Annotated(env, cost=cost, risk=risk, hold=hold, correction=correction)
                for env in envs
            ]
        )
        self._pending: Observations | None = None
        self.infos: list[dict[str, Any]] = [{} for _ in range(self.num_lanes)]
        self.reseed(0)

    def reseed(self, seed: int) -> None:
        """Lane i draws from ``seed + i`` from the next reset on; its owner seeds the VecEnv."""
        self.seed = seed
        self.episode = np.full(self.num_lanes, -1, dtype=np.int64)
        self.elapsed = np.zeros(self.num_lanes, dtype=np.int64)

    def reset(self, mask: BoolArray | None = None) -> Observations:
        """Begins episodes; hands out what the VecEnv has reset by itself."""
        pending, self._pending = self._pending, None
        if mask is None or pending is None:
            mask = np.ones(self.num_lanes, dtype=np.bool_)
            pending = None
        self.episode[mask] += 1
        self.elapsed[mask] = 0
        if pending is None:
            pending = self._array(self._fitting(self.venv.reset), 0)
        self.observation = pending
        return self.observation

    def step(self, actions: Actions, active: BoolArray | None = None) -> Step:
        """Runs one action in the active lanes (all by default)."""
        if active is None or active.all():
            results, rewards, dones, infos = self._fitting(self.venv.step, actions)
            new, done = self._array(results, 1), np.asarray(dones, dtype=np.bool_)
        else:
            new, rewards, done, infos = self._step_some(actions, active)
        final = new
        ended = [lane for lane, info in enumerate(infos) if "terminal_observation" in info]
        if ended:  # the lanes that are done, and those that were stopped
            final = new.copy()
            for lane in ended:
                final[lane] = infos[lane]["terminal_observation"]
        self._pending = new
        self.observation = final
        self.elapsed += 1 if active is None else active
        truncated = done & np.array([bool(i.get("TimeLimit.truncated", False)) for i in infos])
        self.infos = list(infos)
        return Step(
            observation=final,
            reward=np.array(rewards, dtype=np.float64),
            terminated=done & ~truncated,
            truncated=truncated,
            cost=self._costs(final, actions, rewards, done, truncated, infos, active),
            catastrophe=np.array([bool(i.get("catastrophe", False)) for i in infos]),
            success=np.array(
                [
                    float(i["is_success"]) if d and "is_success" in i else np.nan
                    for i, d in zip(infos, done, strict=True)
                ]
            ),
            infos=self.infos,
        )

    def _step_some(
        self, actions: Actions, active: BoolArray
    ) -> tuple[Observations, FloatArray, BoolArray, list[dict[str, Any]]]:
        """Steps the active lanes one by one; the stopped ones begin anew."""
        if self.venv is not self.venv.unwrapped:
            raise UsageError(
                f"an episode was stopped, but {type(self.venv).__name__} cannot step its lanes one "
                "by one; put such wrappers outside of OverseenVecEnv"
            )
        n = self.num_lanes
        new = self.observation.copy()
        rewards, done = np.zeros(n), np.zeros(n, np.bool_)
        infos: list[dict[str, Any]] = [{} for _ in range(n)]
        for lane in range(n):
            if active[lane]:
                result = self.venv.env_method("step", actions[lane], indices=[lane])[0]
                self._check_shape(np.shape(result[0]), lane, 1)
                new[lane], rewards[lane], terminated, truncated, info = result
                infos[lane] = dict(info)
                done[lane] = terminated or truncated
                infos[lane]["TimeLimit.truncated"] = truncated and not terminated
                if not done[lane]:
                    continue
            infos[lane]["terminal_observation"] = new[lane].copy()
            new[lane] = self.venv.env_method("reset", indices=[lane])[0][0]
        return new, rewards, done, infos

    def _fitting(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """What the VecEnv answers; a fault where what a lane observes does not fit its buffer."""
        try:
            return call(*arguments)
        except ValueError as error:
            *_, (frame, _) = traceback.walk_tb(error.__traceback__)
            if frame.f_code.co_name != _SAVES:
                raise
            seen, lane = frame.f_locals["obs"], int(frame.f_locals["env_idx"])
            self._check_shape(np.shape(seen), lane, len(arguments))
            raise

    def _array(self, observations: Any, steps: int) -> Observations:
        """All lanes' observations, (n, ...), made by so many steps more than were counted."""
        if not isinstance(observations, np.ndarray):
            raise UsageError(
                "OverseenVecEnv needs array observations; flatten Dict and Tuple ones before it"
            )
        if observations.shape != (self.num_lanes, *(self.observation_space.shape or ())):
            self._check_shape(observations.shape[1:], 0, steps)
        return observations

    def _check_shape(self, given: tuple[int, ...], lane: int, steps: int) -> None:
        """Refuses an observation of another shape than its space has; steps as in ``_array``."""
        expected = self.observation_space.shape
        if given != expected:
            step = int(self.elapsed[lane]) + steps
            raise wrong_shape(given, expected, lane, step, int(self.episode[lane]))

    def _costs(
        self,
        observations: Observations,
        actions: Actions,
        rewards: Any,
        done: BoolArray,
        truncated: BoolArray,
        infos: Sequence[dict[str, Any]],
        active: BoolArray | None,
    ) -> FloatArray:
        cost = np.zeros(self.num_lanes)
        for lane in range(self.num_lanes):
            if active is not None and not active[lane]:
                continue
            info = infos[lane]
            if self._cost is not None:
                transition = Transition(
                    observations[lane], actions[lane], float(rewards[lane]),
                    bool(done[lane] and not truncated[lane]), bool(truncated[lane]), info,
                )  # fmt: skip
                cost[lane] = number("cost=", self._cost(transition))
            elif "cost" in info:
                cost[lane] = info["cost"]
            else:
                raise EnvironmentFault(
                    f"lane {lane} reports no info['cost']; pass cost=, a function of a transition"
                )
        return cost

    def _ask(self, name: str, arguments: Iterable[tuple[Any, ...]]) -> Any:
        answers = []
        for lane, args in enumerate(arguments):
            if self._envs is not None:
                answers.append(getattr(self._envs[lane], name)(*args))
            elif self._has(name):
                answers.append(self.venv.env_method(name, *args, indices=[lane])[0])
            else:
                return None
        return None if any(answer is None for answer in answers) else np.array(answers)

    def _has(self, name: str) -> bool:
        return bool(self.venv.has_attr(name))

    def offers(self, what: str) -> bool:
        """Whether the environments know it."""
        if what == "potential":
            return False
        if self._envs is not None:
            return self._envs[0].offers(what)
        return self._has("offers") and bool(self.venv.env_method("offers", what, indices=[0])[0])

    def risk_table(self, source: RiskSource) -> FloatArray | None:
        """Risk of every action, (n, A); None if it is not known."""
        table: FloatArray | None = self._ask("risk_table", [(source,)] * self.num_lanes)
        return table

    def risk_of(self, source: RiskSource, actions: Actions) -> FloatArray | None:
        """Risk of one action per lane, (n,); None if it is not known."""
        risk: FloatArray | None = self._ask("risk_of", [(source, action) for action in actions])
        return risk

    def least_risk(self, source: RiskSource) -> FloatArray | None:
        """Risk of the safest action in each lane's state, (n,); None if it is not known."""
        least: FloatArray | None = self._ask("least_risk", [(source,)] * self.num_lanes)
        return super().least_risk(source) if least is None else least

    def hold(self) -> Actions | None:
        """The action that does nothing in each lane; None if none is known."""
        hold: Actions | None = self._ask("hold", [()] * self.num_lanes)
        return hold

    def correction(self) -> Actions | None:
        """The right action in each lane; None if none is known."""
        correction: Actions | None = self._ask("correction", [()] * self.num_lanes)
        return correction

    def note_refusals(self, refused: BoolArray) -> None:
        """Tells the environments whose proposals a human refused."""
        self._ask("note_refused", [(bool(flag),) for flag in refused])

    def fork(self, lane: int) -> gym.Env[Any, Any]:
        """A copy of one lane's environment."""
        if self._envs is None:
            raise UsageError("look-ahead needs the environments in this process: use DummyVecEnv")
        return copy.deepcopy(self._envs[lane])
