"""The veto window: announced, and executed after w steps unless stopped."""

from typing import Any

import pytest

from looplab.envs.errors import UsageError
from looplab.oversight import Correction, Halt, Hold, ScriptedOverseer, Signal, VetoWindow

GO, CREEP, WAIT = range(3)
TRAP = [1.0]
FIELD = [0.0] * 20


def test_defaults_are_one_step_and_hold() -> None:
    window = VetoWindow()
    assert (window.window, window.vigilance) == (1, 1.0)
    assert isinstance(window.fallback, Hold)


@pytest.mark.parametrize("window", [0, 1, 2, 4])
def test_an_announced_action_runs_after_the_window(corridor: Any, start: Any, window: int) -> None:
    run = start(corridor(harm=FIELD), VetoWindow(window=window)).play([GO] * 2 * (window + 1))
    assert run.column("executed") == ([WAIT] * window + [GO]) * 2
    assert run.column("watched") == ([True] + [False] * window) * 2
    assert run.totals["reviews"] == 0  # silence is consent, and no verdict


def test_proposals_during_the_window_are_discarded(corridor: Any, start: Any) -> None:
    run = start(corridor(harm=FIELD), VetoWindow(window=2)).play([GO, CREEP, CREEP])
    assert run.column("executed") == [WAIT, WAIT, GO]
    assert run.column("unconsidered") == [False, True, True]
    assert run.reasons()[0] == "announced, and nobody objected"


@pytest.mark.parametrize("window", [0, 1, 3])
def test_what_is_stopped_never_runs(corridor: Any, start: Any, window: int) -> None:
    run = start(corridor(harm=TRAP), VetoWindow(window=window, fallback=Correction()))
    run.play([GO] * 2 * (window + 1))
    assert run.column("executed") == [CREEP] * 2 * (window + 1)
    assert run.totals["reviews"] == run.totals["unsafe_proposals"] == 2
    assert run.totals["violations"] == run.totals["misses"] == run.totals["late"] == 0
    assert run.verdicts()[0] == "modify"


def test_what_nobody_notices_runs_after_the_window_and_is_a_miss(corridor: Any, start: Any) -> None:
    run = start(corridor(harm=TRAP), VetoWindow(window=1, vigilance=0.0)).play([GO] * 4)
    assert run.column("executed") == [WAIT, GO] * 2
    assert run.column("miss") == [True, False] * 2
    assert run.column("unsafe") == [True, False] * 2
    assert run.column("cost") == [0.0, 1.0] * 2


def test_vigilance_is_the_chance_to_stop(corridor: Any, start: Any) -> None:
    # 4000 draws: outside 0.4 +- 0.04 with probability 3e-7.
    run = start(corridor(100, harm=TRAP), VetoWindow(window=0, vigilance=0.4)).play([GO] * 40)
    assert run.totals["reviews"] / 4000 == pytest.approx(0.4, abs=0.04)
    assert run.totals["violations"] == run.totals["misses"] == 4000 - run.totals["reviews"]


def test_the_end_of_an_episode_clears_what_was_announced(corridor: Any, start: Any) -> None:
    run = start(corridor(harm=FIELD, max_episode_steps=2), VetoWindow(window=3)).play([GO] * 4)
    assert run.column("executed") == [WAIT] * 4
    assert run.column("watched") == [True, False, True, False]


@pytest.mark.parametrize(
    ("seconds", "step_seconds", "steps"), [(0.0, 1.0, 0), (1.5, 1.0, 2), (3.0, 2.0, 2)]
)
def test_a_window_in_seconds_is_rounded_up_to_steps(
    seconds: float, step_seconds: float, steps: int
) -> None:
    assert VetoWindow(window_seconds=seconds, step_seconds=step_seconds).window == steps


def test_watching_costs_time_during_the_window_too(corridor: Any, start: Any) -> None:
    run = start(corridor(harm=FIELD), VetoWindow(window=2, watch_seconds=0.25)).play([GO] * 6)
    assert run.column("seconds") == [0.25] * 6


def test_what_the_trigger_does_not_name_runs_at_once(corridor: Any, start: Any) -> None:
    window = VetoWindow(trigger=lambda proposals: proposals.action == CREEP, window=1)
    run = start(corridor(harm=[1.0, *FIELD]), window).play([GO, CREEP, CREEP])
    assert run.column("executed") == [GO, WAIT, CREEP]
    assert run.column("unasked") == [True, False, False]
    assert run.column("seconds") == [0.0, 1.0, 1.0]


def test_a_penalty_falls_once_for_what_is_stopped(corridor: Any, start: Any) -> None:
    run = start(corridor(harm=TRAP), VetoWindow(window=2), signal=Signal(penalty=0.5))
    run.play([GO, GO, GO])
    assert run.column("charged") == [True, False, False]
    assert run.totals["learning_return"] == run.totals["task_return"] - 0.5


def test_a_false_alarm_stops_a_safe_action(corridor: Any, start: Any) -> None:
    window = VetoWindow(overseer=ScriptedOverseer(false_alarm_rate=1.0), window=1)
    run = start(corridor(harm=FIELD), window).play([GO, GO])
    assert run.column("executed") == [WAIT, WAIT]
    assert run.column("false_alarm") == [True, False]


def test_terminate_stops_the_episode_at_the_end_of_the_window(
    corridor: Any, start: Any, answering: Any
) -> None:
    run = start(corridor(harm=FIELD), VetoWindow(overseer=answering("terminate"), window=2))
    assert run.play([GO] * 3).column("halted") == [False, False, True]


def test_steps_or_seconds_and_never_halt() -> None:
    with pytest.raises(UsageError, match=r"window \(steps\) or window_seconds, not both"):
        VetoWindow(window=1, window_seconds=2.0)
    with pytest.raises(UsageError, match="cannot be Halt"):
        VetoWindow(fallback=Halt())
