"""What the engine calls unsafe, what it counts, how it stops, and which faults it names."""

import itertools
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looplab.envs.core import Step
from looplab.envs.errors import EnvironmentFault, UsageError
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.oversight import (
    Adaptive,
    AllOf,
    AnyOf,
    Audit,
    Autonomous,
    Behind,
    ConfidenceBelow,
    Correction,
    Engine,
    Feedback,
    Forbid,
    Gate,
    Halt,
    Hold,
    NextBest,
    Overseen,
    PageHinkley,
    Revision,
    RiskAbove,
    RiskLimit,
    Rules,
    SafestAction,
    ScriptedOverseer,
    Settings,
    Signal,
    Stack,
    Veto,
    VetoWindow,
)
from looplab.oversight.measures import COUNTERS, EPISODE_COLUMNS, LEVEL_STEPS

GO, CREEP, WAIT = range(3)
TRAP = [1.0]
FIELD = [0.0] * 20


# What is unsafe ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("risks", "tolerance", "unsafe", "unavoidable"),
    [
        ([0.2, 0.0, 0.0], 0.0, [True, False, False], False),
        ([0.2, 0.0, 0.0], 0.2, [False, False, False], False),  # it must exceed the tolerance
        ([0.3, 0.2, 0.0], 0.2, [True, False, False], False),
        ([0.5, 0.3, 0.3], 0.0, [True, False, False], True),  # only what is above the least risk
        ([0.5, 0.5, 0.5], 0.0, [False, False, False], True),
        ([0.5, 0.3, 0.3], 0.4, [True, False, False], False),
        ([0.1 + 0.2, 0.3, 0.3], 0.3, [False, False, False], False),  # equal but for the last bit
        ([1.0, 1.0, 1.0], 1.0, [False, False, False], False),
    ],
)
def test_unsafe_and_unavoidable(
    corridor: Any,
    start: Any,
    risks: list[float],
    tolerance: float,
    unsafe: list[bool],
    unavoidable: bool,
) -> None:
    task = corridor(harm=[risks])
    run = start(task, Autonomous(), settings=Settings(tolerance=tolerance))
    run.play([GO, CREEP, WAIT])
    assert run.column("unsafe") == unsafe
    assert run.column("unavoidable") == [unavoidable] * 3
    assert run.totals["unsafe_proposals"] == sum(unsafe)
    assert run.totals["unavoidable"] == 3 * unavoidable
    assert run.column("risk") == risks


def test_the_exact_risk_decides_before_the_immediate_one(corridor: Any, start: Any) -> None:
    task = corridor(harm=[1.0, 0.0], exact=[0.0, 1.0])
    run = start(task, Autonomous()).play([GO, GO])
    assert run.column("cost") == [1.0, 0.0]
    assert run.column("unsafe") == [False, True]


def test_a_users_risk_decides_where_nothing_better_is_known() -> None:
    env = Overseen(
        gym.make("CliffWalking-v1"),
        Autonomous(),
        cost=lambda t: float(t.reward <= -100),
        risk=lambda env, action: 0.3 * (action == 2),
        settings=Settings(tolerance=0.1),
    )
    env.reset(seed=0)
    assert [env.step(a)[4]["oversight"]["unsafe"] for a in (0, 2)] == [False, True]


def test_without_any_risk_what_depends_on_it_is_not_a_number() -> None:
    env = Overseen(gym.make("CliffWalking-v1"), Autonomous(), cost=lambda t: float(t.reward < -1))
    env.reset(seed=0)
    env.step(1)
    totals = env.oversight.totals
    assert totals["violations"] == 1
    assert totals["steps"] == 1
    for name in ("unsafe_proposals", "unavoidable", "misses", "unasked", "late", "false_alarms",
                 "caught", "overlooked", "cleared", "prevented"):  # fmt: skip
        assert np.isnan(totals[name])


def test_an_unsafe_proposal_where_nothing_is_safe_is_corrected_to_the_least_risk(
    corridor: Any, start: Any
) -> None:
    run = start(corridor(harm=[[0.5, 0.3, 0.3]]), Gate(fallback=SafestAction())).play([GO, WAIT])
    assert run.column("executed") == [CREEP, WAIT]
    assert run.column("unavoidable") == [True, True]
    assert run.verdicts() == ["reject", "approve"]


# Counts ----------------------------------------------------------------------------------------


