"""Figures of a ledger that was made through the desk, worked out by hand."""

import dataclasses
import json
from statistics import NormalDist

import pytest
from scipy.stats import binomtest

from looplab.oversight.live.analytics.extract import MOST_POINTS, Selection, width_of
from looplab.oversight.live.analytics.figures import share_of, times_of
from looplab.oversight.live.analytics.summary import OwnFigures
from looplab.oversight.live.desk import Said
from looplab.oversight.live.refusal import Refused
from looplab.oversight.live.review import Opinion
from tests.oversight.live.conftest import START

from .conftest import ANN, BOB, Ledger, shown

Z = NormalDist().inv_cdf(0.75)


def happens(ledger: Ledger) -> None:
    """Some forty seconds in which everything happens once."""
    ledger.ask("b1", "0", "1", unsafe=[True, False], counts={"steps": 10.0, "asked": 2.0})
    ledger.say(2, ANN, "b1:0", "approve")
    ledger.undo(1, ANN, "b1:0")  # 2 seconds were spent on it
    ledger.say(2, ANN, "b1:0", "reject")  # 5 s after it was asked, 2 more seconds: caught
    ledger.say(1, BOB, "b1:1", "modify")  # 6 s: a false alarm
    ledger.ask("b2", "2", unsafe=[True])
    ledger.say(4, ANN, "b2:0", "escalate")  # 4 s, to the next tier
    ledger.say(3, BOB, "b2:0", "approve")  # 7 s after it was asked: missed
    ledger.ask("b3", "3")
    ledger.wait(10)  # goes to the next tier
    ledger.wait(10)  # overdue
    ledger.ask("b4", "4", "5", unsafe=[True, False], trial=True)
    ledger.say(1, ANN, "b4:0", "reject")  # a hit
    ledger.say(1, ANN, "b4:1", "terminate")  # a false alarm, 2 s after it was asked
    ledger.ask("b5", "6", kind="rating")
    ledger.say(2, BOB, "b5:0", "", rating=-1.0)
    ledger.ask("form", "7", kind="form")
    ledger.say(1, ANN, "form:0", "")
    ledger.run(ledger.desk.show("run", 1, shown("8")))
    ledger.clock.pass_seconds(1)
    ledger.run(ledger.desk.veto("run", "reject", (), None, BOB))
    ledger.ask("b6", "9", counts={"steps": 30.0, "asked": 6.0, "violations": 3.0})
    counts = {"steps": 40.0, "asked": 8.0, "violations": 3.0, "human_seconds": 26.0}
    ledger.run(ledger.desk.end_session("run", "finished", ANN, counts))


def test_what_became_of_reviews(ledger: Ledger) -> None:
    happens(ledger)
    found = ledger.summary().reviews
    assert (found.asked, found.open, found.withdrawn, found.passed_on) == (5, 0, 1, 1)
    assert (found.overdue.count, found.overdue.of, found.overdue.share) == (1, 4, 0.25)


def test_what_people_did_together(ledger: Ledger) -> None:
    happens(ledger)
    work = ledger.summary().work
    assert work.reviews == 4
    counts = {verdict: share.count for verdict, share in work.verdicts.items()}
    assert counts == {"approve": 1, "modify": 1, "reject": 1, "escalate": 1, "terminate": 0}
    assert (work.overruled.count, work.overruled.of) == (3, 4)
    assert (work.elapsed.count, work.elapsed.p50) == (4, 5.5)  # 4, 5, 6, 7
    assert work.elapsed.p95 == pytest.approx(6.85)
    assert (work.looked.p50, work.looked.p95) == (5.0, pytest.approx(6.85))  # 2, 4, 6, 7
    assert (work.undone, work.ratings, work.vetoes) == (1, 1, 1)
    assert work.human_seconds == 2 + 2 + 6 + 4 + 7 + 1 + 2 + 2


