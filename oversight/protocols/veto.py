"""On the loop: the agent acts, a human watches, reacts late, and overrides for a while."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from looplab.envs.compiled import compiled, element
from looplab.envs.core import BoolArray, FloatArray, IntArray
from looplab.envs.errors import UsageError, finite, probability, whole
from looplab.oversight.asking import consult
from looplab.oversight.columns import place
from looplab.oversight.decision import Decision, note_lane, refuse_lane
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
_SAID = (OVERRIDDEN, PENDING, WATCHED)

_CHARGED, _STANDBY, _PENDING = place("charged"), place("standby"), place("alarm_pending")
_WATCHED, _NOTICED, _ASKED = place("watched"), place("noticed"), place("asked")
_REVIEWS, _REASON, _VERDICT = place("reviews"), place("reason"), place("verdict")
_SECONDS, _ELAPSED = place("seconds"), place("elapsed")
#: Who notices all draws nothing.
_NO_DRAWS = np.empty(0)


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
        here, asked = decision.remaining(), triggered(self.trigger, proposals)
        watches, overridden = np.empty(len(here), np.bool_), np.empty(len(here), np.bool_)
        code, replaced = np.empty(len(here), np.int8), MODIFY if corrects(self.fallback) else REJECT
        block, at = decision.row
        _stand_by(
            block.flags, block.reals, block.codes, at, here, here if asked is None else asked,
            alarm.delay, alarm.left, alarm.stops, self.override, replaced, self.watch_seconds,
            block.reasons.groups[_SAID], watches, overridden, code,
        )  # fmt: skip
        if some(overridden):
            verdicts = Verdicts(code, 0.0, code, VERDICTS, "")
            refuse(decision, overridden, proposals, self.fallback, verdicts)
        if some(watches):
            self._watch(alarm, watches, proposals, decision)

    def _watch(
        self, alarm: Alarm, watches: BoolArray, proposals: Proposals, decision: Decision
    ) -> None:
        verdicts = label(consult(self.overseer, proposals, watches, watching=True), self.fallback)
        draws = proposals.uniform(self) if self.vigilance < 1.0 else _NO_DRAWS
        lag, seconds = (self.lag, 0.0) if self.step_seconds is None else self._lags(verdicts)
        noticed, at_once = np.empty(len(watches), np.bool_), np.empty(len(watches), np.bool_)
        block, at = decision.row
        _notice(
            block.flags, block.reals, block.codes, at, watches, verdicts.code, draws,
            self.vigilance, verdicts.reason, block.reasons.groups[verdicts.reasons],
            verdicts.which, block.names.groups[verdicts.names], lag, seconds, self.override,
            alarm.delay, alarm.left, alarm.stops, noticed, at_once,
        )  # fmt: skip
        if some(noticed):
            decision.vote(noticed, verdicts)
            explain(self.trigger, proposals, noticed, decision)
            refuse(decision, at_once, proposals, self.fallback, verdicts)

    def _lags(self, verdicts: Verdicts) -> tuple[IntArray, FloatArray | float]:
        """Steps until each lane's override begins, shape (n,), and the seconds that they stand for.

        The seconds are shape (n,) or one number for all.
        """
        assert self.step_seconds is not None  # the caller has looked
        seconds = np.broadcast_to(verdicts.wait, verdicts.code.shape)
        return steps_of(seconds, self.step_seconds), verdicts.wait


@compiled
def _stand_by(
    flags: Any, reals: Any, codes: Any, at: Any, here: Any, asked: Any, delay: Any, left: Any,
    stops: Any, override: Any, replaced: Any, watch_seconds: Any, texts: Any, watches: Any,
    overridden: Any, code: Any,
) -> None:  # fmt: skip
    """Moves alarms and overrides one step on, and tells who watches and where an override runs.

    ``code`` is the verdict that the override carries out.
    """
    for lane in range(len(here)):
        watches[lane] = overridden[lane] = False
        code[lane] = TERMINATE if stops[lane] else replaced
        if not here[lane]:
            continue
        if delay[lane] > 0:
            delay[lane] -= 1
            if delay[lane] == 0:
                flags[at, _CHARGED, lane] = 1
                left[lane] = override
        if left[lane] > 0:
            left[lane] -= 1
            overridden[lane] = True
            flags[at, _STANDBY, lane] = 1
            flags[at, _VERDICT, lane] = code[lane]
            codes[at, _REASON, lane] = texts[0]
        elif delay[lane] > 0:
            flags[at, _PENDING, lane] = 1
            codes[at, _REASON, lane] = texts[1]
        elif asked[lane]:
            watches[lane] = True
            flags[at, _WATCHED, lane] = 1
            codes[at, _REASON, lane] = texts[2]
        else:
            continue
        reals[at, _SECONDS, lane] += watch_seconds


@compiled
def _notice(
    flags: Any, reals: Any, codes: Any, at: Any, watches: Any, code: Any, draws: Any,
    vigilance: Any, reason: Any, texts: Any, who: Any, names: Any, lag: Any, seconds: Any,
    override: Any, delay: Any, left: Any, stops: Any, noticed: Any, at_once: Any,
) -> None:  # fmt: skip
    """Raises alarms where what would be refused is noticed, some of which act at once."""
    for lane in range(len(watches)):
        noticed[lane] = watches[lane] and code[lane] != APPROVE
        if len(draws) > 0:
            noticed[lane] &= draws[lane] < vigilance
        at_once[lane] = noticed[lane] and element(lag, lane) == 0
        if not noticed[lane]:
            continue
        name = names[element(who, lane)]
        note_lane(flags, codes, at, lane, code[lane], texts[reason[lane]], name)
        flags[at, _NOTICED, lane] = flags[at, _ASKED, lane] = 1
        flags[at, _REVIEWS, lane] += 1
        reals[at, _ELAPSED, lane] += element(seconds, lane)
        delay[lane] = element(lag, lane)
        stops[lane] = code[lane] == TERMINATE and not at_once[lane]
        if at_once[lane]:
            refuse_lane(flags, at, lane)
            left[lane] = override - 1
