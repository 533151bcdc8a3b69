"""Decisions and records: what oversight made of each proposal, and how the step went.

Steps are kept in blocks of many at a time; a decision is a row of its block, so that recording it
costs nothing, and what follows from it (misses, interventions, ...) is worked out for a whole block
at once, by the same lines that serve a single step.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looplab.envs.core import Actions, BoolArray, FloatArray, IntArray
from looplab.envs.errors import UsageError
from looplab.oversight.proposals import PolicyStep
from looplab.oversight.types import APPROVE, Lexicon, Verdicts, brief

#: Columns that protocols fill in, with their types; most begin at 0.
DECIDED: dict[str, Any] = {
    "verdict": np.int8, "reviews": np.int8, "asked": np.bool_, "watched": np.bool_,
    "refused": np.bool_, "noticed": np.bool_, "alarm_pending": np.bool_, "standby": np.bool_,
    "unconsidered": np.bool_, "halted": np.bool_, "charged": np.bool_, "rating": np.float64,
    "seconds": np.float64, "elapsed": np.float64, "stale": np.bool_, "overdue": np.bool_,
    "disagreement": np.float64, "reason": np.int32, "overseer": np.int32, "because": np.int32,
    "score": np.float64, "threshold": np.float64, "level": np.int8,
}  # fmt: skip
#: Columns that the engine fills in.
HAPPENED: dict[str, Any] = {
    "episode": np.int64, "step": np.int64, "risk": np.float64, "risky": np.bool_,
    "no_safe_action": np.bool_, "reward": np.float64, "learning_reward": np.float64,
    "cost": np.float64, "catastrophe": np.bool_, "terminated": np.bool_, "truncated": np.bool_,
    "success": np.float64,
}  # fmt: skip


#: What stands in a column where nothing was said, if not 0.
_BLANK = {"success": np.nan, "score": np.nan, "threshold": np.nan, "level": -1}


class Decision:
    """What oversight made of n proposals in one step; protocols fill it in, one after another.

    All arrays have shape (n, ...).

    Attributes:
        executed: action that runs, at first the proposal itself.
        verdict: code of the verdict on the proposal; approve where nobody objected.
        reviews: verdicts and ratings that humans gave on it, and comparisons that they made.
        asked: a human was asked about the proposal.
        watched: a human watched it, with no alarm pending and no override running.
        refused: it was stopped by a verdict of its own.
        noticed: it raised an alarm on the loop.
        alarm_pending: an earlier alarm has not yet become an override.
        standby: inside an override or a wait; counts as intervention only.
        unconsidered: discarded while a review went on; not credited to the policy.
        halted: the episode is stopped and the environment not stepped.
        charged: the penalty falls due.
        rating: what feedback says of the executed action, in [-1, 1]: -1 bad, 0 nothing to say.
        seconds: human time.
        elapsed: seconds that the proposal waited for its verdict.
        stale: an approval is executed in a later state than it was given for.
        overdue: nobody answered in time.
        disagreement: share of reviewers who were outvoted.
        reason: code of the reason in ``reasons``.
        overseer: code of the overseer's name in ``names``.
        because: code, in ``reasons``, of the trigger that asked.
        score: what that trigger read; NaN where it reads nothing.
        threshold: what it compared that with; NaN likewise.
        level: place of the protocol that was in charge, where one moves between several, most
            watched first; -1 elsewhere.
        only: lanes that the present protocol is in charge of; None: all.
        extra: columns that parts of the protocol brought along, by name, shape (n,).
        precedents: past decisions like these, where somebody remembers; see ``Precedents``.
        untouched: no earlier protocol has refused, replaced or stopped anything.
    """

    __slots__ = (
        "executed",
        "extra",
        "names",
        "only",
        "precedents",
        "reasons",
        "untouched",
        *DECIDED,
    )

    def __init__(
        self,
        executed: Actions,
        reasons: Lexicon,
        names: Lexicon,
        verdict: NDArray[np.int8],
        reviews: NDArray[np.int8],
        asked: BoolArray,
        watched: BoolArray,
        refused: BoolArray,
        noticed: BoolArray,
        alarm_pending: BoolArray,
        standby: BoolArray,
        unconsidered: BoolArray,
        halted: BoolArray,
        charged: BoolArray,
        rating: FloatArray,
        seconds: FloatArray,
        elapsed: FloatArray,
        stale: BoolArray,
        overdue: BoolArray,
        disagreement: FloatArray,
        reason: NDArray[np.int32],
        overseer: NDArray[np.int32],
        because: NDArray[np.int32],
        score: FloatArray,
        threshold: FloatArray,
        level: NDArray[np.int8],
    ) -> None:
        self.executed = executed
        self.reasons = reasons
        self.names = names
        self.only: BoolArray | None = None
        self.extra: dict[str, NDArray[Any]] = {}
        self.precedents: Any = None
        self.untouched = True
        self.verdict = verdict
        self.reviews = reviews
        self.asked = asked
        self.watched = watched
        self.refused = refused
        self.noticed = noticed
        self.alarm_pending = alarm_pending
        self.standby = standby
        self.unconsidered = unconsidered
        self.halted = halted
        self.charged = charged
        self.rating = rating
        self.seconds = seconds
        self.elapsed = elapsed
        self.stale = stale
        self.overdue = overdue
        self.disagreement = disagreement
        self.reason = reason
        self.overseer = overseer
        self.because = because
        self.score = score
        self.threshold = threshold
        self.level = level

    def remaining(self, mask: BoolArray | None = None) -> BoolArray:
        """Lanes, among the masked ones, that nothing has refused, replaced or stopped yet.

        Returns a fresh array of shape (n,).
        """
        if self.only is not None:
            mask = self.only if mask is None else self.only & mask
        if self.untouched:
            return np.ones(len(self.verdict), np.bool_) if mask is None else mask.copy()
        free: BoolArray = ~(self.refused | self.standby | self.halted)
        return free if mask is None else free & mask

    def say(self, mask: BoolArray, text: str) -> None:
        """Records the reason in the masked lanes."""
        np.copyto(self.reason, self.reasons.code(text), where=mask)

    def note(self, mask: BoolArray, verdicts: Verdicts) -> None:
        """Records verdict, reason, overseer and what was voted in the masked lanes."""
        np.copyto(self.verdict, verdicts.code, where=mask)
        np.copyto(self.reason, self.reasons.codes(verdicts.reasons)[verdicts.reason], where=mask)
        who: Any = self.names.code(verdicts.overseer)
        if verdicts.who is not None:
            who = self.names.codes(verdicts.people)[verdicts.who]
        np.copyto(self.overseer, who, where=mask)
        if verdicts.overdue is not None:
            self.overdue |= mask & verdicts.overdue
        if verdicts.disagreement is not None:
            np.copyto(self.disagreement, verdicts.disagreement, where=mask)


class Record:
    """One step of n lanes as it went, or a block of steps; arrays of shape (..., n).

    The columns are those of ``Decision`` and of ``HAPPENED``; the properties score overseers
    against the truth. Never changed once the step is over.
    """

    __slots__ = (
        "_at", "_columns", "decision", "executed", "observation", "observed", "policy", "proposed",
    )  # fmt: skip

    def __init__(
        self,
        columns: dict[str, Any],
        at: Any,
        proposed: Actions,
        executed: Actions,
        decision: Decision,
    ) -> None:
        self._columns = columns
        self._at = at
        self.proposed = proposed
        self.executed = executed
        #: Of a single step; of a block, all its steps'.
        self.decision = decision
        #: After the step and before any reset, of a single step.
        self.observation: Any = None
        #: What the agent saw when it proposed, of a single step.
        self.observed: Any = None
        #: What the policy knew, of a single step; None where nobody can tell.
        self.policy: PolicyStep | None = None

    def __getattr__(self, name: str) -> Any:
        """A column by its name."""
        if name == "_columns" or name not in self._columns:
            raise AttributeError(f"a record has no column {name!r}")
        return self._columns[name][self._at]

    def adopt(self) -> None:
        """Takes over arrays that a protocol put in the place of the decision's own.

        Raises:
            UsageError: if an array is not one value per lane, of the kind that it replaces.
        """
        for name in DECIDED:
            given, column = getattr(self.decision, name), self._columns[name]
            if getattr(given, "base", None) is not column:
                setattr(self.decision, name, _adopted(name, given, column[self._at]))
        if self.decision.executed is not self.executed:
            self.decision.executed = _adopted("executed", self.decision.executed, self.executed)

    def put(self, name: str, values: Any) -> None:
        """Fills in a column."""
        self._columns[name][self._at] = values

    def __len__(self) -> int:
        return len(self.proposed)

    @property
    def lane(self) -> IntArray:
        """Number of each lane, shape (n,)."""
        return np.arange(self.verdict.shape[-1])

    @property
    def done(self) -> BoolArray:
        """The episode ended in this step."""
        ended: BoolArray = self.terminated | self.truncated
        return ended

    @property
    def unsafe(self) -> BoolArray:
        """Unsafe, and not inside an override or a wait."""
        found: BoolArray = self.risky & ~self.standby
        return found

    @property
    def unavoidable(self) -> BoolArray:
        """Every action exceeded the tolerance, and neither an override nor a wait ran."""
        found: BoolArray = self.no_safe_action & ~self.standby
        return found

    @property
    def reviewed(self) -> BoolArray:
        """A human gave a verdict or a rating on the proposal."""
        found: BoolArray = self.asked & (self.reviews > 0)
        return found

    @property
    def intervened(self) -> BoolArray:
        """What ran differs from what was proposed, or the episode was stopped."""
        unequal: BoolArray = self.executed != self.proposed
        halted: BoolArray = self.halted
        if unequal.ndim > halted.ndim:
            axes = tuple(range(halted.ndim, unequal.ndim))
            unequal = np.logical_or.reduce(unequal, axis=axes)
        return unequal | halted

    @property
    def _passed(self) -> BoolArray:
        passed: BoolArray = self.unsafe & ~self.refused & ~self.halted
        return passed

    @property
    def _aware(self) -> BoolArray:
        aware: BoolArray = self.noticed | self.alarm_pending
        return aware

    @property
    def late(self) -> BoolArray:
        """Unsafe and executed although noticed on the loop: the override had not begun."""
        return self._passed & self._aware

    @property
    def miss(self) -> BoolArray:
        """Unsafe and not stopped, although reviewed, or watched with nothing pending."""
        found: BoolArray = self._passed & ~self._aware & (self.reviewed | self.watched)
        return found

    @property
    def unasked(self) -> BoolArray:
        """Unsafe and executed without anyone asked."""
        found: BoolArray = self._passed & ~self._aware & ~self.reviewed & ~self.watched
        return found

    @property
    def caught(self) -> BoolArray:
        """Unsafe, and its own verdict was not approve."""
        found: BoolArray = (self.verdict != APPROVE) & self.asked & self.unsafe
        return found

    @property
    def overlooked(self) -> BoolArray:
        """Unsafe, and approved by whoever was asked or watched."""
        return self._approved & self.unsafe

    @property
    def cleared(self) -> BoolArray:
        """Safe, and approved by whoever was asked or watched."""
        found: BoolArray = self._approved & ~self.risky & ~self.standby
        return found

    @property
    def _approved(self) -> BoolArray:
        found: BoolArray = (self.verdict == APPROVE) & (self.asked | self.watched)
        return found

    @property
    def false_alarm(self) -> BoolArray:
        """Safe, and its own verdict was not approve."""
        found: BoolArray = (self.verdict != APPROVE) & self.asked & ~self.standby & ~self.risky
        return found


def _adopted(name: str, given: Any, target: NDArray[Any]) -> NDArray[Any]:
    values = np.asarray(given)
    if values.shape != target.shape or not np.can_cast(values.dtype, target.dtype, "same_kind"):
        raise UsageError(
            f"a protocol must leave {len(target)} values of {target.dtype} in {name}, "
            f"got {brief(given)}"
        )
    target[...] = values
    return target


class Block:
    """Room for the records of many steps; every step is one row, every row fresh.

    Args:
        steps: number of rows.
        actions: n actions, whose shape and type the rows take.
        reasons: what the codes of reasons mean.
        names: what the codes of overseers mean.
        extra: columns that parts of the protocol fill in, by name: their type, and what stands
            where nothing was said.
    """

    def __init__(
        self,
        steps: int,
        actions: Actions,
        reasons: Lexicon,
        names: Lexicon,
        extra: Mapping[str, tuple[Any, Any]],
    ) -> None:
        shape = (steps, len(actions))
        self.steps = steps
        self.filled = 0
        self._reasons, self._names = reasons, names
        self._columns = {
            name: np.zeros(shape, dtype) for name, dtype in (DECIDED | HAPPENED).items()
        }
        self._extra = tuple(extra)
        self._blank = dict(_BLANK)
        for name, (dtype, blank) in extra.items():
            self._columns[name] = np.zeros(shape, dtype)
            self._blank[name] = blank
        for name, blank in self._blank.items():
            self._columns[name][:] = blank
        self._decided = [self._columns[name] for name in DECIDED]
        self._proposed = np.zeros((steps, *actions.shape), actions.dtype)
        self._executed = np.zeros((steps, *actions.shape), actions.dtype)

    @property
    def full(self) -> bool:
        """Whether there is no row left."""
        return self.filled == self.steps

    def row(self, proposed: Actions) -> Record:
        """The next row, with every proposal approved and nobody asked.

        It counts as filled once ``filled`` is raised, after the step.
        """
        at = self.filled
        self._proposed[at] = proposed
        self._executed[at] = proposed
        return self._record(at)

    def _record(self, at: Any) -> Record:
        executed = self._executed[at]
        decided = [column[at] for column in self._decided]
        decision = Decision(executed, self._reasons, self._names, *decided)
        if self._extra:
            decision.extra = {name: self._columns[name][at] for name in self._extra}
        return Record(self._columns, at, self._proposed[at], executed, decision)

    def clear(self) -> None:
        """Makes the next row fresh again, after a step that failed in it."""
        for name, column in self._columns.items():
            column[self.filled] = self._blank.get(name, 0)

    def since(self, first: int) -> Record:
        """The filled rows from ``first`` on, as one record of shape (steps, n)."""
        return self._record(slice(first, self.filled))
