"""Adaptive autonomy: each lane moves between protocols, by how well the agent is doing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from looplab.envs.core import BoolArray, FloatArray, IntArray
from looplab.envs.errors import UsageError, finite, probability, whole, within
from looplab.oversight.decision import Decision
from looplab.oversight.fallbacks import Fallback, Hold
from looplab.oversight.overseers.scripted import ScriptedOverseer
from looplab.oversight.proposals import Proposals
from looplab.oversight.protocols.autonomous import Autonomous
from looplab.oversight.protocols.base import OversightProtocol, explain
from looplab.oversight.protocols.gate import Gate
from looplab.oversight.protocols.stack import Stack
from looplab.oversight.protocols.veto import Veto
from looplab.oversight.record import Record
from looplab.oversight.triggers import Audit, Scored, Trigger
from looplab.oversight.types import APPROVE, some


@dataclass(slots=True)
class Trust:
    """What is known of each lane; arrays of shape (n,).

    Attributes:
        level: place of the protocol in charge, 0 the most watched.
        held: steps that the lane has been at its level.
        agreement: smoothed share of proposals that a human who looked approved; 0 at first.
        load: smoothed human seconds per step.
        risk: smoothed risk of what is proposed.
        busy: an alarm is pending, or an override or a wait runs.
    """

    level: IntArray
    held: IntArray
    agreement: FloatArray
    load: FloatArray
    risk: FloatArray
    busy: BoolArray


class Adaptive:
    """Each lane is overseen by one of several protocols, and moves between them.

    Oversight is **tightened** by one level where agreement falls below ``tighten`` or the risk
    above its limit, at once; it is **relaxed** by one level where agreement has reached ``relax``
    (or ``tighten``, where the human's load exceeds the budget) and the risk is at most half of its
    limit, but only after ``dwell`` steps at the level. So a lane moves at most
    2 x steps / dwell + levels times. A monitor's alarm returns its lanes to level 0 and their
    agreement to 0: trust must be earned anew.

    Agreement is measured wherever a human looks: asked, or watching; and so that it stays measured
    when nobody does, proposals that nobody was asked about are audited at random at every level.
    (Adaptive automation by performance, workload and critical events: Parasuraman et al. 1992.)

    Args:
        levels: protocols, most watched first, at least two; None: gate, veto, autonomous, with the
            same overseer and fallback.
        overseer: who audits, and who oversees where ``levels`` is None; default scripted.
        fallback: what runs instead of what is refused; default ``Hold``.
        audit: chance in [0, 1] that a proposal which nobody was asked about is reviewed.
        relax: agreement from which oversight is relaxed, in [0, 1].
        tighten: agreement below which it is tightened, in [0, relax).
        smoothing: weight of the newest value in the running estimates, in (0, 1]; with always
            approved proposals, ``relax`` is reached after
            log(1 - relax) / log(1 - smoothing) of them.
        dwell: steps at a level before oversight is relaxed, at least 0.
        budget_seconds: human seconds per step above which the human is overloaded; None: never.
        risk: whose score is estimated and, as its ``tau``, the limit, such as ``RiskAbove(0.2)``;
            None: none.
        monitors: whose alarms are heeded: a ``Monitor``, or any trigger.
    """

    def __init__(
        self,
        levels: Sequence[OversightProtocol] | None = None,
        overseer: object | None = None,
        fallback: Fallback | None = None,
        audit: float = 0.05,
        relax: float = 0.95,
        tighten: float = 0.8,
        smoothing: float = 0.02,
        dwell: int = 100,
        budget_seconds: float | None = None,
        risk: Scored | None = None,
        monitors: Sequence[Trigger] = (),
    ) -> None:
        overseer = ScriptedOverseer() if overseer is None else overseer
        fallback = Hold() if fallback is None else fallback
        if levels is None:
            gate = Gate(overseer=overseer, fallback=fallback)
            levels = (gate, Veto(overseer, fallback), Autonomous())
        self.levels = tuple(levels)
        if len(self.levels) < 2:
            raise UsageError(f"levels must be at least two protocols, got {len(self.levels)}")
        self.auditor = Gate(Audit(audit), overseer, fallback)
        self.relax = probability("relax", relax)
        self.tighten = probability("tighten", tighten)
        if self.tighten >= self.relax:
            raise UsageError(f"tighten must be below relax, got {tighten} and {relax}")
        self.smoothing = within("smoothing", smoothing, np.finfo(np.float64).tiny, 1.0)
        self.dwell = whole("dwell", dwell, 0)
        if budget_seconds is not None:
            finite("budget_seconds", budget_seconds, 0.0)
        self.budget_seconds = budget_seconds
        if risk is not None and (not isinstance(risk, Scored) or risk.BELOW):
            raise UsageError(f"risk must be a trigger that asks above a score, got {risk!r}")
        self.risk = risk
        self.monitors = tuple(monitors)

    @property
    def parts(self) -> tuple[object, ...]:
        """Levels, the gate that audits, risk and monitors."""
        risk = () if self.risk is None else (self.risk,)
        return (*self.levels, self.auditor, *risk, *self.monitors)

    def start(self, num_lanes: int) -> Trust:
        """Every lane begins at the most watched level."""
        return Trust(
            level=np.zeros(num_lanes, np.int64),
            held=np.zeros(num_lanes, np.int64),
            agreement=np.zeros(num_lanes),
            load=np.zeros(num_lanes),
            risk=np.zeros(num_lanes),
            busy=np.zeros(num_lanes, np.bool_),
        )

    def begin(self, trust: Trust, mask: BoolArray) -> None:
        """A new episode ends overrides and waits; the level stays."""
        trust.busy[mask] = False

    def inherit(self, trust: Trust, former: Trust) -> None:
        """Lane i goes on with the trust of the former lane i, counted round."""
        for name in ("level", "agreement", "load", "risk"):
            setattr(trust, name, np.resize(getattr(former, name), len(trust.level)))

    def __call__(self, proposals: Proposals, decision: Decision) -> None:
        """Moves lanes, and lets each one's protocol decide; then audits."""
        trust: Trust = proposals.memory(self)
        if self.risk is not None:
            trust.risk += self.smoothing * (self.risk.reading(proposals) - trust.risk)
        alarms = [monitor(proposals) for monitor in self.monitors]
        self._move(trust, proposals, alarms)
        here = decision.only
        for place, protocol in enumerate(self.levels):
            lanes = trust.level == place
            decision.only = lanes if here is None else lanes & here
            if some(decision.only):
                protocol(proposals, decision)
                np.copyto(decision.level, place, where=decision.only)
        self._audit(proposals, decision, here)
        decision.only = here
        for monitor, alarm in zip(self.monitors, alarms, strict=True):
            if some(alarm):
                explain(monitor, proposals, alarm, decision)

    def _audit(self, proposals: Proposals, decision: Decision, here: BoolArray | None) -> None:
        """Reviews some of what would run without anybody asked."""
        decision.untouched = False
        unequal = (decision.executed != proposals.action).reshape(len(proposals), -1)
        free = ~(decision.asked | decision.alarm_pending | unequal.any(axis=1))
        decision.only = free if here is None else free & here
        self.auditor(proposals, decision)

    def _move(self, trust: Trust, proposals: Proposals, alarms: Sequence[BoolArray]) -> None:
        """Chooses each lane's level from what was known at the end of the last step."""
        before = trust.level
        least = len(self.levels) - 1
        limit = np.inf if self.risk is None else self.risk.tau
        distrusted = (trust.agreement < self.tighten) | (trust.risk > limit)
        agreed = trust.agreement >= self.relax
        if self.budget_seconds is not None:
            agreed |= trust.load > self.budget_seconds
        calm = ~distrusted & ~trust.busy & (trust.risk <= limit / 2.0)
        relaxed = calm & agreed & (trust.held >= self.dwell)
        level = np.clip(before + relaxed - distrusted, 0, least)
        for alarm in alarms:
            level[alarm] = 0
            trust.agreement[alarm] = 0.0
        moved = level != before
        trust.level = level
        trust.held = np.where(moved, 1, trust.held + 1)
        if some(moved):
            for protocol in self._clearable():
                protocol.begin(proposals.memory(protocol), moved)  # type: ignore[attr-defined]

    def _clearable(self) -> Iterator[object]:
        """Protocols with something pending: a lane that comes or goes leaves nothing behind."""
        for level in self.levels:
            for protocol in level.parts if isinstance(level, Stack) else (level,):
                if hasattr(protocol, "begin"):
                    yield protocol

    def see(self, trust: Trust, record: Record) -> None:
        """Updates what is known of each lane."""
        trust.busy = record.standby | record.alarm_pending
        looked = (record.asked | record.watched) & ~record.standby
        agrees = record.verdict == APPROVE
        trust.agreement += self.smoothing * looked * (agrees - trust.agreement)
        trust.load += self.smoothing * (record.seconds - trust.load)
