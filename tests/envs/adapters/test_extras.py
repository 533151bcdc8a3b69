"""Presets that need an optional library: what they say without it, and their pictures with it."""

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from looplab.envs.card import Card
from looplab.envs.errors import UsageError

#: Adapter, the library it imports, and the extra that brings it.
EXTRAS = [
    ("lunar_lander", "Box2D", "lunar"),
    ("mujoco_velocity", "mujoco", "mujoco"),
    ("pong", "ale_py", "atari"),
    ("highway", "highway_env", "highway"),
    ("point_maze", "gymnasium_robotics", "maze"),
]
OTHERS = (
    "cliff_walking", "frozen_lake", "taxi", "registered", "minigrid_lava_gap",
    "minigrid_lava_crossing", "minigrid_dynamic_obstacles",
)  # fmt: skip


def _adapter(name: str) -> Any:
    return import_module(f"looplab.envs.adapters.{name}")


@pytest.mark.parametrize(("name", "library", "extra"), EXTRAS)
def test_without_the_library_the_answer_is_how_to_install_it(
    name: str, library: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    said = rf"needs {library}; install it with: pip install 'looplab\[{extra}\]'$"
    with pytest.raises(UsageError, match=said):
        _adapter(name).lanes()


@pytest.mark.parametrize("name", [*OTHERS, *(name for name, _, _ in EXTRAS)])
def test_every_adapter_has_a_card(name: str) -> None:
    assert isinstance(_adapter(name).CARD, Card)


@pytest.mark.parametrize(("name", "library", "extra"), EXTRAS)
def test_pictures(name: str, library: str, extra: str) -> None:
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    lanes = _adapter(name).lanes(1, render_mode="rgb_array")
    lanes.reset()
    lanes.step(lanes.hold())
    try:
        frame = lanes.render(0, "rgb_array")
    except UsageError as error:
        pytest.skip(str(error))  # no OpenGL
    assert frame.dtype == np.uint8
    assert frame.std() > 5  # there is something to see
    if lanes.offers("immediate"):
        assert lanes.risk_of("immediate", lanes.hold()).shape == (1,)  # also after drawing


@pytest.mark.parametrize("name", ["lunar_lander", "pong", "highway", "point_maze"])
def test_without_a_horizon_nothing_is_looked_ahead_for(name: str) -> None:
    library = {each: library for each, library, _ in EXTRAS}[name]
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    adapter = _adapter(name)
    assert adapter.make().offers("immediate")
    blind = adapter.make(horizon=0)
    assert not blind.offers("immediate")
    blind.reset(seed=0)
    assert blind.risk_of("immediate", blind.hold()) is None
    with pytest.raises(UsageError, match="horizon must be a whole number of at least 0, got -1"):
        adapter.make(horizon=-1)


@pytest.mark.parametrize(("name", "library", "extra"), EXTRAS)
def test_bad_arguments(name: str, library: str, extra: str) -> None:
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    with pytest.raises(UsageError, match="unknown render_mode 'human'; allowed: rgb_array"):
        _adapter(name).lanes(render_mode="human")
    with pytest.raises(UsageError, match="max_episode_steps must be a whole number of at least 1"):
        _adapter(name).lanes(max_episode_steps=0)
