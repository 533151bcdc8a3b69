"""Lanes of finite tasks: they step by looking up what their rules allow.

A task says what each action can lead to in one state (``Rules``). From that come the lanes, which
step as fast whatever the rules are, and everything exact: values, risks, the best action and the
best safe one, and a potential.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from looplab.envs.compiled import compiled
from looplab.envs.core import (
    RISK_SOURCES,
    Actions,
    BoolArray,
    FloatArray,
    IntArray,
    Observations,
    RiskSource,
)
from looplab.envs.drift import Drift
from looplab.envs.exact import (
    FiniteModel,
)
from looplab.envs.knowledge import know
from looplab.envs.native import NativeLanes
from looplab.envs.rules import Rules
from looplab.envs.table import enumerate_rules

_NO_DRAWS: FloatArray = np.zeros((1, 1))


@compiled
def _begin(mask: Any, draws: Any, starts: Any, first: Any, state: Any) -> None:
    """Puts the masked lanes in a first state by one draw each, (n, 1), where there are several."""
    for lane in range(len(mask)):
        if mask[lane]:
            place = np.searchsorted(first, draws[lane, 0], side="right") if len(first) else 0
            state[lane] = starts[place]


@compiled
def _follow(
    level: Any, actions: Any, draws: Any, bounds: Any, successor: Any, gain: Any, ends: Any,
    harm: Any, state: Any, outcome: Any, reward: Any, terminated: Any, harmed: Any,
) -> None:  # fmt: skip
    """Moves all lanes by one draw each, (n, 1): their state, and what the step did, all (n,).

    Tables are those of ``Table``, with ``bounds`` as (L, S, A, K - 1).
    """
    _, states, num_actions, num_bounds = bounds.shape
    for lane in range(len(state)):
        action, draw = actions[lane], draws[lane, 0]
        ends_at = bounds[level[lane], state[lane], action]
        place = (level[lane] * states + state[lane]) * num_actions + action
        place *= num_bounds + 1
        for bound in range(num_bounds):
            place += draw >= ends_at[bound]
        outcome[lane] = place
        state[lane] = successor[place]
        reward[lane] = gain[place]
        terminated[lane] = ends[place]
        harmed[lane] = harm[place]


@compiled
def _succeed(outcome: Any, success: Any, terminated: Any, truncated: Any, out: Any) -> None:
    """Success of episodes that end, NaN elsewhere, (n,)."""
    for lane in range(len(out)):
        if terminated[lane]:
            out[lane] = success[outcome[lane]]
        else:
            out[lane] = 0.0 if truncated[lane] else np.nan


@compiled
def _risks(risk: Any, level: Any, state: Any, actions: Any, out: Any) -> None:
    """Risk of one action per lane, (n,), from all, (L, S, A)."""
    for lane in range(len(out)):
        out[lane] = risk[level[lane], state[lane], actions[lane]]


@compiled
def _least_risks(risk: Any, level: Any, state: Any, out: Any) -> None:
    """Least risk of the actions in each lane's state, (n,), from all, (L, S, A)."""
    for lane in range(len(out)):
        least = np.inf
        for action in range(risk.shape[2]):
            least = min(least, risk[level[lane], state[lane], action])
        out[lane] = least