def test_what_each_did(ledger: Ledger) -> None:
    happens(ledger)
    bob, ann = ledger.summary().people
    assert (ann.person, bob.person) == ("p_ann", "p_bob")
    assert (ann.work.reviews, ann.answers, ann.work.undone, ann.work.vetoes) == (2, 4, 1, 0)
    assert (bob.work.reviews, bob.answers, bob.work.ratings, bob.work.vetoes) == (2, 3, 1, 1)
    assert (ann.work.human_seconds, bob.work.human_seconds) == (11.0, 15.0)
    assert (ann.share_of_time, bob.share_of_time) == (11 / 26, 15 / 26)
    assert ann.busy == pytest.approx(11 / 39)
    assert ann.work.overruled.share == 1.0
    assert (ann.truth.caught.count, ann.truth.unsafe, ann.truth.safe) == (1, 1, 0)
    assert (bob.truth.missed.count, bob.truth.false_alarms.count) == (1, 1)
    assert bob.trials.d_prime is None


def test_what_was_told_apart(ledger: Ledger) -> None:
    happens(ledger)
    found = ledger.summary()
    truth, trials = found.truth, found.trials
    assert (truth.unsafe, truth.safe) == (2, 1)
    assert (truth.caught.count, truth.missed.count, truth.false_alarms.count) == (1, 1, 1)
    # Hits 1.5 / 3, false alarms 1.5 / 2: z is 0 and Z.
    assert (truth.d_prime, truth.criterion) == (pytest.approx(-Z), pytest.approx(-Z / 2))
    assert (trials.unsafe, trials.safe) == (1, 1)
    assert (trials.d_prime, trials.criterion) == (pytest.approx(0.0), pytest.approx(-Z))


def test_what_runs_counted_and_how_it_went(ledger: Ledger) -> None:
    happens(ledger)
    found = ledger.summary()
    steps = found.steps
    assert (steps.steps, steps.automated.count, steps.automated.share) == (40, 32, 0.8)
    assert (steps.violations, steps.violations_per_1k) == (3, 75.0)
    assert steps.human_seconds_per_1k == 650.0
    assert (found.first, found.last) == (START, START + 39_000)
    points = {point.at - START: point for point in found.course.points}
    assert found.course.seconds == 2.0
    assert list(points) == list(range(0, 40_000, 2000))
    said = points[0].verdicts
    assert (points[0].asked, said["reject"], said["modify"], said["approve"]) == (2, 1, 1, 0)
    assert (points[0].p50, points[0].steps, points[0].automated) == (5.5, 10, 0.8)
    assert points[6000].verdicts["escalate"] == points[6000].verdicts["approve"] == 1
    assert (points[12_000].asked, points[12_000].overdue) == (1, 1)
    assert (points[2000].p50, points[2000].automated) == (None, None)
    assert (points[38_000].steps, points[38_000].automated) == (30, 0.8)
    assert sum(point.asked for point in points.values()) == found.reviews.asked


def test_a_window_holds_what_was_asked_in_it_whenever_it_was_answered(ledger: Ledger) -> None:
    happens(ledger)
    late = ledger.summary(since=START + 6000, until=START + 13_000)
    assert (late.reviews.asked, late.work.reviews, late.steps.steps) == (1, 2, 0)
    rest = ledger.summary(since=START + 13_000)
    assert (rest.reviews.asked, rest.steps.steps, rest.steps.automated.of) == (2, 30, 30)
    assert rest.work.vetoes == 1
    assert ledger.summary(until=START).reviews.asked == 0
    with pytest.raises(Refused, match="since must be before until"):
        Selection(since=5, until=5)
    with pytest.raises(Refused, match="no session 'nobody'"):
        ledger.summary("nobody")


def test_practice_is_seen_only_where_it_is_chosen(ledger: Ledger) -> None:
    ledger.open("school", practice=True)
    ledger.ask("b", "x", session="school", counts={"steps": 9.0})
    ledger.say(1, ANN, "school:b:0", "approve")
    assert (ledger.summary().reviews.asked, ledger.summary().steps.steps) == (0, 0)
    school = ledger.summary("school")
    assert (school.work.reviews, school.steps.steps) == (1, 9)
    assert school.steps.automated.share is None  # it did not tell how many were asked about


