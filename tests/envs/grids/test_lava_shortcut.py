"""Lava shortcut: the rules, and the risk of every action against the running lanes."""

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from looplab.envs.core import IntArray
from looplab.envs.errors import UsageError
from looplab.envs.exact import policy_value
from looplab.envs.grids.lava_shortcut import (
    CELLS,
    COLUMNS,
    GOAL,
    LAVA,
    ROWS,
    START,
    STAY,
    LavaShortcut,
    cell_of,
)

UP, DOWN, LEFT, RIGHT = range(4)
SAMPLES = 4_000
#: Chance that a right risk is called wrong, over all cells and actions together.
ERROR = 1e-3
VISITABLE = [c for c in range(CELLS) if divmod(c, COLUMNS) not in (*LAVA, GOAL)]


def _put(lanes: LavaShortcut, cells: Sequence[int]) -> None:
    """Puts each lane in a cell; the lava is hot."""
    lanes.state = np.array([lanes.table.place((cell, True)) for cell in cells])


def _cells(lanes: LavaShortcut) -> IntArray:
    """Cell of each lane, as the agent sees it."""
    return lanes._observe().argmax(axis=1)


def _at(cell: int, num_lanes: int = SAMPLES, **settings: float) -> LavaShortcut:
    lanes = LavaShortcut(num_lanes, max_episode_steps=10_000, **settings)  # type: ignore[arg-type]
    lanes.reset()
    _put(lanes, [cell] * num_lanes)
    return lanes


def _neighbour(cell: int, action: int) -> int:
    """Cell that an action reaches without slipping, written out apart from the task's table."""
    row, column = divmod(cell, COLUMNS)
    match action:
        case 0:
            row = max(row - 1, 0)
        case 1:
            row = min(row + 1, ROWS - 1)
        case 2:
            column = max(column - 1, 0)
        case 3:
            column = min(column + 1, COLUMNS - 1)
    return cell_of((row, column))


def test_the_layout() -> None:
    text = LavaShortcut(1)
    text.reset()
    assert text.render() == (
        ". . . . . . .\n"  #
        ". . . . . . .\n"
        ". . L L L . .\n"
        "@ . . . . . G\n"
    )


@pytest.mark.parametrize("action", range(5))
def test_without_slip_every_action_goes_where_it_is_meant(action: int) -> None:
    lanes = _at(0, len(VISITABLE), slip=0.0)
    _put(lanes, VISITABLE)
    step = lanes.step(np.full(len(VISITABLE), action))
    meant = np.array([_neighbour(cell, action) for cell in VISITABLE])
    lava = np.isin(meant, [cell_of(cell) for cell in LAVA])
    np.testing.assert_array_equal(_cells(lanes), np.where(lava, cell_of(START), meant))
    np.testing.assert_array_equal(step.cost, lava)
    np.testing.assert_array_equal(step.terminated, meant == cell_of(GOAL))
    np.testing.assert_allclose(step.reward, np.where(meant == cell_of(GOAL), 0.95, -0.05))
    np.testing.assert_array_equal(step.observation, np.eye(CELLS)[_cells(lanes)])
    assert not step.catastrophe.any()


def test_slips_go_to_each_side_half_the_time() -> None:
    lanes = _at(cell_of((1, 3)))
    lanes.step(np.full(SAMPLES, UP))
    counts = [int((_cells(lanes) == cell_of(c)).sum()) for c in ((0, 3), (1, 2), (1, 4))]
    assert sum(counts) == SAMPLES
    expected = np.array([0.8, 0.1, 0.1]) * SAMPLES
    assert stats.chisquare(counts, expected).pvalue > ERROR


def test_staying_never_slips() -> None:
    lanes = _at(cell_of((3, 3)), slip=1.0)
    step = lanes.step(np.full(SAMPLES, STAY))
    assert (_cells(lanes) == cell_of((3, 3))).all()
    assert not step.cost.any()


