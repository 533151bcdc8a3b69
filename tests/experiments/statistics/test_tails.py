import math

import numpy as np
import pytest

from looplab.envs.errors import UsageError
from looplab.experiments.statistics import conditional_value_at_risk, worst_seed

RETURNS = [5.0, 1.0, 4.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.2, 1.0),  # one whole value
        (0.4, 1.5),
        (0.5, (1.0 + 2.0 + 0.5 * 3.0) / 2.5),  # two and a half
        (0.25, (1.0 + 0.25 * 2.0) / 1.25),
        (0.01, 1.0),  # less than one value is the worst
        (1.0, 3.0),
    ],
)
def test_fractional_tails_are_exact(share: float, expected: float) -> None:
    assert conditional_value_at_risk(RETURNS, share, worst="low") == pytest.approx(expected)
    harm = [-value for value in RETURNS]
    assert conditional_value_at_risk(harm, share, worst="high") == pytest.approx(-expected)


def test_it_solves_rockafellars_and_uryasevs_programme(rng: np.random.Generator) -> None:
    values, share = rng.normal(size=37), 0.13
    lowest = min(v + np.maximum(values - v, 0.0).mean() / share for v in values)
    assert conditional_value_at_risk(values, share, worst="high") == pytest.approx(lowest)


def test_the_worst_seed_is_named() -> None:
    assert worst_seed([3.0, 9.0, 9.0], [10, 11, 12], worst="high") == (11, 9.0)
    assert worst_seed([3.0, 9.0, -1.0], [10, 11, 12], worst="low") == (12, -1.0)


def test_wrong_tails_are_named() -> None:
    with pytest.raises(UsageError, match="share must lie above 0 and up to 1, got 0"):
        conditional_value_at_risk(RETURNS, 0.0, worst="low")
    with pytest.raises(UsageError, match="unknown worst 'lowest'; did you mean 'low'"):
        conditional_value_at_risk(RETURNS, 0.5, worst="lowest")
    with pytest.raises(UsageError, match="none of them NaN"):
        conditional_value_at_risk([1.0, math.nan], 0.5, worst="low")
    with pytest.raises(UsageError, match="there must be values"):
        conditional_value_at_risk([], 0.5, worst="low")
    with pytest.raises(UsageError, match="every value needs its seed, got 5 and 1"):
        worst_seed(RETURNS, [0], worst="low")
