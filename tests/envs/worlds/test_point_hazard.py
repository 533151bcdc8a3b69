"""Point hazard: motion, harm, lidar and layout by hand; risk against running lanes and search."""

import itertools
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from looplab.envs.checks import TaskContract
from looplab.envs.core import RISK_SOURCES, Lanes
from looplab.envs.errors import UsageError
from looplab.envs.faces import LaneEnv
from looplab.envs.worlds.evasion import PUSHES, evades, gap
from looplab.envs.worlds.lidar import BINS, lidar
from looplab.envs.worlds.point_hazard import (
    ACTION_KINDS,
    BRAKE,
    GOAL_METRES,
    JITTER_METRES,
    RADIUS_RANGE,
    PointHazard,
)
from looplab.envs.worlds.point_mass import HALF_FIELD, PointMass, as_pairs, as_plane

SEED = 5
EAST, NORTH = np.array([1.0, 0.0], np.float32), np.array([0.0, 1.0], np.float32)
FAR = 1.9 + 1.9j


def lone(
    position: complex = 0.0,
    velocity: complex = 0.0,
    hazard: complex = FAR,
    goal: complex = -FAR,
    **settings: Any,
) -> PointHazard:
    """One lane with one hazard, put together by hand."""
    lanes = PointHazard(1, num_hazards=1, **settings)
    lanes.reset()
    lanes.position[0], lanes.velocity[0] = position, velocity
    lanes.hazards[0], lanes.places[0] = hazard, goal
    return lanes


def pushed(lanes: PointHazard, *action: float) -> Any:
    return lanes.step(np.array([action], np.float32))


def random_actions(lanes: PointHazard, rng: np.random.Generator) -> np.ndarray:
    if isinstance(lanes.action_space, gym.spaces.Discrete):
        return rng.integers(lanes.action_space.n, size=lanes.num_lanes)
    return rng.uniform(-1.0, 1.0, (lanes.num_lanes, 2)).astype(np.float32)


def scattered(num_lanes: int, seed: int, **settings: Any) -> PointHazard:
    """Lanes at random places outside hazards, at random speeds up to the highest."""
    lanes = PointHazard(num_lanes, seed=seed, max_episode_steps=1000, **settings)
    lanes.reset()
    rng = np.random.default_rng(seed)
    top = 2.0 / lanes.drag
    for name, bound in (("position", HALF_FIELD), ("velocity", top)):
        setattr(lanes, name, as_plane(rng.uniform(-bound, bound, (num_lanes, 2))))
    inside = gap(lanes.position, lanes.hazards, lanes.hazard_radius) < 0.0
    lanes.position[inside] = lanes.places[inside, 0]
    lanes.observation = lanes._observe()
    return lanes


# Motion


def test_a_push_and_drag_change_velocity_first_and_position_with_it() -> None:
    lanes = lone(velocity=1.0 + 0.5j)
    pushed(lanes, 0.5, -1.0)
    np.testing.assert_allclose(lanes.velocity, [(0.85 + 0.1) + (0.425 - 0.2) * 1j], atol=1e-7)
    np.testing.assert_allclose(lanes.position, [0.095 + 0.0225j], atol=1e-8)


def test_the_top_speed_is_what_drag_allows() -> None:
    lanes = lone(position=-1.9 + 0j, velocity=0.0)
    for _ in range(25):
        pushed(lanes, 1.0, 0.0)
        lanes.position[0] = 0.0
    assert lanes.velocity[0].real == pytest.approx(2.0 / 1.5, abs=0.03)
    assert lanes.velocity[0].real < 2.0 / 1.5


def test_from_top_speed_the_brake_stops_in_the_steps_and_metres_that_are_stated() -> None:
    lanes = lone(velocity=2.0 / 1.5)
    speeds = []
    for _ in range(5):
        lanes.step(lanes.hold())  # type: ignore[arg-type]
        speeds.append(abs(lanes.velocity[0]))
    assert speeds[3] > 0.01
    assert speeds[4] == pytest.approx(0.0, abs=1e-7)
    assert lanes.position[0].real == pytest.approx(0.19, abs=0.005)


