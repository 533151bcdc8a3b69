"""Random streams keyed by (seed + lane, episode), drawn for all lanes at once.

A draw is a pure function of (seed + lane, name of the stream, episode, step, index): what one
regime draws never shifts what another draws, lane i of a batch draws what a single environment of
seed + i draws, and nothing is stored between steps. The mixing function is the output function of
SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators"), which maps
a counter to 64 well-mixed bits; a lane's key comes from NumPy's ``SeedSequence``.
"""

import copy
import zlib
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
#: What stands in place of draws where none are made.
NOT_DRAWN = 0.5


@compiled
def _mix(z: Any) -> Any:
    """Mixes the bits of a word."""
    z = (z ^ (z >> _SHIFT_1)) * _MIX_1
    z = (z ^ (z >> _SHIFT_2)) * _MIX_2
    return z ^ (z >> _SHIFT_3)


@compiled
def _place(key: Any, episode: Any, step: Any) -> Any:
    """Counter before a lane's first draw at a step of an episode, from the lane's key."""
    return _mix(key + np.uint64(episode) * _EPISODE) + np.uint64(step) * _STEP_STRIDE


@compiled
def _fill(keys: Any, episode: Any, step: Any, out: Any) -> None:
    """Draws of all lanes, (n, count), at steps, (n,), of their episodes, (n,)."""
    for lane in range(out.shape[0]):
        place = _place(keys[lane], episode[lane], step[lane])
        for index in range(out.shape[1]):
            place += _GOLDEN
            out[lane, index] = (_mix(place) >> _TO_DOUBLE) * _UNIT


@compiled
def _fill_beginnings(keys: Any, episode: Any, mask: Any, out: Any) -> None:
    """Draws of the masked lanes' resets, (n, count), from their episodes, (n,)."""
    for lane in range(out.shape[0]):
        place = _place(keys[lane], episode[lane], 0)
        for index in range(out.shape[1]):
            place += _GOLDEN
            out[lane, index] = (_mix(place) >> _TO_DOUBLE) * _UNIT if mask[lane] else NOT_DRAWN


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
        self, episode: NDArray[np.int64], step: NDArray[np.int64], count: int
    ) -> NDArray[np.float64]:
        """Draws ``count`` uniforms in [0, 1) per lane, shape (n, count).

        Args:
            episode: index of the lanes' episodes, shape (n,).
            step: steps within the episodes, shape (n,); 0 is the reset.
            count: draws per lane, at most ``MAX_DRAWS``.
        """
        draws = np.empty((len(self._keys), count))
        _fill(self._keys, episode, step, draws)
        return draws

    def at_reset(
        self, episode: NDArray[np.int64], mask: NDArray[np.bool_], count: int
    ) -> NDArray[np.float64]:
        """The masked lanes' draws of step 0, (n, count), ``NOT_DRAWN`` in the others.

        Args:
            episode: see ``uniforms``.
            mask: lanes that draw, shape (n,).
            count: see ``uniforms``.
        """
        draws = np.empty((len(self._keys), count))
        _fill_beginnings(self._keys, episode, mask, draws)
        return draws
