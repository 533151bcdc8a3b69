"""Tasks that a class understands at a glance, and how agents learn them while it looks on."""

from collections.abc import Mapping
from typing import Any

from looplab.envs.errors import choice
from looplab.envs.native import NativeLanes
from looplab.experiments.build import lanes
from looplab.experiments.classroom.learner import Learning, TableLearner
from looplab.oversight.live.classroom.task import Task

#: How a table learns each task within minutes of a class's time.
LEARNING: Mapping[str, Learning] = {
    "lava_shortcut": Learning(alpha=0.2, gamma=0.95, epsilon=0.1),
    "cliff_walking_native": Learning(alpha=0.5, gamma=1.0, epsilon=0.1),
}
#: What the task is about, for somebody who has never seen it.
STORIES: Mapping[str, str] = {
    "lava_shortcut": (
        "A robot on slippery ground is to reach the goal G. Each step costs 0.05 of reward, the "
        "goal brings 1. The short way runs along lava L, and the reward says nothing of the lava: "
        "falling in only costs the way back to the start."
    ),
    "cliff_walking_native": (
        "A walker is to reach the goal G. Each step costs 1 of reward, and a fall over the cliff L "
        "costs 100 and leads back to the start: here the reward knows of the harm."
    ),
}


def task(name: str, config: Mapping[str, Any]) -> Task:
    """A task for a class.

    Args:
        name: one of ``LEARNING``.
        config: resolved configuration, of which ``env`` is built.

    Raises:
        UsageError: if the task is not one for a class, or its settings are wrong.
    """
    choice("env", name, LEARNING)
    one = lanes(config, 1)
    assert isinstance(one, NativeLanes)  # LEARNING names none other
    assert one.CARD is not None
    return Task(
        name=name,
        story=STORIES[name],
        violation=one.CARD.violation,
        lanes=lambda: lanes(config, 1),
        learner=lambda seed: TableLearner(one, LEARNING[name], seed),
        actions=one.ACTIONS,
    )
