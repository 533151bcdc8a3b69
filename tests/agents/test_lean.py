"""The lean forward pass: bit for bit what Stable-Baselines3's own does, and gone afterwards."""

import copy
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from stable_baselines3 import DQN, PPO
from torch.distributions import Distribution

from looplab.agents.lanes_vec_env import LanesVecEnv
from looplab.agents.lean import LeanForward, acting, fits, lean
from looplab.envs.desks.ops_desk import OpsDesk
from looplab.envs.grids.lava_shortcut import LavaShortcut

SETTINGS = {"n_steps": 64, "batch_size": 64, "n_epochs": 2, "device": "cpu", "seed": 3}


def learned(context):
    venv = LanesVecEnv(LavaShortcut(4))
    model = PPO("MlpPolicy", venv, **SETTINGS)
    with lean(model) if context else nullcontext():
        model.learn(1024)
    return model


def test_learning_is_bit_for_bit_the_same():
    ours, stock = learned(True), learned(False)
    for name, tensor in stock.policy.state_dict().items():
        assert torch.equal(tensor, ours.policy.state_dict()[name]), name
    for name in ("actions", "values", "log_probs", "rewards", "observations"):
        assert np.array_equal(
            getattr(ours.rollout_buffer, name), getattr(stock.rollout_buffer, name)
        )


@pytest.mark.parametrize("deterministic", [False, True])
def test_a_pass_is_bit_for_bit_the_same(deterministic):
    policy = PPO("MlpPolicy", LanesVecEnv(OpsDesk(16)), **SETTINGS).policy
    with torch.no_grad():
        policy.action_net.weight.mul_(100.0)  # far from uniform
    observation = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
    lean_pass = LeanForward(policy)
    torch.manual_seed(5)
    with torch.no_grad():
        expected = policy(observation, deterministic)
    torch.manual_seed(5)
    found = lean_pass(observation, deterministic)
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
    assert [a.shape for a in expected] == [b.shape for b in found]
    wanted = policy.get_distribution(observation).distribution.logits
    assert torch.equal(wanted, lean_pass.log_probabilities)


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("algorithm", [PPO, DQN])
def test_a_model_that_only_acts_proposes_bit_for_bit_the_same(algorithm, deterministic):
    settings = {"seed": 3, "device": "cpu"}
    model = algorithm("MlpPolicy", LanesVecEnv(OpsDesk(16)), **settings)
    observations = np.random.default_rng(0).normal(size=(20, 16, 8)).astype(np.float32)

    def proposed():
        model.set_random_seed(5)
        return [model.predict(one, deterministic=deterministic)[0] for one in observations]

    model.policy.set_training_mode(True)
    expected = proposed()
    model.policy.set_training_mode(True)
    with acting(model):
        assert not any(module.training for module in model.policy.modules())
        found = proposed()
    assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))
    assert found[0].dtype == expected[0].dtype
    model.policy.set_training_mode(True)  # stock again
    assert model.policy.training
    assert not {"_predict", "forward", "set_training_mode"} & set(vars(model.policy))


def test_the_model_is_as_before_afterwards_even_after_an_error():
    model = PPO("MlpPolicy", LanesVecEnv(OpsDesk(2)), **SETTINGS)
    before = Distribution._validate_args
    during = []

    def fail():
        with lean(model):
            during.extend([type(model.policy.forward), Distribution._validate_args])
            raise RuntimeError("planted")

    with pytest.raises(RuntimeError, match="planted"):
        fail()
    assert during == [LeanForward, False]
    assert "forward" not in vars(model.policy)
    assert Distribution._validate_args is before
    copy.deepcopy(model.policy)


def test_a_policy_that_diverged_still_fails():
    model = PPO("MlpPolicy", LanesVecEnv(OpsDesk(2)), **SETTINGS)
    with torch.no_grad():
        model.policy.action_net.bias.fill_(float("nan"))
    with lean(model), pytest.raises(RuntimeError, match="probability tensor"):
        model.learn(128)


def test_other_policies_keep_their_own_pass():
    model = DQN("MlpPolicy", LanesVecEnv(OpsDesk(2)), device="cpu", buffer_size=10)
    assert not fits(model.policy)
    with lean(model):
        assert "forward" not in vars(model.policy)
