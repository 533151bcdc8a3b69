"""The veto window, the gentler kind of on the loop: announced actions run unless stopped."""

from dataclasses import replace

import numpy as np

from looplab.envs.core import BoolArray
from looplab.envs.errors import UsageError, finite, probability, whole
from looplab.oversight.asking import consult
from looplab.oversight.decision import Decision
from looplab.oversight.fallbacks import Fallback, Hold, halts
from looplab.oversight.overseers.scripted import ScriptedOverseer
from looplab.oversight.proposals import Proposals
from looplab.oversight.protocols.base import explain, label, refuse, triggered
from looplab.oversight.protocols.waiting import Waiting, steps_of
from looplab.oversight.triggers import Always, Trigger
from looplab.oversight.types import APPROVE, some

ANNOUNCED = "announced, and nobody objected"


class VetoWindow:
    """Announces an action and executes it after a window, unless a human stops it.

    During the window the fallback runs and proposals are discarded, as in the running world of a
    ``Gate``; but silence is consent. What the overseer would refuse is noticed with probability
    ``vigilance``; then the fallback runs in its place.

    Args:
        trigger: which actions are announced; the others run at once. Default always.
        overseer: whose judgement of what is unsafe; default a ``ScriptedOverseer``.
        fallback: what runs during the window and instead of what is stopped; default ``Hold``.
        window: steps between announcement and execution, at least 0.
        window_seconds: the same in seconds; then ``window`` must be left out.
        step_seconds: seconds that one step takes, above 0; used with ``window_seconds``.
        vigilance: chance in [0, 1] that the human notices.
        watch_seconds: human time per lane and step, even when nothing happens.
    """

    def __init__(
        self,
        trigger: Trigger | None = None,
        overseer: object | None = None,
        fallback: Fallback | None = None,
        window: int | None = None,
        window_seconds: float | None = None,
        step_seconds: float = 1.0,
        vigilance: float = 1.0,
        watch_seconds: float = 1.0,
    ) -> None:
        self.trigger: Trigger = Always() if trigger is None else trigger
        self.overseer = ScriptedOverseer() if overseer is None else overseer
        self.fallback: Fallback = Hold() if fallback is None else fallback
        if halts(self.fallback):
            raise UsageError("VetoWindow: the fallback runs during the window; it cannot be Halt")
        if window is not None and window_seconds is not None:
            raise UsageError("VetoWindow: give window (steps) or window_seconds, not both")
        finite("step_seconds", step_seconds, np.finfo(np.float64).tiny)
        if window_seconds is not None:
            finite("window_seconds", window_seconds, 0.0)
            self.window = int(steps_of(window_seconds, step_seconds))
        else:
            self.window = 1 if window is None else whole("window", window, 0)
        self.vigilance = probability("vigilance", vigilance)
        self.watch_seconds = finite("watch_seconds", watch_seconds, 0.0)

    @property
    def parts(self) -> tuple[object, ...]:
        """Trigger, overseer and fallback."""
        return (self.trigger, self.overseer, self.fallback)

    @property
    def discards(self) -> bool:
        """Whether proposals are discarded while something waits."""
        return self.window > 0

    def start(self, num_lanes: int) -> Waiting:
        """Nothing is announced yet."""
        return Waiting.none(num_lanes)

    def begin(self, waiting: Waiting, mask: BoolArray) -> None:
        """A new episode forgets what was announced in the old one."""
        waiting.clear(mask)

    def __call__(self, proposals: Proposals, decision: Decision) -> None:
        """Executes what was announced, and announces what is proposed."""
        waiting: Waiting = proposals.memory(self)
        here = decision.remaining()
        waiting.run(proposals, decision, self.fallback)
        announced = decision.remaining(triggered(self.trigger, proposals))
        decision.watched |= announced
        decision.seconds += self.watch_seconds * (announced | (here & decision.standby))
        if not some(announced):
            return
        decision.say(announced, ANNOUNCED)
        verdicts = label(consult(self.overseer, proposals, announced, watching=True), self.fallback)
        noticed = announced & (verdicts.code != APPROVE)
        if self.vigilance < 1.0:
            noticed &= proposals.uniform(self) < self.vigilance
        verdicts = replace(verdicts, code=np.where(noticed, verdicts.code, APPROVE).astype(np.int8))
        decision.noticed |= noticed
        decision.refused |= noticed
        decision.charged |= noticed
        decision.reviews += noticed
        decision.asked |= noticed
        decision.note(noticed, verdicts)
        explain(self.trigger, proposals, noticed, decision)
        if self.window == 0:
            refuse(decision, noticed, proposals, self.fallback, verdicts)
            return
        waiting.add(announced, np.full(len(proposals), self.window), proposals, verdicts)
        refuse(decision, announced, proposals, self.fallback)
