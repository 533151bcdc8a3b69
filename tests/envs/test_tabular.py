"""Rules written state by state: their tables, their lanes, and what follows from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy import stats

from looplab.envs import table
from looplab.envs.errors import UsageError
from looplab.envs.exact import exact_risk, optimal_values, policy_value
from looplab.envs.grids.lava_shortcut import LavaRules, LavaShortcut
from looplab.envs.knowledge import GAMMA, as_seen, know
from looplab.envs.rules import Outcome, Rules
from looplab.envs.table import enumerate_rules
from looplab.envs.tabular import TabularLanes

RISKY, REST = range(2)
BEGIN, EDGE, TRAP, HOME = "begin", "edge", "trap", "home"
LANES = 4_000
#: Chance that a right law is called wrong by one test.
ERROR = 1e-3


@dataclass(frozen=True)
class BridgeRules(Rules):
    """Risky leads from the beginning to the edge, and from there home or into harm.

    The edge and the trap look the same; from the trap, whatever is done harms.
    """

    fall: float = 0.25
    share: float = 0.5
    looks: str = "alike"

    ACTIONS: ClassVar[tuple[str, ...]] = ("risky", "rest")
    HOLD: ClassVar[int] = REST
    COSTS: ClassVar[tuple[str, ...]] = ("bruise", "break")
    CATASTROPHES: ClassVar[tuple[str, ...]] = ("break",)
    DETAILS: ClassVar[tuple[str, ...]] = ("height",)
    THRESHOLD: ClassVar[float] = 0.5

    def starts(self) -> Sequence[tuple[float, str]]:
        return ((self.share, BEGIN), (1.0 - self.share, EDGE))

    def outcomes(self, state: str, action: int) -> Sequence[Outcome]:
        if state == TRAP:
            return (Outcome(1.0, TRAP, -1.0, (0.0, 2.0), ends=True, details=(-3.0,)),)
        if action == REST:
            return (Outcome(1.0, state, 0.0),)
        if state == BEGIN:
            return (
                Outcome(0.5, EDGE, 0.0, details=(1.0,)),
                Outcome(0.3, BEGIN, 0.0, (0.5, 0.0)),
                Outcome(0.2, TRAP, 0.0),
            )
        return (
            Outcome(1.0 - self.fall, HOME, 1.0, ends=True, success=True),
            Outcome(self.fall, HOME, 0.0, (0.5, 2.0), ends=True),
        )

    def observe(self, state: str) -> Sequence[float]:
        if self.looks == "alike" and state == TRAP:
            state = EDGE
        return [float(state == name) for name in (BEGIN, EDGE, TRAP, HOME)]

    def draw(self, state: str, mode: str) -> Any:
        return f"{state}\n"


class Bridge(TabularLanes):
    """The bridge's lanes."""

    DRIFTS: ClassVar[Mapping[str, tuple[float, float]]] = {"fall": (0.0, 1.0), "share": (0.0, 1.0)}


def _at(state: str, num_lanes: int = LANES, **rules: Any) -> Bridge:
    lanes = Bridge(BridgeRules(**rules), num_lanes)
    lanes.reset()
    lanes.state[:] = lanes.table.place(state)
    return lanes


def _table(lanes: TabularLanes, source: Any) -> Any:
    table = lanes.risk_table(source)
    assert table is not None
    return table[0]


def test_every_state_that_is_reached_has_a_place() -> None:
    table = enumerate_rules((BridgeRules(),))
    assert set(table.states) == {BEGIN, EDGE, TRAP, HOME}
    assert [table.states[table.place(state)] for state in table.states] == list(table.states)
    with pytest.raises(UsageError, match="no episode reaches the state moon"):
        table.place("moon")


def test_outcomes_come_as_often_as_the_rules_say() -> None:
    lanes = _at(BEGIN)
    step = lanes.step(np.full(LANES, RISKY))
    names = np.array(lanes.table.states)[lanes.state]
    counts = [int((names == name).sum()) for name in (EDGE, BEGIN, TRAP)]
    assert sum(counts) == LANES
    assert stats.chisquare(counts, np.array([0.5, 0.3, 0.2]) * LANES).pvalue > ERROR
    np.testing.assert_array_equal(step.cost, 0.5 * (names == BEGIN))
    np.testing.assert_array_equal(lanes.details()["height"], 1.0 * (names == EDGE))
    assert not step.terminated.any()
    assert np.isnan(step.success).all()


