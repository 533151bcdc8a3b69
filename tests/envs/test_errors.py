"""The words in which bad input is refused."""

import math
import sys

import pytest

from looplab.envs.errors import UsageError, finite, unknown, within


def test_a_beginning_of_a_name_is_near_where_no_spelling_is() -> None:
    said = str(unknown("env", "lava", ["lava_shortcut", "ops_desk"]))
    assert said == "unknown env 'lava'; did you mean 'lava_shortcut'? allowed: " + (
        "lava_shortcut, ops_desk"
    )
    assert "did you mean" not in str(unknown("env", "", ["lava_shortcut"]))


def test_what_must_be_positive_is_said_so() -> None:
    with pytest.raises(UsageError, match=r"^step_seconds must be a number above 0, got 0$"):
        within("step_seconds", 0, sys.float_info.min)


@pytest.mark.parametrize("value", [math.inf, math.nan, -1.0, "a", True])
def test_what_must_be_finite(value: float) -> None:
    with pytest.raises(UsageError, match="wage must be a"):
        finite("wage", value, 0.0)
    assert finite("wage", 2, 0.0) == 2.0
