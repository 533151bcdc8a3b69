"""Whether people judge alike: Krippendorff's alpha over questions that several of them answered."""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

from looplab.oversight.live.analytics.answers import UNDONE, Answer
from looplab.oversight.live.review import UNANSWERED
from looplab.oversight.types import VERDICTS

_APPROVE = VERDICTS[0]


@dataclass(frozen=True)
class Agreement:
    """How alike people judged the same questions: approve, or any other verdict.

    Attributes:
        questions: that at least two people answered.
        people: who answered one of them.
        pairs: of answers to the same question.
        alike: share of the pairs that agree, in [0, 1]; None: there is no pair.
        alpha: Krippendorff's alpha for nominal data (2004, chapter 11): 1 where all agree, 0 where
            they do as by chance, below 0 where they disagree more often; for two people without
            gaps nearly Scott's pi. None: there is no pair, or all answers are the same.
    """

    questions: int
    people: int
    pairs: int
    alike: float | None
    alpha: float | None


def agreement(answers: Iterable[Answer]) -> Agreement:
    """How alike people judged what they were shown alike, by the digest of it.

    The first answer that somebody gave to the same question counts. To pass a question on is no
    judgement, and neither is what was taken back.
    """
    judgements = [answer for answer in answers if answer.verdict not in (UNDONE, UNANSWERED)]
    times = Counter(answer.question.context for answer in judgements)
    first: dict[str, dict[str, tuple[int, bool]]] = {}
    for answer in judgements:
        if times[answer.question.context] < 2:
            continue
        said = first.setdefault(answer.question.context, {})
        judged = (answer.at, answer.verdict != _APPROVE)
        said[answer.who] = min(said.get(answer.who, judged), judged)
    return agreement_of(
        {who: refused for who, (_, refused) in said.items()} for said in first.values()
    )


def agreement_of(units: Iterable[Mapping[str, Hashable]]) -> Agreement:
    """Agreement on units, each judged by some people.

    Args:
        units: what each person said of it; units that fewer than two judged tell nothing.
    """
    questions, people, pairs, alike = 0, set[str](), 0, 0
    values: Counter[Hashable] = Counter()
    apart = 0.0  # the diagonal of the coincidence matrix, taken from all of it
    for said in units:
        count = len(said)
        if count < 2:
            continue
        times = Counter(said.values())
        same = sum(n * (n - 1) for n in times.values())
        questions, people = questions + 1, people | said.keys()
        pairs, alike = pairs + count * (count - 1) // 2, alike + same // 2
        apart += (count * (count - 1) - same) / (count - 1)
        values += times
    total = values.total()
    by_chance = total * total - sum(n * n for n in values.values())
    alpha = 1.0 - apart * (total - 1) / by_chance if by_chance else None
    return Agreement(questions, len(people), pairs, alike / pairs if pairs else None, alpha)