def test_a_trainer_that_begins_again_is_not_counted_twice(ledger: Ledger) -> None:
    for seconds, steps in ((0, 10.0), (2, 20.0), (2, 5.0), (2, 15.0), (2, 30.0)):
        ledger.clock.pass_seconds(seconds)
        ledger.ask(f"s{steps:g}", "x", counts={"steps": steps})
    found = ledger.summary()
    assert found.steps.steps == 30
    assert [point.steps for point in found.course.points if point.steps] == [10, 10, 10]


def test_a_request_that_is_asked_again_starts_anew(ledger: Ledger) -> None:
    ledger.ask("b", "x")
    ledger.say(3, ANN, "b:0", "escalate")
    ledger.run(ledger.desk.end_session("run", "finished", ANN))
    ledger.clock.pass_seconds(5)
    ledger.open("run")
    ledger.ask("b", "x")
    ledger.say(2, ANN, "b:0", "reject")
    found = ledger.summary()
    assert (found.reviews.asked, found.work.reviews, found.work.human_seconds) == (1, 1, 2.0)


def test_people_see_their_own_work_and_cannot_tell_catch_trials(ledger: Ledger) -> None:
    happens(ledger)
    own = ledger.own(ANN)
    assert (own.work.reviews, own.work.undone, own.work.human_seconds) == (4, 1, 11.0)
    assert own.work.overruled.share == 1.0
    told = json.dumps(dataclasses.asdict(own))
    for word in ("trial", "unsafe", "caught", "missed", "d_prime", "p_bob"):
        assert word not in told
    ledger.open("more")
    grew = []
    for trial in (True, False):
        before = ledger.own(ANN).work.reviews
        ledger.ask(f"t{trial}", "x", session="more", unsafe=[True], trial=trial)
        ledger.say(1, ANN, f"more:t{trial}:0", "reject")
        grew.append(ledger.own(ANN).work.reviews - before)
    assert grew == [1, 1]
    assert [field.name for field in dataclasses.fields(OwnFigures)] == [
        "person", "session", "since", "until", "work",
    ]  # fmt: skip


def test_who_was_forgotten_stays_a_pseudonym(ledger: Ledger) -> None:
    name, token = ledger.run(ledger.desk.registry.make_person("reviewer", 0, "Ada Example", 1.0))
    ada = ledger.desk.people.known(token, ledger.clock.now)
    ledger.ask("b", "x")
    said = Said("run:b:0", Opinion("approve"), "Ada was here")
    ledger.run(ledger.desk.decide([said], ada))
    ledger.run(ledger.desk.registry.erase(name))
    found = ledger.summary()
    assert [one.person for one in found.people] == [name]
    assert "Ada" not in json.dumps(dataclasses.asdict(found))


def test_figures_are_read_anew_only_when_the_ledger_goes_on(ledger: Ledger) -> None:
    happens(ledger)
    first = ledger.summary()
    assert ledger.summary() is first
    assert first.event == ledger.desk.store.head.number
    ledger.run(ledger.desk.log("login", {"role": "admin"}))
    again = ledger.summary()
    assert again is not first
    assert dataclasses.replace(again, event=first.event) == first


@pytest.mark.parametrize(("count", "of"), [(0, 5), (5, 5), (3, 7), (1, 1000)])
def test_shares_have_the_exact_interval(count: int, of: int) -> None:
    exact = binomtest(count, of).proportion_ci(0.95, method="exact")
    found = share_of(count, of)
    assert (found.share, found.low, found.high) == (
        count / of, pytest.approx(exact.low), pytest.approx(exact.high),
    )  # fmt: skip


def test_of_nothing_nothing_is_told() -> None:
    assert share_of(0, 0).share is None
    assert times_of([]).p50 is None
    assert width_of(None, None) == 1000


@pytest.mark.parametrize("span", [0, 999, 29_000, 30_000, 86_400_000, 10**12, 2**53])
def test_a_course_has_only_so_many_points(span: int) -> None:
    for first in (0, START, START + 17):
        width = width_of(first, first + span)
        assert 1 <= (first + span) // width - first // width + 1 <= MOST_POINTS
