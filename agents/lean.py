"""Spares a model what costs much of collecting's time and changes no number.

Stable-Baselines3 acts through distribution objects that check their arguments; for small networks
that takes as long as the networks themselves. Here the same operations run in the same order on the
same generator, without the objects: actions, values and log-probabilities come out bit for bit the
same, and so does everything that is learned.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.distributions import CategoricalDistribution
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.torch_layers import FlattenExtractor
from torch import nn
from torch.distributions import Distribution


class LeanForward:
    """``forward`` of an actor-critic policy with discrete actions.

    Args:
        policy: a policy with a categorical distribution and one features extractor.

    Attributes:
        log_probabilities: of every action in the last pass, shape (n, A); None before the first.
    """

    def __init__(self, policy: ActorCriticPolicy) -> None:
        self._policy = policy
        space = policy.observation_space
        #: Flat single-precision observations pass SB3's preprocessing as they are.
        self._plain = (
            type(policy.features_extractor) is FlattenExtractor
            and isinstance(space, gym.spaces.Box)
            and len(space.shape) == 1
            and space.dtype == np.float32
        )
        self._actor = _layers(policy.mlp_extractor.policy_net, policy.action_net)
        self._critic = _layers(policy.mlp_extractor.value_net, policy.value_net)
        self.log_probabilities: torch.Tensor | None = None

    @torch.inference_mode()
    def __call__(
        self, obs: torch.Tensor, deterministic: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Actions (n,), values (n, 1) and log-probabilities (n,), as SB3's own ``forward``."""
        features: Any = obs if self._plain else self._policy.extract_features(obs)
        values = features
        for layer in self._critic:
            values = layer(values)
        actions, logits = self._chosen(features, deterministic)
        return actions[:, 0], values, logits.gather(1, actions)[:, 0]

    @torch.inference_mode()
    def act(self, obs: torch.Tensor, deterministic: bool = False) -> torch.Tensor:
        """Actions alone, shape (n,), as SB3's own ``_predict``."""
        features: Any = obs if self._plain else self._policy.extract_features(obs)
        return self._chosen(features, deterministic)[0][:, 0]

    def _chosen(
        self, features: torch.Tensor, deterministic: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Actions, shape (n, 1), and the log-probabilities of all, shape (n, A)."""
        logits = features
        for layer in self._actor:
            logits = layer(logits)
        logits = logits - logits.logsumexp(dim=-1, keepdim=True)
        probabilities = torch.softmax(logits, dim=-1)
        if deterministic:
            actions = probabilities.argmax(dim=1, keepdim=True)
        else:
            actions = torch.multinomial(probabilities, 1, replacement=True)
        self.log_probabilities = logits
        return actions, logits


def _layers(*parts: nn.Module) -> list[Callable[[torch.Tensor], torch.Tensor]]:
    """The layers' own ``forward``, one after the other, without what calling a module adds."""
    return [layer.forward for part in parts for layer in _flat(part)]


def _flat(part: nn.Module) -> Iterator[nn.Module]:
    if isinstance(part, nn.Sequential):
        for inner in part:
            yield from _flat(inner)
    else:
        yield part


def fits(policy: object) -> bool:
    """Whether ``LeanForward`` does what the policy's own ``forward`` does: no hooks, no extras."""
    return (
        type(policy) is ActorCriticPolicy
        and policy.share_features_extractor
        and type(policy.action_dist) is CategoricalDistribution
        and not any(
            module._forward_hooks or module._forward_pre_hooks for module in policy.modules()
        )
    )


@contextmanager
def lean(model: BaseAlgorithm) -> Iterator[None]:
    """Lets a model act and learn without the checks of distributions; afterwards it is as before.

    A policy that has diverged to NaN still fails, where its actions are sampled.
    """
    before = Distribution._validate_args  # torch offers a setter but no getter
    Distribution.set_default_validate_args(False)
    replaced = fits(model.policy)
    if replaced:
        forward = LeanForward(model.policy)  # type: ignore[arg-type]
        model.policy.forward = forward
        model.policy._predict = forward.act  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        Distribution.set_default_validate_args(before)
        if replaced:
            del model.policy.forward, model.policy._predict


@contextmanager
def acting(model: BaseAlgorithm) -> Iterator[None]:
    """Lets a model propose without what a network in training needs to be told at every step.

    Nobody may train it meanwhile. What is no model of Stable-Baselines3's is left alone.
    """
    policy = getattr(model, "policy", None)
    if not isinstance(policy, BasePolicy):
        yield
        return
    policy.set_training_mode(False)  # as each prediction would, in all of its parts
    with lean(model):
        policy.set_training_mode = lambda mode: None  # type: ignore[method-assign]
        try:
            yield
        finally:
            del policy.set_training_mode
