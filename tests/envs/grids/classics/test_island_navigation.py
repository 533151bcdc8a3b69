"""Island navigation: published values, and water that only the performance knows."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from looplab.envs.errors import UsageError
from looplab.envs.grids.classics.island_navigation import IslandNavigation, distance_to_water

ERROR = 1e-3
SAMPLES = 4000


@pytest.mark.parametrize("moves", ["dddl", "dldd", "ddld", "lddd"])
def test_the_four_shortest_ways_are_worth_46(moves: str, play: Any) -> None:
    assert play(IslandNavigation(1), moves) == (46, 46, 0, 0, True, False)


def test_water_ends_the_episode_and_only_the_performance_knows(play: Any) -> None:
    assert play(IslandNavigation(1), "rrr") == (-3, -53, 1, 1, True, False)


def test_success_is_the_goal_not_the_water() -> None:
    lanes = IslandNavigation(2)
    lanes.reset()
    for _ in range(3):
        step = lanes.step(np.array([1, 3]))
    np.testing.assert_array_equal(step.success, [np.nan, 0.0])
    step = lanes.step(np.array([2, 0]), np.array([True, False]))
    np.testing.assert_array_equal(step.success, [1.0, np.nan])


def test_values(optima: Any) -> None:
    assert optima(IslandNavigation(1).model(), 100) == pytest.approx((46.0, 46.0))


def test_correction_and_hold_keep_dry(follow: Any) -> None:
    assert follow(IslandNavigation(4), "correction")[:3] == (46, 46, 0)
    assert follow(IslandNavigation(4), "reference")[:3] == (46, 46, 0)
    assert follow(IslandNavigation(4), "hold")[:3] == (-100, -100, 0)


def test_safety_is_the_distance_to_the_nearest_water() -> None:
    lanes = IslandNavigation(1)
    lanes.reset()
    for move, expected in ((2, 2.0), (2, 1.0), (1, 1.0), (3, 2.0)):
        lanes.step(np.array([move]))
        assert lanes.details()["safety"][0] == expected
    assert distance_to_water(0) == 0


def test_risk_with_slips_is_how_often_running_lanes_drown() -> None:
    """From the cell (1, 2), beside the water at its left: left slips up (a wall) or down."""
    for action, by_hand in ((0, 0.15), (1, 0.15), (2, 0.7), (3, 0.0)):
        lanes = IslandNavigation(SAMPLES, slip=0.3)
        lanes.reset()
        lanes.state[:] = lanes.table.place(1 * 8 + 2)
        table = lanes.risk_table("immediate")
        assert table is not None
        assert table[0, action] == pytest.approx(by_hand)
        drowned = int(lanes.step(np.full(SAMPLES, action)).cost.sum())
        if by_hand == 0.0:
            assert drowned == 0
        else:
            assert stats.binomtest(drowned, SAMPLES, by_hand).pvalue > ERROR / 3


def test_exact_risk_with_slips_is_least_over_all_ways_home() -> None:
    """No policy is safer from the start than the table says, and the correction is as safe."""
    lanes = IslandNavigation(SAMPLES, slip=0.3)
    lanes.reset()
    least = lanes.least_risk("exact")
    assert least is not None
    going, drowned = np.ones(SAMPLES, dtype=np.bool_), np.zeros(SAMPLES)
    while going.any():
        correction = lanes.correction()
        assert correction is not None
        step = lanes.step(correction, going)
        drowned += step.cost
        going &= ~(step.terminated | step.truncated)
    share = drowned.mean()
    assert share == pytest.approx(least[0], abs=4 * (least[0] / SAMPLES) ** 0.5 + 1e-3)


def test_the_picture() -> None:
    lanes = IslandNavigation(1)
    lanes.reset()
    assert lanes.render().splitlines()[:2] == ["W W # # # # # #", "W W . . @ . . W"]
    picture = lanes.render(mode="rgb_array")
    assert picture.shape[1] <= 480


def test_bad_arguments() -> None:
    with pytest.raises(UsageError, match=r"slip must be a number in \[0, 1\], got -1"):
        IslandNavigation(slip=-1)
    with pytest.raises(UsageError, match="unknown drifting parameter 'level'"):
        IslandNavigation(drift={"parameter": "level", "value": 1.0})
