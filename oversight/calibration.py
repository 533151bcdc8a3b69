"""Calibration: how often what was predicted happened, for the policy's confidence and for risk."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from looplab.envs.core import FloatArray
from looplab.oversight.decision import Decision
from looplab.oversight.parts import CONFIDENCE
from looplab.oversight.proposals import Proposals
from looplab.oversight.record import Record

#: Predictions are put in so many bins of equal width.
BINS = 10
#: What is predicted, and what must happen for the prediction to have been right.
RISK, SAFETY = "risk", "confidence"


@dataclass
class Reliability:
    """Predicted chances against what happened, in bins.

    Attributes:
        count: predictions in each bin, shape (BINS,).
        predicted: sum of the predicted chances, shape (BINS,).
        happened: how often it happened, shape (BINS,).
    """

    count: FloatArray
    predicted: FloatArray
    happened: FloatArray

    @classmethod
    def empty(cls) -> "Reliability":
        """No prediction yet."""
        return cls(np.zeros(BINS), np.zeros(BINS), np.zeros(BINS))

    def add(self, chance: FloatArray, happened: Any) -> None:
        """Takes n predictions in [0, 1] and what came of them, each of shape (n,)."""
        place = np.minimum((chance * BINS).astype(np.int64), BINS - 1)
        self.count += np.bincount(place, minlength=BINS)
        self.predicted += np.bincount(place, chance, BINS)
        self.happened += np.bincount(place, happened, BINS)

    @property
    def error(self) -> float:
        """Expected calibration error, in [0, 1] (Naeini, Cooper & Hauskrecht 2015); NaN of nothing.

        The mean distance between predicted and actual share, bins weighed by their counts.
        """
        total = self.count.sum()
        return (
            float(np.abs(self.predicted - self.happened).sum() / total) if total else float("nan")
        )

    def report(self) -> dict[str, Any]:
        """As plain lists, for a file."""
        return {
            "error": self.error,
            "count": self.count.astype(int).tolist(),
            "predicted": self.predicted.tolist(),
            "happened": self.happened.astype(int).tolist(),
        }


class Calibration:
    """Notes how well risk and confidence predict what happens; changes nothing. Stackable.

    ``risk`` predicts a violation in this very step: the estimated risk of what is executed, where
    the task offers one. ``confidence`` predicts that the proposal is not unsafe: the policy's
    probability of it. Read it with ``engine.state(calibration)``.

    Args:
        confidence: whether to read the policy's confidence, which must then have one.
    """

    def __init__(self, confidence: bool = False) -> None:
        self.confidence = confidence

    @property
    def needs(self) -> tuple[str, ...]:
        """The policy's confidence, if it is read."""
        return (CONFIDENCE,) if self.confidence else ()

    def start(self, num_lanes: int) -> dict[str, Any]:
        """Nothing was predicted yet."""
        return {}

    def __call__(self, proposals: Proposals, decision: Decision) -> None:
        """Notes what is predicted of this step."""
        notes = proposals.memory(self)
        if proposals.lanes.offers("estimated"):
            notes["expected"] = proposals.having(decision.executed).risk("estimated").copy()
        if self.confidence and proposals.known:
            notes["sure"] = proposals.confidence.copy()

    def see(self, notes: dict[str, Any], record: Record) -> None:
        """Notes what came of it."""
        runs = ~record.halted
        for name, said, came in (
            (RISK, notes.pop("expected", None), record.cost > 0.0),
            (SAFETY, notes.pop("sure", None), ~record.risky),
        ):
            if said is not None:
                notes.setdefault(name, Reliability.empty()).add(said[runs], came[runs])
