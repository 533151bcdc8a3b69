"""Who proposes in a fleet: at random, the task's reference, or a model; from keyed draws alone."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from scipy.special import log_softmax
from stable_baselines3 import DQN
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy

from looplab.agents.lanes_vec_env import LanesVecEnv
from looplab.agents.loading import load
from looplab.agents.probe import PolicyOutput
from looplab.agents.sb3 import Agent
from looplab.envs.core import Actions, FloatArray, Lanes
from looplab.envs.errors import UsageError
from looplab.oversight.fleet.work import Policy


def at_random(lanes: Lanes, draws: FloatArray) -> tuple[Actions, None]:
    """Actions drawn uniformly from the action space."""
    space = lanes.action_space
    if isinstance(space, gym.spaces.Discrete):
        return (draws[:, 0] * int(space.n)).astype(np.int64) + int(space.start), None
    if not isinstance(space, gym.spaces.Box) or not space.is_bounded():
        raise UsageError(f"nothing can be drawn uniformly from {space}; use policy=reference")
    spread = draws.reshape(-1, *space.shape) * (space.high - space.low)
    return (space.low + spread).astype(space.dtype), None


def by_reference(lanes: Lanes, draws: FloatArray) -> tuple[Actions, None]:
    """What the task's stated good policy does."""
    actions = lanes.reference()
    if actions is None:
        raise UsageError(f"{type(lanes).__name__} knows no reference policy; use policy=random")
    return actions, None


#: Who proposes, where no model does.
POLICIES: dict[str, Policy] = {"random": at_random, "reference": by_reference}


def by_model(file: Path, task: Lanes, agent: Agent, trust: bool = False) -> Policy:
    """A model that proposes: stochastic where it has discrete probabilities, else deterministic.

    Args:
        file: a Stable-Baselines3 file.
        task: lanes with the spaces that the model was trained on.
        agent: says whether a DQN's values count as logits.
        trust: unpickle all of the file, which can run code; else only its weights.

    Raises:
        UsageError: if the file is no such model.
    """
    torch.set_num_threads(1)
    model = load(file, LanesVecEnv(task), trust)
    model.policy.set_training_mode(False)
    if isinstance(model.action_space, gym.spaces.Discrete):
        if isinstance(model.policy, ActorCriticPolicy):
            return _sampling(model.policy)
        if isinstance(model, DQN) and agent.confidence is not None:
            return _greedy(model, agent.temperature)
    return _deterministic(model)


def _sampling(policy: ActorCriticPolicy) -> Policy:
    def propose(lanes: Lanes, draws: FloatArray) -> tuple[Actions, PolicyOutput]:
        with torch.inference_mode():  # SB3's own pass spends as long on objects as on networks
            observation = torch.as_tensor(lanes.observation)
            features: Any = policy.extract_features(observation, policy.pi_features_extractor)
            logits = policy.action_net(policy.mlp_extractor.forward_actor(features)).numpy()
        chances = log_softmax(logits.astype(np.float64), axis=1)
        below = np.exp(chances).cumsum(axis=1)[:, :-1]
        actions = (draws >= below).sum(axis=1)
        return actions, PolicyOutput(chances, actions)

    return propose


def _greedy(model: DQN, temperature: float) -> Policy:
    def propose(lanes: Lanes, draws: FloatArray) -> tuple[Actions, PolicyOutput]:
        with torch.inference_mode():
            observation = torch.as_tensor(lanes.observation)
            values = model.q_net(observation).numpy().astype(np.float64)
        actions = values.argmax(axis=1)
        return actions, PolicyOutput(log_softmax(values / temperature, axis=1), actions)

    return propose


def _deterministic(model: BaseAlgorithm) -> Policy:
    def propose(lanes: Lanes, draws: FloatArray) -> tuple[Actions, None]:
        return np.asarray(model.predict(lanes.observation, deterministic=True)[0]), None

    return propose
