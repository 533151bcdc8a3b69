"""Actions that wait while the world goes on: for a verdict, or for a veto window to pass."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looplab.envs.core import Actions, BoolArray, IntArray
from looplab.oversight.asking import answered
from looplab.oversight.decision import Decision
from looplab.oversight.fallbacks import Fallback
from looplab.oversight.proposals import Proposals
from looplab.oversight.protocols.base import refuse
from looplab.oversight.types import APPROVE, VERDICTS, Verdicts, put, some

WAITING = "an earlier proposal waits"
EXECUTED = "the verdict on an earlier proposal takes effect"

#: Steps after which nothing that waits is ever reached; seconds of any size fit.
_LONGEST = 2**62


@dataclass(slots=True)
class Waiting:
    """What waits in each lane; arrays of shape (n, ...).

    Attributes:
        steps: steps until the verdict takes effect; 0 where nothing waits.
        action: what was proposed, or the correction that came with the verdict.
        code: the verdict.
        corrected: a verdict of ``modify`` brought its own correction, which is in ``action``.
    """

    steps: IntArray
    action: Actions | None
    code: NDArray[np.int8]
    corrected: BoolArray

    @classmethod
    def none(cls, num_lanes: int) -> "Waiting":
        """Nothing waits in any lane."""
        return cls(
            np.zeros(num_lanes, np.int64),
            None,
            np.zeros(num_lanes, np.int8),
            np.zeros(num_lanes, np.bool_),
        )

    def clear(self, mask: BoolArray) -> None:
        """Forgets what waits in the masked lanes."""
        self.steps[mask] = 0

    def add(
        self, mask: BoolArray, steps: IntArray, proposals: Proposals, verdicts: Verdicts
    ) -> None:
        """Lets the masked lanes' proposals wait for some steps, at least 1 each."""
        if self.action is None:
            self.action = np.zeros_like(proposals.action)
        self.steps[mask] = steps[mask]
        put(self.action, mask, proposals.action)
        np.copyto(self.code, verdicts.code, where=mask)
        self.corrected &= ~mask
        if verdicts.correction is not None:
            corrected = verdicts.brings_correction(mask)
            source = f"overseer {verdicts.overseer}"
            put(
                self.action,
                corrected,
                answered(verdicts.correction, corrected, proposals, source),
            )
            self.corrected |= corrected

    def run(self, proposals: Proposals, decision: Decision, fallback: Fallback) -> None:
        """One step of every lane in which something waits.

        The fallback runs until the verdict takes effect; then the approved action, or what the
        verdict put in its place. What is proposed meanwhile is discarded.
        """
        waits = decision.remaining(self.steps > 0)
        if not some(waits):
            return
        assert self.action is not None  # something was added
        self.steps[waits] -= 1
        due = waits & (self.steps == 0)
        decision.untouched = False
        decision.standby |= waits
        decision.unconsidered |= waits
        decision.say(waits, WAITING)
        refuse(decision, waits & ~due, proposals, fallback)
        if some(due):
            self._take_effect(due, proposals, decision, fallback)

    def _take_effect(
        self, due: BoolArray, proposals: Proposals, decision: Decision, fallback: Fallback
    ) -> None:
        assert self.action is not None
        decision.say(due, EXECUTED)
        waited = proposals.having(self.action)
        approved = due & (self.code == APPROVE)
        decision.stale |= approved
        runs = approved | (due & self.corrected)
        put(decision.executed, runs, self.action)
        verdicts = Verdicts(self.code, 0.0, self.code, VERDICTS, "")
        refuse(decision, due & ~runs, waited, fallback, verdicts)


def steps_of(seconds: Any, step_seconds: float) -> IntArray:
    """Whole steps that some seconds take: ceil(seconds / step_seconds), shape (n,), bounded."""
    return np.minimum(np.ceil(np.asarray(seconds) / step_seconds), _LONGEST).astype(np.int64)