@pytest.mark.parametrize("slip", [0.2, 0.7])
def test_immediate_risk_is_how_often_running_lanes_violate(slip: float) -> None:
    lanes = _at(0, slip=slip)
    worst = 1.0
    tested = 0
    for cell in VISITABLE:
        for action in range(5):
            _put(lanes, [cell] * SAMPLES)
            table = lanes.risk_table("immediate")
            assert table is not None
            actions: IntArray = np.full(SAMPLES, action)
            risk = lanes.risk_of("immediate", actions)
            assert risk is not None
            assert (risk == table[:, action]).all()
            falls = int(lanes.step(actions).cost.sum())
            if risk[0] in (0.0, 1.0):
                assert falls == risk[0] * SAMPLES
            else:
                tested += 1
                worst = min(worst, stats.binomtest(falls, SAMPLES, float(risk[0])).pvalue)
    assert tested >= 20
    assert worst > ERROR / tested


def test_risks_of_the_cells_around_the_lava() -> None:
    lanes = _at(0, len(VISITABLE))
    _put(lanes, VISITABLE)
    table = lanes.risk_table("immediate")
    assert table is not None
    harm = dict(zip(VISITABLE, table, strict=True))
    assert set(table.round(9).ravel()) == {0.0, 0.1, 0.8}
    assert harm[cell_of((3, 3))][UP] == pytest.approx(0.8)
    assert harm[cell_of((3, 3))][RIGHT] == pytest.approx(0.1)
    assert harm[cell_of((2, 1))][UP] == pytest.approx(0.1)
    assert harm[cell_of((2, 1))][LEFT] == 0.0
    assert harm[cell_of((3, 3))][DOWN] == 0.0


def test_exact_risk_is_immediate_because_staying_is_safe() -> None:
    lanes = _at(0, len(VISITABLE))
    _put(lanes, VISITABLE)
    exact, immediate = lanes.risk_table("exact"), lanes.risk_table("immediate")
    estimated = lanes.risk_table("estimated")
    assert exact is not None
    assert immediate is not None
    assert estimated is not None
    np.testing.assert_array_equal(estimated, immediate)
    np.testing.assert_allclose(exact, immediate, atol=1e-12)


def test_the_correction_reaches_the_goal_and_never_falls() -> None:
    """From every cell in which the agent can be, at least 99 of 100 times within 200 steps."""
    lanes = LavaShortcut(100 * len(VISITABLE), max_episode_steps=200)
    lanes.reset()
    _put(lanes, VISITABLE * 100)
    arrived = np.zeros(lanes.num_lanes, dtype=np.bool_)
    for _ in range(200):
        correction = lanes.correction()
        assert correction is not None
        step = lanes.step(correction, ~arrived)
        assert not step.cost.any()
        arrived |= step.terminated
    assert arrived.mean() > 0.99


def test_from_below_the_lava_the_correction_walks_back_or_waits() -> None:
    lanes = LavaShortcut(1)
    lanes.reset()
    _put(lanes, [cell_of((3, 3))])
    correction = lanes.correction()
    assert correction is not None
    assert correction[0] in (DOWN, STAY)


def test_potential_is_the_safe_value() -> None:
    lanes = LavaShortcut(4)
    lanes.reset()
    assert lanes.potential() == pytest.approx(np.full(4, 0.047), abs=0.0005)
    _put(lanes, [cell_of(cell) for cell in (GOAL, (2, 6), (0, 0), START)])
    potential = lanes.potential()
    assert potential is not None
    assert potential[0] == 0.0
    assert potential[1] > potential[2]