def test_episodes_begin_as_often_as_the_rules_say() -> None:
    lanes = Bridge(BridgeRules(share=0.3), LANES, seed=5)
    lanes.reset()
    begun = int((lanes.state == lanes.table.place(BEGIN)).sum())
    assert stats.binomtest(begun, LANES, 0.3).pvalue > ERROR
    assert set(lanes.state) == {lanes.table.place(BEGIN), lanes.table.place(EDGE)}


def test_kinds_of_harm_the_end_and_its_success() -> None:
    lanes = _at(EDGE)
    step = lanes.step(np.full(LANES, RISKY))
    fell = step.cost > 0.0
    assert stats.binomtest(int(fell.sum()), LANES, 0.25).pvalue > ERROR
    np.testing.assert_array_equal(step.cost, 2.5 * fell)
    np.testing.assert_array_equal(step.catastrophe, fell)
    np.testing.assert_array_equal(lanes.details()["cost_bruise"], 0.5 * fell)
    np.testing.assert_array_equal(lanes.details()["cost_break"], 2.0 * fell)
    np.testing.assert_array_equal(step.reward, 1.0 * ~fell)
    np.testing.assert_array_equal(step.success, 1.0 * ~fell)
    assert step.terminated.all()


def test_a_truncated_episode_is_no_success_and_a_frozen_lane_says_nothing() -> None:
    lanes = Bridge(BridgeRules(fall=0.0, share=0.0), 3, max_episode_steps=2)
    lanes.reset()
    step = lanes.step(np.array([RISKY, REST, REST]))
    np.testing.assert_array_equal(step.success, [1.0, np.nan, np.nan])
    step = lanes.step(np.array([REST, REST, RISKY]), np.array([False, True, True]))
    np.testing.assert_array_equal(step.success, [np.nan, 0.0, 1.0])
    np.testing.assert_array_equal(step.truncated, [False, True, False])


def test_three_risks_by_hand() -> None:
    """Exact: to rest is safe but where the trap is; estimated: trap and edge look the same."""
    lanes = _at(BEGIN, 1)
    np.testing.assert_allclose(_table(lanes, "immediate"), [0.3, 0.0])
    # 0.3 at once; else home is not tried from the edge, and the trap (0.2) harms surely
    np.testing.assert_allclose(_table(lanes, "exact"), [0.5, 0.0])
    lanes.state[:] = lanes.table.place(TRAP)
    np.testing.assert_allclose(_table(lanes, "immediate"), [1.0, 1.0])
    np.testing.assert_allclose(_table(lanes, "exact"), [1.0, 1.0])


def test_what_looks_the_same_is_weighed_by_how_often_a_random_agent_is_there() -> None:
    """One step, always from the beginning: the second state is the edge (5) or the trap (2)."""
    model = enumerate_rules((BridgeRules(share=1.0),)).models[0]
    table = enumerate_rules((BridgeRules(share=1.0),))
    seen = as_seen(model, table.observations, 2, model.harm)
    expected = [(5 * 0.25 + 2 * 1.0) / 7, 2 / 7]
    for state in (EDGE, TRAP):
        np.testing.assert_allclose(seen[table.place(state)], expected)
    np.testing.assert_allclose(seen[table.place(BEGIN)], [0.3, 0.0])
    apart = enumerate_rules((BridgeRules(looks="apart"),))
    one = apart.models[0]
    np.testing.assert_allclose(as_seen(one, apart.observations, 9, one.harm), one.harm)


def test_the_reference_cannot_see_what_the_agent_does_not() -> None:
    rules = LavaRules(reward_mode="hidden")
    lanes = LavaShortcut(2, reward_mode="hidden")
    lanes.reset()
    knowledge, table = know((rules,), 50), lanes.table
    cells = sorted({cell for cell, hot in table.states if hot})
    differ = 0
    for cell in cells:
        hot, cold = table.place((cell, True)), table.place((cell, False))
        assert knowledge.best[hot] == knowledge.best[cold]
        differ += knowledge.best_safe[hot] != knowledge.best_safe[cold]
    assert differ > 3
    seen = policy_value(lanes.model(), np.eye(5)[knowledge.best], GAMMA, 50)
    knowing = optimal_values(lanes.model(), GAMMA, horizon=50).max(axis=1)
    assert 0.99 < seen / float(lanes.model().start @ knowing) < 1.0


