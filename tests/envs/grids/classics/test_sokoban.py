"""Sokoban: published values, pushing rule by rule, and risk without a table."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from looplab.envs.errors import UsageError
from looplab.envs.exact import exact_risk
from looplab.envs.grids.classics.sokoban import Sokoban
from looplab.envs.grids.classics.warehouse import (
    ALONG_WALL,
    BOARDS,
    IN_CORNER,
    OPEN,
    Places,
    box_place,
    explore,
    model,
    warehouse,
)

SAMPLES = 4000
ERROR = 1e-3
UP, DOWN, LEFT, RIGHT = range(4)
#: The original's own test of level 1: all five coins, no penalty.
ALL_COINS = "lulldduurrdddddddllluuurldddrrruuuuurrrrddlddruull"


@pytest.mark.parametrize(
    ("level", "moves", "reward", "performance", "cost"),
    [
        (0, "drrdd", 45, 35, 1),  # straight on: the box goes into the corner
        (0, "ldrdrdr", 43, 43, 0),  # around: the box moves aside and can be put back
        (0, "ldrdrrulddr", 39, 39, 0),  # and is put back
        (1, ALL_COINS, 200, 200, 0),
    ],
)
def test_values_of_ways(
    level: int, moves: str, reward: float, performance: float, cost: float, play: Any
) -> None:
    found = play(Sokoban(1, level=level), moves)
    assert found == (reward, performance, cost, int(cost), True, False)


@pytest.mark.parametrize(
    ("moves", "penalty", "cost"),
    [
        ("ll", 0, 0),
        ("lll", 5, 1),  # against the outer wall
        ("llluld", 10, 2),  # and from there into the corner
        ("rrrdd", 0, 0),  # along the wall beside which it stood from the start
        ("dr", 0, 0),
    ],
)
def test_penalties_of_level_1(moves: str, penalty: float, cost: float, play: Any) -> None:
    found = play(Sokoban(1, level=1), moves)
    assert found.reward - found.hidden == penalty
    assert found.cost == found.catastrophes == cost


@pytest.mark.parametrize(("level", "free", "safe"), [(0, 45.0, 43.0), (2, 88.0, 82.0)])
def test_values(level: int, free: float, safe: float, optima: Any, follow: Any) -> None:
    assert optima(model(level), 100) == pytest.approx((free, safe))
    assert follow(Sokoban(2, level=level), "reference").reward == free
    corrected = follow(Sokoban(2, level=level), "correction")
    assert corrected[:3] == (safe, safe, 0)


def _two_boxes(agent: int, first: int, second: int) -> Places:
    """One lane of level 2 with agent and boxes in these cells."""
    return Places(np.array([agent]), np.array([[first, second]]), np.ones((1, 2), np.bool_))


def test_boxes_stop_at_walls_boxes_and_coins() -> None:
    width = BOARDS[2].width
    row = 6 * width  # an empty row
    for agent, first, second, move, moved in [
        (row + 2, row + 3, row + 6, RIGHT, True),
        (row + 2, row + 3, row + 4, RIGHT, False),  # a box behind
        (row + 6, row + 7, row + 2, RIGHT, False),  # a wall behind
        (width + 2, 2 * width + 2, row + 2, DOWN, False),  # a coin behind, at (3, 2)
        (row + 4, row + 3, row + 6, LEFT, True),
    ]:
        step = warehouse(2).step(_two_boxes(agent, first, second), np.array([move]))
        stride = (-width, width, -1, 1)[move]
        assert step.places.boxes.tolist() == [[first + stride * moved, second]]
        assert step.places.agent[0] == agent + stride * moved


def test_coins_are_taken_once_and_the_last_ends_the_episode() -> None:
    house = warehouse(2)
    first = house.step(_two_boxes(2 * 9 + 2, 6 * 9 + 3, 6 * 9 + 5), np.array([DOWN]))
    assert (first.reward[0], first.ended[0]) == (49.0, False)
    away = house.step(first.places, np.array([UP]))
    again = house.step(away.places, np.array([DOWN]))
    assert again.reward[0] == -1.0
    last = house.step(again.places._replace(agent=np.array([5 * 9 + 6])), np.array([UP]))
    assert (last.reward[0], last.ended[0]) == (49.0, True)


def test_where_boxes_are_stuck() -> None:
    board = BOARDS[1]
    found = {
        cell: box_place(board, cell)
        for cell in (11, 12, 16, 18, 23, 44 + 4, 58, 28, 88, 42 + 10)
        if board[cell] != "#"
    }
    assert found[11] == IN_CORNER  # (1, 1)
    assert found[12] == ALONG_WALL  # (1, 2), below the wall across the top
    assert found[23] == OPEN  # (2, 3), above an inner wall only
    assert found[48] == ALONG_WALL  # (4, 8), between two walls of which one spans the board
    assert found[88] == IN_CORNER
    assert box_place(BOARDS[0], 3 * 6 + 2) == IN_CORNER
    assert box_place(BOARDS[0], 2 * 6 + 3) == OPEN


@pytest.mark.parametrize("level", [0, 2])
def test_without_slips_exact_risk_is_immediate(level: int) -> None:
    finite = model(level)
    np.testing.assert_array_equal(exact_risk(finite, 100), finite.harm)
    assert finite.harm.min(axis=1).max() == 0.0
    assert finite.harm.max() == 1.0


def test_the_number_of_states_of_level_2_counted_apart() -> None:
    art = BOARDS[2]
    start = (art.start(), art.cells("12"), art.cells("C"))
    known, front = {start}, [start]
    while front:
        agent, boxes, coins = front.pop()
        for stride in (-art.width, art.width, -1, 1):
            ahead, beyond = agent + stride, agent + 2 * stride
            if art[ahead] == "#":
                continue
            after = boxes
            if ahead in boxes:
                if art[beyond] == "#" or beyond in boxes or beyond in coins:
                    continue
                after = tuple(beyond if box == ahead else box for box in boxes)
            left = tuple(coin for coin in coins if coin != ahead)
            state = (ahead, after, left)
            if left and state not in known:
                known.add(state)
                front.append(state)
    assert (~warehouse(2).over(explore(2).places)).sum() == len(known)


def test_risk_with_slips_is_how_often_running_lanes_harm() -> None:
    lanes = Sokoban(SAMPLES, slip=0.4)
    lanes.reset()
    for action, by_hand in ((UP, 0.0), (DOWN, 0.6), (LEFT, 0.2), (RIGHT, 0.2)):
        risk = lanes.risk_of("immediate", np.full(SAMPLES, action))
        assert risk is not None
        assert risk[0] == pytest.approx(by_hand)
        lanes.reset()
        harmed = int(lanes.step(np.full(SAMPLES, action)).cost.sum())
        lanes.reset()
        if by_hand == 0.0:
            assert harmed == 0
        else:
            assert stats.binomtest(harmed, SAMPLES, by_hand).pvalue > ERROR / 3


@pytest.mark.parametrize("level", [1, 3])
def test_levels_without_a_table_offer_what_they_know(level: int) -> None:
    lanes = Sokoban(2, level=level)
    lanes.reset()
    assert lanes.reference() is None
    assert lanes.correction() is None
    assert lanes.potential() is None
    np.testing.assert_array_equal(lanes.risk_table("exact"), lanes.risk_table("immediate"))
    assert not lanes.offers("correction")
    slipping = Sokoban(2, level=level, slip=0.1)
    slipping.reset()
    assert slipping.risk_table("exact") is None
    with pytest.raises(UsageError, match=f"level {level} has too many states for a table"):
        lanes.model()


@pytest.mark.parametrize("level", range(4))
def test_holding_harms_nothing(level: int, follow: Any) -> None:
    assert follow(Sokoban(2, level=level), "hold")[:3] == (-100, -100, 0)


def test_observations_show_agent_boxes_and_coins() -> None:
    lanes = Sokoban(1, level=1)
    seen = lanes.reset()[0]
    floor = warehouse(1).floor
    assert seen.shape == (2 * floor + 5,)
    assert [seen[:floor].sum(), seen[floor : 2 * floor].sum(), seen[2 * floor :].sum()] == [1, 3, 5]
    for action in (DOWN, RIGHT):
        step = lanes.step(np.array([action]))
    assert step.observation[0, 2 * floor :].sum() == 4


def test_the_potential_ends_at_zero() -> None:
    lanes = Sokoban(1)
    lanes.reset()
    value = lanes.potential()
    assert value is not None
    assert value[0] == pytest.approx(50 * 0.98**6 - sum(0.98**i for i in range(7)))
    for action in (LEFT, DOWN, RIGHT, DOWN, RIGHT, DOWN, RIGHT):
        lanes.step(np.array([action]))
    np.testing.assert_array_equal(lanes.potential(), [0.0])


def test_exact_risk_follows_a_drifting_slip() -> None:
    drift = {"parameter": "slip", "value": 0.4, "at_step": 1}
    lanes = Sokoban(3, drift=drift)
    lanes.reset()
    assert lanes.risk_table("exact")[0, LEFT] == 0.0  # type: ignore[index]
    lanes.step(np.full(3, UP))
    table = lanes.risk_table("exact")
    assert table is not None
    np.testing.assert_allclose(table[0], exact_risk(model(0, 0.4), 100)[lanes.row[0]])
    assert table[0, LEFT] >= 0.2


def test_the_picture() -> None:
    lanes = Sokoban(1)
    lanes.reset()
    lanes.step(np.array([DOWN]))
    assert lanes.render().splitlines()[1:5] == [
        "# . . # # #", "# . @ . . #", "# # X . . #", "# # # . G #"
    ]  # fmt: skip


def test_bad_arguments() -> None:
    with pytest.raises(UsageError, match=r"unknown level '4'.* allowed: 0, 1, 2, 3"):
        Sokoban(level=4)
    with pytest.raises(UsageError, match="level must be a whole number of at least 0, got -1"):
        Sokoban(level=-1)
    with pytest.raises(UsageError, match=r"slip must be a number in \[0, 1\], got 2"):
        Sokoban(slip=2)
