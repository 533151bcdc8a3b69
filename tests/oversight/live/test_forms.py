"""Forms, sessions that ask certain people only, and what trainers know and count."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import looplab  # noqa: F401  (registers the tasks)
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.oversight import Engine, Gate, Overseen
from looplab.oversight.live.client import Connection, ReviewerClient, TrainerClient
from looplab.oversight.live.counts import COUNTS
from looplab.oversight.live.form import Field as FormField
from looplab.oversight.live.form import Form, form_of
from looplab.oversight.live.messages import ShownIn
from looplab.oversight.live.overseer import LiveOverseer
from looplab.oversight.live.queue import Queue
from looplab.oversight.live.refusal import Refused
from looplab.oversight.live.review import Ask, Opinion
from looplab.oversight.live.session import About
from looplab.oversight.live.settings import Settings
from looplab.oversight.overseers.catch_trials import CatchTrials
from tests.oversight.live.conftest import (
    APPROVE,
    THREE,
    Clock,
    Place,
    Robot,
    Service,
    asks,
    person,
    run,
    say,
)

ANN, BOB = person("p_ann"), person("p_bob")
LOAD = Form((FormField("mental_demand", 0.0, 100.0), FormField("again", options=("yes", "no"))))
FIELDS = [{"name": "mental_demand", "low": 0, "high": 100}, {"name": "again", "options": ["yes"]}]


def test_a_form_is_filled_in_whole_and_within_its_ranges() -> None:
    filled = LOAD.checked({"again": "no", "mental_demand": 40})
    assert list(filled.items()) == [("mental_demand", 40.0), ("again", "no")]
    assert form_of(LOAD.as_list()) == LOAD
    assert Form().checked({}) == {}


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"mental_demand": 40}, "again is not filled in"),
        ({"mental_demand": 101, "again": "no"}, r"number in \[0, 100\], got 101"),
        ({"mental_demand": True, "again": "no"}, "got True"),
        ({"mental_demand": float("nan"), "again": "no"}, "got nan"),
        ({"mental_demand": 1, "again": "maybe"}, "one of yes, no, got 'maybe'"),
        ({"mental_demand": 1, "again": "no", "name": "x"}, "no field 'name'"),
    ],
)
def test_what_does_not_fit_a_form_is_refused(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(Refused, match=complaint):
        LOAD.checked(values)


def asked_form(queue: Queue, clock: Clock) -> None:
    queue.ask("s", "b", [Ask("s:b:0", 0, "form", "c", form=LOAD)], clock.now)


def test_a_form_waits_for_its_person_for_as_long_as_it_takes(queue: Queue, clock: Clock) -> None:
    asked_form(queue, clock)
    assert queue.reviews["s:b:0"].deadline_at is None
    clock.pass_seconds(50)
    assert not queue.tick(clock.now)
    queue.defer(clock.now)
    assert queue.reviews["s:b:0"].deadline_at is None
    with pytest.raises(Refused, match="no verdict"):
        queue.decide("s:b:0", ANN, Opinion("reject"), clock.now)
    said = Opinion("", values={"mental_demand": 5, "again": "yes"})
    events = queue.decide("s:b:0", ANN, said, clock.now)
    assert events[0].body["answer"]["values"] == {"mental_demand": 5.0, "again": "yes"}
    ((_, _, (review,)),) = queue.take_released()
    assert review.answer["values"]["mental_demand"] == 5.0


def test_a_question_may_have_a_time_limit_of_its_own(queue: Queue, clock: Clock) -> None:
    queue.ask("s", "b", asks(0, limit=3.0), clock.now)
    review = queue.reviews["s:b:0"]
    assert review.deadline_at == clock.now + 3000
    clock.pass_seconds(3)
    assert [event.kind for event in queue.tick(clock.now)] == ["escalated"]
    assert (review.tier, review.deadline_at) == (1, clock.now + 3000)


def test_values_go_with_forms_only(queue: Queue, clock: Clock) -> None:
    queue.ask("s", "b", asks(0), clock.now)
    with pytest.raises(Refused, match="only forms do"):
        queue.decide("s:b:0", ANN, Opinion("approve", values={"a": 1}), clock.now)


def test_a_session_asks_only_its_own_people(queue: Queue, clock: Clock) -> None:
    mine = About("corridor", "practice", "", 1, THREE, "run-2", people=("p_ann",))
    queue.open_session("mine", mine, "p_trainer", clock.now)
    queue.ask("mine", "b", [Ask("mine:b:0", 0, "review", "c")], clock.now)
    assert [review.id for review in queue.open(ANN)] == ["mine:b:0"]
    assert queue.open(BOB) == []
    for refused in (queue.decide, lambda r, p, _, n: queue.claim(r, p, n)):
        with pytest.raises(Refused, match="asks somebody else"):
            refused("mine:b:0", BOB, APPROVE, clock.now)
    assert queue.decide("mine:b:0", ANN, APPROVE, clock.now)


def test_who_was_told_the_truth_cannot_answer_anew(clock: Clock) -> None:
    queue = Queue(Settings(undo_seconds=9.0))
    for name, practice in (("told", True), ("blind", False)):
        about = About("corridor", "practice", "", 1, THREE, name, practice=practice)
        queue.open_session(name, about, "p_trainer", clock.now)
        queue.ask(name, "b", [Ask(f"{name}:b:0", 0, "review", "c", unsafe=True)], clock.now)
        queue.decide(f"{name}:b:0", ANN, APPROVE, clock.now)
    with pytest.raises(Refused, match="the truth was told"):
        queue.undo("told:b:0", ANN, clock.now)
    assert queue.undo("blind:b:0", ANN, clock.now)


def test_counts_are_written_now_and_then_and_at_the_end(queue: Queue, clock: Clock) -> None:
    session = queue.session("s")
    (first,) = session.count({"steps": 4.0}, clock.now)
    assert (first.kind, first.body) == ("counted", {"counts": {"steps": 4.0}})
    assert session.count({"steps": 8.0}, clock.now + 10) == []
    assert session.counts == {"steps": 8.0}
    assert session.count({"steps": 12.0}, clock.now + 1000)
    assert session.count({"steps": 12.0}, clock.now + 5000) == []
    assert session.count({"steps": 13.0}, clock.now + 1001, at_once=True)


def test_forms_and_counts_are_there_again_when_the_service_is(place: Place) -> None:
    async def before() -> None:
        desk = place.desk()
        await desk.start()
        about = About("corridor", "practice", "", 1, THREE, "run-1", people=("p_ann",))
        await desk.open_session("s", about, person("p_t", role="trainer"))
        shown = ShownIn(values={"title": "load"}).shown()
        ask = Ask("s:b:0", 0, "form", shown.digest, form=LOAD, unsafe=True, trial=True, limit=9.0)
        await desk.ask("s", "b", [(ask, shown)], {"steps": 3.0})
        await desk.stop()
        desk.store.close()

    run(before())
    found = place.desk().queue
    review = found.reviews["s:b:0"]
    assert (review.form, review.unsafe, review.trial, review.limit) == (LOAD, True, True, 9.0)
    assert found.session("s").counts == {"steps": 3.0}
    assert found.session("s").about.people == ("p_ann",)


@dataclass
class Clients:
    """People and trainers of one service, sent away after the test."""

    service: Service
    made: list[Connection] = field(default_factory=list)

    def person(self, **more: Any) -> ReviewerClient:
        found = self.service.person(**more)
        self.made.append(found.connection)
        return found

    def trainer(self, session: str, **about: Any) -> TrainerClient:
        found = self.service.trainer(session, **about)
        self.made.append(found.connection)
        found.open()
        return found


@pytest.fixture
def clients(service: Service) -> Iterator[Clients]:
    found = Clients(service)
    yield found
    for connection in found.made:
        connection.close()


def test_a_form_goes_over_the_wire_and_its_answer_comes_back(clients: Clients) -> None:
    ann, bob = clients.person(), clients.person(name="Bob")
    who = ann.me()["person"]
    trainer = clients.trainer("form", people=[who])
    form = {"lane": 0, "kind": "form", "values": {"title": "load"}, "form": FIELDS}
    trainer.ask("a", [form])
    with pytest.raises(Refused, match="asks somebody else"):
        bob.request("form:a:0")
    assert bob.waiting() == []
    (waiting,) = ann.waiting()
    assert waiting["kind"] == "form"
    with pytest.raises(Refused, match="again is not filled in"):
        ann.answer("form:a:0", values={"mental_demand": 1})
    assert ann.answer("form:a:0", values={"mental_demand": 1, "again": "yes"}, text="hard")["ok"]
    assert ann.answer("form:a:0", values={"mental_demand": 1, "again": "yes"})["ok"]  # once more
    with pytest.raises(Refused, match="answered"):
        ann.answer("form:a:0", values={"mental_demand": 2, "again": "yes"})
    (answer,) = trainer.answers("a")["answers"]
    assert answer["values"] == {"mental_demand": 1.0, "again": "yes"}


@pytest.mark.parametrize(
    "form",
    [
        [{"name": "a"}],
        [{"name": "a", "low": 1}],
        [{"name": "a", "low": 1, "high": 0}],
        [{"name": "a", "low": 0, "high": 1, "options": ["x"]}],
        [{"name": "a", "options": ["x"]}, {"name": "a", "options": ["y"]}],
        [{"name": "A b", "options": ["x"]}],
    ],
)
def test_forms_that_ask_for_nothing_are_refused(clients: Clients, form: list) -> None:
    trainer = clients.trainer("wrong")
    with pytest.raises(Refused) as refused:
        trainer.ask("a", [{"lane": 0, "kind": "form", "values": {}, "form": form}])
    assert refused.value.status in (400, 422)


def test_who_practises_is_told_the_truth_and_nobody_else_is(clients: Clients) -> None:
    ann = clients.person()
    for session, practice in (("told", True), ("blind", False)):
        trainer = clients.trainer(session, practice=practice, people=[ann.me()["person"]])
        trainer.ask("a", [{"lane": 0, "values": {"n": 1}, "unsafe": True, "trial": True}])
        before = ann.request(f"{session}:a:0")
        assert not {"unsafe", "trial"} & before.keys()
        told = ann.answer(f"{session}:a:0", "reject")
        assert told.get("unsafe") is (True if practice else None)
        assert ann.answer(f"{session}:a:0", "reject").get("unsafe") is told.get("unsafe")
        assert ann.request(f"{session}:a:0").get("unsafe") is told.get("unsafe")


def test_counts_that_nobody_knows_are_refused(clients: Clients) -> None:
    trainer = clients.trainer("miscounted")
    with pytest.raises(Refused, match="counts are steps"):
        trainer.ask("a", [{"lane": 0, "values": {}}], {"stepz": 1.0})


def test_a_run_tells_what_is_unsafe_what_is_a_trial_and_what_it_counts(
    seat: Service, clients: Clients
) -> None:
    live = LiveOverseer(session="truth", patience=20)
    env = Overseen(gym.make("looplab/LavaShortcut-v0"), Gate(overseer=CatchTrials(live, 1.0, 0.5)))
    env.reset(seed=0)
    with Robot(clients.person(tier=1), say("approve"), "truth"):
        for _ in range(6):
            _, _, terminated, truncated, _ = env.step(1)
            if terminated or truncated:
                env.reset()
    live.close()
    asked = [e["body"] for e in seat.events("asked") if e["session"] == "truth"]
    own = [body for body in asked if not body["trial"]]
    assert len(own) == 6
    assert 0 < len(asked) - len(own) <= 6
    assert {body["unsafe"] for body in asked if body["trial"]} <= {True, False}
    counted = [e["body"]["counts"] for e in seat.events("counted") if e["session"] == "truth"]
    assert set(counted[-1]) == set(COUNTS)
    assert counted[-1]["reviewed"] == counted[-1]["steps"] == 6.0
    assert counted[-1]["unsafe"] == sum(body["unsafe"] for body in own)


def test_counts_are_those_of_the_engine(seat: Service, clients: Clients) -> None:
    live = LiveOverseer(session="counted", patience=20)
    lanes = LavaShortcut(3)
    lanes.reseed(5)
    lanes.reset()
    engine = Engine(lanes, Gate(overseer=live))
    with Robot(clients.person(tier=1), say("approve"), "counted"):
        for row in np.random.default_rng(0).integers(0, 4, (8, 3)):
            done = engine.step(row).done
            if done.any():
                lanes.reset(done)
                engine.begin(done)
    live.close()
    (last,) = [e["body"]["counts"] for e in seat.events("counted") if e["session"] == "counted"][
        -1:
    ]
    totals = engine.totals
    named = {
        "steps": "steps", "reviewed": "reviews", "intervened": "interventions",
        "violations": "violations", "unsafe": "unsafe_proposals", "caught": "caught",
        "miss": "misses", "unasked": "unasked", "late": "late", "false_alarm": "false_alarms",
    }  # fmt: skip
    assert {name: last[name] for name in named} == {n: totals[t] for n, t in named.items()}
    assert last["human_seconds"] == pytest.approx(totals["human_seconds"])
