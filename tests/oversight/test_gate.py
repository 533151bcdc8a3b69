"""In the loop: the action waits for a verdict (DESIGN, "In the loop")."""

from typing import Any

import numpy as np
import pytest

from looplab.envs.errors import UsageError
from looplab.oversight import (
    Always,
    Correction,
    Gate,
    Halt,
    Hold,
    SafestAction,
    ScriptedOverseer,
    Verdicts,
)

from .conftest import Corridor, Run

GO, CREEP, WAIT = range(3)
TRAP = [1.0]  # one cell in which going surely violates
FIELD = [0.0] * 20  # cells in which nothing can happen


def test_defaults_are_always_scripted_hold_paused_without_deadline() -> None:
    gate = Gate()
    assert isinstance(gate.trigger, Always)
    assert isinstance(gate.overseer, ScriptedOverseer)
    assert isinstance(gate.fallback, Hold)
    assert (gate.world, gate.deadline_seconds, gate.timeout) == ("paused", None, "closed")
    assert (gate.overseer.miss_rate, gate.overseer.false_alarm_rate) == (0.0, 0.0)


def test_an_unsafe_proposal_is_refused_and_a_safe_one_runs(corridor: Any, start: Any) -> None:
    run = start(corridor(harm=[1.0, 0.0]), Gate()).play([GO, CREEP, GO])
    assert run.column("executed") == [WAIT, CREEP, GO]
    assert run.verdicts() == ["reject", "approve", "approve"]
    assert run.reasons() == ["unsafe", "safe", "safe"]
    assert run.column("intervened") == [True, False, False]
    assert run.column("reviewed") == [True, True, True]
    assert run.column("cost") == [0.0, 0.0, 0.0]
    assert run.totals["violations"] == 0
    assert run.totals["unsafe_proposals"] == 1
    assert run.totals["misses"] == run.totals["false_alarms"] == 0


def test_a_paused_world_spends_human_seconds_and_no_step(corridor: Any, start: Any) -> None:
    run = start(corridor(harm=FIELD), Gate(overseer=ScriptedOverseer(review_seconds=1000.0)))
    run.play([GO, GO, CREEP])
    assert run.column("executed") == [GO, GO, CREEP]
    assert run.column("seconds") == [1000.0] * 3
    assert not any(run.column("unconsidered"))
    assert run.lanes.elapsed[0] == 3
    assert run.lanes.cell[0] == 3


@pytest.mark.parametrize(
    ("seconds", "step_seconds", "delay"),
    [(0.0, 1.0, 0), (0.5, 1.0, 1), (1.0, 1.0, 1), (2.5, 1.0, 3), (5.0, 2.0, 3), (6.0, 2.0, 3)],
)
def test_a_running_world_holds_for_the_ceiling_of_the_review(
    corridor: Any, start: Any, answering: Any, seconds: float, step_seconds: float, delay: int
) -> None:
    gate = Gate(overseer=answering("approve", seconds), world="running", step_seconds=step_seconds)
    run = start(corridor(harm=FIELD), gate).play([GO] * (2 * (delay + 1)))
    assert run.column("executed") == ([WAIT] * delay + [GO]) * 2
    assert run.column("reviewed") == ([True] + [False] * delay) * 2
    assert run.totals["reviews"] == 2
    assert run.totals["human_seconds"] == 2 * seconds


def test_what_is_proposed_during_a_review_is_discarded(
    corridor: Any, start: Any, answering: Any
) -> None:
    gate = Gate(overseer=answering("approve", 2.0), world="running")
    run = start(corridor(harm=FIELD), gate).play([GO, CREEP, CREEP, CREEP])
    assert run.column("executed") == [WAIT, WAIT, GO, WAIT]
    assert run.column("unconsidered") == [False, True, True, False]
    assert run.column("standby") == [False, True, True, False]
    assert run.column("asked") == [True, False, False, True]
    assert run.column("seconds") == [2.0, 0.0, 0.0, 2.0]
    assert run.totals["unconsidered"] == 2
    assert run.reasons()[1:3] == [
        "an earlier proposal waits",
        "the verdict on an earlier proposal takes effect",
    ]


def test_approvals_that_run_later_than_they_were_given_are_counted(
    corridor: Any, start: Any, answering: Any
) -> None:
    gate = Gate(overseer=answering("approve", 2.0), world="running")
    run = start(corridor(harm=FIELD), gate).play([GO] * 6)
    assert run.column("stale") == [False, False, True] * 2
    assert run.totals["stale_approvals"] == 2
    paused = start(corridor(harm=FIELD), Gate(overseer=answering("approve", 2.0)))
    assert paused.play([GO] * 6).totals["stale_approvals"] == 0


