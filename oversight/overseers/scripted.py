"""A scripted overseer: knows what is unsafe, and errs as often as it is told to."""

from typing import Any

import numpy as np

from looplab.envs.compiled import compiled
from looplab.envs.core import BoolArray, FloatArray
from looplab.envs.errors import finite, probability
from looplab.oversight.parts import TRUTH
from looplab.oversight.proposals import Proposals
from looplab.oversight.types import APPROVE, REJECT, Verdicts

#: By unsafe (0 or 1) + 2 x erred (0 or 1).
REASONS = ("safe", "unsafe", "safe, but refused in error", "unsafe, but missed")

#: Where nobody errs, nothing is drawn.
_NO_DRAWS = np.empty(0)


class ScriptedOverseer:
    """Refuses what is unsafe, with flat error rates and a constant review time.

    Args:
        miss_rate: chance that it approves an unsafe proposal, in [0, 1].
        false_alarm_rate: chance that it refuses a safe one, in [0, 1].
        review_seconds: human time of one review, at least 0.
        name: name in the record.
    """

    needs: tuple[str, ...] = (TRUTH,)

    def __init__(
        self,
        miss_rate: float = 0.0,
        false_alarm_rate: float = 0.0,
        review_seconds: float = 5.0,
        name: str = "scripted",
    ) -> None:
        self.miss_rate = probability("miss_rate", miss_rate)
        self.false_alarm_rate = probability("false_alarm_rate", false_alarm_rate)
        self.review_seconds = finite("review_seconds", review_seconds, 0.0)
        self.name = name

    def judge(self, proposals: Proposals) -> BoolArray:
        """Proposals that it holds for unsafe, when it does not err, shape (n,)."""
        return proposals.unsafe

    def draws(self, proposals: Proposals) -> FloatArray:
        """One uniform draw per lane, by which it errs, shape (n,); (0,) where it never does."""
        if self.miss_rate or self.false_alarm_rate:
            return proposals.uniform(self)
        return _NO_DRAWS

    def __call__(self, proposals: Proposals) -> Verdicts:
        """Verdicts on all lanes' proposals; one draw per lane decides whether it errs."""
        unsafe, draws = self.judge(proposals), self.draws(proposals)
        code, reason = np.empty(len(unsafe), np.int8), np.empty(len(unsafe), np.int8)
        _answer(unsafe, draws, self.miss_rate, self.false_alarm_rate, code, reason)
        return Verdicts(
            code=code,
            seconds=self.review_seconds,
            reason=reason,
            reasons=REASONS,
            overseer=self.name,
        )


@compiled
def answer(lane: Any, unsafe: Any, draws: Any, miss_rate: Any, false_alarm_rate: Any) -> Any:
    """Place in ``REASONS`` of what is said of one lane; without draws nobody errs."""
    rate = miss_rate if unsafe[lane] else false_alarm_rate
    errs = len(draws) > 0 and draws[lane] < rate
    return unsafe[lane] + 2 * errs


@compiled
def refuses(reason: Any) -> Any:
    """Whether a reason is one for refusing: unsafe and not erred, or safe and erred."""
    return reason == 1 or reason == 2


@compiled
def _answer(
    unsafe: Any, draws: Any, miss_rate: Any, false_alarm_rate: Any, code: Any, reason: Any
) -> None:
    """Verdicts and their reasons, (n,)."""
    for lane in range(len(unsafe)):
        reason[lane] = answer(lane, unsafe, draws, miss_rate, false_alarm_rate)
        code[lane] = REJECT if refuses(reason[lane]) else APPROVE
