"""Adaptive autonomy: when lanes move, what is measured on the way, and what it records."""

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from looplab.envs.desks.ops_desk import FAST, OpsDesk
from looplab.envs.errors import UsageError
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.oversight import (
    Adaptive,
    Audit,
    Autonomous,
    ConfidenceBelow,
    Correction,
    Cusum,
    Engine,
    Feedback,
    Forbid,
    Gate,
    PageHinkley,
    RiskAbove,
    Rules,
    ScriptedOverseer,
    Veto,
    VetoWindow,
)

GO, CREEP, WAIT = range(3)
#: In the grid, along the lava: safe while nothing slips.
RIGHT = 3
TRAP = [1.0]
SAFE = [0.0]
#: Two-sided, of every statistical test here.
SIGNIFICANCE = 1e-6
NEVER = 10**9


def levels(run: Any) -> Any:
    """Level of every step and lane, shape (steps, n)."""
    return np.stack([record.level for record in run.records])


def agreeing(share: float) -> ScriptedOverseer:
    """A human who approves that share of what is safe."""
    return ScriptedOverseer(false_alarm_rate=1.0 - share)


# When lanes move --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("relax", "smoothing", "dwell"), [(0.95, 0.02, 10), (0.95, 0.02, 400), (0.6, 0.2, 0)]
)
def test_trust_is_earned_in_the_stated_number_of_approvals(
    corridor: Any, start: Any, relax: float, smoothing: float, dwell: int
) -> None:
    adaptive = Adaptive(relax=relax, tighten=0.5, smoothing=smoothing, dwell=dwell)
    run = start(corridor(2, harm=SAFE), adaptive).play([GO] * 1300)
    needed = math.ceil(math.log(1.0 - relax) / math.log(1.0 - smoothing))
    first = max(needed, dwell)
    second = first + max(dwell, 1)
    expected = np.repeat([0, 1, 2], [first, second - first, 1300 - second])
    np.testing.assert_array_equal(levels(run), np.stack([expected, expected], axis=1))
    totals = run.totals
    assert [totals[f"level_{k}_steps"] for k in range(3)] == (2 * np.bincount(expected)).tolist()


@pytest.mark.parametrize(
    ("share", "before", "after"),
    [(0.5, 0, 0), (0.5, 2, 0), (0.99, 0, 2), (0.9, 0, 0), (0.9, 2, 2), (1.0, 0, 2)],
)
def test_the_level_follows_a_constant_agreement(
    corridor: Any, start: Any, share: float, before: int, after: int
) -> None:
    """Above both thresholds the least watched, below both the most, between them as it was."""
    adaptive = Adaptive(
        [Gate(overseer=agreeing(share)), Gate(Audit(0.5), agreeing(share)), Autonomous()],
        agreeing(share), audit=0.5, relax=0.97, tighten=0.7, smoothing=0.005, dwell=50,
    )  # fmt: skip
    run = start(corridor(20, harm=SAFE), adaptive)
    run.step(GO)
    trust = run.engine._memory.state(adaptive)
    trust.level[:] = before
    trust.agreement[:] = share
    run.play([GO] * 2500)
    assert (levels(run)[-1] == after).all()


def test_oversight_is_tightened_at_once_and_relaxed_after_the_dwell(
    corridor: Any, start: Any
) -> None:
    def moody(proposals: Any) -> Any:
        return [not 300 <= proposals.clock < 305] * len(proposals)

    adaptive = Adaptive(overseer=moody, audit=1.0, relax=0.9, tighten=0.5, smoothing=0.2, dwell=30)
    run = start(corridor(harm=SAFE), adaptive).play([GO] * 500)
    level = levels(run)[:, 0].tolist()
    assert level[299] == 2
    # Agreement 1 falls below 0.5 after four refusals, 0.8^4 = 0.41: down by one level a step.
    assert level[300:307] == [2, 2, 2, 2, 1, 0, 0]
    # After 5 refusals 0.33; the next approvals raise it to 0.9 in time for the dwell.
    assert level[305 : 305 + 30] == [0] * 30
    assert level[335] == 1


