"""Decisions: what oversight makes of the proposals of one step."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looplab.envs.compiled import compiled, element
from looplab.envs.core import Actions, BoolArray, FloatArray
from looplab.envs.errors import UsageError
from looplab.oversight.columns import DECIDED, Block, place
from looplab.oversight.types import APPROVE, NOT_ASKED, Lexicon, Reason, Verdicts, brief

_VERDICT, _REVIEWS, _ASKED = place("verdict"), place("reviews"), place("asked")
_REFUSED, _CHARGED = place("refused"), place("charged")
_SECONDS, _ELAPSED = place("seconds"), place("elapsed")
_SCORE, _THRESHOLD = place("score"), place("threshold")
_REASON, _OVERSEER, _BECAUSE = place("reason"), place("overseer"), place("because")

#: Nothing to explain, in no lane.
NO_REASON = Reason(np.empty(0, np.bool_), NOT_ASKED)


class Decision:
    """What oversight made of n proposals in one step; protocols fill it in, one after another.

    All arrays have shape (n, ...), and are rows of a block: what is assigned is copied into them.

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

    Args:
        block: where the decision is kept.
        at: its row there; of a block of decisions, all its rows.
    """

    only: BoolArray | None = None
    precedents: Any = None
    untouched: bool = True

    executed: Actions
    verdict: NDArray[np.int8]
    reviews: NDArray[np.int8]
    level: NDArray[np.int8]
    asked: BoolArray
    watched: BoolArray
    refused: BoolArray
    noticed: BoolArray
    alarm_pending: BoolArray
    standby: BoolArray
    unconsidered: BoolArray
    halted: BoolArray
    charged: BoolArray
    stale: BoolArray
    overdue: BoolArray
    seconds: FloatArray
    elapsed: FloatArray
    rating: FloatArray
    disagreement: FloatArray
    score: FloatArray
    threshold: FloatArray
    reason: NDArray[np.int32]
    overseer: NDArray[np.int32]
    because: NDArray[np.int32]

    def __init__(self, block: Block, at: Any) -> None:
        held = self.__dict__
        held["_block"], held["_at"] = block, at
        held["executed"] = block.executed[at]

    def __getattr__(self, name: str) -> Any:
        """A column's row, looked up when it is first needed."""
        held = self.__dict__
        if name not in DECIDED or "_block" not in held:
            raise AttributeError(f"a decision has no {name!r}")
        row = held[name] = held["_block"].decided[name][held["_at"]]
        return row

    def __setattr__(self, name: str, value: Any) -> None:
        """Copies what is assigned to a column, or to ``executed``, into the block.

        Raises:
            UsageError: if it is not one value per lane, of the kind that stands there.
        """
        held = self.__dict__.get(name)
        if held is value and held is not None:
            return  # changed in place
        if name in DECIDED or name == "executed":
            _copy(name, value, getattr(self, name))
        else:
            self.__dict__[name] = value

    @property
    def row(self) -> tuple[Block, Any]:
        """Where the decision is kept: the block, and its row there."""
        return self._block, self._at

    @property
    def reasons(self) -> Lexicon:
        """What the codes of ``reason`` and ``because`` mean."""
        block: Block = self._block
        return block.reasons

    @property
    def names(self) -> Lexicon:
        """What the codes of ``overseer`` mean."""
        block: Block = self._block
        return block.names

    @property
    def extra(self) -> dict[str, NDArray[Any]]:
        """Columns that parts of the protocol brought along, by name, shape (n,)."""
        return {name: column[self._at] for name, column in self._block.extra.items()}

    def touched(self, name: str) -> bool:
        """Whether anybody has looked at a column, or written to it, but for ``review``."""
        return name in self.__dict__

    def remaining(self, mask: BoolArray | None = None) -> BoolArray:
        """Lanes, among the masked ones, that nothing has refused, replaced or stopped yet.

        Returns a fresh array of shape (n,).
        """
        if self.only is not None:
            mask = self.only if mask is None else self.only & mask
        if self.untouched:
            return (_everybody(len(self.executed)) if mask is None else mask).copy()
        free: BoolArray = ~(self.refused | self.standby | self.halted)
        return free if mask is None else free & mask

    def say(self, mask: BoolArray, text: str) -> None:
        """Records the reason in the masked lanes."""
        np.copyto(self.reason, self.reasons[text], where=mask)

    def note(self, mask: BoolArray, verdicts: Verdicts) -> None:
        """Records verdict, reason, overseer and what was voted in the masked lanes."""
        block = self._block
        _note(
            block.flags, block.codes, self._at, mask, verdicts.code, verdicts.reason,
            block.reasons.groups[verdicts.reasons], verdicts.which,
            block.names.groups[verdicts.names],
        )  # fmt: skip
        self.vote(mask, verdicts)

    def review(self, mask: BoolArray, verdicts: Verdicts, why: Sequence[Reason] = ()) -> BoolArray:
        """Records that the masked lanes were asked about, what that took and what was answered.

        Args:
            mask: lanes that were asked about, shape (n,).
            verdicts: what was answered.
            why: reasons for asking, recorded as ``explain`` would.

        Returns:
            Lanes that were refused, a fresh array of shape (n,).
        """
        block, refused = self._block, np.empty(len(mask), np.bool_)
        reason = why[0] if len(why) == 1 else NO_REASON
        _review(
            block.flags, block.reals, block.codes, self._at, mask, verdicts.code,
            verdicts.seconds, verdicts.wait, verdicts.reason,
            block.reasons.groups[verdicts.reasons], verdicts.which,
            block.names.groups[verdicts.names], reason.lanes, block.reasons[reason.text],
            reason.score, reason.threshold, refused,
        )  # fmt: skip
        if reason is NO_REASON:
            for reason in why:
                self.explain(reason)
        self.vote(mask, verdicts)
        return refused

    def vote(self, mask: BoolArray, verdicts: Verdicts) -> None:
        """Records in the masked lanes what several people's answers said of each other."""
        if verdicts.overdue is not None:
            self.overdue |= mask & verdicts.overdue
        if verdicts.disagreement is not None:
            np.copyto(self.disagreement, verdicts.disagreement, where=mask)

    def explain(self, reason: Reason) -> None:
        """Records why some lanes are asked about: the trigger, its score and threshold."""
        block = self._block
        _explain(
            block.codes, block.reals, self._at, reason.lanes, block.reasons[reason.text],
            reason.score, reason.threshold,
        )  # fmt: skip


