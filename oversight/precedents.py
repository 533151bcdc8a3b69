"""Past decisions, remembered so that a reviewer sees what was decided in cases like this one."""

import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looplab.envs.core import FloatArray, IntArray
from looplab.envs.errors import whole
from looplab.oversight.features import FeatureFunction, Features
from looplab.oversight.neighbours import Neighbours
from looplab.oversight.proposals import Proposals
from looplab.oversight.record import Record
from looplab.oversight.types import NOT_ASKED, VERDICTS, Lexicon, some

#: Columns of one remembered decision, beside its action.
_KEPT = [("lane", np.int32), ("episode", np.int64), ("step", np.int64), ("verdict", np.int8),
         ("reason", np.int32)]  # fmt: skip
#: Farther than any two observations are apart: past decisions on other actions come last.
_FAR = 1e12


@dataclass(frozen=True)
class Precedent:
    """One past decision.

    Attributes:
        lane: where it was made, as are ``episode`` and ``step``.
        action: what was proposed then.
        verdict: what the human said, and ``reason`` why.
        distance: of what the agent saw then from what it sees now, as in ``Neighbours``.
    """

    lane: int
    episode: int
    step: int
    action: Any
    verdict: str
    reason: str
    distance: float


@dataclass(frozen=True, slots=True)
class Nearest:
    """The nearest past decisions of some lanes.

    Attributes:
        lanes: which lanes, shape (m,).
        kept: what is remembered of each, nearest first, shape (m, k).
        distance: how far it is, shape (m, k).
        texts: what the codes of reasons mean.
    """

    lanes: IntArray
    kept: NDArray[Any]
    distance: FloatArray
    texts: list[str]

    def of(self, lane: int) -> list[Precedent]:
        """The nearest past decisions of one lane; none if it was not asked about."""
        rows = np.flatnonzero(self.lanes == lane)
        if not len(rows):
            return []
        return [
            Precedent(
                int(kept["lane"]), int(kept["episode"]), int(kept["step"]),
                kept["action"].tolist(), VERDICTS[kept["verdict"]],
                self.texts[kept["reason"]], float(distance),
            )
            for kept, distance in zip(self.kept[rows[0]], self.distance[rows[0]], strict=True)
        ]  # fmt: skip


@dataclass(slots=True)
class Archive:
    """What is remembered so far.

    Attributes:
        features: of observations; None before the first question.
        neighbours: features of the remembered decisions; None before the first, as is ``kept``.
        kept: the decisions, in the places of ``neighbours``.
        reasons: what their codes of reasons mean.
    """

    features: Features | None = None
    neighbours: Neighbours | None = None
    kept: NDArray[Any] | None = None
    reasons: Lexicon = field(default_factory=lambda: Lexicon(NOT_ASKED))


class Precedents:
    """Remembers the last reviewed proposals, and finds the nearest ones; a part, not a trigger.

    Those with the same (discrete) action come first. All lanes share one memory.

    Args:
        count: decisions that are found for each lane, at least 1.
        memory: decisions that are remembered; the oldest make room.
        features: function of observations (n, ...) that returns (n, d); None: flattened, or
            one-hot where they are numbers of states.
    """

    def __init__(
        self, count: int = 3, memory: int = 512, features: FeatureFunction | None = None
    ) -> None:
        self.count = whole("count", count, 1)
        self.memory = whole("memory", memory, 1)
        self.features = features

    def start(self, num_lanes: int) -> Archive:
        """Nothing is remembered."""
        return Archive()

    def __call__(self, proposals: Proposals) -> Nearest | None:
        """The nearest past decisions of the lanes that are asked about; None if there are none."""
        archive: Archive = proposals.memory(self)
        if archive.features is None:
            archive.features = Features(proposals.lanes.observation_space, self.features)
        if archive.neighbours is None or archive.kept is None:
            return None
        lanes = np.flatnonzero(proposals.asked)
        shown = archive.features(proposals.observation[lanes])
        distances = archive.neighbours.distances(shown)
        order = distances.copy()
        past = archive.kept["action"][: len(archive.neighbours)]
        if past.ndim == 1:
            order += _FAR * (past != proposals.action[lanes, None])
        rows = np.arange(len(lanes))
        found = []
        for _ in range(min(self.count, order.shape[1])):
            found.append(order.argmin(axis=1))
            order[rows, found[-1]] = np.inf
        nearest = np.stack(found, axis=1)
        return Nearest(
            lanes, archive.kept[nearest], distances[rows[:, None], nearest], archive.reasons.texts
        )

    def inherit(self, archive: Archive, former: Archive) -> None:
        """Goes on with what another engine's reviewers decided."""
        for name in ("features", "neighbours", "kept", "reasons"):
            setattr(archive, name, copy.deepcopy(getattr(former, name)))

    def see(self, archive: Archive, record: Record) -> None:
        """Remembers what was reviewed in this step."""
        reviewed = record.asked & record.reviewed
        if archive.features is None or not some(reviewed):
            return
        shown = archive.features(record.observed[reviewed])
        if archive.neighbours is None or archive.kept is None:
            archive.neighbours = Neighbours(self.memory, shown.shape[1])
            action = ("action", record.proposed.dtype, record.proposed.shape[1:])
            archive.kept = np.zeros(self.memory, [*_KEPT, action])
        archive.neighbours.scale.see(shown)
        places = archive.neighbours.add(shown)
        for name in ("lane", "episode", "step", "verdict"):
            archive.kept[name][places] = getattr(record, name)[reviewed]
        archive.kept["action"][places] = record.proposed[reviewed]
        codes, where = np.unique(record.reason[reviewed], return_inverse=True)
        texts = record.decision.reasons.texts
        known = np.array([archive.reasons[texts[code]] for code in codes.tolist()])
        archive.kept["reason"][places] = known[where]
