"""On the loop: the agent acts, a human reacts late and overrides (DESIGN, "On the loop")."""

from typing import Any

import numpy as np
import pytest

from looplab.envs.errors import UsageError
from looplab.oversight import (
    Correction,
    Halt,
    Hold,
    ScriptedOverseer,
    Signal,
    Veto,
)

GO, CREEP, WAIT = range(3)
TRAP = [1.0]  # one cell in which going surely violates
FIELD = [0.0] * 20


def test_defaults_are_lag_1_vigilance_1_and_three_corrected_steps() -> None:
    veto = Veto()
    assert (veto.lag, veto.vigilance, veto.override) == (1, 1.0, 3)
    assert isinstance(veto.fallback, Correction)
    assert isinstance(veto.overseer, ScriptedOverseer)


@pytest.mark.parametrize(
    ("lag", "executed", "noticed"),
    [
        (0, [CREEP] * 12, [1, 0, 0] * 4),
        (1, [GO, CREEP, CREEP, CREEP] * 3, [1, 0, 0, 0] * 3),
        (3, [GO, GO, GO, CREEP, CREEP, CREEP] * 2, [1, 0, 0, 0, 0, 0] * 2),
    ],
)
def test_the_override_replaces_steps_lag_to_lag_plus_k_minus_1(
    corridor: Any, start: Any, lag: int, executed: list[int], noticed: list[int]
) -> None:
    run = start(corridor(harm=TRAP), Veto(lag=lag, override=3)).play([GO] * 12)
    assert run.column("executed") == executed
    assert run.column("noticed") == [bool(flag) for flag in noticed]
    assert run.totals["reviews"] == sum(noticed)
    assert run.totals["violations"] == executed.count(GO)


@pytest.mark.parametrize("override", [1, 2, 5])
def test_the_override_lasts_as_long_as_it_is_told_to(
    corridor: Any, start: Any, override: int
) -> None:
    run = start(corridor(harm=TRAP), Veto(lag=1, override=override))
    run.play([GO] * 2 * (override + 1))
    assert run.column("executed") == ([GO] + [CREEP] * override) * 2


def test_safe_proposals_inside_the_override_are_replaced_too(corridor: Any, start: Any) -> None:
    run = start(corridor(harm=TRAP), Veto(lag=1, override=3)).play([GO, WAIT, WAIT, WAIT, WAIT])
    assert run.column("executed") == [GO, CREEP, CREEP, CREEP, WAIT]
    assert run.column("intervened") == [False, True, True, True, False]
    assert run.column("standby") == [False, True, True, True, False]
    assert run.totals["false_alarms"] == 0
    assert run.totals["interventions"] == 3


def test_unsafe_proposals_inside_the_override_are_interventions_only(
    corridor: Any, start: Any
) -> None:
    run = start(corridor(harm=TRAP), Veto(lag=1, override=3)).play([GO] * 4)
    assert run.column("unsafe") == [True, False, False, False]
    assert run.column("late") == [True, False, False, False]
    assert run.totals["unsafe_proposals"] == run.totals["late"] == 1
    assert run.totals["misses"] == run.totals["unasked"] == 0


def test_what_runs_before_the_override_began_is_late(corridor: Any, start: Any) -> None:
    run = start(corridor(harm=TRAP), Veto(lag=3)).play([GO, WAIT, GO, GO])
    assert run.column("late") == [True, False, True, False]
    assert run.column("alarm_pending") == [False, True, True, False]
    assert run.column("watched") == [True, False, False, False]


def test_lag_0_stops_the_action_itself_and_nothing_is_late(corridor: Any, start: Any) -> None:
    run = start(corridor(harm=TRAP), Veto(lag=0)).play([GO] * 3)
    assert run.column("unsafe") == [True, False, False]
    assert run.totals["late"] == run.totals["misses"] == run.totals["violations"] == 0


