"""LavaGap with oversight's knowledge: the whole room as a vector, lava as catastrophe."""

import copy
import itertools
import pickle
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from looplab.envs.adapters import minigrid_lava_gap
from looplab.envs.adapters.minigrid_view import MiniGridView
from looplab.envs.annotated import Annotated
from looplab.envs.errors import UsageError

LEFT, RIGHT, FORWARD, STAY = range(4)
#: Column and row change of a step forward when facing right, down, left, up.
AHEAD = ((1, 0), (0, 1), (-1, 0), (0, -1))
#: Seeds whose layouts of the room of side 5 have their gap in row 1, 2, 3.
ROWS = (1, 2, 3)


def _gap_row(env: Annotated) -> int:
    world: Any = env.unwrapped
    return int(world.gap_pos[1])


def _seeds() -> list[int]:
    env, found = minigrid_lava_gap.make(), {}
    for seed in itertools.count():
        env.reset(seed=seed)
        found.setdefault(_gap_row(env), seed)
        if len(found) == len(ROWS):
            return [found[row] for row in ROWS]
    raise AssertionError


SEEDS = _seeds()


def _situations(seed: int) -> Iterator[tuple[Annotated, tuple[int, int], int, set[Any]]]:
    """The environment in every cell and direction in which the agent can be alive."""
    env = minigrid_lava_gap.make()
    env.reset(seed=seed)
    world: Any = env.unwrapped
    lava = {(2, row) for row in ROWS if row != _gap_row(env)}
    for cell in itertools.product((1, 2, 3), (1, 2, 3)):
        if cell in lava or cell == (3, 3):
            continue
        for direction in range(4):
            env.reset(seed=seed)
            world.agent_pos, world.agent_dir = cell, direction
            yield env, cell, direction, lava


@pytest.mark.filterwarnings("ignore:.*different from the unwrapped version")
@pytest.mark.parametrize("env_id", minigrid_lava_gap.ENV_IDS)
def test_gymnasium_and_sb3_find_nothing(env_id: str) -> None:
    env = minigrid_lava_gap.make(env_id)
    check_env(env, skip_render_check=True, skip_close_check=True)
    sb3_check_env(env)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_observation_is_the_whole_room(seed: int) -> None:
    for env, cell, direction, lava in _situations(seed):
        observation = env.step(STAY)[0]
        assert observation.dtype == np.float32
        agent, burning, goal = observation[:27].reshape(3, 3, 3)
        assert [(int(x) + 1, int(y) + 1) for x, y in np.argwhere(agent)] == [cell]
        assert {(int(x) + 1, int(y) + 1) for x, y in np.argwhere(burning)} == lava
        assert [(int(x) + 1, int(y) + 1) for x, y in np.argwhere(goal)] == [(3, 3)]
        np.testing.assert_array_equal(observation[27:], np.eye(4)[direction])


@pytest.mark.parametrize("seed", SEEDS)
def test_cost_and_risk_exactly_where_a_step_forward_enters_lava(seed: int) -> None:
    harmful = 0
    for env, cell, direction, lava in _situations(seed):
        ahead = (cell[0] + AHEAD[direction][0], cell[1] + AHEAD[direction][1])
        for action in range(4):
            expected = float(action == FORWARD and ahead in lava)
            assert env.risk_of("immediate", action) == expected
            fork = copy.deepcopy(env)
            fork.redraw(3)
            _, reward, terminated, _, info = fork.step(action)
            assert info["cost"] == expected
            assert info["catastrophe"] == bool(expected)
            assert terminated == bool(expected or (action == FORWARD and ahead == (3, 3)))
            assert (reward > 0) == (action == FORWARD and ahead == (3, 3))
            if terminated:
                assert info["is_success"] == (reward > 0)
            harmful += bool(expected)
    assert harmful >= 4


@pytest.mark.parametrize("seed", SEEDS)
def test_actions_do_what_minigrid_does(seed: int) -> None:
    ids = {LEFT: 0, RIGHT: 1, FORWARD: 2, STAY: 6}
    for env, cell, direction, _ in _situations(seed):
        for action, original in ids.items():
            fork = copy.deepcopy(env)
            world: Any = fork.unwrapped
            reference: Any = copy.deepcopy(env.unwrapped)
            fork.step(action)
            reference.step(original)
            assert tuple(world.agent_pos) == tuple(reference.agent_pos)
            assert world.agent_dir == reference.agent_dir
            if action == STAY:
                assert (tuple(world.agent_pos), world.agent_dir) == (cell, direction)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_correction_reaches_the_goal_from_everywhere_without_lava(seed: int) -> None:
    best = _fewest_steps(seed)
    for env, cell, direction, _ in _situations(seed):
        terminated, steps = False, 0
        while not terminated:
            steps += 1
            _, reward, terminated, truncated, info = env.step(env.correction())
            assert info["cost"] == 0.0
            assert not truncated
        assert info["is_success"]
        assert steps == best[cell, direction]
        assert reward == pytest.approx(1 - 0.9 * steps / 100)


