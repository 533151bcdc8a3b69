"""A table of values as a policy: one row for every observation that a task can show."""

from functools import cached_property
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import Schedule

from looplab.envs.compiled import compiled
from looplab.envs.core import Actions, BoolArray, FloatArray, IntArray, Lanes, Observations
from looplab.envs.errors import UsageError

#: More rows than this are no table that a run could fill.
MAX_ROWS = 100_000
#: Draws of one choice: whether to explore, where to, and which of equally good actions.
_DRAWS = 3


def observations_of(lanes: Lanes) -> Observations:
    """Every observation that a task can show, one row each, float32 of shape (S, width).

    Raises:
        UsageError: if the task does not list them.
    """
    space = lanes.observation_space
    if isinstance(space, gym.spaces.Discrete):
        listed: Any = np.arange(space.start, space.start + space.n)
    else:
        listed = lanes.all_observations()
    if listed is None:
        raise UsageError(
            f"agent=q_learning needs a task that lists its observations, such as "
            f"env=cliff_walking, taxi or lava_shortcut; {space} has no table; use agent=ppo or dqn"
        )
    rows: Observations = np.unique(_flat(listed), axis=0)
    if len(rows) > MAX_ROWS:
        raise UsageError(f"agent=q_learning takes {MAX_ROWS} observations at most, not {len(rows)}")
    return rows


def _flat(observations: Any) -> NDArray[np.float32]:
    """Observations as rows, negative zeros as zeros, so that equal ones have equal bytes."""
    found = np.asarray(observations, dtype=np.float32)
    rows: NDArray[np.float32] = found.reshape(len(found), -1) + np.float32(0.0)
    return rows


class TablePolicy(BasePolicy):
    """Greedy or epsilon-greedy actions from a table of values.

    Stochastic: with probability epsilon a random action, else one of the best, each as likely.
    Deterministic: the first of the best.

    Args:
        observation_space: of one lane.
        action_space: a ``Discrete`` one.
        lr_schedule: SB3's; a table has no optimizer.
        observations: every observation, one row each, shape (S, width).
        initial_value: of every action before anything is learned.
        epsilon: probability of a random action, in [0, 1].
    """

    observations: torch.Tensor
    q_table: torch.Tensor
    epsilon: torch.Tensor

    def __init__(
        self,
        observation_space: gym.Space[Any],
        action_space: gym.spaces.Discrete,
        lr_schedule: Schedule,
        observations: Observations,
        initial_value: float = 0.0,
        epsilon: float = 0.1,
    ) -> None:
        super().__init__(observation_space, action_space)
        shape = (len(observations), int(action_space.n))
        table = torch.full(shape, float(initial_value), dtype=torch.float64)
        self._first = int(action_space.start)
        self.register_buffer("observations", torch.as_tensor(observations, dtype=torch.float32))
        self.register_buffer("q_table", table)
        self.register_buffer("epsilon", torch.tensor(float(epsilon), dtype=torch.float64))

    @property
    def values(self) -> FloatArray:
        """Value of every action after every observation, shape (S, A); the table itself."""
        table: FloatArray = self.q_table.numpy()
        return table

    @cached_property
    def _places(self) -> dict[bytes, int]:
        rows = self.observations.numpy()
        return {row.tobytes(): place for place, row in enumerate(rows)}

    def rows(self, observations: Observations) -> IntArray:
        """The table's row for each observation, (n, ...) -> (n,).

        Raises:
            UsageError: if the table has no row for one of them.
        """
        places = self._places
        try:
            found = [places[row.tobytes()] for row in _flat(observations)]
        except KeyError as error:
            raise UsageError(
                f"the task shows an observation for which the table of {len(places)} has no row: "
                "it is not the task that the agent was trained on"
            ) from error
        return np.array(found, dtype=np.int64)

    def choose(
        self, rows: IntArray, epsilon: float, rng: np.random.Generator | None = None
    ) -> Actions:
        """An epsilon-greedy action for each row, (n,); draws from ``rng``, else from torch's."""
        if rng is None:
            draws = torch.rand((_DRAWS, len(rows)), dtype=torch.float64).numpy()
        else:
            draws = rng.random((_DRAWS, len(rows)))
        actions = np.empty(len(rows), np.int64)
        _choose(self.values, rows, draws, epsilon, actions)
        return actions + self._first

    def best(self, rows: IntArray) -> Actions:
        """The first of the best actions for each row, (n,)."""
        actions: Actions = self.values[rows].argmax(axis=1) + self._first
        return actions

    def _predict(self, observation: Any, deterministic: bool = False) -> torch.Tensor:
        rows = self.rows(observation.numpy())
        chosen = self.best(rows) if deterministic else self.choose(rows, float(self.epsilon))
        return torch.from_numpy(chosen)

    def forward(self, observation: Any, deterministic: bool = False) -> torch.Tensor:
        """Actions for observations, as ``predict`` chooses them."""
        return self._predict(observation, deterministic)

    def learn_from(
        self, rows: IntArray, actions: Actions, targets: tuple[FloatArray, IntArray, BoolArray],
        alpha: float, gamma: float,
    ) -> None:  # fmt: skip
        """Moves values towards what came of actions, one lane after the other.

        Args:
            rows: where the actions were taken, (n,).
            actions: which ones, (n,).
            targets: their rewards, NaN where nothing is to be learned; the rows that followed; and
                whether there is nothing more to come; each (n,).
            alpha: step size.
            gamma: discount.
        """
        _learn(self.values, rows, actions - self._first, *targets, alpha, gamma)


@compiled
def _choose(values: Any, rows: Any, draws: Any, epsilon: Any, actions: Any) -> None:
    """Epsilon-greedy actions of n lanes by three draws each, (3, n); ties are drawn."""
    count = values.shape[1]
    for lane in range(len(rows)):
        if draws[0, lane] < epsilon:
            actions[lane] = int(draws[1, lane] * count)
            continue
        own = values[rows[lane]]
        best = own[0]
        ties = 0
        for action in range(count):
            best = max(best, own[action])
        for action in range(count):
            ties += own[action] == best
        turn = int(draws[2, lane] * ties)
        for action in range(count):
            if own[action] == best:
                if turn == 0:
                    actions[lane] = action
                turn -= 1


@compiled
def _learn(
    values: Any, rows: Any, actions: Any, rewards: Any, following: Any, ended: Any,
    alpha: Any, gamma: Any,
) -> None:  # fmt: skip
    """Q(s, a) += alpha (r + gamma max Q(s', .) - Q(s, a)), lane by lane."""
    for lane in range(len(rows)):
        target = rewards[lane]
        if np.isnan(target):
            continue
        if not ended[lane]:
            best = values[following[lane], 0]
            for action in range(values.shape[1]):
                best = max(best, values[following[lane], action])
            target += gamma * best
        old = values[rows[lane], actions[lane]]
        values[rows[lane], actions[lane]] = old + alpha * (target - old)
