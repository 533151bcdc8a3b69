"""Reads what the policy thought, from the forward pass that the algorithm made anyway."""

import math
from functools import cached_property
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3 import DQN
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy

from looplab.agents.lean import LeanForward
from looplab.envs.compiled import compiled, takes
from looplab.envs.core import Actions, FloatArray
from looplab.envs.errors import UsageError, within

#: Policies whose forward pass gives every action a probability.
ACTOR_CRITICS = (ActorCriticPolicy, MaskableActorCriticPolicy)

#: What value-based policies can offer instead of a probability; None: nothing.
CONFIDENCES = (None, "softmax_q")

STALE = (
    "the policy made no forward pass for these proposals, so its confidence is not known: a "
    "confidence trigger works where the algorithm itself chose the actions of this very step"
)


class PolicyOutput:
    """What a policy knew of one step's proposals.

    Args:
        log_probabilities: of every action, shape (n, A).
        proposed: the action that was chosen in each lane, shape (n,).
    """

    def __init__(self, log_probabilities: FloatArray, proposed: Actions) -> None:
        self.log_probabilities = log_probabilities
        self._proposed = proposed

    @cached_property
    def probabilities(self) -> FloatArray:
        """Probability of every action, shape (n, A)."""
        return np.exp(self.log_probabilities)

    @cached_property
    def confidence(self) -> FloatArray:
        """Probability of the proposed action, shape (n,)."""
        if not takes(self.log_probabilities.dtype):  # half floats
            return np.exp(self.log_probability(self._proposed).astype(np.float64))
        confidence = np.empty(len(self._proposed))
        _confidence(self.log_probabilities, self._proposed, confidence)
        return confidence

    def log_probability(self, actions: Actions) -> FloatArray:
        """Log-probability of one action per lane, shape (n,)."""
        return self.log_probabilities[np.arange(len(actions)), actions]


@compiled
def _confidence(log_probabilities: Any, proposed: Any, out: Any) -> None:
    """Probability of what was proposed, (n,), from the logarithms of all actions', (n, A)."""
    for lane in range(len(out)):
        out[lane] = math.exp(log_probabilities[lane, proposed[lane]])


class ActorProbe:
    """Reads what an actor-critic keeps of its last forward pass.

    Every pass makes new objects, so one that was read before is stale; one that carries gradients
    comes from training, not from acting.

    Args:
        model: an actor-critic such as PPO, with discrete actions.
    """

    def __init__(self, model: BaseAlgorithm) -> None:
        policy = model.policy
        assert isinstance(policy, ACTOR_CRITICS)  # ``probe`` has looked
        self._policy = policy
        self._read: torch.Tensor | None = self._kept()

    def _kept(self) -> torch.Tensor | None:
        """The log-probabilities of the last pass, a lean one or SB3's own; None before any."""
        forward = self._policy.forward
        if isinstance(forward, LeanForward):
            return forward.log_probabilities
        distribution = getattr(self._policy.action_dist, "distribution", None)
        return None if distribution is None else distribution.logits

    def __call__(self, proposed: Actions) -> PolicyOutput:
        """What the policy knew of these proposals; each forward pass serves once.

        Args:
            proposed: shape (n,).

        Raises:
            UsageError: if there was no forward pass for just these lanes.
        """
        kept = self._kept()
        if kept is None or kept is self._read or kept.requires_grad:
            raise UsageError(STALE)
        self._read = kept
        log_probabilities = kept.numpy()
        if len(log_probabilities) != len(proposed):
            raise UsageError(STALE)
        return PolicyOutput(log_probabilities, proposed)

    def close(self) -> None:
        """Leaves the model as it was: nothing was changed."""


class QProbe:
    """Reads a Q-network's values as logits: the named softmax of Q.

    A random exploration step runs no forward pass; there each action had probability 1 / actions.

    Args:
        model: a DQN.
        temperature: of the softmax, above 0.
    """

    def __init__(self, model: DQN, temperature: float) -> None:
        self._temperature = within("temperature", temperature, np.finfo(np.float64).tiny)
        assert isinstance(model.action_space, gym.spaces.Discrete)  # DQN has no other
        self._num_actions = int(model.action_space.n)
        self._values: torch.Tensor | None = None
        self._handle = model.q_net.register_forward_hook(self._keep)

    def _keep(self, module: Any, arguments: Any, output: torch.Tensor) -> None:
        if not module.training:  # in training mode it is the loss that asks
            self._values = output.detach()

    def __call__(self, proposed: Actions) -> PolicyOutput:
        """What the Q-network says of these proposals; each forward pass serves once.

        Args:
            proposed: shape (n,).
        """
        values, self._values = self._values, None
        if (
            values is None
            or len(values) != len(proposed)
            or not np.array_equal(values.argmax(dim=1).numpy(), proposed)
        ):
            uniform = np.full((len(proposed), self._num_actions), -np.log(self._num_actions))
            return PolicyOutput(uniform, proposed)
        return PolicyOutput(torch.log_softmax(values / self._temperature, dim=1).numpy(), proposed)

    def close(self) -> None:
        """Takes the hook off, so that the model is stock again."""
        self._handle.remove()


def has_probabilities(model: Any) -> bool:
    """Whether the model's own forward pass gives every action a probability."""
    discrete = isinstance(getattr(model, "action_space", None), gym.spaces.Discrete)
    return discrete and isinstance(model.policy, ACTOR_CRITICS)


def probe(
    model: BaseAlgorithm, confidence: str | None = None, temperature: float = 1.0
) -> ActorProbe | QProbe:
    """What reads the probabilities of a model's actions.

    Args:
        model: an actor-critic such as PPO, or a DQN.
        confidence: ``softmax_q`` to read a DQN's Q-values as logits; None: a DQN has no confidence.
        temperature: of that softmax, above 0.

    Raises:
        UsageError: if the model's policy has no probabilities.
    """
    if not isinstance(model.action_space, gym.spaces.Discrete):
        raise UsageError("confidence needs discrete actions: a density is no probability")
    if isinstance(model.policy, ACTOR_CRITICS):
        return ActorProbe(model)
    if isinstance(model, DQN) and confidence == "softmax_q":
        return QProbe(model, temperature)
    raise UsageError(
        f"{type(model).__name__} has no action probabilities; a trigger on confidence needs "
        "agent.confidence=softmax_q (DQN) or an actor-critic such as PPO"
    )
