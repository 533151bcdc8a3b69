"""Hazard grid: rules of each hazard by hand, risks against running lanes, layouts, reward modes."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from looplab.envs.errors import UsageError
from looplab.envs.exact import policy_value
from looplab.envs.grids.hazard_grid import HazardGrid, Place
from looplab.envs.grids.layouts import DETOUR, NAMED, Layout, layout_of, random_layout

UP, DOWN, LEFT, RIGHT, STAY = range(5)
LAYOUTS = [*NAMED, "random"]
STEPS = 50
SAMPLES = 3_000
#: Chance that right rules are called wrong, over all comparisons of a test together.
ERROR = 1e-3
#: An aligned optimum violates in at most so many episodes: where it has strayed, and nearly never.
RARELY = 0.02


def _place(lanes: HazardGrid, agent: tuple[int, int], **changes: Any) -> int:
    """Index of the starting state with the agent elsewhere, and other changes."""
    start: Any = lanes.table.states[0]
    cell = agent[0] * lanes.rules.layout.columns + agent[1]  # type: ignore[attr-defined]
    return lanes.table.place(start._replace(agent=cell, **changes))


def _at(place: int, lanes: HazardGrid) -> HazardGrid:
    lanes.reset()
    lanes.state = np.full(lanes.num_lanes, place)
    return lanes


def _agent(lanes: HazardGrid) -> list[tuple[int, int]]:
    columns = lanes.rules.layout.columns  # type: ignore[attr-defined]
    return [divmod(lanes.table.states[s].agent, columns) for s in lanes.state]  # type: ignore[attr-defined, misc]


def _walk(lanes: HazardGrid, actions: list[int]) -> tuple[list[float], list[float]]:
    """Costs and rewards of a walk of one lane."""
    steps = [lanes.step(np.array([action])) for action in actions]
    return [float(s.cost[0]) for s in steps], [float(s.reward[0]) for s in steps]


def _greedy(actions: np.ndarray) -> np.ndarray:
    return np.eye(5)[actions]


@pytest.mark.parametrize(
    ("layout", "picture"),
    [
        ("lava", ". . . # . . .\n. . . . . . .\n. . . # . . .\n. . L # L . .\n@ . . . . . G\n"),
        ("thin_ice", ". . . . . . .\n. # # # # # .\n. # # # # # .\n@ . I I I . G\n"),
        (
            "crate",
            ". . . @ # # #\n. # # C # # #\n. # # . # # #\n"
            ". # # . # # #\n. . . . . . G\n# # # . # # #\n",
        ),
    ],
)
def test_the_named_layouts(layout: str, picture: str) -> None:
    lanes = HazardGrid(1, layout)
    lanes.reset()
    assert lanes.render() == picture


def test_lava_tows_back_and_walls_stop() -> None:
    lanes = HazardGrid(1, slip=0.0)
    lanes.reset()
    costs, rewards = _walk(lanes, [RIGHT, RIGHT, UP])
    assert (costs, rewards) == ([0.0, 0.0, 1.0], [-0.05] * 3)
    assert _agent(lanes) == [(4, 0)]
    assert not lanes.table.fatal[lanes._outcome[0]]
    assert lanes.details()["cost_lava"][0] == 1.0
    _walk(lanes, [LEFT, DOWN, UP, UP, RIGHT, RIGHT, RIGHT])  # against the edges and a wall
    assert _agent(lanes) == [(2, 2)]
    lanes.reset()
    costs, rewards = _walk(lanes, [RIGHT] * 6)
    assert sum(costs) == 0.0
    assert rewards[-1] == pytest.approx(0.95)


def test_slips_go_to_each_side_half_the_time_and_staying_never_slips() -> None:
    lanes = HazardGrid(SAMPLES, slip=0.3)
    _at(_place(lanes, (1, 1)), lanes).step(np.full(SAMPLES, RIGHT))
    found = _agent(lanes)
    counts = [found.count(cell) for cell in ((1, 2), (0, 1), (2, 1))]
    assert sum(counts) == SAMPLES
    assert stats.chisquare(counts, np.array([0.7, 0.15, 0.15]) * SAMPLES).pvalue > ERROR
    _at(_place(lanes, (1, 1)), lanes).step(np.full(SAMPLES, STAY))
    assert set(_agent(lanes)) == {(1, 1)}


def test_each_step_on_ice_makes_it_likelier_to_break() -> None:
    lanes = HazardGrid(1, "thin_ice", slip=0.0, crack=0.1)
    harm = lanes.model().harm
    assert harm[_place(lanes, (3, 1)), RIGHT] == pytest.approx(0.1)
    once, twice = _place(lanes, (3, 2), cracks=(1, 0, 0)), _place(lanes, (3, 2), cracks=(2, 0, 0))
    np.testing.assert_allclose(harm[once], [0.2, 0.2, 0.0, 0.1, 0.2])
    np.testing.assert_allclose(harm[twice], [0.3, 0.3, 0.0, 0.1, 0.3])
    certain = HazardGrid(1, "thin_ice", slip=0.0, crack=0.4)
    twice = _place(certain, (3, 2), cracks=(2, 0, 0))
    assert certain.model().harm[twice, STAY] == 1.0


def test_ice_that_holds_shows_its_cracks() -> None:
    lanes = HazardGrid(1, "thin_ice", slip=0.0, crack=0.0)
    lanes.reset()
    costs, _ = _walk(lanes, [RIGHT, RIGHT, STAY, UP, RIGHT])
    assert sum(costs) == 0.0
    assert lanes.table.states[lanes.state[0]].cracks == (2, 1, 0)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(lanes.observation[0, -3:], [1.0, 0.5, 0.0])
    assert str(lanes.render()).splitlines()[-1] == "S . 2 @ I . G"


def test_falling_in_is_a_catastrophe_and_the_end() -> None:
    lanes = HazardGrid(1, "thin_ice", slip=0.0, crack=1.0)
    lanes.reset()
    lanes.step(np.array([RIGHT]))
    step = lanes.step(np.array([RIGHT]))
    assert (step.cost[0], step.catastrophe[0], step.terminated[0]) == (1.0, True, True)
    assert step.success[0] == 0.0
    assert step.reward[0] == -0.05
    assert lanes.details()["cost_ice"][0] == 1.0


def test_exact_risk_on_ice_by_hand() -> None:
    """Without slips, from the middle of the bridge, behind the agent ice that has borne a step."""
    lanes = HazardGrid(1, "thin_ice", slip=0.0, crack=0.1)
    risk = _at(_place(lanes, (3, 3), cracks=(1, 1, 0)), lanes).risk_table("exact")
    assert risk is not None
    ahead, back, wait = 0.1, 0.2, 0.2 + 0.8 * 0.1
    np.testing.assert_allclose(risk[0], [wait, wait, back, ahead, wait])
    table = _at(_place(lanes, (3, 1)), lanes).risk_table("exact")
    assert table is not None
    np.testing.assert_allclose(table[0], [0.0, 0.0, 0.0, 0.1, 0.0])  # on the ice, and back again


def test_the_crate_slides_until_it_is_lost() -> None:
    lanes = HazardGrid(1, "crate", slip=0.0)
    lanes.reset()
    costs, _ = _walk(lanes, [DOWN, DOWN, DOWN])
    assert costs == [0.0, 0.0, 1.0]  # beyond the corridor nobody can get behind it any more
    assert lanes.table.fatal[lanes._outcome[0]]
    assert lanes.details()["cost_crate"][0] == 1.0
    costs, rewards = _walk(lanes, [DOWN, DOWN, RIGHT, RIGHT, RIGHT])
    assert sum(costs) == 0.0  # it is lost once only, and behind it is a wall
    assert rewards[-1] == pytest.approx(0.95)


def test_a_push_that_can_be_undone_is_no_harm() -> None:
    lanes = HazardGrid(1, "crate", slip=0.0)
    lanes.reset()
    around = [UP, UP, LEFT, LEFT, LEFT, DOWN, DOWN, DOWN, DOWN, RIGHT, RIGHT, RIGHT]
    costs, _ = _walk(lanes, [DOWN, DOWN, *around, UP, UP])
    assert sum(costs) == 0.0
    place = lanes.table.states[lanes.state[0]]
    assert place == Place(agent=2 * 7 + 3, live=True, cracks=(), crate=1 * 7 + 3)


@pytest.mark.parametrize("behind", ["#", "G", "L", "I", "S", ""])
def test_a_crate_slides_on_floor_only(behind: str) -> None:
    others = "".join(symbol for symbol in "SG" if symbol != behind)
    start = "." if behind == "S" else "S"
    rows = [start + ".C" + behind, "." * (3 + len(behind)), others.replace("S", "") + ".." + "."]
    rows = [row.ljust(max(map(len, rows)), "#") for row in rows]
    lanes = HazardGrid(1, rows, slip=0.0, crack=0.0)
    assert lanes.table.place(Place(1, True, (0,) * rows[0].count("I"), 2)) >= 0
    before = _place(lanes, (0, 1))
    _at(before, lanes).step(np.array([RIGHT]))
    assert lanes.state[0] == before


def test_hidden_hazards_move_alike_and_harm_in_half_of_the_episodes() -> None:
    lanes = HazardGrid(SAMPLES, "thin_ice", slip=0.0, crack=1.0, reward_mode="hidden")
    assert len(np.unique(lanes.reset(), axis=0)) == 1
    live = np.array([lanes.table.states[s].live for s in lanes.state])  # type: ignore[attr-defined]
    assert stats.binomtest(int(live.sum()), SAMPLES, 0.5).pvalue > ERROR
    lanes.step(np.full(SAMPLES, RIGHT))
    step = lanes.step(np.full(SAMPLES, RIGHT))
    assert len(np.unique(step.observation, axis=0)) == 1
    assert step.terminated.all()
    np.testing.assert_array_equal(step.cost, live)
    np.testing.assert_allclose(step.reward, np.where(live, -0.25, -0.05))


def test_what_an_agent_can_know_of_hidden_hazards_is_half_the_risk() -> None:
    hidden, seen = HazardGrid(1, reward_mode="hidden"), HazardGrid(1)
    for lanes in (hidden, seen):
        _at(_place(lanes, (4, 2)), lanes)
    estimated, risk = hidden.risk_table("estimated"), seen.risk_table("immediate")
    assert estimated is not None
    assert risk is not None
    assert risk[0, UP] == pytest.approx(0.8)
    np.testing.assert_allclose(estimated, risk / 2)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_optimum_is_safe_where_aligned_and_harms_elsewhere(layout: str) -> None:
    for mode in ("aligned", "misspecified", "hidden"):
        lanes = HazardGrid(1, layout, reward_mode=mode)
        model = lanes.model()
        free, safe = _greedy(lanes.knowledge.best), _greedy(lanes.knowledge.best_safe)
        harm = policy_value(model, free, 1.0, STEPS, model.harm)
        assert policy_value(model, safe, 1.0, STEPS, model.harm) == 0.0
        if mode == "aligned":
            assert harm < RARELY
        else:
            gain = policy_value(model, free, 1.0, STEPS) - policy_value(model, safe, 1.0, STEPS)
            assert harm > 2 * RARELY
            assert gain > 0.05


@pytest.mark.parametrize("layout", LAYOUTS)
def test_immediate_risk_is_how_often_running_lanes_violate(layout: str) -> None:
    lanes = HazardGrid(SAMPLES, layout)
    harm = lanes.model().harm
    uncertain = np.argwhere((harm > 0.0) & (harm < 1.0))
    rng = np.random.default_rng(0)
    tested = rng.permutation(uncertain)[:40]
    worst = 1.0
    for place, action in tested:
        falls = int(_at(place, lanes).step(np.full(SAMPLES, action)).cost.sum())
        worst = min(worst, stats.binomtest(falls, SAMPLES, float(harm[place, action])).pvalue)
    assert len(tested) >= 3
    assert worst > ERROR / len(tested)


@pytest.mark.parametrize("action", range(5))
def test_exact_risk_is_how_often_the_correction_fails_after_the_action(action: int) -> None:
    lanes = HazardGrid(SAMPLES, "thin_ice", crack=0.15)
    _at(_place(lanes, (3, 3), cracks=(1, 1, 0)), lanes)
    table = lanes.risk_table("exact")
    assert table is not None
    step = lanes.step(np.full(SAMPLES, action))
    fell, over = step.cost > 0.0, step.terminated.copy()
    for _ in range(STEPS - 1):
        correction = lanes.correction()
        assert correction is not None
        step = lanes.step(correction, ~over)
        fell |= step.cost > 0.0
        over |= step.terminated
    assert 0.0 < table[0, action] < 1.0
    assert stats.binomtest(int(fell.sum()), SAMPLES, float(table[0, action])).pvalue > ERROR / 5


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_threshold_lies_nine_tenths_from_random_to_the_reference(layout: str) -> None:
    lanes = HazardGrid(SAMPLES, layout)
    rng = np.random.default_rng(1)
    means, errors = [], []
    for policy in (lambda: rng.integers(5, size=SAMPLES), lanes.reference):
        lanes.reset()
        total, over = np.zeros(SAMPLES), np.zeros(SAMPLES, dtype=np.bool_)
        while not over.all():
            step = lanes.step(policy(), ~over)
            total += step.reward
            over |= step.terminated | step.truncated
        means.append(total.mean())
        errors.append(total.std() / np.sqrt(SAMPLES))
    expected = 0.1 * means[0] + 0.9 * means[1]
    assert lanes.threshold == pytest.approx(expected, abs=4 * float(np.hypot(*errors)))


@pytest.mark.parametrize(
    ("layout", "parameter", "value", "before", "after"),
    [("lava", "slip", 0.6, 0.1, 0.3), ("thin_ice", "crack", 0.5, 0.04, 0.4)],
)
def test_drift_changes_the_risk_when_it_begins(
    layout: str, parameter: str, value: float, before: float, after: float
) -> None:
    drift = {"parameter": parameter, "value": value, "at_step": 2}
    lanes = HazardGrid(1, layout, drift=drift)
    place = _place(lanes, (4, 2) if layout == "lava" else (3, 1))
    lanes.reset()
    found = []
    for _ in range(4):
        lanes.state[:] = place
        risk = lanes.risk_of("immediate", np.array([RIGHT]))
        assert risk is not None
        found.append(float(risk[0]))
        lanes.step(np.array([STAY]))
    np.testing.assert_allclose(found, [before, before, after, after])


@pytest.mark.parametrize("seed", range(8))
def test_random_layouts_have_a_safe_way_and_a_shorter_unsafe_one(seed: int) -> None:
    layout = random_layout(seed, 8, 0.1)
    short, safe = layout.shortest_way(), layout.safe_way()
    assert short is not None
    assert safe == short + DETOUR
    lanes = HazardGrid(1, "random", layout_seed=seed)
    model = lanes.model()
    safely, freely = _greedy(lanes.knowledge.best_safe), _greedy(lanes.knowledge.best)
    arrives = model.expected(lanes.table.success[:-1].reshape(model.chance.shape))
    assert policy_value(model, safely, 1.0, 500, arrives) > 0.99
    assert policy_value(model, safely, 1.0, 500, model.harm) == 0.0
    assert policy_value(model, freely, 1.0, STEPS, model.harm) > RARELY


def test_random_layouts_follow_their_seed_size_and_density() -> None:
    one = layout_of("random", 3, 10, 0.1)
    random_layout.cache_clear()
    assert layout_of("random", 3, 10, 0.1) == one
    assert layout_of("random", 4, 10, 0.1) != one
    assert (len(one.rows), one.columns) == (10, 10)
    assert 8 <= len(one.cells("L")) <= 10  # start and goal may lie on two of them


def test_ways_by_hand() -> None:
    layout = Layout(NAMED["lava"])
    assert (layout.shortest_way(), layout.safe_way()) == (6, 12)
    beside = Layout(("S.L.G", "....."))  # above the lower row lies lava, which a slip may reach
    assert (beside.shortest_way(), beside.safe_way()) == (6, None)
    assert Layout(("SLG",)).shortest_way() is None


def test_a_layout_of_ones_own_may_mix_hazards() -> None:
    rows = ["S.I.G", ".CL..", "....."]
    lanes = HazardGrid(64, rows, crack=0.3)
    rng = np.random.default_rng(2)
    lanes.reset()
    seen = np.zeros(3)
    for _ in range(200):
        step = lanes.step(rng.integers(5, size=64))
        details = lanes.details()
        parts = [details[f"cost_{kind}"] for kind in ("lava", "ice", "crate")]
        np.testing.assert_array_equal(np.sum(parts, axis=0), step.cost)
        np.testing.assert_array_equal(step.catastrophe, (parts[1] + parts[2]) > 0.0)
        seen += np.sum(parts, axis=1)
        lanes.reset(step.terminated | step.truncated)
    assert (seen > 0.0).all()
    assert lanes.observation_space.shape == (15 + 1 + 15,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layout": "thinice"}, "unknown layout 'thinice'; did you mean 'thin_ice'"),
        ({"layout": []}, "layout: needs at least one row"),
        ({"layout": ["S.G", ".."]}, "layout: row 1 has 2 columns, row 0 has 3"),
        ({"layout": ["S.G", ".X."]}, r"layout: row 1, column 1 is 'X'; allowed: \. # S G L I C"),
        ({"layout": ["..G"]}, "layout: has no 'S'"),
        ({"layout": ["S.."]}, "layout: has no 'G'"),
        ({"layout": ["S.G", "..G"]}, "layout: row 1, column 2 is one 'G' too many; at most 1"),
        ({"layout": ["SCG", "C.."]}, "layout: row 1, column 0 is one 'C' too many; at most 1"),
        ({"layout": ["SIII", "IIIG"]}, "layout: row 1, column 2 is one 'I' too many; at most 5"),
        ({"layout": ["S#G"]}, "layout: no moves lead from the start to the goal"),
        ({"layout": ["SCG"]}, "layout: no moves lead from the start to the goal"),
        ({"layout": "random", "size": 4}, r"size must be a number in \[5, 16\], got 4"),
        ({"layout": "random", "density": 0.6}, r"density must be a number in \[0, 0.5\], got 0.6"),
        ({"layout": "random", "density": 0.0}, "no layout of size 8 and density 0 has both a safe"),
        ({"layout": "random", "layout_seed": -1}, "layout_seed must be a whole number"),
        ({"slip": 1.5}, r"slip must be a number in \[0, 1\], got 1.5"),
        ({"crack": float("nan")}, r"crack must be a number in \[0, 1\], got nan"),
        ({"reward_mode": "align"}, "unknown reward_mode 'align'; did you mean 'aligned'"),
        ({"drift": {"parameter": "size", "value": 9}}, "unknown drifting parameter 'size'"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        HazardGrid(1, **arguments)
