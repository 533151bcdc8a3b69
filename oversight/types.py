"""Verdicts: a small closed vocabulary that explains itself."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from looplab.envs.compiled import compiled, takes
from looplab.envs.core import Actions, BoolArray, FloatArray
from looplab.envs.errors import LoopLabError, UsageError, unknown

#: What a human can say of a proposal; a verdict's code is its place here.
VERDICTS = ("approve", "modify", "reject", "escalate", "terminate")
APPROVE, MODIFY, REJECT, ESCALATE, TERMINATE = range(len(VERDICTS))
_CODES = {name: code for code, name in enumerate(VERDICTS)}

#: Rating of an action that a human calls unsafe, where nothing else is said.
UNSAFE_RATING = -1.0

#: What else ``Verdicts`` may hold: its kinds of NumPy's types, and these in words.
_OPTIONAL = (
    ("corrected", "b", "booleans"),
    ("overdue", "b", "booleans"),
    ("disagreement", "fiu", "numbers"),
    ("rating", "fiu", "numbers"),
)

#: Characters of an answer that a message quotes.
_BRIEF = 80

#: Reason of a step in which no human was asked; its code is 0.
NOT_ASKED = "not asked"
#: Name of the overseer where nobody was asked; its code is 0.
NOBODY = "nobody"


class Stopped(LoopLabError):
    """A person has ended the run for good; what it had done before is kept."""


class Lexicon(dict[str, int]):
    """Numbers for strings, so that arrays can hold reasons and names: ``lexicon[text]``.

    A string that was not known gets the next number.

    Args:
        first: the string with the number 0.

    Attributes:
        texts: the strings in the order of their numbers.
        groups: numbers of several strings by the tuple of them, shape (len(tuple),).
    """

    def __init__(self, first: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.groups = _Groups(self)
        self[first]

    def __missing__(self, text: str) -> int:
        code = self[text] = len(self.texts)
        self.texts.append(text)
        return code


class _Groups(dict[tuple[str, ...], NDArray[np.int32]]):
    def __init__(self, lexicon: Lexicon) -> None:
        super().__init__()
        self._lexicon = lexicon

    def __missing__(self, texts: tuple[str, ...]) -> NDArray[np.int32]:
        codes = self[texts] = np.array([self._lexicon[text] for text in texts], dtype=np.int32)
        return codes


class Reason(NamedTuple):
    """Why some lanes are asked about.

    Attributes:
        lanes: which, shape (n,).
        text: the trigger in words.
        score: what it read, shape (n,), or NaN where it reads nothing.
        threshold: what it compared that with, or NaN.
    """

    lanes: BoolArray
    text: str
    score: FloatArray | float = math.nan
    threshold: FloatArray | float = math.nan


@dataclass(slots=True)
class Verdicts:
    """What one overseer says of every lane's proposal; lanes that nobody asked are ignored.

    Attributes:
        code: place in ``VERDICTS``, shape (n,).
        seconds: human time that it took, at least 0; shape (n,), or one number for all.
        reason: place in ``reasons``, shape (n,).
        reasons: sentences that ``reason`` points to.
        overseer: who answered.
        correction: what to execute where the verdict is ``modify``, shape (n, ...); None: whatever
            the fallback is.
        corrected: lanes for which ``correction`` holds one, shape (n,); None: all.
        elapsed: seconds until the answer came, where several people's time adds up to more or
            somebody waited first, shape (n,); None: ``seconds``.
        who: which of ``people`` answered, shape (n,); None: ``overseer`` did, in all lanes.
        people: names that ``who`` points to.
        overdue: a deadline on the way passed before anybody answered, shape (n,); None: none did.
        disagreement: share of reviewers who were outvoted, in [0, 0.5], shape (n,); None: there
            was no vote.
        rating: what feedback says of it, in [-1, 1], NaN where nothing is said, shape (n,); None:
            -1 where the verdict is not ``approve``.
    """

    code: NDArray[np.int8]
    seconds: FloatArray | float
    reason: NDArray[np.integer[Any]]
    reasons: tuple[str, ...]
    overseer: str
    correction: Actions | None = None
    corrected: BoolArray | None = None
    elapsed: FloatArray | None = None
    who: NDArray[np.integer[Any]] | None = None
    people: tuple[str, ...] = ()
    overdue: BoolArray | None = None
    disagreement: FloatArray | None = None
    rating: FloatArray | None = None

    def called(self, code: NDArray[np.int8]) -> "Verdicts":
        """The same answers, called otherwise: places in ``VERDICTS``, shape (n,)."""
        return Verdicts(
            code, self.seconds, self.reason, self.reasons, self.overseer, self.correction,
            self.corrected, self.elapsed, self.who, self.people, self.overdue, self.disagreement,
            self.rating,
        )  # fmt: skip

    @property
    def names(self) -> tuple[str, ...]:
        """Who may have answered: what ``who`` points to, or the overseer alone."""
        return (self.overseer,) if self.who is None else self.people

    @property
    def which(self) -> NDArray[np.integer[Any]] | int:
        """Whose answer each lane's is, a place in ``names``, shape (n,); 0 for the only one."""
        return 0 if self.who is None else self.who

    @property
    def wait(self) -> FloatArray | float:
        """Seconds until the answer came, shape (n,) or one number for all."""
        return self.seconds if self.elapsed is None else self.elapsed

    @property
    def rated(self) -> FloatArray:
        """Rating of each lane, shape (n,); NaN where nothing is said."""
        if self.rating is not None:
            return self.rating
        return np.where(self.code == APPROVE, 0.0, UNSAFE_RATING)

    def brings_correction(self, mask: BoolArray) -> BoolArray:
        """Masked lanes whose verdict is ``modify``, with a correction of its own, shape (n,)."""
        if self.correction is None:
            return np.zeros_like(mask)
        brings: BoolArray = mask & (self.code == MODIFY)
        return brings if self.corrected is None else brings & self.corrected


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
        return _checked(answer, num_lanes, overseer)
    if isinstance(answer, str | bool | np.bool_):
        answer = [answer]
    if not isinstance(answer, Sequence | np.ndarray) or len(answer) != num_lanes:
        raise UsageError(
            f"overseer {overseer} must answer Verdicts, or {num_lanes} verdicts by name "
            f"({', '.join(VERDICTS)}) or as booleans; got {brief(answer)}"
        )
    code = np.array([_code(item) for item in answer], dtype=np.int8)
    return Verdicts(code, 0.0, code, VERDICTS, overseer)


