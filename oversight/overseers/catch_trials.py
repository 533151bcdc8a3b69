"""Catch trials: now and then a reviewer is shown an action whose answer is known."""

from dataclasses import replace
from typing import Any

import numpy as np

from looplab.envs.core import Actions, BoolArray, FloatArray
from looplab.envs.errors import within
from looplab.oversight.asking import consult, name_of
from looplab.oversight.detection import Detections
from looplab.oversight.overseers.scripted import ScriptedOverseer
from looplab.oversight.parts import TABLE
from looplab.oversight.proposals import Proposals
from looplab.oversight.types import APPROVE, Verdicts, some

#: Ends the name of the occasion on which a trial is shown.
CATCH_TRIAL = "/catch trial"


class CatchTrials:
    """Shows a reviewer, beside the real proposal, another action of the state now and then.

    It is the riskiest or the safest of the actions that were not proposed; where that is not of the
    kind that was to be shown (unsafe or safe), there is no trial. The reviewer does not know that
    it is one, and judges it as any other; the verdict never runs, but takes its time. Hits and
    false alarms are counted in each lane (``engine.state(trials)``, a ``Detections``), and tell d'
    and c without anybody knowing the truth about real proposals. A trial is no review in the
    record's counts.

    Args:
        overseer: who is tested; default a ``ScriptedOverseer``.
        probability: chance of a trial at each review, in [0, 1].
        unsafe_share: share of the trials that are to show something unsafe, in [0, 1].
    """

    needs = (TABLE,)

    def __init__(
        self, overseer: Any = None, probability: float = 0.1, unsafe_share: float = 0.5
    ) -> None:
        self.overseer = ScriptedOverseer() if overseer is None else overseer
        self.probability = within("probability", probability, 0.0, 1.0)
        self.unsafe_share = within("unsafe_share", unsafe_share, 0.0, 1.0)
        self.name = name_of(self.overseer)

    @property
    def parts(self) -> tuple[object, ...]:
        """Who is tested."""
        return (self.overseer,)

    def start(self, num_lanes: int) -> Detections:
        """No trial yet, shape (n,)."""
        return Detections.none(num_lanes)

    def sensitivity(self, proposals: Proposals) -> FloatArray:
        """Each lane's d' by the trials so far, shape (n,)."""
        trials: Detections = proposals.memory(self)
        return trials.d_prime

    def __call__(self, proposals: Proposals) -> Verdicts:
        """Verdicts on the real proposals, with the time of the trials added."""
        asked, watching = proposals.asked, proposals.watching
        verdicts = consult(self.overseer, proposals, asked, watching)
        shown = asked & (proposals.uniform(self) < self.probability)
        if not some(shown):
            return verdicts
        unsafe = proposals.uniform(self, "unsafe") < self.unsafe_share
        trial = proposals.having(_other(proposals, unsafe), CATCH_TRIAL)
        shown &= trial.unsafe == unsafe
        if not some(shown):
            return verdicts
        answer = consult(self.overseer, trial, shown, watching)
        proposals.memory(self).add(shown, unsafe, answer.code != APPROVE)
        return replace(
            verdicts,
            seconds=verdicts.seconds + np.where(shown, answer.seconds, 0.0),
            elapsed=verdicts.wait + np.where(shown, answer.wait, 0.0),
        )


def _other(proposals: Proposals, unsafe: BoolArray) -> Actions:
    """The riskiest or the safest action that was not proposed, shape (n,)."""
    table, proposed = proposals.truth_table.copy(), proposals.action[:, None]
    np.put_along_axis(table, proposed, -np.inf, axis=1)
    riskiest = table.argmax(axis=1)
    np.put_along_axis(table, proposed, np.inf, axis=1)
    other: Actions = np.where(unsafe, riskiest, table.argmin(axis=1))
    return other
