"""Copies of native lanes: pickled, deep-copied, forked and redrawn; and arrays handed out."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from looplab.envs.core import Actions, Lanes, Step
from looplab.envs.native import NativeLanes

SEED = 7

SameStep = Callable[[Step, Step], None]
SameKnowledge = Callable[[Lanes, Lanes], None]
RandomActions = Callable[[Lanes, np.random.Generator], Actions]


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_continue_identically(
    native: type[NativeLanes],
    rng: np.random.Generator,
    random_actions: RandomActions,
    same_step: SameStep,
    same_knowledge: SameKnowledge,
    duplicate: Callable[[Any], Any],
) -> None:
    lanes = native(5, seed=SEED)
    lanes.reset()
    for _ in range(17):
        lanes.step(random_actions(lanes, rng))
    twin = duplicate(lanes)
    for _ in range(80):
        actions = random_actions(lanes, rng)
        step = lanes.step(actions)
        same_step(step, twin.step(actions))
        same_knowledge(lanes, twin)
        done = step.terminated | step.truncated
        if done.any():
            np.testing.assert_array_equal(lanes.reset(done), twin.reset(done))


def test_what_a_step_returned_is_never_changed_later(
    native: type[NativeLanes], rng: np.random.Generator, random_actions: RandomActions
) -> None:
    lanes = native(4, seed=SEED)
    lanes.reset()
    step = lanes.step(random_actions(lanes, rng))
    kept = copy.deepcopy(step)
    lanes.note_refusals(np.ones(4, dtype=np.bool_))
    lanes.step(random_actions(lanes, rng))
    lanes.reset(np.array([True, False, True, False]))
    for name in ("observation", "reward", "terminated", "truncated", "cost", "success"):
        np.testing.assert_array_equal(getattr(step, name), getattr(kept, name), err_msg=name)


def _future(env: gym.Env[Any, Any], steps: int = 20) -> list[tuple[Any, ...]]:
    env.action_space.seed(3)
    trace = []
    for _ in range(steps):
        observation, reward, _, _, info = env.step(env.action_space.sample())
        trace.append((tuple(observation), reward, info["cost"]))
    return trace


def test_a_fork_shares_the_future_until_it_is_redrawn(
    native: type[NativeLanes],
    steps_draw: bool,
    rng: np.random.Generator,
    random_actions: RandomActions,
) -> None:
    lanes = native(4, seed=SEED)
    lanes.reset()
    for _ in range(5):
        lanes.step(random_actions(lanes, rng))
    futures = {"shared": _future(lanes.fork(2)), "again": _future(lanes.fork(2))}
    for seed in (SEED + 2, 11, 12):  # the lane's own seed as well: a copy must not foresee
        fork = lanes.fork(2)
        fork.get_wrapper_attr("redraw")(seed)
        futures[str(seed)] = _future(fork)
    assert futures["shared"] == futures["again"]
    assert len({tuple(trace) for trace in futures.values()}) == (4 if steps_draw else 1)


def test_forks_leave_their_parent_alone(
    native: type[NativeLanes],
    rng: np.random.Generator,
    random_actions: RandomActions,
    same_step: SameStep,
    same_knowledge: SameKnowledge,
) -> None:
    lanes, twin = native(3, seed=SEED), native(3, seed=SEED)
    lanes.reset()
    twin.reset()
    for t in range(30):
        fork = lanes.fork(t % 3)
        fork.get_wrapper_attr("redraw")(t)
        _future(fork, 4)
        fork.reset(seed=99)
        actions = random_actions(lanes, rng)
        same_step(lanes.step(actions), twin.step(actions))
        same_knowledge(lanes, twin)


def test_a_fork_of_a_redrawn_copy_follows_the_copy(native: type[NativeLanes]) -> None:
    lanes = native(2, seed=SEED)
    lanes.reset()
    lanes.redraw(5)
    fork = lanes.fork(1)
    lanes.action_space.seed(3)
    actions = [lanes.action_space.sample() for _ in range(20)]
    ours = [lanes.step(np.stack([action] * 2)).reward[1] for action in actions]
    assert [fork.step(action)[1] for action in actions] == ours
