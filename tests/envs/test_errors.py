"""The words in which bad input is refused."""

import math
import sys

import numpy as np
import pytest

from looplab.envs.errors import UsageError, finite, probability, unknown, whole, within


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


def test_the_bounds_of_what_must_be_finite_are_said() -> None:
    with pytest.raises(UsageError, match=r"^gain must be a finite number above 0, got inf$"):
        finite("gain", math.inf, sys.float_info.min)
    with pytest.raises(UsageError, match=r"^reference must be a finite number, got -inf$"):
        finite("reference", -math.inf, -math.inf)


def test_numpy_s_numbers_are_numbers() -> None:
    for kind in (np.int64, np.uint8):
        assert type(whole("lag", kind(2), 0)) is int
    for number in (np.float32(0.5), np.float64(0.5), np.int64(1)):
        assert type(probability("p", number)) is float
        assert probability("p", number) == number
        assert finite("p", number, 0.0) == within("p", number, 0.0) == number


@pytest.mark.parametrize("value", [np.True_, np.array(1), np.array([1, 2]), np.str_("1")])
def test_what_numpy_has_and_is_no_number(value: int) -> None:
    with pytest.raises(UsageError, match="must be a number"):
        probability("p", value)
    with pytest.raises(UsageError, match="must be a whole number"):
        whole("n", value, 0)


def test_numpy_s_numbers_are_refused_as_people_write_them() -> None:
    with pytest.raises(UsageError, match=r"^lag must be a whole number of at least 0, got -2$"):
        whole("lag", np.int64(-2), 0)
    with pytest.raises(UsageError, match=r"^lag must be a whole number of at least 0, got 2\.0$"):
        whole("lag", np.float64(2.0), 0)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"^p must be a number in \[0, 1\], got 1\.5$"):
        probability("p", np.float32(1.5))
