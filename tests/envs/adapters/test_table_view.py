"""FrozenLake and Taxi: harm, exact risk, hold and correction from the environments' tables."""

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from looplab.envs.adapters import frozen_lake, taxi
from looplab.envs.annotated import Annotated
from looplab.envs.errors import UsageError

LEFT, DOWN, RIGHT, UP = range(4)
HOLES = (5, 7, 11, 12)
GOAL = 15
SOUTH, NORTH, EAST, WEST, PICK_UP, DROP_OFF = range(6)
#: Row and column of red, green, yellow and blue.
STANDS = ((0, 0), (0, 4), (4, 0), (4, 3))


def _at(env: Annotated, state: int) -> Annotated:
    env.reset(seed=0)
    world: Any = env.unwrapped
    world.s = state
    return env


@pytest.mark.filterwarnings("ignore:.*different from the unwrapped version")
@pytest.mark.parametrize("make", [frozen_lake.make, taxi.make])
def test_gymnasium_and_sb3_find_nothing(make: Callable[[], Annotated]) -> None:
    check_env(make(), skip_render_check=True, skip_close_check=True)
    sb3_check_env(make())


# FrozenLake


def test_a_fall_is_harm_and_ends_the_episode() -> None:
    env = frozen_lake.make(is_slippery=False)
    for state, action, new in ((4, RIGHT, 5), (8, DOWN, 12), (14, RIGHT, GOAL), (0, DOWN, 4)):
        _at(env, state)
        observation, reward, terminated, _, info = env.step(action)
        np.testing.assert_array_equal(observation, np.eye(16)[new])
        assert info["cost"] == float(new in HOLES)
        assert info["catastrophe"] is (new in HOLES)
        assert terminated == (new in (*HOLES, GOAL))
        assert info.get("is_success") == {GOAL: True, 4: None}.get(new, False)
        assert reward == (new == GOAL)


def test_immediate_risk_counts_the_three_ways_to_slip() -> None:
    env = _at(frozen_lake.make(), 4)  # the hole 5 lies to the right
    np.testing.assert_allclose(env.risk_table("immediate"), [0, 1 / 3, 1 / 3, 1 / 3])
    env = _at(frozen_lake.make(success_rate=0.6), 4)
    np.testing.assert_allclose(env.risk_table("immediate"), [0, 0.2, 0.6, 0.2])
    assert env.risk_table("estimated") is None


def test_exact_risk_is_what_the_safest_policy_still_meets() -> None:
    risk = {state: _at(frozen_lake.make(), state).risk_table("exact") for state in (0, 6, 14)}
    assert risk[0] is not None
    assert risk[0][UP] == 0.0  # along the upper wall nobody slips into a hole
    assert (risk[0][:UP] > 0).all()
    # From 6, between two holes, the best is to slip up or down each third: 1/3 at least.
    assert risk[6] is not None
    assert 1 / 3 < risk[6].min() < 1 / 2


def test_exact_risk_agrees_with_the_safest_policy_by_monte_carlo() -> None:
    state, runs = 9, 3000
    expected = _at(frozen_lake.make(), state).risk_table("exact")
    assert expected is not None
    env = frozen_lake.make()
    world: Any = env.unwrapped
    falls = 0
    env.reset(seed=11)
    for _ in range(runs):
        env.reset()
        world.s, terminated, truncated = state, False, False
        while not (terminated or truncated):
            _, _, terminated, truncated, info = env.step(env.correction())
        falls += bool(info["cost"])
    low = expected.min()
    assert abs(falls / runs - low) < 4 * np.sqrt(low * (1 - low) / runs)


def test_without_slipping_the_correction_reaches_the_goal() -> None:
    env = frozen_lake.make(is_slippery=False)
    env.reset(seed=0)
    steps, terminated = 0, False
    while not terminated:
        _, reward, terminated, truncated, info = env.step(env.correction())
        assert info["cost"] == 0.0
        assert not truncated
        steps += 1
    assert (steps, reward, info["is_success"]) == (6, 1.0, True)


def test_holding_is_the_safe_action_that_changes_least() -> None:
    env = _at(frozen_lake.make(is_slippery=False), 0)
    assert env.hold() in (LEFT, UP)
    env = _at(frozen_lake.make(), 0)
    assert env.hold() == UP


