"""Reviewers who take turns."""

from typing import Any

import numpy as np
import pytest

from looplab.envs.core import BoolArray
from looplab.envs.errors import UsageError
from looplab.oversight import Gate, Rotation, ScriptedOverseer

GO, CREEP, WAIT = range(3)
TRAP = [1.0]


class Counting:
    """Approves all, and counts per lane how often it was asked."""

    def start(self, num_lanes: int) -> Any:
        return np.zeros(num_lanes, np.int64)

    def __call__(self, proposals: Any) -> Any:
        proposals.memory(self)[proposals.asked] += 1
        return [True] * len(proposals)


def test_shifts_follow_the_clock_across_episodes(corridor: Any, start: Any, answering: Any) -> None:
    team = Rotation({"anna": answering(), "bob": answering(), "eve": answering()}, shift_steps=2)
    run = start(corridor(2, max_episode_steps=3), Gate(overseer=team)).play([GO] * 8)
    for lane in range(2):
        assert run.overseers(lane) == ["anna", "anna", "bob", "bob", "eve", "eve", "anna", "anna"]


def test_people_in_a_list_keep_their_own_names(corridor: Any, start: Any) -> None:
    team = Rotation([ScriptedOverseer(name="x"), ScriptedOverseer(name="y")], shift_steps=1)
    assert start(corridor(), Gate(overseer=team)).play([GO] * 3).overseers() == ["x", "y", "x"]


@pytest.mark.parametrize(("seconds", "step_seconds", "steps"), [(10.0, 5.0, 2), (5.0, 2.0, 2.5)])
def test_a_shift_may_be_given_in_seconds(
    corridor: Any, start: Any, answering: Any, seconds: float, step_seconds: float, steps: float
) -> None:
    team = Rotation(
        {"a": answering(), "b": answering()}, shift_seconds=seconds, step_seconds=step_seconds
    )
    run = start(corridor(), Gate(overseer=team)).play([GO] * 11)
    assert run.overseers() == ["ab"[int(step / steps) % 2] for step in range(11)]


def test_only_who_is_on_duty_works(corridor: Any, start: Any) -> None:
    early, late = Counting(), Counting()
    gate = Gate(trigger=lambda p: p.action != WAIT, overseer=Rotation([early, late], shift_steps=3))
    run = start(corridor(2), gate).play([(GO, WAIT)] * 3 + [(GO, CREEP)] * 2)
    assert run.engine.state(early).tolist() == [3, 0]
    assert run.engine.state(late).tolist() == [2, 2]


def test_misses_fall_into_the_shifts_of_who_misses(corridor: Any, start: Any) -> None:
    team = Rotation([ScriptedOverseer(), ScriptedOverseer(miss_rate=1.0)], shift_steps=2)
    run = start(corridor(harm=TRAP), Gate(overseer=team)).play([GO] * 8)
    assert run.column("miss") == [False, False, True, True] * 2


def test_taking_over_takes_time_once_a_shift_and_lane(
    corridor: Any, start: Any, answering: Any
) -> None:
    pair = [answering(seconds=1.0), answering(seconds=2.0)]
    gate = Gate(
        trigger=lambda p: p.action != WAIT,
        overseer=Rotation(pair, shift_steps=2, handover_seconds=10.0),
    )
    run = start(corridor(2), gate)
    run.play([(GO, GO), (GO, GO), (GO, WAIT), (GO, GO), (WAIT, WAIT), (WAIT, GO), (GO, GO)])
    assert run.column("seconds", 0) == [1.0, 1.0, 12.0, 2.0, 0.0, 0.0, 12.0]
    assert run.column("seconds", 1) == [1.0, 1.0, 0.0, 12.0, 0.0, 11.0, 12.0]
    assert run.column("elapsed", 1) == run.column("seconds", 1)


def test_somebody_may_have_several_shifts(corridor: Any, start: Any) -> None:
    x, y = (ScriptedOverseer(name=name) for name in "xy")
    team = Rotation([x, x, y], shift_steps=1)
    assert start(corridor(), Gate(overseer=team)).play([GO] * 4).overseers() == [*"xxyx"]


def test_plain_functions_take_turns(corridor: Any, start: Any) -> None:
    team = Rotation([lambda p: [True] * len(p), lambda p: [False] * len(p)], shift_steps=1)
    run = start(corridor(), Gate(overseer=team)).play([GO] * 2)
    assert run.verdicts() == ["approve", "reject"]


def test_the_state_of_shifts_is_per_lane() -> None:
    state: BoolArray = Rotation([ScriptedOverseer()], shift_steps=1).start(3)
    assert state.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"overseers": []}, "Rotation needs at least one overseer, got none"),
        ({}, "give either shift_steps or shift_seconds"),
        ({"shift_steps": 1, "shift_seconds": 1.0}, "give either shift_steps or shift_seconds"),
        ({"shift_steps": 0}, "shift_steps must be a whole number of at least 1, got 0"),
        ({"shift_steps": 1.5}, "shift_steps must be a whole number of at least 1, got 1.5"),
        ({"shift_seconds": 0.0}, "shift_seconds must be a number above 0, got 0.0"),
        ({"shift_seconds": 9.0, "step_seconds": 0.0}, "step_seconds must be a number"),
        ({"shift_steps": 1, "handover_seconds": -1.0}, "handover_seconds must be a number at leas"),
    ],
)
def test_bad_rotations_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Rotation(**({"overseers": [ScriptedOverseer()]} | settings))
