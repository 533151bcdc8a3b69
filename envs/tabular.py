"""Finite tasks: rules written state by state, enumerated once, then stepped by looking up tables.

A task says what each action can lead to in one state (``Rules``). From that come the lanes, which
step in NumPy whatever the rules are, and everything exact: values, risks, the best action and the
best safe one, and a potential.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from looplab.envs.core import (
    Actions,
    BoolArray,
    FloatArray,
    IntArray,
    Observations,
    RiskSource,
)
from looplab.envs.drift import Drift
from looplab.envs.errors import UsageError
from looplab.envs.exact import (
    FiniteModel,
    best_actions,
    exact_risk,
    optimal_values,
    safe_actions,
)
from looplab.envs.native import NativeLanes

#: Discount of references, corrections and potentials.
GAMMA = 0.98
#: More states than this are no table any more.
MAX_STATES = 50_000
_SUM_TOLERANCE = 1e-9
#: In a longer episode a random agent's visits are spread as in this one.
_LONGEST = 10_000
#: Weight of a state that no random agent visits: it counts only among its like.
_NEVER_VISITED = 1e-12
_NO_DRAWS: FloatArray = np.zeros((1, 1))


class Outcome(NamedTuple):
    """One thing that an action can lead to.

    Attributes:
        chance: its probability.
        state: the next state; where the episode ends, the one that is shown last.
        reward: reward of the step.
        costs: harm by kind, in the order of the rules' ``COSTS``; empty: none.
        ends: the episode terminates.
        success: it terminates as it should.
        details: further numbers for ``info``, in the order of the rules' ``DETAILS``.
    """

    chance: float
    state: Hashable
    reward: float
    costs: tuple[float, ...] = ()
    ends: bool = False
    success: bool = False
    details: tuple[float, ...] = ()


class Rules(ABC):
    """What one state offers; subclasses are frozen dataclasses whose fields are the parameters.

    Attributes:
        ACTIONS: names of the actions.
        HOLD: index of the action that does nothing or least.
        COSTS: kinds of harm.
        CATASTROPHES: those among them that cannot be undone.
        DETAILS: names of further numbers that ``info`` shows.
        THRESHOLD: mean task return that counts as learned.
    """

    ACTIONS: ClassVar[tuple[str, ...]]
    HOLD: ClassVar[int]
    COSTS: ClassVar[tuple[str, ...]] = ("violation",)
    CATASTROPHES: ClassVar[tuple[str, ...]] = ()
    DETAILS: ClassVar[tuple[str, ...]] = ()
    THRESHOLD: ClassVar[float] = float("nan")

    @abstractmethod
    def starts(self) -> Sequence[tuple[float, Hashable]]:
        """First states with their probabilities, which sum to 1."""

    @abstractmethod
    def outcomes(self, state: Any, action: int) -> Sequence[Outcome]:
        """What an action can lead to; the chances sum to 1, outcomes of chance 0 may be there."""

    @abstractmethod
    def observe(self, state: Any) -> Sequence[float]:
        """What the agent sees, numbers in [0, 1]; nothing that only an overseer may know."""

    @abstractmethod
    def draw(self, state: Any, mode: str) -> Any:
        """The state as text (``ansi``) or pixels (``rgb_array``)."""


@dataclass(frozen=True)
class Table:
    """Rules of L parameter levels, enumerated over the same S states; see ``FiniteModel``.

    Attributes:
        states: what the indices stand for.
        models: one finite model per level.
        bounds: upper ends of all outcomes but the last, for one uniform draw, (K - 1, L * S * A).
        successor, gain, ends, success, harm, fatal: per outcome, flat, (L * S * A * K + 1,); the
            last is the outcome of a step that was not taken.
        costs: ``harm`` by kind, (L * S * A * K + 1, kinds).
        details: (L * S * A * K + 1, number of details).
        observations: float32, (S, width).
        starts: indices of the M states in which episodes begin, (M,).
        first: upper ends of their shares of one uniform draw, but the last's, (M - 1,).
    """

    states: tuple[Hashable, ...]
    models: tuple[FiniteModel, ...]
    bounds: FloatArray
    successor: IntArray
    gain: FloatArray
    ends: BoolArray
    success: FloatArray
    harm: FloatArray
    fatal: BoolArray
    costs: FloatArray
    details: FloatArray
    observations: Observations
    starts: IntArray
    first: FloatArray

    def place(self, state: Hashable) -> int:
        """Index of a state.

        Raises:
            UsageError: if it cannot be reached.
        """
        if state not in self.states:
            raise UsageError(f"no episode reaches the state {state}")
        return self.states.index(state)


def _reachable(levels: Sequence[Rules]) -> dict[Hashable, bool]:
    """States that any level can reach, in the order of finding; whether an episode goes on there.

    A state in which every episode ends is not asked what its actions would lead to.
    """
    found: dict[Hashable, bool] = {}
    waiting: list[Hashable] = []

    def meet(state: Hashable, goes_on: bool) -> None:
        if goes_on and not found.get(state, False):
            waiting.append(state)
        found[state] = found.get(state, False) or goes_on

    for rules in levels:
        for _, state in rules.starts():
            meet(state, True)
    while waiting:
        state = waiting.pop(0)
        for rules in levels:
            for action in range(len(rules.ACTIONS)):
                for outcome in rules.outcomes(state, action):
                    meet(outcome.state, not outcome.ends)
        if len(found) > MAX_STATES:
            raise UsageError(f"{type(levels[0]).__name__} has more than {MAX_STATES} states")
    return found


@lru_cache(maxsize=64)
def enumerate_rules(levels: tuple[Rules, ...]) -> Table:
    """Tables of all that rules allow, one block per level.

    Args:
        levels: the same rules with other parameters; one where nothing drifts.

    Raises:
        UsageError: if chances do not sum to 1, levels begin differently, or there are too many
            states.
    """
    found = _reachable(levels)
    states = tuple(found)
    index = {state: place for place, state in enumerate(states)}
    rules = levels[0]
    answers = [
        [
            list(level.outcomes(state, action)) if found[state] else [Outcome(1.0, state, 0.0)]
            for action in range(len(rules.ACTIONS))
        ]
        for level in levels
        for state in states
    ]
    width = max(len(outcomes) for row in answers for outcomes in row)
    shape = (len(levels) * len(states), len(rules.ACTIONS), width)
    chance, gain = np.zeros(shape), np.zeros(shape)
    successor = np.zeros(shape, np.int64)
    ends, success = np.ones(shape, np.bool_), np.zeros(shape)
    costs = np.zeros((*shape, len(rules.COSTS)))
    details = np.zeros((*shape, len(rules.DETAILS)))
    for row, per_action in enumerate(answers):
        for action, outcomes in enumerate(per_action):
            what = f"chances of {rules.ACTIONS[action]} in state {states[row % len(states)]}"
            _check(f"{type(rules).__name__}: {what}", [outcome.chance for outcome in outcomes])
            for place, outcome in enumerate(outcomes):
                at = (row, action, place)
                chance[at], gain[at] = outcome.chance, outcome.reward
                successor[at] = index[outcome.state]
                ends[at] = outcome.ends or not found[states[row % len(states)]]
                success[at] = outcome.success
                if outcome.costs:
                    costs[at] = outcome.costs
                if outcome.details:
                    details[at] = outcome.details
    if any(level.starts() != rules.starts() for level in levels):
        raise UsageError(f"{type(rules).__name__}: where episodes begin cannot drift")
    _check(f"{type(rules).__name__}: chances of the first states", [c for c, _ in rules.starts()])
    start = np.zeros(len(states))
    for share, state in rules.starts():
        start[index[state]] += share
    starts = np.flatnonzero(start)
    harm = costs.sum(axis=-1)
    harmed = (harm > 0.0).astype(np.float64)
    fatal = [rules.COSTS.index(kind) for kind in rules.CATASTROPHES]
    blocks = [slice(first, first + len(states)) for first in range(0, shape[0], len(states))]
    models = tuple(
        FiniteModel(chance[b], successor[b], gain[b], harmed[b], ends[b], start) for b in blocks
    )
    return Table(
        states=states,
        models=models,
        bounds=np.ascontiguousarray(chance.cumsum(axis=2).reshape(-1, width).T[:-1]),
        successor=_flat(successor),
        gain=_flat(gain),
        ends=_flat(ends),
        success=_flat(success),
        harm=_flat(harm),
        fatal=_flat(np.logical_or.reduce(costs[..., fatal] > 0.0, axis=-1)),
        costs=_flat(costs, len(rules.COSTS)),
        details=_flat(details, len(rules.DETAILS)),
        observations=np.array([rules.observe(state) for state in states], dtype=np.float32),
        starts=starts,
        first=start[starts].cumsum()[:-1],
    )


def _flat(values: NDArray[Any], *inner: int) -> NDArray[Any]:
    """Values of all outcomes in one row, and zero for a step that was not taken."""
    outcomes = math.prod(values.shape[:3])
    return np.concatenate([values.reshape(outcomes, *inner), np.zeros((1, *inner), values.dtype)])


def _check(what: str, chances: Sequence[float]) -> None:
    if not abs(sum(chances) - 1.0) <= _SUM_TOLERANCE or min(chances) < 0.0:
        given = ", ".join(map(str, chances))
        raise UsageError(f"{what} must be at least 0 and sum to 1, got {given}")


@dataclass(frozen=True)
class Knowledge:
    """What follows from a table, level by level; flat arrays over (level, state[, action]).

    Attributes:
        immediate: probability that the action violates in that very step, (L * S * A,).
        estimated: the same, given only what the agent sees, (L * S * A,); see ``as_seen``.
        exact: least probability of a violation in an episode's length after it, (L * S * A,).
        best: action of the highest discounted value as the agent sees it, (L * S,): the optimum
            where no two states look the same, else that of QMDP (Littman, Cassandra & Kaelbling
            1995), which takes it that the next step will show the state.
        best_safe: action of the highest value among those of the least exact risk, (L * S,); an
            overseer's, who sees the state.
        safe_value: value of ``best_safe``, (L * S,).
    """

    immediate: FloatArray
    estimated: FloatArray
    exact: FloatArray
    best: IntArray
    best_safe: IntArray
    safe_value: FloatArray


def as_seen(
    model: FiniteModel, observations: Observations, horizon: int, values: FloatArray
) -> FloatArray:
    """Mean of action values over the states that look the same, (S, A) -> (S, A).

    States are weighted by how often an agent that acts at random is in them during an episode of
    so many steps.
    """
    actions = model.chance.shape[1]
    arriving = model.onward().T
    at = model.start
    visits = np.full(len(at), _NEVER_VISITED)
    for _ in range(min(horizon, _LONGEST)):
        visits += at
        at = arriving @ np.repeat(at / actions, actions)
    look = np.unique(observations, axis=0, return_inverse=True)[1].reshape(-1)
    share = visits / np.bincount(look, visits)[look]
    mean = np.zeros_like(values)
    np.add.at(mean, look, share[:, None] * values)
    return mean[look]


@lru_cache(maxsize=64)
def know(levels: tuple[Rules, ...], horizon: int) -> Knowledge:
    """What an overseer can know of the rules, for episodes of so many steps."""
    parts: list[tuple[Any, ...]] = []
    table = enumerate_rules(levels)
    for model in table.models:
        risk = exact_risk(model, horizon)
        safe = optimal_values(model, GAMMA, safe_actions(risk))
        estimated, free = (
            as_seen(model, table.observations, horizon, values)
            for values in (model.harm, optimal_values(model, GAMMA))
        )
        best = best_actions(free), best_actions(safe)
        parts.append((model.harm, estimated, risk, *best, safe.max(axis=1)))
    joined = zip(*parts, strict=True)
    return Knowledge(*(np.concatenate([a.reshape(-1) for a in part]) for part in joined))


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
        starts: Any = self.table.starts
        if len(starts) > 1:
            starts = starts[np.searchsorted(self.table.first, draws[:, 0], side="right")]
        np.copyto(self.state, starts, where=mask)

    def _advance(
        self, actions: Actions, draws: FloatArray
    ) -> tuple[FloatArray, BoolArray, FloatArray]:
        table = self.table
        draw, row = draws[:, 0], self._row() * len(self.ACTIONS) + actions
        outcome = row * (len(table.bounds) + 1)
        for bound in table.bounds:
            outcome += draw >= bound.take(row)
        self._outcome = outcome
        self.state = table.successor.take(outcome)
        return table.gain.take(outcome), table.ends.take(outcome), table.harm.take(outcome)

    def _freeze(self, frozen: BoolArray) -> None:
        self._outcome[frozen] = len(self.table.harm) - 1

    def _catastrophe(self, harm: FloatArray) -> BoolArray:
        return self.table.fatal.take(self._outcome)

    def _observe(self) -> Observations:
        return self.table.observations.take(self.state, axis=0)

    def _success(self, terminated: BoolArray, truncated: BoolArray) -> FloatArray:
        success = np.where(terminated, self.table.success[self._outcome], np.nan)
        success[truncated] = 0.0
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
        risk: FloatArray = getattr(self.knowledge, source)
        return risk.reshape(-1, len(self.ACTIONS))[self._row()]

    def risk_of(self, source: RiskSource, actions: Actions) -> FloatArray | None:
        """Risk of one action per lane, (n,)."""
        risk: FloatArray = getattr(self.knowledge, source)
        return risk[self._row() * len(self.ACTIONS) + actions]

    def reference(self) -> Actions | None:
        """The action of the highest discounted value as the agent sees it, (n,)."""
        return self.knowledge.best[self._row()]

    def correction(self) -> Actions | None:
        """The best action among those of the least risk, (n,)."""
        return self.knowledge.best_safe[self._row()]

    def potential(self) -> FloatArray | None:
        """Discounted value of the best safe policy, (n,); 0 where the episode has ended."""
        return self.knowledge.safe_value[self._row()]

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
