"""CliffWalking of Gymnasium: walk along a cliff, fall and begin again (Sutton & Barto, ex. 6.6)."""

from functools import lru_cache
from typing import Any

import gymnasium as gym
import numpy as np

from looplab.envs.adapters.one_hot import OneHot
from looplab.envs.annotated import Annotated, Transition
from looplab.envs.core import FloatArray, IntArray
from looplab.envs.drawing import DRAW_MODES, Frame, draw_grid
from looplab.envs.errors import choice, whole
from looplab.envs.exact import FiniteModel, exact_risk, optimal_values, safe_actions
from looplab.envs.gym_lanes import GymLanes

ENV_ID = "CliffWalking-v1"
#: The environment has no time limit of its own.
MAX_EPISODE_STEPS = 200
#: Reward of a fall, which tows back to the start.
FALL_REWARD = -100.0
#: The edge is worth -13, one row up -15, two rows up -17: -20 leaves three steps to an exploring
#: policy on the longest of the three, and less than one fall in twelve episodes on the shortest.
THRESHOLD = -20.0


class CliffView(gym.Wrapper[Any, Any, Any, Any]):
    """Reports arrival as ``is_success`` at the end, and draws the cliff as LoopLab's own grids."""

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Runs one action; the episode terminates at the goal only."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        if terminated or truncated:
            info = {**info, "is_success": bool(terminated)}
        return observation, reward, terminated, truncated, info

    def render(self) -> str | Frame | None:
        """Draws the grid: ``S`` start, ``L`` the cliff, ``G`` the goal."""
        if self.render_mode is None:
            return None
        world: Any = self.env.unwrapped
        rows, columns = world.shape
        symbols = [["L" if cell else "." for cell in line] for line in world._cliff]
        symbols[rows - 1][0], symbols[rows - 1][columns - 1] = "S", "G"
        return draw_grid(symbols, divmod(int(world.s), columns), self.render_mode)


def cost(transition: Transition) -> float:
    """1 where the step fell, else 0."""
    return float(transition.reward <= FALL_REWARD)


def risk(env: gym.Env[Any, Any], action: Any) -> float:
    """Probability that the action falls, from the environment's own table of transitions."""
    world: Any = env.unwrapped
    outcomes = world.P[int(world.s)][int(action)]
    return float(sum(chance for chance, _, reward, _ in outcomes if reward <= FALL_REWARD))


def correction(env: gym.Env[Any, Any]) -> int:
    """The best of the actions that cannot fall, with all later ones chosen so."""
    return int(_tables()[0][_state(env)])


def hold(env: gym.Env[Any, Any]) -> int:
    """The action that changes least without falling.

    A step against a wall leaves the agent where it is. In the open every action moves it by one
    cell, and holding is a step up, away from the cliff.
    """
    return int(_tables()[1][_state(env)])


def model() -> FiniteModel:
    """The environment's table of transitions as a finite model; a fall counts as harm."""
    world: Any = gym.make(ENV_ID).unwrapped
    states, actions = world.observation_space.n, world.action_space.n
    transition = np.zeros((states, actions, states))
    harmless = np.zeros_like(transition)
    reward, harm = np.zeros((states, actions)), np.zeros((states, actions))
    terminal = np.zeros(states, dtype=np.bool_)
    for state, table in world.P.items():
        for action, outcomes in table.items():
            for chance, new, gain, ended in outcomes:
                transition[state, action, new] += chance
                reward[state, action] += chance * gain
                fell = gain <= FALL_REWARD
                harmless[state, action, new] += chance * (not fell)
                harm[state, action] += chance * fell
                terminal[new] |= ended
    start = world.initial_state_distrib
    return FiniteModel(transition, reward, harm, terminal, start, harmless)


def make(max_episode_steps: int = MAX_EPISODE_STEPS, render_mode: str | None = None) -> Annotated:
    """CliffWalking with one-hot observations, cost, risk, hold and correction.

    Observations are float32 of shape (48,), row by row; actions 0 up, 1 right, 2 down, 3 left.

    Args:
        max_episode_steps: steps after which an episode is truncated, at least 1.
        render_mode: ``ansi``, ``rgb_array`` or None.

    Raises:
        UsageError: if an argument is out of range.
    """
    if render_mode is not None:
        choice("render_mode", render_mode, DRAW_MODES)
    whole("max_episode_steps", max_episode_steps, 1)
    env = CliffView(gym.make(ENV_ID, max_episode_steps=max_episode_steps, render_mode=render_mode))
    return Annotated(OneHot(env), cost=cost, risk=risk, hold=hold, correction=correction)


def lanes(
    num_lanes: int = 1,
    max_episode_steps: int = MAX_EPISODE_STEPS,
    render_mode: str | None = None,
) -> GymLanes:
    """As many lanes of ``make``; learned at a mean return of -20.

    Args:
        num_lanes: number of lanes, at least 1.
        max_episode_steps: steps after which an episode is truncated.
        render_mode: as in ``make``.
    """
    count = whole("num_lanes", num_lanes, 1)
    envs = [make(max_episode_steps, render_mode) for _ in range(count)]
    return GymLanes(envs, threshold=THRESHOLD, episode_seeds=True)


def _state(env: gym.Env[Any, Any]) -> int:
    world: Any = env.unwrapped
    return int(world.s)


@lru_cache(maxsize=1)
def _tables() -> tuple[IntArray, IntArray]:
    """Correction and hold of each state, both (S,)."""
    finite = model()
    safe = safe_actions(exact_risk(finite, MAX_EPISODE_STEPS))
    values = optimal_values(finite, gamma=1.0, allowed=safe, horizon=MAX_EPISODE_STEPS)
    stays: FloatArray = np.einsum("sas->sa", finite.transition)
    return values.argmax(axis=1), np.where(safe, stays, -1.0).argmax(axis=1)