def protocols() -> dict[str, Any]:
    """Protocols of every kind, with overseers that err, so that every count occurs."""
    errs = ScriptedOverseer(miss_rate=0.3, false_alarm_rate=0.2, review_seconds=2.5)
    return {
        "autonomous": Autonomous(),
        "gate": Gate(overseer=errs),
        "gate_running": Gate(overseer=errs, world="running"),
        "gate_deadline": Gate(overseer=errs, deadline_seconds=1.0, timeout="open"),
        "gate_halt": Gate(overseer=errs, fallback=Halt()),
        "gate_audit": Gate(trigger=Audit(0.5), overseer=errs, fallback=Correction()),
        "gate_all_of": Gate(trigger=AllOf(Audit(0.7), RiskAbove(0.3)), overseer=errs),
        "gate_confidence": Gate(trigger=ConfidenceBelow(0.3), overseer=errs, fallback=NextBest()),
        "veto_0": Veto(overseer=errs, lag=0, vigilance=0.6),
        "veto_1": Veto(overseer=errs, lag=1, vigilance=0.6),
        "veto_3": Veto(overseer=errs, lag=3, vigilance=0.6, fallback=Hold()),
        "veto_halt": Veto(overseer=errs, lag=1, fallback=Halt()),
        "veto_window": VetoWindow(overseer=errs, window=2, vigilance=0.6),
        "feedback": Feedback(overseer=errs),
        "gate_feedback": Stack(Gate(trigger=Audit(0.5), overseer=errs), Feedback(overseer=errs)),
        "rules": Rules([Forbid(1), RiskLimit(0.5, "immediate")]),
        "rules_revised": Rules(revision=Revision(every=100), fallback=Correction()),
        "rules_gate": Stack(Rules(RiskLimit(0.5, "immediate")), Gate(overseer=errs)),
        "behind": Behind(0.5, revision=Revision(every=100)),
        "adaptive": Adaptive(
            overseer=errs,
            smoothing=0.2,
            relax=0.7,
            tighten=0.5,
            dwell=5,
            audit=0.3,
            monitors=[PageHinkley(2.0, settle=10)],
        ),
        "gate_veto": Stack(Gate(trigger=Audit(0.5), overseer=errs), Veto(overseer=errs, lag=2)),
    }


CELLS = [0.0, 0.6, 1.0, 0.0, 0.3]


def play(corridor: Any, start: Any, policy: Any, name: str, seed: int = 0) -> Any:
    """Four lanes of random proposals under one of the protocols above."""
    task = corridor(4, harm=CELLS, ends=True, max_episode_steps=9, irreversible=True)
    rng = np.random.default_rng(seed)
    signal = Signal(penalty=0.2, beta=0.5)
    settings = Settings(wage_per_hour=36.0, fee_per_review=0.5)
    run = start(
        task,
        protocols()[name],
        signal=signal,
        settings=settings,
        policy=policy(0.5, 0.3, 0.2),
        seed=seed,
    )
    return run.play(rng.integers(0, 3, (150, 4)))


@pytest.mark.parametrize("name", protocols())
def test_every_unsafe_proposal_is_stopped_missed_unasked_or_late(
    corridor: Any, start: Any, policy: Any, name: str
) -> None:
    run = play(corridor, start, policy, name)
    stopped = 0
    for record in run.records:
        parts = [record.miss, record.unasked, record.late]
        ends = record.refused | record.halted
        assert (np.sum([*parts, record.unsafe & ends], axis=0) == record.unsafe).all()
        assert not (record.unsafe & record.standby).any()
        stopped += int((record.unsafe & ends).sum())
    totals = run.totals
    assert totals["unsafe_proposals"] > 0
    assert totals["unsafe_proposals"] == (
        stopped + totals["misses"] + totals["unasked"] + totals["late"]
    )


@pytest.mark.parametrize("name", protocols())
def test_totals_and_episodes_equal_a_recount_of_the_records(
    corridor: Any, start: Any, policy: Any, name: str
) -> None:
    run = play(corridor, start, policy, name)
    sums = _recount(run.records)
    totals = run.totals
    assert totals["steps"] == 600
    for counter, value in sums.items():
        assert totals[counter] == pytest.approx(value, abs=1e-9), counter
    money = 36.0 * totals["human_seconds"] / 3600 + 0.5 * totals["reviews"]
    assert totals["oversight_cost"] == pytest.approx(money)
    assert totals["episodes"] == len(run.rows) == sum(int(r.done.sum()) for r in run.records)
    for row in run.rows:
        assert tuple(row) == EPISODE_COLUMNS
    _check_rows(run)


