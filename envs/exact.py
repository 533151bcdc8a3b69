"""Dynamic programming on finite tasks: values, safe values and risks, without sampling."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from looplab.envs.core import RISK_RESOLUTION, BoolArray, FloatArray, IntArray

#: Value iteration stops when no state's value moves by more than this.
CONVERGED = 1e-12
#: Values closer than this are the same: sums are not exact in floating point.
VALUE_RESOLUTION = 1e-9


@dataclass(frozen=True)
class FiniteModel:
    """A finite Markov decision process with harm: every action has K possible outcomes.

    Attributes:
        chance: probability of each outcome, shape (S, A, K); each row sums to 1.
        successor: state that it leads to, shape (S, A, K).
        gain: its reward, shape (S, A, K).
        harmed: probability that it violates in that very step, shape (S, A, K).
        ends: whether the episode terminates with it, shape (S, A, K).
        start: distribution of the first state, shape (S,).
    """

    chance: FloatArray
    successor: IntArray
    gain: FloatArray
    harmed: FloatArray
    ends: BoolArray
    start: FloatArray

    @property
    def reward(self) -> FloatArray:
        """Expected reward of each action, shape (S, A)."""
        return self.expected(self.gain)

    @property
    def harm(self) -> FloatArray:
        """Probability that each action violates in that very step, shape (S, A)."""
        return self.expected(self.harmed)

    def expected(self, values: FloatArray) -> FloatArray:
        """Mean of one value per outcome, (S, A, K) -> (S, A)."""
        mean: FloatArray = np.einsum("sak,sak->sa", self.chance, values)
        return mean

    def follow(self, value: FloatArray) -> FloatArray:
        """Value of what each outcome leads to, (S,) -> (S, A, K); 0 where the episode ends."""
        return np.where(self.ends, 0.0, value[self.successor])

    def onward(self) -> csr_array:
        """P(s' and the episode goes on | s, a), sparse, shape (S * A, S)."""
        outcomes = self.chance.shape[2]
        rows = np.arange(0, self.chance.size + 1, outcomes)
        chance = np.where(self.ends, 0.0, self.chance).ravel()
        shape = (len(rows) - 1, len(self.start))
        return csr_array((chance, self.successor.ravel(), rows), shape=shape)

    @classmethod
    def dense(
        cls,
        transition: FloatArray,
        reward: FloatArray,
        harm: FloatArray,
        terminal: BoolArray,
        start: FloatArray,
    ) -> "FiniteModel":
        """A model whose harm does not depend on where the step leads.

        Args:
            transition: P(s' | s, a), shape (S, A, S).
            reward: expected reward of (s, a), shape (S, A).
            harm: probability that (s, a) violates, shape (S, A).
            terminal: states whose entry ends the episode, and which have no value, shape (S,).
            start: distribution of the first state, shape (S,).
        """
        successor = np.broadcast_to(np.arange(len(start)), transition.shape)
        over = terminal[:, None, None]
        gain = np.where(over, 0.0, reward[:, :, None]) + np.zeros(transition.shape)
        harmed = np.where(over, 0.0, harm[:, :, None]) + np.zeros(transition.shape)
        return cls(transition, successor, gain, harmed, terminal[successor] | over, start)


def backup(model: FiniteModel, value: FloatArray, gamma: float) -> FloatArray:
    """One Bellman backup: action values (S, A) from state values (S,)."""
    return model.expected(model.gain + gamma * model.follow(value))


def optimal_values(
    model: FiniteModel,
    gamma: float,
    allowed: BoolArray | None = None,
    horizon: int | None = None,
) -> FloatArray:
    """Optimal action values by value iteration, shape (S, A); -inf where not allowed.

    Args:
        model: the task.
        gamma: discount in [0, 1]; 1 needs a horizon.
        allowed: actions that a policy may take, shape (S, A); None: all.
        horizon: steps that are left; None: until convergence.
    """
    value = np.zeros(len(model.start))
    reward, onward = model.reward, gamma * model.onward()
    steps = 0
    while True:
        action_value = reward + (onward @ value).reshape(reward.shape)
        if allowed is not None:
            action_value[~allowed] = -np.inf
        new = action_value.max(axis=1)
        steps += 1
        moved = np.abs(new - value).max()
        value = new
        if steps == horizon or (horizon is None and moved < CONVERGED):
            return np.asarray(action_value)


def best_actions(action_value: FloatArray) -> IntArray:
    """Action of the highest value in each state, the lowest index among equals, (S, A) -> (S,)."""
    highest = action_value.max(axis=1, keepdims=True)
    best: IntArray = (action_value >= highest - VALUE_RESOLUTION).argmax(axis=1)
    return best


def start_value(model: FiniteModel, action_value: FloatArray) -> float:
    """Value of acting greedily from the starting distribution."""
    return float(model.start @ action_value.max(axis=1))


def policy_value(
    model: FiniteModel,
    policy: FloatArray,
    gamma: float,
    horizon: int,
    per_step: FloatArray | None = None,
) -> float:
    """Expected discounted sum of ``per_step`` over a horizon under a fixed policy.

    Args:
        model: the task.
        policy: probability of each action, shape (S, A).
        gamma: discount in [0, 1].
        horizon: number of steps.
        per_step: what is summed, shape (S, A); None: the reward. ``model.harm`` counts violations.
    """
    gain = model.reward if per_step is None else per_step
    arriving = model.onward().T
    at = model.start
    total = 0.0
    for step in range(horizon):
        visits = at[:, None] * policy
        total += gamma**step * float((visits * gain).sum())
        at = arriving @ visits.ravel()
    return total


def exact_risk(model: FiniteModel, horizon: int) -> FloatArray:
    """Least probability of a violation within ``horizon`` steps after each action, (S, A).

    The minimum is over all later actions: what a shield would know (Alshiekh et al. 2018).
    """
    least = np.zeros(len(model.start))
    risk = np.zeros(model.chance.shape[:2])
    for _ in range(horizon):
        risk = model.expected(model.harmed + (1.0 - model.harmed) * model.follow(least))
        new = risk.min(axis=1)
        if np.array_equal(new, least):
            break  # what does not change any more will not change later
        least = new
    return risk


def safe_actions(risk: FloatArray) -> BoolArray:
    """Actions of the least risk in their state, shape (S, A)."""
    least: FloatArray = risk.min(axis=1, keepdims=True)
    return risk <= least + RISK_RESOLUTION
