"""Delay and false alarms of monitors, from small cases worked out by hand."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest, t

from looplab.agents.lanes_vec_env import LanesVecEnv
from looplab.envs.desks.ops_desk import OpsDesk
from looplab.envs.errors import UsageError
from looplab.experiments.drift_detection import detection, monitor_alarms
from looplab.experiments.run_tables import alarm_rows
from looplab.oversight import Adaptive, Cusum
from looplab.oversight.vec_wrapper import OverseenVecEnv


def test_delays_and_false_alarms_are_counted_by_hand() -> None:
    found = detection([[100, 460, 700], [], [50, 300, 500], [499]], drift_step=500, steps=1000)
    assert found.delay.mean == pytest.approx((200 + 0) / 2)
    assert found.detected.mean == 0.5
    exact = binomtest(2, 4).proportion_ci(method="exact")
    assert (found.detected.low, found.detected.high) == pytest.approx((exact.low, exact.high))
    assert found.false_alarms_per_1k.mean == pytest.approx((4 + 0 + 4 + 2) / 4)


def test_intervals_are_students_and_allow_for_skewness_above() -> None:
    found = detection([[510], [530], [550]], 500, 1000)
    reach = 20.0 / math.sqrt(3) * t.ppf(0.975, 2)
    assert found.delay.mean == 30.0
    assert found.delay.high > 30.0 + reach
    assert (found.delay.high - 30.0) ** 2 == pytest.approx(reach**2 * found.delay.high / 30.0)
    assert found.delay.low == max(0.0, 30.0 - reach)
    assert found.false_alarms_per_1k.mean == 0.0
    assert found.false_alarms_per_1k.high == pytest.approx(-math.log(0.05) / 1.5, rel=0.3)


def test_without_a_drift_every_alarm_is_false_and_with_one_at_once_none_is() -> None:
    never = detection([[10, 20], [30]], drift_step=2000, steps=1000)
    assert never.false_alarms_per_1k.mean == 1.5
    assert never.detected.mean == 0.0
    assert math.isnan(never.delay.mean)
    at_once = detection([[10, 20], [30]], drift_step=0, steps=1000)
    assert at_once.delay.mean == 20.0
    assert math.isnan(at_once.false_alarms_per_1k.mean)


@pytest.mark.parametrize(
    ("alarms", "drift", "said"),
    [
        ([], 10, "one array per seed"),
        ([[100]], 10, r"steps in 0..99"),
        ([[-1]], 10, r"steps in 0..99"),
        ([[1]], -1, "drift_step must be a whole number of at least 0"),
    ],
)
def test_bad_input_is_refused(alarms: list[list[int]], drift: int, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        detection(alarms, drift, 100)


def test_alarms_are_told_in_training_steps_of_all_lanes() -> None:
    # every step adds 1 in each of 4 lanes: 8 is reached in every second step
    monitor = Cusum(0.0, 8.0, stream=lambda record: np.ones(len(record.cost)))
    quiet = Cusum(0.0, 9.0, stream=lambda record: np.zeros(len(record.cost)))
    venv = OverseenVecEnv(LanesVecEnv(OpsDesk(4)), Adaptive(monitors=[monitor, quiet]))
    venv.seed(0)
    venv.reset()
    for _ in range(6):
        venv.step(np.zeros(4, np.int64))
    loud, silent = monitor_alarms(venv.oversight, 4)
    assert loud["steps"] == [4, 12, 20]
    assert silent["steps"] == []
    assert loud["monitor"] == str(monitor)
    rows = alarm_rows({"a": {"alarms": [loud, silent]}, "b": {}})
    assert rows["step"].dropna().tolist() == [4, 12, 20]
    assert rows.loc[rows["step"].isna(), "monitor"].tolist() == [str(quiet)]
