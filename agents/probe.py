"""Reads what the policy thought, from the forward pass that the algorithm made anyway."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3 import DQN
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy

from looplab.envs.core import Actions, FloatArray
from looplab.envs.errors import UsageError, within

#: What value-based policies can offer instead of a probability; None: nothing.
CONFIDENCES = (None, "softmax_q")

STALE = (
    "the policy made no forward pass for these proposals, so its confidence is not known: a "
    "confidence trigger works where the algorithm itself chose the actions of this very step"
)


class PolicyOutput:
    """Logits of one step, and what follows from them.

    Args:
        logits: unnormalised log-probabilities of every action, shape (n, A).
        proposed: the action that was chosen in each lane, shape (n,).
    """

    def __init__(self, logits: FloatArray, proposed: Actions) -> None:
        self.logits = logits
        self._proposed = proposed

    @cached_property
    def log_probabilities(self) -> FloatArray:
        """Log-probability of every action, shape (n, A)."""
        shifted = self.logits - self.logits.max(axis=1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))

    @cached_property
    def probabilities(self) -> FloatArray:
        """Probability of every action, shape (n, A)."""
        return np.exp(self.log_probabilities)

    @cached_property
    def confidence(self) -> FloatArray:
        """Probability of the proposed action, shape (n,)."""
        return np.exp(self.log_probability(self._proposed))

    def log_probability(self, actions: Actions) -> FloatArray:
        """Log-probability of one action per lane, shape (n,)."""
        return self.log_probabilities[np.arange(len(actions)), actions]


class PolicyProbe:
    """Keeps the logits of the last rollout step, for that one step.

    An actor-critic's logits are kept only while the policy itself is called (as SB3 does when it
    collects), not in ``evaluate_actions`` or ``predict``; a Q-network's only while it is not in
    training mode. Evaluation, which calls ``predict``, says so with ``listening``.

    Args:
        model: PPO (or another actor-critic) with discrete actions, or DQN.
        confidence: ``softmax_q`` to read a DQN's Q-values as logits; None: a DQN has no confidence.
        temperature: of that softmax, above 0.

    Raises:
        UsageError: if the model's policy has no probabilities.
    """

    def __init__(
        self, model: BaseAlgorithm, confidence: str | None = None, temperature: float = 1.0
    ) -> None:
        if not isinstance(model.action_space, gym.spaces.Discrete):
            raise UsageError("confidence needs discrete actions: a density is no probability")
        self._temperature = within("temperature", temperature, np.finfo(np.float64).tiny)
        self._num_actions = int(model.action_space.n)
        self._logits: torch.Tensor | None = None
        self._chosen: torch.Tensor | None = None
        self._open = False
        policy = model.policy
        if isinstance(policy, ActorCriticPolicy):
            self._explores = False
            self._handles = [
                policy.register_forward_pre_hook(self._begin),
                policy.action_net.register_forward_hook(self._keep),
                policy.register_forward_hook(self._end),
            ]
        elif isinstance(model, DQN) and confidence == "softmax_q":
            self._explores = True
            self._handles = [model.q_net.register_forward_hook(self._keep_values)]
        else:
            raise UsageError(
                f"{type(model).__name__} has no action probabilities; a trigger on confidence needs "
                "agent.confidence=softmax_q (DQN) or an actor-critic such as PPO"
            )

    def _begin(self, module: Any, arguments: Any) -> None:
        self._open = True

    def _keep(self, module: Any, arguments: Any, output: torch.Tensor) -> None:
        if self._open:
            self._logits, self._chosen = output, None

    def _end(self, module: Any, arguments: Any, output: Any) -> None:
        self._open, self._chosen = False, output[0]

    def _keep_values(self, module: Any, arguments: Any, output: torch.Tensor) -> None:
        if not module.training:
            self._logits, self._chosen = output / self._temperature, output.argmax(dim=1)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Keeps the logits of ``predict`` too, for as long as the context lasts."""
        self._open = True
        try:
            yield
        finally:
            self._open = False

    def __call__(self, proposed: Actions) -> PolicyOutput:
        """What the policy knew of these proposals; each forward pass serves once.

        Args:
            proposed: shape (n,).

        Raises:
            UsageError: if there was no forward pass for exactly these lanes.
        """
        logits, chosen = self._logits, self._chosen
        self._logits = self._chosen = None
        if self._explores and not self._matches(logits, chosen, proposed):
            uniform = np.zeros((len(proposed), self._num_actions))
            return PolicyOutput(uniform, proposed)  # a random exploration step: 1 / actions
        if logits is None or len(logits) != len(proposed):
            raise UsageError(STALE)
        if chosen is not None and not np.array_equal(chosen.numpy().reshape(-1), proposed):
            raise UsageError(STALE)
        return PolicyOutput(logits.detach().numpy(), proposed)

    @staticmethod
    def _matches(
        logits: torch.Tensor | None, chosen: torch.Tensor | None, proposed: Actions
    ) -> bool:
        if logits is None or chosen is None or len(logits) != len(proposed):
            return False
        return bool(np.array_equal(chosen.numpy(), proposed))

    def close(self) -> None:
        """Takes the hooks off, so that the model is stock again."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