def _checked(given: Verdicts, num_lanes: int, overseer: str) -> Verdicts:
    """Verdicts of one place and one reason per lane, and of human time that can be added up."""
    code, reason = np.asarray(given.code), np.asarray(given.reason)
    numbers = [("code", code, VERDICTS), ("reason", reason, given.reasons)]
    if given.who is not None:
        numbers.append(("who", np.asarray(given.who), given.people))
    for name, places, among in numbers:
        if places.shape != (num_lanes,) or places.dtype.kind not in "iu":
            raise UsageError(
                f"overseer {overseer}: {name} must be {num_lanes} whole numbers, "
                f"got {brief(places)}"
            )
        found = places.tolist()
        if min(found) < 0 or max(found) >= len(among):
            raise UsageError(
                f"overseer {overseer}: {name} must lie in 0..{len(among) - 1}, got {brief(found)}"
            )
    for name, times in (("seconds", given.seconds), ("elapsed", given.wait)):
        seconds = np.asarray(times)
        if seconds.shape not in ((), (num_lanes,)) or not _is_time(seconds):
            raise UsageError(
                f"overseer {overseer}: {name} must be {num_lanes} finite numbers of at least 0, "
                f"got {brief(times)}"
            )
    _check_optional(given, num_lanes, overseer)
    return replace(
        given,
        code=code,
        reason=reason,
        seconds=_numbers(given.seconds),
        elapsed=None if given.elapsed is None else _numbers(given.elapsed),
        who=None if given.who is None else np.asarray(given.who),
        rating=None if given.rating is None else _numbers(given.rating),
    )


def _numbers(given: Any) -> Any:
    """One number as it is, several as an array, shape (n,)."""
    numbers = np.asarray(given, dtype=np.float64)
    return numbers if numbers.ndim else numbers.item()


def _check_optional(given: Verdicts, num_lanes: int, overseer: str) -> None:
    """Refuses what cannot be recorded of columns that an answer may leave out."""
    for name, kinds, what in _OPTIONAL:
        values = getattr(given, name)
        if values is None:
            continue
        if np.shape(values) != (num_lanes,) or np.asarray(values).dtype.kind not in kinds:
            raise UsageError(
                f"overseer {overseer}: {name} must hold {num_lanes} {what}, got {brief(values)}"
            )
    if given.disagreement is not None and not np.all(np.isfinite(given.disagreement)):
        raise UsageError(
            f"overseer {overseer}: disagreement must be finite, got {brief(given.disagreement)}"
        )
    if given.rating is not None and some(np.abs(given.rating) > 1.0):
        raise UsageError(
            f"overseer {overseer}: rating must lie in [-1, 1], got {brief(given.rating)}"
        )


def brief(answer: Any) -> str:
    """An answer in one short line, for messages."""
    text = " ".join(repr(answer).split())
    return text if len(text) <= _BRIEF else text[: _BRIEF - 3] + "..."


def _is_time(seconds: NDArray[Any]) -> bool:
    return seconds.dtype.kind in "fiu" and bool(
        np.count_nonzero((seconds >= 0.0) & np.isfinite(seconds)) == seconds.size
    )


def _code(item: Any) -> int:
    if isinstance(item, bool | np.bool_):
        return APPROVE if item else REJECT
    if str(item) not in _CODES:
        raise unknown("verdict", item, VERDICTS)
    return _CODES[str(item)]


def put(target: Actions, mask: BoolArray, values: Actions) -> None:
    """Writes the masked lanes' rows of ``values`` into ``target``, both (n, ...), in place."""
    if takes(target.dtype) and takes(values.dtype):
        _put(target, mask, values)
    else:
        target[mask] = values[mask]


@compiled
def _put(target: Any, mask: Any, values: Any) -> None:
    for lane in range(len(mask)):
        if mask[lane]:
            target[lane] = values[lane]


def some(mask: BoolArray) -> bool:
    """Whether any lane is marked; on short arrays five times as fast as ``mask.any()``."""
    return 1 in mask.tobytes()