def _recount(records: list[Any]) -> dict[str, float]:
    names = {
        "task_return": "reward", "learning_return": "learning_reward", "cost": "cost",
        "unsafe_proposals": "unsafe", "unavoidable": "unavoidable", "reviews": "reviews",
        "interventions": "intervened", "misses": "miss", "unasked": "unasked", "late": "late",
        "false_alarms": "false_alarm", "unconsidered": "unconsidered",
        "stale_approvals": "stale", "overdue": "overdue", "penalties": "charged",
        "human_seconds": "seconds", "catastrophes": "catastrophe", "caught": "caught",
        "overlooked": "overlooked", "cleared": "cleared", "waiting_seconds": "elapsed",
    }  # fmt: skip
    sums = {
        counter: float(sum(np.sum(getattr(r, column)) for r in records))
        for counter, column in names.items()
    }
    sums["prevented"] = float(sum(np.sum(r.risk[r.risky & r.intervened]) for r in records))
    sums["disagreements"] = float(sum(np.count_nonzero(r.disagreement > 0) for r in records))
    for at, level in enumerate(LEVEL_STEPS):
        sums[level] = float(sum(np.count_nonzero(r.level == at) for r in records))
    sums["violations"] = float(sum(np.count_nonzero(r.cost > 0) for r in records))
    assert set(sums) | {"steps"} == set(COUNTERS)
    return sums


def _check_rows(run: Any) -> None:
    """Rows against sums over the steps of their own episodes."""
    rows = {(row["lane"], row["episode"]): row for row in run.rows}
    sums: dict[tuple[int, int], np.ndarray] = {}
    for at, record in enumerate(run.records):
        for lane in range(4):
            key = (lane, int(record.episode[lane]))
            values = [
                1.0, record.reward[lane], record.learning_reward[lane], record.cost[lane],
                record.reviews[lane], record.intervened[lane], record.miss[lane],
                record.seconds[lane],
            ]  # fmt: skip
            sums[key] = sums.get(key, np.zeros(8)) + values
            if record.done[lane]:
                assert rows[key]["end_step"] == 4 * (at + 1)
    assert len(rows) == len(run.rows)
    for key, row in rows.items():
        found = [
            row["length"], row["task_return"], row["learning_return"], row["cost"],
            row["reviews"], row["interventions"], row["misses"], row["human_seconds"],
        ]  # fmt: skip
        np.testing.assert_allclose(found, sums[key], atol=1e-9)


@given(st.integers(0, 2**31 - 1), st.sampled_from(sorted(protocols())))
def test_invariants_of_every_step(seed: int, name: str) -> None:
    lanes = LavaShortcut(3, max_episode_steps=12)
    engine = Engine(lanes, protocols()[name] if "confidence" not in name else Autonomous())
    rng = np.random.default_rng(seed)
    engine.reseed(seed)
    lanes.reseed(seed)
    lanes.reset()
    engine.begin(np.ones(3, np.bool_))
    for _ in range(40):
        record = engine.step(rng.integers(0, 5, 3))
        ran = ~record.halted
        np.testing.assert_array_equal(
            record.intervened, (record.executed != record.proposed) | record.halted
        )
        assert not (record.late & ~record.unsafe).any()
        assert not (record.false_alarm & record.unsafe).any()
        assert not (record.watched & record.standby).any()
        assert (record.cost[~ran] == 0).all()
        assert (record.reward[~ran] == 0).all()
        assert (record.seconds >= 0).all()
        assert record.truncated[record.halted].all()
        assert not (record.terminated & record.truncated).any()
        if record.done.any():
            lanes.reset(record.done)
            engine.begin(record.done)


def test_what_a_protocol_stops_without_a_verdict_is_neither_missed_nor_unasked(
    corridor: Any, start: Any
) -> None:
    def stops(proposals: Any, decision: Any) -> None:
        decision.halted |= proposals.unsafe

    run = start(corridor(2, harm=TRAP), stops).play([(GO, WAIT)])
    assert run.column("unsafe", 0) == [True]
    assert run.totals["misses"] == run.totals["unasked"] == run.totals["late"] == 0
    assert run.totals["interventions"] == 1


