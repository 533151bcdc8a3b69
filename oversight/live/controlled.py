"""A protocol that people can pause, stop for good, or exchange for another preset while it runs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from looplab.envs.core import BoolArray
from looplab.envs.errors import UsageError
from looplab.oversight.decision import Decision
from looplab.oversight.live.answers import STOPPED
from looplab.oversight.live.overseer import LiveOverseer
from looplab.oversight.proposals import Proposals
from looplab.oversight.protocols.base import OversightProtocol
from looplab.oversight.types import TERMINATE, Stopped, Verdicts


@dataclass
class Course:
    """Where a controlled run is.

    Attributes:
        regime: name of the protocol in force.
        stopped: the kill switch was thrown, and all lanes have been stopped.
    """

    regime: str
    stopped: bool = False


class Controlled:
    """Asks before every step what people have set of the session.

    Paused: it waits. Stopped: every lane's episode is stopped in this step, and at the next one
    ``Stopped`` ends the run. Another regime: that one decides from this step on; alarms and
    waits of the one before stay with it. What was set when is in the run's journal, so that a
    repeated run goes the same way.

    Args:
        regimes: protocols by the names of their presets; the first is in force at first.
        overseer: whose line it asks.
    """

    def __init__(self, regimes: Mapping[str, OversightProtocol], overseer: LiveOverseer) -> None:
        if not regimes:
            raise UsageError("Controlled needs at least one regime")
        self.regimes = dict(regimes)
        self.overseer = overseer

    @property
    def parts(self) -> tuple[object, ...]:
        """All protocols that can come into force."""
        return tuple(self.regimes.values())

    @property
    def rates(self) -> bool:
        """Whether any of them rates what runs."""
        return any(getattr(part, "rates", False) for part in self.regimes.values())

    def start(self, num_lanes: int) -> Course:
        """The first regime is in force."""
        return Course(next(iter(self.regimes)))

    def __call__(self, proposals: Proposals, decision: Decision) -> None:
        """Lets the regime in force decide, unless the run is stopped.

        Raises:
            Stopped: in the step after all lanes were stopped.
        """
        course: Course = proposals.memory(self)
        if course.stopped:
            raise Stopped(f"the session was {STOPPED}")
        told = self.overseer.told(proposals)
        if told.get("stopped"):
            course.stopped = True
            self._stop(decision)
            return
        course.regime = told.get("regime") or course.regime
        self.regimes[course.regime](proposals, decision)
        if self.overseer.stopped(proposals):  # while it was asked
            course.stopped = True
            self._stop(decision)

    def _stop(self, decision: Decision) -> None:
        everyone: BoolArray = ~decision.halted
        code = np.full(len(everyone), TERMINATE, np.int8)
        verdicts = Verdicts(code, 0.0, np.zeros_like(code), (STOPPED,), self.overseer.name)
        decision.note(everyone, verdicts)
        decision.refused |= everyone
        decision.halted |= everyone
