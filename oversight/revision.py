"""How rules are revised: what was seen of harm, and what is forbidden because of it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looplab.envs.compiled import compiled, takes
from looplab.envs.core import Actions, BoolArray, FloatArray, IntArray, Observations
from looplab.envs.errors import UsageError, finite, probability, whole
from looplab.oversight.proposals import Proposals
from looplab.oversight.types import brief

Keys = NDArray[np.uint64]
#: Which states count as the same: observations (n, ...) -> whole numbers (n,) or (n, k).
CellFunction = Callable[[Observations], IntArray]

#: Seed of the weights that turn cells into keys: fixed, so that the same run gives the same rules.
_WEIGHTS_SEED = 0x5EED
#: What is left of old evidence, in visits, before it is dropped.
_FORGOTTEN = 0.5


class Cells:
    """States are the same where all their features lie in the same interval.

    One-hot and whole-number observations are told apart exactly, real ones by steps of ``width``.

    Args:
        width: of the intervals, above 0; their centres are its multiples.
    """

    def __init__(self, width: float = 0.5) -> None:
        self.width = finite("width", width, np.finfo(np.float64).tiny)

    def __call__(self, observations: Observations) -> IntArray:
        """Number of each feature's interval, shape (n, features)."""
        flat = self._flat(observations)
        return np.floor(flat / self.width + 0.5).astype(np.int64)

    def keys(self, observations: Observations) -> Keys:
        """Key of each cell, as ``_key`` makes it of all features' numbers, shape (n,)."""
        flat, keys = self._flat(observations), np.empty(len(observations), np.uint64)
        real = flat.dtype.type if flat.dtype.kind == "f" else np.float64  # as NumPy would divide
        _cell_keys(flat, real(self.width), real(0.5), _weights(flat.shape[1], False), keys)
        return keys

    @staticmethod
    def _flat(observations: Observations) -> Observations:
        if observations.dtype.kind == "O":
            raise UsageError("Cells needs observations of numbers; pass cells= for other ones")
        return observations.reshape(len(observations), -1)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen of m pairs of a cell and an action; arrays of shape (m,).

    Attributes:
        visits: how often the action ran in the cell.
        harms: how often that step violated.
    """

    visits: FloatArray
    harms: FloatArray


#: Which pairs are forbidden from now on, shape (m,); all others are allowed (again).
Reviser = Callable[[Evidence], BoolArray]


class HarmRate:
    """Forbids an action in a cell where it has violated too often.

    Args:
        threshold: share of violations above which it is forbidden, in [0, 1].
        visits: how often it must have run, at least 1, before it is judged.
    """

    def __init__(self, threshold: float = 0.05, visits: int = 5) -> None:
        self.threshold = probability("threshold", threshold)
        self.visits = whole("visits", visits, 1)

    def __call__(self, evidence: Evidence) -> BoolArray:
        """Pairs with enough visits and too much harm, shape (m,)."""
        often = evidence.visits >= self.visits
        return often & (evidence.harms > self.threshold * evidence.visits)


class Book:
    """The rules as they stand, and the evidence since the last revision; itself a rule.

    All lanes share one book: it was written for the agent, whoever's lane the harm was seen in.

    Attributes:
        forbidden: keys of the pairs that are forbidden, sorted.
        revisions: how often it was revised.
        steps: steps of all lanes since then.
    """

    def __init__(self, cells: CellFunction) -> None:
        self._cells = cells
        self._keys: Keys = np.zeros(0, np.uint64)
        self._evidence = Evidence(np.zeros(0), np.zeros(0))
        self._seen: list[tuple[Keys, BoolArray]] = []
        self.forbidden: Keys = self._keys
        self.revisions = 0
        self.steps = 0

    def __call__(self, proposals: Proposals) -> BoolArray:
        """What is allowed: of every action, shape (n, A), or of continuous proposals, (n,)."""
        count = getattr(proposals.lanes.action_space, "n", None)
        if not len(self.forbidden):
            shape = (len(proposals),) if count is None else (len(proposals), int(count))
            return np.ones(shape, np.bool_)
        actions = proposals.action if count is None else np.arange(int(count))[None]
        keys = self._pairs(proposals.observation, actions)
        at = np.minimum(np.searchsorted(self.forbidden, keys), len(self.forbidden) - 1)
        allowed: BoolArray = self.forbidden[at] != keys
        return allowed

    def keeps(self, proposals: Proposals) -> BoolArray:
        """Whether each proposal is allowed, shape (n,)."""
        kept = np.empty(len(proposals), np.bool_)
        known = len(self.forbidden) > 0
        keys = self._pairs(proposals.observation, proposals.action) if known else self.forbidden
        _leave_out(self.forbidden, keys, kept)
        return kept

    def __str__(self) -> str:
        return "harm was seen of this action here"

    def _pairs(self, observations: Observations, actions: Actions) -> Keys:
        """Keys of cells with actions: (n,) for one action each, (n, A) for a row (1, A) of all."""
        numbered = actions.dtype == np.int64 and actions.ndim == 1
        if type(self._cells) is Cells and numbered and takes(observations.dtype):
            keys = self._cells.keys(observations)
            _add_keys(actions, _weights(1, True)[0], keys)
            return keys
        cells = np.asarray(self._cells(observations))
        if len(cells) != len(observations) or cells.dtype.kind not in "iu":
            raise UsageError(
                f"cells must answer {len(observations)} whole numbers or rows of them, "
                f"got {brief(cells)}"
            )
        keys = _key(cells.reshape(len(cells), -1))
        if actions.dtype.kind == "f":
            return keys + _key(Cells()(actions), of_actions=True)
        each = _key(actions.reshape(-1, 1), of_actions=True).reshape(actions.shape)
        return keys + each if actions.ndim == 1 else keys[:, None] + each

    def study(
        self, observations: Observations, actions: Actions, harmed: BoolArray, ran: BoolArray
    ) -> None:
        """Takes down what ran in m states and whether it did harm.

        Args:
            observations: shape (m, ...).
            actions: shape (m, ...).
            harmed: shape (m,).
            ran: which of them ran at all, shape (m,).
        """
        self._seen.append((self._pairs(observations, actions)[ran], harmed[ran]))

    def revise(self, reviser: Reviser, memory: float) -> None:
        """Writes the rules anew.

        Args:
            reviser: which pairs are forbidden from now on.
            memory: share of the old evidence that still counts.
        """
        old = self._evidence
        keys = np.concatenate([self._keys, *(pairs for pairs, _ in self._seen)])
        harms = [harmed.astype(np.float64) for _, harmed in self._seen]
        visits = np.concatenate([memory * old.visits, *map(np.ones_like, harms)])
        self._keys, place = np.unique(keys, return_inverse=True)
        size = len(self._keys)
        counts = [visits, np.concatenate([memory * old.harms, *harms])]
        evidence = Evidence(*(np.bincount(place, c, size).astype(np.float64) for c in counts))
        forbidden = np.asarray(reviser(evidence))
        if forbidden.shape != (size,) or forbidden.dtype != np.bool_:
            raise UsageError(f"a reviser must answer {size} booleans, got {brief(forbidden)}")
        self.forbidden = self._keys[forbidden]
        kept = evidence.visits >= _FORGOTTEN
        self._keys = self._keys[kept]
        self._evidence = Evidence(evidence.visits[kept], evidence.harms[kept])
        self._seen = []
        self.revisions += 1
        self.steps = 0

    def inherit(self, former: "Book") -> None:
        """Goes on from another book's rules and evidence."""
        self.forbidden, self.steps = former.forbidden, former.steps
        self._keys, self._evidence = former._keys, former._evidence
        self._seen = list(former._seen)