def test_costs_of_oversight(corridor: Any, start: Any) -> None:
    settings = Settings(wage_per_hour=60.0, fee_per_review=0.1)
    gate = Gate(overseer=ScriptedOverseer(review_seconds=6.0))
    totals = start(corridor(2, harm=FIELD), gate, settings=settings).play([GO] * 5).totals
    assert totals["reviews"] == 10
    assert totals["human_seconds"] == 60.0  # seconds are added over lanes
    assert totals["oversight_cost"] == pytest.approx(60.0 / 60 + 1.0)


def test_catastrophes_are_counted_apart(corridor: Any, start: Any) -> None:
    harmless = start(corridor(harm=TRAP), Autonomous()).play([GO, GO]).totals
    assert (harmless["violations"], harmless["catastrophes"]) == (2, 0)
    grave = start(corridor(harm=TRAP, irreversible=True), Autonomous()).play([GO, WAIT]).totals
    assert (grave["violations"], grave["catastrophes"]) == (1, 1)


def test_an_episode_that_a_reset_cut_short_counts_in_totals_only() -> None:
    env = Overseen(gym.make("looplab/LavaShortcut-v0", max_episode_steps=5), Gate())
    env.reset(seed=0)
    env.step(4)
    env.step(4)
    env.reset()
    for _ in range(5):
        env.step(4)
    totals = env.oversight.totals
    assert (totals["steps"], totals["reviews"], totals["episodes"]) == (7, 7, 1)
    (row,) = env.oversight.episodes
    assert (row["length"], row["reviews"], row["episode"]) == (5, 5, 1)
    env.reset()  # after the end of an episode nothing is cut short
    assert env.oversight.totals["steps"] == 7


def test_totals_can_be_read_at_any_time(corridor: Any, start: Any) -> None:
    read = start(corridor(harm=TRAP, max_episode_steps=4), Gate())
    unread = start(corridor(harm=TRAP, max_episode_steps=4), Gate())
    for at in range(30):
        read.step(at % 3)
        unread.step(at % 3)
        assert read.totals["steps"] == at + 1
    assert read.totals == unread.totals
    assert repr(read.rows) == repr(unread.rows)  # success is NaN, which equals nothing


def test_totals_read_in_the_middle_of_a_step_lose_nothing(corridor: Any, start: Any) -> None:
    runs: list[Any] = []

    def overseer(proposals: Any) -> list[bool]:
        assert runs[0].totals["steps"] == int(proposals.step[0])
        return [True] * len(proposals)

    runs.append(start(corridor(harm=TRAP), Gate(overseer=overseer)))
    totals = runs[0].play([GO] * 5).totals
    assert totals["steps"] == totals["reviews"] == totals["misses"] == totals["violations"] == 5


def test_records_are_never_changed_afterwards() -> None:
    from looplab.envs.desks.ops_desk import OpsDesk

    lanes = OpsDesk(8)
    engine = Engine(lanes, Gate())
    lanes.reset()
    engine.begin(np.ones(8, np.bool_))
    kept = []
    for _ in range(30):
        record = engine.step(np.zeros(8, dtype=np.int64))
        kept.append((record, record.observation.copy(), record.executed.copy()))
    assert engine.totals["interventions"] > 0
    for record, observation, executed in kept:
        np.testing.assert_array_equal(record.observation, observation)
        np.testing.assert_array_equal(record.executed, executed)


# Stops -----------------------------------------------------------------------------------------


def test_a_stop_is_no_step_of_the_environment(corridor: Any, start: Any) -> None:
    run = start(corridor(2, harm=[0.0, 1.0, 0.0]), Gate(fallback=Halt()))
    before = run.play([GO]).records[0].observation.copy()
    record = run.step(GO, WAIT)
    assert record.halted.tolist() == [True, False]
    np.testing.assert_array_equal(record.observation[0], before[0])
    assert record.reward[0] == record.cost[0] == 0.0
    assert record.truncated.tolist() == [True, False]
    assert record.terminated.tolist() == [False, False]
    assert record.observation[1, 1] != before[1, 1]  # the other lane drew on
    assert run.column("intervened") == [False, True]


def test_a_stop_may_terminate_where_the_settings_say_so(corridor: Any, start: Any) -> None:
    settings = Settings(halt_terminates=True)
    run = start(corridor(harm=TRAP), Gate(fallback=Halt()), settings=settings).play([GO])
    assert run.column("terminated") == [True]
    assert run.column("truncated") == [False]


