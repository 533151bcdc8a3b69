"""Comparisons of segments: what is shown, what it costs, what is kept, and that nothing changes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy.stats import chisquare

from looplab.envs.desks.ops_desk import OpsDesk
from looplab.envs.errors import UsageError
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.envs.worlds.point_hazard import PointHazard
from looplab.oversight import (
    Autonomous,
    Comparisons,
    Feedback,
    Gate,
    Halt,
    Overseen,
    Stack,
    Teacher,
)

GO, CREEP, WAIT = range(3)
TRAP = [1.0]


def random_actions(steps: int, lanes: int, count: int = 3) -> Any:
    return np.random.default_rng(0).integers(0, count, (steps, lanes))


def preferences(run: Any, asks: Comparisons) -> Any:
    return run.engine.state(asks).preferences()


def test_a_segment_is_what_the_lane_lived_through(corridor: Any, start: Any) -> None:
    asks = Comparisons(every=7, queries=3, segment_steps=5, recent_steps=20)
    task = corridor(6, harm=[0.5] * 9, ends=True, max_episode_steps=12)
    run = start(task, Stack(Gate(), asks)).play(random_actions(100, 6))
    found = preferences(run, asks)
    lived = {
        (lane, int(r.episode[lane]), int(r.step[lane])): (r, lane)
        for r in run.records
        for lane in range(6)
    }
    assert len(found) > 150
    for side in (found.first, found.second):
        for m in range(len(found)):
            for t in range(5):  # a segment that left its episode would find no such step
                key = (side.lane[m], side.episode[m], side.step[m] + t)
                record, lane = lived[key]
                np.testing.assert_array_equal(side.observation[m, t], record.observed[lane])
                assert side.action[m, t] == record.executed[lane]
                assert side.reward[m, t] == record.reward[lane]
                assert side.cost[m, t] == record.cost[lane]
    assert (found.first.lane == found.second.lane).all()
    same = (found.first.episode == found.second.episode) & (found.first.step == found.second.step)
    assert not same.any()
    begun = {key: i for i, r in enumerate(run.records) for key in _keys(r)}
    ages = [found.clock[m] - begun[_key(found.first, m)] for m in range(len(found))]
    assert 5 <= min(ages) <= max(ages) <= 20


def _keys(record: Any) -> Any:
    return [
        (i, int(e), int(s))
        for i, (e, s) in enumerate(zip(record.episode, record.step, strict=True))
    ]


def _key(segments: Any, m: int) -> Any:
    return int(segments.lane[m]), int(segments.episode[m]), int(segments.step[m])


def test_every_recent_segment_is_as_likely(corridor: Any, start: Any) -> None:
    """Three episodes of 6 steps hold 3 segments of 4 steps each."""
    lanes = 4000
    asks = Comparisons(every=18, segment_steps=4, recent_steps=18)
    run = start(corridor(lanes, max_episode_steps=6), asks).play(random_actions(19, lanes))
    found = preferences(run, asks)
    for side in (found.first, found.second):
        places, counts = np.unique(6 * side.episode + side.step, return_counts=True)
        assert places.tolist() == [0, 1, 2, 6, 7, 8, 12, 13, 14]
        assert chisquare(counts).pvalue > 1e-6
    both = 100 * (6 * found.first.episode + found.first.step)
    _, counts = np.unique(both + 6 * found.second.episode + found.second.step, return_counts=True)
    assert len(counts) == 9 * 8
    assert chisquare(counts).pvalue > 1e-6


def test_a_step_that_did_not_run_is_in_no_segment(corridor: Any, start: Any) -> None:
    for steps in (1, 2):
        asks = Comparisons(every=3, segment_steps=steps, recent_steps=9)
        stack = Stack(Gate(fallback=Halt()), asks)
        run = start(corridor(8, harm=TRAP), stack).play(random_actions(60, 8))
        found = preferences(run, asks)
        assert len(found)
        assert (found.first.action != GO).all()
        assert (found.second.action != GO).all()


def test_what_comparisons_cost(corridor: Any, start: Any) -> None:
    asks = Comparisons(every=10, queries=4, segment_steps=3, review_seconds=2.5)
    run = start(corridor(3, harm=TRAP), asks).play([GO] * 31)
    assert np.flatnonzero(run.column("reviews")).tolist() == [10, 20, 30]
    assert run.column("reviews")[10] == 4
    assert run.column("seconds")[10] == 10.0
    assert run.totals["reviews"] == 3 * 3 * 4 == len(preferences(run, asks))
    assert run.totals["misses"] == run.totals["false_alarms"] == 0
    assert run.totals["unasked"] == 31 * 3  # nobody was asked about the proposals themselves
    assert not any(run.column("reviewed"))


def test_a_skipped_pair_costs_the_same(corridor: Any, start: Any) -> None:
    asks = Comparisons(Teacher(skip=1.0), every=10, segment_steps=3)
    run = start(corridor(2), asks).play([GO] * 11)  # all returns are the average
    assert np.isnan(preferences(run, asks).label).all()
    assert run.totals["reviews"] == 2


def test_the_budget_ends_it(corridor: Any, start: Any) -> None:
    asks = Comparisons(every=5, queries=2, segment_steps=2, budget=3)
    run = start(corridor(2), asks).play([GO] * 40)
    assert run.totals["reviews"] == 2 * 3
    assert np.flatnonzero(run.column("reviews")).tolist() == [5, 10]


def test_harm_weighs_as_told(corridor: Any, start: Any) -> None:
    """Going pays 1 and harms, creeping pays 0.5: harm of weight 0.6 turns the preference."""
    for weight, better in ((0.0, GO), (0.4, GO), (0.6, CREEP), (5.0, CREEP)):
        asks = Comparisons(every=30, queries=30, segment_steps=1, cost_weight=weight)
        run = start(corridor(4, harm=TRAP), asks).play([GO, CREEP] * 16)
        found = preferences(run, asks)
        second = found.second.action[:, 0] == better
        differ = found.first.action[:, 0] != found.second.action[:, 0]
        assert differ.sum() > 20
        assert (found.label[differ] == second[differ]).all()


@pytest.mark.parametrize("task", [LavaShortcut, OpsDesk])
def test_nothing_changes_but_the_time_it_takes(start: Any, task: Any) -> None:
    actions = random_actions(200, 8, 4)
    asks = Comparisons(Teacher(beta=1.0), every=20)
    run, alone = start(task(8), asks).play(actions), start(task(8), Autonomous()).play(actions)
    assert len(preferences(run, asks)) > 30
    for one, other in zip(run.records, alone.records, strict=True):
        np.testing.assert_array_equal(one.observation, other.observation)
        np.testing.assert_array_equal(one.learning_reward, other.learning_reward)
    spent = {"reviews", "human_seconds", "oversight_cost"}
    differs = {name for name in run.totals if run.totals[name] != alone.totals[name]}
    assert differs == spent


def test_a_lane_of_a_batch_is_compared_as_alone(start: Any) -> None:
    asks = Comparisons(Teacher(beta=1.0, mistake=0.1), every=15, queries=2)
    actions = random_actions(150, 3, 4)
    batch = preferences(start(OpsDesk(3), asks, seed=5).play(actions), asks)
    alone = preferences(start(OpsDesk(1), asks, seed=7).play(actions[:, 2:]), asks)
    of_lane = batch.first.lane == 2
    assert of_lane.sum() == len(alone) > 10
    np.testing.assert_array_equal(batch.label[of_lane], alone.label)
    np.testing.assert_array_equal(batch.second.reward[of_lane], alone.second.reward)


def test_one_overseen_environment_collects_too() -> None:
    import gymnasium as gym

    asks = Comparisons(every=10, queries=2)
    env = Overseen(gym.make("looplab/LavaShortcut-v0"), Stack(asks, Feedback()))
    env.action_space.seed(0)
    env.reset(seed=0)
    for _ in range(200):
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        if terminated or truncated:
            env.reset()
    found = env.oversight.state(asks).preferences()
    assert len(found) >= 30
    assert found.first.observation.shape[1:] == (10, *env.observation_space.shape)


def test_preferences_can_be_written_and_read(start: Any, tmp_path: Path) -> None:
    asks = Comparisons(Teacher(skip=1.0, floor=-1.0), every=20, segment_steps=4)
    run = start(PointHazard(4), asks)
    actions = np.random.default_rng(0).uniform(-1.0, 1.0, (100, 4, 2)).astype(np.float32)
    for action in actions:
        run.engine.step(action)
    found = preferences(run, asks)
    assert np.isnan(found.label).any()
    file = tmp_path / "preferences.parquet"
    found.write(file)
    frame = pd.read_parquet(file)
    np.testing.assert_array_equal(frame["label"], found.label)
    shapes = json.loads(pq.read_schema(file).metadata[b"shapes"])
    for side in ("first", "second"):
        segments = getattr(found, side)
        np.testing.assert_array_equal(frame[f"{side}_step"], segments.step)
        for name, shape in shapes.items():
            read = np.stack(frame[f"{side}_{name}"]).reshape(-1, *shape)
            np.testing.assert_array_equal(read, getattr(segments, name))
    with pytest.raises(UsageError, match="cannot write"):
        found.write(tmp_path / "nowhere" / "preferences.parquet")


def test_nothing_compared_is_said(corridor: Any, start: Any) -> None:
    asks = Comparisons(every=5)
    run = start(corridor(max_episode_steps=8), asks).play([GO] * 50)  # shorter than a segment
    assert run.totals["reviews"] == 0
    with pytest.raises(UsageError, match="nothing was compared yet"):
        preferences(run, asks)
    single = Comparisons(every=5, recent_steps=11)  # never two segments to compare
    run = start(corridor(max_episode_steps=10), single).play([GO] * 50)
    assert run.totals["reviews"] == 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"teacher": "oracle"}, "teacher must be a Teacher or a Judge, got 'oracle'"),
        ({"every": 0}, "every must be a whole number of at least 1, got 0"),
        ({"queries": 0}, "queries"),
        ({"queries": 101}, "queries must be at most 100, got 101"),
        ({"segment_steps": 0}, "segment_steps"),
        ({"segment_steps": 9, "recent_steps": 9}, "recent_steps .* at least 10, got 9"),
        ({"cost_weight": -1.0}, "cost_weight"),
        ({"review_seconds": -1.0}, "review_seconds"),
        ({"budget": -1}, "budget"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Comparisons(**settings)