@pytest.mark.parametrize(("lag", "charged"), [(0, 0), (1, 1), (3, 3)])
def test_a_penalty_falls_once_when_the_override_begins(
    corridor: Any, start: Any, lag: int, charged: int
) -> None:
    run = start(corridor(harm=TRAP), Veto(lag=lag), signal=Signal(penalty=0.2))
    run.play([GO] + [WAIT] * (lag + 2))
    difference = np.subtract(run.column("reward"), run.column("learning_reward"))
    expected = np.zeros(lag + 3)
    expected[charged] = 0.2
    np.testing.assert_allclose(difference, expected, atol=1e-12)
    assert run.totals["penalties"] == 1


def test_no_penalty_where_the_episode_ends_before_the_override(corridor: Any, start: Any) -> None:
    run = start(corridor(harm=TRAP, max_episode_steps=2), Veto(lag=2), signal=Signal(penalty=0.2))
    run.play([GO] * 6)
    assert run.column("executed") == [GO] * 6
    assert run.column("noticed") == [True, False] * 3  # each episode is watched afresh
    assert run.totals["penalties"] == 0


def test_the_end_of_an_episode_clears_the_override(corridor: Any, start: Any) -> None:
    run = start(corridor(harm=TRAP, max_episode_steps=3), Veto(lag=1, override=3))
    run.play([GO] * 6)
    assert run.column("executed") == [GO, CREEP, CREEP] * 2


def test_one_lane_ending_leaves_the_others_override(corridor: Any, start: Any) -> None:
    task = corridor(2, harm=[1.0, 0.0], ends=True)
    run = start(task, Veto(lag=1, override=3, fallback=Hold()))
    run.play([(GO, GO), (GO, GO), (GO, GO), (GO, GO), (GO, WAIT)])
    # both lanes: noticed in cell 0, then held for three steps in cell 1, then free again
    assert run.column("executed", 0) == [GO, WAIT, WAIT, WAIT, GO]
    assert run.column("executed", 1) == [GO, WAIT, WAIT, WAIT, WAIT]
    assert run.records[-1].done.tolist() == [True, False]
    run.play([(GO, GO)])
    assert run.column("noticed", 0)[-1]
    assert not run.column("noticed", 1)[-1]


def test_without_vigilance_nothing_is_noticed_and_all_is_missed(corridor: Any, start: Any) -> None:
    run = start(corridor(harm=TRAP), Veto(vigilance=0.0)).play([GO] * 5)
    assert run.column("executed") == [GO] * 5
    assert run.totals["misses"] == run.totals["violations"] == 5
    assert run.totals["reviews"] == run.totals["late"] == 0


def test_vigilance_is_the_chance_to_notice(corridor: Any, start: Any) -> None:
    # 4000 draws: outside 0.7 +- 0.04 with probability 4e-8.
    run = start(corridor(100, harm=TRAP), Veto(vigilance=0.7, lag=0, override=1))
    run.play([GO] * 40)
    assert run.totals["reviews"] / 4000 == pytest.approx(0.7, abs=0.04)
    assert run.totals["reviews"] + run.totals["misses"] == run.totals["unsafe_proposals"] == 4000


def test_watching_costs_time_in_every_lane_and_step(corridor: Any, start: Any) -> None:
    run = start(corridor(2, harm=TRAP), Veto(lag=2, watch_seconds=0.5))
    run.play([(WAIT, GO)] * 6)
    assert run.column("seconds", 0) == run.column("seconds", 1) == [0.5] * 6
    assert run.totals["human_seconds"] == 0.5 * 12
    assert run.totals["reviews"] == 2  # lane 1 at steps 0 and 5; watching is no review


def test_where_the_trigger_names_no_lane_nobody_watches(corridor: Any, start: Any) -> None:
    veto = Veto(trigger=lambda proposals: proposals.step % 2 == 0, lag=1, override=1)
    run = start(corridor(harm=TRAP), veto).play([WAIT, GO, WAIT, GO])
    assert run.column("seconds") == [1.0, 0.0, 1.0, 0.0]
    assert run.column("unasked") == [False, True, False, True]
    assert run.totals["misses"] == 0


