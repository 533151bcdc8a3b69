"""All figures of a selection together, and those that somebody may see of themselves."""

from collections import Counter
from dataclasses import dataclass

from looplab.oversight.live.analytics.agreement import Agreement, agreement
from looplab.oversight.live.analytics.answers import Answer, answers_of
from looplab.oversight.live.analytics.course import Course, course_of
from looplab.oversight.live.analytics.extract import Extract
from looplab.oversight.live.analytics.figures import (
    Judged,
    Share,
    Work,
    judged_of,
    share_of,
    work_of,
)
from looplab.oversight.live.analytics.steps import Steps, increases, steps_of
from looplab.oversight.live.review import DECIDED, OPEN, RELEASED, WITHDRAWN
from looplab.oversight.live.settings import MILLISECONDS


@dataclass(frozen=True)
class Reviews:
    """What became of the reviews that were asked for; catch trials are not among them.

    Attributes:
        asked: how many; ``open`` still wait, and ``withdrawn`` ones lost their trainer.
        overdue: share that nobody answered in time, of those that were answered or overdue.
        passed_on: times that a deadline handed one to the next tier.
    """

    asked: int
    open: int
    withdrawn: int
    overdue: Share
    passed_on: int


@dataclass(frozen=True)
class PersonFigures:
    """One reviewer.

    Attributes:
        person: pseudonym.
        work: what they did.
        answers: all that they gave, catch trials and ratings too.
        share_of_time: of all human seconds, in [0, 1]; None: there are none.
        busy: their seconds per second of the time of the selection; None: it has no length.
        truth: real reviews whose truth is known, and ``trials``: catch trials.
    """

    person: str
    work: Work
    answers: int
    share_of_time: float | None
    busy: float | None
    truth: Judged
    trials: Judged


@dataclass(frozen=True)
class Summary:
    """All figures of a selection.

    Attributes:
        session: the one that was chosen; empty: all, but those in which people practise.
        since: from when on, and ``until`` when, in milliseconds since 1970; None: any time.
        event: number of the ledger's last event that is in them.
        first: moment of the first thing that is in them, and ``last`` of the last.
        reviews: what became of those that were asked for.
        work: of all people together; ``truth`` and ``trials`` as for each of them.
        agreement: between people, in real reviews; ``trial_agreement``: in catch trials.
        steps: what runs counted.
        people: whoever answered or vetoed, those who spent most time first.
        course: how it went.
    """

    session: str
    since: int | None
    until: int | None
    event: int
    first: int | None
    last: int | None
    reviews: Reviews
    work: Work
    truth: Judged
    trials: Judged
    agreement: Agreement
    trial_agreement: Agreement
    steps: Steps
    people: list[PersonFigures]
    course: Course


@dataclass(frozen=True)
class OwnFigures:
    """What somebody did; nothing tells which of it were catch trials, or what was right.

    Attributes:
        person: pseudonym.
        session, since, until: as in ``Summary``.
        work: with catch trials as any other review.
    """

    person: str
    session: str
    since: int | None
    until: int | None
    work: Work


def summary_of(extract: Extract, event: int = 0) -> Summary:
    """All figures of an extract.

    Args:
        extract: what was read.
        event: number of the last event when it was.
    """
    found = answers_of(extract)
    given = found.given
    vetoes = Counter(veto.who for veto in extract.vetoes)
    seconds = found.unnamed_seconds + sum(answer.seconds for answer in given)
    of: dict[str, list[Answer]] = {who: [] for who in vetoes}
    for answer in given:
        of.setdefault(answer.who, []).append(answer)
    people = [_person(who, own, vetoes[who], seconds, _length(extract)) for who, own in of.items()]
    counted = Counter[str]()
    for point in increases(extract).values():
        counted.update(point)
    real = [answer for answer in given if answer.question.counts]
    trials = [answer for answer in given if answer.question.trial]
    chosen = extract.chosen
    return Summary(
        chosen.session, chosen.since, chosen.until, event, extract.first, extract.last,
        _reviews(extract, found.passed_on), work_of(given, vetoes.total()),
        judged_of(given, trials=False), judged_of(given, trials=True), agreement(real),
        agreement(trials), steps_of(counted),
        sorted(people, key=lambda one: (-one.work.human_seconds, one.person)),
        course_of(extract, given),
    )  # fmt: skip


def own_figures_of(extract: Extract, person: str) -> OwnFigures:
    """What one person did in an extract."""
    own = [answer for answer in answers_of(extract).given if answer.who == person]
    vetoes = sum(veto.who == person for veto in extract.vetoes)
    chosen = extract.chosen
    work = work_of(own, vetoes, trials=True)
    return OwnFigures(person, chosen.session, chosen.since, chosen.until, work)


def _reviews(extract: Extract, passed_on: int) -> Reviews:
    real = [question for question in extract.questions if question.counts]
    states = Counter(question.state for question in real)
    overdue = share_of(
        sum(question.overdue for question in real), states[DECIDED] + states[RELEASED]
    )
    return Reviews(len(real), states[OPEN], states[WITHDRAWN], overdue, passed_on)


def _person(
    who: str, own: list[Answer], vetoes: int, all_seconds: float, length: float
) -> PersonFigures:
    work = work_of(own, vetoes)
    return PersonFigures(
        who, work, sum(bool(answer.verdict) for answer in own),
        work.human_seconds / all_seconds if all_seconds else None,
        work.human_seconds / length if length else None,
        judged_of(own, trials=False), judged_of(own, trials=True),
    )  # fmt: skip


def _length(extract: Extract) -> float:
    """Seconds of the time of a selection: from the first thing in it to the last."""
    if extract.first is None or extract.last is None:
        return 0.0
    return (extract.last - extract.first) / MILLISECONDS
