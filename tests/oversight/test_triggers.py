"""When is a human asked?"""

from typing import Any

import numpy as np
import pytest
import torch

from looplab.envs.errors import UsageError
from looplab.oversight import (
    AllOf,
    Always,
    AnyOf,
    Audit,
    Autonomous,
    ConfidenceBelow,
    Gate,
    Hold,
    Never,
    RiskAbove,
    ScriptedOverseer,
)
from looplab.oversight.triggers import Scored, describe

from .conftest import Corridor, Run

GO, CREEP, WAIT = range(3)
CELLS = [0.1, 0.5, 0.9, 0.0]


def asked(start: Any, task: Any, trigger: Any, actions: list[Any], **settings: Any) -> list[bool]:
    """Whether each proposal was asked about, by a human who approves everything."""
    gate = Gate(trigger=trigger, overseer=lambda proposals: [True] * len(proposals))
    column: list[bool] = start(task, gate, **settings).play(actions).column("asked")
    return column


def test_always_and_never(corridor: Any, start: Any) -> None:
    assert asked(start, corridor(harm=CELLS), Always(), [GO, WAIT]) == [True, True]
    assert asked(start, corridor(harm=CELLS), Never(), [GO, WAIT]) == [False, False]


def test_risk_above_asks_at_the_threshold_itself(corridor: Any, start: Any) -> None:
    task = corridor(harm=CELLS)
    assert asked(start, task, RiskAbove(0.5), [GO] * 4) == [False, True, True, False]
    assert asked(start, task, RiskAbove(0.5, "exact"), [GO] * 4) == [False, True, True, False]
    assert asked(start, task, RiskAbove(0.5), [CREEP] * 4) == [False] * 4
    assert asked(start, task, RiskAbove(0.0), [CREEP] * 2) == [True, True]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("immediate", [True, False, False]),
        ("exact", [False, True, False]),
        ("estimated", [False, False, True]),
        (None, [False, False, True]),  # what the agent could know comes first
    ],
)
def test_each_source_of_risk(
    corridor: Any, start: Any, source: str | None, expected: list[bool]
) -> None:
    task = corridor(harm=[1, 0, 0], exact=[0, 1, 0], estimated=[0, 0, 1])
    assert asked(start, task, RiskAbove(0.5, source), [GO] * 3) == expected


def test_without_an_estimate_the_exact_risk_is_read(corridor: Any, start: Any) -> None:
    task = corridor(harm=[1, 0], exact=[0, 1])
    assert asked(start, task, RiskAbove(0.5), [GO] * 2) == [False, True]


def test_one_trigger_object_reads_the_source_of_each_task(corridor: Any, start: Any) -> None:
    trigger = RiskAbove(0.5)
    with_estimate = corridor(harm=[1, 0], estimated=[0, 1])
    without = corridor(harm=[1, 0])
    assert asked(start, with_estimate, trigger, [GO] * 2) == [False, True]
    assert asked(start, without, trigger, [GO] * 2) == [True, False]


def test_confidence_at_the_threshold_itself(corridor: Any, start: Any, policy: Any) -> None:
    task, chances = corridor(harm=CELLS), policy(0.7, 0.2, 0.1)
    actions = [GO, CREEP, WAIT]
    found = asked(start, task, ConfidenceBelow(0.2), actions, policy=chances)
    assert found == [False, True, True]


def test_confidence_without_a_policy_is_refused(corridor: Any, start: Any) -> None:
    with pytest.raises(UsageError, match=r"probabilities are not known here: pass policy="):
        asked(start, corridor(harm=CELLS), ConfidenceBelow(0.5), [GO])


def test_an_audit_asks_as_often_as_it_says(corridor: Any, start: Any) -> None:
    # 10 000 draws: outside 0.3 +- 0.025 with probability 5e-8.
    gate = Gate(trigger=Audit(0.3), overseer=lambda proposals: [True] * len(proposals))
    run = start(corridor(100, harm=CELLS), gate).play([WAIT] * 100)
    assert run.totals["reviews"] / 10_000 == pytest.approx(0.3, abs=0.025)


def test_an_audit_is_independent_of_risk_lane_and_step(corridor: Any, start: Any) -> None:
    gate = Gate(trigger=Audit(0.5), overseer=lambda proposals: [True] * len(proposals))
    run = start(corridor(50, harm=[1.0]), gate).play([[GO] * 25 + [WAIT] * 25] * 200)
    drawn = np.array([record.asked for record in run.records], dtype=float)
    # Correlations of 10 000 coin tosses: above 0.06 with probability 2e-9 each.
    for left, right in (
        (drawn[:-1], drawn[1:]),
        (drawn[:, :-1], drawn[:, 1:]),
        (drawn[:, :25], drawn[:, 25:]),
    ):
        assert abs(np.corrcoef(left.ravel(), right.ravel())[0, 1]) < 0.06


