"""Behind the loop: nothing is stopped by a review, and what it finds becomes a rule."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from looplab.envs.desks.ops_desk import FAST, OpsDesk
from looplab.envs.errors import UsageError
from looplab.oversight import Autonomous, Behind, Gate, HarmRate, Revision, Stack
from looplab.oversight.protocols.behind import REVIEWED

GO, CREEP, WAIT = range(3)
TRAP = [1.0]
#: Chance that an honest run fails one of these tests.
SIGNIFICANCE = 1e-6


def cell(observation: Any) -> Any:
    return observation[:, 0].astype(np.int64)


def test_a_review_afterwards_stops_nothing_and_reviews_no_proposal(start: Any) -> None:
    def played(protocol: Any) -> Any:
        return start(OpsDesk(8), protocol).play(np.full((300, 8), FAST))

    alone, behind = played(Autonomous()), played(Behind(share=1.0))
    for left, right in zip(alone.records, behind.records, strict=True):
        np.testing.assert_array_equal(left.executed, right.executed)
        np.testing.assert_array_equal(left.cost, right.cost)
    differing = {k for k in alone.totals if alone.totals[k] != behind.totals[k]}
    assert differing == {"human_seconds", "oversight_cost"}
    assert behind.totals["unasked"] == behind.totals["unsafe_proposals"] > 0


def test_every_episode_costs_its_steps_on_its_own_row(corridor: Any, start: Any) -> None:
    task = corridor(3, harm=[0.0, 0.0], ends=True)
    run = start(task, Behind(share=1.0, step_seconds=2.0))
    run.play([(GO, WAIT, GO), (GO, GO, WAIT), (GO, GO, GO), (GO, GO, GO)])
    assert [(r["lane"], r["length"], r["human_seconds"]) for r in run.rows] == [
        (0, 2, 4.0), (1, 3, 6.0), (2, 3, 6.0), (0, 2, 4.0),
    ]  # fmt: skip
    assert run.reasons(0) == ["not asked", REVIEWED, "not asked", REVIEWED]


@pytest.mark.parametrize("share", [0.0, 0.2, 0.7])
@pytest.mark.parametrize("after_harm", [False, True])
def test_a_share_of_the_episodes_is_reviewed_and_those_with_harm(
    corridor: Any, start: Any, share: float, after_harm: bool
) -> None:
    task = corridor(200, harm=[0.3], max_episode_steps=4)
    run = start(task, Behind(share, after_harm)).play([(GO, *[WAIT] * 199)] + [GO] * 79)
    rows = run.rows
    assert len(rows) == 4000
    reviewed = [row for row in rows if row["human_seconds"] > 0]
    assert all(row["human_seconds"] == row["length"] for row in reviewed)
    quiet = [row for row in rows if row["violations"] == 0]
    looked = sum(row["human_seconds"] > 0 for row in quiet)
    assert binomtest(looked, len(quiet), share).pvalue > SIGNIFICANCE
    harmful = [row for row in rows if row["violations"] > 0]
    looked = sum(row["human_seconds"] > 0 for row in harmful)
    if after_harm:
        assert looked == len(harmful) > 0
    else:
        assert binomtest(looked, len(harmful), share).pvalue > SIGNIFICANCE


def test_only_what_was_reviewed_becomes_a_rule(corridor: Any, start: Any) -> None:
    """Harm in cell 0 is seen in the first episodes; that in cell 2 not before theirs end."""
    evidence: list[Any] = []

    def reviser(seen: Any) -> Any:
        evidence.append((seen.visits.tolist(), seen.harms.tolist()))
        return seen.harms > 0

    revision = Revision(reviser, every=2, seconds=10.0, memory=1.0, cells=cell)
    behind = Behind(share=0.0, revision=revision, step_seconds=1.0)
    run = start(corridor(2, harm=[1.0, 0.0, 1.0], ends=True), behind)
    run.play([(GO, CREEP), (CREEP, CREEP), (CREEP, GO)])  # both do harm, and both end
    assert evidence[:2] == [([], []), ([], [])]
    assert sorted(zip(*evidence[2], strict=True)) == [
        (1.0, 0.0), (1.0, 0.0), (1.0, 1.0), (1.0, 1.0), (2.0, 0.0),
    ]  # fmt: skip
    assert run.records[2].seconds.tolist() == [3.0 + 5.0] * 2
    run.play([(GO, CREEP), (CREEP, CREEP), (GO, GO)])
    assert run.column("executed", 0)[3:] == [WAIT, CREEP, GO]
    assert run.column("executed", 1)[3:] == [CREEP, CREEP, WAIT]
    assert run.overseers(0)[3] == "rules"


def test_a_review_covers_its_own_episode_and_no_other(corridor: Any, start: Any) -> None:
    """Lanes whose episodes end at different times: every step is seen once, when its own ends."""
    visits: list[float] = []

    def reviser(seen: Any) -> Any:
        visits.append(seen.visits.sum())
        return np.zeros(len(seen.visits), np.bool_)

    behind = Behind(1.0, revision=Revision(reviser, every=4, memory=1.0))
    task = corridor(4, harm=[0.0] * 3, ends=True)
    rng = np.random.default_rng(0)
    run = start(task, behind).play(rng.integers(0, 3, (60, 4)))
    ended = np.cumsum(np.bincount([r["end_step"] // 4 - 1 for r in run.rows],
                                  [r["length"] for r in run.rows], 60))  # fmt: skip
    assert visits == ended.tolist()


def test_a_stopped_step_is_no_evidence(corridor: Any, start: Any) -> None:
    evidence: list[Any] = []

    def reviser(seen: Any) -> Any:
        evidence.append(seen.visits.sum())
        return np.zeros(len(seen.visits), np.bool_)

    def stops(proposals: Any, decision: Any) -> None:
        decision.halted |= proposals.step == 2

    behind = Behind(1.0, revision=Revision(reviser, every=1, memory=1.0, cells=cell))
    start(corridor(harm=TRAP), Stack(stops, behind)).play([GO] * 6)
    assert evidence[-1] == 4.0  # two episodes of two steps that ran


def test_a_reset_in_between_leaves_nothing_on_the_tape(corridor: Any, start: Any) -> None:
    behind = Behind(1.0, revision=Revision(HarmRate(), every=1000))
    run = start(corridor(2, harm=TRAP, max_episode_steps=3), behind).play([WAIT] * 2)
    run.lanes.reset(np.ones(2, np.bool_))
    run.engine.begin(np.ones(2, np.bool_))
    assert run.engine._memory.state(behind).steps == []
    run.play([WAIT] * 3)
    assert [row["human_seconds"] for row in run.rows] == [3.0, 3.0]


def test_reviews_behind_go_with_a_gate_in_front(corridor: Any, start: Any) -> None:
    task = corridor(harm=TRAP, max_episode_steps=2)
    run = start(task, Stack(Gate(), Behind(1.0))).play([GO, GO])
    assert run.totals["human_seconds"] == 2 * 5.0 + 2 * 1.0
    assert run.reasons() == ["unsafe", "unsafe"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"share": 1.2}, r"share must be a number in \[0, 1\], got 1.2"),
        ({"step_seconds": -1.0}, "step_seconds must be a number at least 0"),
    ],
)
def test_bad_settings_are_refused_by_name(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Behind(**settings)
