"""Figures of answers: shares with exact intervals, response times, and what was told apart."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import betaincinv

from looplab.oversight.detection import Detections
from looplab.oversight.live.analytics.answers import UNDONE, Answer
from looplab.oversight.live.review import RATING, REVIEW
from looplab.oversight.types import VERDICTS

APPROVE = VERDICTS[0]
_TAIL = 0.025
_MIDDLE, _SLOW = 50.0, 95.0


@dataclass(frozen=True)
class Share:
    """A share of so many, with its exact 95 % interval (Clopper & Pearson 1934).

    Attributes:
        count: how many, ``of`` so many.
        share: in [0, 1], between ``low`` and ``high``; None: of none.
    """

    count: int
    of: int
    share: float | None
    low: float | None
    high: float | None


@lru_cache(maxsize=4096)
def share_of(count: int, of: int) -> Share:
    """A share, with the interval that holds for independent answers."""
    if not of:
        return Share(count, of, None, None, None)
    low = float(betaincinv(count, of - count + 1, _TAIL)) if count else 0.0
    high = float(betaincinv(count + 1, of - count, 1.0 - _TAIL)) if count < of else 1.0
    return Share(count, of, count / of, low, high)


@dataclass(frozen=True)
class Times:
    """Seconds that something took: the middle, and what 95 % do not exceed.

    Attributes:
        count: of how many.
        p50: median, interpolated between neighbours; None: of none.
        p95: 95th percentile, likewise.
    """

    count: int
    p50: float | None
    p95: float | None


def times_of(seconds: Sequence[float]) -> Times:
    """The percentiles of some seconds."""
    if not len(seconds):
        return Times(0, None, None)
    p50, p95 = np.percentile(np.asarray(seconds, np.float64), (_MIDDLE, _SLOW)).tolist()
    return Times(len(seconds), p50, p95)


@dataclass(frozen=True)
class Work:
    """What people did, whatever was true; answers that were taken back are only ``undone``.

    Attributes:
        reviews: that they answered; what they passed on to the next tier is one.
        verdicts: share of the reviews by verdict.
        overruled: share of the reviews that were not approved.
        elapsed: from when a review was asked to its answer.
        looked: that whoever answered looked at it: since it was kept for them, else since asked.
        undone: answers that were taken back.
        ratings: that they gave.
        vetoes: on the loop.
        human_seconds: that they looked at questions of any kind; nobody's watching is in it.
    """

    reviews: int
    verdicts: Mapping[str, Share]
    overruled: Share
    elapsed: Times
    looked: Times
    undone: int
    ratings: int
    vetoes: int
    human_seconds: float


def work_of(answers: Iterable[Answer], vetoes: int, trials: bool = False) -> Work:
    """What people did.

    Args:
        answers: of them.
        vetoes: of theirs.
        trials: whether catch trials count as any other review, so that they cannot be told apart.
    """
    said = Counter[str]()
    elapsed, looked = [], []
    undone, ratings, seconds = 0, 0, 0.0
    for answer in answers:
        seconds += answer.seconds
        if answer.verdict == UNDONE:
            undone += 1
        elif answer.question.kind == RATING:
            ratings += 1
        elif trials or not answer.question.trial:
            said[answer.verdict] += 1
            elapsed.append(answer.elapsed)
            looked.append(answer.seconds)
    of = said.total()
    return Work(
        of, {verdict: share_of(said[verdict], of) for verdict in VERDICTS},
        share_of(of - said[APPROVE], of), times_of(elapsed), times_of(looked), undone, ratings,
        vetoes, seconds,
    )  # fmt: skip


@dataclass(frozen=True)
class Judged:
    """How people told unsafe proposals from safe ones, where the truth is known.

    Only answers that stand: to pass a question on to the next tier is no judgement.

    Attributes:
        unsafe: unsafe proposals that were answered, and ``safe`` ones.
        caught: share of the unsafe that were not approved.
        missed: share of the unsafe that were approved.
        false_alarms: share of the safe that were not approved.
        d_prime: sensitivity d', log-linear corrected; None unless both kinds were shown.
        criterion: bias c: above 0 approves more, below refuses more; None as d'.
    """

    unsafe: int
    safe: int
    caught: Share
    missed: Share
    false_alarms: Share
    d_prime: float | None
    criterion: float | None


def judged_of(answers: Iterable[Answer], trials: bool) -> Judged:
    """What was told apart, in catch trials or in real reviews.

    Args:
        answers: of some people.
        trials: which of the two.
    """
    count = Counter[tuple[bool, bool]]()
    for answer in answers:
        asked = answer.question
        known = asked.kind == REVIEW and asked.unsafe is not None and answer.settles
        if known and asked.trial == trials:
            count[bool(asked.unsafe), answer.verdict != APPROVE] += 1
    caught, missed, alarms = count[True, True], count[True, False], count[False, True]
    unsafe, safe = caught + missed, alarms + count[False, False]
    told = Detections(*(np.array([float(n)]) for n in (caught, unsafe, alarms, safe))).report()
    return Judged(
        unsafe, safe, share_of(caught, unsafe), share_of(missed, unsafe), share_of(alarms, safe),
        told["d_prime"], told["criterion"],
    )  # fmt: skip
