"""A ledger that is made through the desk, with a clock that the test moves."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import pytest

from looplab.oversight.live.analytics.extract import Selection
from looplab.oversight.live.analytics.summary import OwnFigures, Summary
from looplab.oversight.live.desk import Desk, Said
from looplab.oversight.live.review import Ask, Opinion
from looplab.oversight.live.session import About
from looplab.oversight.live.shown import Shown
from tests.oversight.live.conftest import THREE, Clock, Place, person, run

ANN, BOB, CAT = person("p_ann"), person("p_bob", tier=1), person("p_cat", tier=1)
TRAINER = person("p_trainer", role="trainer")


def shown(text: str) -> Shown:
    return Shown(hashlib.sha256(text.encode() + b"\0").hexdigest(), text, None)


@dataclass
class Ledger:
    """A desk with two tiers of ten seconds each, and what tests do at it."""

    place: Place
    desk: Desk = field(init=False)

    def __post_init__(self) -> None:
        self.desk = self.place.desk()
        self.run(self.desk.change_settings({"deadlines": [10.0, 10.0], "lease_seconds": 1e6}))

    @property
    def clock(self) -> Clock:
        return self.place.clock

    def run(self, work: Any) -> Any:
        return run(work)

    def open(self, session: str, **about: Any) -> None:
        what = About("corridor", "in_the_loop", "ppo", 4, THREE, session, **about)
        self.run(self.desk.open_session(session, what, TRAINER))

    def ask(self, batch: str, *questions: str, session: str = "run", **more: Any) -> None:
        """Asks about lanes 0, 1, ... of a step, each by the text that is shown."""
        counts = more.pop("counts", None)
        truth = more.pop("unsafe", [None] * len(questions))
        pairs = []
        for lane, text in enumerate(questions):
            what = shown(text)
            name, kind = f"{session}:{batch}:{lane}", more.get("kind", "review")
            trial = more.get("trial", False)
            pairs.append(
                (Ask(name, lane, kind, what.digest, unsafe=truth[lane], trial=trial), what)
            )
        self.run(self.desk.ask(session, batch, pairs, counts))

    def say(self, after: float, who: Any, request: str, verdict: str, **more: Any) -> None:
        """Somebody answers, so many seconds later."""
        self.clock.pass_seconds(after)
        action = 1 if verdict == "modify" else None
        said = Said(f"run:{request}" if request.count(":") < 2 else request,
                    Opinion(verdict, action, **more))  # fmt: skip
        (result,) = self.run(self.desk.decide([said], who))
        assert result["ok"], result

    def undo(self, after: float, who: Any, request: str) -> None:
        self.clock.pass_seconds(after)
        self.run(self.desk.undo(f"run:{request}", who))

    def wait(self, seconds: float) -> None:
        """Time passes, and brings what it brings."""
        self.clock.pass_seconds(seconds)
        self.run(self.desk.commit(self.desk.queue.tick(self.clock.now)))

    def summary(self, session: str = "", **window: Any) -> Summary:
        return self.run(self.desk.analyst.summary(Selection(session, **window)))

    def own(self, who: Any, session: str = "") -> OwnFigures:
        return self.run(self.desk.analyst.own(Selection(session), who.id))


@pytest.fixture
def ledger(place: Place) -> Ledger:
    """A desk with one session, named run."""
    made = Ledger(place)
    made.open("run")
    return made