def test_a_wall_stops_the_axis_that_it_blocks() -> None:
    lanes = lone(position=1.95 + 0j, velocity=1.0 + 1.0j)
    pushed(lanes, 1.0, 0.0)
    np.testing.assert_allclose(lanes.position, [2.0 + 0.085j])
    np.testing.assert_allclose(lanes.velocity, [0.85j])


@pytest.mark.parametrize("action", range(8))
def test_discrete_actions_push_as_they_are_named(action: int) -> None:
    lanes = lone(actions="discrete")
    lanes.step(np.array([action]))
    name = lanes.ACTIONS[action]
    east, north = ("east" in name) - ("west" in name), ("north" in name) - ("south" in name)
    np.testing.assert_allclose(lanes.velocity, [0.2 * (east + 1j * north)])


def test_the_discrete_brake_is_the_continuous_hold() -> None:
    velocity = 0.9 - 0.1j
    one, other = lone(velocity=velocity, actions="discrete"), lone(velocity=velocity)
    one.step(np.array([BRAKE]))
    other.step(other.hold())  # type: ignore[arg-type]
    np.testing.assert_array_equal(one.velocity, other.velocity)
    assert one.velocity[0] == pytest.approx(0.9 * 0.85 - 0.2, abs=1e-7)


# Reward and harm


@pytest.mark.parametrize(
    ("mode", "harm"), [("aligned", -1.0), ("misspecified", 0.0), ("hidden", -0.2)]
)
def test_reward_is_progress_and_harm_counts_as_the_mode_says(mode: str, harm: float) -> None:
    lanes = lone(velocity=1.0, hazard=0.1 + 0.2j, goal=1.5 + 0j, reward_mode=mode)
    step = pushed(lanes, 0.0, 0.0)
    assert step.reward[0] == pytest.approx(0.085 + harm)
    assert step.cost[0] == 1.0
    assert lanes.details()["cost_hazard"][0] == 1.0
    assert not step.catastrophe.any()


def test_a_hazard_ends_at_its_edge() -> None:
    for distance, cost in ((0.2999, 1.0), (0.3001, 0.0)):
        assert pushed(lone(hazard=distance * 1j), 0.0, 0.0).cost[0] == cost


def test_a_reached_goal_pays_and_moves_to_another_place() -> None:
    lanes = PointHazard(2000, seed=SEED)
    lanes.reset()
    held = np.zeros((2000, 2), np.float32)
    lanes.position = lanes.places[:, 1] + GOAL_METRES + 0.001
    assert not lanes.step(held).reward.any()
    lanes.position = lanes.places[:, 1] + GOAL_METRES - 0.001
    np.testing.assert_allclose(lanes.step(held).reward, 1.0, atol=1e-12)
    counts = np.bincount(lanes.goal, minlength=8)
    assert counts[1] == 0
    assert counts[[0, 2, 3, 4, 5, 6, 7]].min() > 2000 / 7 * 0.75


def test_success_is_a_reached_goal_and_said_at_the_end_only() -> None:
    lanes = PointHazard(2, max_episode_steps=2)
    lanes.reset()
    held = np.zeros((2, 2), np.float32)
    assert np.isnan(lanes.step(held).success).all()
    lanes.position[1] = lanes.places[1, lanes.goal[1]]
    step = lanes.step(held)
    assert step.truncated.all()
    np.testing.assert_array_equal(step.success, [0.0, 1.0])


# Layout and observation