def _key(numbers: NDArray[Any], of_actions: bool = False) -> Keys:
    """One key per row of whole numbers, (m, k) -> (m,): a random sum, equal for equal rows."""
    weights = _weights(numbers.shape[1], of_actions)
    keys: Keys = (numbers.astype(np.int64).view(np.uint64) * weights).sum(axis=1)
    return keys


@lru_cache(maxsize=64)
def _weights(count: int, of_actions: bool) -> Keys:
    rng = np.random.default_rng([_WEIGHTS_SEED, int(of_actions)])
    return rng.integers(0, 2**64, count, dtype=np.uint64)


@compiled
def _cell_keys(features: Any, width: Any, half: Any, weights: Any, out: Any) -> None:
    """Keys of the cells that features lie in, (n, features) -> (n,)."""
    for lane in range(len(out)):
        key = np.uint64(0)
        for place in range(features.shape[1]):
            cell = np.int64(math.floor(features[lane, place] / width + half))
            key += np.uint64(cell) * weights[place]
        out[lane] = key


@compiled
def _add_keys(actions: Any, weight: Any, keys: Any) -> None:
    """Adds the keys of actions to those of cells, (n,)."""
    for lane in range(len(keys)):
        keys[lane] += np.uint64(actions[lane]) * weight


@compiled
def _leave_out(forbidden: Any, keys: Any, kept: Any) -> None:
    """Marks keys, (n,), that are not among the forbidden ones, which are sorted."""
    places = np.searchsorted(forbidden, keys)
    for lane in range(len(kept)):
        kept[lane] = True
        if len(forbidden) > 0 and places[lane] < len(forbidden):
            kept[lane] = forbidden[places[lane]] != keys[lane]


class Revision:
    """Rules are revised now and then by somebody who looks at the harm since the last time.

    Rules are added where there was harm, and lifted where the evidence for them has been
    forgotten: what is forbidden does not run, so nothing else would ever show that it has become
    safe. A pair whose rule was lifted has nearly enough evidence left to be forbidden again.

    Args:
        reviser: which pairs of a cell and an action are forbidden, a function of ``Evidence``;
            default ``HarmRate``.
        every: steps of all lanes together between revisions, at least 1.
        seconds: human time of one revision, at least 0; shared among the lanes' accounts.
        memory: share of the evidence that still counts after the next revision, in [0, 1]; 1: no
            evidence is ever forgotten.
        cells: which states count as the same, a function of observations; default ``Cells``.
    """

    def __init__(
        self,
        reviser: Reviser | None = None,
        every: int = 2048,
        seconds: float = 60.0,
        memory: float = 0.9,
        cells: CellFunction | None = None,
    ) -> None:
        self.reviser: Reviser = HarmRate() if reviser is None else reviser
        self.every = whole("every", every, 1)
        self.seconds = finite("seconds", seconds, 0.0)
        self.memory = probability("memory", memory)
        self.cells: CellFunction = Cells() if cells is None else cells
        for name in ("reviser", "cells"):
            if not callable(getattr(self, name)):
                raise UsageError(f"{name} must be a function, got {getattr(self, name)!r}")

    def start(self) -> Book:
        """An empty book."""
        return Book(self.cells)

    def go_on(self, book: Book, seconds: FloatArray) -> None:
        """Counts one step of all lanes, and revises the book when it is time.

        Args:
            book: the rules.
            seconds: human time of each lane in this step, shape (n,); a revision is added.
        """
        book.steps += len(seconds)
        if book.steps >= self.every:
            book.revise(self.reviser, self.memory)
            seconds += self.seconds / len(seconds)
