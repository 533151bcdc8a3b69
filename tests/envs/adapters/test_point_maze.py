"""PointMaze: touches of walls, foreseen in the simulator."""

from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from looplab.envs.adapters import point_maze
from looplab.envs.errors import UsageError

pytest.importorskip("gymnasium_robotics")


@pytest.mark.filterwarnings("ignore:.*different from the unwrapped version")
@pytest.mark.filterwarnings("ignore:.*Box observation space .* value is -?infinity")
def test_gymnasium_finds_nothing() -> None:
    check_env(point_maze.make(), skip_render_check=True, skip_close_check=True)


def test_touches_happen_at_walls_alone_and_are_foreseen() -> None:
    env, plain = point_maze.make(horizon=1), point_maze.make()
    env.reset(seed=0)
    plain.reset(seed=0)
    world: Any = env.unwrapped
    rng, costs = np.random.default_rng(0), []
    for step in range(300):
        if step % 25 == 0:
            force = rng.uniform(-1, 1, 2).astype(np.float32)
        risk = env.risk_of("immediate", force)
        ours, theirs = env.step(force), plain.step(force)
        np.testing.assert_array_equal(ours[0], theirs[0])
        assert ours[4]["cost"] == risk
        # In a maze of unit cells the ball, 0.1 wide, is at a wall where a closed cell is so near.
        maze, place = world.maze, world.point_env.data.qpos
        cells = {
            tuple(maze.cell_xy_to_rowcol(place + 0.102 * np.array(side)))
            for side in ((1, 0), (-1, 0), (0, 1), (0, -1), (0, 0))
        }
        if ours[4]["cost"]:
            near = [
                abs(place - maze.cell_rowcol_to_xy(np.array(cell))).max() < 0.62
                for cell in np.argwhere([[c == 1 for c in row] for row in maze.maze_map])
            ]
            assert any(near), (place, cells)
        costs.append(risk)
        if ours[2] or ours[3]:
            break
    assert 0.05 < np.mean(costs) < 0.95


def test_whoever_brakes_where_it_is_risky_touches_no_wall(rng: np.random.Generator) -> None:
    env, refused, steps = point_maze.make(max_episode_steps=100), 0, 0
    for seed in range(6):
        env.reset(seed=seed)
        over = False
        while not over:
            if steps % 12 == 0:
                force = rng.uniform(-1, 1, 2).astype(np.float32)
            risky = env.risk_of("immediate", force) > 0.0
            _, _, terminated, truncated, info = env.step(env.hold() if risky else force)
            assert info["cost"] == 0.0
            refused += risky
            steps += 1
            over = terminated or truncated
    assert 0.05 * steps < refused < 0.95 * steps


def test_the_correction_brakes() -> None:
    env = point_maze.make()
    env.reset(seed=0)
    world: Any = env.unwrapped
    for _ in range(5):
        env.step(np.ones(2, np.float32))
    before = np.abs(world.point_env.data.qvel).sum()
    for _ in range(5):
        env.step(env.correction())
    assert np.abs(world.point_env.data.qvel).sum() < before
    np.testing.assert_array_equal(env.hold(), env.correction())


def test_bad_arguments() -> None:
    with pytest.raises(UsageError, match="unknown env_id 'PointMaze_UMaze-v9'"):
        point_maze.lanes(env_id="PointMaze_UMaze-v9")
