"""Panels: k reviewers, one verdict (Condorcet 1785; Nitzan & Paroush 1982).

Statistical bounds are two-sided binomial tests at 1e-6.
"""

from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom, binomtest, norm

from looplab.envs.errors import UsageError
from looplab.oversight import (
    CatchTrials,
    Correction,
    Feedback,
    Gate,
    Panel,
    Rotation,
    ScriptedOverseer,
    Verdicts,
)

GO, CREEP, WAIT = range(3)
TRAP = [1.0]
SIGNIFICANCE = 1e-6
LANES, STEPS = 64, 200
HALF = [GO] * (LANES // 2) + [WAIT] * (
    LANES // 2
)  # unsafe in half of the lanes, safe in the others


def members(*errors: float, **settings: Any) -> list[ScriptedOverseer]:
    return [ScriptedOverseer(error, error, **settings) for error in errors]


def agrees(count: float, of: float, chance: float) -> bool:
    return bool(binomtest(round(count), round(of), chance).pvalue > SIGNIFICANCE)


@pytest.mark.parametrize(
    ("rule", "votes", "verdict"),
    [
        ("majority", "approve approve reject", "approve"),
        ("majority", "approve reject reject", "reject"),
        ("majority", "approve reject", "reject"),  # a tie fails closed
        ("majority", "approve approve reject reject", "reject"),
        ("majority", "approve approve approve reject", "approve"),
        ("majority", "approve modify terminate", "terminate"),  # the stricter of two
        ("majority", "modify modify terminate", "modify"),
        ("majority", "modify reject terminate", "reject"),
        ("majority", "approve approve terminate", "approve"),
        ("majority", "escalate escalate approve", "escalate"),
        ("majority", "approve", "approve"),
        ("any_veto", "approve approve modify", "modify"),
        ("any_veto", "approve terminate approve", "terminate"),
        ("any_veto", "approve approve approve", "approve"),
        ("any_approval", "approve terminate reject", "approve"),
        ("any_approval", "modify reject reject", "reject"),
        ("unanimity", "approve approve", "approve"),
        ("unanimity", "approve reject", "escalate"),
        ("unanimity", "modify reject reject", "reject"),
        ("unanimity", "escalate escalate", "escalate"),
    ],
)
def test_a_rule_makes_one_verdict_of_several(
    corridor: Any, start: Any, answering: Any, rule: str, votes: str, verdict: str
) -> None:
    panel = Panel([answering(vote) for vote in votes.split()], rule)
    run = start(corridor(harm=[0.0]), Gate(overseer=panel)).play([GO])
    assert run.verdicts() == [verdict]
    against = sum(vote != "approve" for vote in votes.split())
    size = len(votes.split())
    assert run.reasons() == [f"{against} of {size} against"]
    assert run.overseers() == ["panel"]
    assert run.column("disagreement") == [min(against, size - against) / size]
    assert run.totals["disagreements"] == (0 < against < size)
    assert run.column("refused") == [verdict != "approve"]
    assert run.column("halted") == [verdict == "terminate"]


