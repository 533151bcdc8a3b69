"""Plain rivals have the rules of the tasks that they race against, chance by chance."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from looplab.envs.faces import LaneEnv
from looplab.envs.grids.classics.absent_supervisor import AbsentSupervisor
from looplab.envs.grids.classics.cliff_walking import CliffWalking
from looplab.envs.grids.classics.distributional_shift import DistributionalShift
from looplab.envs.grids.classics.island_navigation import IslandNavigation
from looplab.envs.grids.classics.off_switch import OffSwitch
from looplab.envs.grids.classics.sokoban import Sokoban
from looplab.envs.grids.classics.whisky_gold import WhiskyGold
from looplab.envs.grids.hazard_grid import HazardGrid
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.envs.native import NativeLanes
from looplab.envs.tabular import TabularLanes
from looplab.experiments.bench_envs import plain_rivals

#: Columns of the board, and what a rival calls the other parts of a state, which follow the cell.
TABLES: dict[str, tuple[type[TabularLanes], int, tuple[str, ...]]] = {
    "absent_supervisor": (AbsentSupervisor, 8, ("watched",)),
    "cliff_walking_native": (CliffWalking, 12, ()),
    "distributional_shift": (DistributionalShift, 9, ()),
    "hazard_grid": (HazardGrid, 7, ()),
    "island_navigation": (IslandNavigation, 8, ()),
    "lava_shortcut": (LavaShortcut, 7, ()),
    "off_switch": (OffSwitch, 8, ("coming", "disabled")),
    "whisky_gold": (WhiskyGold, 8, ("drunk",)),
}
TASKS: dict[str, Callable[[int], NativeLanes]] = {
    **{name: task for name, (task, *_) in TABLES.items()},
    "sokoban": Sokoban,
}
LAVA = ("hazard_grid", "lava_shortcut")
#: An action that changes nothing at the start.
HELD = {"cliff_walking_native": 3, "hazard_grid": 4, "lava_shortcut": 4}
#: Slips to each side have chance 0.1 and random moves 0.225, so that forty evenly spread numbers
#: show all chances exactly.
LUCK = [(number + 0.5) / 40 for number in range(40)]
STEPS = 3000
#: Observation, reward, cost, end, success and details of a step, with its chance.
Chances = dict[tuple[Any, ...], float]


class Loaded:
    """A generator that draws a number of one's choice."""

    def __init__(self, number: float) -> None:
        self.random = lambda: number


def _put(env: Any, name: str, state: Any) -> None:
    """Puts a rival in a state of the table."""
    _, columns, flags = TABLES[name]
    cell, *others = state if isinstance(state, tuple) else (state,)
    env.position = divmod(cell, columns)
    for flag, value in zip(flags, others, strict=False):
        setattr(env, flag, value)


def _plain(env: Any, name: str, lanes: TabularLanes, state: Any, action: int) -> Chances:
    found: Chances = defaultdict(float)
    for number in LUCK:
        env.reset()
        env.np_random = Loaded(number)
        _put(env, name, state)
        observation, reward, terminated, truncated, info = env.step(action)
        assert not truncated
        assert ("is_success" in info) is terminated
        details = [info[detail] for detail in lanes.rules.DETAILS]
        kinds = [info[f"cost_{kind}"] for kind in lanes.COSTS if f"cost_{kind}" in info]
        assert sum(kinds) == info["cost"]
        success = info.get("is_success", False)
        key = round(reward, 9), info["cost"], terminated, success, *details
        found[observation.tobytes(), *key] += 1 / len(LUCK)
    return found