@pytest.mark.parametrize("share", [0.7, 0.8, 0.85, 0.9, 0.97])
def test_a_lane_never_moves_more_often_than_stated(corridor: Any, start: Any, share: float) -> None:
    lanes, steps, dwell = 100, 1200, 40
    adaptive = Adaptive(overseer=agreeing(share), smoothing=0.1, dwell=dwell, audit=0.2)
    run = start(corridor(lanes, harm=SAFE), adaptive).play([GO] * steps)
    moves = (np.diff(levels(run), axis=0) != 0).sum(axis=0)
    assert moves.max() <= 2 * steps / dwell + 3


def test_hysteresis_keeps_lanes_from_flapping(corridor: Any, start: Any) -> None:
    """The same noisy agreement, with thresholds far apart and close together."""

    def moves(tighten: float) -> float:
        adaptive = Adaptive(
            [Gate(overseer=agreeing(0.85)), Gate(overseer=agreeing(0.85))],
            relax=0.9, tighten=tighten, smoothing=0.05, dwell=0,
        )  # fmt: skip
        run = start(corridor(100, harm=SAFE), adaptive).play([GO] * 1000)
        return float((np.diff(levels(run), axis=0) != 0).sum(axis=0).mean())

    apart, close = moves(0.7), moves(0.89)
    assert close > 20
    assert apart < 0.25 * close


def test_an_overloaded_human_is_relieved_unless_the_agent_is_distrusted(
    corridor: Any, start: Any
) -> None:
    def last(share: float, budget: float | None) -> int:
        adaptive = Adaptive(
            overseer=agreeing(share), relax=0.99, tighten=0.6, dwell=20, audit=0.0,
            budget_seconds=budget,
        )  # fmt: skip
        run = start(corridor(8, harm=SAFE), adaptive).play([GO] * 500)
        return int(levels(run)[-1].max())

    assert last(0.85, None) == 0
    assert last(0.85, 3.0) == 1  # a review takes 5 s, watching 1 s
    assert last(0.85, 0.5) == 2
    assert last(0.3, 0.5) == 0


def test_risk_above_its_limit_tightens_and_below_half_of_it_relaxes(
    corridor: Any, start: Any
) -> None:
    def adaptive() -> Adaptive:
        risk = RiskAbove(0.4, "estimated")
        return Adaptive(
            overseer=agreeing(1.0), audit=0.0, smoothing=0.2, dwell=0, relax=0.5, tighten=0.3,
            risk=risk,
        )  # fmt: skip

    task = corridor(harm=[0.0] * 3, estimated=[0.1, 0.6, 0.3])
    run = start(task, adaptive()).play([WAIT] * 30)
    assert levels(run)[-1, 0] == 2
    run.play([CREEP] + [GO] + [WAIT] * 3)  # from cell 1 the lane goes on
    assert levels(run)[-1, 0] == 2
    run = start(corridor(harm=[0.0], estimated=[0.6]), adaptive()).play([GO] * 30)
    assert levels(run)[-1, 0] == 0
    run = start(corridor(harm=[0.0], estimated=[0.3]), adaptive()).play([GO] * 30)
    # When agreement is at 0.59 after four approvals, the risk is at 0.3 (1 - 0.8^5) > 0.4 / 2.
    assert (levels(run) == 0).all()


# What lanes do at their levels ------------------------------------------------------------------


def test_every_lane_is_overseen_as_if_its_protocol_were_alone(corridor: Any, start: Any) -> None:
    def made() -> list[Any]:
        errs = ScriptedOverseer(miss_rate=0.3, false_alarm_rate=0.2)
        return [
            Gate(overseer=errs, world="running", step_seconds=2.0),
            Veto(errs, lag=2, vigilance=0.7),
            VetoWindow(overseer=errs, window=2),
            Feedback(overseer=errs),
            Rules(Forbid(CREEP)),
            Autonomous(),
        ]

    count = len(made())
    rng = np.random.default_rng(0)
    actions = rng.integers(0, 3, (200, count))

    def task() -> Any:
        return corridor(count, harm=[0.0, 0.6, 1.0], ends=True, max_episode_steps=9)

    adaptive = Adaptive(made(), audit=0.0, relax=1.0, tighten=0.0, dwell=NEVER)
    run = start(task(), adaptive)
    run.engine._memory.state(adaptive).level[:] = np.arange(count)
    run.play(actions)
    assert (levels(run) == np.arange(count)).all()
    for lane, protocol in enumerate(made()):
        alone = start(task(), protocol).play(actions)
        for name in ("executed", "verdict", "reviews", "seconds", "standby", "late", "miss",
                     "unasked", "rating", "cost"):  # fmt: skip
            assert run.column(name, lane) == alone.column(name, lane), (lane, name)


