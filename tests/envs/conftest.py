"""What tests of tasks share: the native tasks, and how two steps are compared."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import looplab  # noqa: F401  # registers the native tasks
from looplab.envs.core import RISK_SOURCES, Lanes, NativeLanes, Step
from looplab.envs.desks.ops_desk import OpsDesk
from looplab.envs.grids.lava_shortcut import LavaShortcut

NATIVE = {"looplab/LavaShortcut-v0": LavaShortcut, "looplab/OpsDesk-v0": OpsDesk}


@pytest.fixture(params=sorted(NATIVE))
def native_id(request: pytest.FixtureRequest) -> str:
    """Gymnasium id of a native task."""
    return str(request.param)


@pytest.fixture
def native(native_id: str) -> type[NativeLanes]:
    """Class of a native task."""
    return NATIVE[native_id]


def state_of(lanes: NativeLanes) -> dict[str, Any]:
    """Copies of all state arrays, by name."""
    names = (*lanes.STATE, "episode", "elapsed", "observation")
    return {name: getattr(lanes, name).copy() for name in names}


def assert_same_step(one: Step, other: Step) -> None:
    """Both steps hold the same arrays, element by element."""
    for name in (
        "observation", "reward", "terminated", "truncated", "cost", "catastrophe", "success",
    ):  # fmt: skip
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def assert_same_knowledge(one: Lanes, other: Lanes) -> None:
    """Both lanes know the same risks, corrections, potentials, and how to hold."""
    for source in RISK_SOURCES:
        table = one.risk_table(source)
        _assert_equal(table, other.risk_table(source))
        if table is not None:
            _assert_equal(one.least_risk(source), table.min(axis=1))
            for action in range(table.shape[1]):
                actions = np.full(one.num_lanes, action)
                _assert_equal(one.risk_of(source, actions), table[:, action])
    _assert_equal(one.hold(), other.hold())
    _assert_equal(one.correction(), other.correction())
    _assert_equal(one.potential(), other.potential())


def _assert_equal(one: Any, other: Any) -> None:
    assert (one is None) == (other is None)
    if one is not None:
        np.testing.assert_array_equal(one, other)


@pytest.fixture
def same_step() -> Callable[[Step, Step], None]:
    return assert_same_step


@pytest.fixture
def same_knowledge() -> Callable[[Lanes, Lanes], None]:
    return assert_same_knowledge


@pytest.fixture
def snapshot() -> Callable[[NativeLanes], dict[str, Any]]:
    return state_of
