"""Reviewers who take turns: who is on duty is a matter of the clock."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from looplab.envs.core import IntArray
from looplab.envs.errors import UsageError, finite, whole
from looplab.oversight.asking import consult, several, titled
from looplab.oversight.proposals import Proposals
from looplab.oversight.types import Verdicts


class Rotation:
    """Shifts of equal length, one reviewer after another, round and round.

    The clock is the engine's, the same for all lanes and across episodes. Only who is on duty is
    asked; the others' states stand still, and what their models make of the time is rest. Whoever
    comes on duty spends the handover before the lane's first answer of the shift.

    Args:
        overseers: the reviewers in the order of their shifts, a list or a mapping from names;
            somebody may have several shifts in a round.
        shift_steps: steps that a shift lasts, at least 1; or
        shift_seconds: its seconds, above 0, where a step takes ``step_seconds``.
        step_seconds: seconds that one step takes, above 0.
        handover_seconds: human time of taking over, at least 0; the first shift takes over from
            nobody.
        name: name of the whole roster.

    Raises:
        UsageError: unless the shift is given in exactly one way.
    """

    def __init__(
        self,
        overseers: Sequence[Any] | Mapping[str, Any],
        shift_steps: int | None = None,
        shift_seconds: float | None = None,
        step_seconds: float = 1.0,
        handover_seconds: float = 0.0,
        name: str = "rotation",
    ) -> None:
        self.names, self.parts = several("Rotation", overseers)
        if (shift_steps is None) == (shift_seconds is None):
            raise UsageError("Rotation: give either shift_steps or shift_seconds")
        least = float(np.finfo(np.float64).tiny)
        if shift_seconds is not None:
            seconds = finite("shift_seconds", shift_seconds, least)
            self.shift_steps = seconds / finite("step_seconds", step_seconds, least)
        else:
            self.shift_steps = float(whole("shift_steps", shift_steps, 1))  # type: ignore[arg-type]
        self.handover_seconds = finite("handover_seconds", handover_seconds, 0.0)
        self.name = name

    def start(self, num_lanes: int) -> IntArray:
        """Number of the shift in which each lane was last asked, shape (n,)."""
        return np.zeros(num_lanes, np.int64)

    def __call__(self, proposals: Proposals) -> Verdicts:
        """Verdicts of whoever is on duty."""
        asked = proposals.asked
        shift = int(proposals.clock // self.shift_steps)
        on_duty = shift % len(self.parts)
        answer = consult(self.parts[on_duty], proposals, asked, proposals.watching)
        if self.names is not None:
            answer = titled(answer, self.names[on_duty])
        last: IntArray = proposals.memory(self)
        handover = self.handover_seconds * (last != shift)
        last[asked] = shift
        return replace(answer, seconds=answer.seconds + handover, elapsed=answer.wait + handover)