@pytest.mark.parametrize("audit", [0.0, 0.1, 0.6])
@pytest.mark.parametrize("asked", [0.0, 0.3, 1.0])
def test_audits_review_their_share_of_what_nobody_was_asked_about(
    corridor: Any, start: Any, audit: float, asked: float
) -> None:
    adaptive = Adaptive([Gate(Audit(asked)), Autonomous()], audit=audit, dwell=NEVER)
    run = start(corridor(50, harm=SAFE), adaptive).play([GO] * 200)
    rate = asked + audit * (1.0 - asked)
    assert binomtest(run.totals["reviews"], 10_000, rate).pvalue > SIGNIFICANCE


def test_an_audit_catches_what_the_watcher_overlooked(corridor: Any, start: Any) -> None:
    adaptive = Adaptive(
        [Veto(vigilance=0.0), Autonomous()], audit=0.25, dwell=NEVER, fallback=Correction()
    )
    run = start(corridor(100, harm=TRAP), adaptive).play([GO] * 100)
    assert run.totals["violations"] == run.totals["misses"]
    assert binomtest(run.totals["violations"], 10_000, 0.75).pvalue > SIGNIFICANCE
    assert run.totals["caught"] == 10_000 - run.totals["violations"]


def test_an_audit_leaves_overrides_alarms_and_announcements_alone(
    corridor: Any, start: Any
) -> None:
    window = VetoWindow(window=2)
    for protocol, harm in ((Veto(lag=2, override=3), TRAP), (window, TRAP), (window, SAFE)):
        alone = start(corridor(harm=harm), protocol).play([GO] * 30)
        audited = Adaptive([protocol, Autonomous()], audit=1.0, dwell=NEVER)
        run = start(corridor(harm=harm), audited).play([GO] * 30)
        assert run.column("executed") == alone.column("executed")
        assert run.column("reviews") == alone.column("reviews")


def test_a_lane_leaves_nothing_behind_when_it_moves(corridor: Any, start: Any) -> None:
    veto = Veto(lag=3, override=4)
    adaptive = Adaptive([Gate(), veto], audit=0.0, smoothing=0.5, relax=0.6, tighten=0.5, dwell=2)
    run = start(corridor(harm=[0.0] * 2 + TRAP), adaptive).play([CREEP, WAIT])
    run.play([CREEP, GO])  # at the veto now: an alarm is pending, agreement falls to 0.44
    alarm = run.engine._memory.state(veto)
    assert (run.column("level")[-1], alarm.delay[0]) == (1, 3)
    run.play([GO])
    assert (run.column("level")[-1], alarm.delay[0]) == (0, 0)
    assert run.column("executed")[-1] == WAIT


def test_an_override_is_not_cut_short_by_trust(corridor: Any, start: Any) -> None:
    veto = Veto(lag=1, override=5)
    adaptive = Adaptive([veto, Autonomous()], audit=0.0, relax=0.02, tighten=0.0, dwell=7)
    run = start(corridor(harm=[0.0, *TRAP]), adaptive).play([WAIT] * 4 + [CREEP, GO] + [WAIT] * 7)
    assert np.flatnonzero(run.column("standby")).tolist() == [6, 7, 8, 9, 10]
    assert run.column("level") == [0] * 12 + [1]  # it would have moved at step 7


# Monitors ---------------------------------------------------------------------------------------


def test_an_alarm_returns_lanes_to_the_most_watched_level(corridor: Any, start: Any) -> None:
    task = corridor(2, harm=[0.0, 1.0, 0.0])
    monitor = Cusum(0.1, 0.5, pooled=False)
    adaptive = Adaptive(audit=0.0, smoothing=0.5, relax=0.6, tighten=0.1, dwell=1,
                        monitors=[monitor])  # fmt: skip
    run = start(task, adaptive).play([WAIT] * 10)
    assert levels(run)[-1].tolist() == [2, 2]
    run.play([(CREEP, WAIT), (GO, WAIT), (WAIT, WAIT), (WAIT, WAIT)])
    assert levels(run)[-4:].tolist() == [[2, 2], [2, 2], [0, 2], [0, 2]]
    record = run.records[-2]
    assert record.decision.reasons.texts[record.because[0]] == "alarm: Cusum of violations >= 0.5"
    assert (record.score[0], record.threshold[0]) == (pytest.approx(0.9), 0.5)
    assert record.decision.reasons.texts[record.because[1]] == "not asked"
    trust = run.engine._memory.state(adaptive)
    assert trust.agreement[0] < trust.agreement[1]


