"""Situations: prepared states of a task, one step in each, for asking what one would do there."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looplab.envs.core import (
    Actions,
    BoolArray,
    FloatArray,
    IntArray,
    Lanes,
    Observations,
    RiskSource,
    Step,
)
from looplab.envs.errors import UsageError


def snapshot(lanes: Lanes) -> Lanes:
    """A copy of lanes as they stand, which goes its own way from there.

    Raises:
        UsageError: if the task cannot be copied.
    """
    try:
        return copy.deepcopy(lanes)
    except Exception as error:  # whatever an environment holds may refuse to be copied
        name = type(lanes).__name__
        raise UsageError(f"{name} cannot be copied, so nothing can be asked of it") from error


class Situations(Lanes):
    """Every episode is one step from a prepared state; the next one begins in the next state.

    All lanes go through the same states in the same order, and what follows an action is the same
    in each of them. After the last state comes the first again.

    Args:
        states: lanes of one lane each, all of one task; they stay as they are.
        num_lanes: number of lanes n.

    Raises:
        UsageError: if there is no state, or one has several lanes.
    """

    def __init__(self, states: Sequence[Lanes], num_lanes: int = 1) -> None:
        if not states or any(state.num_lanes != 1 for state in states):
            raise UsageError("situations need at least one state, each of one lane")
        self._states = tuple(states)
        first = self._states[0]
        self.num_lanes = num_lanes
        self.observation_space, self.action_space = first.observation_space, first.action_space
        #: What the task calls its discrete actions.
        self.ACTIONS: tuple[str, ...] = tuple(getattr(first, "ACTIONS", ()))
        self.reseed(0)
        self.reset()

    def reseed(self, seed: int) -> None:
        """Begins with the first state again at the next reset; nothing is drawn."""
        self.seed = seed
        self.episode: IntArray = np.full(self.num_lanes, -1, np.int64)
        self.elapsed: IntArray = np.zeros(self.num_lanes, np.int64)
        self._now: list[Lanes] = [self._states[0]] * self.num_lanes

    def reset(self, mask: BoolArray | None = None) -> Observations:
        """The next state in the masked lanes."""
        chosen = np.ones(self.num_lanes, np.bool_) if mask is None else mask
        for lane in np.flatnonzero(chosen).tolist():
            self.episode[lane] += 1
            state = self._states[int(self.episode[lane]) % len(self._states)]
            self._now[lane] = snapshot(state)
            self.elapsed[lane] = int(state.elapsed[0])
        self.observation = np.concatenate([lane.observation for lane in self._now])
        return self.observation

    def step(self, actions: Actions, active: BoolArray | None = None) -> Step:
        """One action in each state, with which the episode is over."""
        chosen = np.ones(self.num_lanes, np.bool_) if active is None else active
        told = [
            state.step(actions[lane : lane + 1], chosen[lane : lane + 1])
            for lane, state in enumerate(self._now)
        ]
        self.elapsed += chosen
        terminated = np.concatenate([step.terminated for step in told])
        self.observation = np.concatenate([step.observation for step in told])
        return Step(
            observation=self.observation,
            reward=np.concatenate([step.reward for step in told]),
            terminated=terminated,
            truncated=chosen & ~terminated,
            cost=np.concatenate([step.cost for step in told]),
            catastrophe=np.concatenate([step.catastrophe for step in told]),
            success=np.concatenate([step.success for step in told]),
        )

    def risk_table(self, source: RiskSource) -> FloatArray | None:
        """Risk of every action in each lane's state, (n, A); None if it is not known."""
        return _together([state.risk_table(source) for state in self._now])

    def risk_of(self, source: RiskSource, actions: Actions) -> FloatArray | None:
        """Risk of one action per lane, (n,); None if it is not known."""
        found = [
            state.risk_of(source, actions[lane : lane + 1]) for lane, state in enumerate(self._now)
        ]
        return _together(found)

    def least_risk(self, source: RiskSource) -> FloatArray | None:
        """Risk of the safest action in each state, (n,); None if it is not known."""
        return _together([state.least_risk(source) for state in self._now])

    def offers(self, what: str) -> bool:
        """What the task offers."""
        return self._states[0].offers(what)

    def hold(self) -> Actions | None:
        """The action that does nothing in each state; None if the task has none."""
        return _together([state.hold() for state in self._now])

    def correction(self) -> Actions | None:
        """What a perfect overseer would do in each state; None if none is known."""
        return _together([state.correction() for state in self._now])

    def render(self, lane: int = 0, mode: str = "ansi") -> Any:
        """Draws the state of one lane."""
        return self._now[lane].render(0, mode)


def _together(parts: Sequence[NDArray[Any] | None]) -> NDArray[Any] | None:
    """What is known of every lane, as one array; None where it is not known of all."""
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if len(known) == len(parts) else None
