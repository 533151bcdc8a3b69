"""Figures as people read them, what each of them means, and the tables in which they stand."""

from collections.abc import Mapping, Sequence

from looplab.oversight.live.analytics.agreement import Agreement
from looplab.oversight.live.analytics.course import Point
from looplab.oversight.live.analytics.figures import Judged, Share, Times, Work
from looplab.oversight.live.analytics.summary import PersonFigures, Summary
from looplab.oversight.live.console.words import NONE, moment
from looplab.oversight.types import VERDICTS

VERDICT_HEADS = ("reviewer", "reviews", *VERDICTS, "overruled", "undone", "ratings", "vetoes")
LOAD_HEADS = (
    "reviewer", "answers", "minutes", "share of time", "busy", "response p50", "response p95",
    "looked p50", "looked p95",
)  # fmt: skip
TRUTH_HEADS = (
    "reviewer", "caught", "missed", "false alarms", "trials", "hits", "trial false alarms", "d'",
    "c",
)  # fmt: skip
COURSE_HEADS = (
    "from (UTC)", "asked", *VERDICTS, "overdue", "response p50", "response p95", "steps",
    "automated",
)  # fmt: skip
TOGETHER = "all together"

#: What each figure means, in the order in which they are shown.
MEANINGS = {
    "Which time": "A review belongs to the time in which it was asked, whenever it was answered.",
    "Shares": "With the exact 95 % interval in brackets (Clopper-Pearson), which takes answers to "
    "be independent of each other.",
    "asked": "Questions whether an action may run. Ratings, forms and catch trials are not in it.",
    "overdue": "Nobody answered in time: of the reviews that were answered or overdue.",
    "passed on by deadline": "A tier's time was over, and the next tier was asked.",
    "withdrawn": "Their trainer went away before anybody answered.",
    "approve to terminate": "What people said. Somebody who escalates to the next tier has given "
    "one answer, and whoever settles it another.",
    "overruled": "Answers that are not approve.",
    "undone": "Answers that were taken back; they are in no other figure, but their time is.",
    "response": "Seconds from asked to answered; p50 is the median, and 95 % take no longer than "
    "p95.",
    "looked": "Seconds that whoever answered looked at it: since it was kept for them, else since "
    "it was asked.",
    "answers": "All that somebody gave: reviews, catch trials and ratings.",
    "minutes": "Human time on questions of any kind but forms; watching is not in it.",
    "share of time": "Of the human time of all.",
    "busy": "Human time of somebody, of the time from the first thing to the last.",
    "caught, missed": "Unsafe proposals that were not approved, or approved, where the trainer "
    "knows the truth; answers that were passed on are in neither.",
    "false alarms": "Safe proposals that were not approved.",
    "d', c": "From catch trials: how well unsafe is told from safe (0: not at all), and the bias "
    "(above 0 approves more). Nothing is told until both kinds were shown.",
    "agreement": "Pairs of people who judged what they were shown alike, approve or not; alpha is "
    "Krippendorff's: 1 always, 0 as by chance.",
    "automated": "Steps on which nobody was asked, by the run's own count.",
    "violations": "Steps with cost, by the run's own count; unsafe, caught, missed and unasked are "
    "0 where nobody knows the truth.",
}


def exactly(share: Share) -> str:
    """A share with its interval and its counts."""
    if share.share is None or share.low is None or share.high is None:
        return NONE
    between = f"{100 * share.low:.0f}\u2013{share.high:.0%}"
    return f"{share.share:.0%} ({between}), {_of(share)}"


def _of(share: Share) -> str:
    """Counts that are not torn apart at the end of a line."""
    return f"{share.count}\u00a0of\u00a0{share.of}"


def briefly(share: Share) -> str:
    """A share, and of how many."""
    return NONE if share.share is None else f"{share.share:.0%} of {share.of}"


def seconds(value: float | None) -> str:
    """Seconds, to the tenth."""
    return NONE if value is None else f"{value:.1f} s"


def number(value: float | None) -> str:
    """A number to two places."""
    return NONE if value is None else f"{value:.2f}"


def percent(value: float | None) -> str:
    """A share alone."""
    return NONE if value is None else f"{value:.0%}"


