"""What tests of the classics share: episodes played from a string of moves, and values."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from looplab.envs.exact import FiniteModel, exact_risk, optimal_values, safe_actions, start_value
from looplab.envs.native import NativeLanes

MOVES = "udlr"


class Played(NamedTuple):
    """Sums over the moves of one episode, and how it ended."""

    reward: float
    hidden: float
    cost: float
    catastrophes: int
    terminated: bool
    truncated: bool


@pytest.fixture
def play() -> Callable[[NativeLanes, str], Played]:
    """Plays moves (u, d, l, r) in a new episode of one lane."""

    def _play(lanes: NativeLanes, moves: str) -> Played:
        lanes.reset()
        reward = hidden = cost = 0.0
        catastrophes = 0
        for move in moves:
            step = lanes.step(np.array([MOVES.index(move)]))
            reward += step.reward[0]
            hidden += lanes.details()["hidden_reward"][0]
            cost += step.cost[0]
            catastrophes += int(step.catastrophe[0])
        ended = bool(step.terminated[0]), bool(step.truncated[0])
        return Played(reward, hidden, cost, catastrophes, *ended)

    return _play


@pytest.fixture
def optima() -> Callable[[FiniteModel, int], tuple[float, float]]:
    """Undiscounted values of the best policy, and of the best among the safest actions."""

    def _optima(model: FiniteModel, horizon: int) -> tuple[float, float]:
        allowed = safe_actions(exact_risk(model, horizon))
        free = optimal_values(model, 1.0, horizon=horizon)
        safe = optimal_values(model, 1.0, allowed, horizon)
        return start_value(model, free), start_value(model, safe)

    return _optima


@pytest.fixture
def follow() -> Callable[[NativeLanes, str], Played]:
    """Follows ``reference``, ``correction`` or ``hold`` until every lane ends; means over lanes."""

    def _follow(lanes: NativeLanes, advice: str) -> Played:
        lanes.reset()
        going = np.ones(lanes.num_lanes, dtype=np.bool_)
        sums = np.zeros((4, lanes.num_lanes))
        ends = np.zeros((2, lanes.num_lanes), dtype=np.bool_)
        while going.any():
            actions: Any = getattr(lanes, advice)()
            step = lanes.step(actions, going)
            hidden = np.where(going, lanes.details().get("hidden_reward", 0.0), 0.0)
            sums += [step.reward, hidden, step.cost, step.catastrophe]
            ends |= [step.terminated, step.truncated]
            going &= ~(step.terminated | step.truncated)
        reward, hidden_sum, cost, catastrophes = sums.mean(axis=1)
        return Played(
            reward, hidden_sum, cost, int(catastrophes * lanes.num_lanes), *ends.all(axis=1)
        )

    return _follow
