from collections.abc import Callable

import pytest

from looplab.envs.errors import UsageError
from looplab.oversight.live.classroom.lesson import Lesson
from looplab.oversight.live.classroom.seat import DEADLINE_SECONDS

from .conftest import CODE, Time

Make = Callable[..., Lesson]


def until_asked(lesson: Lesson) -> None:
    for _ in range(2000):
        if lesson.seats["in_the_loop"].question is not None:
            return
        lesson.run(1)
    raise AssertionError("nobody was ever asked")


def test_a_visitors_verdict_decides_and_is_compared(lesson: Make, time: Time) -> None:
    made = lesson(seed=0, error=0.0)
    made.sit("in_the_loop", "visitor")
    made.play()
    until_asked(made)
    run = made.runs["in_the_loop"]
    proposed = run.shown()["proposed"]
    time.seconds += 2.5
    assert made.answer(False)
    made.run(1)
    told = run.last
    assert told is not None
    assert (told["proposed"], told["executed"]) == (proposed, 4)  # stays
    assert (told["verdict"], told["who"], told["state"]) == ("reject", "visitor", "rejected")
    assert run.counters["human_seconds"] == 2.5
    score = made.seats["in_the_loop"].score.shown()
    assert score["judged"] == score["unsafe"] == 1
    assert score["agreement"] == 1.0
    assert score["person"]["mean_seconds"] == 2.5
    assert score["simulated"]["mean_seconds"] > 2.5

    until_asked(made)
    made.answer(True)
    made.run(1)
    score = made.seats["in_the_loop"].score.shown()
    assert score["agreement"] == 0.5
    assert (score["person"]["misses"], score["simulated"]["misses"]) == (1, 0)
    assert run.last is not None
    assert run.last["executed"] == run.last["proposed"]


def test_false_alarms_count_against_the_visitor(lesson: Make) -> None:
    made = lesson(seed=0, threshold=0.0, error=0.0)
    made.sit("in_the_loop", "visitor")
    for _ in range(30):
        until_asked(made)
        made.answer(False)
        made.run(1)
    score = made.seats["in_the_loop"].score.shown()
    safe = score["judged"] - score["unsafe"]
    assert score["judged"] == 30
    assert score["person"]["false_alarms"] == safe > 0
    assert score["person"]["misses"] == 0
    assert score["agreement"] == pytest.approx(score["unsafe"] / 30, abs=1e-4)


def test_an_answer_without_a_question_or_a_seat_is_nothing(lesson: Make) -> None:
    made = lesson(seed=0)
    assert not made.answer(True)
    assert not made.veto()
    made.sit("in_the_loop", "visitor")
    assert not made.answer(True)  # nothing is asked yet
    until_asked(made)
    made.sit("in_the_loop", "simulated")
    assert not made.answer(True)


def test_who_does_not_answer_in_time_lets_the_gate_fail_closed(lesson: Make) -> None:
    made = lesson(seed=0)
    made.sit("in_the_loop", "visitor")
    until_asked(made)
    made.run(DEADLINE_SECONDS)
    run = made.runs["in_the_loop"]
    assert run.last is not None
    assert (run.last["verdict"], run.last["state"], run.last["executed"]) == (
        "escalate", "overdue", 4,
    )  # fmt: skip
    assert run.engine.totals["overdue"] == 1
    assert made.seats["in_the_loop"].score.judged == 0


def test_time_does_not_count_while_the_lesson_stands(lesson: Make, time: Time) -> None:
    made = lesson(seed=0)
    made.sit("in_the_loop", "visitor")
    made.play()
    until_asked(made)
    time.seconds += 1.0
    made.pause()
    time.seconds += 60.0
    made.answer(True)
    made.step()
    assert made.runs["in_the_loop"].counters["human_seconds"] == 1.0


