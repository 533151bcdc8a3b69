"""In the loop: an action waits for a verdict before it runs."""

from dataclasses import replace

import numpy as np

from looplab.envs.core import BoolArray
from looplab.envs.errors import UsageError, choice, finite
from looplab.oversight.asking import consult
from looplab.oversight.decision import Decision
from looplab.oversight.fallbacks import Fallback, Hold, corrects, halts
from looplab.oversight.overseers.scripted import ScriptedOverseer
from looplab.oversight.proposals import Proposals
from looplab.oversight.protocols import scripted_gate
from looplab.oversight.protocols.base import label, refuse, triggered
from looplab.oversight.protocols.waiting import Waiting, steps_of
from looplab.oversight.triggers import Always, Trigger, reasons
from looplab.oversight.types import APPROVE, ESCALATE, MODIFY, REJECT, Verdicts, some

WORLDS = ("paused", "running")
TIMEOUTS = ("closed", "open")
OVERDUE = "nobody answered in time"


class Gate:
    """Every action that the trigger names waits for a verdict (Sheridan & Verplank 1978, level 5).

    In a ``paused`` world nothing moves while a review runs; human seconds accrue. In a ``running``
    one the fallback runs for d = ceil(review seconds / step_seconds) steps, proposals made
    meanwhile are discarded, and the verdict is executed at t + d; stale approvals are counted.
    A verdict of ``escalate``, and one that comes after the deadline, finds nobody above: it fails
    closed (the fallback runs), unless ``timeout`` says open.

    Args:
        trigger: when a human is asked; default always.
        overseer: who answers; default a ``ScriptedOverseer``.
        fallback: what runs instead of a refused action; default ``Hold``.
        world: ``paused`` or ``running``.
        step_seconds: seconds that one step of a running world takes, above 0.
        deadline_seconds: time after which nobody has answered; None: no deadline.
        timeout: ``closed`` or ``open``: what happens where nobody answered in time.
    """

    def __init__(
        self,
        trigger: Trigger | None = None,
        overseer: object | None = None,
        fallback: Fallback | None = None,
        world: str = "paused",
        step_seconds: float = 1.0,
        deadline_seconds: float | None = None,
        timeout: str = "closed",
    ) -> None:
        self.trigger: Trigger = Always() if trigger is None else trigger
        self.overseer = ScriptedOverseer() if overseer is None else overseer
        self.fallback: Fallback = Hold() if fallback is None else fallback
        self.world = choice("world", world, WORLDS)
        self.step_seconds = finite("step_seconds", step_seconds, np.finfo(np.float64).tiny)
        if deadline_seconds is not None:
            finite("deadline_seconds", deadline_seconds, 0.0)
        self.deadline_seconds = deadline_seconds
        self.timeout = choice("timeout", timeout, TIMEOUTS)
        #: Whether nothing is late and nothing waits.
        self._simple = self.world == "paused" and deadline_seconds is None
        if self.world == "running" and halts(self.fallback):
            raise UsageError(
                "Gate: in a running world the fallback runs while a review goes on, so it cannot "
                "be Halt; use Hold, or world=paused"
            )

    @property
    def parts(self) -> tuple[object, ...]:
        """Trigger, overseer and fallback."""
        return (self.trigger, self.overseer, self.fallback)

    @property
    def discards(self) -> bool:
        """Whether proposals are discarded while something waits."""
        return self.world == "running"

    def start(self, num_lanes: int) -> Waiting:
        """Nothing waits yet."""
        return Waiting.none(num_lanes)

    def begin(self, waiting: Waiting, mask: BoolArray) -> None:
        """A new episode forgets what waited in the old one."""
        waiting.clear(mask)

    def __call__(self, proposals: Proposals, decision: Decision) -> None:
        """Asks, and lets pass what is approved."""
        if self._simple and scripted_gate.fits(self.trigger, self.overseer):
            refusal = MODIFY if corrects(self.fallback) else REJECT
            found = scripted_gate.review(self.trigger, self.overseer, refusal, proposals, decision)
            if found is not None:
                refuse(decision, found, proposals, self.fallback)
            return
        proposals.running = self.world == "running"
        if self.world == "running":
            proposals.memory(self).run(proposals, decision, self.fallback)
        asked = decision.remaining(triggered(self.trigger, proposals))
        if not some(asked):
            return
        why = reasons(self.trigger, proposals, asked)
        verdicts = consult(self.overseer, proposals, asked)
        if corrects(self.fallback):
            verdicts = label(verdicts, self.fallback)
        if self.timeout == "open" or self.deadline_seconds is not None:
            verdicts = self._escalate(asked, verdicts, decision)
        refused = decision.review(asked, verdicts, why)
        if self.world == "running":
            seconds = np.broadcast_to(verdicts.wait, asked.shape)
            waits = asked & (seconds > 0)
            steps = steps_of(seconds, self.step_seconds)
            proposals.memory(self).add(waits, steps, proposals, verdicts)
            refuse(decision, waits, proposals, self.fallback)
            refused &= ~waits
        refuse(decision, refused, proposals, self.fallback, verdicts)

    def _escalate(self, asked: BoolArray, verdicts: Verdicts, decision: Decision) -> Verdicts:
        """Turns verdicts that came too late into ``escalate``; lets these pass if so set."""
        if self.timeout == "open":
            passes = verdicts.code == ESCALATE
            verdicts = verdicts.called(np.where(passes, APPROVE, verdicts.code).astype(np.int8))
        if self.deadline_seconds is None:
            return verdicts
        late = asked & (np.asarray(verdicts.wait) > self.deadline_seconds)
        if not some(late):
            return verdicts
        decision.overdue |= late
        outcome = ESCALATE if self.timeout == "closed" else APPROVE
        allowed = self.deadline_seconds / np.maximum(verdicts.wait, self.deadline_seconds or 1.0)
        return replace(
            verdicts,
            code=np.where(late, outcome, verdicts.code).astype(np.int8),
            seconds=np.where(late, verdicts.seconds * allowed, verdicts.seconds),
            elapsed=np.where(late, self.deadline_seconds, verdicts.wait),
            reason=np.where(late, len(verdicts.reasons), verdicts.reason),
            reasons=(*verdicts.reasons, OVERDUE),
        )
