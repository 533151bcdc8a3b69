"""LunarLander: crashes, copies that Box2D cannot make, and risk while the heuristic flies on."""

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from looplab.envs.adapters import lunar_lander
from looplab.envs.copies import copied

pytestmark = pytest.mark.skipif(find_spec("Box2D") is None, reason="Box2D is not installed")
NOTHING, LEFT, MAIN, RIGHT = range(4)


def _fly(env: Any, action: int | None, steps: int = 400) -> tuple[float, dict[str, Any]]:
    """Return and last info of flying on with one action, or with corrections."""
    total = 0.0
    for _ in range(steps):
        chosen = env.correction() if action is None else action
        _, reward, terminated, truncated, info = env.step(chosen)
        total += reward
        if terminated or truncated:
            break
    return total, info


@pytest.mark.filterwarnings("ignore:.*different from the unwrapped version")
def test_gymnasium_finds_nothing() -> None:
    check_env(lunar_lander.make(), skip_render_check=True, skip_close_check=True)


def test_falling_is_a_crash_and_the_heuristic_lands() -> None:
    env, returns = lunar_lander.make(), []
    env.reset(seed=0)
    _, info = _fly(env, NOTHING)
    assert (info["cost"], info["catastrophe"], info["is_success"]) == (1.0, True, False)
    for seed in range(5):
        env.reset(seed=seed)
        total, info = _fly(env, None, 1000)
        assert (info["cost"], info["is_success"]) == (0.0, True)
        returns.append(total)
    assert np.mean(returns) > lunar_lander.THRESHOLD


@pytest.mark.parametrize("steps", [0, 30, 60])
def test_a_copy_flies_as_the_original(steps: int, rng: np.random.Generator) -> None:
    env = lunar_lander.make()
    env.reset(seed=7)
    for action in rng.integers(4, size=steps):
        env.step(action)
    twin = copied(env, "lander")
    for action in rng.integers(4, size=15):
        ours, theirs = env.step(action), twin.step(action)
        np.testing.assert_allclose(ours[0], theirs[0], atol=2e-3)
        assert ours[2:4] == theirs[2:4]


def test_looking_ahead_changes_nothing(rng: np.random.Generator) -> None:
    env, plain = lunar_lander.make(), lunar_lander.make()
    env.reset(seed=4)
    plain.reset(seed=4)
    for action in rng.integers(4, size=40):
        env.risk_of("immediate", action)
        np.testing.assert_array_equal(env.step(action)[0], plain.step(action)[0])


def test_risk_rises_before_a_crash_and_not_before_a_landing() -> None:
    env = lunar_lander.make()
    env.reset(seed=0)
    risks, info = [], {"cost": 0.0}
    while not info["cost"]:
        risks.append(env.risk_of("immediate", NOTHING))
        info = env.step(NOTHING)[4]
    assert risks[0] == 0.0
    assert risks[-1] == 1.0
    assert risks == sorted(risks)  # once lost, it stays lost
    env.reset(seed=0)
    terminated = False
    while not terminated:
        assert env.risk_of("immediate", env.correction()) == 0.0
        terminated = env.step(env.correction())[2]