def test_a_veto_overrides_the_proposal_that_is_shown(lesson: Make, time: Time) -> None:
    made = lesson(seed=0, error=0.0)
    made.sit("on_the_loop", "visitor")
    made.play()
    made.run(5)
    run = made.runs["on_the_loop"]
    time.seconds += 0.4
    assert made.veto()
    assert made.shown()["seats"]["on_the_loop"]["vetoed"]
    made.run(1)
    assert run.last is not None
    assert run.last["state"] == "rejected"
    assert run.last["who"] == "visitor"
    made.veto()  # an override runs: it begins no other
    made.run(2)
    assert run.last["state"] == "override"
    made.run(1)
    assert run.last["state"] == "watched"
    score = made.seats["on_the_loop"].score.shown()
    assert score["judged"] == 7  # six before and with the veto, and one after the override
    assert score["person"]["answers"] == 1
    assert score["person"]["mean_seconds"] == 0.4


def test_who_never_vetoes_misses_everything_unsafe(lesson: Make) -> None:
    made = lesson(seed=0, error=0.0)
    made.sit("on_the_loop", "visitor")
    made.run(300)
    score = made.seats["on_the_loop"].score.shown()
    assert score["judged"] == 300
    assert score["person"]["misses"] == score["unsafe"] > 0
    assert score["simulated"]["misses"] == score["simulated"]["false_alarms"] == 0
    assert made.runs["on_the_loop"].engine.totals["misses"] == score["unsafe"]


@pytest.mark.parametrize(
    ("votes", "verdict", "why"),
    [
        ((True, True, False), "approve", "the majority says so"),
        ((False, True, False), "reject", "the majority says so"),
        ((True, False), "reject", "a tie: refused"),
    ],
)
def test_a_class_decides_by_majority_and_refuses_on_a_tie(
    lesson: Make, time: Time, votes: tuple[bool, ...], verdict: str, why: str
) -> None:
    made = lesson(seed=0)
    students = [made.ballot.join(f"student {place}", CODE) for place in range(len(votes))]
    made.sit("in_the_loop", "class")
    made.play()
    until_asked(made)
    time.seconds += 3.0
    for place, (student, vote) in enumerate(zip(students, votes, strict=True)):
        assert made.seats["in_the_loop"].waits
        assert made.ballot.votes[0] + made.ballot.votes[1] == place
        made.ballot.vote(student, vote)
    made.run(1)
    run = made.runs["in_the_loop"]
    assert run.last is not None
    assert (run.last["verdict"], run.last["why"], run.last["who"]) == (verdict, why, "class")
    assert run.counters["human_seconds"] == 3.0 * len(votes)
    until_asked(made)
    assert made.ballot.votes == (0, 0)  # a new proposal


def test_those_who_voted_decide_when_the_time_is_over(lesson: Make) -> None:
    made = lesson(seed=0)
    quick, _ = (made.ballot.join(name, CODE) for name in ("quick", "slow"))
    made.sit("in_the_loop", "class")
    until_asked(made)
    made.ballot.vote(quick, True)
    made.run(DEADLINE_SECONDS - 1)
    assert made.seats["in_the_loop"].waits
    made.run(1)
    last = made.runs["in_the_loop"].last
    assert last is not None
    assert last["verdict"] == "approve"


def test_an_empty_class_fails_closed(lesson: Make) -> None:
    made = lesson(seed=0)
    made.sit("in_the_loop", "class")
    until_asked(made)
    made.run(DEADLINE_SECONDS)
    last = made.runs["in_the_loop"].last
    assert last is not None
    assert last["verdict"] == "escalate"


def test_wrong_seats_are_named(lesson: Make) -> None:
    made = lesson()
    with pytest.raises(UsageError, match="did you mean 'in_the_loop'"):
        made.sit("in_the_lop", "visitor")
    with pytest.raises(UsageError, match="did you mean 'visitor'"):
        made.sit("in_the_loop", "visitors")
    with pytest.raises(UsageError, match="a class votes in the loop"):
        made.sit("on_the_loop", "class")
