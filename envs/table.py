"""Rules enumerated once: everything that they allow, as arrays to look up."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looplab.envs.core import (
    BoolArray,
    FloatArray,
    IntArray,
    Observations,
)
from looplab.envs.errors import UsageError
from looplab.envs.exact import (
    FiniteModel,
)
from looplab.envs.rules import Outcome, Rules

#: More states than this are no table any more.
MAX_STATES = 50_000
_SUM_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Table:
    """Rules of L parameter levels, enumerated over the same S states; see ``FiniteModel``.

    Attributes:
        states: what the indices stand for.
        models: one finite model per level.
        bounds: upper ends of all outcomes but the last, for one uniform draw, (L * S * A, K - 1).
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
        bounds=np.ascontiguousarray(chance.cumsum(axis=2).reshape(-1, width)[:, :-1]),
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
