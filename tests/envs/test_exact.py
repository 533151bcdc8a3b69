"""Exact values of the trial task and of CliffWalking, and closed forms of a two-state chain."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looplab.envs.adapters import cliff_walking
from looplab.envs.core import FloatArray
from looplab.envs.exact import (
    FiniteModel,
    best_actions,
    exact_risk,
    optimal_values,
    policy_value,
    safe_actions,
    start_value,
)
from looplab.envs.grids import lava_shortcut

HORIZON = 50
#: Half a unit of the last digit that FIELD.md gives.
DIGITS = 0.0005
UP, RIGHT, DOWN = 0, 1, 2
CLIFF_ROWS, CLIFF_COLUMNS = 4, 12


@pytest.mark.parametrize(
    ("gamma", "safe", "expected"),
    [(0.98, False, 0.408), (0.98, True, 0.047), (1.0, False, 0.517), (1.0, True, 0.194)],
)
def test_start_values_of_the_lava_shortcut(gamma: float, safe: bool, expected: float) -> None:
    model = lava_shortcut.model()
    allowed = safe_actions(exact_risk(model, HORIZON)) if safe else None
    values = optimal_values(model, gamma, allowed, HORIZON)
    assert start_value(model, values) == pytest.approx(expected, abs=DIGITS)


def test_falls_of_the_unconstrained_and_the_safe_optimum() -> None:
    model = lava_shortcut.model()
    free = optimal_values(model, 0.98)
    safe = optimal_values(model, 0.98, safe_actions(exact_risk(model, HORIZON)))
    falls = [
        policy_value(model, np.eye(5)[values.argmax(axis=1)], 1.0, HORIZON, model.harm)
        for values in (free, safe)
    ]
    assert falls[0] == pytest.approx(0.444, abs=DIGITS)
    assert falls[1] == 0.0


def test_value_of_the_optimal_policy_is_its_start_value() -> None:
    model = lava_shortcut.model()
    values = optimal_values(model, 0.98)
    policy = np.eye(5)[values.argmax(axis=1)]
    assert policy_value(model, policy, 0.98, 2_000) == pytest.approx(start_value(model, values))


@pytest.mark.parametrize(
    ("row", "greedy", "exploring"), [(2, -13.0, -51.81), (1, -15.0, -21.05), (0, -17.0, -22.27)]
)
def test_ways_along_the_cliff(row: int, greedy: float, exploring: float) -> None:
    model = cliff_walking.model()
    chosen = np.full(CLIFF_ROWS * CLIFF_COLUMNS, RIGHT)
    for state in range(len(chosen)):
        at_row, column = divmod(state, CLIFF_COLUMNS)
        if column == CLIFF_COLUMNS - 1 or at_row < row:
            chosen[state] = DOWN
        elif at_row > row:
            chosen[state] = UP
    policy = np.eye(4)[chosen]
    assert policy_value(model, policy, 1.0, 3_000) == greedy
    epsilon = 0.1
    policy = (1 - epsilon) * policy + epsilon / 4
    assert policy_value(model, policy, 1.0, 3_000) == pytest.approx(exploring, abs=0.005)


def test_the_edge_is_optimal_and_safe() -> None:
    model = cliff_walking.model()
    safe = safe_actions(exact_risk(model, 200))
    for allowed in (None, safe):
        values = optimal_values(model, 1.0, allowed, 200)
        assert start_value(model, values) == -13.0


def _chain(p: float, q: float) -> FiniteModel:
    """State 0: action 0 ends with p, harming then; action 1 waits. State 1: the end."""
    transition = np.zeros((2, 2, 2))
    transition[0, 0] = (1 - p, p)
    transition[0, 1] = (1 - q, q)
    transition[1, :, 1] = 1.0
    return FiniteModel.dense(
        transition=transition,
        reward=np.array([[1.0, 0.0], [5.0, 5.0]]),
        harm=np.array([[p, 0.5 * q], [1.0, 1.0]]),
        terminal=np.array([False, True]),
        start=np.array([1.0, 0.0]),
    )


@given(p=st.floats(0.01, 1.0), gamma=st.floats(0.0, 0.99))
def test_value_of_a_geometric_chain(p: float, gamma: float) -> None:
    model = _chain(p, q=0.0)
    always_first = np.array([[1.0, 0.0], [1.0, 0.0]])
    value = 1.0 / (1.0 - gamma * (1.0 - p))
    assert start_value(model, optimal_values(model, gamma)) == pytest.approx(value, rel=1e-6)
    assert policy_value(model, always_first, gamma, 4_000) == pytest.approx(value, rel=1e-6)


@given(q=st.floats(0.0, 1.0), horizon=st.integers(1, 30))
def test_least_risk_of_a_chain_that_cannot_wait_forever(q: float, horizon: int) -> None:
    """Waiting harms with q / 2 a step while the chain goes on, acting surely: so it waits."""
    model = _chain(p=1.0, q=q)
    expected = 0.0
    for _ in range(horizon):
        expected = 0.5 * q + (1 - 0.5 * q) * (1 - q) * expected
    risk = exact_risk(model, horizon)
    assert risk[0, 1] == pytest.approx(expected)
    assert risk[0, 0] == 1.0
    assert (risk[1] == 0.0).all()


def test_risk_follows_where_unharmed_steps_lead() -> None:
    """Half the steps harm and lead to rest; the others lead to where harm is certain."""
    model = FiniteModel(
        chance=np.array([[[0.5, 0.5]], [[1.0, 0.0]], [[1.0, 0.0]]]),
        successor=np.array([[[1, 2]], [[1, 1]], [[1, 1]]]),
        gain=np.zeros((3, 1, 2)),
        harmed=np.array([[[1.0, 0.0]], [[0.0, 0.0]], [[1.0, 1.0]]]),
        ends=np.zeros((3, 1, 2), dtype=np.bool_),
        start=np.array([1.0, 0.0, 0.0]),
    )
    np.testing.assert_array_equal(model.harm[:, 0], [0.5, 0.0, 1.0])
    assert exact_risk(model, 1)[0, 0] == 0.5
    assert exact_risk(model, 2)[0, 0] == 1.0


def _risk_without_a_break(model: FiniteModel, horizon: int) -> FloatArray:
    least = np.zeros(len(model.start))
    for _ in range(horizon):
        risk = model.expected(model.harmed + (1.0 - model.harmed) * model.follow(least))
        least = risk.min(axis=1)
    return risk


@given(seed=st.integers(0, 10_000), horizon=st.integers(1, 60))
def test_risk_that_stops_changing_is_the_risk_of_the_whole_horizon(seed: int, horizon: int) -> None:
    rng = np.random.default_rng(seed)
    states, actions = int(rng.integers(2, 7)), int(rng.integers(1, 4))
    model = FiniteModel.dense(
        transition=rng.dirichlet(np.full(states, 0.3), (states, actions)),
        reward=np.zeros((states, actions)),
        harm=rng.random((states, actions)) * (rng.random((states, actions)) < 0.3),
        terminal=np.arange(states) == states - 1,
        start=np.full(states, 1.0 / states),
    )
    np.testing.assert_array_equal(exact_risk(model, horizon), _risk_without_a_break(model, horizon))


def test_equal_values_are_equal_but_for_rounding() -> None:
    values = np.array([[1.0, 1.0 + 1e-13], [0.0, 1.0], [-np.inf, -3.0]])
    np.testing.assert_array_equal(best_actions(values), [0, 1, 1])


def test_no_allowed_action_is_worse_than_any() -> None:
    model = lava_shortcut.model()
    values = optimal_values(model, 0.98, safe_actions(exact_risk(model, HORIZON)))
    assert np.isneginf(values).any()
    assert (values <= optimal_values(model, 0.98) + 1e-9).all()
