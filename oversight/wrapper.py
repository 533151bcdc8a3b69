"""The Gymnasium face: any environment, overseen."""

import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import gymnasium as gym
import numpy as np

from looplab.envs.annotated import ActionFunction, Annotated, CostFunction, RiskFunction
from looplab.envs.core import Actions, FloatArray
from looplab.envs.errors import UsageError
from looplab.envs.gym_lanes import GymLanes
from looplab.oversight.engine import Engine, Settings, refuse_twice
from looplab.oversight.explanation import alternatives
from looplab.oversight.ledger import Ledger
from looplab.oversight.parts import CONFIDENCE, PROBABILITIES, needs
from looplab.oversight.protocols.base import OversightProtocol
from looplab.oversight.record import Record
from looplab.oversight.signals import Signal
from looplab.oversight.types import VERDICTS

_SEED_RANGE = 2**31


class Overseen(gym.Wrapper[Any, Any, Any, Any]):
    """Puts any environment under oversight.

    ``step`` proposes its action; what is executed is the protocol's decision. The reward that comes
    back is the learning reward; ``info["reward"]`` keeps the environment's own, ``info["cost"]``
    the harm, and ``info["oversight"]`` what was decided: ``proposed_action``, ``executed_action``,
    ``verdict`` (one of the five strings), ``reviewed``, ``intervened``, ``reason``, ``overseer``,
    ``human_seconds``, and the scores of the step.

    Args:
        env: the environment, LoopLab's own or any other with Discrete or Box actions.
        protocol: what the human can do, and when.
        cost: harm of a transition (``observation, action, reward, terminated, truncated, info``);
            None: the environment's ``info["cost"]``.
        risk: probability in [0, 1] that an action violates in this very step, called as
            ``risk(env, action)``; None: the task's own.
        hold: the action that does nothing, or a function of the environment; None: the task's own.
        correction: a function of the environment that returns the right action; None: the task's.
        policy: function of one observation that returns the probability of every action, shape
            (A,); needed where the protocol asks for confidence or the next-best action.
        signal: what the agent learns from oversight; default nothing but the dynamics.
        settings: tolerance and prices.
        ledger: where every decision is written; None: nowhere.

    Raises:
        UsageError: if the environment is overseen already, or lacks what a part needs to know.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        protocol: OversightProtocol,
        *,
        cost: CostFunction | None = None,
        risk: RiskFunction | None = None,
        hold: Any | ActionFunction | None = None,
        correction: ActionFunction | None = None,
        policy: Callable[[Any], FloatArray] | None = None,
        signal: Signal | None = None,
        settings: Settings | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        if not isinstance(env, gym.Env):
            raise UsageError(
                f"Overseen wraps one gymnasium.Env, got {type(env).__name__}; "
                "for many lanes at once use OverseenVecEnv"
            )
        refuse_twice(is_overseen(env))
        super().__init__(env)
        self._lanes = GymLanes(
            [Annotated(env, cost=cost, risk=risk, hold=hold, correction=correction)]
        )
        self.oversight = Engine(self._lanes, protocol, signal, settings, ledger)
        if policy is not None and needs(protocol) & {CONFIDENCE, PROBABILITIES}:
            self.oversight.policy = _PolicyFunction(policy, self._lanes)
        self._all = np.ones(1, dtype=np.bool_)
        self._ready = False
        self._seeded = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begins an episode; with a seed, environment and overseer draw from it (apart)."""
        if seed is not None:
            self._lanes.reseed(seed)
            self.oversight.reseed(seed)
        elif not self._seeded:
            self.oversight.reseed(int(np.random.SeedSequence().generate_state(1)[0]) % _SEED_RANGE)
        self._seeded = True
        if self._ready:
            self.oversight.abandon(self._all)
        observation, info = self._lanes.reset_lane(0, seed, options)
        self.oversight.begin(self._all)
        self._ready = True
        return observation, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Proposes an action; what runs is the protocol's decision.

        Raises:
            UsageError: if the episode has ended or never begun: oversight needs a reset in between.
        """
        if not self._ready:
            raise UsageError("call reset() first: no episode is running")
        record = self.oversight.step(np.asarray(action)[None])
        step_info = dict(self._lanes.infos[0])
        terminated, truncated = bool(record.terminated[0]), bool(record.truncated[0])
        step_info["cost"] = float(record.cost[0])
        step_info["reward"] = float(record.reward[0])
        step_info["oversight"] = describe(record, 0)
        if terminated or truncated:
            self._ready = False
            if record.halted[0]:
                step_info["TimeLimit.truncated"] = truncated
        observation = self._lanes.result(0)
        return observation, float(record.learning_reward[0]), terminated, truncated, step_info

    def close(self) -> None:
        """Writes what the ledger still holds and closes the environment."""
        self.oversight.close()
        super().close()


class _PolicyFunction:
    """Probabilities from a plain function of one observation."""

    def __init__(self, function: Callable[[Any], FloatArray], lanes: GymLanes) -> None:
        self._function = function
        self._lanes = lanes
        self.probabilities: FloatArray = np.zeros((1, 0))
        self.confidence: FloatArray = np.zeros(1)

    def __call__(self, proposed: Actions) -> "_PolicyFunction":
        chances = np.asarray(self._function(self._lanes.result(0)), dtype=np.float64).reshape(-1)
        count = getattr(self._lanes.action_space, "n", len(chances))
        sums_to_one = np.isclose(chances.sum(), 1.0, atol=1e-3)
        if len(chances) != count or not sums_to_one or not (chances >= 0.0).all():
            raise UsageError(f"policy= must return {count} probabilities that sum to 1")
        self.probabilities = chances[None]
        self.confidence = chances[proposed]
        return self


def is_overseen(env: gym.Env[Any, Any]) -> bool:
    """Whether an environment, or one that it wraps, is overseen."""
    while isinstance(env, gym.Wrapper):
        if isinstance(env, Overseen):
            return True
        env = env.env
    return False


def describe(record: Record, lane: int) -> dict[str, Any]:
    """One lane's decision as a dictionary, the value of ``info["oversight"]``."""
    decision = record.decision
    return {
        "proposed_action": _plain(record.proposed[lane]),
        "executed_action": _plain(record.executed[lane]),
        "verdict": VERDICTS[record.verdict[lane]],
        "reviewed": bool(record.reviewed[lane]),
        "intervened": bool(record.intervened[lane]),
        "reason": decision.reasons.texts[record.reason[lane]],
        "overseer": decision.names.texts[record.overseer[lane]],
        "because": decision.reasons.texts[record.because[lane]],
        "score": _known(record.score[lane]),
        "threshold": _known(record.threshold[lane]),
        "alternatives": [
            {"action": other.action, "probability": other.probability}
            for other in alternatives(record.policy, record.proposed, lane)
        ],
        "precedents": [
            asdict(past) for past in (decision.precedents.of(lane) if decision.precedents else ())
        ],
        "human_seconds": float(record.seconds[lane]),
        "risk": float(record.risk[lane]),
        "reward": float(record.reward[lane]),
        "learning_reward": float(record.learning_reward[lane]),
        **{name: bool(getattr(record, name)[lane]) for name in SCORES},
    }


#: Scores of a step that ``info["oversight"]`` holds beside what was decided.
SCORES = (
    "asked", "unsafe", "unavoidable", "miss", "unasked", "late", "false_alarm", "standby",
    "unconsidered", "stale", "overdue", "halted",
)  # fmt: skip


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _plain(action: Any) -> Any:
    return int(action) if isinstance(action, np.integer) else action.copy()
