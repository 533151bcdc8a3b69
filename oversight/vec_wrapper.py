"""The Stable-Baselines3 face: n lanes at once, as a VecEnvWrapper."""

import inspect
from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from looplab.envs.annotated import ActionFunction, Annotated, CostFunction, RiskFunction, Transition
from looplab.envs.core import Actions, BoolArray, FloatArray, Lanes, Observations, RiskSource, Step
from looplab.envs.errors import EnvironmentFault, UsageError, choice
from looplab.oversight.decision import Record
from looplab.oversight.engine import Engine, Settings, refuse_twice
from looplab.oversight.ledger import Ledger
from looplab.oversight.protocols.base import OversightProtocol
from looplab.oversight.signals import Signal
from looplab.oversight.types import some
from looplab.oversight.wrapper import Overseen, describe, is_overseen

INFOS = ("ends", "full")
#: What must go through oversight, so that nothing reaches the environments around it.
_GUARDED = ("step", "reset")


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
        venv: VecEnv,
        *,
        cost: CostFunction | None = None,
        risk: RiskFunction | None = None,
        hold: Any | ActionFunction | None = None,
        correction: ActionFunction | None = None,
    ) -> None:
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
        self._envs = None if envs is None else [
            Annotated(env, cost=cost, risk=risk, hold=hold, correction=correction) for env in envs
        ]
        self._pending: Observations | None = None
        self.infos: list[dict[str, Any]] = [{} for _ in range(self.num_lanes)]
        self.reseed(0)

    def reseed(self, seed: int) -> None:
        self.seed = seed
        self.episode = np.full(self.num_lanes, -1, dtype=np.int64)
        self.elapsed = np.zeros(self.num_lanes, dtype=np.int64)

    def reset(self, mask: BoolArray | None = None) -> Observations:
        if mask is None or self._pending is None:
            self.observation = _array(self.venv.reset())
            mask = np.ones(self.num_lanes, dtype=np.bool_)
        else:
            self.observation = self._pending
        self._pending = None
        self.episode[mask] += 1
        self.elapsed[mask] = 0
        return self.observation

    def step(self, actions: Actions, active: BoolArray | None = None) -> Step:
        if active is None or active.all():
            results, rewards, dones, infos = self.venv.step(actions)
            new, done = _array(results), np.asarray(dones, dtype=np.bool_)
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
                new[lane], rewards[lane], terminated, truncated, info = result
                infos[lane] = dict(info)
                done[lane] = terminated or truncated
                infos[lane]["TimeLimit.truncated"] = truncated and not terminated
                if not done[lane]:
                    continue
            infos[lane]["terminal_observation"] = new[lane].copy()
            new[lane] = self.venv.env_method("reset", indices=[lane])[0][0]
        return new, rewards, done, infos

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
                cost[lane] = self._cost(transition)
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
        return self.venv.has_attr(name)

    def offers(self, what: str) -> bool:
        if what == "potential":
            return False
        if self._envs is not None:
            return self._envs[0].offers(what)
        return self._has("offers") and bool(self.venv.env_method("offers", what, indices=[0])[0])

    def risk_table(self, source: RiskSource) -> FloatArray | None:
        table: FloatArray | None = self._ask("risk_table", [(source,)] * self.num_lanes)
        return table

    def risk_of(self, source: RiskSource, actions: Actions) -> FloatArray | None:
        risk: FloatArray | None = self._ask("risk_of", [(source, action) for action in actions])
        return risk

    def hold(self) -> Actions | None:
        hold: Actions | None = self._ask("hold", [()] * self.num_lanes)
        return hold

    def correction(self) -> Actions | None:
        correction: Actions | None = self._ask("correction", [()] * self.num_lanes)
        return correction

    def note_refusals(self, refused: BoolArray) -> None:
        self._ask("note_refused", [(bool(flag),) for flag in refused])

    def fork(self, lane: int) -> gym.Env[Any, Any]:
        if self._envs is None:
            raise UsageError("look-ahead needs the environments in this process: use DummyVecEnv")
        import copy

        return copy.deepcopy(self._envs[lane])