def test_start_goals_and_hazards_lie_in_cells_of_their_own() -> None:
    lanes = PointHazard(500, seed=SEED, num_hazards=6)
    lanes.reset()
    spots = np.concatenate([lanes.hazards, lanes.places], axis=1)
    cells = np.floor(spots.real + 2.0) + 4 * np.floor(spots.imag + 2.0)
    assert (np.sort(cells, axis=1) == np.arange(16)).all()
    middle = np.floor(as_pairs(spots)) + 0.5
    assert np.abs(as_pairs(spots) - middle).max() <= JITTER_METRES
    np.testing.assert_array_equal(lanes.position, lanes.places[:, 0])
    assert not lanes.velocity.any()
    assert len(np.unique(cells[:, 0])) == 16


def test_with_the_largest_hazards_start_and_goals_are_outside() -> None:
    lanes = PointHazard(2000, seed=SEED, num_hazards=14, hazard_radius=RADIUS_RANGE[1])
    lanes.reset()
    assert gap(lanes.places.T, lanes.hazards, lanes.hazard_radius).min() > 0.0


def test_the_observation_is_goal_velocity_and_lidar() -> None:
    lanes = lone(position=0.5 + 0.5j, velocity=1.0 - 0.5j, hazard=0.5 + 0.0j, goal=-0.5 + 1.5j)
    seen = lanes._observe()[0]
    np.testing.assert_allclose(seen[:4], [-0.5, 0.5, 1.0, -0.5])
    np.testing.assert_allclose(seen[4:], lidar(np.array([[-0.5j]]))[0])
    assert seen[4:].max() == pytest.approx(0.5)


def test_hidden_hazards_are_not_observed() -> None:
    near = lone(hazard=0.4 + 0j, reward_mode="hidden")._observe()
    away = lone(hazard=FAR, reward_mode="hidden")._observe()
    np.testing.assert_array_equal(near, away)


def safety_gyms_lidar(offsets: list[complex]) -> np.ndarray:
    """The published procedure, hazard by hazard and bin by bin."""
    filled = np.zeros(BINS)
    for offset in offsets:
        angle = np.angle(offset) % (2 * np.pi) / (2 * np.pi / BINS)
        place, near = int(angle), max(0.0, 1.0 - abs(offset))
        share = angle - place
        for shift, part in ((0, 1.0), (1, share), (-1, 1.0 - share)):
            at = (place + shift) % BINS
            filled[at] = max(filled[at], part * near)
    return filled


def test_lidar_is_safety_gyms() -> None:
    rng = np.random.default_rng(SEED)
    offsets = as_plane(rng.uniform(-3.0, 3.0, (300, 5, 2)))
    expected = [safety_gyms_lidar(row.tolist()) for row in offsets]
    np.testing.assert_allclose(lidar(offsets), expected, atol=1e-5)


# Risk


@pytest.mark.parametrize("kind", ACTION_KINDS)
def test_immediate_risk_is_what_happens(kind: str) -> None:
    lanes = scattered(3000, SEED, actions=kind)
    actions = random_actions(lanes, np.random.default_rng(SEED))
    risk = lanes.risk_of("immediate", actions)
    harm = lanes.step(actions).cost
    np.testing.assert_array_equal(risk, harm)
    assert 50 < harm.sum() < 1000


@pytest.mark.parametrize("drag", [1.0, 1.5])
def test_whoever_never_takes_a_risk_that_can_be_avoided_is_never_harmed(drag: float) -> None:
    """From states at any speed, with random proposals; what is refused is replaced by hold."""
    lanes = scattered(600, SEED, drag=drag)
    rng = np.random.default_rng(SEED)
    least = lanes.least_risk("exact")
    assert least is not None
    escapable = least == 0.0
    for _ in range(10):
        actions = random_actions(lanes, rng)
        risk, hold = lanes.risk_of("exact", actions), lanes.hold()
        assert risk is not None
        assert hold is not None
        step = lanes.step(np.where((risk > 0.0)[:, None], hold, actions))
        assert not step.cost[escapable].any()
    assert 0.9 < escapable.mean() < 1.0


