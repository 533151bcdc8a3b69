"""Protocols one after another (DESIGN section 1: protocols stack, e.g. gate + feedback)."""

from typing import Any

import numpy as np
import pytest

from looplab.envs.errors import UsageError
from looplab.oversight import (
    Autonomous,
    Comparisons,
    Feedback,
    Gate,
    RiskAbove,
    ScriptedOverseer,
    Signal,
    Stack,
    Veto,
)

GO, CREEP, WAIT = range(3)
TRAP = [1.0]
FIELD = [0.0] * 20


def test_feedback_behind_a_gate_rates_what_the_gate_lets_run(corridor: Any, start: Any) -> None:
    run = start(corridor(harm=TRAP), Stack(Gate(), Feedback()), signal=Signal(penalty=0.2))
    run.play([GO, WAIT])
    assert run.column("executed") == [WAIT, WAIT]
    assert run.column("rating") == [0.0, 0.0]
    np.testing.assert_allclose(run.column("learning_reward"), [-0.2, 0.0])
    assert run.verdicts() == ["reject", "approve"]
    assert run.column("reviews") == [2, 2]
    assert run.column("seconds") == [10.0, 10.0]
    assert run.totals["misses"] == 0


def test_feedback_catches_what_the_gate_missed(corridor: Any, start: Any) -> None:
    stack = Stack(Gate(overseer=ScriptedOverseer(miss_rate=1.0)), Feedback())
    run = start(corridor(harm=TRAP), stack).play([GO])
    assert run.column("executed") == [GO]
    assert run.column("rating") == [-1.0]
    assert run.verdicts() == ["approve"]  # the gate's own verdict stands
    assert run.totals["misses"] == 1


def test_the_second_gate_is_not_asked_about_what_the_first_refused(
    corridor: Any, start: Any
) -> None:
    asked: list[list[bool]] = []

    def second(proposals: Any) -> list[bool]:
        asked.append(proposals.asked.tolist())
        return [True] * len(proposals)

    run = start(corridor(2, harm=TRAP), Stack(Gate(), Gate(overseer=second))).play([(GO, WAIT)])
    assert asked == [[False, True]]
    assert run.column("reviews", 0) + run.column("reviews", 1) == [1, 2]


def test_a_veto_behind_a_gate_watches_what_the_gate_does_not_ask_about(
    corridor: Any, start: Any
) -> None:
    task = corridor(harm=TRAP, estimated=[0.2])
    stack = Stack(Gate(trigger=RiskAbove(0.5)), Veto(lag=1, override=2))
    run = start(task, stack).play([GO] * 3)
    assert run.column("executed") == [GO, CREEP, CREEP]
    assert run.column("late") == [True, False, False]


def test_a_stack_of_one_list_is_the_stack_of_its_members(corridor: Any, start: Any) -> None:
    task = [1.0, 0.0, 0.3, 1.0, 0.0]
    plain = start(corridor(harm=task), Stack(Gate(), Feedback())).play([GO, CREEP] * 10)
    listed = start(corridor(harm=task), Stack([Gate(), Feedback()])).play([GO, CREEP] * 10)
    nested = start(corridor(harm=task), Stack(Stack(Gate()), Autonomous(), Feedback()))
    nested.play([GO, CREEP] * 10)
    assert plain.totals == listed.totals == nested.totals


def test_a_plain_function_is_a_protocol(corridor: Any, start: Any) -> None:
    def never_go(proposals: Any, decision: Any) -> None:
        decision.executed[proposals.action == GO] = CREEP

    run = start(corridor(harm=TRAP), Stack(never_go, Feedback())).play([GO, WAIT])
    assert run.column("executed") == [CREEP, WAIT]
    assert run.column("intervened") == [True, False]
    alone = start(corridor(harm=TRAP), never_go).play([GO])
    assert alone.column("executed") == [CREEP]
    assert alone.totals["interventions"] == 1


def test_an_empty_stack_is_refused() -> None:
    with pytest.raises(UsageError, match="at least one protocol"):
        Stack()
    with pytest.raises(UsageError, match="at least one protocol"):
        Stack([])


def mend(proposals: Any, decision: Any) -> None:
    decision.executed[:] = CREEP


def test_what_rates_what_runs_comes_after_all_that_can_change_it() -> None:
    with pytest.raises(UsageError, match="Feedback rates what runs, and Gate after it"):
        Stack(Feedback(), Gate())
    with pytest.raises(UsageError, match="Stack rates what runs, and Veto after it"):
        Stack(Stack(Gate(), Feedback()), Veto())
    with pytest.raises(UsageError, match="Feedback rates what runs, and mend after it"):
        Stack(Feedback(), mend)
    Stack(Feedback(), Autonomous(), Feedback())
    Stack(Feedback(), Stack(Autonomous(), Comparisons()))
