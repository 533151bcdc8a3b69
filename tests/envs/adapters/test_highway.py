"""highway-env: collisions, and risk in copies that slow down."""

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from looplab.envs.adapters import highway
from looplab.envs.errors import UsageError

pytest.importorskip("highway_env")
LEFT, KEEP, RIGHT, FASTER, SLOWER = range(5)


@pytest.mark.filterwarnings("ignore:.*different from the unwrapped version")
@pytest.mark.filterwarnings("ignore:.*Box observation space .* value is -?infinity")
def test_gymnasium_finds_nothing() -> None:
    check_env(highway.make(), skip_render_check=True, skip_close_check=True)


def test_a_collision_is_harm_and_is_foreseen_a_step_ahead() -> None:
    env, crashes = highway.make(horizon=1), 0
    for seed in range(4):
        env.reset(seed=seed)
        terminated = truncated = False
        while not (terminated or truncated):
            risk = env.risk_of("immediate", FASTER)
            _, _, terminated, truncated, info = env.step(FASTER)
            assert info["cost"] == risk == float(info["crashed"])
            assert terminated == info["crashed"]
        crashes += info["cost"]
    assert crashes >= 1


def test_looking_ahead_changes_nothing() -> None:
    env, plain = highway.make(), highway.make()
    env.reset(seed=3)
    plain.reset(seed=3)
    for action in (LEFT, FASTER, RIGHT, KEEP, SLOWER):
        env.risk_of("immediate", action)
        np.testing.assert_array_equal(env.step(action)[0], plain.step(action)[0])


def test_bad_arguments() -> None:
    with pytest.raises(UsageError, match="vehicles must be a whole number of at least 1, got 0"):
        highway.lanes(vehicles=0)
