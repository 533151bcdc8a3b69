"""On the loop: the agent acts, a human watches, reacts late, and overrides for a while."""

from dataclasses import dataclass

import numpy as np

from looplab.envs.core import BoolArray, IntArray
from looplab.envs.errors import UsageError, finite, probability, whole
from looplab.oversight.asking import consult
from looplab.oversight.decision import Decision
from looplab.oversight.fallbacks import Correction, Fallback, corrects
from looplab.oversight.overseers.scripted import ScriptedOverseer
from looplab.oversight.proposals import Proposals
from looplab.oversight.protocols.base import explain, label, refuse, triggered
from looplab.oversight.protocols.waiting import steps_of
from looplab.oversight.triggers import Always, Trigger
from looplab.oversight.types import (
    APPROVE,
    MODIFY,
    REJECT,
    TERMINATE,
    VERDICTS,
    Verdicts,
    some,
)

OVERRIDDEN = "an override runs"
PENDING = "an alarm is pending"
WATCHED = "watched"


@dataclass(slots=True)
class Alarm:
    """State of the human on the loop in each lane; arrays of shape (n,).

    Attributes:
        delay: steps until the override begins; 0 where no alarm is pending.
        left: steps of override that are left; 0 where none runs.
        stops: the verdict was ``terminate``: the episode stops when the override begins.
    """

    delay: IntArray
    left: IntArray
    stops: BoolArray


class Veto:
    """A human watches, notices some of what is unsafe, and takes over after a lag.

    With no alarm pending and no override running, each proposal that the overseer would refuse is
    noticed with probability ``vigilance``. The fallback then replaces whatever is proposed in steps
    t + lag ... t + lag + override - 1; lag 0 replaces the action itself. The episode's end clears
    it. A penalty falls once, when the override begins. (Sheridan & Verplank 1978, level 6.)

    Args:
        overseer: whose judgement of what is unsafe; default a ``ScriptedOverseer``.
        fallback: what runs during the override; default the overseer's ``Correction``.
        trigger: when the human watches; default always.
        lag: steps between the unsafe proposal and the override, at least 0; default 1.
        step_seconds: seconds that one step takes; the lag is then the time that the overseer took
            to react, in whole steps, and ``lag`` must be left out.
        vigilance: chance in [0, 1] that the human notices.
        override: steps that an override lasts, at least 1.
        watch_seconds: human time per lane and step, even when nothing happens; where the trigger
            does not name the lane, nobody watches and no time is spent.
    """

    def __init__(
        self,
        overseer: object | None = None,
        fallback: Fallback | None = None,
        trigger: Trigger | None = None,
        lag: int | None = None,
        vigilance: float = 1.0,
        override: int = 3,
        watch_seconds: float = 1.0,
        step_seconds: float | None = None,
    ) -> None:
        self.overseer = ScriptedOverseer() if overseer is None else overseer
        self.fallback: Fallback = Correction() if fallback is None else fallback
        self.trigger: Trigger = Always() if trigger is None else trigger
        if lag is not None and step_seconds is not None:
            raise UsageError("Veto: give lag (steps) or step_seconds, not both")
        self.lag = 1 if lag is None else whole("lag", lag, 0)
        if step_seconds is not None:
            finite("step_seconds", step_seconds, np.finfo(np.float64).tiny)
        self.step_seconds = step_seconds
        self.vigilance = probability("vigilance", vigilance)
        self.override = whole("override", override, 1)
        self.watch_seconds = finite("watch_seconds", watch_seconds, 0.0)

    @property
    def parts(self) -> tuple[object, ...]:
        """Trigger, overseer and fallback."""
        return (self.trigger, self.overseer, self.fallback)

    def start(self, num_lanes: int) -> Alarm:
        """No alarm, no override."""
        return Alarm(
            np.zeros(num_lanes, np.int64),
            np.zeros(num_lanes, np.int64),
            np.zeros(num_lanes, np.bool_),
        )

    def begin(self, alarm: Alarm, mask: BoolArray) -> None:
        """A new episode clears alarms and overrides."""
        alarm.delay[mask] = 0
        alarm.left[mask] = 0

    def __call__(self, proposals: Proposals, decision: Decision) -> None:
        """Watches, raises alarms, and overrides."""
        alarm: Alarm = proposals.memory(self)
        here = decision.remaining()
        overridden = self._count_down(alarm, here, decision)
        pending = here & (alarm.delay > 0)
        watches = here & ~overridden & ~pending
        asked = triggered(self.trigger, proposals)
        if asked is not None:
            watches &= asked
        decision.standby |= overridden
        decision.alarm_pending |= pending
        decision.watched |= watches
        decision.seconds += self.watch_seconds * (watches | pending | overridden)
        decision.say(watches, WATCHED)
        if some(overridden):
            decision.say(overridden, OVERRIDDEN)
            self._override(alarm, overridden, proposals, decision)
        if some(pending):
            decision.say(pending, PENDING)
        if some(watches):
            self._watch(alarm, watches, proposals, decision)

    def _override(
        self, alarm: Alarm, overridden: BoolArray, proposals: Proposals, decision: Decision
    ) -> None:
        verdict = MODIFY if corrects(self.fallback) else REJECT
        code = np.where(alarm.stops, TERMINATE, verdict).astype(np.int8)
        np.copyto(decision.verdict, code, where=overridden)
        verdicts = Verdicts(code, 0.0, code, VERDICTS, "")
        refuse(decision, overridden, proposals, self.fallback, verdicts)

    def _count_down(self, alarm: Alarm, here: BoolArray, decision: Decision) -> BoolArray:
        """Moves alarms and overrides one step on; returns lanes that are overridden now."""
        was_pending = here & (alarm.delay > 0)
        alarm.delay -= was_pending
        begins = was_pending & (alarm.delay == 0)
        decision.charged |= begins
        alarm.left[begins] = self.override
        overridden: BoolArray = here & (alarm.left > 0)
        alarm.left -= overridden
        return overridden

    def _watch(
        self, alarm: Alarm, watches: BoolArray, proposals: Proposals, decision: Decision
    ) -> None:
        verdicts = label(consult(self.overseer, proposals, watches, watching=True), self.fallback)
        noticed = watches & (verdicts.code != APPROVE)
        if self.vigilance < 1.0:
            noticed &= proposals.uniform(self) < self.vigilance
        if not some(noticed):
            return
        decision.noticed |= noticed
        decision.reviews += noticed
        decision.asked |= noticed
        decision.note(noticed, verdicts)
        explain(self.trigger, proposals, noticed, decision)
        lag: IntArray = np.full(len(noticed), self.lag)
        if self.step_seconds is not None:
            seconds = np.broadcast_to(verdicts.wait, noticed.shape)
            decision.elapsed += noticed * seconds
            lag = steps_of(seconds, self.step_seconds)
        later = noticed & (lag > 0)
        np.copyto(alarm.delay, lag, where=later)
        np.copyto(alarm.stops, verdicts.code == TERMINATE, where=later)
        at_once = noticed & ~later
        if not some(at_once):
            return
        decision.refused |= at_once
        decision.charged |= at_once
        alarm.left[at_once] = self.override - 1
        alarm.stops[at_once] = False
        refuse(decision, at_once, proposals, self.fallback, verdicts)
