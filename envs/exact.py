"""Dynamic programming on finite tasks: values, safe values and risks, without sampling."""

from dataclasses import dataclass

import numpy as np

from looplab.envs.core import RISK_RESOLUTION, BoolArray, FloatArray

#: Value iteration stops when no state's value moves by more than this.
CONVERGED = 1e-12


@dataclass(frozen=True)
class FiniteModel:
    """A finite Markov decision process with harm.

    Attributes:
        transition: P(s' | s, a), shape (S, A, S); rows of ending transitions lead to a state of
            ``terminal``.
        reward: expected reward of (s, a), shape (S, A).
        harm: probability that (s, a) violates in that very step, shape (S, A).
        terminal: states where the episode has ended, shape (S,).
        start: distribution of the first state, shape (S,).
        harmless: P(s' and no violation | s, a), shape (S, A, S); None: where a step leads says
            nothing about whether it violated.
    """

    transition: FloatArray
    reward: FloatArray
    harm: FloatArray
    terminal: BoolArray
    start: FloatArray
    harmless: FloatArray | None = None


def backup(model: FiniteModel, value: FloatArray, gamma: float) -> FloatArray:
    """One Bellman backup: action values (S, A) from state values (S,); 0 in terminal states."""
    action_value = model.reward + gamma * model.transition @ value
    action_value[model.terminal] = 0.0
    return action_value


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
    value = np.zeros(len(model.terminal))
    steps = 0
    while True:
        action_value = backup(model, value, gamma)
        if allowed is not None:
            action_value[~allowed] = -np.inf
        new = np.where(model.terminal, 0.0, action_value.max(axis=1))
        steps += 1
        moved = np.abs(new - value).max()
        value = new
        if steps == horizon or (horizon is None and moved < CONVERGED):
            return action_value


def start_value(model: FiniteModel, action_value: FloatArray) -> float:
    """Value of acting greedily from the starting distribution."""
    return float(model.start @ np.where(model.terminal, 0.0, action_value.max(axis=1)))


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
    gain = np.where(model.terminal[:, None], 0.0, gain)
    at = model.start.copy()
    total = 0.0
    for step in range(horizon):
        visits = at[:, None] * policy
        total += gamma**step * float((visits * gain).sum())
        at = np.where(model.terminal, at, 0.0) + np.einsum(
            "sa,sat->t", np.where(model.terminal[:, None], 0.0, visits), model.transition
        )
    return total


def exact_risk(model: FiniteModel, horizon: int) -> FloatArray:
    """Least probability of a violation within ``horizon`` steps after each action, (S, A).

    The minimum is over all later actions: what a shield would know (Alshiekh et al. 2018).
    """
    least = np.zeros(len(model.terminal))
    risk = np.zeros_like(model.harm)
    harmless = model.harmless
    if harmless is None:
        harmless = (1.0 - model.harm)[:, :, None] * model.transition
    for _ in range(horizon):
        risk = model.harm + harmless @ least
        risk[model.terminal] = 0.0
        least = risk.min(axis=1)
    return risk


def safe_actions(risk: FloatArray) -> BoolArray:
    """Actions of the least risk in their state, shape (S, A)."""
    least: FloatArray = risk.min(axis=1, keepdims=True)
    return risk <= least + RISK_RESOLUTION
