"""P(refused | observation, action), learned online from verdicts."""

import copy
from typing import Any

import gymnasium as gym
import numpy as np

from looplab.envs.core import BoolArray, FloatArray, IntArray, Lanes
from looplab.envs.errors import finite, whole, within
from looplab.envs.streams import Streams
from looplab.oversight.features import FeatureFunction, Features, RunningScale
from looplab.oversight.proposals import Proposals
from looplab.oversight.record import Record
from looplab.oversight.triggers.base import Scored
from looplab.oversight.types import APPROVE, ESCALATE, some

#: Logits beyond this make no difference.
_MAX_LOGIT = 30.0
#: Poisson(1) draws above this, about one in 1e7, count as this.
_MAX_WEIGHT = 10
#: P(X <= k) of X ~ Poisson(1), k = 0 ... _MAX_WEIGHT - 1.
_POISSON = np.exp(-1.0) * np.cumsum(
    1.0 / np.cumprod(np.maximum(np.arange(_MAX_WEIGHT), 1), dtype=np.float64)
)
#: Standard deviation of uniform draws in [0, 1).
_UNIFORM_SD = 12.0**-0.5


class Refusals:
    """Logistic regressions of verdicts on (features, action): one, or an ensemble.

    Features are standardised by their running scale, and each discrete action has weights of its
    own. A step's verdicts move the weights once along the gradient divided by the precision, which
    adds up p (1 - p) x^2 over all verdicts (the diagonal Laplace approximation of Chapelle & Li
    2011, in one pass), and no further than to the minimum along that line.

    Args:
        lanes: the task.
        members: regressions K.
        prior: precision of the weights before any verdict, above 0.
        features: function of observations; None: the default of ``Features``.
        seed: of first weights and bootstrap weights, where there is more than one member.
    """

    def __init__(
        self, lanes: Lanes, members: int, prior: float, features: FeatureFunction | None, seed: int
    ) -> None:
        self._features = Features(lanes.observation_space, features)
        self._discrete = isinstance(lanes.action_space, gym.spaces.Discrete)
        self._actions = int(getattr(lanes.action_space, "n", 1))
        self._members, self._prior, self._seed = members, prior, seed
        self._bootstrap = Streams(lanes.num_lanes, "bootstrap", seed)
        self._scale: RunningScale | None = None
        self._raw: FloatArray = np.zeros((0, 0))
        #: Standardised features and a 1, (n, D), and actions of the present step, (n,), until it
        #: has been learned from; None between.
        self.shown: tuple[FloatArray, IntArray] | None = None
        #: Log-odds that each shown proposal is refused, by each member, shape (n, K).
        self.logits: FloatArray = np.zeros((0, members))
        self.weights: FloatArray = np.zeros((0, 0, 0))
        self.precision: FloatArray = np.zeros((0, 0, 0))

    def show(self, proposals: Proposals) -> None:
        """Takes the present step's proposals as what the next questions are about."""
        raw, action = self._features(proposals.observation), proposals.action
        if self._discrete:
            index = action.astype(np.int64)
        else:
            index = np.zeros(len(action), np.int64)
            raw = np.concatenate([raw, action.reshape(len(action), -1)], axis=1)
        if self._scale is None:
            self._scale = RunningScale(raw.shape[1])
            self._scale.see(raw)
            self._begin(raw.shape[1] + 1)
        design = np.ones((len(raw), raw.shape[1] + 1))
        design[:, :-1] = self._scale.standard(raw)
        self._raw, self.shown = raw, (design, index)
        logits = self._of_actions(self.weights, design, index)
        self.logits = np.clip(logits, -_MAX_LOGIT, _MAX_LOGIT, out=logits)

    def _begin(self, width: int) -> None:
        shape = (self._members, self._actions, width)
        self.weights = np.zeros(shape)
        self.precision = np.full(shape, self._prior)
        if self._members > 1:  # members that begin alike would agree where nothing is known
            rows = np.zeros(self._members * self._actions, np.int64)
            draws = Streams(len(rows), "first weights", self._seed).uniforms(rows, rows, width)
            self.weights += (draws.reshape(shape) - 0.5) / (_UNIFORM_SD * self._prior**0.5)

    def _of_actions(self, table: FloatArray, rows: FloatArray, index: IntArray) -> FloatArray:
        """Products of rows (n, D) with the members' entries (K, A, D) of their actions, (n, K)."""
        width = table.shape[-1]
        products = (rows @ table.reshape(-1, width).T).reshape(len(rows), *table.shape[:2])
        return products[np.arange(len(rows)), :, index]

    def doubt(self) -> FloatArray:
        """Standard deviation of the first member's log-odds, shape (n,)."""
        assert self.shown is not None  # whoever asks has shown
        rows, index = self.shown
        return np.sqrt(self._of_actions(1.0 / self.precision[:1], rows * rows, index)[:, 0])

    def learn(self, record: Record) -> None:
        """Takes in what was shown, and the verdicts on it."""
        if self.shown is None or self._scale is None:
            return
        judged = verdicts_given(record)
        if some(judged):
            self._move(judged, record)
        self._scale.see(self._raw)
        self.shown = None

    def _move(self, judged: BoolArray, record: Record) -> None:
        assert self.shown is not None
        rows, index = self.shown[0][judged], self.shown[1][judged]
        chance = sigmoid(self.logits[judged])
        refused = (record.verdict[judged] != APPROVE)[:, None]
        weight: Any = 1.0
        if self._members > 1:  # online bootstrap (Oza & Russell 2001)
            if len(self._bootstrap) != len(judged):  # as many lanes as there are here
                self._bootstrap = Streams(len(judged), "bootstrap", self._seed)
            draws = self._bootstrap.uniforms(record.episode, record.step, self._members)
            weight = np.searchsorted(_POISSON, draws[judged], side="right")
        curvature = weight * chance * (1.0 - chance)
        gradient = self._by_action(weight * (refused - chance), rows, index)
        self.precision += self._by_action(curvature, rows * rows, index)
        step = gradient / self.precision
        along = (gradient * step).sum(axis=(1, 2))
        bend = (curvature * np.square(self._of_actions(step, rows, index))).sum(axis=0)
        bend += self._prior * np.square(step).sum(axis=(1, 2))
        length = np.minimum(along / np.maximum(bend, np.finfo(np.float64).tiny), 1.0)
        self.weights += length[:, None, None] * step

    def _by_action(self, values: FloatArray, rows: FloatArray, index: IntArray) -> FloatArray:
        """Sums of values (m, K) x rows (m, D) over the rows of each action, (K, A, D)."""
        spread = np.zeros((len(rows), self._members, self._actions))
        spread[np.arange(len(rows)), :, index] = values
        sums: FloatArray = spread.reshape(len(rows), -1).T @ rows
        return sums.reshape(self.weights.shape)