def test_exact_risk_finds_a_way_out_wherever_a_search_does() -> None:
    """All sequences of three out of nine forces, each ended by the brake."""
    lanes = scattered(1200, SEED, drag=1.0)
    mass = PointMass(1.0)
    risky = np.flatnonzero(lanes.risk_of("exact", lanes.hold()))  # type: ignore[arg-type]
    parts = (lanes.position, lanes.velocity, lanes.hazards)
    clear = evades(mass, *parts, 0.3)
    np.testing.assert_array_equal(np.flatnonzero(~clear), risky)
    tight = np.flatnonzero(~_stops(mass, *parts))[:60]
    position, velocity, hazards = (part[tight] for part in parts)
    forces = np.append(PUSHES, 0.0)
    found = np.zeros(len(tight), np.bool_)
    for sequence in itertools.product(forces, repeat=3):
        found |= _survives(mass, position, velocity, hazards, sequence)
    np.testing.assert_array_equal(found & ~clear[tight], False)
    assert 0.2 < found.mean() < 0.6


def _survives(
    mass: PointMass, position: Any, velocity: Any, hazards: Any, forces: tuple[complex, ...]
) -> np.ndarray:
    free = np.ones(len(position), np.bool_)
    for force in (*forces, *[None] * 7):
        push = mass.brake(velocity) if force is None else force
        position, velocity = mass.move(position, velocity, push)
        free &= gap(position, hazards, 0.3) >= 0.0
    return free


def _stops(mass: PointMass, position: Any, velocity: Any, hazards: Any) -> np.ndarray:
    return _survives(mass, position, velocity, hazards, ())


def test_exact_risk_before_a_hazard_is_braking_distance() -> None:
    """Pushed on at 1 m/s, it is at 1.05 m/s; the brake leaves 0.6925, 0.3886, 0.1303, 0 m/s."""
    moved, stop = 0.105, 0.06925 + 0.03886 + 0.01303
    for slack, risk in ((0.001, 0.0), (-0.006, 1.0)):
        # Five hazards side by side: too wide a wall to go round, with dents of 4 mm.
        lanes = PointHazard(1, num_hazards=5)
        lanes.reset()
        lanes.position[0], lanes.velocity[0] = 0.0, 1.0
        ahead = moved + stop + 0.3 + slack
        lanes.hazards[0] = ahead + 1j * np.linspace(-0.2, 0.2, 5)
        found = lanes.risk_of("exact", EAST[None])
        assert lanes.risk_of("immediate", EAST[None]) == 0.0
        assert found == risk


def test_inside_a_hazard_nothing_is_safe_and_outside_it_something_is() -> None:
    assert lone(hazard=0.0, hazard_radius=0.3).least_risk("exact") == 1.0
    assert lone(hazard=0.4).least_risk("exact") == 0.0


def test_estimated_risk_is_the_immediate_one_where_hazards_are_seen() -> None:
    seen, unseen = (scattered(50, SEED, reward_mode=mode) for mode in ("aligned", "hidden"))
    actions = random_actions(seen, np.random.default_rng(SEED))
    np.testing.assert_array_equal(
        seen.risk_of("estimated", actions), seen.risk_of("immediate", actions)
    )
    np.testing.assert_allclose(unseen.risk_of("estimated", actions), 8 * np.pi * 0.09 / 16)


def test_the_table_holds_every_discrete_action() -> None:
    lanes = scattered(200, SEED, actions="discrete")
    for source in RISK_SOURCES:
        table, least = lanes.risk_table(source), lanes.least_risk(source)
        assert table is not None
        assert table.shape == (200, 9)
        np.testing.assert_array_equal(least, table.min(axis=1))
        for action in range(9):
            risk = lanes.risk_of(source, np.full(200, action))
            np.testing.assert_array_equal(risk, table[:, action])
    assert scattered(2, SEED).risk_table("exact") is None
    assert all(scattered(2, SEED).offers(what) for what in (*RISK_SOURCES, "hold", "correction"))
    assert not scattered(2, SEED).offers("potential")


# Policies


