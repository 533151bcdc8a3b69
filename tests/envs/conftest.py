"""What tests of tasks share: the native tasks, and how two steps are compared."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import looplab  # noqa: F401  # registers the native tasks
from looplab.envs.core import RISK_SOURCES, Actions, Lanes, Step
from looplab.envs.desks.credit_desk import CreditDesk
from looplab.envs.desks.moderation_queue import ModerationQueue
from looplab.envs.desks.ops_agent import OpsAgent
from looplab.envs.desks.ops_desk import OpsDesk
from looplab.envs.grids.classics.absent_supervisor import AbsentSupervisor
from looplab.envs.grids.classics.cliff_walking import CliffWalking
from looplab.envs.grids.classics.distributional_shift import DistributionalShift
from looplab.envs.grids.classics.island_navigation import IslandNavigation
from looplab.envs.grids.classics.off_switch import OffSwitch
from looplab.envs.grids.classics.sokoban import Sokoban
from looplab.envs.grids.classics.whisky_gold import WhiskyGold
from looplab.envs.grids.hazard_grid import HazardGrid
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.envs.native import NativeLanes
from looplab.envs.worlds.dose_control import DoseControl
from looplab.envs.worlds.lane_drive import LaneDrive
from looplab.envs.worlds.point_hazard import PointHazard

NATIVE = {
    "looplab/DoseControl-v0": DoseControl,
    "looplab/AbsentSupervisor-v0": AbsentSupervisor,
    "looplab/CliffWalking-v0": CliffWalking,
    "looplab/DistributionalShift-v0": DistributionalShift,
    "looplab/IslandNavigation-v0": IslandNavigation,
    "looplab/OffSwitch-v0": OffSwitch,
    "looplab/Sokoban-v0": Sokoban,
    "looplab/WhiskyGold-v0": WhiskyGold,
    "looplab/HazardGrid-v0": HazardGrid,
    "looplab/LaneDrive-v0": LaneDrive,
    "looplab/PointHazard-v0": PointHazard,
    "looplab/LavaShortcut-v0": LavaShortcut,
    "looplab/CreditDesk-v0": CreditDesk,
    "looplab/ModerationQueue-v0": ModerationQueue,
    "looplab/OpsAgent-v0": OpsAgent,
    "looplab/OpsDesk-v0": OpsDesk,
}

#: Tasks whose steps draw nothing, or nothing until the point has reached a goal; those whose resets
#: draw nothing either.
FIXED_STEPS = {
    AbsentSupervisor, CliffWalking, DistributionalShift, IslandNavigation, OffSwitch, PointHazard,
    Sokoban,
}  # fmt: skip
FIXED = FIXED_STEPS - {AbsentSupervisor, OffSwitch, PointHazard}


@pytest.fixture(params=sorted(NATIVE))
def native_id(request: pytest.FixtureRequest) -> str:
    """Gymnasium id of a native task."""
    return str(request.param)


@pytest.fixture
def native(native_id: str) -> type[NativeLanes]:
    """Class of a native task."""
    return NATIVE[native_id]


@pytest.fixture
def steps_draw(native: type[NativeLanes]) -> bool:
    """Whether a step can lead to more than one place."""
    return native not in FIXED_STEPS


@pytest.fixture
def draws(native: type[NativeLanes]) -> bool:
    """Whether an episode depends on its seed."""
    return native not in FIXED


def actions_drawn(lanes: Lanes, rng: np.random.Generator) -> Actions:
    """One action per lane, uniformly from its space."""
    space = lanes.action_space
    if isinstance(space, gym.spaces.Discrete):
        return rng.integers(space.n, size=lanes.num_lanes)
    assert isinstance(space, gym.spaces.Box)  # native tasks have no other
    shape = (lanes.num_lanes, *space.shape)
    return rng.uniform(space.low, space.high, shape).astype(space.dtype)


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
        elif one.offers(source):
            held = one.hold()
            assert held is not None
            _assert_equal(one.risk_of(source, held), other.risk_of(source, held))
    _assert_equal(one.hold(), other.hold())
    _assert_equal(one.correction(), other.correction())
    _assert_equal(one.potential(), other.potential())


def _assert_equal(one: Any, other: Any) -> None:
    assert (one is None) == (other is None)
    if one is not None:
        np.testing.assert_array_equal(one, other)


@pytest.fixture
def random_actions() -> Callable[[Lanes, np.random.Generator], Actions]:
    return actions_drawn


@pytest.fixture
def same_step() -> Callable[[Step, Step], None]:
    return assert_same_step


@pytest.fixture
def same_knowledge() -> Callable[[Lanes, Lanes], None]:
    return assert_same_knowledge


@pytest.fixture
def snapshot() -> Callable[[NativeLanes], dict[str, Any]]:
    return state_of
