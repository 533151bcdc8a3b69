"""The Stable-Baselines3 face: n lanes at once, as a VecEnvWrapper."""

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from looplab.envs.annotated import ActionFunction, CostFunction, RiskFunction
from looplab.envs.compiled import compiled
from looplab.envs.core import Actions, BoolArray, Lanes, Observations
from looplab.envs.errors import UsageError, choice
from looplab.oversight.columns import place
from looplab.oversight.engine import Engine, Settings, refuse_twice
from looplab.oversight.ledger import Ledger
from looplab.oversight.protocols.base import OversightProtocol
from looplab.oversight.protocols.rules import ruling
from looplab.oversight.record import Record
from looplab.oversight.signals import Signal
from looplab.oversight.types import some
from looplab.oversight.vec_env_lanes import VecEnvLanes
from looplab.oversight.wrapper import Overseen, describe, is_overseen

INFOS = ("ends", "full")
#: What must go through oversight, so that nothing reaches the environments around it.
_GUARDED = ("step", "reset")
#: What sb3-contrib's algorithms ask environments for.
_MASKS = "action_masks"
_TERMINATED, _TRUNCATED = place("terminated"), place("truncated")
_REWARD, _LEARNING = place("reward"), place("learning_reward")


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
        """Decides, executes and records; lanes that are done have begun anew in the answer."""
        if self._actions is None:
            raise UsageError("step_wait() was called without step_async()")
        record = self.oversight.step(self._actions)
        self._actions = None
        done = np.empty(self.num_envs, np.bool_)
        rewards = np.empty(self.num_envs, np.float32)
        block, at = record.decision.row
        _account(block.flags, block.reals, at, self._return, self._length, done, rewards)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
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
        return observation.copy(), rewards, done, infos

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

    def action_masks(self) -> BoolArray:
        """What MaskablePPO of sb3-contrib may propose next so that no rule is broken, shape (n, A).

        Raises:
            UsageError: if the protocol has no rules, or the actions are continuous.
        """
        return self.oversight.action_masks()

    def has_attr(self, attr_name: str) -> bool:
        """Whether the environments have an attribute, or the protocol's rules mask actions."""
        return bool(self._masks(attr_name) or super().has_attr(attr_name))

    def _masks(self, name: str) -> bool:
        return name == _MASKS and bool(ruling(self.oversight.protocol))

    def env_method(self, method_name: str, *method_args: Any, **method_kwargs: Any) -> list[Any]:
        """Calls a method of the environments; stepping or resetting them goes through oversight.

        Raises:
            UsageError: for ``step`` and ``reset``.
        """
        if method_name in _GUARDED:
            raise UsageError(f"{method_name}() of single lanes would bypass oversight")
        if self._masks(method_name):
            return list(self.action_masks())
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


@compiled
def _account(
    flags: Any, reals: Any, at: Any, returns: Any, lengths: Any, done: Any, rewards: Any
) -> None:
    """One step of n lanes: what SB3 is told, and the returns and lengths so far."""
    for lane in range(len(done)):
        done[lane] = flags[at, _TERMINATED, lane] or flags[at, _TRUNCATED, lane]
        rewards[lane] = reals[at, _LEARNING, lane]
        returns[lane] += reals[at, _REWARD, lane]
        lengths[lane] += 1


def _is_overseen(venv: VecEnv) -> bool:
    layer: Any = venv
    while True:
        if isinstance(layer, OverseenVecEnv):
            return True
        if not isinstance(layer, VecEnvWrapper):
            inside = getattr(getattr(layer, "lanes", None), "envs", ())
            return any(layer.env_is_wrapped(Overseen)) or any(is_overseen(env) for env in inside)
        layer = layer.venv
