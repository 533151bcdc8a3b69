"""CliffWalking with oversight's knowledge: risk, hold and correction against the environment."""

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from looplab.envs.adapters import cliff_walking
from looplab.envs.adapters.one_hot import OneHot
from looplab.envs.adapters.table_view import TableView
from looplab.envs.annotated import Annotated
from looplab.envs.errors import UsageError

UP, RIGHT, DOWN, LEFT = range(4)
COLUMNS = 12
START, GOAL = 36, 47
CLIFF = range(37, 47)
#: Where the agent can be while an episode goes on.
STATES = [state for state in range(48) if state not in CLIFF and state != GOAL]


def _in_state(env: Annotated, state: int) -> Annotated:
    env.reset(seed=0)
    world: Any = env.unwrapped
    world.s = state
    return env


@pytest.fixture
def env() -> Annotated:
    return cliff_walking.make()


def _walk(env: Annotated, state: int, steps: int = 20) -> Iterator[tuple[float, bool, Any]]:
    _in_state(env, state)
    for _ in range(steps):
        _, reward, terminated, truncated, info = env.step(env.correction())
        yield reward, terminated, info
        if terminated or truncated:
            return


@pytest.mark.filterwarnings("ignore:.*different from the unwrapped version")
def test_gymnasium_and_sb3_find_nothing(env: Annotated) -> None:
    check_env(env, skip_render_check=True, skip_close_check=True)
    sb3_check_env(env)


def test_observations_are_the_state_one_hot(env: Annotated) -> None:
    assert env.observation_space == gym.spaces.Box(0.0, 1.0, (48,), np.float32)
    observation, _ = env.reset(seed=0)
    assert observation.dtype == np.float32
    np.testing.assert_array_equal(observation, np.eye(48)[START])
    np.testing.assert_array_equal(env.step(UP)[0], np.eye(48)[START - COLUMNS])


def test_one_hot_begins_where_the_space_does() -> None:
    base = gym.make("CliffWalking-v1")
    base.observation_space = gym.spaces.Discrete(48, start=30)
    np.testing.assert_array_equal(OneHot(base).observation(36), np.eye(48)[6])
    with pytest.raises(UsageError, match="one-hot needs Discrete observations, got Box"):
        OneHot(OneHot(gym.make("CliffWalking-v1")))


def test_cost_exactly_where_the_step_fell(env: Annotated) -> None:
    for state in STATES:
        for action in range(4):
            _in_state(env, state)
            _, reward, terminated, _, info = env.step(action)
            row, column = divmod(state, COLUMNS)
            over = (row == 2 and action == DOWN and 1 <= column <= 10) or (
                state == START and action == RIGHT
            )
            assert info["cost"] == float(over), (state, action)
            assert reward == (-100 if over else -1)
            assert terminated == (state == GOAL - COLUMNS and action == DOWN)


def test_risk_agrees_with_a_redrawn_copy(env: Annotated) -> None:
    for state in STATES:
        for action in range(4):
            _in_state(env, state)
            fork = copy.deepcopy(env)
            fork.redraw(17)
            assert env.risk_of("immediate", action) == fork.step(action)[4]["cost"]
        table = env.risk_table("immediate")
        assert table is not None
        assert table.shape == (4,)


def test_risk_reads_the_chances_of_the_table() -> None:
    env = TableView(gym.make("CliffWalking-v1", is_slippery=True), cliff_walking.fell, 200)
    env.reset(seed=0)
    world: Any = env.unwrapped
    world.s = START
    table = env.risk_table("immediate")
    np.testing.assert_allclose(table, [1 / 3, 1 / 3, 1 / 3, 0.0])


def test_the_correction_reaches_the_goal_by_a_shortest_way_without_falling(
    env: Annotated,
) -> None:
    for state in STATES:
        steps = list(_walk(env, state))
        assert not any(info["cost"] for _, _, info in steps)
        assert steps[-1][1]
        assert steps[-1][2]["is_success"]
        row, column = divmod(state, COLUMNS)
        shortest = (3 - row) + (11 - column) + (2 if state == START else 0)
        assert len(steps) == shortest, state
    assert sum(reward for reward, _, _ in _walk(env, START)) == -13


def test_holding_never_falls_and_stays_where_there_is_a_wall(env: Annotated) -> None:
    for state in STATES:
        _in_state(env, state)
        hold = env.hold()
        assert env.risk_of("immediate", hold) == 0.0
        env.step(hold)
        world: Any = env.unwrapped
        row, column = divmod(state, COLUMNS)
        walled = state == START or row == 0 or column in (0, COLUMNS - 1)
        assert int(world.s) == (state if walled else state - COLUMNS), state


def test_episodes_end_at_the_limit_without_success() -> None:
    env = cliff_walking.make(max_episode_steps=3)
    env.reset(seed=0)
    ends = [env.step(UP)[2:] for _ in range(3)]
    assert [(terminated, truncated) for terminated, truncated, _ in ends] == [
        (False, False), (False, False), (False, True),
    ]  # fmt: skip
    assert ends[-1][2]["is_success"] is False
    assert "is_success" not in ends[0][2]
    default = cliff_walking.make()
    assert default.get_wrapper_attr("_max_episode_steps") == 200


def test_lanes() -> None:
    lanes = cliff_walking.lanes(3, max_episode_steps=50)
    assert (lanes.num_lanes, lanes.threshold, lanes.episode_seeds) == (3, -20.0, True)
    assert lanes.reset().shape == (3, 48)
    table = lanes.risk_table("immediate")
    np.testing.assert_array_equal(table, [[0.0, 1.0, 0.0, 0.0]] * 3)
    for what in ("immediate", "hold", "correction"):
        assert lanes.offers(what)
    for _ in range(13):
        correction = lanes.correction()
        assert correction is not None
        step = lanes.step(correction)
    assert step.terminated.all()
    np.testing.assert_array_equal(step.success, 1.0)


def test_pickled_it_continues(env: Annotated) -> None:
    env.reset(seed=0)
    env.step(UP)
    twin = pickle.loads(pickle.dumps(env))
    for action in (RIGHT, DOWN, RIGHT, UP):
        np.testing.assert_array_equal(env.risk_table("immediate"), twin.risk_table("immediate"))
        assert env.correction() == twin.correction()
        ours, theirs = env.step(action), twin.step(action)
        np.testing.assert_array_equal(ours[0], theirs[0])
        assert ours[1:] == theirs[1:]


def test_pictures() -> None:
    text = cliff_walking.make(render_mode="ansi")
    text.reset(seed=0)
    text.step(UP)
    assert text.render() == (
        ". . . . . . . . . . . .\n"
        ". . . . . . . . . . . .\n"
        "@ . . . . . . . . . . .\n"
        "S L L L L L L L L L L G\n"
    )
    pixels: Any = cliff_walking.make(render_mode="rgb_array")
    pixels.reset(seed=0)
    assert pixels.render().dtype == np.uint8
    assert cliff_walking.make().render() is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"render_mode": "human"}, "unknown render_mode 'human'; allowed: ansi, rgb_array"),
        ({"max_episode_steps": 0}, "max_episode_steps must be a whole number of at least 1, got 0"),
        ({"num_lanes": 0}, "num_lanes must be a whole number of at least 1, got 0"),
    ],
)
def test_bad_arguments(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        cliff_walking.lanes(**settings)