def test_any_trigger_can_call_for_more_oversight(corridor: Any, start: Any) -> None:
    def suspicious(proposals: Any) -> Any:
        return np.full(len(proposals), proposals.clock == 400)

    run = start(corridor(harm=SAFE), Adaptive(monitors=[suspicious])).play([GO] * 402)
    assert run.column("level")[399:] == [2, 0, 0]


@pytest.mark.parametrize("task", ["ops_desk", "lava_shortcut"])
def test_a_monitor_raises_oversight_after_a_drift(task: Any) -> None:
    def watched(drifts: bool, monitors: list[Any]) -> tuple[float, float]:
        """Share of steps at the least watched level before and after the drift."""
        at, steps, lanes = 800, 1600, 16
        if task == "ops_desk":
            drift = {"parameter": "danger_factor", "value": 2.5, "at_step": at}
            made: Any = OpsDesk(lanes, drift=drift if drifts else None)
        else:
            drift = {"parameter": "slip", "value": 0.5, "at_step": at}
            made = LavaShortcut(lanes, slip=0.0, drift=drift if drifts else None)
        adaptive = Adaptive(
            fallback=Correction(), relax=0.8, tighten=0.2, dwell=20, monitors=monitors
        )
        engine = Engine(made, adaptive)
        made.reset()
        engine.begin(np.ones(lanes, np.bool_))
        found = []
        for _ in range(steps):
            record = engine.step(np.full(lanes, FAST if task == "ops_desk" else RIGHT))
            found.append(record.level == 2)
            if record.done.any():
                made.reset(record.done)
                engine.begin(record.done)
        shares = np.array(found).mean(axis=1)
        return float(shares[300:at].mean()), float(shares[at:].mean())

    before, after = watched(True, [PageHinkley()])
    assert before > 0.9
    assert after < 0.6
    assert watched(True, [])[1] > 0.9
    assert watched(False, [PageHinkley()])[1] > 0.9


# What is recorded -------------------------------------------------------------------------------


def test_rows_say_how_long_each_level_held_and_others_have_none(corridor: Any, start: Any) -> None:
    adaptive = Adaptive(smoothing=0.5, relax=0.6, tighten=0.1, dwell=3, audit=0.0)
    run = start(corridor(harm=SAFE, max_episode_steps=5), adaptive).play([GO] * 10)
    found = [[row[f"level_{k}_steps"] for k in range(3)] for row in run.rows]
    assert found == [[3, 2, 0], [0, 1, 4]]
    gate = start(corridor(harm=SAFE, max_episode_steps=5), Gate()).play([GO] * 5)
    assert [gate.rows[0][f"level_{k}_steps"] for k in range(3)] == [0, 0, 0]
    assert gate.column("level") == [-1] * 5


def test_trust_goes_on_in_another_engine(corridor: Any, start: Any) -> None:
    first = start(corridor(2, harm=SAFE), Adaptive()).play([GO] * 600)
    heir = start(corridor(5, harm=SAFE), Adaptive())
    heir.engine.inherit(first.engine)
    assert heir.step(GO).level.tolist() == [2] * 5


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"levels": [Autonomous()]}, "levels must be at least two protocols, got 1"),
        ({"audit": 1.5}, r"probability must be a number in \[0, 1\], got 1.5"),
        ({"relax": 0.5, "tighten": 0.5}, "tighten must be below relax, got 0.5 and 0.5"),
        ({"smoothing": 0.0}, "smoothing must be a number"),
        ({"dwell": -1}, "dwell must be a whole number of at least 0"),
        ({"budget_seconds": -1.0}, "budget_seconds must be a number at least 0"),
        ({"risk": 0.3}, "risk must be a trigger that asks above a score, got 0.3"),
        ({"risk": ConfidenceBelow(0.3)}, "risk must be a trigger that asks above a score"),
    ],
)
def test_bad_settings_are_refused_by_name(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Adaptive(**settings)
