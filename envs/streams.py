"""Random streams keyed by (seed + lane, episode), drawn for all lanes at once.

A draw is a pure function of (seed + lane, name of the stream, episode, step, index): what one
regime draws never shifts what another draws, lane i of a batch draws what a single environment of
seed + i draws, and nothing is stored between steps. The mixing function is the output function of
SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators"), which maps
a counter to 64 well-mixed bits; a lane's key comes from NumPy's ``SeedSequence``.
"""

import copy
import math
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looplab.envs.compiled import compiled
from looplab.envs.errors import UsageError

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_EPISODE = np.uint64(0xD1342543DE82EF95)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_SHIFT_1, _SHIFT_2, _SHIFT_3 = np.uint64(30), np.uint64(27), np.uint64(31)
_TO_DOUBLE = np.uint64(11)
_UNIT = 2.0**-53
#: Draws of one step must stay below this, so that steps never share a counter.
MAX_DRAWS = 1 << 16
#: Counters of neighbouring steps, as the mixing function wants them, lie so far apart.
_STEP_STRIDE = np.uint64(MAX_DRAWS * int(_GOLDEN) % 2**64)
#: Steps whose draws are made together, and how many times lanes may begin an episode meanwhile;
#: where they begin more often, mending what was made takes longer than making each step's alone.
STEPS_AHEAD = 16
FEW_BEGINNINGS = 6
#: Episodes whose keys are made together.
EPISODES_AHEAD = 16


@compiled
def _mix(z: Any) -> Any:
    """Mixes the bits of a word."""
    z = (z ^ (z >> _SHIFT_1)) * _MIX_1
    z = (z ^ (z >> _SHIFT_2)) * _MIX_2
    return z ^ (z >> _SHIFT_3)


@compiled
def _episode_keys(keys: Any, episode: Any, out: Any) -> None:
    """Keys of episodes, (k, m), from those of their m lanes, (m,)."""
    for row in range(out.shape[0]):
        for lane in range(out.shape[1]):
            out[row, lane] = _mix(keys[lane] + np.uint64(episode[row, lane]) * _EPISODE)


@compiled
def _fill(keys: Any, step: Any, out: Any) -> None:
    """Draws of steps, (s, m, count), from the keys of their m episodes, (m,)."""
    for row in range(out.shape[0]):
        for lane in range(out.shape[1]):
            place = keys[lane] + np.uint64(step[row, lane]) * _STEP_STRIDE
            for index in range(out.shape[2]):
                place += _GOLDEN
                out[row, lane, index] = (_mix(place) >> _TO_DOUBLE) * _UNIT


def checked_seed(seed: int) -> int:
    """Returns the seed as an int.

    Raises:
        UsageError: if it is negative or no whole number.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise UsageError(f"seed must be a whole number of at least 0, got {seed!r}")
    return int(seed)


def lane_keys(seed: int, num_lanes: int, name: str) -> NDArray[np.uint64]:
    """Keys of the stream ``name`` for lanes seed, seed + 1, ..., shape (num_lanes,).

    Raises:
        UsageError: if the seed is negative or no whole number.
    """
    first = checked_seed(seed)
    channel = zlib.crc32(name.encode())
    sequences = (
        np.random.SeedSequence(first + lane, spawn_key=(channel,)) for lane in range(num_lanes)
    )
    return np.array([s.generate_state(1, np.uint64)[0] for s in sequences], dtype=np.uint64)


class Streams:
    """Uniform draws of one named stream for n lanes.

    Args:
        num_lanes: number of lanes n.
        name: name of the stream, e.g. ``"environment"``; other names draw independently.
        seed: lane i draws from seed + i.
    """

    def __init__(self, num_lanes: int, name: str, seed: int) -> None:
        self._keys = lane_keys(seed, num_lanes, name)

    def __len__(self) -> int:
        return len(self._keys)

    def of_lane(self, lane: int) -> "Streams":
        """The stream of one lane alone, with the same draws."""
        one = copy.copy(self)
        one._keys = self._keys[lane : lane + 1]
        return one

    def uniforms(
        self,
        episode: NDArray[np.int64],
        step: NDArray[np.int64],
        count: int,
        lanes: NDArray[np.int64] | slice = slice(None),
    ) -> NDArray[np.float64]:
        """Draws ``count`` uniforms in [0, 1) per lane and step, shape (..., m, count).

        Args:
            episode: index of the lanes' episodes, shape (m,).
            step: steps within the episodes, shape (..., m); 0 is the reset.
            count: draws per lane and step, at most ``MAX_DRAWS``.
            lanes: which m lanes draw; default all.
        """
        return self.draw(self.episode_keys(episode, lanes), step, count)

    def episode_keys(
        self, episode: NDArray[np.int64], lanes: NDArray[np.int64] | slice = slice(None)
    ) -> NDArray[np.uint64]:
        """Keys of the lanes' episodes, shape (..., m) as the episodes; see ``uniforms``."""
        keys = np.empty(episode.shape, np.uint64)
        rows = (math.prod(episode.shape[:-1]), episode.shape[-1])
        _episode_keys(self._keys[lanes], episode.reshape(rows), keys.reshape(rows))
        return keys

    def draw(
        self, keys: NDArray[np.uint64], step: NDArray[np.int64], count: int
    ) -> NDArray[np.float64]:
        """Draws of episodes whose keys are known, shape (..., m, count); see ``uniforms``."""
        draws = np.empty((*step.shape, count))
        rows = (math.prod(step.shape[:-1]), len(keys))
        _fill(keys, step.reshape(rows), draws.reshape(*rows, count))
        return draws


