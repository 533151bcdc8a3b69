"""Gymnasium's two faces of native tasks: conformance, and same-step autoreset."""

import copy
import pickle
import re
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from looplab.envs.errors import UsageError
from looplab.envs.faces import LaneEnv, LaneVectorEnv
from looplab.envs.native import NativeLanes

SEED = 21
NUM_ENVS = 4


def test_an_unknown_argument_is_named_with_those_that_exist(native_id: str) -> None:
    name = native_id.removeprefix("looplab/").removesuffix("-v0")
    expected = f"unknown argument of {name} 'slipp';.* allowed: .*drift, .*max_episode_steps"
    with pytest.raises(UsageError, match=expected):
        gym.make(native_id, slipp=0.1)
    with pytest.raises(UsageError, match=expected):
        gym.make_vec(native_id, num_envs=2, slipp=0.1)


def test_words_are_no_continuous_actions() -> None:
    env = gym.make("looplab/PointHazard-v0").unwrapped
    env.reset(seed=SEED)
    with pytest.raises(UsageError, match="expected numbers as actions, got array"):
        env.step(["up", "left"])


@pytest.mark.parametrize("render_mode", [None, "ansi", "rgb_array"])
def test_gymnasium_and_sb3_find_nothing(native_id: str, render_mode: str | None) -> None:
    check_env(gym.make(native_id, render_mode=render_mode).unwrapped)
    sb3_check_env(gym.make(native_id, render_mode=render_mode))


def test_the_vector_equals_gymnasiums_own_vector_of_single_environments(
    native_id: str,
) -> None:
    ours = gym.make_vec(native_id, num_envs=NUM_ENVS)
    assert isinstance(ours.unwrapped, LaneVectorEnv)
    assert ours.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    singles = [lambda: gym.make(native_id)] * NUM_ENVS
    reference = SyncVectorEnv(singles, autoreset_mode=AutoresetMode.SAME_STEP)
    assert ours.observation_space == reference.observation_space
    assert ours.action_space == reference.action_space
    observation, _ = ours.reset(seed=SEED)
    np.testing.assert_array_equal(observation, reference.reset(seed=SEED)[0])
    ours.action_space.seed(SEED)
    ends = 0
    while ends < 3 * NUM_ENVS:
        actions = ours.action_space.sample()
        observation, reward, terminated, truncated, infos = ours.step(actions)
        expected = reference.step(actions)
        for ours_part, part in zip(
            (observation, reward, terminated, truncated), expected[:4], strict=True
        ):
            np.testing.assert_array_equal(ours_part, part)
        done = terminated | truncated
        assert ("final_obs" in infos) == done.any()
        for lane in np.flatnonzero(done):
            ends += 1
            np.testing.assert_array_equal(infos["_final_obs"], done)
            np.testing.assert_array_equal(infos["final_obs"][lane], expected[4]["final_obs"][lane])
            final = expected[4]["final_info"]
            assert infos["cost"][lane] == final["cost"][lane]
            if "is_success" in final:
                assert infos["is_success"][lane] == final["is_success"][lane]
        for lane in np.flatnonzero(~done):
            assert infos["cost"][lane] == expected[4].get("cost", np.zeros(NUM_ENVS))[lane]


def test_vector_observations_are_the_callers_own(native_id: str) -> None:
    vector = gym.make_vec(native_id, num_envs=2)
    first, _ = vector.reset(seed=SEED)
    kept = first.copy()
    second = vector.step(vector.action_space.sample())[0]
    np.testing.assert_array_equal(first, kept)
    second[:] = -1.0
    lanes: Any = vector.unwrapped.lanes  # type: ignore[attr-defined]
    assert (lanes.observation > -1.0).any()


def test_unseeded_resets_differ_and_continue(native: type[NativeLanes]) -> None:
    """Without a seed the first reset draws one; later resets follow its stream."""
    env, twin = LaneEnv(native()), LaneEnv(native())
    env.reset()
    twin.reset()
    assert env.lanes.seed != twin.lanes.seed
    chosen = env.lanes.seed
    env.reset()
    assert (env.lanes.seed, int(env.lanes.episode[0])) == (chosen, 1)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_of_a_made_environment_continue_identically(
    native_id: str, duplicate: Callable[[Any], Any]
) -> None:
    env = gym.make(native_id)
    env.reset(seed=SEED)
    env.action_space.seed(SEED)
    for _ in range(11):
        env.step(env.action_space.sample())
    twin = duplicate(env)
    for _ in range(120):
        action = env.action_space.sample()
        ours, theirs = env.step(action), twin.step(action)
        np.testing.assert_array_equal(ours[0], theirs[0])
        assert ours[1:4] == theirs[1:4]
        assert ours[4] == theirs[4]
        if ours[2] or ours[3]:
            np.testing.assert_array_equal(env.reset()[0], twin.reset()[0])


def test_a_single_environment_answers_as_its_lane(native: type[NativeLanes]) -> None:
    lanes = native(1, seed=SEED)
    env = LaneEnv(lanes)
    env.reset(seed=SEED)
    correction, hold, table = lanes.correction(), lanes.hold(), lanes.risk_table("immediate")
    assert correction is not None
    assert hold is not None
    np.testing.assert_array_equal(env.correction(), correction[0])
    np.testing.assert_array_equal(env.hold(), hold[0])
    risk = lanes.risk_of("immediate", hold)
    assert risk is not None
    assert env.risk_of("immediate", hold[0]) == risk[0]
    assert (env.risk_table("immediate") is None) == (table is None)
    if table is not None:
        np.testing.assert_array_equal(env.risk_table("immediate"), table[0])
        assert [env.risk_of("immediate", a) for a in range(len(table[0]))] == list(table[0])
    assert env.offers("correction")
    assert not env.offers("unheard of")


def test_pictures_follow_the_render_mode(native_id: str) -> None:
    text, pixels, none = (gym.make(native_id, render_mode=m) for m in ("ansi", "rgb_array", None))
    for env in (text, pixels, none):
        env.reset(seed=SEED)
    drawn: Any = text.render()
    assert isinstance(drawn, str)
    assert drawn.endswith("\n")
    frame: Any = pixels.render()
    assert frame.dtype == np.uint8
    assert frame.ndim == 3
    assert none.unwrapped.render() is None
    vector = gym.make_vec(native_id, num_envs=2, render_mode="ansi")
    vector.reset(seed=SEED)
    assert vector.render() == (drawn, vector.unwrapped.lanes.render(1))


def test_bad_render_modes_lanes_and_seeds(native: type[NativeLanes], native_id: str) -> None:
    with pytest.raises(UsageError, match="unknown render_mode 'human'; allowed: ansi, rgb_array"):
        gym.make(native_id, render_mode="human")
    with pytest.raises(UsageError, match="a single environment has one lane, got 2"):
        LaneEnv(native(2))
    vector = LaneVectorEnv(native(2))
    with pytest.raises(UsageError, match=r"must be consecutive whole numbers, got \[3, 3\]"):
        vector.reset(seed=[3, 3])
    listed, _ = vector.reset(seed=[3, 4])
    np.testing.assert_array_equal(listed, vector.reset(seed=3)[0])
    single = LaneEnv(native())
    space = single.action_space
    beyond = int(space.n) if isinstance(space, gym.spaces.Discrete) else 2.0 * space.high  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match=f"action {re.escape(str(beyond))} of lane 0 is not in"):
        single.step(beyond)
