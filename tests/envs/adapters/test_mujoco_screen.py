"""MuJoCo's pictures where a machine can draw them, and one clear line where it cannot."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from looplab.envs.adapters import mujoco_screen, mujoco_velocity
from looplab.envs.adapters.mujoco_screen import CHOICE, OffScreen, backend
from looplab.envs.errors import UsageError

pytest.importorskip("mujoco")
ADVICE = r"; on Debian: apt-get install libegl1 libgl1-mesa-dri$"


@pytest.fixture(autouse=True)
def nothing_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of which nothing is known yet."""
    monkeypatch.delenv(CHOICE, raising=False)
    mujoco_screen._try.cache_clear()


@pytest.mark.parametrize(
    ("there", "chosen"),
    [({"EGL", "OSMesa"}, "egl"), ({"OSMesa"}, "osmesa"), (set(), "glfw")],
)
def test_the_best_way_that_is_there_draws(
    there: set[str], chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: Callable[[str], str | None] = {name: f"lib{name}.so" for name in there}.get
    monkeypatch.setattr(mujoco_screen, "find_library", found)
    assert backend() == chosen
    monkeypatch.setenv(CHOICE, "osmesa")
    assert backend() == "osmesa"
    monkeypatch.setenv(CHOICE, "eggl")
    with pytest.raises(UsageError, match="unknown MUJOCO_GL 'eggl'; did you mean 'egl'"):
        backend()


def test_a_machine_that_cannot_draw_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    broken: Any = SimpleNamespace()  # no GLContext, as where PyOpenGL finds no library
    monkeypatch.setitem(sys.modules, "mujoco.egl", broken)
    monkeypatch.setattr(mujoco_screen, "find_library", {"EGL": "libEGL.so"}.get)
    env = mujoco_velocity.make(render_mode="rgb_array")
    env.reset(seed=0)
    with pytest.raises(UsageError, match="HalfCheetah-v5 cannot be drawn with MUJOCO_GL=egl: "):
        env.render()
    with pytest.raises(UsageError, match=ADVICE):
        env.render()
    assert CHOICE not in os.environ


def test_a_library_that_is_missing_at_import_is_named_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*asked: str) -> None:
        raise AttributeError("'NoneType' object has no attribute 'glGetError'")

    monkeypatch.setattr(mujoco_screen, "require", fails)
    monkeypatch.setenv(CHOICE, "osmesa")
    with pytest.raises(UsageError, match=f"Hopper-v5 cannot be drawn with .*=osmesa.*{ADVICE}"):
        mujoco_velocity.make("Hopper-v5")


def test_nothing_is_drawn_where_nothing_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mujoco_screen, "backend", lambda: pytest.fail("asked for a screen"))
    env = mujoco_velocity.make()
    env.reset(seed=0)
    assert isinstance(env.env, OffScreen)
    assert env.render() is None


def test_the_picture_shows_the_speed_beside_the_limit() -> None:
    env = mujoco_velocity.make(render_mode="rgb_array")
    env.reset(seed=0)
    try:
        still = np.array(env.render())
    except UsageError as error:
        pytest.skip(str(error))
    env.step(np.ones(6, np.float32))
    moving = np.array(env.render())
    assert still.shape == moving.shape
    assert (still[:20, :120] != moving[:20, :120]).any()


def test_making_a_body_leaves_no_file_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mujoco_velocity.make()
    assert list(tmp_path.iterdir()) == []