class TabularLanes(NativeLanes):
    """n lanes that follow rules; observations are float32 in [0, 1].

    All three risks are offered. Corrections are exact, and so are references where no two states
    look the same; see ``Knowledge``.

    Args:
        rules: what each state offers.
        num_lanes: number of lanes.
        max_episode_steps: steps after which an episode is truncated.
        seed: lane i draws from seed + i.
        drift: what changes while agents act: one of the rules' fields that ``DRIFTS`` names; None:
            nothing.
    """

    STATE: ClassVar[tuple[str, ...]] = ("state",)
    _TOLD: ClassVar[tuple[str, ...]] = ("_harm", "_outcome")
    RESET_DRAWS: ClassVar[int] = 1
    STEP_DRAWS: ClassVar[int] = 1

    def __init__(
        self,
        rules: Rules,
        num_lanes: int = 1,
        max_episode_steps: int = 50,
        seed: int = 0,
        drift: Drift | Mapping[str, Any] | None = None,
    ) -> None:
        self.rules = rules
        self.ACTIONS, self.COSTS = rules.ACTIONS, rules.COSTS
        self.CATASTROPHES = rules.CATASTROPHES
        for field in fields(rules):  # type: ignore[arg-type]  # rules are dataclasses
            setattr(self, field.name, getattr(rules, field.name))
        super().__init__(num_lanes, max_episode_steps, seed, drift)
        levels = _levels(rules, self.drift)
        self.table = enumerate_rules(levels)
        self.knowledge = know(levels, self.max_episode_steps)
        self.hold_action = rules.HOLD
        self.threshold = rules.THRESHOLD
        observations = self.table.observations
        self.observation_space = gym.spaces.Box(0.0, 1.0, observations.shape[1:], np.float32)
        self.action_space = gym.spaces.Discrete(len(rules.ACTIONS))
        #: Index of each lane's state in ``table.states``.
        self.state: IntArray = np.zeros(self.num_lanes, dtype=np.int64)
        self._outcome: IntArray = np.zeros(self.num_lanes, dtype=np.int64)
        shape = (len(levels), len(self.table.states), len(rules.ACTIONS))
        self._bounds = self.table.bounds.reshape(*shape, self.table.bounds.shape[1])
        self._risks = {
            source: getattr(self.knowledge, source).reshape(shape) for source in RISK_SOURCES
        }

    def _row(self) -> IntArray:
        """Place of each lane's (level, state), (n,)."""
        if self.drift is None:
            return self.state
        row: IntArray = self.drift_level * len(self.table.states) + self.state
        return row

    def _reset_draws(self, mask: BoolArray) -> FloatArray:
        """As for every task; none where all episodes begin in the same state."""
        return super()._reset_draws(mask) if len(self.table.first) else _NO_DRAWS

    def _begin(self, mask: BoolArray, draws: FloatArray) -> None:
        _begin(mask, draws, self.table.starts, self.table.first, self.state)

    def _advance(
        self, actions: Actions, draws: FloatArray
    ) -> tuple[FloatArray, BoolArray, FloatArray]:
        n, table = self.num_lanes, self.table
        reward, terminated, harm = np.empty(n), np.empty(n, np.bool_), np.empty(n)
        _follow(
            self.drift_level, actions, draws, self._bounds, table.successor, table.gain, table.ends,
            table.harm, self.state, self._outcome, reward, terminated, harm,
        )  # fmt: skip
        return reward, terminated, harm

    def _freeze(self, frozen: BoolArray) -> None:
        self._outcome[frozen] = len(self.table.harm) - 1

    def _catastrophe(self, harm: FloatArray) -> BoolArray:
        return self.table.fatal.take(self._outcome)

    def _observe(self) -> Observations:
        return self.table.observations.take(self.state, axis=0)

    def _success(self, terminated: BoolArray, truncated: BoolArray) -> FloatArray:
        success = np.empty(self.num_lanes)
        _succeed(self._outcome, self.table.success, terminated, truncated, success)
        return success

    def details(self) -> dict[str, Any]:
        """What ``info`` says beside cost and catastrophe of the last step, each (n,)."""
        extra = self.table.details[self._outcome]
        named = {name: extra[:, column] for column, name in enumerate(self.rules.DETAILS)}
        return super().details() | named

    def _harm_by_kind(self) -> FloatArray:
        return self.table.costs[self._outcome]

    def risk_table(self, source: RiskSource) -> FloatArray | None:
        """Risk of every action, (n, A)."""
        table = self._risks[source].reshape(-1, len(self.ACTIONS))
        return table.take(self._row(), axis=0)

    def risk_of(self, source: RiskSource, actions: Actions) -> FloatArray | None:
        """Risk of one action per lane, (n,)."""
        risk = np.empty(self.num_lanes)
        _risks(self._risks[source], self.drift_level, self.state, actions, risk)
        return risk

    def least_risk(self, source: RiskSource) -> FloatArray | None:
        """Risk of the safest action in each lane's state, (n,)."""
        risk = np.empty(self.num_lanes)
        _least_risks(self._risks[source], self.drift_level, self.state, risk)
        return risk

    def reference(self) -> Actions | None:
        """The action of the highest discounted value as the agent sees it, (n,)."""
        return self.knowledge.best.take(self._row())

    def correction(self) -> Actions | None:
        """The best action among those of the least risk, (n,)."""
        return self.knowledge.best_safe.take(self._row())

    def potential(self) -> FloatArray | None:
        """Discounted value of the best safe policy, (n,); 0 where the episode has ended."""
        return self.knowledge.safe_value.take(self._row())

    def model(self, level: int = 0) -> FiniteModel:
        """The task as a finite model; ``level`` counts the values of what drifts."""
        return self.table.models[level]

    def render(self, lane: int = 0, mode: str = "ansi") -> Any:
        """Draws one lane as the rules do."""
        return self.rules.draw(self.table.states[int(self.state[lane])], mode)


def _levels(rules: Rules, drift: Drift | None) -> tuple[Rules, ...]:
    if drift is None:
        return (rules,)
    before = float(getattr(rules, drift.parameter))
    return tuple(
        replace(rules, **{drift.parameter: float(value)})  # type: ignore[type-var]
        for value in drift.levels(before)
    )
