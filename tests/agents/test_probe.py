"""Confidence: read from the algorithm's own forward pass, for one step, or refused."""

from typing import Any

import numpy as np
import pytest
import torch

from looplab.agents.lanes_vec_env import LanesVecEnv
from looplab.agents.probe import PolicyOutput, probe
from looplab.agents.sb3 import Agent, train
from looplab.envs.desks.ops_desk import OpsDesk
from looplab.envs.errors import UsageError
from looplab.oversight import ConfidenceBelow, Gate, NextBest, OverseenVecEnv


def built(agent, gate):
    venv = OverseenVecEnv(LanesVecEnv(OpsDesk(4)), gate)
    venv.seed(1)
    model = agent.build(venv, seed=1)
    return model, venv, agent.probe(model, venv.oversight)


PPO_AGENT = Agent("ppo", 4, {"n_steps": 20, "batch_size": 40, "n_epochs": 2})


def test_confidence_is_the_policys_probability_of_its_proposal():
    gate = Gate(ConfidenceBelow(0.25))
    model, venv, _ = built(PPO_AGENT, gate)
    seen = []
    step = venv.oversight.step

    def stepping(actions):
        observation = torch.as_tensor(venv.oversight.lanes.observation.copy())
        record = step(actions)
        with torch.no_grad():
            _, log_probability, _ = model.policy.evaluate_actions(
                observation, torch.as_tensor(actions)
            )
        # the evaluation above made another distribution; what the gate read is in the record
        expected = np.exp(log_probability.numpy())
        np.testing.assert_allclose(record.policy.confidence, expected, rtol=1e-5)
        assert (record.asked == (record.policy.confidence <= 0.25)).all()
        seen.append(record.asked.mean())
        return record

    venv.oversight.step = stepping
    model.train = lambda: None
    model.learn(160)
    assert 0.0 < np.mean(seen) < 1.0


def test_training_itself_is_not_taken_for_acting():
    model, venv, _ = built(PPO_AGENT, Gate(ConfidenceBelow(0.25)))
    train(model, 240)  # several updates between rollouts
    assert venv.oversight.totals["reviews"] > 0


def test_a_step_without_a_forward_pass_of_its_own_is_refused():
    model, venv, reader = built(PPO_AGENT, Gate(ConfidenceBelow(0.25)))
    observation = venv.reset()
    actions, _ = model.predict(observation)
    venv.step(actions)
    with pytest.raises(UsageError, match="made no forward pass"):
        venv.step(actions)
    model.predict(observation[:2])
    with pytest.raises(UsageError, match="made no forward pass"):
        reader(actions)
    model.policy.evaluate_actions(torch.as_tensor(observation), torch.as_tensor(actions))
    with pytest.raises(UsageError, match="made no forward pass"):
        reader(actions)


def test_next_best_takes_the_second_most_probable_action():
    gate = Gate(overseer=lambda p: ["reject"] * len(p), fallback=NextBest())
    model, venv, _ = built(PPO_AGENT, gate)
    observation = venv.reset()
    actions, _ = model.predict(observation, deterministic=True)
    venv.step(actions)
    with torch.no_grad():
        chances = model.policy.get_distribution(torch.as_tensor(observation)).distribution.probs
    assert venv.oversight.last.executed.tolist() == chances.argsort(dim=1)[:, -2].tolist()


def test_a_dqns_softmax_and_its_exploration():
    agent = Agent(
        "dqn",
        4,
        {"learning_starts": 0, "buffer_size": 500},
        confidence="softmax_q",
        temperature=0.5,
    )
    model, venv, reader = built(agent, Gate(ConfidenceBelow(0.9)))
    observation = venv.reset()
    greedy, _ = model.predict(observation, deterministic=True)
    with torch.no_grad():
        values = model.q_net(torch.as_tensor(observation))
    expected = torch.softmax(values / 0.5, dim=1).numpy()
    np.testing.assert_allclose(reader(greedy).probabilities, expected, rtol=1e-5)
    np.testing.assert_allclose(reader(greedy).confidence, 0.25)  # no pass since: exploration
    model.q_net.set_training_mode(True)
    model.q_net(torch.as_tensor(observation))
    np.testing.assert_allclose(reader(greedy).confidence, 0.25)  # training is not acting
    reader.close()
    assert not model.q_net._forward_hooks


def test_models_without_probabilities_are_refused():
    model, _, _ = built(Agent("dqn", 4, {"buffer_size": 100}), Gate())
    with pytest.raises(UsageError, match="DQN has no action probabilities"):
        probe(model)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_confidence_is_that_of_the_proposed_action_in_floats_of_any_size(kind: Any) -> None:
    chances = np.array([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]])
    known = PolicyOutput(np.log(chances).astype(kind), np.array([2, 1]))
    assert known.confidence.dtype == np.float64
    np.testing.assert_allclose(known.confidence, [0.25, 0.75], rtol=1e-3)