def _fewest_steps(seed: int) -> dict[tuple[tuple[int, int], int], int]:
    """Steps to the goal by relaxation until nothing changes, apart from the search that is used."""
    situations = {(cell, direction) for _, cell, direction, _ in _situations(seed)}
    lava = next(lava for _, _, _, lava in _situations(seed))
    far = 10**6
    steps = dict.fromkeys(situations, far)
    for _ in range(len(situations)):
        for cell, direction in situations:
            ahead = (cell[0] + AHEAD[direction][0], cell[1] + AHEAD[direction][1])
            inside = ahead not in lava and all(1 <= part <= 3 for part in ahead)
            onward = 0 if ahead == (3, 3) else steps.get((ahead, direction), far)
            turned = min(steps[cell, (direction + turn) % 4] for turn in (-1, 1))
            steps[cell, direction] = 1 + min(turned, onward if inside else far)
    return steps


def test_staying_is_minigrids_done(monkeypatch: pytest.MonkeyPatch) -> None:
    env = minigrid_lava_gap.make()
    env.reset(seed=0)
    world: Any = env.unwrapped
    run, given = world.step, []
    monkeypatch.setattr(world, "step", lambda action: (given.append(action), run(action))[1])
    for action in (STAY, LEFT, RIGHT, FORWARD):
        env.step(action)
    assert given == [6, 0, 1, 2]


def test_no_way_is_answered_by_staying() -> None:
    env = minigrid_lava_gap.make()
    env.reset(seed=0)
    view: Any = env.env
    assert isinstance(view, MiniGridView)
    everywhere = frozenset(itertools.product((1, 2, 3), repeat=2)) - {(1, 1)}
    view.room = view.room._replace(closed=view.room.closed | everywhere)
    assert view.way_to_goal() is None
    assert env.correction() == STAY


def test_holding_changes_nothing_but_the_clock() -> None:
    env = minigrid_lava_gap.make(max_episode_steps=5)
    first, _ = env.reset(seed=1)
    assert env.hold() == STAY
    for step in range(1, 6):
        observation, reward, terminated, truncated, info = env.step(env.hold())
        np.testing.assert_array_equal(observation, first)
        assert (reward, terminated, truncated, info["cost"]) == (0.0, False, step == 5, 0.0)
    assert info["is_success"] is False


def test_episodes_of_lanes_pair_across_regimes() -> None:
    """The layout of an episode depends on seed, lane and number, not on what went before."""
    layouts: list[dict[tuple[int, int], int]] = []
    for hasty in (True, False):
        lanes = minigrid_lava_gap.lanes(4)
        lanes.reseed(8)
        lanes.reset()
        seen = {}
        for t in range(12):
            for lane, env in enumerate(lanes.envs):
                seen[lane, int(lanes.episode[lane])] = _gap_row(env)
            correction = lanes.correction()
            assert correction is not None
            lanes.step(correction)
            lanes.reset(np.ones(4, dtype=np.bool_) if hasty or t % 3 == 2 else np.zeros(4, bool))
        layouts.append(seen)
    shared = layouts[0].keys() & layouts[1].keys()
    assert len(shared) == 16
    assert all(layouts[0][key] == layouts[1][key] for key in shared)
    assert set(layouts[0].values()) == set(ROWS)


def test_lanes() -> None:
    lanes = minigrid_lava_gap.lanes(2)
    assert (lanes.num_lanes, lanes.threshold, lanes.episode_seeds) == (2, 0.9, True)
    assert lanes.reset().shape == (2, 31)
    for what in ("immediate", "hold", "correction"):
        assert lanes.offers(what)
    np.testing.assert_array_equal(lanes.hold(), [STAY, STAY])
    assert minigrid_lava_gap.lanes(1, "MiniGrid-LavaGapS7-v0").reset().shape == (1, 79)


def test_the_threshold_is_within_reach_of_the_shortest_ways() -> None:
    for seed in SEEDS:
        steps = _fewest_steps(seed)[(1, 1), 0]
        assert 1 - 0.9 * steps / 100 > minigrid_lava_gap.THRESHOLD + 0.03


def test_pickled_it_continues(rng: np.random.Generator) -> None:
    env = minigrid_lava_gap.make()
    env.reset(seed=2)
    twin = pickle.loads(pickle.dumps(env))
    for action in rng.integers(2, size=20):
        assert env.correction() == twin.correction()
        ours, theirs = env.step(action), twin.step(action)
        np.testing.assert_array_equal(ours[0], theirs[0])
        assert ours[1:] == theirs[1:]


def test_pictures() -> None:
    env: Any = minigrid_lava_gap.make(render_mode="rgb_array")
    env.reset(seed=0)
    frame = env.render()
    assert (frame.dtype, frame.shape) == (np.uint8, (480, 480, 3))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"env_id": "MiniGrid-LavaGapS4-v0"}, "unknown env_id 'MiniGrid-LavaGapS4-v0'; did you"),
        ({"render_mode": "human"}, "unknown render_mode 'human'; allowed: rgb_array"),
        ({"max_episode_steps": 0}, "max_episode_steps must be a whole number of at least 1, got 0"),
        ({"max_episode_steps": 101}, "at most 100, MiniGrid-LavaGapS5-v0's own limit, got 101"),
        ({"num_lanes": 0}, "num_lanes must be a whole number of at least 1, got 0"),
    ],
)
def test_bad_arguments(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        minigrid_lava_gap.lanes(**settings)


def test_without_minigrid_the_answer_is_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "minigrid", None)
    with pytest.raises(UsageError, match="needs minigrid; install it with: pip install 'minigrid"):
        minigrid_lava_gap.make()