class StepDraws:
    """The draws of the coming steps of n lanes, made for many steps at a time.

    What comes out is the same as drawing each step by itself.

    Args:
        streams: where the draws come from.
        count: draws per lane and step.
        prepare: what the task makes of its uniforms, shape (..., count) -> (..., count).
    """

    def __init__(
        self,
        streams: Streams,
        count: int,
        prepare: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    ) -> None:
        self._streams = streams
        self._count = count
        self._prepare = prepare
        self._first = np.full(len(streams), -EPISODES_AHEAD)
        self._coming: NDArray[np.uint64] = np.zeros((0, len(streams)), np.uint64)
        self._keys: NDArray[np.uint64] | None = None
        self._made: NDArray[np.float64] | None = None
        self._next = STEPS_AHEAD
        self._beginnings = 0

    def take(self, episode: NDArray[np.int64], step: NDArray[np.int64]) -> NDArray[np.float64]:
        """Draws of this step, shape (n, count).

        Args:
            episode: index of each lane's episode, shape (n,).
            step: this step, counted from 1, shape (n,); one more than at the last call, unless
                ``begin`` or ``forget`` was called.
        """
        if self._keys is None:
            self._keys = self._keys_of(episode, np.arange(len(episode)))
        if self._next == STEPS_AHEAD:
            self._made = None
            if self._beginnings <= FEW_BEGINNINGS:
                steps = step + np.arange(STEPS_AHEAD)[:, None]
                self._made = self._prepare(self._streams.draw(self._keys, steps, self._count))
            self._next = self._beginnings = 0
        self._next += 1
        if self._made is None:
            return self._prepare(self._streams.draw(self._keys, step, self._count))
        draws: NDArray[np.float64] = self._made[self._next - 1]
        return draws

    def begin(self, mask: NDArray[np.bool_], episode: NDArray[np.int64]) -> None:
        """Makes the masked lanes' draws anew: they begin an episode."""
        if self._keys is None or 2 * np.count_nonzero(mask) > len(mask):
            self._keys = None
            self._next = STEPS_AHEAD  # cheaper to make all of them anew at the next step
            return
        lanes = mask.nonzero()[0]
        if not len(lanes):
            return
        self._beginnings += 1
        keys = self._keys[lanes] = self._keys_of(episode, lanes)
        left = STEPS_AHEAD - self._next
        if self._made is not None and left:
            steps = np.arange(1, left + 1)[:, None] + np.zeros(len(lanes), np.int64)
            drawn = self._streams.draw(keys, steps, self._count)
            self._made[self._next :, lanes] = self._prepare(drawn)

    def _keys_of(self, episode: NDArray[np.int64], lanes: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Keys of the episodes of some lanes, made for many episodes at a time."""
        ahead = episode[lanes] - self._first[lanes]
        if ahead.max() >= EPISODES_AHEAD:
            self._first = episode.copy()
            episodes = episode + np.arange(EPISODES_AHEAD)[:, None]
            self._coming = self._streams.episode_keys(episodes)
            ahead = np.zeros(len(lanes), np.int64)
        keys: NDArray[np.uint64] = self._coming[ahead, lanes]
        return keys

    def forget(self) -> None:
        """Makes the draws of the coming steps one by one: the lanes have fallen out of step."""
        self._next = STEPS_AHEAD
        self._beginnings = FEW_BEGINNINGS + 1
