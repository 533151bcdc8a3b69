"""The engine: the one place where proposals are decided, executed and recorded, n lanes at once."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from looplab.envs.actions import ActionCheck
from looplab.envs.compiled import compiled, takes
from looplab.envs.core import (
    Actions,
    BoolArray,
    IntArray,
    Lanes,
    Observations,
    Step,
)
from looplab.envs.errors import EnvironmentFault, UsageError, finite, within
from looplab.oversight.columns import Block, place
from looplab.oversight.decision import Decision
from looplab.oversight.ledger import Ledger
from looplab.oversight.measures import Measures
from looplab.oversight.memory import Memory
from looplab.oversight.parts import check, walk
from looplab.oversight.proposals import PolicyStep, Proposals, RiskEstimate, Standard
from looplab.oversight.protocols.base import OversightProtocol
from looplab.oversight.protocols.rules import action_masks
from looplab.oversight.record import Record
from looplab.oversight.signals import Outcome, Signal
from looplab.oversight.types import NOBODY, NOT_ASKED, Lexicon, some

#: Decisions that are kept together before they are counted and handed to the ledger.
BLOCK_ROWS = 8192
_RISK, _COST, _SUCCESS = place("risk"), place("cost"), place("success")
_REWARD, _LEARNING = place("reward"), place("learning_reward")
_REFUSED = place("refused")
_RISKY, _TRAPPED, _CATASTROPHE = place("risky"), place("no_safe_action"), place("catastrophe")
_TERMINATED, _TRUNCATED = place("terminated"), place("truncated")
_EPISODE, _STEP = place("episode"), place("step")
#: What a step is refused for, in the order of ``_happened``.
_FAULTS = ("a reward that is not finite", "a cost that is not finite", "a negative cost")


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
        finite("wage_per_hour", self.wage_per_hour, 0.0)
        finite("fee_per_review", self.fee_per_review, 0.0)


class Engine:
    """Oversees n lanes: proposals go in, and the environment is stepped with what was decided.

    Args:
        lanes: the task.
        protocol: what the human can do, and when; a plain function of (proposals, decision) too.
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
        self._reasons, self._names = Lexicon(NOT_ASKED), Lexicon(NOBODY)
        #: Reads the policy's own forward pass for this step's proposals; None where nobody can.
        self.policy: Callable[[Actions], PolicyStep] | None = None
        self.last: Record | None = None
        standard = Standard.of(lanes, self.settings.tolerance)
        if standard.truth is None:
            standard = standard._replace(estimate=self._estimate_of(protocol))
        self._standard = standard
        check(protocol, lanes, standard.known)
        check(self.signal, lanes, standard.known)
        self.measures = Measures(
            lanes.num_lanes,
            self.settings.wage_per_hour,
            self.settings.fee_per_review,
            standard.known,
        )
        self._memory = Memory(lanes.num_lanes, seed)
        parts = (*walk(protocol), *walk(self.signal))
        #: Columns that parts bring along: name, and type and blank value.
        self._extra: dict[str, tuple[Any, Any]] = {}
        for part in parts:
            self._memory.know(part)
            self._extra |= getattr(part, "columns", {})
        #: Parts that look at how every step went: they have ``see(state, record)``.
        self._seeing: list[Any] = []
        for part in parts:
            if hasattr(part, "see") and not any(part is other for other in self._seeing):
                self._seeing.append(part)
        #: Whether the learning reward may differ from the task's in every step.
        self._rewards = bool(self.signal.penalty) or self.signal.shaping is not None
        self._checked = ActionCheck(lanes.action_space, lanes.num_lanes)
        self._own_parts = all(
            type(part).__module__.startswith(f"{__package__}.") for part in walk(protocol)
        )
        self._block: Block | None = None
        self._counted = 0
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
        self._count()
        return self.measures.totals

    @property
    def episodes(self) -> list[dict[str, Any]]:
        """One row per finished episode so far, in the order of their ends; see ``measures``."""
        self._count()
        return self.measures.episodes

    def state(self, part: Any) -> Any:
        """What a part remembers of the lanes: what its ``start(num_lanes)`` made."""
        return self._memory.state(part)

    def reseed(self, seed: int) -> None:
        """The overseers of lane i draw from ``seed + i`` from the next episode on."""
        self._memory.reseed(seed)

    def begin(self, mask: BoolArray) -> None:
        """A new episode has begun in the masked lanes: alarms and waits are forgotten."""
        self._memory.begin(mask)
        lanes = self.lanes
        if _strange(lanes.observation):
            _refuse_observation(lanes.observation, lanes.elapsed, lanes.episode)

    def abandon(self, mask: BoolArray) -> None:
        """A reset cuts the masked lanes' episodes short; they count in totals only."""
        self._count()
        self.measures.abandon(mask)

    def step(self, proposed: Actions) -> Record:
        """Decides, executes and records one proposal per lane.

        The lanes that are done have not been reset yet; the face does that, and calls ``begin``.

        Args:
            proposed: shape (n,) or (n, *action shape).

        Raises:
            UsageError: if a proposal is not in the action space.
            EnvironmentFault: if the environment returns NaN or a negative cost.
        """
        proposed = self._checked(proposed)
        block = self._open_block(proposed)
        at, lanes = block.filled, self.lanes
        if takes(proposed.dtype):
            _begin(block.proposed, block.executed, at, proposed)
        else:
            block.proposed[at] = block.executed[at] = proposed
        _mark(block.places, at, lanes.episode, lanes.elapsed)
        record = Record(block, at)
        try:
            self._run(record, block)
        except BaseException:
            block.clear()
            raise
        block.filled += 1
        self.last = record
        return record

    def _run(self, record: Record, block: Block) -> None:
        """Fills in a record: decides, executes, and looks at what came of it."""
        lanes, decision, at = self.lanes, record.decision, block.filled
        places = block.places[at]
        proposals = Proposals(
            lanes, record.proposed, places[_EPISODE], places[_STEP], self._memory, self._standard,
            self.policy,
        )  # fmt: skip
        self.protocol(proposals, decision)
        if not self._own_parts:  # ours are known to choose actions of the space
            self._checked(record.executed)
        judgement = proposals.judgement  # before the step: it belongs to the proposal's state
        if self.policy is not None:
            record.policy = proposals.policy_step
        before = self.signal.prepare(proposals, decision) if self._rewards else None
        halted = decision.touched("halted") and some(decision.halted)
        observed = lanes.observation  # before the task is told what was refused
        if some(block.flags[at, _REFUSED]):  # a stopped lane keeps its observation as it is
            refused = decision.refused & ~decision.halted if halted else decision.refused
            lanes.note_refusals(refused)
        step = lanes.step(record.executed, ~decision.halted if halted else None)
        if halted:
            self._halt(decision, step)
        fault = _happened(
            block.flags, block.reals, at, *judgement, step.reward, step.cost, step.catastrophe,
            step.terminated, step.truncated, step.success,
        )  # fmt: skip
        if fault >= 0:
            kind, lane = divmod(fault, lanes.num_lanes)
            raise _fault(_FAULTS[kind], lane, record.step, record.episode)
        if _strange(step.observation):
            _refuse_observation(step.observation, record.step, record.episode)
        if self._rewards or decision.touched("rating"):
            outcome = Outcome(proposals, decision, step, before)
            block.reals[at, _LEARNING] = self.signal(outcome)
        record.observed, record.observation = observed, step.observation
        for part in self._seeing:
            part.see(self._memory.state(part), record)
        self._memory.clock += 1

    def action_masks(self) -> BoolArray:
        """What may be proposed next so that none of the protocol's rules is broken, shape (n, A).

        Raises:
            UsageError: if the protocol has no rules, or the actions are continuous.
        """
        lanes = self.lanes
        nothing = np.zeros(lanes.num_lanes, np.int64)
        proposals = Proposals(
            lanes, nothing, lanes.episode, lanes.elapsed, self._memory, self._standard, None
        )
        return action_masks(self.protocol, proposals)

    def inherit(self, former: "Engine") -> None:
        """Lets oversight go on from what it has learned in another engine of the same protocol.

        Parts that learn say how, by ``inherit(state, former_state)``.
        """
        for part, old in zip(walk(self.protocol), walk(former.protocol), strict=True):
            if hasattr(part, "inherit"):
                part.inherit(self._memory.state(part), former._memory.state(old))

    def _open_block(self, proposed: Actions) -> Block:
        """A block with room for one more step."""
        block = self._block
        if block is None or block.full:
            self._close_block()
            rows = BLOCK_ROWS if self.ledger is None else min(BLOCK_ROWS, self.ledger.flush_rows)
            steps = max(rows // self.lanes.num_lanes, 1)
            block = self._block = Block(steps, proposed, self._reasons, self._names, self._extra)
            self._counted = 0
        return block

    def _count(self) -> None:
        """Counts the steps of the present block that have not been counted yet."""
        if self._block is not None and self._counted < self._block.filled:
            self.measures.add(self._since(self._block, self._counted))
            self._counted = self._block.filled

    def _close_block(self) -> None:
        self._count()
        if self._block is not None and self.ledger is not None:
            self.ledger.add(self._since(self._block, 0))
        self._block = None

    @staticmethod
    def _since(block: Block, first: int) -> Record:
        """The filled rows from ``first`` on, as one record of shape (steps, n)."""
        return Record(block, slice(first, block.filled))

    def _halt(self, decision: Decision, step: Step) -> None:
        if self.settings.halt_terminates:
            step.terminated |= decision.halted
        else:
            step.truncated |= decision.halted

    def close(self) -> None:
        """Writes what the ledger still holds."""
        self._close_block()
        if self.ledger is not None:
            self.ledger.close()


def _strange(observation: Observations) -> bool:
    """Whether observations may hold NaN or infinity, or must be looked at one by one."""
    if observation.dtype.kind == "f" and takes(observation.dtype):
        return not _all_finite(observation)
    return observation.dtype.kind in "fO"


def _refuse_observation(observation: Observations, step: IntArray, episode: IntArray) -> None:
    for lane, seen in enumerate(observation):
        if not _is_finite(seen):
            raise _fault("an observation that is not finite", lane, step, episode)


def _is_finite(seen: Any) -> bool:
    """Whether one lane's observation holds no NaN and no infinity, however it is nested."""
    if isinstance(seen, dict):
        return all(map(_is_finite, seen.values()))
    if isinstance(seen, tuple | list):
        return all(map(_is_finite, seen))
    values = np.asarray(seen)
    return values.dtype.kind != "f" or bool(np.isfinite(values).all())


def _fault(what: str, lane: int, step: IntArray, episode: IntArray) -> EnvironmentFault:
    return EnvironmentFault(
        f"the environment returned {what} in lane {lane} at step {int(step[lane])} "
        f"of episode {int(episode[lane])}"
    )


@compiled
def _all_finite(values: Any) -> Any:
    """Whether an array of any shape holds neither NaN nor infinity."""
    strange = False
    for value in values.flat:
        strange |= not math.isfinite(value)
    return not strange


@compiled
def _begin(kept: Any, executed: Any, at: Any, proposed: Any) -> None:
    """Opens a row: what was proposed, which runs as long as nobody says otherwise."""
    kept[at] = executed[at] = proposed


@compiled
def _mark(places: Any, at: Any, episode: Any, step: Any) -> None:
    """Says of a row when it was, each (n,)."""
    for lane in range(len(episode)):
        places[at, _EPISODE, lane] = episode[lane]
        places[at, _STEP, lane] = step[lane]


@compiled
def _happened(
    flags: Any, reals: Any, at: Any, truth: Any, unsafe: Any, trapped: Any, reward: Any, cost: Any,
    catastrophe: Any, terminated: Any, truncated: Any, success: Any,
) -> Any:  # fmt: skip
    """Records one step; returns -1, or fault x lanes + lane where an environment broke its word."""
    lanes = len(reward)
    for lane in range(lanes):
        if not math.isfinite(reward[lane]):
            return lane
        if not math.isfinite(cost[lane]):
            return lanes + lane
        if cost[lane] < 0.0:
            return 2 * lanes + lane
        flags[at, _RISKY, lane] = unsafe[lane]
        flags[at, _TRAPPED, lane] = trapped[lane]
        flags[at, _CATASTROPHE, lane] = catastrophe[lane]
        flags[at, _TERMINATED, lane] = terminated[lane]
        flags[at, _TRUNCATED, lane] = truncated[lane]
        reals[at, _RISK, lane] = truth[lane]
        reals[at, _REWARD, lane] = reals[at, _LEARNING, lane] = reward[lane]
        reals[at, _COST, lane] = cost[lane]
        reals[at, _SUCCESS, lane] = success[lane]
    return -1


def refuse_twice(already: bool) -> None:
    """Raises if an environment is overseen already: counts and verdicts would double."""
    if already:
        raise UsageError(
            "this environment is overseen already; stack protocols in one Stack instead"
        )
