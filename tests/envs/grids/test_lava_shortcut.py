"""Lava shortcut: the rules, and the risk of every action against the running lanes."""

import numpy as np
import pytest
from scipy import stats

from looplab.envs.core import IntArray
from looplab.envs.errors import UsageError
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
    model,
)

UP, DOWN, LEFT, RIGHT = range(4)
SAMPLES = 4_000
#: Chance that a right risk is called wrong, over all cells and actions together.
ERROR = 1e-3
VISITABLE = [c for c in range(CELLS) if divmod(c, COLUMNS) not in (*LAVA, GOAL)]


def _at(cell: int, num_lanes: int = SAMPLES, **settings: float) -> LavaShortcut:
    lanes = LavaShortcut(num_lanes, max_episode_steps=10_000, **settings)  # type: ignore[arg-type]
    lanes.reset()
    lanes.cell = np.full(num_lanes, cell, dtype=np.int64)
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
    lanes = _at(0, CELLS, slip=0.0)
    lanes.cell = np.arange(CELLS)
    step = lanes.step(np.full(CELLS, action))
    meant = np.array([_neighbour(cell, action) for cell in range(CELLS)])
    lava = np.isin(meant, [cell_of(cell) for cell in LAVA])
    np.testing.assert_array_equal(lanes.cell, np.where(lava, cell_of(START), meant))
    np.testing.assert_array_equal(step.cost, lava)
    np.testing.assert_array_equal(step.terminated, meant == cell_of(GOAL))
    np.testing.assert_allclose(step.reward, np.where(meant == cell_of(GOAL), 0.95, -0.05))
    np.testing.assert_array_equal(step.observation, np.eye(CELLS)[lanes.cell])
    assert not step.catastrophe.any()


def test_slips_go_to_each_side_half_the_time() -> None:
    lanes = _at(cell_of((1, 3)))
    lanes.step(np.full(SAMPLES, UP))
    counts = [int((lanes.cell == cell_of(c)).sum()) for c in ((0, 3), (1, 2), (1, 4))]
    assert sum(counts) == SAMPLES
    expected = np.array([0.8, 0.1, 0.1]) * SAMPLES
    assert stats.chisquare(counts, expected).pvalue > ERROR


def test_staying_never_slips() -> None:
    lanes = _at(cell_of((3, 3)), slip=1.0)
    step = lanes.step(np.full(SAMPLES, STAY))
    assert (lanes.cell == cell_of((3, 3))).all()
    assert not step.cost.any()


@pytest.mark.parametrize("slip", [0.2, 0.7])
def test_immediate_risk_is_how_often_running_lanes_violate(slip: float) -> None:
    lanes = _at(0, slip=slip)
    worst = 1.0
    tested = 0
    for cell in VISITABLE:
        for action in range(5):
            lanes.cell = np.full(SAMPLES, cell, dtype=np.int64)
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
    harm = model().harm
    assert set(harm[VISITABLE].round(9).ravel()) == {0.0, 0.1, 0.8}
    assert harm[cell_of((3, 3)), UP] == pytest.approx(0.8)
    assert harm[cell_of((3, 3)), RIGHT] == pytest.approx(0.1)
    assert harm[cell_of((2, 1)), UP] == pytest.approx(0.1)
    assert harm[cell_of((2, 1)), LEFT] == 0.0
    assert harm[cell_of((3, 3)), DOWN] == 0.0


def test_exact_risk_is_immediate_because_staying_is_safe() -> None:
    lanes = LavaShortcut(CELLS)
    lanes.reset()
    lanes.cell = np.arange(CELLS)
    exact, immediate = lanes.risk_table("exact"), lanes.risk_table("immediate")
    estimated = lanes.risk_table("estimated")
    assert exact is not None
    assert immediate is not None
    assert estimated is not None
    np.testing.assert_array_equal(estimated, immediate)
    not_goal = np.arange(CELLS) != cell_of(GOAL)
    np.testing.assert_allclose(exact[not_goal], immediate[not_goal], atol=1e-12)


def test_the_correction_reaches_the_goal_and_never_falls() -> None:
    """From every cell in which the agent can be, at least 99 of 100 times within 200 steps."""
    lanes = LavaShortcut(100 * len(VISITABLE), max_episode_steps=200)
    lanes.reset()
    lanes.cell = np.repeat(np.array(VISITABLE), 100)
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
    lanes.cell = np.array([cell_of((3, 3))])
    correction = lanes.correction()
    assert correction is not None
    assert correction[0] in (DOWN, STAY)


def test_potential_is_the_safe_value() -> None:
    lanes = LavaShortcut(CELLS)
    lanes.reset()
    assert lanes.potential() == pytest.approx(np.full(CELLS, 0.047), abs=0.0005)
    lanes.cell = np.arange(CELLS)
    potential = lanes.potential()
    assert potential is not None
    assert potential[cell_of(GOAL)] == 0.0
    assert potential[cell_of((2, 6))] > potential[cell_of((0, 0))]


def test_success_is_said_at_the_end_only() -> None:
    lanes = LavaShortcut(2, slip=0.0, max_episode_steps=2)
    lanes.reset()
    lanes.cell = np.array([cell_of((3, 5)), cell_of((0, 0))])
    step = lanes.step(np.array([RIGHT, RIGHT]))
    np.testing.assert_array_equal(step.success, [1.0, np.nan])
    step = lanes.step(np.array([STAY, STAY]), np.array([False, True]))
    np.testing.assert_array_equal(step.success, [np.nan, 0.0])
    np.testing.assert_array_equal(step.truncated, [False, True])


def test_arriving_with_the_last_step_is_a_termination_only() -> None:
    lanes = LavaShortcut(2, slip=0.0, max_episode_steps=1)
    lanes.reset()
    lanes.cell = np.array([cell_of((3, 5)), cell_of((3, 4))])
    step = lanes.step(np.array([RIGHT, RIGHT]))
    np.testing.assert_array_equal(step.terminated, [True, False])
    np.testing.assert_array_equal(step.truncated, [False, True])
    np.testing.assert_array_equal(step.success, [1.0, 0.0])


@pytest.mark.parametrize("slip", [-0.1, 1.1, float("nan"), "0.2", True])
def test_slip_must_be_a_probability(slip: object) -> None:
    with pytest.raises(UsageError, match=r"slip must be a number in \[0, 1\], got"):
        LavaShortcut(slip=slip)  # type: ignore[arg-type]
