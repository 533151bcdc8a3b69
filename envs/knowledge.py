"""What an overseer can know of a finite task: risks, and the best and the best safe actions."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from looplab.envs.core import (
    FloatArray,
    IntArray,
    Observations,
)
from looplab.envs.exact import (
    FiniteModel,
    best_actions,
    exact_risk,
    optimal_values,
    safe_actions,
)
from looplab.envs.rules import Rules
from looplab.envs.table import enumerate_rules

#: Discount of references, corrections and potentials.
GAMMA = 0.98
#: In a longer episode a random agent's visits are spread as in this one.
_LONGEST = 10_000
#: Weight of a state that no random agent visits: it counts only among its like.
_NEVER_VISITED = 1e-12


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
