"""Lanes made of Gymnasium environments: seeds, masks, copies, and what they refuse."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from looplab.envs.annotated import Annotated
from looplab.envs.core import Actions, Lanes, Step
from looplab.envs.errors import EnvironmentFault, UsageError
from looplab.envs.gym_lanes import GymLanes

SEED = 3
SLIPPERY = "FrozenLake-v1"


def _lake(**functions: Any) -> Annotated:
    return Annotated(gym.make(SLIPPERY), cost=lambda t: 0.0, **functions)


def _lakes(count: int = 3, episode_seeds: bool = True) -> GymLanes:
    return GymLanes([_lake() for _ in range(count)], episode_seeds=episode_seeds)


def _native(count: int = 3) -> GymLanes:
    return GymLanes([gym.make("looplab/LavaShortcut-v0") for _ in range(count)])


def _run(lanes: GymLanes, actions: np.ndarray, cut: np.ndarray | None = None) -> list[Any]:
    """Observations by (lane, episode, elapsed); lanes are reset where they end or are cut."""
    seen = {}
    lanes.reset()
    for t, row in enumerate(actions):
        step = lanes.step(row)
        for lane in range(lanes.num_lanes):
            key = (lane, int(lanes.episode[lane]), int(lanes.elapsed[lane]))
            seen[key] = int(step.observation[lane])
        again = step.terminated | step.truncated
        if cut is not None:
            again = again | cut[t]
        if again.any():
            lanes.reset(again)
    return sorted(seen.items())


def test_lanes_of_native_environments_equal_the_batch(
    rng: np.random.Generator,
    random_actions: Callable[[Lanes, np.random.Generator], Actions],
    same_step: Callable[[Step, Step], None],
    same_knowledge: Callable[[Lanes, Lanes], None],
    native_id: str,
    native: Any,
) -> None:
    ours, batch = GymLanes([gym.make(native_id) for _ in range(4)]), native(4, seed=SEED)
    ours.reseed(SEED)
    np.testing.assert_array_equal(ours.reset(), batch.reset())
    for _ in range(130):
        actions = random_actions(batch, rng)
        active = rng.random(4) < 0.8
        step = batch.step(actions, active)
        same_step(ours.step(actions, active), step)
        same_knowledge(ours, batch)
        again = step.terminated | step.truncated
        if again.any():
            np.testing.assert_array_equal(ours.reset(again), batch.reset(again))
        np.testing.assert_array_equal(ours.episode, batch.episode)
        np.testing.assert_array_equal(ours.elapsed, batch.elapsed)


def test_episode_seeds_make_episodes_independent_of_earlier_ones(rng: np.random.Generator) -> None:
    """Lanes that are cut at other times meet the same episodes, where actions agree."""
    actions = np.full((60, 3), 2)
    cut = rng.random((60, 3)) < 0.2
    lanes, cut_lanes = _lakes(), _lakes()
    lanes.reseed(SEED)
    cut_lanes.reseed(SEED)
    plain, short = dict(_run(lanes, actions)), dict(_run(cut_lanes, actions, cut))
    shared = plain.keys() & short.keys()
    assert len(shared) > 60
    assert max(episode for _, episode, _ in shared) >= 3
    assert all(plain[key] == short[key] for key in shared)


def test_without_episode_seeds_a_lane_is_seeded_once() -> None:
    lanes = _lakes(2, episode_seeds=False)
    lanes.reseed(SEED)
    lanes.reset()
    reference = gym.make(SLIPPERY)
    reference.reset(seed=SEED + 1)
    for _ in range(40):
        step = lanes.step(np.array([2, 2]))
        observation, reward, terminated, truncated, _ = reference.step(2)
        assert (step.observation[1], step.reward[1]) == (observation, reward)
        assert (step.terminated[1], step.truncated[1]) == (terminated, truncated)
        done = step.terminated | step.truncated
        if done.any():
            lanes.reset(done)
        if terminated or truncated:
            reference.reset()


def test_seeds_tell_lanes_and_batches_apart() -> None:
    actions = np.full((60, 3), 2)
    runs = []
    for seed in (SEED, SEED, SEED + 10):
        lanes = _lakes()
        lanes.reseed(seed)
        runs.append(_run(lanes, actions))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    by_lane = [[value for (lane, *_), value in runs[0] if lane == i] for i in range(3)]
    assert by_lane[0] != by_lane[1]


def test_inactive_environments_are_not_stepped() -> None:
    lanes = _native()
    lanes.reset()
    before = lanes.observation.copy()
    step = lanes.step(np.zeros(3, dtype=np.int64), np.array([True, False, True]))
    np.testing.assert_array_equal(lanes.elapsed, [1, 0, 1])
    np.testing.assert_array_equal(step.observation[1], before[1])
    assert step.reward[1] == step.cost[1] == 0.0


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_continue_identically(
    rng: np.random.Generator,
    same_step: Callable[[Step, Step], None],
    duplicate: Callable[[Any], Any],
) -> None:
    lanes = _native()
    lanes.reset()
    lanes.step(np.zeros(3, dtype=np.int64))
    twin = duplicate(lanes)
    for _ in range(60):
        actions = rng.integers(5, size=3)
        step = lanes.step(actions)
        same_step(step, twin.step(actions))
        again = step.terminated | step.truncated
        if again.any():
            np.testing.assert_array_equal(lanes.reset(again), twin.reset(again))


def test_forks_are_reseeded_apart_from_their_parent() -> None:
    lanes, twin = _lakes(1), _lakes(1)
    lanes.reset()
    twin.reset()
    landed = set()
    for seed in range(30):
        fork: Any = lanes.fork(0)
        fork.redraw(seed)
        landed.add(int(fork.step(2)[0]))
    assert landed == {0, 1, 4}  # straight on, and slipped to both sides
    for _ in range(10):
        np.testing.assert_array_equal(
            lanes.step(np.array([2])).observation, twin.step(np.array([2])).observation
        )


class Awkward(gym.Env[Any, Any]):
    """An environment that returns what it is told to, and cannot be copied."""

    def __init__(self, reward: Any = 0.0, cost: Any = 0.0) -> None:
        self.action_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.observation_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.answer = (reward, cost)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        return np.zeros(1, np.float32), self.answer[0], False, False, {"cost": self.answer[1]}

    def __deepcopy__(self, memo: Any) -> None:
        raise TypeError("holds a socket")


@pytest.mark.parametrize(("reward", "cost"), [("much", 0.0), (0.0, "high")])
def test_rewards_and_costs_must_be_numbers(reward: Any, cost: Any) -> None:
    lanes = GymLanes([Awkward(reward, cost)])
    lanes.reset()
    with pytest.raises(EnvironmentFault, match=r"Awkward: reward .* and cost .* must be numbers"):
        lanes.step(np.zeros((1, 2)))


def test_what_cannot_be_copied_says_why() -> None:
    lanes = GymLanes([Awkward()])
    with pytest.raises(UsageError, match=r"cannot be copied to look ahead \(holds a socket\)"):
        lanes.fork(0)


def test_bad_actions_and_seeds() -> None:
    lanes = GymLanes([Awkward(), Awkward()])
    lanes.reset()
    with pytest.raises(UsageError, match=r"action \[.*nan\] of lane 1 is not finite"):
        lanes.step(np.array([[0.0, 0.0], [0.0, np.nan]]))
    with pytest.raises(UsageError, match="expected actions of shape"):
        lanes.step(np.zeros((2, 3)))
    with pytest.raises(UsageError, match=r"action 5 of lane 2 is not in 0\.\.4"):
        _native().step(np.array([0, 1, 5]))
    with pytest.raises(UsageError, match="seed must be a whole number of at least 0, got -1"):
        lanes.reseed(-1)
    with pytest.raises(UsageError, match="at least one environment is needed"):
        GymLanes([])


def test_pictures_need_the_mode_they_were_made_with() -> None:
    lanes = GymLanes([gym.make("looplab/LavaShortcut-v0", render_mode="ansi")])
    lanes.reset()
    assert lanes.render(0, "ansi").startswith(". .")
    with pytest.raises(UsageError, match="was made with render_mode='ansi', so it cannot be drawn"):
        lanes.render(0, "rgb_array")