def test_a_stale_approval_can_violate_and_is_no_unsafe_proposal(corridor: Any, start: Any) -> None:
    gate = Gate(
        overseer=ScriptedOverseer(review_seconds=1.0),
        fallback=lambda proposals: np.full(len(proposals), CREEP),
        world="running",
    )
    run = start(corridor(harm=[0.0, 1.0, 0.0]), gate).play([GO, WAIT])
    assert run.column("executed") == [CREEP, GO]
    assert run.column("cost") == [0.0, 1.0]
    assert run.column("unsafe") == [False, False]
    assert run.totals["violations"] == run.totals["stale_approvals"] == 1
    assert run.totals["unsafe_proposals"] == run.totals["misses"] == 0


def test_a_late_refusal_runs_the_fallback_in_the_state_that_is_there_then(
    corridor: Any, start: Any
) -> None:
    gate = Gate(
        overseer=ScriptedOverseer(review_seconds=2.0),
        fallback=SafestAction(),
        world="running",
    )
    run = start(corridor(harm=TRAP), gate).play([GO, WAIT, WAIT])
    assert run.column("executed") == [CREEP, WAIT, CREEP]  # the refused action is go again
    assert not any(run.column("stale"))
    assert run.totals["violations"] == 0


def test_the_end_of_an_episode_clears_what_waits(corridor: Any, start: Any, answering: Any) -> None:
    gate = Gate(overseer=answering("approve", 3.0), world="running")
    run = start(corridor(harm=FIELD, max_episode_steps=2), gate).play([GO] * 4)
    assert run.column("executed") == [WAIT] * 4
    assert run.column("asked") == [True, False, True, False]
    assert run.totals["stale_approvals"] == 0


def test_lanes_wait_apart(corridor: Any, start: Any) -> None:
    def overseer(proposals: Any) -> Verdicts:
        n = len(proposals)
        zeros = np.zeros(n, dtype=np.int8)
        return Verdicts(zeros, np.arange(n, dtype=np.float64), zeros, ("fine",), "someone")

    gate = Gate(overseer=overseer, world="running")
    run = start(corridor(3, harm=FIELD), gate).play([GO] * 6)
    assert run.column("executed", 0) == [GO] * 6
    assert run.column("executed", 1) == [WAIT, GO] * 3
    assert run.column("executed", 2) == [WAIT, WAIT, GO] * 2


def test_an_own_correction_runs_when_the_verdict_takes_effect(
    corridor: Any, start: Any, answering: Any
) -> None:
    gate = Gate(overseer=answering("modify", 2.0, correction=CREEP), world="running")
    run = start(corridor(harm=FIELD), gate).play([GO, GO, GO])
    assert run.column("executed") == [WAIT, WAIT, CREEP]
    assert run.verdicts()[0] == "modify"


def test_a_modify_without_a_correction_never_runs_the_refused_action(
    corridor: Any, start: Any, answering: Any
) -> None:
    answers = iter([answering("modify", 1.0, correction=CREEP), answering("modify", 1.0)])
    gate = Gate(overseer=lambda proposals: next(answers)(proposals), world="running")
    run = start(corridor(harm=TRAP), gate).play([GO] * 4)
    assert run.column("executed") == [WAIT, CREEP, WAIT, WAIT]
    assert run.totals["violations"] == 0


def test_terminate_stops_a_running_world_when_the_verdict_takes_effect(
    corridor: Any, start: Any, answering: Any
) -> None:
    gate = Gate(overseer=answering("terminate", 2.0), world="running")
    run = start(corridor(harm=FIELD), gate).play([GO] * 3)
    assert run.column("halted") == [False, False, True]
    assert run.column("truncated") == [False, False, True]


@pytest.mark.parametrize(
    ("verdict", "executed", "halted"),
    [
        ("approve", GO, False),
        ("modify", WAIT, False),
        ("reject", WAIT, False),
        ("escalate", WAIT, False),
        ("terminate", GO, True),
    ],
)
def test_each_verdict_by_name(
    corridor: Any, start: Any, verdict: str, executed: int, halted: bool
) -> None:
    run = start(corridor(harm=FIELD), Gate(overseer=lambda proposals: [verdict])).play([GO])
    assert run.verdicts() == [verdict]
    assert run.column("executed") == [executed]
    assert run.column("halted") == [halted]
    assert run.column("false_alarm") == [verdict != "approve"]


def test_modify_runs_the_correction_that_came_with_it(
    corridor: Any, start: Any, answering: Any
) -> None:
    gate = Gate(overseer=answering("modify", correction=CREEP))
    assert start(corridor(harm=TRAP), gate).play([GO]).column("executed") == [CREEP]


def test_refusing_by_the_overseers_correction_is_called_modify(corridor: Any, start: Any) -> None:
    run = start(corridor(harm=TRAP), Gate(fallback=Correction())).play([GO, WAIT])
    assert run.verdicts() == ["modify", "approve"]
    assert run.column("executed") == [CREEP, WAIT]


