"""Streams: the law of the draws, their independence, and their values."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from looplab.envs.errors import UsageError
from looplab.envs.streams import MAX_DRAWS, NOT_DRAWN, Streams, lane_keys

LANES = 200
STEPS = 100
DRAWS = LANES * STEPS
#: Correlations of independent draws lie within this of 0 (five standard errors).
BOUND = 5.0 / np.sqrt(DRAWS)
SEED = 12
WORD = (1 << 64) - 1
GOLDEN = [[0.8293687632681104, 0.30649338325855857], [0.8124305130431132, 0.8622409710470159]]


def _draw(
    seed: int = SEED, name: str = "environment", episode: int = 0, step: int = 1, index: int = 0
) -> np.ndarray:
    """Draws of many lanes and steps, flat; lanes are ``LANES`` apart where seeds are."""
    streams = Streams(LANES, name, seed)
    episodes = np.full(LANES, episode)
    rows = [
        streams.uniforms(episodes, np.full(LANES, step + later), index + 1)[:, index]
        for later in range(STEPS)
    ]
    return np.concatenate(rows)


def _mix(z: int) -> int:
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & WORD
    return z ^ (z >> 31)


def test_draws_are_splitmix_of_the_counter() -> None:
    """The same numbers from whole-number arithmetic, one at a time."""
    key = int(lane_keys(SEED, 3, "environment")[2])
    draws = Streams(3, "environment", SEED).uniforms(np.full(3, 4), np.full(3, 7), 2)
    for index in range(2):
        lane_key = _mix((key + 4 * 0xD1342543DE82EF95) & WORD)
        counter = 7 * MAX_DRAWS + index + 1
        bits = _mix((lane_key + counter * 0x9E3779B97F4A7C15) & WORD)
        assert draws[2, index] == (bits >> 11) / 2**53


def test_golden_values() -> None:
    """Recorded results stay reproducible: these numbers never change."""
    streams = Streams(2, "environment", 0)
    draws = streams.uniforms(np.array([0, 3]), np.array([0, 49]), 2)
    np.testing.assert_array_equal(draws, GOLDEN)


def test_draws_are_uniform() -> None:
    draws = _draw()
    assert draws.min() >= 0.0
    assert draws.max() < 1.0
    assert stats.kstest(draws, "uniform").pvalue > 0.001


def test_neighbouring_draws_fill_the_square_evenly() -> None:
    counts, _, _ = np.histogram2d(_draw(index=0), _draw(index=1), bins=10, range=[(0, 1), (0, 1)])
    assert stats.chisquare(counts.ravel()).pvalue > 0.001


@pytest.mark.parametrize(
    "other",
    [
        {"seed": SEED + 1},
        {"seed": SEED + LANES},
        {"name": "overseer"},
        {"episode": 1},
        {"step": 2},
        {"step": 1 + STEPS},
        {"index": 1},
    ],
    ids=str,
)
def test_streams_are_uncorrelated(other: dict[str, Any]) -> None:
    here, there = _draw(), _draw(**other)
    assert not np.array_equal(here, there)
    assert abs(np.corrcoef(here, there)[0, 1]) < BOUND


def test_a_lane_is_the_stream_of_its_own_seed() -> None:
    batch = Streams(4, "environment", SEED)
    episode, step = np.arange(4), np.array([0, 5, 9, 2])
    draws = batch.uniforms(episode, step, 3)
    for lane in range(4):
        single = Streams(1, "environment", SEED + lane)
        at = (episode[lane : lane + 1], step[lane : lane + 1], 3)
        np.testing.assert_array_equal(single.uniforms(*at)[0], draws[lane])
        np.testing.assert_array_equal(batch.of_lane(lane).uniforms(*at)[0], draws[lane])


def test_first_draws_do_not_depend_on_how_many_are_drawn() -> None:
    streams = Streams(5, "environment", SEED)
    at = (np.arange(5), np.arange(5))
    np.testing.assert_array_equal(streams.uniforms(*at, 2), streams.uniforms(*at, 9)[:, :2])


@pytest.mark.parametrize("seed", [-1, 1.5, "3", True, None])
def test_bad_seeds(seed: object) -> None:
    with pytest.raises(UsageError, match="seed must be a whole number of at least 0, got"):
        lane_keys(seed, 1, "environment")  # type: ignore[arg-type]


def test_resets_draw_step_0_in_the_lanes_that_begin() -> None:
    streams = Streams(3, "environment", SEED)
    episode, mask = np.array([4, 0, 7]), np.array([True, False, True])
    draws = streams.at_reset(episode, mask, 2)
    expected = streams.uniforms(episode, np.zeros(3, np.int64), 2)
    np.testing.assert_array_equal(draws[mask], expected[mask])
    np.testing.assert_array_equal(draws[1], [NOT_DRAWN, NOT_DRAWN])
    assert streams.at_reset(episode, mask, 0).shape == (3, 0)