def key_figures(summary: Summary) -> dict[str, dict[str, str]]:
    """What stands above all, by heading and name."""
    reviews, work, steps = summary.reviews, summary.work, summary.steps
    return {
        "Reviews": {
            "asked": str(reviews.asked), "open": str(reviews.open),
            "answers": str(work.reviews), "overruled": exactly(work.overruled),
            "overdue": exactly(reviews.overdue),
            "passed on by deadline": str(reviews.passed_on),
            "withdrawn": str(reviews.withdrawn), "undone": str(work.undone),
            "response p50": seconds(work.elapsed.p50), "response p95": seconds(work.elapsed.p95),
        },
        "Right and wrong": {
            "caught": exactly(summary.truth.caught), "missed": exactly(summary.truth.missed),
            "false alarms": exactly(summary.truth.false_alarms),
            "catch trials": _trials(summary.trials), "d'": number(summary.trials.d_prime),
            "c": number(summary.trials.criterion),
            "agreement": _agreement(summary.agreement), "alpha": number(summary.agreement.alpha),
            "agreement in trials": _agreement(summary.trial_agreement),
            "alpha in trials": number(summary.trial_agreement.alpha),
        },
        "Runs": {
            "steps": str(steps.steps), "automated": exactly(steps.automated),
            "watched": str(steps.watched), "violations": str(steps.violations),
            "violations per 1\u00a0000 steps": number(steps.violations_per_1k),
            "unsafe": str(steps.unsafe), "caught": str(steps.caught),
            "missed": str(steps.missed), "unasked": str(steps.unasked), "late": str(steps.late),
            "human seconds per 1\u00a0000 steps": number(steps.human_seconds_per_1k),
        },
    }  # fmt: skip


def _trials(trials: Judged) -> str:
    hits, alarms = trials.caught, trials.false_alarms
    if not hits.of and not alarms.of:
        return NONE
    return f"{_of(hits)} hit, {_of(alarms)} false alarms"


def _agreement(found: Agreement) -> str:
    if found.alike is None:
        return NONE
    return f"{found.alike:.0%} of {found.pairs} pairs, {found.people} people"


def verdict_row(who: str, work: Work) -> tuple[str, ...]:
    """A row under ``VERDICT_HEADS``."""
    return (
        who, str(work.reviews), *(percent(work.verdicts[verdict].share) for verdict in VERDICTS),
        percent(work.overruled.share), str(work.undone), str(work.ratings), str(work.vetoes),
    )  # fmt: skip


def load_row(who: str, answers: int, work: Work, one: PersonFigures | None) -> tuple[str, ...]:
    """A row under ``LOAD_HEADS``; None: of all together."""
    return (
        who, str(answers), f"{work.human_seconds / 60.0:.1f}",
        NONE if one is None else percent(one.share_of_time),
        NONE if one is None else percent(one.busy), *_both(work.elapsed), *_both(work.looked),
    )  # fmt: skip


def truth_row(who: str, truth: Judged, trials: Judged) -> tuple[str, ...]:
    """A row under ``TRUTH_HEADS``."""
    return (
        who, briefly(truth.caught), briefly(truth.missed), briefly(truth.false_alarms),
        str(trials.unsafe + trials.safe), briefly(trials.caught), briefly(trials.false_alarms),
        number(trials.d_prime), number(trials.criterion),
    )  # fmt: skip


def people_rows(
    summary: Summary, names: Mapping[str, str], most: int
) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]], list[tuple[str, ...]]]:
    """Rows of the three tables of reviewers, all together first."""
    shown = summary.people[:most]
    answers = sum(one.answers for one in summary.people)
    verdicts = [verdict_row(TOGETHER, summary.work)]
    loads = [load_row(TOGETHER, answers, summary.work, None)]
    truths = [truth_row(TOGETHER, summary.truth, summary.trials)]
    for one in shown:
        who = names.get(one.person, one.person)
        verdicts.append(verdict_row(who, one.work))
        loads.append(load_row(who, one.answers, one.work, one))
        truths.append(truth_row(who, one.truth, one.trials))
    return verdicts, loads, truths


def course_rows(points: Sequence[Point]) -> list[tuple[str, ...]]:
    """Rows under ``COURSE_HEADS``, latest first."""
    return [
        (
            moment(point.at), str(point.asked), *(str(point.verdicts[name]) for name in VERDICTS),
            str(point.overdue), seconds(point.p50), seconds(point.p95), str(point.steps),
            percent(point.automated),
        )
        for point in reversed(points)
    ]  # fmt: skip


def _both(times: Times) -> tuple[str, str]:
    return seconds(times.p50), seconds(times.p95)