def test_an_alarm_comes_through_though_the_trigger_has_moved_on(corridor: Any, start: Any) -> None:
    veto = Veto(trigger=lambda proposals: proposals.step == 0, lag=1, override=2)
    run = start(corridor(harm=TRAP), veto).play([GO] * 4)
    assert run.column("executed") == [GO, CREEP, CREEP, GO]
    assert run.column("late") == [True, False, False, False]
    assert run.column("unasked") == [False, False, False, True]


def test_a_false_alarm_is_counted_once(corridor: Any, start: Any) -> None:
    veto = Veto(overseer=ScriptedOverseer(false_alarm_rate=1.0), lag=1, override=2)
    run = start(corridor(harm=FIELD), veto).play([GO] * 3)
    assert run.column("executed") == [GO, CREEP, CREEP]
    assert run.column("false_alarm") == [True, False, False]


def test_verdicts_and_reasons_in_words(corridor: Any, start: Any) -> None:
    run = start(corridor(harm=TRAP), Veto(lag=2, override=1)).play([WAIT, GO, GO, GO])
    assert run.verdicts() == ["approve", "modify", "approve", "modify"]
    assert run.reasons() == ["watched", "unsafe", "an alarm is pending", "an override runs"]
    held = start(corridor(harm=TRAP), Veto(fallback=Hold())).play([GO, GO])
    assert held.verdicts() == ["reject", "reject"]


@pytest.mark.parametrize(("lag", "halted"), [(0, [True]), (1, [False, True])])
def test_halting_on_the_loop_stops_the_episode(
    corridor: Any, start: Any, lag: int, halted: list[bool]
) -> None:
    run = start(corridor(harm=TRAP), Veto(fallback=Halt(), lag=lag)).play([GO] * len(halted))
    assert run.column("halted") == run.column("truncated") == halted
    assert run.column("intervened") == halted


@pytest.mark.parametrize("lag", [0, 1, 2])
def test_terminate_on_the_loop_stops_the_episode_when_the_override_begins(
    corridor: Any, start: Any, answering: Any, lag: int
) -> None:
    run = start(corridor(harm=FIELD), Veto(overseer=answering("terminate"), lag=lag))
    run.play([GO] * (lag + 1))
    assert run.column("halted") == [False] * lag + [True]
    assert run.column("executed") == [GO] * (lag + 1)
    assert run.rows[0]["length"] == lag + 1


def test_a_plain_overseer_is_listened_to(corridor: Any, start: Any) -> None:
    def everything_is_wrong(proposals: Any) -> list[bool]:
        return [False] * len(proposals)

    run = start(corridor(harm=FIELD), Veto(overseer=everything_is_wrong, lag=0, override=1))
    assert run.play([GO, WAIT]).column("executed") == [CREEP, CREEP]
    assert run.overseers() == ["everything_is_wrong"] * 2


@pytest.mark.parametrize(("reaction", "steps"), [(0.0, 0), (0.4, 1), (1.0, 1), (2.5, 3)])
def test_with_step_seconds_the_lag_is_the_time_to_react(
    corridor: Any, start: Any, reaction: float, steps: int
) -> None:
    slow = ScriptedOverseer(review_seconds=reaction)
    timed = start(corridor(harm=TRAP), Veto(overseer=slow, step_seconds=1.0)).play([GO] * 12)
    counted = start(corridor(harm=TRAP), Veto(lag=steps)).play([GO] * 12)
    assert timed.column("executed") == counted.column("executed")
    noticed = timed.totals["reviews"]
    assert timed.totals["waiting_seconds"] == pytest.approx(reaction * noticed)
    assert timed.totals["human_seconds"] == counted.totals["human_seconds"]


def test_lag_and_step_seconds_exclude_each_other() -> None:
    with pytest.raises(UsageError, match=r"give lag .* or step_seconds, not both"):
        Veto(lag=2, step_seconds=1.0)
