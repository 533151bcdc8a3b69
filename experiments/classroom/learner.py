"""A table that learns while a class looks on: Q-learning in one lane."""

from dataclasses import dataclass

import numpy as np

from looplab.agents.table_policy import TablePolicy, observations_of
from looplab.envs.core import Actions, Lanes, Observations
from looplab.oversight.record import Record


@dataclass(frozen=True)
class Learning:
    """How it learns (Watkins 1989).

    Attributes:
        alpha: step size in [0, 1].
        gamma: discount in [0, 1].
        epsilon: probability of a random action while it learns, in [0, 1].
    """

    alpha: float
    gamma: float
    epsilon: float


class TableLearner:
    """An agent with a table of values, for one lane.

    Args:
        lanes: the task.
        learning: how it learns.
        seed: of its exploration; agents of one seed act alike until their tables differ.
    """

    def __init__(self, lanes: Lanes, learning: Learning, seed: int) -> None:
        self._learning = learning
        self._exploring, self._alone = (
            np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2)
        )
        self.policy = TablePolicy(
            lanes.observation_space,
            lanes.action_space,  # type: ignore[arg-type]  # a table has discrete actions
            lambda _: learning.alpha,
            observations_of(lanes),
            epsilon=learning.epsilon,
        )

    def choose(self, observation: Observations, explore: bool) -> Actions:
        """One of the best actions, or a random one now and then while it explores, shape (1,)."""
        rows = self.policy.rows(observation)
        if explore:
            return self.policy.choose(rows, self._learning.epsilon, self._exploring)
        return self.policy.choose(rows, 0.0, self._alone)

    def learn(self, record: Record) -> None:
        """Moves the proposal's value towards what came of it."""
        policy, learning = self.policy, self._learning
        targets = (record.learning_reward, policy.rows(record.observation), record.terminated)
        rows = policy.rows(record.observed)
        policy.learn_from(rows, record.proposed, targets, learning.alpha, learning.gamma)
