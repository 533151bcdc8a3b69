"""Plain rivals have the rules of the tasks that they race against, chance by chance."""

from collections import defaultdict
from typing import Any

import numpy as np
import pytest

from looplab.envs.grids.hazard_grid import HazardGrid
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.envs.tabular import TabularLanes
from looplab.experiments.bench_envs import plain_rivals

TASKS: dict[str, type[TabularLanes]] = {"lava_shortcut": LavaShortcut, "hazard_grid": HazardGrid}
#: Slips to each side have chance 0.1, so that ten evenly spread numbers show all chances exactly.
LUCK = [(number + 0.5) / 10 for number in range(10)]
#: Observation, reward, cost and end of a step, with its chance.
Chances = dict[tuple[Any, ...], float]


class Loaded:
    """A generator that draws a number of one's choice."""

    def __init__(self, number: float) -> None:
        self.random = lambda: number


def _plain(env: Any, cell: tuple[int, int], action: int) -> Chances:
    found: Chances = defaultdict(float)
    for number in LUCK:
        env.reset()
        env.np_random, env.position = Loaded(number), cell
        observation, reward, terminated, truncated, info = env.step(action)
        assert not truncated
        found[observation.tobytes(), round(reward, 9), info["cost"], terminated] += 1 / len(LUCK)
    return found


def _own(lanes: TabularLanes, place: int, action: int) -> Chances:
    model = lanes.model()
    found: Chances = defaultdict(float)
    for at in ((place, action, outcome) for outcome in range(model.chance.shape[2])):
        seen = lanes.table.observations[model.successor[at]].tobytes()
        key = seen, round(float(model.gain[at]), 9), model.harmed[at], bool(model.ends[at])
        found[key] += float(model.chance[at])
    return {key: chance for key, chance in found.items() if chance > 0.0}


@pytest.mark.parametrize("name", TASKS)
def test_a_plain_rival_has_the_same_rules_and_risks(name: str) -> None:
    env: Any = plain_rivals()[name]()
    lanes = TASKS[name](1)
    np.testing.assert_array_equal(env.reset()[0], lanes.reset()[0])
    assert env.observation_space == lanes.observation_space
    assert env.action_space == lanes.action_space
    cells = list(env.cells)
    tested = set()
    for place, look in enumerate(lanes.table.observations):
        cell = cells[int(look.argmax())]
        if env.cells[cell] == "G":
            continue
        tested.add(cell)
        for action in range(5):
            assert _plain(env, cell, action) == pytest.approx(_own(lanes, place, action))
            env.position = cell
            assert env.risk(action) == pytest.approx(lanes.model().harm[place, action])
    assert tested == {cell for cell, symbol in env.cells.items() if symbol not in "LG"}


@pytest.mark.parametrize("name", TASKS)
def test_a_plain_rival_stops_after_as_many_steps(name: str) -> None:
    env, lanes = plain_rivals()[name](), TASKS[name](1)
    env.reset(seed=0)
    ends = [env.step(4)[3] for _ in range(lanes.max_episode_steps)]
    assert ends == [False] * (lanes.max_episode_steps - 1) + [True]
