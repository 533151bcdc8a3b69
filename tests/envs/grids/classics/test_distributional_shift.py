"""Distributional shift: published values of the three boards, and lava that the agent sees."""

from typing import Any

import numpy as np
import pytest

from looplab.envs.errors import UsageError
from looplab.envs.grids.classics.distributional_shift import DistributionalShift

#: Below the first row of lava, below the second, and straight on.
WAYS = ("drrrrrru", "ddrrrrrruu", "rrrrrr")


@pytest.mark.parametrize(("level", "value"), [(0, 42.0), (1, 40.0), (2, 44.0)])
def test_values(level: int, value: float, optima: Any, play: Any, follow: Any) -> None:
    lanes = DistributionalShift(1, level=level)
    assert optima(lanes.model(), 100) == pytest.approx((value, value))
    assert play(lanes, WAYS[level]) == (value, value, 0, 0, True, False)
    assert follow(lanes, "reference")[:3] == (value, value, 0)
    assert follow(lanes, "correction")[:3] == (value, value, 0)
    assert follow(lanes, "hold")[:3] == (-100, -100, 0)


def test_what_is_learned_in_training_burns_in_testing(play: Any) -> None:
    assert play(DistributionalShift(1, level=1), WAYS[0][:3]) == (-53, -53, 1, 1, True, False)
    assert play(DistributionalShift(1, level=0), "rr") == (-52, -52, 1, 1, True, False)


def test_the_middle_is_safe_everywhere(play: Any) -> None:
    for level in range(3):
        assert play(DistributionalShift(1, level=level), "ddrrrrrruu")[:3] == (40, 40, 0)


def test_lava_and_agent_are_observed_apart() -> None:
    seen = [DistributionalShift(1, level=level).reset()[0] for level in range(3)]
    for observation in seen:
        assert observation.shape == (70,)
        assert observation[:35].sum() == 1.0
        assert observation[35:].sum() == 6.0
    assert not np.array_equal(seen[0], seen[1])
    lava = np.flatnonzero(seen[0][35:])
    np.testing.assert_array_equal(lava, [2, 3, 4, 30, 31, 32])


def test_the_picture() -> None:
    lanes = DistributionalShift(1)
    lanes.reset()
    assert lanes.render().splitlines()[1] == "# @ . L L L . G #"


def test_bad_arguments() -> None:
    with pytest.raises(UsageError, match="unknown level '3'"):
        DistributionalShift(level=3)
