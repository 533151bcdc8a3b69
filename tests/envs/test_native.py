"""What every native task inherits: harm by kinds, catastrophes, and a clock that drift goes by."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest

from looplab.envs.core import (
    RISK_SOURCES,
    Actions,
    BoolArray,
    FloatArray,
    Lanes,
    Observations,
    Step,
)
from looplab.envs.drift import Drift
from looplab.envs.errors import UsageError
from looplab.envs.faces import LaneEnv, LaneVectorEnv
from looplab.envs.native import NativeLanes

SEED = 7
SCRATCH, CRASH, BOTH, NOTHING = range(4)
SameStep = Callable[[Step, Step], None]
SameKnowledge = Callable[[Lanes, Lanes], None]


class Toy(NativeLanes):
    """Harms as it is told, and adds up draws times a gain that may drift."""

    STATE: ClassVar[tuple[str, ...]] = ("total",)
    RESET_DRAWS: ClassVar[int] = 1
    STEP_DRAWS: ClassVar[int] = 2
    COSTS = ("scratch", "crash")
    CATASTROPHES = ("crash",)
    DRIFTS: ClassVar[Mapping[str, tuple[float, float]]] = {"gain": (0.0, 10.0)}
    HARM = np.array([[0.5, 0.0], [0.0, 2.0], [0.5, 2.0], [0.0, 0.0]])

    def __init__(self, num_lanes: int = 1, gain: float = 1.0, **settings: Any) -> None:
        self.gain: Any = gain
        super().__init__(num_lanes, **settings)
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float64)
        self.action_space = gym.spaces.Discrete(len(self.HARM))
        self.hold_action = NOTHING
        self.total: FloatArray = np.zeros(num_lanes)
        self.begun_with: FloatArray = np.zeros(num_lanes)

    def _begin(self, mask: BoolArray, draws: FloatArray) -> None:
        self.total = np.where(mask, draws[:, 0], self.total)
        self.begun_with = draws[:, 0].copy()

    def _advance(
        self, actions: Actions, draws: FloatArray
    ) -> tuple[FloatArray, BoolArray, FloatArray]:
        reward = self.gain * draws[:, 0]
        self.total = self.total + reward
        return reward, draws[:, 1] < 0.05, self.HARM[actions]

    def _observe(self) -> Observations:
        return np.stack([self.total, np.zeros(self.num_lanes)], axis=1)


def _drifting(num_lanes: int = 1, **fields: Any) -> Toy:
    fields = {"parameter": "gain", "value": 3.0, "at_step": 5} | fields
    return Toy(num_lanes, seed=SEED, drift=fields)


def _active(lanes: Toy) -> list[bool]:
    active: list[bool] = lanes.details()["drift_active"].tolist()
    return active


def test_cost_is_the_sum_of_its_kinds_and_the_irreversible_is_a_catastrophe() -> None:
    lanes = Toy(4)
    lanes.reset()
    step = lanes.step(np.array([SCRATCH, CRASH, BOTH, NOTHING]))
    np.testing.assert_array_equal(step.cost, [0.5, 2.0, 2.5, 0.0])
    np.testing.assert_array_equal(step.catastrophe, [False, True, True, False])
    details = lanes.details()
    assert set(details) == {"cost_scratch", "cost_crash"}
    np.testing.assert_array_equal(details["cost_scratch"], [0.5, 0.0, 0.5, 0.0])
    np.testing.assert_array_equal(details["cost_crash"], [0.0, 2.0, 2.0, 0.0])


def test_frozen_lanes_do_no_harm_of_any_kind() -> None:
    lanes = Toy(3)
    lanes.reset()
    step = lanes.step(np.full(3, BOTH), np.array([True, False, True]))
    np.testing.assert_array_equal(step.cost, [2.5, 0.0, 2.5])
    np.testing.assert_array_equal(step.catastrophe, [True, False, True])
    np.testing.assert_array_equal(lanes.details()["cost_crash"], [2.0, 0.0, 2.0])
    np.testing.assert_array_equal(lanes.details()["cost_scratch"], [0.5, 0.0, 0.5])


def test_both_faces_say_what_kind_of_harm_it_was() -> None:
    single, vector = LaneEnv(Toy()), LaneVectorEnv(Toy(2))
    single.reset(seed=SEED)
    vector.reset(seed=SEED)
    info = single.step(CRASH)[4]
    assert info == {"cost": 2.0, "catastrophe": True, "cost_scratch": 0.0, "cost_crash": 2.0}
    infos = vector.step(np.array([CRASH, SCRATCH]))[4]
    assert infos["cost_crash"].tolist() == [2.0, 0.0]
    assert infos["cost_scratch"].tolist() == [0.0, 0.5]


def test_an_unknown_catastrophe_is_no_kind_of_harm() -> None:
    class Odd(Toy):
        CATASTROPHES = ("fire",)

    with pytest.raises(UsageError, match="unknown kind of harm 'fire'; allowed: crash, scratch"):
        Odd()


def test_a_reset_draws_for_its_own_lanes_alone() -> None:
    lanes, twin = Toy(3, seed=SEED), Toy(3, seed=SEED)
    first = lanes.reset()[:, 0].copy()
    np.testing.assert_array_equal(first, twin.reset()[:, 0])
    assert len(set(first)) == 3
    assert 0.5 not in first
    later = lanes.reset(np.array([False, True, False]))[:, 0]
    np.testing.assert_array_equal(later[[0, 2]], first[[0, 2]])
    assert later[1] == twin.reset()[1, 0] != first[1]
    assert lanes.begun_with.tolist() == [0.5, later[1], 0.5]


@pytest.mark.parametrize("shape", [(2,), (4,), (3, 1), ()])
def test_a_reset_needs_one_entry_per_lane(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="expected a mask of 3 lanes"):
        Toy(3).reset(np.ones(shape, dtype=np.bool_))


@pytest.mark.parametrize("mask", [np.ones(2, np.bool_), np.array([1, 0, 1]), [True, False, True]])
def test_a_mask_is_one_boolean_per_lane(mask: Any) -> None:
    lanes = Toy(3)
    lanes.reset()
    for refused in (lanes.reset, lambda mask: lanes.step(np.zeros(3, np.int64), mask)):
        with pytest.raises(UsageError, match="expected a mask of 3 lanes, an array of booleans"):
            refused(mask)


def test_drift_goes_by_the_steps_of_each_lane_through_all_its_episodes() -> None:
    lanes = _drifting(2, at_step=3)
    lanes.reset()
    only_first = np.array([True, False])
    gains = []
    for step in range(6):
        gains.append(lanes.gain.tolist())
        lanes.step(np.full(2, NOTHING), only_first if step < 2 else None)
        if step == 3:
            lanes.reset()
    assert [first for first, _ in gains] == [1.0, 1.0, 1.0, 3.0, 3.0, 3.0]
    assert [second for _, second in gains] == [1.0, 1.0, 1.0, 1.0, 1.0, 3.0]
    np.testing.assert_array_equal(lanes.clock, [6, 4])


def test_drift_is_active_in_the_step_that_ran_under_it() -> None:
    lanes = _drifting(at_step=2)
    lanes.reset()
    seen = []
    for _ in range(4):
        lanes.step(np.array([NOTHING]))
        seen += _active(lanes)
    assert seen == [False, False, True, True]
    assert "drift_active" not in Toy().details()


def test_a_seed_winds_the_clock_back() -> None:
    lanes = _drifting(2, at_step=2)
    lanes.reset()
    for _ in range(4):
        lanes.step(np.full(2, NOTHING))
    assert lanes.gain.tolist() == [3.0, 3.0]
    lanes.reseed(SEED)
    lanes.reset()
    assert lanes.gain.tolist() == [1.0, 1.0]
    assert lanes.drift_level.tolist() == [0, 0]


@pytest.mark.parametrize("kind", ["abrupt", "gradual", "recurring"])
def test_drift_changes_no_random_number(kind: str) -> None:
    drifting, steady = _drifting(8, kind=kind, over_steps=9), Toy(8, seed=SEED)
    np.testing.assert_array_equal(drifting.reset(), steady.reset())
    moved = 0
    for _ in range(60):
        gain = drifting.gain.copy()
        step, plain = drifting.step(np.full(8, NOTHING)), steady.step(np.full(8, NOTHING))
        np.testing.assert_array_equal(step.reward, gain * plain.reward)
        np.testing.assert_array_equal(step.terminated, plain.terminated)
        done = step.terminated | step.truncated
        moved += int((gain != 1.0).sum())
        if done.any():
            assert drifting.reset(done)[done].tolist() == steady.reset(done)[done].tolist()
    assert moved > 100


def test_a_fork_keeps_its_lane_s_own_clock_and_moves_no_other() -> None:
    lanes = _drifting(3, kind="gradual", over_steps=20)
    lanes.reset()
    for step in range(14):
        lanes.step(np.full(3, NOTHING), 3 * np.arange(3) <= step)
    assert len(set(lanes.gain)) == 3
    before = lanes.gain.copy()
    forks = [lanes.fork(lane) for lane in range(3)]
    for lane, fork in enumerate(forks):
        one = fork.get_wrapper_attr("lanes")
        assert one.gain.tolist() == [before[lane]]
        for _ in range(20):
            fork.step(NOTHING)
        assert one.gain.tolist() == [3.0]
    np.testing.assert_array_equal(lanes.gain, before)
    futures = [[fork.step(NOTHING)[1] for _ in range(15)] for fork in map(lanes.fork, range(3))]
    ours = [lanes.step(np.full(3, NOTHING)).reward for _ in range(15)]
    np.testing.assert_array_equal(np.array(futures).T, ours)


def test_what_is_offered_is_known_before_the_first_reset(native: type[NativeLanes]) -> None:
    """Whoever oversees a task asks what it offers before it begins."""
    lanes = native(2)
    for what in (*RISK_SOURCES, "hold", "correction", "potential"):
        before = lanes.offers(what)
        lanes.reset()
        assert lanes.offers(what) == before
        lanes = native(2)


def _drift_of(native: type[NativeLanes], kind: str) -> Drift:
    """A drift of the task's first parameter to an end of its range, within the test's steps."""
    parameter, (least, greatest) = next(iter(native.DRIFTS.items()))
    before = float(getattr(native(), parameter))
    value = greatest if greatest - before >= before - least else least
    return Drift(parameter, value, 40, kind, 30)


@pytest.mark.parametrize("kind", ["abrupt", "gradual", "recurring"])
def test_a_batch_equals_its_single_environments_under_drift(
    native: type[NativeLanes],
    kind: str,
    rng: np.random.Generator,
    same_step: SameStep,
    same_knowledge: SameKnowledge,
) -> None:
    if not native.DRIFTS:
        pytest.skip(f"{native.__name__} offers no drift")
    drift = _drift_of(native, kind)
    lanes = native(3, seed=SEED, drift=drift)
    singles = [native(1, seed=SEED + lane, drift=drift) for lane in range(3)]
    lanes.reset()
    for single in singles:
        single.reset()
    space = lanes.action_space
    space.seed(SEED)
    active = 0
    for _ in range(120):
        actions = np.stack([space.sample() for _ in range(3)])
        step = lanes.step(actions)
        alone = [single.step(actions[[lane]]) for lane, single in enumerate(singles)]
        names = ("observation", "reward", "terminated", "truncated", "cost", "catastrophe")
        for name in (*names, "success"):
            parts = np.concatenate([getattr(one, name) for one in alone])
            np.testing.assert_array_equal(parts, getattr(step, name), err_msg=name)
        details = [single.details() for single in singles]
        for name, values in lanes.details().items():
            parts = np.concatenate([one[name] for one in details])
            np.testing.assert_array_equal(parts, values, err_msg=name)
        active += int(lanes.details()["drift_active"].sum())
        for lane, single in enumerate(singles):
            same_knowledge(lanes.fork(lane).get_wrapper_attr("lanes"), single)
        done = step.terminated | step.truncated
        if done.any():
            lanes.reset(done)
            for lane in np.flatnonzero(done):
                singles[lane].reset()
    assert 100 < active < 360


def test_a_parameter_out_of_a_task_s_range_cannot_be_drifted_to(native: type[NativeLanes]) -> None:
    for parameter, (_, greatest) in native.DRIFTS.items():
        if np.isfinite(greatest):
            with pytest.raises(UsageError, match=r"drift\.value must be a number"):
                native(drift={"parameter": parameter, "value": 2.0 * abs(greatest) + 1.0})