def test_what_is_audited_depends_on_seed_and_on_nothing_that_happens(
    corridor: Any, start: Any
) -> None:
    def audited(action: int, seed: int, miss_rate: float) -> list[bool]:
        gate = Gate(trigger=Audit(0.5), overseer=ScriptedOverseer(miss_rate=miss_rate))
        run = start(corridor(harm=[0.5], max_episode_steps=7), gate, seed=seed)
        column: list[bool] = run.play([action] * 60).column("asked")
        return column

    assert audited(GO, 1, 0.5) == audited(WAIT, 1, 0.0)
    assert audited(GO, 1, 0.5) != audited(GO, 2, 0.5)


def test_two_audits_draw_apart(corridor: Any, start: Any) -> None:
    both = Gate(trigger=AllOf(Audit(0.5), Audit(0.5)), overseer=lambda p: [True] * len(p))
    reviews = start(corridor(100, harm=CELLS), both).play([WAIT] * 100).totals["reviews"]
    # 10 000 draws of 0.25: outside 0.25 +- 0.025 with probability 8e-9; one shared draw gives 0.5.
    assert reviews / 10_000 == pytest.approx(0.25, abs=0.025)


def test_any_of_and_all_of(corridor: Any, start: Any) -> None:
    low, high = RiskAbove(0.4), RiskAbove(0.8)
    task = corridor(harm=CELLS)
    assert asked(start, task, AnyOf(low, high), [GO] * 4) == [False, True, True, False]
    assert asked(start, task, AllOf(low, high), [GO] * 4) == [False, False, True, False]
    assert asked(start, task, AnyOf([Never(), high]), [GO] * 3) == [False, False, True]
    assert asked(start, task, AllOf(AnyOf(low, Never()), Always()), [GO] * 2) == [False, True]


def test_a_plain_function_is_a_trigger(corridor: Any, start: Any) -> None:
    task = corridor(harm=CELLS)
    assert asked(start, task, lambda p: p.action == WAIT, [GO, WAIT]) == [False, True]
    assert asked(start, task, AllOf(Always(), lambda p: p.step > 0), [GO, GO]) == [False, True]


def test_triggers_say_what_they_are() -> None:
    assert describe(Always()) == "always"
    assert describe(Never()) == "never"
    assert describe(RiskAbove(0.05)) == "risk >= 0.05"
    assert describe(RiskAbove(0.05, "exact")) == "exact risk (oracle) >= 0.05"
    assert describe(ConfidenceBelow(0.8)) == "confidence <= 0.8"
    assert describe(Audit(0.1)) == "audit 0.1"
    assert describe(AnyOf(Audit(0.1), RiskAbove(0.5))) == "audit 0.1 or risk >= 0.5"
    assert describe(AllOf(Always(), Never())) == "always and never"


def test_combinations_need_a_trigger() -> None:
    with pytest.raises(UsageError, match="AnyOf needs at least one trigger"):
        AnyOf()
    with pytest.raises(UsageError, match="AllOf needs at least one trigger"):
        AllOf([])


def test_a_trigger_on_a_risk_that_the_task_lacks_is_refused(corridor: Any, start: Any) -> None:
    with pytest.raises(UsageError, match="RiskAbove: needs the estimated risk"):
        start(corridor(harm=CELLS), Gate(trigger=AnyOf(Never(), RiskAbove(0.1, "estimated"))))
    start(corridor(harm=CELLS), Autonomous())


@pytest.mark.parametrize(
    "score", [[0.9, 0.1], (1, 0), np.array([1, 0]), np.array([0.9, 0.1], np.float32),
              np.array([True, False]), torch.tensor([0.9, 0.1])],
)  # fmt: skip
def test_a_score_of_ones_own_may_be_any_numbers(score: Any) -> None:
    class Own(Scored):
        tau = 0.5

        def score(self, proposals: Any) -> Any:
            return score

    record = Run(Corridor(2), Gate(Own(), fallback=Hold())).step(GO)
    assert record.asked.tolist() == [True, False]
    assert record.score[0] == pytest.approx(float(score[0]))


@pytest.mark.parametrize(
    "score", [0.9, [0.1, 0.2, 0.3], ["much", "little"], None, [[0.1], [0.2, 1]]]
)
def test_a_score_that_is_not_one_number_per_lane_is_refused(score: Any) -> None:
    class Own(Scored):
        tau = 0.5

        def score(self, proposals: Any) -> Any:
            return score

    with pytest.raises(UsageError, match="score Own must answer 2 numbers, got"):
        Run(Corridor(2), Gate(Own(), fallback=Hold())).step(GO)