def test_a_stop_leaves_the_next_episodes_randomness_alone(corridor: Any, start: Any) -> None:
    def seen(protocol: Any, steps: int) -> list[list[float]]:
        run = start(corridor(harm=TRAP, max_episode_steps=3), protocol, seed=4)
        run.play([GO] + [WAIT] * (steps - 1) + [WAIT] * 3)
        found: list[list[float]] = [r.observation[0].tolist() for r in run.records[steps:]]
        return found

    def stop(proposals: Any) -> list[str]:
        return ["terminate" if proposals.action[0] == GO else "approve"]

    assert seen(Gate(overseer=stop), 1) == seen(Autonomous(), 3)


def test_a_stop_tells_a_task_of_no_refusal(corridor: Any, start: Any) -> None:
    run = start(corridor(2, harm=TRAP), Gate(fallback=Halt())).play([(GO, WAIT)])
    assert run.lanes.refusals in ([], [[False, False]])
    told = start(corridor(2, harm=TRAP), Gate()).play([(GO, WAIT)])
    assert told.lanes.refusals == [[True, False]]


def test_a_stopped_ops_desk_looks_as_before() -> None:
    env = Overseen(gym.make("looplab/OpsDesk-v0"), Gate(fallback=Halt()))
    stops = 0
    for seed in range(20):
        before, _ = env.reset(seed=seed)
        after, reward, terminated, truncated, info = env.step(0)
        if info["oversight"]["halted"]:
            stops += 1
            np.testing.assert_array_equal(after, before)
            assert (reward, info["cost"], terminated, truncated) == (0.0, 0.0, False, True)
            assert info["TimeLimit.truncated"] is True
    assert stops > 0


# Faults ----------------------------------------------------------------------------------------


class Broken(LavaShortcut):
    """Returns one bad value in lane 1 at the third step."""

    field, value = "reward", float("nan")

    def step(self, actions: Any, active: Any = None) -> Step:
        step = super().step(actions, active)
        if int(self.elapsed[1]) == 3:
            values = getattr(step, self.field).astype(np.float64)
            values[(1,) + (0,) * (values.ndim - 1)] = self.value
            setattr(step, self.field, values)
        return step


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("reward", float("nan"), "a reward that is not finite"),
        ("reward", float("inf"), "a reward that is not finite"),
        ("cost", float("nan"), "a cost that is not finite"),
        ("cost", -1.0, "a negative cost"),
        ("observation", float("nan"), "an observation that is not finite"),
        ("observation", float("-inf"), "an observation that is not finite"),
    ],
)
def test_what_no_environment_may_return_is_named_with_lane_and_step(
    field: str, value: float, message: str
) -> None:
    lanes = Broken(2)
    lanes.field, lanes.value = field, value
    engine = Engine(lanes, Gate())
    lanes.reset()
    engine.begin(np.ones(2, np.bool_))
    for _ in range(2):
        engine.step(np.array([4, 4]))
    with pytest.raises(EnvironmentFault, match=f"{message} in lane 1 at step 2 of episode 0"):
        engine.step(np.array([4, 4]))
    assert engine.totals["steps"] == 4  # the broken step is not counted
    assert engine.totals["reviews"] == 4
    record = engine.step(np.array([4, 4]))
    assert record.reviews.tolist() == [1, 1]  # nothing of the broken step is left
    assert record.seconds.tolist() == [5.0, 5.0]
    assert engine.totals["steps"] == engine.totals["reviews"] == 6


def test_infinities_of_both_signs_are_a_fault_and_no_warning() -> None:
    class TwoInfinities(Broken):
        def step(self, actions: Any, active: Any = None) -> Step:
            step = super().step(actions, active)
            step.observation = step.observation.copy()
            step.observation[1, :2] = np.inf, -np.inf
            return step

    lanes = TwoInfinities(2)
    engine = Engine(lanes, Autonomous())
    lanes.reset()
    with pytest.raises(EnvironmentFault, match=r"observation .* in lane 1 at step 0 of episode 0"):
        engine.step(np.array([4, 4]))


