"""Pong: the paddle's zone by the published rule, and risk tried in the emulator."""

from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from looplab.envs.adapters import pong
from looplab.envs.annotated import Annotated
from looplab.envs.copies import copied

pytest.importorskip("ale_py")
STAY, UP, DOWN = range(3)
#: Byte of Pong's memory that holds the row of the paddle.
PADDLE_BYTE = 51


@pytest.fixture
def env() -> Annotated:
    env = pong.make()
    env.reset(seed=0)
    return env


@pytest.mark.filterwarnings("ignore:.*different from the unwrapped version")
def test_gymnasium_finds_nothing(env: Annotated) -> None:
    check_env(env, skip_render_check=True, skip_close_check=True)


def test_actions_move_the_paddle_as_they_are_called(env: Annotated) -> None:
    for _ in range(20):
        env.step(STAY)
    for action, sign in ((DOWN, 1), (UP, -1)):
        rows = [float(env.step(action)[0][PADDLE_BYTE]) for _ in range(6)]
        assert sign * (rows[-1] - rows[0]) > 0


def test_the_zone_is_the_lowest_sixteen_pixels(env: Annotated) -> None:
    world: Any = env.unwrapped
    seen = set()
    for _ in range(3):
        for action in (DOWN,) * 20 + (UP,) * 20:
            info = env.step(action)[4]
            screen = world.ale.getScreenRGB()[34:194, 143]
            rows = np.flatnonzero((screen == (92, 186, 92)).all(axis=1))
            lowest = rows.max() + 1 if rows.size else 0  # pixels from the upper edge, of 160
            assert info["cost"] == float(lowest > 160 - 16 + 1)
            assert "catastrophe" not in info
            seen.add(info["cost"])
    assert seen == {0.0, 1.0}


def test_risk_is_what_happens_when_the_paddle_then_moves_up(env: Annotated) -> None:
    found = []
    for action in (DOWN,) * 14 + (UP,) * 4:
        risk = env.risk_of("immediate", action)
        twin = copied(env, "pong")
        assert risk == max(twin.step(act)[4]["cost"] for act in (action, UP, UP, UP))
        env.step(action)
        found.append(risk)
    assert {0.0, 1.0} == set(found)


def test_looking_ahead_changes_nothing(env: Annotated) -> None:
    plain = pong.make()
    plain.reset(seed=0)
    for action in np.random.default_rng(0).integers(3, size=100):
        env.risk_table("immediate")
        np.testing.assert_array_equal(env.step(action)[0], plain.step(action)[0])


def test_the_picture_shows_where_the_zone_begins() -> None:
    env = pong.make(render_mode="rgb_array")
    env.reset(seed=0)
    frame: Any = env.render()
    line = np.flatnonzero((frame[:, ::2] == 255).all(axis=(1, 2)))
    assert line.tolist() == [34 + 160 - 16]
