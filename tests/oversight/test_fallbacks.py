"""What runs instead of a refused action?"""

from typing import Any

import numpy as np
import pytest

from looplab.envs.errors import UsageError
from looplab.oversight import Correction, Gate, Halt, Hold, NextBest, SafestAction

GO, CREEP, WAIT = range(3)
TRAP = [1.0]


def refuse_all(proposals: Any) -> list[str]:
    return ["reject"] * len(proposals)


def executed(
    start: Any, task: Any, fallback: Any, actions: list[int], **settings: Any
) -> list[int]:
    """What runs where every proposal is refused."""
    run = start(task, Gate(overseer=refuse_all, fallback=fallback), **settings).play(actions)
    column: list[int] = run.column("executed")
    return column


def test_hold_is_the_tasks_no_op(corridor: Any, start: Any) -> None:
    assert executed(start, corridor(harm=TRAP), Hold(), [GO, CREEP, WAIT]) == [WAIT] * 3


def test_correction_is_the_tasks_own(corridor: Any, start: Any) -> None:
    assert executed(start, corridor(harm=TRAP), Correction(), [GO, WAIT]) == [CREEP] * 2


@pytest.mark.parametrize(
    ("risks", "chosen"),
    [
        ([0.3, 0.2, 0.2], [CREEP, CREEP, WAIT]),  # the proposal if among the safest, else lowest
        ([0.1, 0.1, 0.1], [GO, CREEP, WAIT]),
        ([0.2, 0.3, 0.0], [WAIT, WAIT, WAIT]),
        ([0.0, 0.5, 0.0], [GO, GO, WAIT]),
        ([0.1 + 0.2, 0.3, 0.9], [GO, CREEP, GO]),  # equal but for the last bit
    ],
)
def test_the_safest_action_keeps_the_proposal_or_takes_the_lowest(
    corridor: Any, start: Any, risks: list[float], chosen: list[int]
) -> None:
    task = corridor(harm=[risks])
    assert executed(start, task, SafestAction(), [GO, CREEP, WAIT]) == chosen


def test_the_safest_action_goes_by_the_exact_risk(corridor: Any, start: Any) -> None:
    task = corridor(harm=[[0.0, 0.9, 0.9]], exact=[[0.9, 0.9, 0.1]])
    assert executed(start, task, SafestAction(), [GO]) == [WAIT]


def test_a_fallback_equal_to_the_proposal_is_no_intervention_yet_a_false_alarm(
    corridor: Any, start: Any
) -> None:
    run = start(corridor(harm=[0.0]), Gate(overseer=refuse_all)).play([WAIT])
    assert run.column("intervened") == [False]
    assert run.column("false_alarm") == [True]
    assert run.column("refused") == [True]


def test_next_best_is_the_most_probable_other_action(
    corridor: Any, start: Any, policy: Any
) -> None:
    chances = policy(0.6, 0.1, 0.3)
    found = executed(start, corridor(harm=TRAP), NextBest(), [GO, CREEP, WAIT], policy=chances)
    assert found == [WAIT, GO, GO]


def test_next_best_never_repeats_the_proposal(corridor: Any, start: Any, policy: Any) -> None:
    sure = policy(0.0, 0.0, 1.0)
    assert executed(start, corridor(harm=TRAP), NextBest(), [WAIT], policy=sure) == [GO]


def test_halt_stops_every_refused_lane(corridor: Any, start: Any) -> None:
    run = start(corridor(harm=TRAP), Gate(overseer=refuse_all, fallback=Halt())).play([GO])
    assert run.column("halted") == [True]
    assert run.column("intervened") == [True]
    assert run.lanes.elapsed[0] == 0


def test_a_plain_function_is_a_fallback(corridor: Any, start: Any) -> None:
    def opposite(proposals: Any) -> Any:
        return np.where(proposals.action == GO, CREEP, GO)

    assert executed(start, corridor(harm=TRAP), opposite, [GO, CREEP]) == [CREEP, GO]


def test_what_the_task_does_not_offer_is_refused_by_name(corridor: Any, start: Any) -> None:
    with pytest.raises(UsageError, match=r"Hold: needs an action that does nothing.*hold="):
        start(corridor(harm=TRAP, holds=False), Gate())
    with pytest.raises(UsageError, match="Correction: needs corrections"):
        start(corridor(harm=TRAP, corrects=False), Gate(fallback=Correction()))
