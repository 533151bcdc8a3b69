"""Novelty: distance of what the agent sees from what it has seen."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from looplab.envs.desks.ops_desk import OpsDesk
from looplab.envs.errors import UsageError
from looplab.oversight import AllOf, Gate, Novelty, Overseen

GO, CREEP, WAIT = range(3)


def cell(observations: Any) -> Any:
    """The corridor's cell alone, without its noise."""
    return observations[:, :1]


def approve(proposals: Any) -> list[bool]:
    return [True] * len(proposals)


def asked(start: Any, task: Any, trigger: Any, actions: list[int]) -> list[bool]:
    column: list[bool] = start(task, Gate(trigger, approve)).play(actions).column("asked")
    return column


def test_every_cell_is_new_once(corridor: Any, start: Any) -> None:
    task = corridor(harm=[0.0] * 4, max_episode_steps=6)
    found = asked(start, task, Novelty(features=cell), [GO, WAIT, GO, GO, WAIT, WAIT] * 3)
    assert found == [True, True, False, True, True, False] + [False] * 12


def test_what_one_lane_has_seen_is_not_new_to_another(corridor: Any, start: Any) -> None:
    run = start(corridor(3, harm=[0.0] * 3), Gate(Novelty(features=cell), approve))
    assert run.step(GO, WAIT, WAIT).asked.tolist() == [True, True, True]  # nothing was seen
    assert run.step(WAIT, GO, WAIT).asked.tolist() == [True, False, False]
    assert run.step(WAIT, WAIT, WAIT).asked.tolist() == [False, False, False]


def test_a_full_memory_forgets_the_oldest(corridor: Any, start: Any) -> None:
    task, back_and_forth = corridor(harm=[0.0] * 2, max_episode_steps=2), [GO, WAIT] * 4
    assert asked(start, task, Novelty(memory=2, features=cell), back_and_forth)[2:] == [False] * 6
    assert asked(start, task, Novelty(memory=1, features=cell), back_and_forth) == [True] * 8


def test_novelty_is_the_distance_to_the_nearest_of_what_is_remembered(start: Any) -> None:
    """Against loops over observations, standard deviations by NumPy, and nothing else shared."""
    trigger = Novelty(tau=0.4, memory=30, radius=0.6)
    run = start(OpsDesk(3, seed=5), Gate(trigger, approve))
    rng = np.random.default_rng(0)
    remembered: list[Any] = []
    shown: list[Any] = []
    for step in range(150):
        before = run.lanes.observation.astype(np.float64)
        record = run.step(*rng.integers(0, 4, 3).tolist())
        if step:
            variance = np.var(shown, axis=0)
            deviation = np.sqrt(variance + 1e-6 * variance.mean() + 1e-10)
            expected = [
                min(np.sqrt(np.mean(((row - old) / deviation) ** 2)) for old in remembered)
                for row in before
            ]
            known = np.isfinite(record.score)  # recorded where it asks
            assert record.score[known] == pytest.approx(np.array(expected)[known], abs=1e-6)
            assert record.asked.tolist() == [value >= 0.4 for value in expected]
            new = [row for row, far in zip(before, expected, strict=True) if far >= 0.6]
        else:
            new = list(before)
        if new:
            remembered = (remembered + list(np.unique(new, axis=0)))[-30:]
        shown += list(before)
    assert 30 == len(remembered) < len(shown)


def test_the_scale_of_a_feature_does_not_matter(corridor: Any, start: Any) -> None:
    def scaled(observations: Any) -> Any:
        return 1e4 + 1e-3 * observations[:, :1]

    actions = [GO, WAIT, GO, GO, WAIT, WAIT] * 2
    task = corridor(harm=[0.0] * 4, max_episode_steps=6)
    plain, other = (asked(start, task, Novelty(features=f), actions) for f in (cell, scaled))
    assert plain == other


def test_being_asked_twice_changes_nothing(corridor: Any, start: Any) -> None:
    trigger, actions = Novelty(features=cell), [GO, WAIT, GO, GO, WAIT, WAIT] * 2
    task = corridor(harm=[0.0] * 4, max_episode_steps=6)
    once = asked(start, task, Novelty(features=cell), actions)
    assert asked(start, task, AllOf(trigger, trigger), actions) == once


def test_numbers_of_states_are_no_distances() -> None:
    env = Overseen(gym.make("CliffWalking-v1"), Gate(Novelty(), approve), hold=0, cost=_no_cost)
    env.reset(seed=0)
    steps = [env.step(action)[4]["oversight"] for action in (0, 0, 1, 3, 2)]
    # States 36, 24, 12, 13 and 12 again: 13 is as new after 12 as 12 was after 24.
    assert [step["asked"] for step in steps] == [True, True, True, True, False]


def _no_cost(transition: Any) -> float:
    return 0.0


def test_bad_arguments(corridor: Any, start: Any) -> None:
    with pytest.raises(UsageError, match="tau must be a number at least 0, got -1"):
        Novelty(tau=-1)
    with pytest.raises(UsageError, match="memory must be a whole number of at least 1, got 0"):
        Novelty(memory=0)
    with pytest.raises(UsageError, match=r"features must be finite and of shape \(1, d\)"):
        asked(start, corridor(harm=[0.0]), Novelty(features=lambda seen: seen[:, 0]), [GO])


def test_observations_without_features_are_refused() -> None:
    class Named(gym.Env[Any, Any]):
        observation_space = gym.spaces.Dict({"a": gym.spaces.Discrete(2)})
        action_space = gym.spaces.Discrete(2)

        def reset(self, *, seed: Any = None, options: Any = None) -> Any:
            return {"a": 0}, {}

    env = Overseen(Named(), Gate(Novelty(), approve), hold=0)
    env.reset(seed=0)
    with pytest.raises(UsageError, match="have no features of their own; pass features="):
        env.step(0)