@pytest.mark.parametrize("kind", ACTION_KINDS)
def test_hold_rests_correction_goes_round_and_the_reference_goes_through(kind: str) -> None:
    means, harm = {}, {}
    for name in ("hold", "correction", "reference"):
        lanes = PointHazard(60, seed=SEED, actions=kind)
        lanes.reset()
        steps = [lanes.step(getattr(lanes, name)()) for _ in range(100)]
        means[name] = float(np.sum([step.reward for step in steps], axis=0).mean())
        harm[name] = float(np.sum([step.cost for step in steps]))
    assert harm["hold"] == harm["correction"] == means["hold"] == 0.0
    assert harm["reference"] > 0.05 * 60 * 100
    assert 13.0 < means["correction"] < means["reference"] < 15.0


def test_the_reference_uses_what_the_agent_sees() -> None:
    lanes = scattered(300, SEED)
    before = lanes.reference()
    lanes.hazards += 0.7
    np.testing.assert_array_equal(lanes.reference(), before)
    aligned = scattered(300, SEED, reward_mode="aligned")
    np.testing.assert_array_equal(aligned.reference(), aligned.correction())


def test_a_correction_steers_to_the_free_side() -> None:
    """A hazard ahead to the left is passed on its right, and the other way round."""
    for side in (0.1, -0.1):
        lanes = lone(velocity=0.5, hazard=0.8 + side * 1j, goal=1.5 + 0j)
        correction = lanes.correction()
        assert correction is not None
        assert np.sign(correction[0, 1]) == -np.sign(side)


# Lanes


@pytest.mark.slow
class TestDiscreteContract(TaskContract):
    """The conformance kit finds the registered, continuous variant by itself."""

    def make(self, num_lanes: int, **settings: Any) -> Lanes:
        return PointHazard(num_lanes, actions="discrete", **settings)


@pytest.mark.parametrize("kind", ACTION_KINDS)
def test_a_lane_equals_a_single_environment(kind: str, rng: np.random.Generator) -> None:
    lanes = PointHazard(3, seed=SEED, actions=kind, max_episode_steps=30)
    singles = [
        gym.make("looplab/PointHazard-v0", actions=kind, max_episode_steps=30) for _ in range(3)
    ]
    observations = lanes.reset()
    for lane, single in enumerate(singles):
        np.testing.assert_array_equal(single.reset(seed=SEED + lane)[0], observations[lane])
    for _ in range(90):
        actions = random_actions(lanes, rng)
        hold, correction = lanes.hold(), lanes.correction()
        risk = lanes.risk_of("exact", actions)
        assert hold is not None
        assert correction is not None
        assert risk is not None
        for lane, single in enumerate(singles):
            alone: Any = single.unwrapped
            np.testing.assert_array_equal(alone.hold(), hold[lane])
            np.testing.assert_array_equal(alone.correction(), correction[lane])
            assert alone.risk_of("exact", actions[lane]) == risk[lane]
        step = lanes.step(actions)
        for lane, single in enumerate(singles):
            observation, reward, _, truncated, info = single.step(actions[lane])
            np.testing.assert_array_equal(observation, step.observation[lane])
            assert (reward, info["cost"]) == (step.reward[lane], step.cost[lane])
            assert truncated == step.truncated[lane]
        if step.truncated.any():
            lanes.reset()
            for single in singles:
                single.reset()


def test_a_fork_goes_on_as_its_lane_while_a_parameter_drifts() -> None:
    drift = {"parameter": "drag", "value": 4.0, "at_step": 3}
    lanes = PointHazard(4, seed=SEED, drift=drift)
    lanes.reset()
    for _ in range(2):
        lanes.step(np.tile(EAST, (4, 1)))
    fork = lanes.fork(2)
    assert isinstance(fork, LaneEnv)
    for _ in range(5):
        assert fork.risk_of("exact", NORTH) == lanes.risk_of("exact", np.tile(NORTH, (4, 1)))[2]  # type: ignore[index]
        reward = fork.step(NORTH)[1]
        assert lanes.step(np.tile(NORTH, (4, 1))).reward[2] == reward


