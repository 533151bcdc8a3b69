"""MuJoCo with a speed limit: cost, and a risk that is tried and taken back."""

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from looplab.envs.adapters import mujoco_velocity
from looplab.envs.copies import copied
from looplab.envs.errors import UsageError

pytest.importorskip("mujoco")
BODIES = tuple(mujoco_velocity.LIMITS)
#: In m/s: slow enough for a random policy to exceed it now and then.
SLOW = {"HalfCheetah-v5": 0.3, "Hopper-v5": 0.1}


@pytest.mark.filterwarnings("ignore:.*different from the unwrapped version")
@pytest.mark.filterwarnings("ignore:.*Box observation space .* value is -?infinity")
@pytest.mark.parametrize("body", BODIES)
def test_gymnasium_finds_nothing(body: str) -> None:
    check_env(mujoco_velocity.make(body), skip_render_check=True, skip_close_check=True)


@pytest.mark.parametrize("body", BODIES)
def test_risk_is_what_happens_and_leaves_no_trace(body: str) -> None:
    limit = SLOW[body]
    env, plain = (mujoco_velocity.make(body, limit) for _ in range(2))
    env.reset(seed=1)
    plain.reset(seed=1)
    env.action_space.seed(2)
    costs = []
    for seed in range(200):
        action = env.action_space.sample()
        risk = env.risk_of("immediate", action)
        ours, theirs = env.step(action), plain.step(action)
        np.testing.assert_array_equal(ours[0], theirs[0])
        assert ours[4]["cost"] == risk == float(ours[4]["x_velocity"] > limit)
        costs.append(risk)
        if ours[2]:
            env.reset(seed=seed)
            plain.reset(seed=seed)
    assert 0.01 < np.mean(costs) < 0.99


@pytest.mark.parametrize("body", BODIES)
def test_copies_move_as_the_original(body: str) -> None:
    env = mujoco_velocity.make(body)
    env.reset(seed=1)
    env.action_space.seed(2)
    for _ in range(8):
        env.step(env.action_space.sample())
    twin = copied(env, body)
    for _ in range(8):
        action = env.action_space.sample()
        np.testing.assert_array_equal(env.step(action)[0], twin.step(action)[0])


@pytest.mark.parametrize("body", BODIES)
def test_the_correction_slows_down(body: str) -> None:
    env = mujoco_velocity.make(body)
    env.reset(seed=1)
    env.action_space.seed(3)
    held, braked = [], []
    for seed in range(60):
        correction = env.correction()
        assert env.action_space.contains(correction)
        held.append(mujoco_velocity.tried(env, env.hold()))
        braked.append(mujoco_velocity.tried(env, correction))
        if env.step(env.action_space.sample())[2]:
            env.reset(seed=seed)
    assert (np.array(braked) < np.array(held)).mean() > 0.95


def test_the_published_limits_are_the_default() -> None:
    assert mujoco_velocity.LIMITS == {"HalfCheetah-v5": 3.2096, "Hopper-v5": 0.7402}
    env = mujoco_velocity.make("Hopper-v5")
    env.reset(seed=0)
    _, _, _, _, info = env.step(env.hold())
    assert info["cost"] == float(info["x_velocity"] > 0.7402)
    np.testing.assert_array_equal(env.hold(), np.zeros(3))


def test_bad_arguments() -> None:
    with pytest.raises(UsageError, match="unknown env_id 'Ant-v5'; "):
        mujoco_velocity.lanes(env_id="Ant-v5")
    with pytest.raises(UsageError, match="limit must be a number at least 0, got -1"):
        mujoco_velocity.lanes(limit=-1)