def _own(lanes: TabularLanes, place: int, action: int) -> Chances:
    model, table = lanes.model(), lanes.table
    found: Chances = defaultdict(float)
    for outcome in range(model.chance.shape[2]):
        at = (place, action, outcome)
        flat = int(np.ravel_multi_index(at, model.chance.shape))
        seen = table.observations[model.successor[at]].tobytes()
        key = round(float(table.gain[flat]), 9), table.harm[flat], bool(table.ends[flat])
        details = table.details[flat].tolist()
        found[seen, *key, bool(table.success[flat]), *details] += float(model.chance[at])
    return {key: chance for key, chance in found.items() if chance > 0.0}


def test_every_grid_task_has_a_rival() -> None:
    assert set(plain_rivals()) == set(TASKS)


@pytest.mark.parametrize("name", TASKS)
def test_a_plain_rival_sees_and_does_what_the_task_does(name: str) -> None:
    env, lanes = plain_rivals()[name](), TASKS[name](1)
    assert env.observation_space == lanes.observation_space
    assert env.action_space == lanes.action_space


@pytest.mark.parametrize("name", TABLES)
def test_a_plain_rival_has_the_same_rules(name: str) -> None:
    env, lanes = plain_rivals()[name](), TABLES[name][0](1)
    tested = 0
    for place, state in enumerate(lanes.table.states):
        model = lanes.model()
        if model.ends[place].all() and not model.gain[place].any():
            continue  # the episode has ended
        tested += 1
        for action in range(len(lanes.ACTIONS)):
            plain = _plain(env, name, lanes, state, action)
            assert plain == pytest.approx(_own(lanes, place, action))
    assert tested >= 15


@pytest.mark.parametrize("name", TABLES)
def test_a_plain_rival_begins_alike(name: str) -> None:
    env, lanes = plain_rivals()[name](), TABLES[name][0](1)
    flags = TABLES[name][2]
    plain: Chances = defaultdict(float)
    for number in LUCK:
        env.np_random = Loaded(number)
        observation, _ = env.reset()
        plain[observation.tobytes(), *(getattr(env, flag) for flag in flags)] += 1 / len(LUCK)
    own: Chances = defaultdict(float)
    for place in lanes.table.starts:
        state = lanes.table.states[place]
        parts = state[1 : 1 + len(flags)] if isinstance(state, tuple) else ()
        own[lanes.table.observations[place].tobytes(), *parts] = lanes.model().start[place]
    assert plain == pytest.approx(own)


@pytest.mark.parametrize("name", LAVA)
def test_a_plain_rival_knows_the_same_risk(name: str) -> None:
    env: Any = plain_rivals()[name]()
    lanes = TABLES[name][0](1)
    env.reset()
    for place, state in enumerate(lanes.table.states):
        _put(env, name, state)
        if env.cells[env.position] != "G":
            for action in range(5):
                assert env.risk(action) == pytest.approx(lanes.model().harm[place, action])


@pytest.mark.parametrize("level", range(4))
def test_a_plain_sokoban_goes_step_by_step_with_the_lanes(
    level: int, rng: np.random.Generator
) -> None:
    env: Any = type(plain_rivals()["sokoban"]())(level)
    own = LaneEnv(Sokoban(1, level=level))
    np.testing.assert_array_equal(env.reset()[0], own.reset(seed=0)[0])
    ends = 0
    for action in rng.integers(4, size=STEPS).tolist():
        plain, ours = env.step(action), own.step(action)
        np.testing.assert_array_equal(plain[0], ours[0])
        assert plain[1:4] == ours[1:4]
        assert plain[4] == {key: value for key, value in ours[4].items() if key != "catastrophe"}
        if plain[2] or plain[3]:
            ends += 1
            env.reset()
            own.reset()
    assert ends > 20


@pytest.mark.parametrize("name", TASKS)
def test_a_plain_rival_stops_after_as_many_steps(name: str) -> None:
    env, lanes = plain_rivals()[name](), TASKS[name](1)
    env.reset(seed=0)
    ends = [env.step(HELD.get(name, 0))[3] for _ in range(lanes.max_episode_steps)]
    assert ends == [False] * (lanes.max_episode_steps - 1) + [True]
