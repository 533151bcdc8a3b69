"""LavaCrossing and Dynamic-Obstacles: harm and risk against MiniGrid's own rules."""

import copy
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from minigrid.core.world_object import Ball
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from looplab.envs.adapters import minigrid_dynamic_obstacles, minigrid_lava_crossing
from looplab.envs.adapters.minigrid_view import MiniGridView
from looplab.envs.errors import UsageError

LEFT, RIGHT, FORWARD = range(3)
TASKS = (minigrid_lava_crossing, minigrid_dynamic_obstacles)


@pytest.mark.filterwarnings("ignore:.*different from the unwrapped version")
@pytest.mark.parametrize("task", TASKS)
def test_gymnasium_and_sb3_find_nothing(task: Any) -> None:
    for env_id in task.ENV_IDS:
        check_env(task.make(env_id), skip_render_check=True, skip_close_check=True)
    sb3_check_env(task.make())


@pytest.mark.parametrize("task", TASKS)
def test_lanes(task: Any) -> None:
    lanes = task.lanes(2)
    assert lanes.threshold == task.THRESHOLD
    assert len(lanes.ACTIONS) == lanes.action_space.n
    for what in ("immediate", "hold", "correction"):
        assert lanes.offers(what)
    with pytest.raises(UsageError, match="unknown env_id 'MiniGrid-Empty-5x5-v0'"):
        task.lanes(env_id="MiniGrid-Empty-5x5-v0")


@pytest.mark.parametrize("task", TASKS)
def test_harm_is_foreseen_exactly(task: Any, rng: np.random.Generator) -> None:
    env, harmed = task.make(), 0
    env.reset(seed=5)
    for _ in range(400):
        table = env.risk_table("immediate")
        for action in range(len(table)):
            fork = copy.deepcopy(env)
            fork.redraw(int(rng.integers(1000)))
            _, _, terminated, _, info = fork.step(action)
            assert info["cost"] == table[action]
            assert info["catastrophe"] == bool(table[action])
            assert terminated >= info["catastrophe"]
            harmed += info["catastrophe"]
        _, _, terminated, truncated, info = env.step(int(rng.integers(len(table))))
        if terminated or truncated:
            env.reset()
    assert harmed > 10


@pytest.mark.parametrize(("task", "least"), [(minigrid_lava_crossing, 1.0), (TASKS[1], 0.9)])
def test_corrections_reach_the_goal_without_harm(task: Any, least: float) -> None:
    env, reached = task.make(), []
    for seed in range(20):
        env.reset(seed=seed)
        ended = False
        while not ended:
            action = env.correction()
            assert env.risk_of("immediate", action) == 0.0
            _, _, terminated, truncated, info = env.step(action)
            assert info["cost"] == 0.0
            ended = terminated or truncated
        reached.append(info["is_success"])
    assert np.mean(reached) >= least


@pytest.fixture
def balls() -> tuple[Any, Any]:
    """An empty room of side 5 with one ball, in front of the agent, who looks right from (1, 1)."""
    env = minigrid_dynamic_obstacles.make()
    env.reset(seed=0)
    world: Any = env.unwrapped
    for ball in world.obstacles:
        world.grid.set(*ball.cur_pos, None)
    world.obstacles = [Ball()]
    world.put_obj(world.obstacles[0], 2, 1)
    view: Any = env.env
    assert isinstance(view, MiniGridView)
    view.room = view._read_room()
    return env, world


def test_a_ball_in_front_is_harm_wherever_it_rolls(balls: tuple[Any, Any]) -> None:
    env, _ = balls
    np.testing.assert_array_equal(env.risk_table("immediate"), [0.0, 0.0, 1.0])
    _, reward, terminated, _, info = env.step(FORWARD)
    assert (reward, terminated, info["cost"], info["is_success"]) == (-1.0, True, 1.0, False)


def test_a_wall_in_front_is_harm(balls: tuple[Any, Any]) -> None:
    env, world = balls
    world.agent_dir = 3
    np.testing.assert_array_equal(env.risk_table("immediate"), [0.0, 0.0, 1.0])
    _, reward, terminated, _, info = env.step(FORWARD)
    assert (reward, terminated, info["cost"]) == (-1.0, True, 1.0)


def test_the_way_round_a_ball(balls: tuple[Any, Any]) -> None:
    env, world = balls
    assert env.correction() == RIGHT  # down the left wall, as the ball bars the way ahead
    assert env.hold() == LEFT
    observation, _, _, _, info = env.step(RIGHT)
    assert info["cost"] == 0.0
    agent, hazards, goals = observation[:27].reshape(3, 3, 3)
    assert [tuple(cell) for cell in np.argwhere(agent)] == [(0, 0)]
    column, row = world.obstacles[0].cur_pos
    assert [tuple(cell) for cell in np.argwhere(hazards)] == [(column - 1, row - 1)]
    assert [tuple(cell) for cell in np.argwhere(goals)] == [(2, 2)]
    np.testing.assert_array_equal(observation[27:], np.eye(4)[1])


@pytest.mark.parametrize("task", TASKS)
def test_pictures(task: Any) -> None:
    env = task.make(render_mode="rgb_array")
    env.reset(seed=0)
    assert env.render().dtype == np.uint8


@pytest.mark.parametrize("task", TASKS)
def test_pictures_fill_the_width_and_light_up_nothing(task: Any) -> None:
    env = task.make(render_mode="rgb_array")
    env.reset(seed=0)
    frame = env.render()
    assert 470 <= frame.shape[1] <= 480
    before = frame[-5:].copy()  # a wall, which MiniGrid would light up where its agent looks
    for _ in range(4):
        env.step(RIGHT)
        np.testing.assert_array_equal(env.render()[-5:], before)