@pytest.mark.parametrize("error", [0.1, 0.3])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("rule", ["majority", "unanimity", "any_veto", "any_approval"])
def test_errors_of_independent_members_are_binomial(
    corridor: Any, start: Any, rule: str, size: int, error: float
) -> None:
    panel = Panel(members(*[error] * size), rule)
    run = start(corridor(LANES, harm=TRAP), Gate(overseer=panel)).play([HALF] * STEPS)
    half, wrong = LANES * STEPS // 2, binom(size, error)
    miss, false_alarm = {
        "majority": (wrong.sf(size // 2), wrong.sf((size - 1) // 2)),  # a tie is no miss
        "any_veto": (wrong.pmf(size), 1.0 - wrong.pmf(0)),
        "unanimity": (wrong.pmf(size), 1.0 - wrong.pmf(0)),  # behind a gate
        "any_approval": (1.0 - wrong.pmf(0), wrong.pmf(size)),
    }[rule]
    assert run.totals["unsafe_proposals"] == half
    assert agrees(run.totals["misses"], half, miss)
    assert agrees(run.totals["false_alarms"], half, false_alarm)
    split = 1.0 - wrong.pmf(0) - wrong.pmf(size)
    assert agrees(run.totals["disagreements"], 2 * half, max(split, 0.0))
    hung = sum(run.column("verdict", lane).count(3) for lane in range(LANES))
    assert agrees(hung, 2 * half, max(split, 0.0) if rule == "unanimity" else 0.0)


@pytest.mark.parametrize("d_prime", [[0.5, 1.0, 3.0], [1.5, 1.0, 2.0], [0.0, 1.0, 1.0, 1.0, 2.5]])
def test_a_weighted_panel_errs_as_seldom_as_any_rule_could(
    corridor: Any, start: Any, d_prime: list[float]
) -> None:
    errors = norm.cdf(-np.array(d_prime) / 2)
    panel = Panel(members(*errors.tolist()), "weighted", d_prime)
    run = start(corridor(LANES, harm=TRAP), Gate(overseer=panel)).play([HALF] * STEPS)
    wrong = 0.0  # chance of an error of the best rule: of each pattern's two causes the likelier
    for pattern in product([False, True], repeat=len(errors)):
        erring = np.where(pattern, errors, 1.0 - errors).prod()
        right = np.where(pattern, 1.0 - errors, errors).prod()
        wrong += min(erring, right) / 2
    half = LANES * STEPS // 2
    assert agrees(run.totals["misses"], half, wrong)
    assert agrees(run.totals["false_alarms"], half, wrong)


def test_an_expert_outvotes_two_laymen_only_by_weight(
    corridor: Any, start: Any, answering: Any
) -> None:
    crowd = [answering("approve"), answering("approve"), answering("reject")]
    # log(p / (1 - p)) of Phi(d' / 2): 0.807 twice, against 1.578 and 1.624.
    for d_prime, verdict in ([1.0, 1.0, 1.9], "approve"), ([1.0, 1.0, 1.95], "reject"):
        gate = Gate(overseer=Panel(crowd, "weighted", d_prime))
        assert start(corridor(), gate).play([GO]).verdicts() == [verdict]
    tied = Panel(crowd[1:], "weighted", [2.0, 2.0])
    assert start(corridor(), Gate(overseer=tied)).play([GO]).verdicts() == ["reject"]
    useless = Panel(crowd[:2], "weighted", [0.0, 0.0])
    assert start(corridor(), Gate(overseer=useless)).play([GO]).verdicts() == ["approve"]


def test_a_panel_learns_from_the_majority_of_the_others(corridor: Any, start: Any) -> None:
    errors = np.array([0.02, 0.3, 0.4])
    panel = Panel(members(*errors.tolist()), "weighted")
    # Unsafe and safe proposals alternate in each lane.
    run = start(corridor(LANES, harm=TRAP), Gate(overseer=panel)).play([GO, WAIT] * 300)
    votes = run.engine.state(panel).pooled()
    for i, (j, k) in enumerate([(1, 2), (0, 2), (0, 1)]):
        right = (1 - errors[j]) * (1 - errors[k])  # where both others refuse, by cause
        wrong = errors[j] * errors[k]
        hit = ((1 - errors[i]) * right + errors[i] * wrong) / (right + wrong)
        assert agrees(votes.hits[i], votes.signals[i], hit)
        assert agrees(votes.false_alarms[i], votes.noise[i], 1.0 - hit)
        assert agrees(votes.signals[i], LANES * 300, right + wrong)
    assert (np.diff(votes.d_prime) < 0).all()
    assert votes.d_prime[0] < -2 * norm.ppf(errors[0]) / 2  # far below: the others err often
    late = [record for record in run.records[300:] if record.unsafe.any()]
    missed = sum(int(record.miss.sum()) for record in late)
    majority = 0.02 * 0.3 + 0.02 * 0.4 + 0.3 * 0.4 - 2 * 0.02 * 0.3 * 0.4
    assert missed / (LANES * len(late)) < 0.8 * majority  # 0.129 for all; the expert's own is 0.02


def test_before_anything_is_learned_one_refusal_is_enough(
    corridor: Any, start: Any, answering: Any
) -> None:
    votes = [answering(verdict) for verdict in ("approve", "approve", "reject")]
    run = start(corridor(), Gate(overseer=Panel(votes, "weighted"))).play([GO])
    assert run.verdicts() == ["reject"]


def test_catch_trials_tell_a_panel_whom_to_trust(corridor: Any, start: Any) -> None:
    # The two others agree with each other more often than with the expert.
    trials = [CatchTrials(member, probability=0.5) for member in members(0.02, 0.35, 0.35)]
    panel = Panel(trials, "weighted")
    run = start(corridor(LANES, harm=TRAP), Gate(overseer=panel)).play([CREEP] * 300 + [GO] * 50)
    for trial, error in zip(trials, (0.02, 0.35, 0.35), strict=True):
        found = run.engine.state(trial).pooled().d_prime
        assert found == pytest.approx(-2 * norm.ppf(error), abs=0.15)
    assert agrees(run.totals["misses"], LANES * 50, 0.02)


def test_members_draw_apart_and_one_person_asked_twice_does_not(corridor: Any, start: Any) -> None:
    def misses(*overseers: Any) -> float:
        gate = Gate(overseer=Panel(overseers, "any_veto"))
        run = start(corridor(LANES, harm=TRAP), gate).play([GO] * STEPS)
        return float(run.totals["misses"])

    one = ScriptedOverseer(0.3)
    asked = LANES * STEPS
    assert agrees(misses(*members(0.3, 0.3)), asked, 0.3**2)
    same = misses(Rotation([one], shift_steps=1), Rotation([one], shift_steps=1))
    assert agrees(same, asked, 0.3)


def test_a_lane_of_a_batch_votes_as_it_would_alone(corridor: Any, start: Any) -> None:
    def run(lanes: int, seed: int) -> Any:
        panel = Panel(members(0.2, 0.3, 0.4), "weighted")
        task = corridor(lanes, harm=TRAP, max_episode_steps=7)
        return start(task, Gate(overseer=panel), seed=seed).play([GO, WAIT] * 40)

    assert run(3, 5).column("verdict", 2) == run(1, 7).column("verdict", 0)
    assert run(1, 7).column("verdict") != run(1, 8).column("verdict")


def test_time_adds_up_and_the_slowest_is_waited_for(
    corridor: Any, start: Any, answering: Any
) -> None:
    panel = Panel({"quick": answering(seconds=2.0), "slow": answering(seconds=5.0)})
    run = start(corridor(), Gate(overseer=panel)).play([GO])
    assert run.column("seconds") == [7.0]
    assert run.column("elapsed") == [5.0]
    world = start(corridor(), Gate(overseer=panel, world="running", step_seconds=1.0))
    assert world.play([GO] * 6).column("executed") == [WAIT] * 5 + [GO]
    late = start(corridor(), Gate(overseer=panel, deadline_seconds=4.0)).play([GO])
    assert late.column("overdue") == [True]


def test_a_correction_is_the_first_of_those_who_ask_for_one(
    corridor: Any, start: Any, answering: Any
) -> None:
    def executed(*votes: Any, fallback: Any = None) -> list[int]:
        gate = Gate(overseer=Panel(votes), fallback=fallback)
        run = start(corridor(harm=[0.0]), gate).play([GO])
        assert run.verdicts() == ["modify"]
        return list(run.column("executed"))

    creep = answering("modify", correction=CREEP)
    wait, rest = (answering("modify", correction=WAIT) for _ in range(2))
    bare, idle = answering("modify"), answering("approve", correction=WAIT)
    assert executed(creep, wait, rest) == [CREEP]
    assert executed(idle, bare, creep) == [CREEP]
    assert executed(bare, answering("modify")) == [WAIT]  # the fallback
    assert executed(idle, answering("reject", correction=GO), fallback=Correction()) == [CREEP]


def test_a_lane_without_a_correction_gets_the_fallback(corridor: Any, start: Any) -> None:
    def corrects_lane_0(proposals: Any) -> Verdicts:
        code = np.array([1, 0], np.int8)  # modify, approve
        return Verdicts(code, 0.0, code, ("a", "b"), "x", correction=np.array([CREEP, GO]))

    panel = Panel([corrects_lane_0, lambda proposals: ["approve", "modify"]])
    for fallback, second in (None, WAIT), (Correction(), CREEP):
        gate = Gate(overseer=panel, fallback=fallback)
        run = start(corridor(2, harm=[0.0]), gate).play([GO])
        assert run.column("executed", 0) + run.column("executed", 1) == [CREEP, second]


def test_plain_functions_are_members(corridor: Any, start: Any) -> None:
    def daring(proposals: Any) -> Any:
        return [True] * len(proposals)

    def careful(proposals: Any) -> Any:
        return proposals.action != GO

    run = start(corridor(2, harm=TRAP), Gate(overseer=Panel([daring, careful]))).play([(GO, WAIT)])
    assert run.verdicts(0) + run.verdicts(1) == ["reject", "approve"]


def test_ratings_are_averaged_over_those_who_give_one(corridor: Any, start: Any) -> None:
    def rates(*ratings: float) -> Any:
        def overseer(proposals: Any) -> Verdicts:
            code = np.zeros(len(proposals), np.int8)
            return Verdicts(code, 0.0, code, ("",), "x", rating=np.array(ratings))

        return overseer

    panel = Panel([rates(0.5, np.nan), rates(np.nan, np.nan), rates(-1.0, np.nan)])
    run = start(corridor(2), Feedback(overseer=panel)).play([GO])
    assert run.column("rating", 0) + run.column("rating", 1) == [-0.25, 0.0]
    silent = start(corridor(2, harm=TRAP), Feedback(overseer=Panel(members(0, 0)))).play([GO])
    assert silent.column("rating") == [-1.0]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"overseers": []}, "Panel needs at least one overseer, got none"),
        ({"overseers": ScriptedOverseer()}, "Panel needs a list of overseers or a mapping"),
        ({"overseers": "scripted"}, "Panel needs a list of overseers or a mapping"),
        ({"overseers": [ScriptedOverseer()] * 2}, "the same overseer sits twice"),
        ({"rule": "mayority"}, "unknown rule 'mayority'; did you mean 'majority'"),
        ({"rule": "weighted"}, "learned from at least 3 members, got 2; give d_prime"),
        ({"rule": "weighted", "d_prime": [1.0]}, r"d_prime must hold 2 numbers, got \[1.0\]"),
        ({"d_prime": [1.0, -1.0]}, r"d_prime must be a number in \[0, 20\], got -1.0"),
        ({"d_prime": [1.0, float("inf")]}, "got inf"),
        ({"d_prime": [1.0, float("nan")]}, "got nan"),
    ],
)
def test_bad_panels_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Panel(**({"overseers": members(0.1, 0.1)} | settings))


def test_a_member_that_cannot_answer_is_named_when_the_engine_is_built(
    corridor: Any, start: Any
) -> None:
    with pytest.raises(UsageError, match="must be callable, got None"):
        start(corridor(), Gate(overseer=Panel([ScriptedOverseer(), None])))
    with pytest.raises(UsageError, match="ScriptedOverseer is a class"):
        start(corridor(), Gate(overseer=Panel([ScriptedOverseer])))