def test_every_level_of_a_drift_has_the_knowledge_of_rules_without_it() -> None:
    drift = {"parameter": "slip", "value": 0.8, "at_step": 3, "kind": "gradual", "over_steps": 16}
    lanes = LavaShortcut(1, drift=drift)
    lanes.reset()
    seen = set()
    for step in range(22):
        slip = 0.2 + 0.6 * min(16, max(0, step - 2)) / 16
        assert lanes.slip.tolist() == pytest.approx([slip])  # type: ignore[attr-defined]
        steady = LavaShortcut(1, slip=float(lanes.slip[0]))  # type: ignore[attr-defined]
        steady.reset()
        steady.state = np.array([steady.table.place(lanes.table.states[int(lanes.state[0])])])
        for source in ("immediate", "exact", "estimated"):
            np.testing.assert_allclose(_table(lanes, source), _table(steady, source), atol=1e-12)
        for ours, theirs in zip(
            (lanes.correction(), lanes.reference(), lanes.potential()),
            (steady.correction(), steady.reference(), steady.potential()),
            strict=True,
        ):
            np.testing.assert_allclose(ours, theirs)  # type: ignore[arg-type]
        seen.add(float(lanes.slip[0]))  # type: ignore[attr-defined]
        if (step := lanes.step(np.array([0]))).terminated or step.truncated:  # type: ignore[assignment]
            lanes.reset()
    assert len(seen) == 17


def test_lanes_fall_as_often_as_the_drifted_rules_say() -> None:
    lanes = Bridge(
        BridgeRules(share=0.0), LANES, drift={"parameter": "fall", "value": 0.75, "at_step": 1}
    )
    for fall in (0.25, 0.75):
        lanes.reset()
        assert lanes.risk_of("immediate", np.zeros(LANES, np.int64)) == pytest.approx(fall)
        falls = int(lanes.step(np.full(LANES, RISKY)).catastrophe.sum())
        assert stats.binomtest(falls, LANES, fall).pvalue > ERROR


def test_where_episodes_begin_cannot_drift() -> None:
    with pytest.raises(UsageError, match="BridgeRules: where episodes begin cannot drift"):
        Bridge(BridgeRules(), drift={"parameter": "share", "value": 1.0})


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"fall": 1.5}, "chances of risky in state edge must be .* sum to 1, got -0.5, 1.5"),
        ({"fall": float("nan")}, "chances of risky in state edge must be at least 0"),
        ({"share": 1.5}, "chances of the first states must be at least 0 and sum to 1"),
    ],
)
def test_chances_must_be_chances(rules: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Bridge(BridgeRules(**rules))  # type: ignore[arg-type]


def test_too_many_states_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MAX_STATES", 3)
    with pytest.raises(UsageError, match="BridgeRules has more than 3 states"):
        enumerate_rules((BridgeRules(fall=0.125),))


def test_the_model_is_what_lanes_do() -> None:
    """Return and harm of a random agent, over whole episodes."""
    rules = replace(BridgeRules(), share=1.0)
    lanes = Bridge(rules, LANES, max_episode_steps=6)
    model = lanes.model()
    random = np.full((len(model.start), 2), 0.5)
    lanes.reset()
    rng = np.random.default_rng(3)
    going, total, harmed = np.ones(LANES, np.bool_), np.zeros(LANES), np.zeros(LANES)
    for _ in range(6):
        step = lanes.step(rng.integers(2, size=LANES), going)
        total += step.reward
        harmed += step.cost > 0.0
        going &= ~step.terminated
    for found, per_step in ((total, model.reward), (harmed, model.harm)):
        expected = policy_value(model, random, 1.0, 6, per_step)
        assert abs(found.mean() - expected) < 4.0 * found.std() / np.sqrt(LANES)
    np.testing.assert_allclose(exact_risk(model, 1), model.harm)
