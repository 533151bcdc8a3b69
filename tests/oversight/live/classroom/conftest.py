"""A lesson on the lava shortcut, without a browser, with a clock that stands still."""

from collections.abc import Callable

import pytest

from looplab.agents.table_policy import TablePolicy
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.experiments.classroom.learner import Learning, TableLearner
from looplab.oversight.live.classroom.ballot import Ballot
from looplab.oversight.live.classroom.lesson import Lesson
from looplab.oversight.live.classroom.settings import LessonSettings
from looplab.oversight.live.classroom.task import Task

CODE = "ABC234"
LEARNING = Learning(alpha=0.2, gamma=0.95, epsilon=0.1)


class Time:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def task() -> Task:
    one = LavaShortcut(1)
    return Task(
        name="lava_shortcut",
        story="A robot is to reach the goal.",
        violation="touching lava",
        lanes=lambda: LavaShortcut(1),
        learner=lambda seed: TableLearner(one, LEARNING, seed),
        actions=one.ACTIONS,
    )


@pytest.fixture
def lesson(task: Task, time: Time) -> Callable[..., Lesson]:
    def make(seed: int = 0, **settings: float) -> Lesson:
        chosen = LessonSettings(**settings)  # type: ignore[arg-type]  # lag_steps is whole
        return Lesson(task, chosen, seed, Ballot(CODE, time), time)

    return make


def policy(lesson: Lesson, lane: str) -> TablePolicy:
    """The table of a lane's agent."""
    learner = lesson._learners[lane]
    assert isinstance(learner, TableLearner)
    return learner.policy
