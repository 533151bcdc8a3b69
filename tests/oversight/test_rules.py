"""Above the loop: what rules stop, how they count, and how they are revised from harm."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from looplab.agents.lanes_vec_env import LanesVecEnv
from looplab.envs.desks.ops_desk import FAST, OpsDesk
from looplab.envs.errors import UsageError
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.oversight import (
    Autonomous,
    Bounds,
    Cells,
    Correction,
    Engine,
    Feedback,
    Forbid,
    Gate,
    Halt,
    HarmRate,
    Overseen,
    OverseenVecEnv,
    Revision,
    RiskLimit,
    Rules,
    Signal,
    Stack,
    revision,
)
from looplab.oversight.protocols.rules import ruling
from looplab.oversight.revision import Book, Evidence

from .conftest import Run

GO, CREEP, WAIT = range(3)
TRAP = [1.0]
CELLS = [0.0, 0.6, 1.0, 0.0, 0.3]


def book_of(run: Any, protocol: Any) -> Book:
    found = run.engine._memory.state(protocol)
    assert isinstance(found, Book)
    return found


# What is stopped, and how it counts -------------------------------------------------------------


def test_a_broken_rule_is_a_refusal_without_a_review(corridor: Any, start: Any) -> None:
    run = start(corridor(harm=[1.0, 0.0]), Rules(Forbid(GO)), signal=Signal(penalty=0.2))
    run.play([GO, CREEP, GO])  # unsafe, allowed, and safe but forbidden
    assert run.column("executed") == [WAIT, CREEP, WAIT]
    assert run.verdicts() == ["reject", "approve", "reject"]
    assert run.reasons() == ["rule: never 0", "not asked", "rule: never 0"]
    assert run.overseers() == ["rules", "nobody", "rules"]
    assert run.column("learning_reward") == pytest.approx([-0.2, 0.5, -0.2])
    totals = run.totals
    assert (totals["interventions"], totals["penalties"]) == (2, 2)
    for counter in ("reviews", "human_seconds", "false_alarms", "misses", "unasked", "late",
                    "caught", "overlooked", "cleared", "violations"):  # fmt: skip
        assert totals[counter] == 0, counter
    assert totals["unsafe_proposals"] == 1  # stopped, so it is neither missed nor unasked


def test_the_first_broken_rule_is_named_and_a_plain_function_is_a_rule(
    corridor: Any, start: Any
) -> None:
    def not_in_the_first_cell(proposals: Any) -> Any:
        return (proposals.observation[:, 0] > 0) | (proposals.action != GO)

    rules = Rules([not_in_the_first_cell, RiskLimit(0.5, "immediate"), Forbid(GO)])
    run = start(corridor(harm=[0.9, 0.9, 0.1]), rules).play([GO, CREEP, GO, CREEP, GO])
    assert run.reasons() == [
        "rule: not_in_the_first_cell", "not asked", "rule: immediate risk <= 0.5", "not asked",
        "rule: never 0",
    ]  # fmt: skip


def test_other_fallbacks_and_protocols_go_with_rules(corridor: Any, start: Any) -> None:
    run = start(corridor(harm=TRAP), Rules(Forbid(GO), fallback=Correction())).play([GO])
    assert (run.column("executed"), run.verdicts()) == ([CREEP], ["modify"])
    run = start(corridor(harm=TRAP), Rules(Forbid(GO), fallback=Halt())).play([GO])
    assert run.column("halted") == [True]
    stack = Stack(Rules(Forbid(CREEP)), Gate(), Feedback())
    run = start(corridor(3, harm=TRAP), stack).play([(GO, CREEP, WAIT)])
    assert run.records[0].reviews.tolist() == [2, 1, 2]  # the gate is not asked of lane 1
    assert run.records[0].executed.tolist() == [WAIT] * 3
    assert run.overseers(1) == ["rules"]


@pytest.mark.parametrize("limit", [0.0, 0.3, 0.6, 1.0])
def test_a_risk_limit_lets_exactly_the_risk_through_that_it_names(
    corridor: Any, start: Any, limit: float
) -> None:
    task = corridor(64, harm=CELLS, ends=True)
    rng = np.random.default_rng(1)
    run = start(task, Rules(RiskLimit(limit, "immediate"))).play(rng.integers(0, 3, (200, 64)))
    risks = np.concatenate([r.risk[r.executed == r.proposed] for r in run.records])
    assert np.unique(risks).tolist() == sorted({risk for risk in CELLS if risk <= limit})


def test_a_shield_of_exact_risk_lets_nothing_happen() -> None:
    for task in (LavaShortcut(16), OpsDesk(16)):
        engine = Engine(task, Rules(RiskLimit(0.0, "exact")))
        assert play(engine, 600).totals["violations"] == 0
        assert engine.totals["reviews"] == engine.totals["human_seconds"] == 0


def play(engine: Any, steps: int, seed: int = 0, action: int | None = None) -> Any:
    """Random proposals, or one, within what the masks allow where there are rules."""
    lanes, rng = engine.lanes, np.random.default_rng(seed)
    engine.reseed(seed)
    lanes.reseed(seed)
    lanes.reset()
    engine.begin(np.ones(lanes.num_lanes, np.bool_))
    for _ in range(steps):
        given = rng.integers(0, lanes.action_space.n, lanes.num_lanes)
        record = engine.step(given if action is None else np.full_like(given, action))
        if record.done.any():
            lanes.reset(record.done)
            engine.begin(record.done)
    return engine


def test_bounds_keep_continuous_actions_in_a_box() -> None:
    bounds = Bounds([-0.5], 0.5)
    env = Overseen(
        gym.make("Pendulum-v1"), Rules(bounds, fallback=bounds.nearest), cost=lambda t: 0.0
    )
    env.reset(seed=0)
    for torque, executed in ((1.5, 0.5), (-2.0, -0.5), (0.25, 0.25)):
        said = env.step(np.array([torque], np.float32))[4]["oversight"]
        assert said["executed_action"] == pytest.approx([executed])
        assert said["intervened"] == (torque != executed)


# Masks ------------------------------------------------------------------------------------------


def test_what_may_be_proposed_breaks_no_rule_and_all_else_does(corridor: Any, start: Any) -> None:
    def odd_cells_creep(proposals: Any) -> Any:
        return (proposals.observation[:, 0] % 2 == 0) | (proposals.action == CREEP)

    rules = Rules([odd_cells_creep, RiskLimit(0.5, "exact")])
    run = start(corridor(6, harm=CELLS, ends=True), Stack(rules, Feedback()))
    rng = np.random.default_rng(0)
    for _ in range(50):
        masks = run.engine.action_masks()
        proposed = rng.integers(0, 3, 6)
        record = run.step(*proposed.tolist())
        np.testing.assert_array_equal(record.refused, ~masks[np.arange(6), proposed])
        cells = record.observed[:, 0].astype(int)
        assert (masks[cells % 2 == 1] == [False, True, False]).all()
        assert (masks[cells == 2] == [False, True, True]).all()


def test_where_everything_is_forbidden_anything_may_be_proposed(corridor: Any, start: Any) -> None:
    run = start(corridor(2, harm=TRAP), Rules(Forbid(GO, CREEP, WAIT)))
    assert run.engine.action_masks().all()
    assert run.play([(GO, CREEP)]).records[0].refused.all()


def test_the_vector_face_shows_masks_as_sb3_contrib_expects_them() -> None:
    from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported

    venv = OverseenVecEnv(LanesVecEnv(OpsDesk(3)), Rules(Forbid(FAST)))
    venv.reset()
    assert is_masking_supported(venv)
    assert get_action_masks(venv).tolist() == [[False, True, True, True]] * 3
    plain = OverseenVecEnv(LanesVecEnv(OpsDesk(3)), Gate())
    plain.reset()
    assert not is_masking_supported(plain)
    with pytest.raises(UsageError, match="this protocol has no rules"):
        plain.action_masks()
    assert ruling(Stack(Autonomous(), Feedback())) == []


def test_asking_for_masks_changes_nothing() -> None:
    def random_rule(proposals: Any) -> Any:
        return proposals.uniform(random_rule) < 0.5

    def actions(asks: bool) -> list[Any]:
        venv = OverseenVecEnv(LanesVecEnv(LavaShortcut(4)), Rules(random_rule, Revision(every=40)))
        venv.seed(3)
        venv.reset()
        rng, found = np.random.default_rng(0), []
        for _ in range(100):
            if asks:
                venv.oversight.action_masks()
            venv.step(rng.integers(0, 5, 4))
            assert venv.oversight.last is not None
            found.append(venv.oversight.last.executed.tolist())
        return found

    assert actions(True) == actions(False)


# Revision ---------------------------------------------------------------------------------------


def cell(observation: Any) -> Any:
    return observation[:, 0].astype(np.int64)


def test_rules_follow_from_the_harm_that_was_seen(corridor: Any, start: Any) -> None:
    """Six lanes go through the cells once; only what ran and did harm is forbidden afterwards."""
    evidence: list[Evidence] = []

    def reviser(seen: Evidence) -> Any:
        evidence.append(seen)
        return seen.harms > 0

    rules = Rules(revision=Revision(reviser, every=18, seconds=90.0, memory=1.0, cells=cell))
    task = corridor(6, harm=[1.0, 0.0, 1.0], ends=True)
    run = start(task, rules).play([GO] * 3)
    assert run.totals["violations"] == 12
    assert [r.seconds.tolist() for r in run.records] == [[0.0] * 6, [0.0] * 6, [15.0] * 6]
    (seen,) = evidence
    assert seen.visits.tolist() == [6.0, 6.0, 6.0]
    assert sorted(seen.harms.tolist()) == [0.0, 6.0, 6.0]
    run.play([GO, CREEP, GO, GO, CREEP, GO])
    assert run.column("executed")[3:] == [WAIT, CREEP, GO, WAIT, CREEP, WAIT]
    assert run.reasons()[3] == "rule: harm was seen of this action here"
    assert run.totals["violations"] == 12
    assert book_of(run, rules).revisions == 3
    assert evidence[2].visits.sum() == 54  # 6 lanes x 9 steps, whatever ran
    assert run.totals["human_seconds"] == 270.0


def test_a_stopped_step_is_no_evidence(corridor: Any, start: Any) -> None:
    visits: list[float] = []

    def reviser(seen: Evidence) -> Any:
        visits.append(float(seen.visits.sum()))
        return np.zeros(len(seen.visits), np.bool_)

    def stops(proposals: Any, decision: Any) -> None:
        decision.halted |= proposals.step == 2

    rules = Rules(revision=Revision(reviser, every=6, memory=1.0, cells=cell))
    start(corridor(harm=TRAP), Stack(stops, rules)).play([GO] * 6)
    assert visits == [4.0]


def test_a_harm_rate_is_judged_after_enough_visits_only() -> None:
    evidence = Evidence(np.array([4.0, 5.0, 100.0, 100.0]), np.array([4.0, 1.0, 5.0, 6.0]))
    assert HarmRate(0.05, 5)(evidence).tolist() == [False, True, False, True]


def test_a_rule_is_lifted_when_its_evidence_is_forgotten(corridor: Any, start: Any) -> None:
    """Eight visits, halved at each revision: 8, 4, 2 still reach 2 visits, 1 does not."""
    revision = Revision(HarmRate(0.0, 2), every=8, memory=0.5, cells=cell)
    run = start(corridor(8, harm=TRAP), Rules(revision=revision)).play([GO] * 6)
    assert run.column("executed") == [GO, WAIT, WAIT, WAIT, GO, WAIT]


def test_nothing_is_lifted_where_nothing_is_forgotten(corridor: Any, start: Any) -> None:
    revision = Revision(HarmRate(0.0, 2), every=8, memory=1.0, cells=cell)
    run = start(corridor(8, harm=TRAP), Rules(revision=revision)).play([GO] * 50)
    assert run.totals["violations"] == 8


@pytest.mark.parametrize("task", [LavaShortcut, OpsDesk])
def test_revised_rules_prevent_most_harm_on_the_trial_tasks(task: Any) -> None:
    action = FAST if task is OpsDesk else None
    alone = play(Engine(task(16), Autonomous()), 2000, action=action).totals["violations"]
    ruled = play(Engine(task(16), Rules(revision=Revision())), 2000, action=action).totals
    assert ruled["violations"] < 0.5 * alone
    assert ruled["reviews"] == 0
    assert ruled["human_seconds"] == 60.0 * (2000 * 16 // 2048)


def test_continuous_actions_have_rules_too() -> None:
    """A torque above 1.25 does harm; after one revision it does not run any more."""
    env = Overseen(
        gym.make("Pendulum-v1"),
        Rules(
            revision=Revision(
                HarmRate(0.5, 2), 50, memory=1.0, cells=lambda o: np.zeros(len(o), int)
            )
        ),
        cost=lambda t: float(t.action[0] > 1.25),
        hold=np.zeros(1, np.float32),
    )
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    costs = [env.step(rng.uniform(-2, 2, 1).astype(np.float32))[4]["cost"] for _ in range(190)]
    assert sum(costs[:50]) > 5
    assert sum(costs[50:]) == 0


def test_cells_tell_one_hot_states_apart_and_join_close_ones() -> None:
    one_hot = np.eye(28, dtype=np.float32)
    assert len(np.unique(Cells()(one_hot), axis=0)) == 28
    near = Cells(0.5)(np.array([[0.1, -0.1], [0.2, 0.0], [0.3, 0.0]]))
    assert near.tolist() == [[0, 0], [0, 0], [1, 0]]


def test_the_same_seed_gives_the_same_rules_and_another_engine_inherits_them() -> None:
    def trained() -> Engine:
        return play(Engine(LavaShortcut(16), Rules(revision=Revision())), 700)

    first, second = trained(), trained()
    books = [e._memory.state(e.protocol) for e in (first, second)]
    assert len(books[0].forbidden) > 5
    np.testing.assert_array_equal(books[0].forbidden, books[1].forbidden)
    heir = Engine(LavaShortcut(4), Rules(revision=Revision()))
    heir.inherit(first)
    np.testing.assert_array_equal(heir._memory.state(heir.protocol).forbidden, books[0].forbidden)
    other = Engine(LavaShortcut(4), Rules(Forbid(0)))
    other.inherit(Engine(LavaShortcut(4), Rules(Forbid(0))))  # nothing was written: nothing to do


# Bad input --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Rules(), "Rules needs rules, or a revision"),
        (lambda: Forbid(), "at least one action"),
        (lambda: Forbid(-1), "action must be a whole number of at least 0, got -1"),
        (lambda: RiskLimit(1.5), r"limit must be a number in \[0, 1\], got 1.5"),
        (lambda: RiskLimit(0.1, "exakt"), "unknown risk source 'exakt'; did you mean 'exact'"),
        (lambda: Bounds(1.0, 0.0), "low must not exceed high"),
        (lambda: Cells(0.0), "width must be a number"),
        (lambda: HarmRate(2.0), "threshold must be a number"),
        (lambda: HarmRate(visits=0), "visits must be a whole number of at least 1"),
        (lambda: Revision(every=0), "every must be a whole number of at least 1"),
        (lambda: Revision(seconds=-1.0), "seconds must be a number"),
        (lambda: Revision(memory=1.1), "memory must be a number"),
        (lambda: Revision(cells=3), "cells must be a function, got 3"),  # type: ignore[arg-type]
    ],
)
def test_bad_settings_are_refused_by_name(make: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make()


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (Rules(Forbid(7)), r"Discrete\(3\) has no 7"),
        (Rules(lambda p: np.ones(2, bool)), r"shape \(1,\) or \(1, 3\), got shape \(2,\)"),
        (Rules(lambda p: np.ones(1)), "got shape .* of float64"),
        (Rules(Bounds(0.0, 1.0)), "Bounds needs continuous actions; for discrete ones use Forbid"),
        (
            Rules(revision=Revision(every=1, cells=lambda o: o[:, 0])),
            "cells must answer 1 whole numbers",
        ),
        (
            Rules(revision=Revision(lambda e: e.harms, every=1)),  # type: ignore[arg-type,return-value]
            "a reviser must answer 1 booleans",
        ),
    ],
)
def test_a_rule_that_cannot_hold_is_named(corridor: Any, start: Any, rules: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        start(corridor(harm=TRAP), rules).play([GO, GO])


def test_a_rule_says_what_it_needs() -> None:
    env = gym.make("CliffWalking-v1")
    with pytest.raises(UsageError, match="RiskLimit: needs the estimated risk"):
        Overseen(env, Rules(RiskLimit(0.1), fallback=lambda p: p.action), cost=lambda t: 0.0)
    pendulum = Overseen(
        gym.make("Pendulum-v1"), Rules(Forbid(0)), cost=lambda t: 0.0, hold=np.zeros(1, np.float32)
    )
    pendulum.reset(seed=0)
    with pytest.raises(UsageError, match="cannot hold in Box"):
        pendulum.step(np.zeros(1, np.float32))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8, np.bool_])
@pytest.mark.parametrize("width", [0.5, 0.3, 2.0])
def test_cells_have_the_keys_of_their_numbers(dtype: Any, width: float) -> None:
    rng, cells = np.random.default_rng(0), Cells(width)
    drawn = rng.normal(0.0, 3.0, (400, 2, 3))
    observations = (np.abs(drawn) if np.dtype(dtype).kind in "ub" else drawn).astype(dtype)
    numbers = cells(observations)
    np.testing.assert_array_equal(cells.keys(observations), revision._key(numbers))
    actions = rng.integers(0, 5, len(observations))
    own, plain = Book(cells), Book(lambda seen: Cells(width)(seen))
    np.testing.assert_array_equal(
        own._pairs(observations, actions), plain._pairs(observations, actions)
    )


def test_what_rules_say_of_proposals_is_what_they_say_of_all_actions() -> None:
    rules = [RiskLimit(0.1), RiskLimit(0.0, "exact")]
    protocol = Rules(rules, Revision(HarmRate(0.0, 1), every=20))
    run = Run(OpsDesk(5), protocol)
    rng, told = np.random.default_rng(3), 0
    for _ in range(200):
        actions = rng.integers(0, 4, 5)
        allowed = run.engine.action_masks()[np.arange(5), actions]
        everything = run.engine.action_masks().all(axis=1)
        record = run.step(*actions.tolist())
        np.testing.assert_array_equal(record.refused, ~allowed & ~everything)
        told += int(record.refused.sum())
    assert told > 50


def test_a_rule_whose_own_answer_is_none_is_refused() -> None:
    class Odd(RiskLimit):
        def keeps(self, proposals: Any) -> Any:
            return np.ones((len(proposals), 4), np.bool_)

    with pytest.raises(UsageError, match=r"must answer booleans of shape \(5,\)"):
        Run(OpsDesk(5), Rules(Odd(0.1))).step(0)
