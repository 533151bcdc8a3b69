"""Schedules of drift, step by step, and what a configuration may say of them."""

from typing import Any

import numpy as np
import pytest

from looplab.envs.drift import GRADUAL_STEPS, Drift, as_drift
from looplab.envs.errors import UsageError

RANGES = {"slip": (0.0, 1.0), "speed": (-2.0, 5.0)}


def _values(before: float, clock: list[int], **fields: Any) -> list[float]:
    drift = Drift("slip", **fields)
    found: list[float] = drift.levels(before)[drift.level(np.array(clock))].tolist()
    return found


def test_an_abrupt_drift_begins_at_its_step_and_stays() -> None:
    assert _values(0.2, [0, 9, 10, 11, 10**9], value=0.6, at_step=10) == [0.2, 0.2, 0.6, 0.6, 0.6]


def test_a_drift_from_the_first_step_on() -> None:
    for kind in ("abrupt", "recurring"):
        assert _values(0.2, [0, 1], value=0.6, kind=kind) == [0.6, 0.6]


def test_a_recurring_drift_goes_to_and_fro() -> None:
    found = _values(0.0, list(range(14)), value=1.0, at_step=4, kind="recurring", over_steps=3)
    assert found == [0.0] * 4 + [1.0] * 3 + [0.0] * 3 + [1.0] * 3 + [0.0]


def test_a_gradual_drift_takes_16_equal_steps_and_arrives() -> None:
    clock = list(range(60))
    found = _values(0.0, clock, value=1.6, at_step=10, kind="gradual", over_steps=32)
    expected = [0.0] * 10 + [0.1 * (1 + since // 2) for since in range(32)] + [1.6] * 18
    assert found == pytest.approx(expected)


def test_a_gradual_drift_may_be_shorter_than_its_steps() -> None:
    found = _values(0.0, [0, 1, 2, 3], value=1.6, kind="gradual", over_steps=2)
    assert found == pytest.approx([0.1, 0.9, 1.6, 1.6])


def test_the_undrifted_value_is_level_0_and_the_last_level_is_the_value() -> None:
    for kind, count in (("abrupt", 2), ("recurring", 2), ("gradual", GRADUAL_STEPS + 1)):
        levels = Drift("slip", 0.7, kind=kind).levels(0.2)
        assert (len(levels), levels[0], levels[-1]) == (count, 0.2, 0.7)


def test_a_mapping_is_a_drift() -> None:
    assert as_drift({"parameter": "slip", "value": 1}, RANGES) == Drift("slip", 1)
    given = Drift("speed", -2.0, 5, "gradual", 7)
    fields = {"parameter": "speed", "value": -2.0, "at_step": 5, "kind": "gradual", "over_steps": 7}
    assert as_drift(fields, RANGES) == as_drift(given, RANGES) == given
    assert as_drift(None, RANGES) is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"parametre": "slip"}, "unknown field of drift 'parametre'; did you mean 'parameter'"),
        ({"value": 0.5}, "drift needs parameter; it has parameter, value, at_step"),
        ({}, "drift needs parameter and value"),
        ({"parameter": "slipp", "value": 0.5}, "drifting parameter 'slipp'; did you mean 'slip'"),
        ({"parameter": "slip", "value": 1.5}, r"drift.value must be a number in \[0, 1\], got 1.5"),
        ({"parameter": "slip", "value": float("nan")}, r"drift.value must be .*, got nan"),
        ({"parameter": "slip", "value": "high"}, r"drift.value must be .*, got 'high'"),
        ({"parameter": "slip", "value": 0.5, "kind": "abrubt"}, "did you mean 'abrupt'"),
        ({"parameter": "slip", "value": 0.5, "at_step": -1}, "drift.at_step must be .*, got -1"),
        ({"parameter": "slip", "value": 0.5, "over_steps": 0}, "drift.over_steps must be .* 1"),
    ],
)
def test_what_is_wrong_with_a_drift_is_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        as_drift(given, RANGES)


def test_a_task_without_drift_says_so() -> None:
    with pytest.raises(UsageError, match="unknown drifting parameter 'slip'; allowed: none"):
        as_drift(Drift("slip", 0.5), {})


def test_a_drift_that_is_a_word_is_refused_as_a_whole() -> None:
    with pytest.raises(UsageError, match=r"drift must be a mapping such as .*, got 'slip'"):
        as_drift("slip", RANGES)  # type: ignore[arg-type]
