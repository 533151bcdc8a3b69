"""Verdicts and decisions: small closed types that explain themselves."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looplab.envs.core import Actions, BoolArray, FloatArray
from looplab.envs.errors import UsageError, unknown

#: What a human can say of a proposal; a verdict's code is its place here.
VERDICTS = ("approve", "modify", "reject", "escalate", "terminate")
APPROVE, MODIFY, REJECT, ESCALATE, TERMINATE = range(len(VERDICTS))
_CODES = {name: code for code, name in enumerate(VERDICTS)}

#: Reason of a step in which no human was asked.
NOT_ASKED = "not asked"
#: Name of the overseer where nobody was asked.
NOBODY = "nobody"


class Lexicon:
    """Numbers for strings, so that arrays can hold reasons and names."""

    def __init__(self, *texts: str) -> None:
        self.texts: list[str] = []
        self._codes: dict[str, int] = {}
        self._groups: dict[tuple[str, ...], NDArray[np.int32]] = {}
        for text in texts:
            self.code(text)

    def code(self, text: str) -> int:
        """Number of a string; a new one is given where it was not known."""
        code = self._codes.get(text)
        if code is None:
            code = self._codes[text] = len(self.texts)
            self.texts.append(text)
        return code

    def codes(self, texts: tuple[str, ...]) -> NDArray[np.int32]:
        """Numbers of several strings, shape (len(texts),)."""
        group = self._groups.get(texts)
        if group is None:
            group = np.array([self.code(text) for text in texts], dtype=np.int32)
            self._groups[texts] = group
        return group


@dataclass(slots=True)
class Verdicts:
    """What one overseer says of every lane's proposal; lanes that nobody asked are ignored.

    Attributes:
        code: place in ``VERDICTS``, shape (n,).
        seconds: human time that it took, shape (n,), at least 0.
        reason: place in ``reasons``, shape (n,).
        reasons: sentences that ``reason`` points to.
        overseer: who answered.
        correction: what to execute where the verdict is ``modify``, shape (n, ...); None: whatever
            the fallback is.
    """

    code: NDArray[np.int8]
    seconds: FloatArray
    reason: NDArray[np.integer[Any]]
    reasons: tuple[str, ...]
    overseer: str
    correction: Actions | None = None


def as_verdicts(answer: Any, num_lanes: int, overseer: str) -> Verdicts:
    """Verdicts from what a plain function answered.

    Args:
        answer: ``Verdicts``; or one verdict's name per lane; or one boolean per lane, True for
            approve and False for reject.
        num_lanes: number of lanes n.
        overseer: name for the record.

    Raises:
        UsageError: if the answer is none of these.
    """
    if isinstance(answer, Verdicts):
        return replace(answer)  # protocols may relabel their copy
    if isinstance(answer, str | bool | np.bool_):
        answer = [answer]
    if not isinstance(answer, Sequence | np.ndarray) or len(answer) != num_lanes:
        raise UsageError(
            f"overseer {overseer} must answer Verdicts, or {num_lanes} verdicts by name "
            f"({', '.join(VERDICTS)}) or as booleans; got {answer!r}"
        )
    code = np.array([_code(item) for item in answer], dtype=np.int8)
    return Verdicts(code, np.zeros(num_lanes), code, VERDICTS, overseer)


def _code(item: Any) -> int:
    if isinstance(item, bool | np.bool_):
        return APPROVE if item else REJECT
    if str(item) not in _CODES:
        raise unknown("verdict", item, VERDICTS)
    return _CODES[str(item)]


def _flags(num_lanes: int) -> BoolArray:
    return np.zeros(num_lanes, dtype=np.bool_)


@dataclass(slots=True)
class Decision:
    """What oversight made of n proposals in one step; protocols fill it in, one after another.

    All arrays have shape (n, ...).

    Attributes:
        executed: action that runs, at first the proposal itself.
        lexicon: what the codes in ``reason`` and ``overseer`` mean.
        verdict: code of the verdict on the proposal; approve where nobody objected.
        asked: a human was asked about the proposal.
        reviews: verdicts and ratings that humans gave on it.
        watched: a human watched it, with no alarm pending and no override running.
        refused: it was stopped by a verdict of its own.
        noticed: it raised an alarm on the loop.
        alarm_pending: an earlier alarm has not yet become an override.
        standby: inside an override or a wait; counts as intervention only.
        unconsidered: discarded while a review went on; not credited to the policy.
        halted: the episode is stopped and the environment not stepped.
        charged: the penalty falls due.
        rating: what feedback says of the executed action: -1 unsafe, 0 nothing to say.
        seconds: human time.
        stale: an approval is executed in a later state than it was given for.
        overdue: nobody answered in time.
        reason: code of the reason.
        overseer: code of the overseer's name.
    """

    executed: Actions
    lexicon: Lexicon = field(repr=False)
    verdict: NDArray[np.int8]
    asked: BoolArray
    reviews: NDArray[np.int64]
    watched: BoolArray
    refused: BoolArray
    noticed: BoolArray
    alarm_pending: BoolArray
    standby: BoolArray
    unconsidered: BoolArray
    halted: BoolArray
    charged: BoolArray
    rating: FloatArray
    seconds: FloatArray
    stale: BoolArray
    overdue: BoolArray
    reason: NDArray[np.int32]
    overseer: NDArray[np.int32]

    @classmethod
    def approving(cls, proposed: Actions, lexicon: Lexicon) -> "Decision":
        """The decision that lets every proposal pass, nobody asked."""
        n = len(proposed)
        return cls(
            executed=proposed.copy(),
            lexicon=lexicon,
            verdict=np.zeros(n, dtype=np.int8),
            asked=_flags(n),
            reviews=np.zeros(n, dtype=np.int64),
            watched=_flags(n),
            refused=_flags(n),
            noticed=_flags(n),
            alarm_pending=_flags(n),
            standby=_flags(n),
            unconsidered=_flags(n),
            halted=_flags(n),
            charged=_flags(n),
            rating=np.zeros(n),
            seconds=np.zeros(n),
            stale=_flags(n),
            overdue=_flags(n),
            reason=np.full(n, lexicon.code(NOT_ASKED), dtype=np.int32),
            overseer=np.full(n, lexicon.code(NOBODY), dtype=np.int32),
        )

    @property
    def open(self) -> BoolArray:
        """Lanes whose proposal no earlier protocol has refused, replaced or stopped."""
        return ~(self.refused | self.standby | self.halted)

    def say(self, mask: BoolArray, text: str) -> None:
        """Records the reason in the masked lanes."""
        self.reason[mask] = self.lexicon.code(text)

    def note(self, mask: BoolArray, verdicts: Verdicts) -> None:
        """Records verdict, reason and overseer in the masked lanes."""
        np.copyto(self.verdict, verdicts.code, where=mask)
        codes = self.lexicon.codes(verdicts.reasons)
        np.copyto(self.reason, codes[verdicts.reason], where=mask)
        self.overseer[mask] = self.lexicon.code(verdicts.overseer)


def put(target: Actions, mask: BoolArray, values: Actions) -> None:
    """Writes the masked lanes' rows of ``values`` into ``target``, in place."""
    target[mask] = values[mask]


def differs(left: Actions, right: Actions) -> BoolArray:
    """Lanes whose actions are not equal, shape (n,)."""
    unequal: BoolArray = left != right
    return unequal if unequal.ndim == 1 else unequal.any(axis=tuple(range(1, unequal.ndim)))
