"""The human only rates; nothing is blocked (DESIGN, "Preset regimes": feedback)."""

from typing import Any

import numpy as np
import pytest

from looplab.envs.errors import UsageError
from looplab.oversight import (
    Feedback,
    Gate,
    Halt,
    ScriptedOverseer,
    Signal,
    Stack,
    Verdicts,
    Veto,
)

GO, CREEP, WAIT = range(3)
TRAP = [1.0]
FIELD = [0.0] * 20


def test_nothing_is_blocked_and_an_unsafe_action_costs_beta(corridor: Any, start: Any) -> None:
    run = start(corridor(harm=TRAP), Feedback(), signal=Signal(beta=0.3)).play([GO, CREEP, WAIT])
    assert run.column("executed") == [GO, CREEP, WAIT]
    assert run.column("rating") == [-1.0, 0.0, 0.0]
    np.testing.assert_allclose(run.column("learning_reward"), [0.7, 0.5, 0.0])
    assert run.column("reward") == [1.0, 0.5, 0.0]
    assert run.column("cost") == [1.0, 0.0, 0.0]
    assert run.totals["task_return"] == 1.5
    assert run.totals["learning_return"] == pytest.approx(1.2)
    assert run.totals["interventions"] == 0


def test_beta_is_1_by_default(corridor: Any, start: Any) -> None:
    assert start(corridor(harm=TRAP), Feedback()).play([GO]).column("learning_reward") == [0.0]


def test_a_rating_is_a_review_and_takes_the_overseers_time(corridor: Any, start: Any) -> None:
    run = start(corridor(harm=TRAP), Feedback(overseer=ScriptedOverseer(review_seconds=3.0)))
    run.play([GO, WAIT])
    assert run.totals["reviews"] == 2
    assert run.column("seconds") == [3.0, 3.0]
    assert run.column("reviewed") == [True, True]
    assert run.verdicts() == ["reject", "approve"]


def test_an_unsafe_action_that_was_rated_ran_all_the_same(corridor: Any, start: Any) -> None:
    totals = start(corridor(harm=TRAP), Feedback()).play([GO]).totals
    assert totals["misses"] == 1  # unsafe, reviewed and not stopped
    assert totals["unasked"] == totals["late"] == 0


def test_errors_of_the_rater(corridor: Any, start: Any) -> None:
    blind = Feedback(overseer=ScriptedOverseer(miss_rate=1.0))
    assert start(corridor(harm=TRAP), blind).play([GO]).column("rating") == [0.0]
    nervous = Feedback(overseer=ScriptedOverseer(false_alarm_rate=1.0))
    run = start(corridor(harm=FIELD), nervous).play([GO])
    assert run.column("rating") == [-1.0]
    assert run.totals["false_alarms"] == 1


def test_only_what_the_trigger_names_is_rated(corridor: Any, start: Any) -> None:
    feedback = Feedback(trigger=lambda proposals: proposals.step == 1)
    run = start(corridor(harm=TRAP), feedback).play([GO, GO])
    assert run.column("rating") == [0.0, -1.0]
    assert run.column("unasked") == [True, False]
    assert run.totals["reviews"] == 1


def test_no_penalty_falls_for_a_rating(corridor: Any, start: Any) -> None:
    run = start(corridor(harm=TRAP), Feedback(), signal=Signal(penalty=10.0)).play([GO])
    assert run.column("learning_reward") == [0.0]
    assert run.totals["penalties"] == 0


def test_what_an_override_or_a_stop_replaced_is_not_rated(corridor: Any, start: Any) -> None:
    overridden = start(corridor(harm=TRAP), Stack(Veto(lag=1, override=2), Feedback()))
    overridden.play([GO] * 3)
    assert overridden.column("rating") == [-1.0, 0.0, 0.0]
    assert overridden.column("reviewed") == [True, False, False]
    halted = start(corridor(harm=TRAP), Stack(Gate(fallback=Halt()), Feedback())).play([GO])
    assert halted.totals["reviews"] == 1
    assert halted.column("rating") == [0.0]


def rating(*values: float) -> Any:
    """An overseer who approves of everything, with ratings of its own."""

    def overseer(proposals: Any) -> Verdicts:
        code = np.zeros(len(proposals), dtype=np.int8)
        return Verdicts(code, 1.0, code, ("so",), "someone", rating=np.array(values))

    return overseer


def test_ratings_of_its_own_come_in(corridor: Any, start: Any) -> None:
    feedback = Feedback(overseer=rating(0.5, -0.25, np.nan))
    run = start(corridor(3, harm=FIELD), feedback, signal=Signal(beta=2.0)).play([GO])
    assert [run.column("rating", lane) for lane in range(3)] == [[0.5], [-0.25], [0.0]]
    np.testing.assert_allclose(run.records[0].learning_reward, [2.0, 0.5, 1.0])
    assert run.totals["reviews"] == 3  # who said nothing looked all the same
    assert run.reasons(1) == ["so"]
    assert run.reasons(2) == ["no rating given"]
    assert run.overseers(2) == ["nobody"]


def test_silence_leaves_an_earlier_rating_alone(corridor: Any, start: Any) -> None:
    stack = Stack(Feedback(overseer=rating(0.5)), Feedback(overseer=rating(np.nan)))
    run = start(corridor(harm=FIELD), stack).play([GO])
    assert run.column("rating") == [0.5]
    assert run.reasons() == ["so"]


@pytest.mark.parametrize("value", [1.5, -1.01, np.inf])
def test_a_rating_out_of_range_is_refused(corridor: Any, start: Any, value: float) -> None:
    run = start(corridor(harm=FIELD), Feedback(overseer=rating(value)))
    with pytest.raises(UsageError, match=r"rating must lie in \[-1, 1\]"):
        run.play([GO])