def test_the_lake_is_drawn() -> None:
    env = _at(frozen_lake.make(render_mode="ansi"), 1)
    assert env.render() == "S @ . .\n. L . L\n. . . L\nL . . G\n"
    pixels: Any = _at(frozen_lake.make(render_mode="rgb_array"), 1)
    assert pixels.render().dtype == np.uint8
    assert frozen_lake.make().render() is None


# Taxi


def _ride(row: int, column: int, passenger: int, destination: int) -> int:
    return int(np.ravel_multi_index((row, column, passenger, destination), taxi.PARTS))


def test_the_observation_is_row_column_passenger_and_destination() -> None:
    env = _at(taxi.make(), _ride(3, 2, 4, 1))
    observation = env.step(NORTH)[0]
    expected = np.concatenate([np.eye(5)[2], np.eye(5)[2], np.eye(5)[4], np.eye(4)[1]])
    np.testing.assert_array_equal(observation, expected)


def test_harm_and_risk_exactly_where_it_is_illegal() -> None:
    env = taxi.make()
    for row, column in ((0, 0), (0, 4), (4, 0), (4, 3), (2, 2)):
        for passenger in range(5):
            for destination in range(4):
                place, waits = (row, column), passenger < 4
                pick = waits and STANDS[passenger] == place
                drop = not waits and place in STANDS
                expected = [0.0, 0.0, 0.0, 0.0, float(not pick), float(not drop)]
                state = _ride(row, column, passenger, destination)
                for source in ("immediate", "exact"):
                    np.testing.assert_array_equal(_at(env, state).risk_table(source), expected)
                for action in (SOUTH, PICK_UP, DROP_OFF):
                    _, reward, terminated, _, info = _at(env, state).step(action)
                    assert info["cost"] == expected[action]
                    assert (reward == -10) == bool(expected[action])
                    arrived = drop and action == DROP_OFF and STANDS[destination] == place
                    assert terminated == arrived
                    assert info["catastrophe"] is False


def test_corrections_are_worth_the_optimum() -> None:
    env = taxi.make()
    returns = []
    for seed in range(300):
        env.reset(seed=seed)
        total, terminated = 0.0, False
        while not terminated:
            _, reward, terminated, truncated, info = env.step(env.correction())
            assert info["cost"] == 0.0
            assert not truncated
            total += reward
        assert info["is_success"]
        returns.append(total)
    error = np.std(returns) / np.sqrt(len(returns))
    assert abs(np.mean(returns) - 7.93) < 4 * error


def test_lanes_have_names_for_their_actions() -> None:
    lanes = taxi.lanes(2, max_episode_steps=30)
    assert lanes.ACTIONS == ("south", "north", "east", "west", "pick up", "drop off")
    assert lanes.reset().shape == (2, 19)
    for what in ("immediate", "exact", "hold", "correction"):
        assert lanes.offers(what)
    assert not lanes.offers("estimated")
    assert frozen_lake.lanes(1, "FrozenLake8x8-v1").reset().shape == (1, 64)


@pytest.mark.parametrize("make", [frozen_lake.make, taxi.make])
def test_pickled_it_continues(make: Callable[[], Annotated], rng: np.random.Generator) -> None:
    env = make()
    env.reset(seed=3)
    twin = pickle.loads(pickle.dumps(env))
    for action in rng.integers(4, size=10):
        np.testing.assert_array_equal(env.risk_table("exact"), twin.risk_table("exact"))
        np.testing.assert_array_equal(env.step(action)[0], twin.step(action)[0])


@pytest.mark.parametrize(
    ("lanes", "settings", "message"),
    [
        (frozen_lake.lanes, {"env_id": "FrozenLake-v2"}, "unknown env_id 'FrozenLake-v2'; did"),
        (frozen_lake.lanes, {"success_rate": 2}, r"success_rate must be a number in \[0, 1\]"),
        (frozen_lake.lanes, {"render_mode": "human"}, "allowed: ansi, rgb_array"),
        (taxi.lanes, {"max_episode_steps": 0}, "max_episode_steps must be a whole number of at"),
        (taxi.lanes, {"num_lanes": 0}, "num_lanes must be a whole number of at least 1, got 0"),
    ],
)
def test_bad_arguments(lanes: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        lanes(**settings)
