"""Who answered what, and how long each looked: the shares of several people in one question."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from looplab.oversight.live.analytics.extract import Act, Extract, Question
from looplab.oversight.live.review import UNANSWERED
from looplab.oversight.live.settings import MILLISECONDS

#: Verdict of an answer that was taken back.
UNDONE = ""


class Answer(NamedTuple):
    """What one person said to one question, or took back.

    A question that somebody passes on to the next tier has an answer of theirs, ``escalate``, and
    another of whoever settles it.

    Attributes:
        who: pseudonym.
        verdict: one of ``VERDICTS``; ``UNDONE``: it was taken back.
        at: when, in milliseconds since 1970.
        elapsed: seconds since it was asked.
        seconds: that they looked at it.
        settles: whether it is the answer that stands: neither passed on nor taken back.
        question: what was asked.
    """

    who: str
    verdict: str
    at: int
    elapsed: float
    seconds: float
    settles: bool
    question: Question


@dataclass(frozen=True, slots=True)
class Answers:
    """All that people said to the questions of an extract.

    Attributes:
        given: by people, what they took back included.
        passed_on: how often a deadline handed a review, no catch trial, to the next tier.
        unnamed_seconds: for which questions were kept for people who did not answer in time.
    """

    given: list[Answer]
    passed_on: int
    unnamed_seconds: float


def answers_of(extract: Extract) -> Answers:
    """The answers, each with the seconds that its own person spent."""
    acts: dict[str, list[Act]] = {}
    for act in extract.acts:
        acts.setdefault(act.request, []).append(act)
    given: list[Answer] = []
    passed_on, unnamed = 0, 0.0
    for question in extract.questions:
        for answer in _said(question, acts):
            if answer.who:
                given.append(answer)
            else:
                passed_on += answer.verdict == UNANSWERED and question.counts
                unnamed += answer.seconds
    return Answers(given, passed_on, unnamed)


def _said(question: Question, acts: Mapping[str, list[Act]]) -> Iterator[Answer]:
    """What became of a question, one after the other; by deadlines too, which have no name."""
    before = 0.0
    for act in acts.get(question.id, ()):
        verdict = UNANSWERED if act.kind == "escalated" else UNDONE
        yield _answer(question, act.who, verdict, act.at, act.seconds - before, settles=False)
        before = act.seconds
    left, at = question.seconds - before, question.decided_at
    if question.who and at is not None:
        yield _answer(question, question.who, str(question.verdict), at, left, settles=True)
    elif left > 0.0:
        yield _answer(question, "", UNDONE, at or question.asked_at, left, settles=False)


def _answer(
    question: Question, who: str, verdict: str, at: int, seconds: float, *, settles: bool
) -> Answer:
    elapsed = max(at - question.asked_at, 0) / MILLISECONDS
    return Answer(who, verdict, at, elapsed, max(seconds, 0.0), settles, question)