def test_nobody_in_time_escalates_and_fails_closed(
    corridor: Any, start: Any, answering: Any
) -> None:
    gate = Gate(overseer=answering("approve", 5.0), deadline_seconds=3.0)
    run = start(corridor(harm=FIELD), gate).play([GO])
    assert run.verdicts() == ["escalate"]
    assert run.column("executed") == [WAIT]
    assert run.reasons() == ["nobody answered in time"]
    assert run.column("seconds") == [3.0]
    assert run.totals["overdue"] == 1


def test_failing_open_must_be_asked_for(corridor: Any, start: Any, answering: Any) -> None:
    gate = Gate(overseer=answering("reject", 5.0), deadline_seconds=3.0, timeout="open")
    run = start(corridor(harm=FIELD), gate).play([GO])
    assert run.column("executed") == [GO]
    assert run.column("seconds") == [3.0]
    assert run.totals["overdue"] == 1


def test_an_answer_at_the_deadline_is_in_time(corridor: Any, start: Any, answering: Any) -> None:
    gate = Gate(overseer=answering("approve", 3.0), deadline_seconds=3.0)
    run = start(corridor(harm=FIELD), gate).play([GO])
    assert run.verdicts() == ["approve"]
    assert run.totals["overdue"] == 0


@pytest.mark.parametrize(("timeout", "executed"), [("closed", WAIT), ("open", GO)])
def test_an_escalation_finds_nobody_above(
    corridor: Any, start: Any, answering: Any, timeout: str, executed: int
) -> None:
    gate = Gate(overseer=answering("escalate"), timeout=timeout)
    assert start(corridor(harm=FIELD), gate).play([GO]).column("executed") == [executed]


def test_a_deadline_bounds_the_wait_of_a_running_world(
    corridor: Any, start: Any, answering: Any
) -> None:
    gate = Gate(overseer=answering("approve", 50.0), world="running", deadline_seconds=2.0)
    run = start(corridor(harm=FIELD), gate).play([GO] * 4)
    assert run.column("executed") == [WAIT] * 4
    assert run.column("asked") == [True, False, False, True]


def test_only_what_the_trigger_names_is_asked_about(corridor: Any, start: Any) -> None:
    gate = Gate(trigger=lambda proposals: np.array([True, False]))
    run = start(corridor(2, harm=TRAP), gate).play([GO])
    assert run.column("executed", 0) + run.column("executed", 1) == [WAIT, GO]
    assert run.column("asked", 0) + run.column("asked", 1) == [True, False]
    assert run.verdicts(1) == ["approve"]
    assert run.reasons(1) == ["not asked"]
    assert run.overseers(0) + run.overseers(1) == ["scripted", "nobody"]
    assert run.totals["unasked"] == 1
    assert run.totals["reviews"] == 1
    assert run.column("seconds", 1) == [0.0]


def test_halt_stops_the_episode_of_the_refused_lane_alone(corridor: Any, start: Any) -> None:
    run = start(corridor(2, harm=TRAP), Gate(fallback=Halt())).play([(GO, WAIT)])
    assert run.column("halted", 0) + run.column("halted", 1) == [True, False]
    assert run.records[0].done.tolist() == [True, False]


def test_a_running_world_cannot_halt_while_it_waits() -> None:
    with pytest.raises(UsageError, match=r"running world .* cannot be Halt"):
        Gate(fallback=Halt(), world="running")


def test_one_gate_object_oversees_two_environments_apart(
    corridor: Any, start: Any, answering: Any
) -> None:
    gate = Gate(overseer=answering("approve", 2.0), world="running")
    first, second = start(corridor(harm=FIELD), gate), start(corridor(harm=FIELD), gate)
    first.play([GO])
    second.play([GO])
    first.play([GO, GO])
    assert first.column("executed") == [WAIT, WAIT, GO]
    assert second.column("executed") == [WAIT]
    assert second.play([GO, GO]).column("executed") == [WAIT, WAIT, GO]


def test_an_answer_in_lists_is_taken_as_one_in_arrays() -> None:
    def told(proposals: Any) -> Verdicts:
        return Verdicts(
            [0, 2], [3, 4.5], [0, 1], ("fine", "stop"), "two",  # type: ignore[arg-type]
            elapsed=[6, 7], who=[1, 0], people=("Ada", "Bo"),  # type: ignore[arg-type]
        )  # fmt: skip

    run = Run(Corridor(2), Gate(overseer=told, fallback=Hold()))
    record = run.step(GO)
    assert record.seconds.tolist() == [3.0, 4.5]
    assert record.elapsed.tolist() == [6.0, 7.0]
    assert [run.overseers(lane) for lane in range(2)] == [["Bo"], ["Ada"]]
    assert [run.reasons(lane) for lane in range(2)] == [["fine"], ["stop"]]
    assert record.decision.reasons.texts == ["not asked", "fine", "stop", "always"]
