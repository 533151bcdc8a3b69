"""The engine: the one place where proposals are decided, executed and recorded, n lanes at once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looplab.envs.core import (
    Actions,
    BoolArray,
    FloatArray,
    IntArray,
    Lanes,
    Step,
    checked_actions,
)
from looplab.envs.errors import EnvironmentFault, UsageError, within
from looplab.oversight.ledger import Ledger
from looplab.oversight.measures import Measures
from looplab.oversight.memory import Memory
from looplab.oversight.parts import check, walk
from looplab.oversight.proposals import PolicyStep, Proposals, RiskEstimate
from looplab.oversight.protocols.base import OversightProtocol
from looplab.oversight.signals import Outcome, Signal
from looplab.oversight.types import APPROVE, Decision, Lexicon, differs

#: What decides whether a proposal is unsafe, best first.
TRUTHS = ("exact", "immediate")


@dataclass(frozen=True)
class Settings:
    """How an engine judges and counts.

    Attributes:
        tolerance: risk above which a proposal is unsafe, in [0, 1].
        wage_per_hour: money per human hour, at least 0.
        fee_per_review: money per review, at least 0.
        halt_terminates: whether a stop by the overseer terminates instead of truncating.
    """

    tolerance: float = 0.0
    wage_per_hour: float = 30.0
    fee_per_review: float = 0.0
    halt_terminates: bool = False

    def __post_init__(self) -> None:
        """Checks the ranges."""
        within("tolerance", self.tolerance, 0.0, 1.0)
        within("wage_per_hour", self.wage_per_hour, 0.0)
        within("fee_per_review", self.fee_per_review, 0.0)


@dataclass(slots=True)
class Record:
    """One step of all lanes as it went; arrays of shape (n, ...), never changed afterwards."""

    decision: Decision
    lane: IntArray
    episode: IntArray
    step: IntArray
    proposed: Actions
    executed: Actions
    verdict: NDArray[np.int8]
    reason: NDArray[np.int32]
    overseer: NDArray[np.int32]
    asked: BoolArray
    reviewed: BoolArray
    intervened: BoolArray
    unsafe: BoolArray
    unavoidable: BoolArray
    miss: BoolArray
    unasked: BoolArray
    late: BoolArray
    false_alarm: BoolArray
    standby: BoolArray
    unconsidered: BoolArray
    stale: BoolArray
    halted: BoolArray
    seconds: FloatArray
    risk: FloatArray
    cost: FloatArray
    reward: FloatArray
    learning_reward: FloatArray
    terminated: BoolArray
    truncated: BoolArray
    observation: Any
    policy: PolicyStep | None

    @property
    def done(self) -> BoolArray:
        """Lanes whose episode ended in this step."""
        return self.terminated | self.truncated


class Engine:
    """Oversees n lanes: proposals go in, and the environment is stepped with what was decided.

    Args:
        lanes: the task.
        protocol: what the human can do, and when; a plain function of (proposals, decision) will do.
        signal: what the agent learns from it; default nothing but the dynamics.
        settings: tolerance and prices.
        ledger: where every decision is written; None: nowhere.
        seed: the overseers of lane i draw from seed + i.

    Raises:
        UsageError: if the environment lacks something that a part needs to know.
    """

    def __init__(
        self,
        lanes: Lanes,
        protocol: OversightProtocol,
        signal: Signal | None = None,
        settings: Settings | None = None,
        ledger: Ledger | None = None,
        seed: int = 0,
    ) -> None:
        self.lanes = lanes
        self.protocol = protocol
        self.signal = Signal() if signal is None else signal
        self.settings = Settings() if settings is None else settings
        self.ledger = ledger
        self.lexicon = Lexicon()
        #: Reads the policy's own forward pass for this step's proposals; None where nobody can.
        self.policy: Callable[[Actions], PolicyStep] | None = None
        self.last: Record | None = None
        self.finished: list[dict[str, Any]] = []
        self._truth = next((source for source in TRUTHS if lanes.offers(source)), None)
        self._estimate = self._estimate_of(protocol) if self._truth is None else None
        has_truth = self._truth is not None or self._estimate is not None
        check(protocol, lanes, has_truth)
        check(self.signal, lanes, has_truth)
        self.measures = Measures(
            lanes.num_lanes,
            self.settings.wage_per_hour,
            self.settings.fee_per_review,
            has_truth,
        )
        self._memory = Memory(lanes.num_lanes, seed)
        self._lane = np.arange(lanes.num_lanes)
        self._nothing = np.zeros(lanes.num_lanes, dtype=np.bool_)
        if ledger is not None:
            ledger.bind(lanes.num_lanes, seed)

    @staticmethod
    def _estimate_of(protocol: OversightProtocol) -> RiskEstimate | None:
        for part in walk(protocol):
            estimate = getattr(part, "estimate", None)
            if callable(estimate):
                found: RiskEstimate = estimate
                return found
        return None

    @property
    def totals(self) -> dict[str, float | int]:
        """Exact counts over everything so far; keys as in ``measures.COUNTERS``, and episodes."""
        return self.measures.totals

    def reseed(self, seed: int) -> None:
        """The overseers of lane i draw from ``seed + i`` from the next episode on."""
        self._memory.reseed(seed)

    def begin(self, mask: BoolArray) -> None:
        """A new episode has begun in the masked lanes: alarms and waits are forgotten."""
        self.measures.abandon(mask)
        self._memory.begin(mask)

    def step(self, proposed: Actions) -> Record:
        """Decides, executes and records one proposal per lane.

        The lanes that are done have not been reset yet; the face does that, and calls ``begin``.

        Args:
            proposed: shape (n,) or (n, *action shape).

        Raises:
            UsageError: if a proposal is not in the action space.
            EnvironmentFault: if the environment returns NaN or a negative cost.
        """
        lanes = self.lanes
        proposed = checked_actions(lanes.action_space, proposed, lanes.num_lanes)
        at = lanes.elapsed.copy()
        proposals = Proposals(
            lanes, proposed, lanes.episode.copy(), at, self._memory, self.settings.tolerance,
            self._truth, self._estimate, self.policy,
        )  # fmt: skip
        decision = Decision.approving(proposed, self.lexicon)
        self.protocol(proposals, decision)
        risk, unsafe = proposals.truth, proposals.unsafe
        unavoidable = proposals.unavoidable if unsafe.any() or risk.any() else self._nothing
        before = self.signal.prepare(proposals)
        if decision.refused.any():
            lanes.note_refusals(decision.refused)
        executed = checked_actions(lanes.action_space, decision.executed, lanes.num_lanes)
        step = lanes.step(executed, ~decision.halted if decision.halted.any() else None)
        self._check(step, at)
        if decision.halted.any():
            self._halt(decision, step)
        learning = self.signal(Outcome(proposals, decision, step, before))
        record = self._judge(proposals, decision, step, risk, unsafe, unavoidable, learning)
        self._count(record, step)
        self.last = record
        if self.ledger is not None:
            self.ledger.append(record)
        done = record.done
        self.finished = (
            self.measures.end(done, record.episode, step.success) if done.any() else []
        )
        return record

    def _halt(self, decision: Decision, step: Step) -> None:
        if self.settings.halt_terminates:
            step.terminated |= decision.halted
        else:
            step.truncated |= decision.halted

    def _judge(
        self,
        proposals: Proposals,
        decision: Decision,
        step: Step,
        risk: FloatArray,
        unsafe: BoolArray,
        unavoidable: BoolArray,
        learning: FloatArray,
    ) -> Record:
        """Scores the overseers against the truth (DESIGN, "Verdicts and counts")."""
        considered = ~decision.standby
        unsafe = unsafe & considered
        reviewed = decision.reviews > 0
        passed = unsafe & ~decision.refused & ~decision.halted
        aware = decision.noticed | decision.alarm_pending
        late = passed & aware
        overlooked = passed & ~aware
        looked = reviewed | decision.watched
        own_verdict = decision.verdict != APPROVE
        return Record(
            decision=decision,
            lane=self._lane,
            episode=proposals.episode,
            step=proposals.step,
            proposed=proposals.action,
            executed=decision.executed,
            verdict=decision.verdict,
            reason=decision.reason,
            overseer=decision.overseer,
            asked=decision.asked,
            reviewed=reviewed,
            intervened=differs(decision.executed, proposals.action) | decision.halted,
            unsafe=unsafe,
            unavoidable=unavoidable & considered,
            miss=overlooked & looked,
            unasked=overlooked & ~looked,
            late=late,
            false_alarm=own_verdict & decision.asked & considered & ~unsafe,
            standby=decision.standby,
            unconsidered=decision.unconsidered,
            stale=decision.stale,
            halted=decision.halted,
            seconds=decision.seconds,
            risk=risk,
            cost=step.cost,
            reward=step.reward,
            learning_reward=learning,
            terminated=step.terminated,
            truncated=step.truncated,
            observation=step.observation,
            policy=proposals.policy_step,
        )

    def _count(self, record: Record, step: Step) -> None:
        decision = record.decision
        self.measures.add(
            steps=1.0,
            task_return=record.reward,
            learning_return=record.learning_reward,
            cost=record.cost,
            violations=record.cost > 0,
            catastrophes=step.catastrophe,
            unsafe_proposals=record.unsafe,
            unavoidable=record.unavoidable,
            reviews=decision.reviews,
            interventions=record.intervened,
            misses=record.miss,
            unasked=record.unasked,
            late=record.late,
            false_alarms=record.false_alarm,
            unconsidered=record.unconsidered,
            stale_approvals=record.stale,
            overdue=decision.overdue,
            penalties=decision.charged,
            human_seconds=record.seconds,
        )

    def _check(self, step: Step, at: IntArray) -> None:
        """Refuses what no environment may return, naming lane and step."""
        for name in ("reward", "cost"):
            values = getattr(step, name)
            if not np.isfinite(values).all():
                self._fault(~np.isfinite(values), at, f"a {name} that is not finite")
        if (step.cost < 0).any():
            self._fault(step.cost < 0, at, "a negative cost")
        observation = step.observation
        if observation.dtype.kind == "f" and not np.isfinite(observation.sum()):
            flat = observation.reshape(len(observation), -1)
            broken = ~np.isfinite(flat).all(axis=1)
            if broken.any():
                self._fault(broken, at, "an observation that is not finite")

    def _fault(self, broken: BoolArray, at: IntArray, what: str) -> None:
        lane = int(np.flatnonzero(broken)[0])
        raise EnvironmentFault(
            f"the environment returned {what} in lane {lane} at step {int(at[lane])} "
            f"of episode {int(self.lanes.episode[lane])}"
        )

    def close(self) -> None:
        """Writes what the ledger still holds."""
        if self.ledger is not None:
            self.ledger.close()


def refuse_twice(already: bool) -> None:
    """Raises if an environment is overseen already: counts and verdicts would double."""
    if already:
        raise UsageError("this environment is overseen already; stack protocols in one Stack instead")