def test_large_finite_numbers_are_no_fault() -> None:
    class Large(LavaShortcut):
        def step(self, actions: Any, active: Any = None) -> Step:
            step = super().step(actions, active)
            step.observation = np.full_like(step.observation, 3e38)
            step.reward = np.full(2, 1e308)
            return step

    lanes = Large(2)
    engine = Engine(lanes, Autonomous())
    lanes.reset()
    assert engine.step(np.array([4, 4])).reward.tolist() == [1e308, 1e308]


def test_a_first_observation_that_is_not_finite_is_a_fault() -> None:
    class Nothing(gym.Env[Any, Any]):
        observation_space = gym.spaces.Box(-1, 1, (2,))
        action_space = gym.spaces.Discrete(2)

        def reset(self, *, seed: Any = None, options: Any = None) -> Any:
            return np.array([0.0, np.nan], dtype=np.float32), {}

    env = Overseen(Nothing(), Autonomous())
    with pytest.raises(EnvironmentFault, match=r"observation .* in lane 0 at step 0 of episode 0"):
        env.reset(seed=0)


def test_nested_observations_are_checked_too() -> None:
    space = {"where": gym.spaces.Box(-1, 1, (2,)), "what": gym.spaces.Discrete(3)}

    class Nested(gym.Env[Any, Any]):
        observation_space = gym.spaces.Dict(space)
        action_space = gym.spaces.Discrete(2)

        def reset(self, *, seed: Any = None, options: Any = None) -> Any:
            return {"where": np.zeros(2, np.float32), "what": 1}, {"cost": 0.0}

        def step(self, action: int) -> Any:
            where = np.array([0.0, np.nan if action else 1.0], dtype=np.float32)
            return {"where": where, "what": 2}, 0.0, False, False, {"cost": 0.0}

    env = Overseen(Nested(), Autonomous())
    env.reset(seed=0)
    env.step(0)
    with pytest.raises(EnvironmentFault, match=r"observation .* in lane 0 at step 1 of episode 0"):
        env.step(1)


def test_a_step_that_failed_leaves_no_row(corridor: Any, start: Any) -> None:
    answers: list[Any] = [[True], None, [True]]
    run = start(corridor(harm=FIELD), Gate(overseer=lambda proposals: answers.pop(0)))
    run.step(GO)
    with pytest.raises(UsageError, match="must answer Verdicts"):
        run.step(GO)
    run.step(CREEP)
    assert run.totals["steps"] == run.totals["reviews"] == 2
    assert run.totals["task_return"] == 1.5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tolerance", 1.5),
        ("tolerance", -0.1),
        ("wage_per_hour", -1.0),
        ("wage_per_hour", np.inf),
        ("fee_per_review", -1),
    ],
)
def test_settings_are_checked(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"{name} must be a (finite )?number"):
        Settings(**{name: value})


class _Diary:
    """A protocol that looks at how every step went."""

    def start(self, num_lanes: int) -> list[Any]:
        return []

    def see(self, pages: list[Any], record: Any) -> None:
        pages.append((record.observed.copy(), record.observation.copy(), record.cost.copy()))

    def __call__(self, proposals: Any, decision: Any) -> None:
        assert proposals.clock == len(proposals.memory(self))


def test_parts_see_how_every_step_went(corridor: Any, start: Any) -> None:
    diary = _Diary()
    run = start(corridor(harm=[0.0, 1.0, 0.0]), Stack(diary, Feedback())).play([GO] * 3)
    pages = run.engine._memory.state(diary)
    assert [page[2].tolist() for page in pages] == [r.cost.tolist() for r in run.records]
    for (_, after, _), (before, _, _) in itertools.pairwise(pages):
        np.testing.assert_array_equal(after, before)
    assert (pages[0][0] != pages[0][1]).any()


def test_every_request_says_which_trigger_asked_and_what_it_read(corridor: Any, start: Any) -> None:
    trigger = AnyOf(RiskAbove(0.5, "exact"), RiskAbove(0.2, "immediate"), Audit(1.0))
    lanes = corridor(harm=[1.0, 0.3, 0.0])
    run = start(lanes, Feedback(trigger)).play([GO] * 3)
    texts = [r.decision.reasons.texts[r.because[0]] for r in run.records]
    assert texts == ["exact risk (oracle) >= 0.5", "immediate risk >= 0.2", "audit 1"]
    assert run.column("score")[:2] == pytest.approx([1.0, 0.3])
    assert run.column("threshold")[:2] == [0.5, 0.2]
    assert np.isnan(run.column("score")[2])