def _array(observations: Any) -> Observations:
    if not isinstance(observations, np.ndarray):
        raise UsageError(
            "OverseenVecEnv needs array observations; flatten Dict and Tuple ones before it"
        )
    return observations


class OverseenVecEnv(VecEnvWrapper):
    """Puts n lanes under oversight for Stable-Baselines3.

    Same decisions and trajectories as ``Overseen`` for the same seeds. ``rewards`` are learning
    rewards (a fresh array each step, because SB3 adds to it in place). At episode ends ``infos``
    hold ``episode`` (return ``r`` of the task, length ``l``), ``terminal_observation``,
    and ``TimeLimit.truncated``; all else is in ``oversight.last``.

    Args:
        venv: ``LanesVecEnv``, whose arrays are used directly, or any other VecEnv.
        protocol: what the human can do, and when.
        cost: harm of a transition; None: ``info["cost"]``.
        risk: immediate risk, called as ``risk(env, action)``; None: the task's own.
        hold: the action that does nothing, or a function of the environment; None: the task's own.
        correction: a function of the environment that returns the right action; None: the task's.
        signal: what the agent learns from oversight.
        settings: tolerance and prices.
        ledger: where every decision is written; None: nowhere.
        infos: ``ends``, or ``full`` for ``info["oversight"]`` of every lane at every step.

    Raises:
        UsageError: if the environments are overseen already, or lack what a part needs to know.
    """

    def __init__(
        self,
        venv: VecEnv,
        protocol: OversightProtocol,
        *,
        cost: CostFunction | None = None,
        risk: RiskFunction | None = None,
        hold: Any | ActionFunction | None = None,
        correction: ActionFunction | None = None,
        signal: Signal | None = None,
        settings: Settings | None = None,
        ledger: Ledger | None = None,
        infos: str = "ends",
    ) -> None:
        if not isinstance(venv, VecEnv):
            raise UsageError(
                f"OverseenVecEnv wraps a VecEnv of Stable-Baselines3, got {type(venv).__name__}; "
                "for one environment use Overseen"
            )
        refuse_twice(_is_overseen(venv))
        super().__init__(venv)
        self.infos_mode = choice("infos", infos, INFOS)
        own = getattr(venv, "lanes", None) if venv is venv.unwrapped else None
        given = [name for name, value in
                 (("cost", cost), ("risk", risk), ("hold", hold), ("correction", correction))
                 if value is not None]  # fmt: skip
        if isinstance(own, Lanes) and not given:
            self._lanes: Lanes = own
        elif isinstance(own, Lanes):
            raise UsageError(f"{type(own).__name__} knows its own {', '.join(given)}")
        elif isinstance(getattr(venv.unwrapped, "lanes", None), Lanes):
            raise UsageError(
                f"put {type(venv).__name__} outside of OverseenVecEnv, which speaks to "
                f"{type(venv.unwrapped).__name__} directly"
            )
        else:
            self._lanes = VecEnvLanes(venv, cost=cost, risk=risk, hold=hold, correction=correction)
        self.oversight = Engine(self._lanes, protocol, signal, settings, ledger)
        self._actions: Actions | None = None
        self._everyone = np.ones(self.num_envs, dtype=np.bool_)
        self._return = np.zeros(self.num_envs)
        self._length = np.zeros(self.num_envs, dtype=np.int64)
        #: False where a buffer of our own bootstraps the values of truncated lanes, all at once.
        self.flag_timeouts = True
        self._ready = False
        self._seeded = False

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Lane i draws from ``seed + i`` from the next reset on, overseers apart from the rest."""
        seeds = self.venv.seed(seed)
        first = seeds[0]
        if first is None:
            raise UsageError("seed() needs a whole number")
        self._leave_episodes()
        self.oversight.reseed(int(first))
        self._lanes.reseed(int(first))
        self._seeded = True
        return seeds

    def _leave_episodes(self) -> None:
        """Cuts running episodes short: the next step needs a reset."""
        if self._ready:
            self.oversight.abandon(self._everyone)
        self._ready = False

    def reset(self) -> Observations:
        """Begins an episode in every lane."""
        if not self._seeded:
            self.seed()
        self._leave_episodes()
        self._return[:] = 0.0
        self._length[:] = 0
        observation = self._lanes.reset()
        self.oversight.begin(self._everyone)
        self._ready = True
        return observation.copy()

    def step_async(self, actions: Actions) -> None:
        """Takes the proposals of all lanes."""
        if not self._ready:
            raise UsageError("call reset() first: no episode is running")
        self._actions = np.asarray(actions)

    def step_wait(self) -> tuple[Observations, Any, Any, list[dict[str, Any]]]:
        """Decides, executes and records; lanes that are done have begun anew in what is returned."""
        if self._actions is None:
            raise UsageError("step_wait() was called without step_async()")
        record = self.oversight.step(self._actions)
        self._actions = None
        done = record.terminated | record.truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        self._return += record.reward
        self._length += 1
        if self.infos_mode == "full":
            for lane, info in enumerate(infos):
                info.update(self._own_info(lane))
                info["cost"] = float(record.cost[lane])
                info["reward"] = float(record.reward[lane])
                info["oversight"] = describe(record, lane)
        observation = record.observation
        if some(done):
            self._end(record, done, infos)
            observation = self._lanes.reset(done)
            self.oversight.begin(done)
        return observation.copy(), record.learning_reward.astype(np.float32), done, infos

    def _own_info(self, lane: int) -> dict[str, Any]:
        infos: list[dict[str, Any]] | None = getattr(self._lanes, "infos", None)
        return {} if infos is None else infos[lane]

    def _end(self, record: Record, done: BoolArray, infos: list[dict[str, Any]]) -> None:
        """Says what Stable-Baselines3 must know of episodes that ended."""
        for lane in np.flatnonzero(done).tolist():
            info = infos[lane]
            info["terminal_observation"] = record.observation[lane].copy()
            info["TimeLimit.truncated"] = self.flag_timeouts and bool(
                record.truncated[lane] and not record.terminated[lane]
            )
            info["episode"] = {"r": float(self._return[lane]), "l": int(self._length[lane])}
            if not np.isnan(record.success[lane]):
                info["is_success"] = bool(record.success[lane])
        self._return[done] = 0.0
        self._length[done] = 0

    def env_method(self, method_name: str, *method_args: Any, **method_kwargs: Any) -> list[Any]:
        """Calls a method of the environments; stepping or resetting them goes through oversight.

        Raises:
            UsageError: for ``step`` and ``reset``.
        """
        if method_name in _GUARDED:
            raise UsageError(f"{method_name}() of single lanes would bypass oversight")
        return self.venv.env_method(method_name, *method_args, **method_kwargs)

    def __getstate__(self) -> dict[str, Any]:
        """Everything but what Stable-Baselines3 keeps of the class itself."""
        return {name: held for name, held in self.__dict__.items() if name != "class_attributes"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Goes on where the pickled one was."""
        self.__dict__.update(state)
        self.class_attributes = dict(inspect.getmembers(type(self)))

    def close(self) -> None:
        """Writes what the ledger still holds and closes the environments."""
        self.oversight.close()
        self.venv.close()


def _is_overseen(venv: VecEnv) -> bool:
    layer: Any = venv
    while True:
        if isinstance(layer, OverseenVecEnv):
            return True
        if not isinstance(layer, VecEnvWrapper):
            inside = getattr(getattr(layer, "lanes", None), "envs", ())
            return any(layer.env_is_wrapped(Overseen)) or any(is_overseen(env) for env in inside)
        layer = layer.venv
