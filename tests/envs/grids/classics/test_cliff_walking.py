"""Cliff walking: equal to Gymnasium's table, and the textbook's values."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from looplab.envs.errors import UsageError
from looplab.envs.exact import policy_value
from looplab.envs.grids.classics.cliff_walking import CliffWalking

UP, RIGHT, DOWN, LEFT = range(4)
#: Long enough for every episode of an exploring walk to end.
HORIZON = 3000


@pytest.mark.parametrize(("slip", "slippery"), [(0.0, False), (2 / 3, True)])
def test_every_outcome_is_gymnasiums(slip: float, slippery: bool) -> None:
    lanes = CliffWalking(1, slip=slip)
    model = lanes.model()
    theirs: Any = gym.make("CliffWalking-v1", is_slippery=slippery).unwrapped
    for place, cell in enumerate(lanes.table.states):
        if cell == 47:  # the goal, where nothing follows
            continue
        for action in range(4):
            ours = [
                (round(float(chance), 9), lanes.table.states[after], gain, bool(ends))
                for chance, after, gain, ends in zip(
                    model.chance[place, action],
                    model.successor[place, action],
                    model.gain[place, action],
                    model.ends[place, action],
                    strict=True,
                )
            ]
            expected = [
                (round(chance, 9), int(after), float(gain), bool(ends))
                for chance, after, gain, ends in theirs.P[cell][action]
            ]
            assert sorted(ours, key=str) == sorted(expected, key=str)
    assert lanes.table.states[int(model.start.argmax())] == theirs.start_state_index


def _toward(row: int, near: int, far: int) -> int:
    """Up to a row, and down to it; DOWN at the last column."""
    if far == 11:
        return DOWN
    return RIGHT if near == row else UP if near > row else DOWN


@pytest.mark.parametrize(
    ("row", "greedy", "exploring"), [(2, -13.0, -51.81), (1, -15.0, -21.05), (0, -17.0, -22.27)]
)
def test_ways_and_what_exploring_on_them_costs(row: int, greedy: float, exploring: float) -> None:
    lanes = CliffWalking(1)
    ways = [_toward(row, *divmod(int(cell), 12)) for cell in lanes.table.states]  # type: ignore[call-overload]
    for epsilon, value in ((0.0, greedy), (0.1, exploring)):
        policy = (1.0 - epsilon) * np.eye(4)[ways] + epsilon / 4
        assert policy_value(lanes.model(), policy, 1.0, HORIZON) == pytest.approx(value, abs=0.005)


def test_values(optima: Any, follow: Any) -> None:
    lanes = CliffWalking(4)
    assert optima(lanes.model(), 200) == pytest.approx((-13.0, -13.0))
    assert lanes.threshold == pytest.approx(-20.0)
    assert follow(lanes, "reference")[0] == -13
    assert follow(lanes, "correction")[0] == -13
    assert follow(lanes, "hold")[0] == -200


def test_a_fall_tows_back_and_goes_on() -> None:
    lanes = CliffWalking(1)
    first = lanes.reset()
    step = lanes.step(np.array([RIGHT]))
    assert (step.reward[0], step.cost[0], step.terminated[0]) == (-100.0, 1.0, False)
    assert not step.catastrophe[0]
    np.testing.assert_array_equal(step.observation, first)


def test_the_picture() -> None:
    lanes = CliffWalking(1)
    lanes.reset()
    lanes.step(np.array([UP]))
    assert lanes.render().splitlines()[2:] == [
        "@ . . . . . . . . . . .", "S L L L L L L L L L L G"
    ]  # fmt: skip


def test_bad_arguments() -> None:
    with pytest.raises(UsageError, match=r"slip must be a number in \[0, 1\], got 'yes'"):
        CliffWalking(slip="yes")  # type: ignore[arg-type]
