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
    Step,
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
    level: Any, actions: Any, draws: Any, elapsed: Any, limit: Any, shape: Any, bounds: Any,
    successor: Any, numbers: Any, flags: Any, late_success: Any, state: Any, outcome: Any,
    told: Any, ends: Any,
) -> None:  # fmt: skip
    """Moves all lanes by one draw each, (n, 1), and writes what the step did.

    ``shape`` holds the numbers of states and actions, ``bounds`` and ``successor`` are as in
    ``Table``. Every outcome has three ``numbers``, reward, harm and success, and two ``flags``,
    whether it ends the episode and cannot be undone; ``late_success``, (S,), is that of an episode
    which is cut off in a state. ``told``, (3, n), takes reward, harm and success; ``ends``, (3, n),
    whether the episode terminates or is truncated, and whether the harm is a catastrophe.
    """
    num_bounds = bounds.shape[1]
    for lane in range(len(state)):
        row = (level[lane] * shape[0] + state[lane]) * shape[1] + actions[lane]
        place = row * (num_bounds + 1)
        for bound in range(num_bounds):
            place += draws[lane, 0] >= bounds[row, bound]
        outcome[lane] = place
        state[lane] = successor[place]
        told[0, lane], told[1, lane] = numbers[place, 0], numbers[place, 1]
        terminated = flags[place, 0]
        truncated = elapsed[lane] >= limit and not terminated
        ends[0, lane], ends[1, lane], ends[2, lane] = terminated, truncated, flags[place, 1]
        success = np.nan
        if terminated:
            success = numbers[place, 2]
        elif truncated:
            success = late_success[state[lane]]
        told[2, lane] = success


@compiled
def _risks(risk: Any, level: Any, state: Any, actions: Any, out: Any) -> None:
    """Risk of one action per lane, (n,), from all, (L, S, A); NaN of one that does not exist."""
    for lane in range(len(out)):
        exists = 0 <= actions[lane] < risk.shape[2]
        out[lane] = risk[level[lane], state[lane], actions[lane]] if exists else np.nan


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
    _TOLD: ClassVar[tuple[str, ...]] = ("_outcome",)
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
        self._shape = shape[1:]
        table = self.table
        self._numbers = np.stack([table.gain, table.harm, table.success], axis=1)
        self._flags = np.stack([table.ends, table.fatal], axis=1)
        #: Success of an episode that is cut off in a state, (S,).
        self._late_success: FloatArray = np.zeros(len(table.states))
        self._risks: dict[RiskSource, FloatArray] = {
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

    def _run(self, actions: Actions, draws: FloatArray) -> Step:
        told = np.empty((3, self.num_lanes))
        ends = np.empty((3, self.num_lanes), dtype=np.bool_)
        _follow(
            self.drift_level, actions, draws, self.elapsed, self.max_episode_steps, self._shape,
            self.table.bounds, self.table.successor, self._numbers, self._flags,
            self._late_success, self.state, self._outcome, told, ends,
        )  # fmt: skip
        reward, cost, success = told
        terminated, truncated, catastrophe = ends
        return Step(self.observation, reward, terminated, truncated, cost, catastrophe, success)

    def _freeze(self, frozen: BoolArray) -> None:
        self._outcome[frozen] = len(self.table.harm) - 1

    def _observe(self) -> Observations:
        return self.table.observations.take(self.state, axis=0)

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

    def all_observations(self) -> Observations | None:
        """What each state looks like, float32 of shape (S, width)."""
        return self.table.observations

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
