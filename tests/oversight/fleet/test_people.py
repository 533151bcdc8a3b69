"""Simulated humans behind a fleet's desk: one mind per reviewer."""

from collections.abc import Mapping

import numpy as np
import pytest
from scipy.stats import binomtest

from looplab.envs.errors import UsageError
from looplab.oversight import Accuracy, Fatigue, ScriptedOverseer, SimulatedHuman, Tempo
from looplab.oversight.fleet.desk import APPROVED
from looplab.oversight.fleet.durations import Fixed
from looplab.oversight.fleet.people import People
from looplab.oversight.fleet.queueing import simulate
from looplab.oversight.fleet.reviewers import Question
from looplab.oversight.fleet.settings import Fleet, Period
from looplab.oversight.fleet.work import Requests


class Dangers(Requests):
    """Every request is unsafe."""

    _question = Question(unsafe=True)

    def finish(self) -> Mapping[str, float]:
        return {}


def approved(human: SimulatedHuman, think: float, reviewers: int = 2) -> tuple[int, int]:
    fleet = Fleet(6, reviewers, Fixed(think))
    people = People(human, reviewers)
    outcome = simulate(fleet, people, Period(40_000.0), Dangers(), seed=3)
    ends = outcome.requests["ending"]
    return int((ends == APPROVED).sum()), len(ends)


def test_reviewers_miss_as_their_accuracy_says() -> None:
    human = SimulatedHuman(accuracy=Accuracy(miss_rate=0.23), review=Tempo(4.0, 9.0))
    misses, reviews = approved(human, think=30.0)
    assert reviews > 5000
    assert binomtest(misses, reviews, 0.23).pvalue > 1e-5


def test_times_are_the_humans_own() -> None:
    human = SimulatedHuman(review=Tempo(4.0, 9.0))
    people = People(human, 3)
    assert people.mean_seconds == Tempo(4.0, 9.0).mean
    rng = np.random.default_rng(0)
    seconds = [people.answer(1, Question(False), 10.0 * k, rng)[1] for k in range(4000)]
    assert binomtest(int(np.sum(np.array(seconds) <= 4.0)), 4000, 0.5).pvalue > 1e-5


def test_who_has_more_to_do_tires_more() -> None:
    tired = SimulatedHuman(
        review=Tempo(10.0, 10.0),
        fatigue=Fatigue(worst_error=0.5, capacity_minutes=10.0, recovery_minutes=10.0),
    )
    busy, idle = (approved(tired, think) for think in (20.0, 600.0))
    assert busy[0] / busy[1] > 2 * idle[0] / idle[1] > 0


def test_fatigue_is_of_the_person_not_of_the_desk() -> None:
    tired = SimulatedHuman(
        review=Tempo(60.0, 60.0),
        fatigue=Fatigue(slowdown=1.0, capacity_minutes=1.0, recovery_minutes=1e9),
    )
    people, rng = People(tired, 2), np.random.default_rng(0)
    first = [people.answer(0, Question(True), 1000.0 * k, rng)[1] for k in range(3)]
    assert first == pytest.approx([60.0, 60 * (2 - np.exp(-1)), 60 * (2 - np.exp(-3 + np.exp(-1)))])
    assert people.answer(1, Question(True), 5000.0, rng)[1] == 60.0


@pytest.mark.parametrize(
    "human",
    [
        SimulatedHuman(ScriptedOverseer(miss_rate=0.1)),
        SimulatedHuman(lambda proposals: [True] * len(proposals)),
        SimulatedHuman(accuracy=Accuracy(miss_rate=0.1), error_memory="episode"),
    ],
)
def test_what_a_queue_cannot_show_is_refused(human: SimulatedHuman) -> None:
    with pytest.raises(UsageError, match="scripted overseer without errors"):
        People(human, 2)
