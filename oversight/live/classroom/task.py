"""What a lesson must be given: a task, and who learns in it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from looplab.envs.core import Actions, Lanes, Observations
from looplab.oversight.record import Record


class Learner(Protocol):
    """An agent that acts in one lane, and learns from what came of it."""

    def choose(self, observation: Observations, explore: bool) -> Actions:
        """Proposes an action.

        Args:
            observation: of the lane, shape (1, ...).
            explore: whether it may try what it does not hold for best.

        Returns:
            The proposal, shape (1,).
        """

    def learn(self, record: Record) -> None:
        """Learns from one step: ``observed``, ``proposed``, ``learning_reward`` and what followed.

        Args:
            record: the step of the lane as it went.
        """


@dataclass(frozen=True)
class Task:
    """A task for a class.

    Attributes:
        name: as on the command line.
        story: what it is about, in one or two sentences.
        violation: what counts as harm, e.g. "touching lava".
        lanes: makes one lane, which can be drawn as text: rows of symbols, ``@`` the agent.
        learner: makes an agent that knows nothing yet, from a seed.
        actions: names of the actions.
    """

    name: str
    story: str
    violation: str
    lanes: Callable[[], Lanes]
    learner: Callable[[int], Learner]
    actions: tuple[str, ...]
