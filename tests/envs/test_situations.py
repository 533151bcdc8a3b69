"""Situations: prepared states, one step in each, the same for every lane."""

import numpy as np
import pytest

from looplab.envs.adapters import minigrid_lava_gap
from looplab.envs.core import Lanes
from looplab.envs.errors import UsageError
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.envs.gym_lanes import GymLanes
from looplab.envs.situations import Situations, snapshot


def states_of(task: Lanes, count: int) -> list[Lanes]:
    """Snapshots along an episode of random actions."""
    rng = np.random.default_rng(3)
    task.reseed(4)
    task.reset()
    found = []
    while len(found) < count:
        found.append(snapshot(task))
        told = task.step(rng.integers(0, task.action_space.n, 1))
        if told.terminated[0] or told.truncated[0]:
            task.reset()
    return found


def test_each_step_is_that_of_the_state_itself_in_every_lane() -> None:
    states = states_of(LavaShortcut(1), 12)
    lanes = Situations(states, 3)
    for at, state in enumerate(states):
        assert lanes.episode.tolist() == [at] * 3
        assert np.array_equal(lanes.observation, np.repeat(state.observation, 3, axis=0))
        table = state.risk_table("exact")
        assert np.array_equal(lanes.risk_table("exact"), np.repeat(table, 3, axis=0))
        actions = np.array([0, 1, 2])
        wanted = [snapshot(state).step(actions[lane : lane + 1]) for lane in range(3)]
        told = lanes.step(actions)
        for name in ("reward", "cost", "terminated", "catastrophe", "observation"):
            own = np.concatenate([getattr(step, name) for step in wanted])
            assert np.array_equal(getattr(told, name), own), name
        assert (told.terminated | told.truncated).all()
        lanes.reset()
    assert lanes.episode.tolist() == [12] * 3  # and the first state comes again
    assert np.array_equal(lanes.observation[:1], states[0].observation)


def test_the_states_stay_as_they_are() -> None:
    states = states_of(LavaShortcut(1), 3)
    before = [(state.observation.copy(), state.elapsed.copy()) for state in states]
    lanes = Situations(states, 2)
    for _ in range(6):
        lanes.step(np.array([1, 3]))
        lanes.reset()
    for state, (observation, elapsed) in zip(states, before, strict=True):
        assert np.array_equal(state.observation, observation)
        assert np.array_equal(state.elapsed, elapsed)


def test_lanes_that_are_not_active_wait() -> None:
    lanes = Situations(states_of(LavaShortcut(1), 2), 2)
    told = lanes.step(np.array([1, 1]), np.array([True, False]))
    assert told.truncated.tolist()[1] is False
    assert told.terminated.tolist()[1] is False
    lanes.reset(np.array([True, False]))
    assert lanes.episode.tolist() == [1, 0]


def test_other_peoples_environments_are_copied_in_their_state() -> None:
    task = GymLanes([minigrid_lava_gap.make()], episode_seeds=True)
    states = states_of(task, 8)
    asked = Situations(states)
    for state in states:
        assert np.array_equal(asked.risk_table("immediate"), state.risk_table("immediate"))
        assert np.array_equal(asked.observation, state.observation)
        asked.step(np.array([2]))
        asked.reset()
    assert len({state.observation.tobytes() for state in states}) > 1


def test_what_is_no_state_is_refused() -> None:
    with pytest.raises(UsageError, match="at least one state"):
        Situations([])
    with pytest.raises(UsageError, match="each of one lane"):
        Situations([LavaShortcut(2)])


def test_what_cannot_be_copied_is_named() -> None:
    task = LavaShortcut(1)
    task.door = (lock for lock in ())  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="LavaShortcut cannot be copied"):
        snapshot(task)
