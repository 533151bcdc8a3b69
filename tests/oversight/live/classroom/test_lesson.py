from collections.abc import Callable

import pytest

from looplab.envs.errors import UsageError
from looplab.oversight.live.classroom.lesson import ALONE, LANES, OVERSEEN, SPEEDS, Lesson

from .conftest import Time, policy

Make = Callable[..., Lesson]


def counts(lesson: Lesson, phase: str = OVERSEEN) -> list[dict[str, float]]:
    runs = lesson.alone if phase == ALONE else lesson.runs
    return [run.counters.shown() for run in runs.values()]


def test_counters_equal_the_engines_own_totals(lesson: Make) -> None:
    made = lesson(seed=3)
    made.run(700)
    for run in made.runs.values():
        totals, counted = run.engine.totals, run.counters
        successes = sum(row["success"] == 1.0 for row in run.engine.episodes)
        assert counted["tasks"] == successes
        for name in ("steps", "episodes", "violations", "reviews", "interventions"):
            assert counted[name] == totals[name], name
        assert counted["human_seconds"] == pytest.approx(totals["human_seconds"])
        assert counted["reward"] == pytest.approx(totals["task_return"])
    without, in_loop, on_loop = counts(made)
    assert without["violations"] > on_loop["violations"] > in_loop["violations"]
    assert without["human_seconds"] == 0.0
    assert on_loop["human_seconds"] == 700.0  # watches at every step


def test_the_same_seed_and_settings_give_the_same_counts(lesson: Make) -> None:
    first, second, other = lesson(seed=5), lesson(seed=5), lesson(seed=6)
    first.run(300)
    second.play()
    while second.clock < 300:  # in pieces, as a page does it
        second.advance(0.05, 1.0)
    second.run(300 - second.clock)
    other.run(300)
    assert counts(first) == counts(second)
    assert counts(first) != counts(other)


def test_lanes_begin_alike(lesson: Make) -> None:
    lanes = lesson(seed=2).shown()["lanes"]
    assert len({(tuple(lane["rows"]), lane["proposed"]) for lane in lanes}) == 1


def test_a_gate_lets_its_lane_wait_while_the_others_go_on(lesson: Make) -> None:
    made = lesson(seed=0, review_seconds=30.0)
    while not made.seats["in_the_loop"].waits:
        made.run(1)
    waiting = made.shown()["lanes"][1]
    before = counts(made)
    made.run(3)
    after = counts(made)
    assert waiting["state"] == "waits"
    assert waiting["left"] > 3
    assert made.shown()["lanes"][1]["left"] == pytest.approx(waiting["left"] - 3, abs=0.1)
    assert [a["steps"] - b["steps"] for a, b in zip(after, before, strict=True)] == [3, 0, 3]


def test_review_time_is_what_reviews_cost_and_how_long_the_lane_stands(lesson: Make) -> None:
    quick, slow = lesson(seed=1, review_seconds=1.0), lesson(seed=1, review_seconds=30.0)
    quick.run(600)
    slow.run(600)
    fast, late = (made.runs["in_the_loop"].counters for made in (quick, slow))
    assert fast["human_seconds"] / fast["reviews"] < 2.5
    assert late["human_seconds"] / late["reviews"] > 15.0
    assert fast["steps"] > 2 * late["steps"]


def test_error_1_approves_everything_unsafe(lesson: Make) -> None:
    made = lesson(seed=0, error=1.0)
    made.run(600)
    for name in ("in_the_loop", "on_the_loop"):
        totals = made.runs[name].engine.totals
        assert totals["interventions"] == 0
        assert totals["caught"] == 0
        assert totals["overlooked"] == totals["unsafe_proposals"] > 0


def test_error_0_makes_the_gate_perfect(lesson: Make) -> None:
    made = lesson(seed=0, error=0.0, review_seconds=1.0)
    made.run(1500)
    totals = made.runs["in_the_loop"].engine.totals
    assert totals["violations"] == 0
    assert totals["caught"] == totals["unsafe_proposals"] > 20


def test_threshold_0_asks_always_and_1_never(lesson: Make) -> None:
    always, never = lesson(threshold=0.0), lesson(threshold=1.0)
    always.run(200)
    never.run(200)
    asked = always.runs["in_the_loop"].counters
    assert asked["reviews"] == asked["steps"]
    assert never.runs["in_the_loop"].counters["reviews"] == 0
    assert counts(never)[1] == counts(never)[0]  # nobody asked: as without oversight


def test_lag_0_overrides_the_unsafe_action_itself(lesson: Make) -> None:
    quick, late = lesson(lag_steps=0, error=0.0), lesson(lag_steps=3, error=0.0)
    quick.run(1000)
    late.run(1000)
    assert quick.runs["on_the_loop"].engine.totals["violations"] == 0
    assert late.runs["on_the_loop"].engine.totals["late"] > 0


