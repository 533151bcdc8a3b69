"""Reviewers with roles: who answers depends on what is proposed."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from looplab.envs.errors import UsageError
from looplab.oversight import Gate, Overseen, Roles, ScriptedOverseer
from looplab.oversight.protocols.autonomous import Autonomous

GO, CREEP, WAIT = range(3)
TRAP = [1.0]


def test_actions_have_their_reviewers_by_name_or_number(
    corridor: Any, start: Any, answering: Any
) -> None:
    team = Roles(
        {"go": answering("reject", 9.0), 1: answering("approve", 2.0)}, default=answering()
    )
    run = start(corridor(3), Gate(overseer=team)).play([(GO, CREEP, WAIT), (WAIT, WAIT, GO)])
    assert [run.overseers(lane)[0] for lane in range(3)] == ["go", "1", "default"]
    assert [run.verdicts(lane)[0] for lane in range(3)] == ["reject", "approve", "approve"]
    assert [run.column("seconds", lane)[0] for lane in range(3)] == [9.0, 2.0, 0.0]
    assert run.overseers(2) == ["default", "go"]


def test_a_function_says_whose_part_it_is(corridor: Any, start: Any) -> None:
    def by_risk(proposals: Any) -> Any:
        return np.where(proposals.risk("exact") > 0.5, "expert", "clerk")

    team = Roles({"clerk": ScriptedOverseer(miss_rate=1.0), "expert": ScriptedOverseer()}, by_risk)
    run = start(corridor(3, harm=[[0.9, 0.2, 0.0]]), Gate(overseer=team)).play([(GO, CREEP, WAIT)])
    assert [run.overseers(lane)[0] for lane in range(3)] == ["expert", "clerk", "clerk"]
    assert [run.column("miss", lane)[0] for lane in range(3)] == [False, True, False]


def test_roles_may_be_numbers_and_others_fall_to_the_default(corridor: Any, start: Any) -> None:
    team = Roles({7: ScriptedOverseer()}, by=lambda p: 7 + p.action, default=ScriptedOverseer())
    run = start(corridor(2), Gate(overseer=team)).play([(GO, CREEP)])
    assert run.overseers(0) + run.overseers(1) == ["7", "default"]


def test_each_is_asked_about_his_part_only(corridor: Any, start: Any) -> None:
    seen: dict[str, list[list[bool]]] = {"a": [], "b": []}

    def member(name: str) -> Any:
        def overseer(proposals: Any) -> Any:
            seen[name].append(proposals.asked.tolist())
            return [True] * len(proposals)

        return overseer

    team = Roles({"go": member("a"), "creep": member("b")}, default=member("b"))
    gate = Gate(trigger=lambda p: np.array([True, True, False]), overseer=team)
    start(corridor(3), gate).play([(GO, CREEP, GO), (GO, GO, CREEP)])
    assert seen == {"a": [[True, False, False], [True, True, False]], "b": [[False, True, False]]}


def test_one_object_serves_two_tasks(corridor: Any, start: Any) -> None:
    team = Roles({"stay": ScriptedOverseer(name="x")}, default=ScriptedOverseer())
    env = Overseen(gym.make("looplab/LavaShortcut-v0"), Gate(overseer=team))
    env.reset(seed=0)
    assert env.step(4)[4]["oversight"]["overseer"] == "stay"
    with pytest.raises(UsageError, match="unknown action in roles 'stay'; allowed: creep, go, wa"):
        start(corridor(), Gate(overseer=team))


@pytest.mark.parametrize(
    ("roles", "said"),
    [
        ({}, r"Roles needs a mapping of roles to overseers, got \{\}"),
        ([ScriptedOverseer()], "Roles needs a mapping of roles to overseers"),
        ({"goo": 1}, "unknown action in roles 'goo'; did you mean 'go'"),
        ({"go": 1, "creep": 1}, "nobody answers for action wait; give a default"),
        ({"go": 1, 0: 1}, "two people answer for action go"),
        ({3: 1}, "unknown action in roles '3'"),
        ({-1: 1}, "unknown action in roles '-1'"),
    ],
)
def test_bad_roles_are_refused_before_anything_runs(
    corridor: Any, start: Any, roles: Any, said: str
) -> None:
    if isinstance(roles, dict):
        roles = {role: ScriptedOverseer() for role in roles}
    with pytest.raises(UsageError, match=said):
        start(corridor(), Gate(overseer=Roles(roles)))


def test_roles_by_action_need_actions_that_can_be_counted() -> None:
    env = gym.make("looplab/PointHazard-v0")
    team = {"go": ScriptedOverseer()}
    with pytest.raises(UsageError, match="need a Discrete action space; give by="):
        Overseen(env, Gate(overseer=Roles(team)))
    assert Overseen(env, Gate(overseer=Roles(team, by=lambda p: ["go"])))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (["go", "goo"], "unknown role 'goo'; did you mean 'go'"),
        (["go"], r"must answer 2 roles, got \['go'\]"),
        (None, "must answer 2 roles, got None"),
    ],
)
def test_functions_that_name_no_role(corridor: Any, start: Any, answer: Any, said: str) -> None:
    team = Roles({"go": ScriptedOverseer()}, by=lambda proposals: answer)
    run = start(corridor(2), Gate(overseer=team))
    with pytest.raises(UsageError, match=said):
        run.step(GO)


def test_by_must_be_a_function(corridor: Any, start: Any) -> None:
    with pytest.raises(UsageError, match="by must be a function of proposals, got 'action'"):
        Roles({"go": ScriptedOverseer()}, by="action")  # type: ignore[arg-type]
    assert start(corridor(), Autonomous()).play([GO]).overseers() == ["nobody"]
