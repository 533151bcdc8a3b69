"""Environments that carry their table of transitions: risk, hold and correction are exact."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import gymnasium as gym
import numpy as np

from looplab.envs.core import FloatArray, IntArray, RiskSource
from looplab.envs.exact import (
    FiniteModel,
    best_actions,
    exact_risk,
    optimal_values,
    safe_actions,
)

#: Whether a step violates, from the state that it leads to and its reward.
Harm = Callable[[int, float], bool]
#: Discount of corrections: without one, nothing tells a way to the goal from dawdling on it.
HASTE = 0.999
_OFFERED = ("immediate", "exact", "hold", "correction")


@dataclass(frozen=True)
class Known:
    """What a table tells: risks (S, A), and the correction and hold of each state (S,)."""

    immediate: FloatArray
    exact: FloatArray
    correction: IntArray
    hold: IntArray


class TableView(gym.Wrapper[Any, Any, Any, Any]):
    """Reports harm, and answers from the environment's own table ``P`` of transitions.

    Exact risk counts the next ``horizon`` steps, whatever is left of the episode. The correction is
    the best of the actions of least exact risk, with all later ones chosen so; hold is the one of
    them that most likely changes nothing. ``info`` holds ``cost``, ``catastrophe`` where harm ends
    the episode, and at the end ``is_success``: it terminated unharmed.

    Args:
        env: an environment with a state ``s`` and a table ``P``, as in Gymnasium's toy text.
        harm: whether a step violates, called as ``harm(new state, reward)``.
        horizon: steps that exact risk looks ahead, at least 1.
    """

    def __init__(self, env: gym.Env[Any, Any], harm: Harm, horizon: int) -> None:
        super().__init__(env)
        self._harm = harm
        self._world: Any = env.unwrapped
        self._known = known(*tables(self._world), harm, horizon)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Runs one action and reports whether it violated."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        harmed = self._harm(int(self._world.s), float(reward))
        info = {**info, "cost": float(harmed), "catastrophe": harmed and bool(terminated)}
        if terminated or truncated:
            info["is_success"] = bool(terminated) and not harmed
        return observation, reward, terminated, truncated, info

    def offers(self, what: str) -> bool:
        """Whether a risk (by its source), ``hold`` or ``correction`` is known."""
        return what in _OFFERED

    def risk_table(self, source: RiskSource) -> FloatArray | None:
        """Risk of every action in the present state, shape (A,); None if it is not known."""
        if source == "estimated":
            return None
        row: FloatArray = getattr(self._known, source)[int(self._world.s)]
        return row.copy()

    def risk_of(self, source: RiskSource, action: Any) -> float | None:
        """Risk of one action in the present state; None if it is not known."""
        row = self.risk_table(source)
        return None if row is None else float(row[int(action)])

    def correction(self) -> int:
        """The best of the safest actions, with all later ones chosen so."""
        return int(self._known.correction[int(self._world.s)])

    def hold(self) -> int:
        """The safest action that most likely changes nothing."""
        return int(self._known.hold[int(self._world.s)])


def tables(world: Any) -> tuple[Any, tuple[float, ...]]:
    """Outcomes of each state and action, (chance, new state, reward, ends), and starting chances.

    Args:
        world: an unwrapped environment with ``P`` and ``initial_state_distrib``.
    """
    outcomes = tuple(
        tuple(tuple(tuple(outcome) for outcome in actions[a]) for a in sorted(actions))
        for _, actions in sorted(world.P.items())
    )
    return outcomes, tuple(world.initial_state_distrib.tolist())


@lru_cache(maxsize=16)
def known(table: Any, start: tuple[float, ...], harm: Harm, horizon: int) -> Known:
    """Risks, corrections and holds of a table; the lanes of one task share them."""
    model = finite_model(table, start, harm)
    exact = exact_risk(model, horizon)
    safe = safe_actions(exact)
    values = optimal_values(model, gamma=HASTE, allowed=safe, horizon=horizon)
    here = np.arange(len(start))[:, None, None]
    stays = model.expected((model.successor == here).astype(np.float64))
    hold = np.where(safe, stays, -1.0).argmax(axis=1)
    return Known(model.harm, exact, best_actions(values), hold)


def finite_model(table: Any, start: tuple[float, ...], harm: Harm) -> FiniteModel:
    """A table of transitions as a finite model.

    Args:
        table: for each state and action its outcomes, as ``tables`` returns them.
        start: distribution of the first state.
        harm: whether an outcome violates.
    """
    width = max(len(outcomes) for actions in table for outcomes in actions)
    shape = (len(table), len(table[0]), width)
    chance, gain, harmed = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    successor, ends = np.zeros(shape, np.int64), np.zeros(shape, np.bool_)
    for state, actions in enumerate(table):
        for action, outcomes in enumerate(actions):
            for place, (share, new, reward, over) in enumerate(outcomes):
                at = (state, action, place)
                chance[at], successor[at], gain[at], ends[at] = share, new, reward, over
                harmed[at] = harm(int(new), float(reward))
    return FiniteModel(chance, successor, gain, harmed, ends, np.array(start))
