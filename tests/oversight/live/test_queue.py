"""The queue's state machine: whose answer counts, and what time brings."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looplab.envs.errors import UsageError
from looplab.oversight.live.queue import Queue
from looplab.oversight.live.refusal import Refused
from looplab.oversight.live.review import Actions, Ask, Opinion
from looplab.oversight.live.session import Control, Frame
from looplab.oversight.live.settings import Settings
from tests.oversight.live.conftest import ABOUT, APPROVE, REJECT, START, Clock, asks, person

ANN, BOB, BOSS = person("p_ann"), person("p_bob"), person("p_boss", tier=1)


def kinds(events: list) -> list[str]:
    return [event.kind for event in events]


def refused(code: str) -> "pytest.RaisesExc[Refused]":
    return pytest.RaisesExc(Refused, check=lambda error: error.code == code)


def test_a_batch_is_told_when_its_last_lane_is_answered(queue: Queue, clock: Clock) -> None:
    assert kinds(queue.ask("s", "b", asks(0, 2), clock.now)) == ["asked", "asked"]
    assert kinds(queue.decide("s:b:0", ANN, APPROVE, clock.now)) == ["decided"]
    assert not queue.take_released()
    events = queue.decide("s:b:2", BOB, REJECT, clock.now)
    assert kinds(events) == ["decided", "released", "released"]
    ((session, batch, reviews),) = queue.take_released()
    assert (session, batch) == ("s", "b")
    assert [(r.lane, r.answer["verdict"], r.who) for r in reviews] == [
        (0, "approve", "p_ann"), (2, "reject", "p_bob")
    ]  # fmt: skip
    assert not queue.reviews
    assert not queue.session("s").batches


def test_asking_twice_asks_once_and_something_else_under_the_name_is_refused(
    queue: Queue, clock: Clock
) -> None:
    queue.ask("s", "b", asks(0), clock.now)
    assert queue.ask("s", "b", asks(0), clock.now) == []
    with refused("different"):
        queue.ask("s", "b", asks(0, context="other"), clock.now)
    with refused("invalid"):
        queue.ask("s", "b", asks(4), clock.now)
    assert list(queue.reviews) == ["s:b:0"]


def test_the_first_of_two_answers_counts_and_the_other_is_told_who_was_first(
    queue: Queue, clock: Clock
) -> None:
    queue.ask("s", "b", asks(0, 1), clock.now)
    queue.decide("s:b:0", ANN, APPROVE, clock.now)
    with pytest.raises(Refused, match="p_ann") as lost:
        queue.decide("s:b:0", BOB, REJECT, clock.now)
    assert (lost.value.code, lost.value.details) == ("answered", {"by": "p_ann"})
    assert queue.decide("s:b:0", ANN, APPROVE, clock.now) == []  # its acknowledgement was lost
    with refused("answered"):
        queue.decide("s:b:0", ANN, REJECT, clock.now)
    assert queue.review("s:b:0").answer["verdict"] == "approve"


def test_what_somebody_looks_at_is_kept_for_them_for_a_while(queue: Queue, clock: Clock) -> None:
    queue.ask("s", "b", asks(0), clock.now)
    clock.pass_seconds(1)
    queue.claim("s:b:0", ANN, clock.now)
    for attempt in (queue.claim, lambda r, p, n: queue.decide(r, p, APPROVE, n)):
        with refused("claimed"):
            attempt("s:b:0", BOB, clock.now)
    clock.pass_seconds(5)
    queue.tick(clock.now)
    queue.claim("s:b:0", BOB, clock.now)
    clock.pass_seconds(2)
    queue.decide("s:b:0", BOB, APPROVE, clock.now)
    (answer,) = (review.answer for _, _, (review,) in queue.take_released())
    assert (answer["seconds"], answer["elapsed"]) == (2.0, 8.0)  # looked, and waited in all


def test_whoever_lets_go_lets_others(queue: Queue, clock: Clock) -> None:
    queue.ask("s", "b", asks(0), clock.now)
    queue.claim("s:b:0", ANN, clock.now)
    queue.unclaim("s:b:0", ANN, clock.now)
    assert queue.claim("s:b:0", BOB, clock.now).claimed_by == "p_bob"


def test_a_request_that_nobody_answers_goes_up_and_then_fails_closed(
    queue: Queue, clock: Clock
) -> None:
    queue.ask("s", "b", asks(0), clock.now)
    assert queue.tick(clock.pass_seconds(9.999)) == []
    assert kinds(queue.tick(clock.pass_seconds(0.001))) == ["escalated"]
    with refused("forbidden"):
        queue.decide("s:b:0", ANN, APPROVE, clock.now)
    assert [r.id for r in queue.open(BOSS)] == ["s:b:0"]
    assert queue.open(ANN) == []
    assert queue.tick(clock.pass_seconds(9.999)) == []
    assert kinds(queue.tick(clock.pass_seconds(0.001))) == ["overdue", "released"]
    (answer,) = (review.answer for _, _, (review,) in queue.take_released())
    assert answer == {"verdict": "escalate", "overdue": True, "seconds": 0.0, "elapsed": 20.0}


def test_an_answer_after_the_deadline_is_late_even_before_the_clock_is_looked_at(
    queue: Queue, clock: Clock
) -> None:
    queue.ask("s", "b", asks(0), clock.now)
    with refused("late"):
        queue.decide("s:b:0", ANN, APPROVE, clock.pass_seconds(10))


def test_a_person_can_pass_it_on_and_the_last_tier_cannot(queue: Queue, clock: Clock) -> None:
    queue.ask("s", "b", asks(0), clock.now)
    clock.pass_seconds(3)
    (event,) = queue.decide("s:b:0", ANN, Opinion("escalate", tags=("unsure",)), clock.now)
    assert (event.kind, event.who, event.body["said"]["tags"]) == (
        "escalated", "p_ann", ["unsure"],
    )  # fmt: skip
    clock.pass_seconds(4)
    assert kinds(queue.decide("s:b:0", BOSS, Opinion("escalate"), clock.now)) == [
        "decided", "released"
    ]  # fmt: skip
    (answer,) = (review.answer for _, _, (review,) in queue.take_released())
    assert answer["verdict"] == "escalate"
    assert "overdue" not in answer
    assert answer["seconds"] == 3.0 + 7.0  # the second never claimed: theirs counts from the start


def test_an_answer_can_be_taken_back_until_it_is_told(queue: Queue, clock: Clock) -> None:
    queue.ask("s", "b", asks(0, 1), clock.now)
    queue.decide("s:b:0", ANN, APPROVE, clock.pass_seconds(2))
    with refused("forbidden"):
        queue.undo("s:b:0", BOB, clock.now)
    assert kinds(queue.undo("s:b:0", ANN, clock.now)) == ["undone"]
    assert queue.review("s:b:0").claimed_by == "p_ann"
    queue.decide("s:b:0", ANN, REJECT, clock.pass_seconds(1))
    queue.decide("s:b:1", BOB, APPROVE, clock.now)
    ((_, _, reviews),) = queue.take_released()
    assert [r.answer["verdict"] for r in reviews] == ["reject", "approve"]
    assert reviews[0].answer["seconds"] == 3.0  # both looks
    with refused("unknown"):
        queue.undo("s:b:0", ANN, clock.now)


def test_answers_are_kept_back_for_as_long_as_they_can_be_undone(clock: Clock) -> None:
    queue = Queue(Settings(deadlines=(None,), undo_seconds=2.0))
    queue.open_session("s", ABOUT, "p_trainer", clock.now)
    queue.ask("s", "b", asks(0), clock.now)
    assert kinds(queue.decide("s:b:0", ANN, APPROVE, clock.now)) == ["decided"]
    assert queue.next_at() == clock.now + 2000
    assert queue.tick(clock.pass_seconds(1.999)) == []
    assert kinds(queue.tick(clock.pass_seconds(0.001))) == ["released"]


def test_what_a_lost_trainer_asked_is_withdrawn_and_answers_stay(
    queue: Queue, clock: Clock
) -> None:
    queue.ask("s", "b", asks(0, 1), clock.now)
    queue.decide("s:b:0", ANN, APPROVE, clock.now)
    queue.settings = Settings(deadlines=(None,), lease_seconds=60.0)
    for review in queue.reviews.values():
        review.deadline_at = None
    events = queue.tick(clock.pass_seconds(60))
    assert [(e.kind, e.request) for e in events] == [
        ("withdrawn", "s:b:1"), ("session_ended", "")
    ]  # fmt: skip
    with refused("ended"):
        queue.ask("s", "b", asks(1), clock.now)
    assert kinds(queue.open_session("s", ABOUT, "p_trainer", clock.now)) == ["session_resumed"]


def test_a_trainer_that_is_heard_of_is_not_lost(queue: Queue, clock: Clock) -> None:
    for _ in range(5):
        assert queue.tick(clock.pass_seconds(59)) == []
        queue.see("s", clock.now)


def test_the_kill_switch_ends_a_session_for_good(queue: Queue, clock: Clock) -> None:
    queue.ask("s", "b", asks(0), clock.now)
    events = queue.control("s", Control(stopped=True), "p_ann", clock.now)
    assert kinds(events) == ["control", "withdrawn", "session_ended"]
    with pytest.raises(Refused) as refusal:
        queue.see("s", clock.now)
    assert refusal.value.details == {"stopped": True}
    with refused("ended"):
        queue.open_session("s", ABOUT, "p_trainer", clock.now)


def test_another_run_under_the_same_name_is_refused(queue: Queue, clock: Clock) -> None:
    other = type(ABOUT)(**{**ABOUT.__dict__, "identity": "run-2"})
    with refused("different"):
        queue.open_session("s", other, "p_trainer", clock.now)


def test_the_most_urgent_comes_first(queue: Queue, clock: Clock) -> None:
    queue.ask("s", "b", [Ask("s:b:0", 0, "review", "c", 0.1)], clock.now)
    clock.pass_seconds(1)
    queue.ask("s", "c", [Ask("s:c:1", 1, "review", "c", 0.9)], clock.now)
    queue.ask("s", "d", [Ask("s:d:2", 2, "review", "c", 0.1)], clock.now)
    assert [r.id for r in queue.open()] == ["s:c:1", "s:b:0", "s:d:2"]


@pytest.mark.parametrize(
    ("opinion", "message"),
    [
        (Opinion("perhaps"), "one of approve, modify, reject, escalate, terminate"),
        (Opinion("modify"), "modify needs an action"),
        (Opinion("approve", action=1), "no other verdict takes one"),
        (Opinion("modify", action=3), "0 to 2 or one of left, stay, right, got 3"),
        (Opinion("modify", action=True), "got True"),
        (Opinion("modify", action="up"), "got 'up'"),
        (Opinion("modify", action=[1.0]), "got"),
        (Opinion("approve", rating=1.0), "a verdict, not a rating"),
        (Opinion("approve", tags=("",)), "1 to 40 characters"),
        (Opinion("approve", tags=("x" * 41,)), "1 to 40 characters"),
        (Opinion("approve", tags=("x",) * 11), "at most 10 tags"),
    ],
)
def test_what_is_no_answer_is_refused_and_changes_nothing(
    queue: Queue, clock: Clock, opinion: Opinion, message: str
) -> None:
    queue.ask("s", "b", asks(0), clock.now)
    with pytest.raises(Refused, match=message):
        queue.decide("s:b:0", ANN, opinion, clock.now)
    assert queue.review("s:b:0").state == "open"


def test_actions_go_by_name_or_by_number() -> None:
    actions = Actions(3, ("left", "stay", "right"))
    assert [actions.checked("right"), actions.checked(0)] == [2, 0]
    box = Actions(low=(-1.0, 0.0), high=(1.0, 2.0))
    assert box.checked([1, 0.5]) == [1.0, 0.5]
    for wrong in ([2.0, 0.5], [0.5], 1, "left", [0.5, "1"]):
        with refused("invalid"):
            box.checked(wrong)


@pytest.mark.parametrize(
    ("rating", "verdict"), [(1.0, "approve"), (-0.5, "reject"), (None, "approve")]
)
def test_a_rating_takes_a_number_or_nothing(
    queue: Queue, clock: Clock, rating: float | None, verdict: str
) -> None:
    queue.ask("s", "b", [Ask("s:b:0", 0, "rating", "c")], clock.now)
    with refused("invalid"):
        queue.decide("s:b:0", ANN, Opinion("", rating=1.5), clock.now)
    queue.decide("s:b:0", ANN, Opinion("", rating=rating), clock.now)
    (answer,) = (review.answer for _, _, (review,) in queue.take_released())
    assert (answer["verdict"], answer.get("rating")) == (verdict, rating)


# On the loop


def frame(clock: Clock, step: int = 7) -> Frame:
    return Frame(step, clock.now, "c", "{}", None)


def test_a_veto_stops_the_step_that_is_shown_and_is_told_once_more_to_who_asks_again(
    queue: Queue, clock: Clock
) -> None:
    with refused("invalid"):
        queue.session("s").veto("reject", (), None, ANN.id, clock.now)  # nothing is shown yet
    queue.session("s").frame = frame(clock)
    queue.session("s").veto("modify", (1,), "stay", ANN.id, clock.pass_seconds(0.4))
    for _ in range(2):  # its trainer was killed after it had been told
        (veto,), _ = queue.session("s").take_vetoes(7, clock.now)
        assert (veto.lanes, veto.action, veto.seconds, veto.who) == ((1,), 1, 0.4, "p_ann")
    assert queue.session("s").take_vetoes(8, clock.now) == ([], [])


@pytest.mark.parametrize(
    ("verdict", "lanes", "action"),
    [("approve", (), None), ("reject", (9,), None), ("modify", (), None), ("reject", (), 1)],
)
def test_what_is_no_veto_is_refused(
    queue: Queue, clock: Clock, verdict: str, lanes: tuple[int, ...], action: int | None
) -> None:
    queue.session("s").frame = frame(clock)
    with refused("invalid"):
        queue.session("s").veto(verdict, lanes, action, ANN.id, clock.now)


def test_only_presets_that_were_offered_can_be_switched_to(queue: Queue, clock: Clock) -> None:
    with pytest.raises(Refused, match="a preset: none"):
        queue.control("s", Control(regime="on_the_loop"), "p_boss", clock.now)


@pytest.mark.parametrize(
    "changes", [{"speed": 0}, {"speed": "fast"}, {"speed": 1e9}, {"spede": 1.0}]
)
def test_control_is_checked(changes: dict) -> None:
    with refused("invalid"):
        Control().changed(changes)


@pytest.mark.parametrize(
    "settings",
    [
        {"deadlines": []}, {"deadlines": 5.0}, {"deadlines": [0.0]}, {"deadlines": ["soon"]},
        {"claim_seconds": 0.0}, {"undo_seconds": -1.0}, {"lease_seconds": float("nan")},
        {"deadline": [5.0]},
    ],
)  # fmt: skip
def test_settings_are_checked(settings: dict) -> None:
    with pytest.raises(UsageError):
        Settings().changed(settings)


@given(
    st.lists(
        st.tuples(st.sampled_from(["ask", "decide", "claim", "undo", "tick", "withdraw"]),
                  st.integers(0, 3), st.integers(0, 1), st.floats(0.0, 12.0)),
        max_size=40,
    )
)  # fmt: skip
def test_whatever_happens_each_request_is_told_at_most_once_and_none_is_lost(
    steps: list[tuple[str, int, int, float]],
) -> None:
    """Told, withdrawn or still there: every request that was asked is exactly one of these."""
    clock = Clock(START)
    queue = Queue(Settings(deadlines=(10.0, 10.0), lease_seconds=50.0))
    queue.open_session("s", ABOUT, "p_trainer", clock.now)
    asked: set[str] = set()
    told: list[str] = []
    gone: list[str] = []
    batch = 0
    for action, lane, who, wait in steps:
        clock.pass_seconds(wait)
        events = queue.tick(clock.now)
        if queue.session("s").state != "open":
            events += queue.open_session("s", ABOUT, "p_trainer", clock.now)
        reviewer = (ANN, BOSS)[who]
        ids = [review.id for review in queue.open(reviewer)]
        doing: dict[str, Callable[[], object]] = {
            "decide": lambda ids=ids, r=reviewer: queue.decide(ids[0], r, APPROVE, clock.now),
            "claim": lambda ids=ids, r=reviewer: queue.claim(ids[0], r, clock.now),
            "undo": lambda r=reviewer: queue.undo(next(iter(queue.reviews)), r, clock.now),
            "withdraw": lambda: queue.end_session("s", "finished", "p_trainer", clock.now),
        }
        try:
            if action == "ask":
                batch += 1
                wanted = [Ask(f"s:{batch}:{n}", n, "review", "c") for n in range(lane + 1)]
                events += queue.ask("s", str(batch), wanted, clock.now)
                asked |= {ask.id for ask in wanted}
            elif action in doing and (ids or action == "withdraw" or queue.reviews):
                found = doing[action]()
                events += found if isinstance(found, list) else []
        except (Refused, IndexError):
            pass
        told += [e.request for e in events if e.kind == "released"]
        gone += [e.request for e in events if e.kind == "withdrawn"]
        if queue.session("s").state != "open":
            queue.open_session("s", ABOUT, "p_trainer", clock.now)
    decided = {request for request in asked if request not in queue.reviews}
    assert len(told) == len(set(told))
    assert not set(told) & set(gone)
    assert not set(told) & set(queue.reviews)
    assert set(told) | set(gone) <= decided


def test_a_batch_that_is_answered_in_part_waits_for_people_and_not_for_the_clock(
    clock: Clock,
) -> None:
    queue = Queue(Settings(deadlines=(None,), undo_seconds=2.0, lease_seconds=60.0))
    queue.open_session("s", ABOUT, "p_trainer", clock.now)
    lease = clock.now + 60_000
    queue.ask("s", "b", asks(0, 1), clock.now)
    queue.decide("s:b:0", ANN, APPROVE, clock.now)
    clock.pass_seconds(5)  # the answer stands long since, and the other is waited for
    assert queue.next_at() == lease
    queue.decide("s:b:1", ANN, APPROVE, clock.now)
    assert queue.next_at() == clock.now + 2000
    assert not queue.tick(clock.now + 1999)
    assert kinds(queue.tick(clock.now + 2000)) == ["released", "released"]
