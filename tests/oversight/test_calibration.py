"""Calibration through the engine: what was predicted against what happened."""

from typing import Any

import numpy as np
import pytest

from looplab.oversight import Autonomous, Gate, SafestAction, Stack
from looplab.oversight.calibration import BINS, Calibration, Reliability

GO, CREEP, WAIT = range(3)


def test_the_error_is_the_mean_gap_weighed_by_counts() -> None:
    reliability = Reliability.empty()
    reliability.add(np.array([0.1, 0.1, 0.8, 1.0]), np.array([True, False, True, True]))
    gaps = abs(0.2 - 1) + abs(0.8 - 1) + abs(1.0 - 1)
    assert reliability.error == pytest.approx(gaps / 4)
    assert reliability.count.sum() == 4
    assert reliability.count[BINS - 1] == 1
    assert np.isnan(Reliability.empty().error)


@pytest.mark.parametrize(("said", "error"), [(0.3, 0.0), (0.6, 0.3)])
def test_estimated_risk_is_held_against_violations(
    corridor: Any, start: Any, said: float, error: float
) -> None:
    notes = Calibration()
    lanes = corridor(2000, harm=[0.3], estimated=[said])
    run = start(lanes, Stack(Autonomous(), notes)).play([GO] * 10)
    found = run.engine.state(notes)["risk"]
    assert found.count.sum() == 20_000
    assert found.error == pytest.approx(error, abs=0.02)


def test_it_is_the_executed_action_that_is_predicted(corridor: Any, start: Any) -> None:
    notes = Calibration()
    lanes = corridor(100, harm=[1.0], estimated=[0.9])
    run = start(lanes, Stack(Gate(fallback=SafestAction()), notes)).play([GO] * 5)
    assert run.engine.state(notes)["risk"].report()["error"] == 0.0
    assert run.totals["violations"] == 0


def test_confidence_is_held_against_safety(corridor: Any, start: Any, policy: Any) -> None:
    notes = Calibration(confidence=True)
    lanes = corridor(4, harm=[[1.0, 0.0, 0.0]])
    run = start(lanes, Stack(Autonomous(), notes), policy=policy(0.7, 0.2, 0.1))
    run.play([GO, CREEP])
    found = run.engine.state(notes)["confidence"]
    assert found.error == pytest.approx((4 * 0.7 + 4 * 0.8) / 8)