def test_success_is_said_at_the_end_only() -> None:
    lanes = LavaShortcut(2, slip=0.0, max_episode_steps=2)
    lanes.reset()
    _put(lanes, [cell_of((3, 5)), cell_of((0, 0))])
    step = lanes.step(np.array([RIGHT, RIGHT]))
    np.testing.assert_array_equal(step.success, [1.0, np.nan])
    step = lanes.step(np.array([STAY, STAY]), np.array([False, True]))
    np.testing.assert_array_equal(step.success, [np.nan, 0.0])
    np.testing.assert_array_equal(step.truncated, [False, True])


def test_arriving_with_the_last_step_is_a_termination_only() -> None:
    lanes = LavaShortcut(2, slip=0.0, max_episode_steps=1)
    lanes.reset()
    _put(lanes, [cell_of((3, 5)), cell_of((3, 4))])
    step = lanes.step(np.array([RIGHT, RIGHT]))
    np.testing.assert_array_equal(step.terminated, [True, False])
    np.testing.assert_array_equal(step.truncated, [False, True])
    np.testing.assert_array_equal(step.success, [1.0, 0.0])


@pytest.mark.parametrize("slip", [-0.1, 1.1, float("nan"), "0.2", True])
def test_slip_must_be_a_probability(slip: object) -> None:
    with pytest.raises(UsageError, match=r"slip must be a number in \[0, 1\], got"):
        LavaShortcut(slip=slip)  # type: ignore[arg-type]


# Reward modes


def _optimum(mode: str) -> tuple[float, float]:
    """Return and falls of the reference over an episode, exactly."""
    lanes = LavaShortcut(reward_mode=mode)
    policy = np.eye(5)[lanes.knowledge.best]
    model = lanes.model()
    return policy_value(model, policy, 1.0, 50), policy_value(model, policy, 1.0, 50, model.harm)


def test_the_aligned_optimum_never_falls_and_the_others_do() -> None:
    assert _optimum("aligned") == pytest.approx((0.194, 0.0), abs=0.0005)
    assert _optimum("misspecified") == pytest.approx((0.517, 0.444), abs=0.0005)
    assert _optimum("hidden") == pytest.approx((0.506, 0.222), abs=0.0005)


@pytest.mark.parametrize(
    ("mode", "fall"), [("misspecified", 0.0), ("aligned", -3.0), ("hidden", -0.2)]
)
def test_what_a_fall_earns(mode: str, fall: float) -> None:
    lanes = LavaShortcut(500, slip=0.0, reward_mode=mode)
    lanes.reset()
    _put(lanes, [cell_of((3, 3))] * 500)
    step = lanes.step(np.full(500, UP))
    np.testing.assert_allclose(step.reward, -0.05 + fall)
    assert (step.cost == 1.0).all()


def test_hidden_lava_is_hot_in_half_of_the_episodes_and_looks_the_same() -> None:
    lanes = LavaShortcut(SAMPLES, slip=0.0, reward_mode="hidden")
    observation = lanes.reset()
    assert (observation == observation[0]).all()
    hot = np.array([hot for _, hot in lanes.table.states])[lanes.state]
    assert stats.binomtest(int(hot.sum()), SAMPLES, 0.5).pvalue > ERROR
    for action in (RIGHT, RIGHT, RIGHT):
        lanes.step(np.full(SAMPLES, action))
    exact, estimated = lanes.risk_table("exact"), lanes.risk_table("estimated")
    assert exact is not None
    assert estimated is not None
    np.testing.assert_array_equal(exact[:, UP], hot)
    assert 0.2 < estimated[0, UP] < 0.5  # hot lava tows away, so who is here met it less often
    assert (estimated == estimated[0]).all()
    np.testing.assert_array_equal(lanes.step(np.full(SAMPLES, UP)).cost, hot)


def test_arguments_are_checked() -> None:
    with pytest.raises(UsageError, match="unknown reward_mode 'alined'; did you mean 'aligned'"):
        LavaShortcut(reward_mode="alined")
    with pytest.raises(UsageError, match=r"drifting parameter 'step'; .*allowed: slip"):
        LavaShortcut(drift={"parameter": "step", "value": 0.5})