@lru_cache(maxsize=16)
def _everybody(num_lanes: int) -> BoolArray:
    """All lanes marked, shape (n,), to be copied."""
    return np.ones(num_lanes, np.bool_)


def _copy(name: str, given: Any, target: NDArray[Any]) -> None:
    values = np.asarray(given)
    if values.shape != target.shape or not np.can_cast(values.dtype, target.dtype, "same_kind"):
        raise UsageError(
            f"a protocol must leave {len(target)} values of {target.dtype} in {name}, "
            f"got {brief(given)}"
        )
    target[...] = values


@compiled
def note_lane(flags: Any, codes: Any, at: Any, lane: Any, code: Any, reason: Any, who: Any) -> None:
    """Records verdict, reason and overseer of one lane."""
    flags[at, _VERDICT, lane] = code
    codes[at, _REASON, lane] = reason
    codes[at, _OVERSEER, lane] = who


@compiled
def explain_lane(
    codes: Any, reals: Any, at: Any, lane: Any, why: Any, score: Any, threshold: Any
) -> None:
    """Records why one lane is asked about."""
    codes[at, _BECAUSE, lane] = why
    reals[at, _SCORE, lane] = score
    reals[at, _THRESHOLD, lane] = threshold


@compiled
def refuse_lane(flags: Any, at: Any, lane: Any) -> None:
    """Records that the verdict on one lane stopped its proposal."""
    flags[at, _REFUSED, lane] = 1
    flags[at, _CHARGED, lane] = 1


@compiled
def review_lane(
    flags: Any, reals: Any, codes: Any, at: Any, lane: Any, code: Any, reason: Any, who: Any,
    seconds: Any, wait: Any,
) -> Any:  # fmt: skip
    """Records what was answered about one lane; returns whether it was refused."""
    note_lane(flags, codes, at, lane, code, reason, who)
    flags[at, _ASKED, lane] = 1
    flags[at, _REVIEWS, lane] += 1
    reals[at, _SECONDS, lane] += seconds
    reals[at, _ELAPSED, lane] += wait
    if code == APPROVE:
        return False
    refuse_lane(flags, at, lane)
    return True


@compiled
def _explain(
    codes: Any, reals: Any, at: Any, mask: Any, text: Any, score: Any, threshold: Any
) -> None:
    for lane in range(len(mask)):
        if mask[lane]:
            explain_lane(
                codes, reals, at, lane, text, element(score, lane), element(threshold, lane)
            )


@compiled
def _note(
    flags: Any, codes: Any, at: Any, mask: Any, code: Any, reason: Any, texts: Any, who: Any,
    names: Any,
) -> None:  # fmt: skip
    for lane in range(len(mask)):
        if mask[lane]:
            name = names[element(who, lane)]
            note_lane(flags, codes, at, lane, code[lane], texts[reason[lane]], name)


@compiled
def _review(
    flags: Any, reals: Any, codes: Any, at: Any, mask: Any, code: Any, seconds: Any, wait: Any,
    reason: Any, texts: Any, who: Any, names: Any, explained: Any, why: Any, score: Any,
    threshold: Any, refused: Any,
) -> None:  # fmt: skip
    for lane in range(len(mask)):
        refused[lane] = False
        if mask[lane]:
            refused[lane] = review_lane(
                flags, reals, codes, at, lane, code[lane], texts[reason[lane]],
                names[element(who, lane)], element(seconds, lane), element(wait, lane),
            )  # fmt: skip
    _explain(codes, reals, at, explained, why, score, threshold)
