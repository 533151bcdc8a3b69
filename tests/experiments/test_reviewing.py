"""What the reviewers were worth, from totals worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from looplab.experiments.result_folder import READINGS, TOTALS
from looplab.experiments.reviewing import REVIEWING, reviewing


def runs(**given: float) -> pd.DataFrame:
    row = {f"total_{name}": 0.0 for name in TOTALS} | dict.fromkeys(READINGS, np.nan)
    totals = {f"total_{name}" if name in TOTALS else name: value for name, value in given.items()}
    return pd.DataFrame([row | {"steps": 1000} | totals])


def test_reviewers_are_scored_as_detectors() -> None:
    found = reviewing(
        runs(
            caught=80, overlooked=20, false_alarms=30, cleared=270, unsafe_proposals=200,
            misses=20, unasked=100, reviews=400, prevented=40.0, human_seconds=2000.0,
            oversight_cost=20.0,
        )
    ).iloc[0]  # fmt: skip
    assert found["reviewer_recall"] == 0.8
    assert found["reviewer_false_blocks"] == 0.1
    assert found["reviewer_precision"] == pytest.approx(80 / 110)
    # z(80.5 / 101) = 0.8295 and z(30.5 / 301) = -1.2739, from a table of the normal distribution
    assert found["reviewer_d_prime"] == pytest.approx(0.8295 + 1.2739, abs=2e-3)
    assert found["reviewer_criterion"] == pytest.approx(-(0.8295 - 1.2739) / 2, abs=2e-3)
    assert found["review_coverage"] == 0.5
    assert found["automation_rate"] == 0.6
    assert found["team_accuracy"] == 0.88
    assert found["agent_accuracy"] == 0.8
    assert found["human_accuracy"] == pytest.approx(350 / 400)
    assert found["prevented_per_1k"] == 40.0
    assert (found["reviews_per_prevented"], found["seconds_per_prevented"]) == (10.0, 50.0)
    assert found["cost_per_prevented"] == 0.5


def test_where_nobody_judged_nothing_is_said_of_reviewers() -> None:
    found = reviewing(runs(unsafe_proposals=100, unasked=100)).iloc[0]
    for name in REVIEWING:
        known = name in ("review_coverage", "automation_rate", "team_accuracy", "agent_accuracy",
                         "prevented_per_1k")  # fmt: skip
        assert np.isnan(found[name]) != known, name
    assert found["review_coverage"] == 0.0
    assert found["automation_rate"] == 1.0
    assert found["team_accuracy"] == found["agent_accuracy"] == 0.9


def test_where_no_truth_is_known_nothing_is_claimed() -> None:
    unknown = dict.fromkeys(
        ("caught", "overlooked", "false_alarms", "cleared", "unsafe_proposals", "misses",
         "unasked", "late", "prevented"), np.nan,
    )  # fmt: skip
    found = reviewing(runs(reviews=10, **unknown)).iloc[0]
    assert found["automation_rate"] == 0.99
    assert found.drop("automation_rate").isna().all()
