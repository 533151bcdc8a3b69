"""Few reviewers for many lanes: who is asked while all of them are busy waits."""

from dataclasses import replace
from typing import Any

import numpy as np

from looplab.envs.core import FloatArray
from looplab.envs.errors import finite, whole
from looplab.oversight.asking import consult
from looplab.oversight.overseers.scripted import ScriptedOverseer
from looplab.oversight.proposals import Proposals
from looplab.oversight.types import Verdicts


class Shared:
    """Reviewers whom all lanes share, one queue before them, served in random order within a step.

    An approximation: lanes step together, so that requests of one step come at the same time, and
    in a paused world the next step begins when the last of them is answered. What reviewers
    remember stays with the lane. Queueing is exact in ``looplab.oversight.fleet``. Waiting counts
    as elapsed time, against deadlines and in steps of a running world, not as human time.

    Args:
        overseer: how each of them answers; default a ``ScriptedOverseer``.
        reviewers: how many there are, at least 1.
        step_seconds: seconds that one step of a running world takes, above 0.
        name: name in the record.
    """

    def __init__(
        self,
        overseer: Any = None,
        reviewers: int = 2,
        step_seconds: float = 1.0,
        name: str = "shared",
    ) -> None:
        self.overseer = ScriptedOverseer() if overseer is None else overseer
        self.reviewers = whole("reviewers", reviewers, 1)
        self.step_seconds = finite("step_seconds", step_seconds, np.finfo(np.float64).tiny)
        self.name = name

    @property
    def parts(self) -> tuple[object, ...]:
        """How each of them answers."""
        return (self.overseer,)

    def start(self, num_lanes: int) -> FloatArray:
        """When each reviewer is free again, in seconds, shape (reviewers,)."""
        return np.zeros(self.reviewers)

    def __call__(self, proposals: Proposals) -> Verdicts:
        """Verdicts of all lanes, with the time that each of them waited for a reviewer."""
        asked = proposals.asked
        answer = consult(self.overseer, proposals, asked, proposals.watching)
        order = np.argsort(proposals.uniform(self, "order"))
        takes = np.broadcast_to(answer.wait, asked.shape)
        now, free = 0.0, np.zeros(self.reviewers)
        if proposals.running:
            now, free = proposals.clock * self.step_seconds, proposals.memory(self)
        elapsed = np.array(takes)
        for lane in order[asked[order]]:
            reviewer = int(free.argmin())
            free[reviewer] = max(free[reviewer], now) + takes[lane]
            elapsed[lane] = free[reviewer] - now
        return replace(answer, elapsed=elapsed)
