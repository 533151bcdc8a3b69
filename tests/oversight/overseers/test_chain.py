"""Escalation chains: tiers, deadlines, and an end that fails closed.

Statistical bounds: two-sided binomial tests at 1e-6, and five standard errors.
"""

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from looplab.envs.errors import UsageError
from looplab.oversight import (
    Chain,
    Gate,
    Panel,
    RiskAbove,
    Rotation,
    ScriptedOverseer,
    SimulatedHuman,
    Tempo,
    Tier,
    Verdicts,
    Veto,
)

GO, CREEP, WAIT = range(3)
TRAP = [1.0]
SIGNIFICANCE = 1e-6
STANDARD_ERRORS = 5.0
LANES, STEPS = 64, 200
NOBODY = "passed on by the last tier: nobody is above"


def agrees(count: float, of: float, chance: float) -> bool:
    return bool(binomtest(round(count), round(of), chance).pvalue > SIGNIFICANCE)


def test_the_first_tier_answers_what_it_can(corridor: Any, start: Any, answering: Any) -> None:
    chain = Chain([answering("reject", 4.0), answering("approve", 9.0)])
    run = start(corridor(), Gate(overseer=chain)).play([GO])
    assert run.verdicts() == ["reject"]
    assert run.reasons() == ["because"]
    assert run.overseers() == ["tier 1"]
    assert run.column("seconds") == run.column("elapsed") == [4.0]
    assert run.column("overdue") == [False]


def test_what_a_tier_leaves_open_goes_on(corridor: Any, start: Any, answering: Any) -> None:
    chain = Chain({"clerk": answering("escalate", 4.0), "boss": answering("approve", 9.0)})
    run = start(corridor(), Gate(overseer=chain)).play([GO])
    assert run.verdicts() == ["approve"]
    assert run.overseers() == ["boss"]
    assert run.column("seconds") == run.column("elapsed") == [13.0]
    assert run.totals["overdue"] == 0
    assert run.totals["reviews"] == 1


@pytest.mark.parametrize(
    ("deadline", "who", "seconds", "overdue"),
    [(5.0, "tier 1", 5.0, 0), (4.0, "tier 2", 4.0 + 9.0, 1), (0.0, "tier 2", 9.0, 1)],
)
def test_a_tier_that_is_too_slow_stops_at_its_deadline(
    corridor: Any,
    start: Any,
    answering: Any,
    deadline: float,
    who: str,
    seconds: float,
    overdue: int,
) -> None:
    chain = Chain([Tier(answering("reject", 5.0), deadline), answering("reject", 9.0)])
    run = start(corridor(), Gate(overseer=chain)).play([GO])
    assert run.overseers() == [who]
    assert run.column("seconds") == run.column("elapsed") == [seconds]
    assert run.totals["overdue"] == overdue
    assert run.totals["human_seconds"] == run.totals["waiting_seconds"] == seconds


def test_several_people_in_a_slow_tier_stop_together(
    corridor: Any, start: Any, answering: Any
) -> None:
    pair = Panel([answering("approve", 10.0), answering("approve", 20.0)])
    chain = Chain([Tier(pair, 15.0), answering("approve", 1.0)])
    run = start(corridor(), Gate(overseer=chain)).play([GO])
    assert run.column("elapsed") == [16.0]
    assert run.column("seconds") == [30.0 * 15.0 / 20.0 + 1.0]


def test_the_end_of_a_chain_fails_closed(corridor: Any, start: Any, answering: Any) -> None:
    chain = Chain([Tier(answering("approve", 5.0), 3.0), Tier(answering("approve", 50.0), 20.0)])
    run = start(corridor(harm=[0.0]), Gate(overseer=chain)).play([GO])
    assert run.verdicts() == ["escalate"]
    assert run.column("executed") == [WAIT]
    assert run.reasons() == [NOBODY]
    assert run.overseers() == ["chain"]
    assert run.column("seconds") == run.column("elapsed") == [23.0]
    assert run.totals["overdue"] == 1
    fails_open = start(corridor(harm=[0.0]), Gate(overseer=chain, timeout="open")).play([GO])
    assert fails_open.column("executed") == [GO]


@pytest.mark.parametrize("end", ["escalate", "reject", "terminate"])
def test_the_end_answers_as_it_is_told(corridor: Any, start: Any, answering: Any, end: str) -> None:
    chain = Chain([answering("escalate")], end=end)
    run = start(corridor(harm=[0.0]), Gate(overseer=chain)).play([GO])
    assert run.verdicts() == [end]
    assert run.column("halted") == [end == "terminate"]


