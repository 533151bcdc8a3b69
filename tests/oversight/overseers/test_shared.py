"""Few reviewers for many lanes: waits by hand, in a paused and in a running world."""

from typing import Any

import numpy as np
import pytest

from looplab.envs.errors import UsageError
from looplab.oversight import (
    Accuracy,
    AutomationBias,
    Fatigue,
    Gate,
    SafestAction,
    ScriptedOverseer,
    Shared,
    SimulatedHuman,
    Tempo,
    Veto,
)

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


def tiring(recovery_minutes: float, step_seconds: float = 1.0) -> SimulatedHuman:
    fatigue = Fatigue(slowdown=1.0, capacity_minutes=1.0, recovery_minutes=recovery_minutes)
    return SimulatedHuman(review=Tempo(60.0, 60.0), fatigue=fatigue, step_seconds=step_seconds)


def test_all_lanes_tire_the_one_reviewer(corridor: Any, start: Any) -> None:
    run = start(corridor(3), Gate(overseer=Shared(tiring(1e9), 1))).play([GO] * 2)
    load, expected = 0.0, []
    for _ in range(6):
        expected.append(60.0 * (2.0 - np.exp(-load / 60.0)))
        load += expected[-1]
    took = [sorted(record.seconds.tolist()) for record in run.records]
    assert took[0] + took[1] == pytest.approx(expected)
    assert sorted(run.records[0].elapsed.tolist()) == pytest.approx(np.cumsum(expected[:3]))


def test_a_shared_reviewer_rests_until_the_next_review(corridor: Any, start: Any) -> None:
    run = start(corridor(3), Gate(overseer=Shared(tiring(1.0, 30.0), 2))).play([GO] * 2)
    second = 60.0 * (2.0 - np.exp(-1.0))  # of whoever was free first, served the third lane
    assert sorted(run.records[0].seconds.tolist()) == pytest.approx([60.0, 60.0, second])
    busy = (60.0 + second) * np.exp(-30.0 / 60.0)  # a step's rest
    idle = 60.0 * np.exp(-(30.0 + second) / 60.0)  # and the time until the other was done
    took = [60.0 * (2.0 - np.exp(-load / 60.0)) for load in (busy, idle)]
    assert set(np.round(took, 6)) <= set(np.round(run.records[1].seconds, 6).tolist())


def test_trust_is_the_reviewers_whatever_the_lane(corridor: Any, start: Any) -> None:
    person = SimulatedHuman(
        accuracy=Accuracy(miss_rate=0.0), automation_bias=AutomationBias(a_max=1.0, k0=1e-9)
    )
    gate = Gate(overseer=Shared(person, 1), fallback=SafestAction())
    run = start(corridor(5, harm=[1.0] * 3), gate).play([GO] * 2)
    # Before anything passed, the first proposal is looked at and refused: no run ever begins.
    assert run.totals["misses"] == 0
    run = start(corridor(5, harm=[0.0, 1.0, 1.0]), gate).play([GO] * 2)
    # Five safe proposals passed: whoever is asked next copies, and so on for ever.
    assert run.totals["misses"] == 5


def test_people_who_watch_several_lanes_keep_a_mind_for_each(corridor: Any, start: Any) -> None:
    alone = start(corridor(3, harm=[0.5] * 9), Veto(tiring(1.0))).play([GO] * 9)
    together = start(corridor(3, harm=[0.5] * 9), Veto(Shared(tiring(1.0), 1))).play([GO] * 9)
    for ours, theirs in zip(together.records, alone.records, strict=True):
        np.testing.assert_array_equal(ours.noticed, theirs.noticed)
        np.testing.assert_array_equal(ours.seconds, theirs.seconds)


@pytest.mark.parametrize("settings", [{"reviewers": 0}, {"reviewers": 1.5}, {"step_seconds": 0.0}])
def test_bad_numbers(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(settings))):
        Shared(**settings)
