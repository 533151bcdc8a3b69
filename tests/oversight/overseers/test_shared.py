"""Few reviewers for many lanes: waits by hand, in a paused and in a running world."""

from typing import Any

import numpy as np
import pytest

from looplab.envs.errors import UsageError
from looplab.oversight import Gate, SafestAction, ScriptedOverseer, Shared

GO, CREEP, WAIT = range(3)


def shared(reviewers: int, seconds: float = 5.0) -> Shared:
    return Shared(ScriptedOverseer(review_seconds=seconds), reviewers)


@pytest.mark.parametrize(
    ("reviewers", "elapsed"),
    [(1, [5, 10, 15, 20]), (2, [5, 5, 10, 10]), (3, [5, 5, 5, 10]), (9, [5, 5, 5, 5])],
)
def test_who_finds_all_busy_waits(
    corridor: Any, start: Any, reviewers: int, elapsed: list[float]
) -> None:
    run = start(corridor(4), Gate(overseer=shared(reviewers))).play([GO] * 3)
    for record in run.records:  # the world is paused: each step begins with everybody free
        assert sorted(record.elapsed.tolist()) == elapsed
    assert run.totals["human_seconds"] == 4 * 3 * 5.0
    assert run.totals["waiting_seconds"] == 3 * sum(elapsed)


def test_lanes_are_served_in_random_order(corridor: Any, start: Any) -> None:
    run = start(corridor(4), Gate(overseer=shared(1))).play([GO] * 200)
    first = np.array([record.elapsed.argmin() for record in run.records])
    assert np.bincount(first, minlength=4).min() > 25


def test_in_a_running_world_reviewers_stay_busy_between_steps(corridor: Any, start: Any) -> None:
    gate = Gate(overseer=shared(1, seconds=3.0), world="running", fallback=SafestAction())
    run = start(corridor(2), gate).play([GO] * 7)
    waits = np.array([record.elapsed for record in run.records])
    assert sorted(waits[0]) == [3.0, 6.0]
    quick, slow = waits[0].argsort()
    asked = [[bool(record.asked[lane]) for record in run.records] for lane in (quick, slow)]
    assert asked[0][:5] == [True, False, False, False, True]  # asked again after its verdict ran
    assert waits[4][quick] == 2.0 + 3.0  # the other's review runs until second 6
    assert asked[1][:7] == [True] + [False] * 6


def test_only_asked_lanes_queue(corridor: Any, start: Any) -> None:
    def second_lane(proposals: Any) -> Any:
        return np.arange(len(proposals)) == 1

    run = start(corridor(3), Gate(second_lane, shared(1))).play([GO] * 4)
    assert [record.elapsed.tolist() for record in run.records] == [[0.0, 5.0, 0.0]] * 4


def test_waiting_counts_against_deadlines(corridor: Any, start: Any) -> None:
    gate = Gate(overseer=shared(1), deadline_seconds=12.0)
    run = start(corridor(4), gate).play([GO])
    assert run.totals["overdue"] == 2


@pytest.mark.parametrize("settings", [{"reviewers": 0}, {"reviewers": 1.5}, {"step_seconds": 0.0}])
def test_bad_numbers(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(settings))):
        Shared(**settings)