@pytest.mark.parametrize("mean", [3.0, 8.0])
def test_exponential_times_are_escalated_as_often_as_they_exceed_the_deadline(
    corridor: Any, start: Any, mean: float
) -> None:
    rng, deadline, second = np.random.default_rng(1), 6.0, 2.0

    def hasty(proposals: Any) -> Verdicts:
        n = len(proposals)
        code = np.zeros(n, np.int8)
        return Verdicts(code, rng.exponential(mean, n), code, ("fine",), "hasty")

    boss = ScriptedOverseer(review_seconds=second, name="boss")
    chain = Chain([Tier(hasty, deadline), boss])
    run = start(corridor(LANES), Gate(overseer=chain)).play([GO] * STEPS)
    asked, late = LANES * STEPS, math.exp(-deadline / mean)
    assert agrees(run.totals["overdue"], asked, late)
    answered_above = sum(run.overseers(lane).count("tier 2") for lane in range(LANES))
    assert answered_above == run.totals["overdue"]
    # E min(T, D) = mean (1 - exp(-D / mean)), and its second moment by parts.
    expected = mean * (1.0 - late)
    variance = 2 * mean * expected - 2 * mean * deadline * late - expected**2
    spread = math.sqrt(variance / asked) + second * math.sqrt(late * (1 - late) / asked)
    measured = run.totals["waiting_seconds"] / asked
    assert abs(measured - expected - second * late) < STANDARD_ERRORS * spread
    assert run.totals["human_seconds"] == run.totals["waiting_seconds"]


def test_a_simulated_human_is_overdue_as_often_as_the_lognormal_says(
    corridor: Any, start: Any
) -> None:
    tempo = Tempo(median=5.0, p95=20.0)
    chain = Chain([Tier(SimulatedHuman(review=tempo), 10.0), ScriptedOverseer()])
    run = start(corridor(LANES), Gate(overseer=chain)).play([GO] * STEPS)
    chance = norm.sf(math.log(10.0 / 5.0) / tempo.sigma)
    assert agrees(run.totals["overdue"], LANES * STEPS, chance)


@pytest.mark.parametrize(("first", "second"), [(0.3, 0.1), (0.1, 0.5)])
def test_a_second_opinion_on_refusals_multiplies_what_is_caught(
    corridor: Any, start: Any, first: float, second: float
) -> None:
    appeal = Chain([Tier(ScriptedOverseer(first), passes=["reject"]), ScriptedOverseer(second)])
    run = start(corridor(LANES, harm=TRAP), Gate(overseer=appeal)).play([GO] * STEPS)
    assert agrees(run.totals["misses"], LANES * STEPS, first + (1 - first) * second)
    four_eyes = Chain([Tier(ScriptedOverseer(first), passes=["approve"]), ScriptedOverseer(second)])
    run = start(corridor(LANES, harm=TRAP), Gate(overseer=four_eyes)).play([GO] * STEPS)
    assert agrees(run.totals["misses"], LANES * STEPS, first * second)


@pytest.mark.parametrize(("error", "arbiter"), [(0.2, 0.05), (0.4, 0.3)])
def test_a_hung_panel_is_settled_by_the_arbiter(
    corridor: Any, start: Any, error: float, arbiter: float
) -> None:
    readers = Panel([ScriptedOverseer(error), ScriptedOverseer(error)], "unanimity")
    chain = Chain({"readers": readers, "arbiter": ScriptedOverseer(arbiter, review_seconds=30.0)})
    run = start(corridor(LANES, harm=TRAP), Gate(overseer=chain)).play([GO] * STEPS)
    hung, asked = 2 * error * (1 - error), LANES * STEPS
    assert agrees(run.totals["misses"], asked, error**2 + hung * arbiter)
    settled = sum(run.overseers(lane).count("arbiter") for lane in range(LANES))
    assert agrees(settled, asked, hung)
    assert run.totals["human_seconds"] == 10.0 * asked + 30.0 * settled
    assert run.totals["waiting_seconds"] == 5.0 * asked + 30.0 * settled


def test_what_a_trigger_names_comes_to_a_tier_at_once(
    corridor: Any, start: Any, answering: Any
) -> None:
    chain = Chain(
        {
            "clerk": answering("approve", 1.0),
            "boss": Tier(answering("approve", 10.0), at_once=RiskAbove(0.3)),
            "board": Tier(answering("reject", 100.0), at_once=lambda p: p.risk("exact") > 0.8),
        }
    )
    run = start(corridor(4, harm=[[0.9, 0.5, 0.1]]), Gate(overseer=chain))
    run.play([(GO, CREEP, WAIT, WAIT)])
    assert [run.overseers(lane)[0] for lane in range(4)] == ["board", "boss", "clerk", "clerk"]
    assert [run.column("seconds", lane)[0] for lane in range(4)] == [100.0, 10.0, 1.0, 1.0]


def test_a_tier_is_asked_only_about_what_comes_to_it(corridor: Any, start: Any) -> None:
    seen: list[list[bool]] = []

    def clerk(proposals: Any) -> Any:
        return ["escalate" if action == GO else "approve" for action in proposals.action]

    def boss(proposals: Any) -> Any:
        seen.append(proposals.asked.tolist())
        return ["approve"] * len(proposals)

    gate = Gate(
        trigger=lambda p: np.array([True, True, True, False]), overseer=Chain([clerk, boss])
    )
    run = start(corridor(4), gate).play([(GO, CREEP, GO, GO), (WAIT, WAIT, WAIT, GO)])
    assert seen == [[True, False, True, False]]
    assert run.overseers(3) == ["nobody", "nobody"]