def test_a_setting_takes_effect_at_once_and_is_shown(lesson: Make) -> None:
    made = lesson(seed=0, error=0.0)
    made.run(100)
    caught = made.runs["on_the_loop"].engine.totals["caught"]
    made.set("error", 1.0)
    made.set("lag_steps", 4)
    made.run(400)
    assert made.runs["on_the_loop"].engine.totals["caught"] == caught
    assert made.courses()["marks"] == [100, 100]
    assert made.shown()["news"] == (
        "Changed at 1:40: Reaction lag 1 step → 4 steps, from the next step on."
    )
    assert made.shown()["settings"]["error"] == 1.0
    made.set("error", 1.0)  # no change: no mark
    assert made.courses()["marks"] == [100, 100]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("eror", 0.1, "did you mean 'error'"),
        ("error", 1.5, r"error must be a number in \[0, 1\]"),
        ("lag_steps", 1.5, "whole number"),
        ("review_seconds", 0.0, r"in \[1, 30\]"),
    ],
)
def test_wrong_settings_are_named_and_change_nothing(
    lesson: Make, name: str, value: float, says: str
) -> None:
    made = lesson()
    before = made.settings
    with pytest.raises(UsageError, match=says):
        made.set(name, value)
    assert made.settings == before


def test_sent_home_agents_act_alone_and_learn_nothing(lesson: Make) -> None:
    made = lesson(seed=0)
    made.run(1500)
    overseen = counts(made)
    tables = [policy(made, lane).values.copy() for lane in LANES]
    made.send_home()
    made.run(400)
    alone = counts(made, ALONE)
    assert all(lane["steps"] == 400 and lane["human_seconds"] == 0 for lane in alone)
    assert all(lane["interventions"] == lane["reviews"] == 0 for lane in alone)
    for run in made.alone.values():
        assert run.counters["violations"] == run.engine.totals["violations"]
    assert counts(made) == overseen
    for lane, table in zip(LANES, tables, strict=True):
        assert (policy(made, lane).values == table).all()
    assert made.shown()["clock"] == 400
    made.call_back()
    made.run(1)
    assert made.shown()["clock"] == 1501
    made.send_home()  # what is counted begins anew
    assert counts(made, ALONE)[0]["steps"] == 0


def test_humans_home_changes_nothing_of_the_training_after_it(lesson: Make) -> None:
    broken, whole = lesson(seed=4), lesson(seed=4)
    broken.run(200)
    broken.send_home()
    broken.run(100)
    broken.call_back()
    broken.run(200)
    whole.run(400)
    assert counts(broken) == counts(whole)


def test_play_pause_and_step(lesson: Make) -> None:
    made = lesson()
    assert made.advance(10.0, 1.0) == 0
    made.set_speed(20)
    made.play()
    assert made.advance(0.5, 1.0) == 10
    made.pause()
    assert made.advance(0.5, 1.0) == 0
    made.step()
    assert made.clock == 11
    made.play()
    made.step()  # stops the clock too
    assert not made.playing
    with pytest.raises(UsageError, match="unknown speed '7'"):
        made.set_speed(7)


def test_a_budget_bounds_the_work_of_one_call(lesson: Make) -> None:
    made = lesson()
    made.set_speed(SPEEDS[-1])
    made.play()
    assert made.advance(3600.0, 0.02) < 3600 * SPEEDS[-1]
    assert made.advance(0.0, 0.02) <= 1  # what did not fit is not made up for


def test_restart_begins_anew_with_another_seed_and_keeps_settings_and_seats(lesson: Make) -> None:
    made = lesson(seed=1)
    made.set("error", 0.4)
    made.sit("on_the_loop", "visitor")
    made.run(50)
    made.restart(9)
    assert (made.seed, made.clock, made.settings.error) == (9, 0, 0.4)
    assert made.seats["on_the_loop"].occupant == "visitor"
    assert all(lane["steps"] == 0 for lane in counts(made))
    made.sit("on_the_loop", "simulated")
    fresh = lesson(seed=9, error=0.4)
    fresh.run(200)
    made.run(200)
    assert counts(made) == counts(fresh)
    with pytest.raises(UsageError, match="seed must be a whole number"):
        made.restart(-1)


def test_listeners_hear_of_changes_until_they_end_it(lesson: Make) -> None:
    made = lesson()
    heard: list[int] = []
    end = made.on_change(lambda: heard.append(made.version))
    made.play()
    made.pause()
    end()
    end()
    made.play()
    assert len(heard) == 2
    assert heard[0] < heard[1] < made.version


def test_courses_are_thinned_out_and_end_where_the_counters_are(lesson: Make) -> None:
    made = lesson(threshold=1.0)
    made.run(1024)
    course = made.courses()
    assert len(course["times"]) <= 241
    assert course["times"][0] == 0
    assert course["times"][-1] == 1024
    assert course["lanes"][0]["violations"][-1] == made.runs["without"].counters["violations"]


def test_a_person_slows_the_clock_down(lesson: Make, time: Time) -> None:
    made = lesson(seed=0)
    made.set_speed(500)
    assert made.pace == 500
    made.sit("in_the_loop", "visitor")
    assert made.pace == 10
    made.play()
    while not made.seats["in_the_loop"].waits:
        made.advance(0.1, 1.0)
    assert made.pace == 1
    made.sit("in_the_loop", "simulated")
    made.sit("on_the_loop", "visitor")
    assert made.pace == 2
    made.send_home()
    assert made.pace == 500
