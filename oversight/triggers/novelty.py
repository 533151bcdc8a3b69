"""A trigger on what the agent has hardly seen before."""

import copy
import math
from dataclasses import dataclass

import numpy as np

from looplab.envs.core import FloatArray
from looplab.envs.errors import whole, within
from looplab.oversight.features import FeatureFunction, Features
from looplab.oversight.neighbours import Neighbours
from looplab.oversight.proposals import Proposals
from looplab.oversight.record import Record
from looplab.oversight.triggers.base import Scored


@dataclass(slots=True)
class Seen:
    """What has been seen so far.

    Attributes:
        features: of observations; None before the first.
        neighbours: what is remembered; None before the first observation.
        shown: features and novelty of the present step, until ``see`` takes them in.
    """

    features: Features | None = None
    neighbours: Neighbours | None = None
    shown: tuple[FloatArray, FloatArray] | None = None


class Novelty(Scored):
    """Asks where what the agent sees is far from everything that it has seen.

    Novelty is the distance to the nearest of the remembered observations (the outlier score of
    Ramaswamy, Rastogi & Shim 2000, for the first neighbour): the root of the mean squared
    difference over features, each in its running standard deviation; infinite before anything was
    seen. What lies at least ``radius`` from all that is remembered is remembered too, so that the
    memory covers what was seen instead of repeating it. All lanes share one memory.

    Args:
        tau: threshold, at least 0.
        memory: observations that are remembered; the oldest make room.
        radius: how far apart they lie at least; None: ``tau``.
        features: function of observations (n, ...) that returns (n, d); None: flattened, or
            one-hot where they are numbers of states.
    """

    name = "novelty"

    def __init__(
        self,
        tau: float = 0.5,
        memory: int = 512,
        radius: float | None = None,
        features: FeatureFunction | None = None,
    ) -> None:
        self.tau = within("tau", tau, 0.0)
        self.memory = whole("memory", memory, 1)
        self.radius = self.tau if radius is None else within("radius", radius, 0.0)
        self.features = features

    def start(self, num_lanes: int) -> Seen:
        """Nothing has been seen."""
        return Seen()

    def score(self, proposals: Proposals) -> FloatArray:
        """Novelty of what each lane sees, shape (n,)."""
        seen: Seen = proposals.memory(self)
        if seen.features is None:
            seen.features = Features(proposals.lanes.observation_space, self.features)
        shown = seen.features(proposals.observation)
        if seen.neighbours is None:
            novelty: FloatArray = np.full(len(shown), math.inf)
        else:
            novelty = seen.neighbours.distances(shown).min(axis=1)
        seen.shown = shown, novelty
        return novelty

    def inherit(self, seen: Seen, former: Seen) -> None:
        """Goes on with what another engine's lanes have seen."""
        seen.features, seen.neighbours = former.features, copy.deepcopy(former.neighbours)

    def see(self, seen: Seen, record: Record) -> None:
        """Remembers what was new in this step."""
        if seen.shown is None:
            return
        (shown, novelty), seen.shown = seen.shown, None
        if seen.neighbours is None:
            seen.neighbours = Neighbours(self.memory, shown.shape[1])
        seen.neighbours.scale.see(shown)
        new = shown[novelty >= self.radius]
        if len(new):
            seen.neighbours.add(np.unique(new, axis=0))