def test_a_running_world_waits_for_the_whole_chain(
    corridor: Any, start: Any, answering: Any
) -> None:
    chain = Chain([Tier(answering("approve", 9.0), 2.0), answering("approve", 1.0)])
    gate = Gate(overseer=chain, world="running", step_seconds=1.0)
    run = start(corridor(), gate).play([GO] * 4)
    assert run.column("executed") == [WAIT, WAIT, WAIT, GO]


def test_a_chain_watches_too(corridor: Any, start: Any, answering: Any) -> None:
    seen: list[bool] = []

    def boss(proposals: Any) -> Any:
        seen.append(proposals.watching)
        return [False] * len(proposals)

    run = start(corridor(harm=TRAP), Veto(Chain([answering("escalate"), boss]))).play([GO])
    assert seen == [True]
    assert run.column("noticed") == [True]
    assert run.overseers() == ["tier 2"]


def test_the_record_names_people_within_a_tier(corridor: Any, start: Any, answering: Any) -> None:
    shifts = Rotation({"anna": answering(), "bob": answering()}, shift_steps=1)
    desks = Chain({"desk": Chain({"day": shifts, "night": answering()}), "boss": answering()})
    run = start(corridor(), Gate(overseer=desks)).play([GO] * 2)
    assert run.overseers() == ["desk: day"] * 2
    run = start(corridor(), Gate(overseer=Chain({"desk": shifts}))).play([GO] * 2)
    assert run.overseers() == ["desk", "desk"]


def test_corrections_come_from_the_tier_that_answers(
    corridor: Any, start: Any, answering: Any
) -> None:
    def clerk(proposals: Any) -> Any:
        return ["escalate", "modify"]

    chain = Chain([clerk, answering("modify", correction=CREEP)])
    run = start(corridor(2, harm=[0.0]), Gate(overseer=chain)).play([GO])
    assert run.column("executed", 0) + run.column("executed", 1) == [CREEP, WAIT]


def test_the_countdown_names_the_tier_and_the_seconds_left(answering: Any) -> None:
    chain = Chain({"clerk": Tier(answering(), 60.0), "boss": Tier(answering(), 300.0)})
    assert chain.countdown(0.0) == ("clerk", 60.0)
    assert chain.countdown(60.0) == ("clerk", 0.0)
    assert chain.countdown(61.0) == ("boss", 299.0)
    assert chain.countdown(361.0) == ("chain", 0.0)
    assert Chain([answering()]).countdown(1e9) == ("tier 1", math.inf)
    with pytest.raises(UsageError, match="waited_seconds must be a number at least 0, got -1"):
        chain.countdown(-1)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda o: Chain([]), "Chain needs at least one overseer, got none"),
        (lambda o: Chain(o), "Chain needs a list of overseers or a mapping"),
        (lambda o: Chain([o, Tier(o, 5.0)]), "who escalates to himself finds no end"),
        (lambda o: Chain([Tier(o, 5.0)], end=None), "tiers without an end: tier 1 passes on"),
        (lambda o: Chain({"a": Tier(o, passes=["reject"])}, end=None), "without an end: a passes"),
        (lambda o: Chain([o], end="approve"), "unknown end 'approve'; allowed: escalate, reject"),
        (lambda o: Tier(o, -1.0), "deadline_seconds must be a number at least 0, got -1.0"),
        (lambda o: Tier(o, math.inf), "deadline_seconds must be a finite number"),
        (lambda o: Tier(o, math.nan), "deadline_seconds must be a number at least 0, got nan"),
        (lambda o: Tier(o, passes=["rejekt"]), "unknown verdict in passes 'rejekt'; did you mean"),
        (lambda o: Tier(o, passes="reject"), "passes must be a list of verdicts, got 'reject'"),
    ],
)
def test_bad_chains_are_refused(build: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        build(ScriptedOverseer())


def test_the_last_word_needs_no_end(corridor: Any, start: Any, answering: Any) -> None:
    chain = Chain([Tier(answering("escalate"), 5.0), answering("reject")], end=None)
    assert start(corridor(), Gate(overseer=chain)).play([GO]).verdicts() == ["reject"]


def test_a_router_that_answers_something_else_is_named(corridor: Any, start: Any) -> None:
    def risky(proposals: Any) -> Any:
        return [0.5]

    chain = Chain([ScriptedOverseer(), Tier(ScriptedOverseer(), at_once=risky)])
    run = start(corridor(), Gate(overseer=chain))
    with pytest.raises(UsageError, match="trigger risky must answer 1 booleans"):
        run.step(GO)
