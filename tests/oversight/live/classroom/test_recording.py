from collections.abc import Callable
from typing import Any

from looplab.oversight.live.classroom.lesson import ALONE, LANES, OVERSEEN, Lesson
from looplab.oversight.live.classroom.recording import record

Make = Callable[..., Lesson]


def last(recording: dict[str, Any], phase: str, lane: str) -> dict[str, Any]:
    moves = recording["phases"][phase]["lanes"][lane]["moves"]
    return dict(zip(recording["move"], moves[-1], strict=True))


def test_a_recording_ends_where_the_lesson_itself_ends(lesson: Make) -> None:
    recording, played = record(lesson(seed=3), 400, 60), lesson(seed=3)
    played.run(400)
    for lane in LANES:
        end, run = last(recording, OVERSEEN, lane), played.runs[lane]
        totals = run.engine.totals
        assert end["violations"] == totals["violations"]
        assert end["steps"] == totals["steps"]
        assert (end["row"], end["column"]) == run.shown()["cell"]
        assert end["wish"] == run.shown()["proposed"]
        assert recording["phases"][OVERSEEN]["totals"][lane] == run.counters.shown()
    played.send_home()
    played.run(60)
    for lane in LANES:
        end = last(recording, ALONE, lane)
        assert end["violations"] == played.alone[lane].counters["violations"]
        assert end["steps"] == 60
        assert end["human_seconds"] == 0


def test_every_second_of_a_lane_is_a_move_or_a_wait(lesson: Make) -> None:
    recording = record(lesson(seed=1), 300, 1)
    for lane, film in recording["phases"][OVERSEEN]["lanes"].items():
        moved = {move[0] for move in film["moves"]}
        waits = [set(range(first, first + length)) for first, length, *_ in film["waits"]]
        waited = set().union(*waits)
        assert moved | waited == set(range(301)), lane
        assert bool(waited) == (lane == "in_the_loop")


def test_the_same_settings_and_seed_give_the_same_recording(lesson: Make) -> None:
    assert record(lesson(seed=2), 100, 20) == record(lesson(seed=2), 100, 20)
    assert record(lesson(seed=2), 100, 20) != record(lesson(seed=2, error=1.0), 100, 20)