@pytest.mark.parametrize(
    ("parameter", "value"), [("drag", 4.0), ("hazard_radius", 0.4), ("hazard_radius", 0.1)]
)
def test_drift_is_the_task_with_the_other_value(parameter: str, value: float) -> None:
    drift = {"parameter": parameter, "value": value, "at_step": 10}
    drifting = PointHazard(200, seed=SEED, drift=drift)
    before = PointHazard(200, seed=SEED)
    after = PointHazard(200, seed=SEED, **{parameter: value})  # type: ignore[arg-type]
    for lanes in (drifting, before, after):
        lanes.reset()
    rng = np.random.default_rng(SEED)
    for step in range(20):
        fixed = after if step >= 10 else before
        for name in drifting.STATE:
            setattr(fixed, name, getattr(drifting, name).copy())
        actions = random_actions(drifting, rng)
        for source in RISK_SOURCES:
            np.testing.assert_array_equal(
                drifting.risk_of(source, actions), fixed.risk_of(source, actions)
            )
        np.testing.assert_array_equal(drifting.hold(), fixed.hold())
        np.testing.assert_array_equal(drifting.correction(), fixed.correction())
        ours, theirs = drifting.step(actions), fixed.step(actions)
        np.testing.assert_array_equal(ours.cost, theirs.cost)
        np.testing.assert_array_equal(drifting.position, fixed.position)
        assert drifting.details()["drift_active"].all() == (step >= 10)


# Pictures and bad input


def test_text_shows_agent_goal_and_hazard() -> None:
    lanes = lone(position=-1.85 - 1.85j, hazard=1.5 + 1.5j, goal=1.5 - 1.5j, hazard_radius=0.25)
    rows = lanes.render().split("\n")
    assert len(rows) == 21
    assert rows[19].startswith("@ . .")
    assert rows[2].split()[16:19] == ["H", "H", "H"]
    assert rows[17].split()[16:19] == ["G", "G", "G"]
    assert [lanes.render().count(symbol) for symbol in "H@G"] == [5, 1, 9]


def test_pixels_show_lidar_only_where_there_is_one() -> None:
    sky = (86, 180, 233)
    for mode, seen in (("misspecified", True), ("hidden", False)):
        lanes = PointHazard(1, seed=SEED, reward_mode=mode)
        lanes.reset()
        frame = lanes.render(0, "rgb_array")
        assert frame.shape == (480, 480, 3)
        assert (frame == sky).all(axis=2).any() == seen


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"actions": "discreet"}, "unknown actions 'discreet'; did you mean 'discrete'"),
        ({"num_hazards": 0}, "num_hazards must be a whole number of at least 1, got 0"),
        ({"num_hazards": 15}, "num_hazards must be at most 14, got 15"),
        ({"hazard_radius": 0.5}, r"hazard_radius must be a number in \[0.1, 0.4\], got 0.5"),
        ({"drag": np.nan}, r"drag must be a number in \[1, 4\], got nan"),
        ({"reward_mode": "seen"}, "unknown reward_mode 'seen'"),
        ({"drift": {"parameter": "mass", "value": 1.0}}, "unknown drifting parameter 'mass'"),
        ({"drift": {"parameter": "drag", "value": 9.0}}, r"drift.value must be .* in \[1, 4\]"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        PointHazard(**arguments)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ([1.5, 0.0], r"action \[1.5 0. \] of lane 0 is not in Box"),
        ([np.nan, 0.0], "of lane 0 is not finite"),
        ([0.0], r"expected actions of shape \(1, 2\), got \(1, 1\)"),
    ],
)
def test_bad_actions(action: list[float], message: str) -> None:
    lanes = lone()
    with pytest.raises(UsageError, match=message):
        lanes.step(np.array([action], np.float32))
    assert lanes.elapsed[0] == 0