class LearnsRefusals(Scored):
    """What the triggers have in common that learn from verdicts.

    Args:
        tau: threshold.
        members: regressions that are learned.
        prior: precision of their weights before any verdict, above 0.
        features: function of observations (n, ...) that returns (n, d); None: flattened, or
            one-hot where they are numbers of states.
        seed: of first weights and bootstrap weights.
    """

    def __init__(
        self,
        tau: float,
        members: int = 1,
        prior: float = 1.0,
        features: FeatureFunction | None = None,
        seed: int = 0,
    ) -> None:
        self.tau = within("tau", tau, 0.0, 1.0)
        self.members = whole("members", members, 1)
        self.prior = finite("prior", prior, np.finfo(np.float64).tiny)
        self.features = features
        self.seed = whole("seed", seed, 0)

    def start(self, num_lanes: int) -> list[Refusals]:
        """Room for what is learned, which begins with the first proposals."""
        return []

    def shown(self, proposals: Proposals) -> Refusals:
        """What has been learned, about to be asked about these proposals."""
        learned: list[Refusals] = proposals.memory(self)
        if not learned:
            learned.append(
                Refusals(proposals.lanes, self.members, self.prior, self.features, self.seed)
            )
        learned[0].show(proposals)
        return learned[0]

    def inherit(self, learned: list[Refusals], former: list[Refusals]) -> None:
        """Goes on with what was learned in another engine."""
        learned[:] = copy.deepcopy(former)

    def see(self, learned: list[Refusals], record: Record) -> None:
        """Learns from the verdicts of this step."""
        if learned:
            learned[0].learn(record)


def verdicts_given(record: Record) -> BoolArray:
    """Lanes whose proposal a human judged, by asking or by watching, shape (n,)."""
    judged: BoolArray = (record.asked | record.watched) & (record.verdict != ESCALATE)
    return judged


def sigmoid(logits: FloatArray) -> FloatArray:
    """Probabilities from log-odds."""
    chance: FloatArray = 1.0 / (1.0 + np.exp(-logits))
    return chance
