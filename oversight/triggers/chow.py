"""The trigger that costs least where reviewers are imperfect."""

import math

import numpy as np

from looplab.envs.core import RISK_RESOLUTION, RISK_SOURCES, FloatArray
from looplab.envs.errors import UsageError, choice, finite, probability
from looplab.oversight.proposals import Proposals
from looplab.oversight.triggers.base import Score, Scored, as_scored
from looplab.oversight.triggers.confidence import ConfidenceBelow
from looplab.oversight.triggers.risk import RiskAbove
from looplab.oversight.types import some

_CONFIDENCE = "confidence"


class Chow(Scored):
    """Asks exactly where a review is expected to cost less than it saves.

    With p the probability that the proposal is unsafe, letting it run costs p C_v; asking costs
    C_r + p m C_v + (1 - p) f B, with review cost C_r, violation cost C_v, cost B of blocking what
    was safe, miss rate m and false-alarm rate f. So it asks where

        p >= (C_r + f B) / (C_v (1 - m) + f B),

    and never if that is 1 or more. Chow 1970 rejects where the error probability exceeds a cost c;
    with errors of cost 1 and a human who errs at rate h whatever is asked (B = C_v = 1, m = f = h)
    the rule is p >= c + h. It is optimal where p is a calibrated probability.

    Args:
        review_cost: C_r, at least 0.
        violation_cost: C_v, at least 0.
        block_cost: B, at least 0.
        miss_rate: m, in [0, 1].
        false_alarm_rate: f, in [0, 1].
        source: what p is: a source of risk as in ``RiskAbove``; ``confidence``, for 1 - confidence;
            or a scored trigger or plain function whose reading is a probability of being unsafe
            (1 minus it, where the trigger asks below its threshold). None: the first risk that the
            task offers.
    """

    def __init__(
        self,
        review_cost: float = 0.05,
        violation_cost: float = 1.0,
        block_cost: float = 0.2,
        miss_rate: float = 0.0,
        false_alarm_rate: float = 0.0,
        source: str | Scored | Score | None = None,
    ) -> None:
        self.review_cost = finite("review_cost", review_cost, 0.0)
        self.violation_cost = finite("violation_cost", violation_cost, 0.0)
        self.block_cost = finite("block_cost", block_cost, 0.0)
        self.miss_rate = probability("miss_rate", miss_rate)
        self.false_alarm_rate = probability("false_alarm_rate", false_alarm_rate)
        if isinstance(source, str):
            choice("source", source, (*RISK_SOURCES, _CONFIDENCE))
        if source is None or isinstance(source, str):
            source = ConfidenceBelow() if source == _CONFIDENCE else RiskAbove(source=source)
        self.source = as_scored(source)
        self.tau = self._threshold()

    def _threshold(self) -> float:
        blocked = self.false_alarm_rate * self.block_cost
        spent = self.review_cost + blocked
        saved = self.violation_cost * (1.0 - self.miss_rate) + blocked
        return spent / saved if spent < saved else math.inf

    @property
    def parts(self) -> tuple[object, ...]:
        """What p is read from."""
        return (self.source,)

    @property
    def name(self) -> str:
        """What p is."""
        return f"1 - {self.source.name}" if self.source.BELOW else self.source.name

    def score(self, proposals: Proposals) -> FloatArray:
        """Probability that each proposal is unsafe, shape (n,).

        Raises:
            UsageError: if the source read something else than a probability.
        """
        reading = self.source.reading(proposals)
        wrong = np.abs(reading - 0.5) > 0.5 + RISK_RESOLUTION
        if some(wrong):
            raise UsageError(
                f"Chow's source {self.source.name} must be a probability in [0, 1], got "
                f"{reading[wrong.argmax()]:g}"
            )
        return 1.0 - reading if self.source.BELOW else reading

    def __str__(self) -> str:
        return f"{super().__str__()} (Chow)"
