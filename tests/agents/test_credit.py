"""Credit: which action reaches the buffers, with which log-probability and reward."""

import numpy as np
import pytest
import torch

from looplab.agents.credit import CreditedReplay, CreditedRollouts
from looplab.agents.lanes_vec_env import LanesVecEnv
from looplab.agents.sb3 import Agent, train
from looplab.envs.desks.ops_desk import OpsDesk
from looplab.envs.errors import UsageError
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.oversight import (
    Correction,
    Gate,
    Halt,
    OverseenVecEnv,
    ScriptedOverseer,
    Signal,
    Veto,
    VetoWindow,
)

ROLLOUT = {"n_steps": 40, "batch_size": 40, "n_epochs": 1}


def ppo(protocol, signal, lanes=None):
    venv = OverseenVecEnv(LanesVecEnv(lanes or OpsDesk(3)), protocol, signal=signal)
    venv.seed(4)
    agent = Agent("ppo", 3, ROLLOUT)
    agent.check(venv.oversight.lanes, protocol, venv.oversight.signal.credit)
    model = agent.build(venv, seed=4)
    agent.probe(model, venv.oversight)
    return model, venv


def record_rollout(model, venv):
    """Records of one rollout, and what the buffer kept of it, both (steps, n)."""
    kept = []
    add = model.rollout_buffer.add

    def adding(*arguments):
        add(*arguments)
        kept.append(venv.oversight.last)

    model.rollout_buffer.add = adding
    model.train = lambda: None
    model.learn(120)
    return kept, model.rollout_buffer


@pytest.mark.parametrize("credited", ["proposed", "executed"])
def test_ppo_stores_the_credited_action_with_its_log_probability(credited):
    gate = Gate(overseer=ScriptedOverseer(false_alarm_rate=0.2), fallback=Correction())
    model, venv = ppo(gate, Signal(credit=credited))
    records, buffer = record_rollout(model, venv)
    differing = 0
    for step, record in enumerate(records):
        wanted = record.proposed if credited == "proposed" else record.executed
        assert buffer.actions[step, :, 0].tolist() == wanted.tolist()
        differing += int((record.proposed != record.executed).sum())
        with torch.no_grad():
            observations = torch.as_tensor(buffer.observations[step])
            _, expected, _ = model.policy.evaluate_actions(observations, torch.as_tensor(wanted))
        np.testing.assert_allclose(buffer.log_probs[step], expected.numpy(), atol=1e-6)
    assert differing > 5


def test_credit_executed_keeps_the_proposal_where_the_episode_was_stopped():
    gate = Gate(overseer=ScriptedOverseer(false_alarm_rate=0.2), fallback=Halt())
    model, venv = ppo(gate, Signal(credit="executed"))
    records, buffer = record_rollout(model, venv)
    halted = 0
    for step, record in enumerate(records):
        halted += int(record.halted.sum())
        assert buffer.actions[step, :, 0].tolist() == record.proposed.tolist()
    assert halted > 5


@pytest.mark.parametrize(
    "protocol",
    [
        Gate(overseer=ScriptedOverseer(review_seconds=2.0), world="running"),
        VetoWindow(window=2),
    ],
)
def test_discarded_proposals_are_not_learned_from(protocol):
    model, venv = ppo(protocol, Signal())
    records, buffer = record_rollout(model, venv)
    assert isinstance(buffer, CreditedRollouts)
    discarded = np.stack([record.unconsidered for record in records])
    considered = int((~discarded).sum())
    assert 0 < considered < discarded.size
    wanted = sorted(buffer.returns[~discarded].tolist())
    batches = list(buffer.get(7))
    assert sum(len(batch.actions) for batch in batches) == considered
    got = sorted(torch.cat([batch.returns for batch in batches]).tolist())
    np.testing.assert_allclose(got, wanted, rtol=1e-6)


def test_minibatches_without_discarded_proposals_are_stock():
    model, venv = ppo(Gate(), Signal())
    _, buffer = record_rollout(model, venv)
    assert sum(len(batch.actions) for batch in buffer.get(50)) == 120


def replayed(credited, penalty=0.5, protocol=None):
    gate = protocol or Gate(overseer=ScriptedOverseer(false_alarm_rate=0.3), fallback=Correction())
    venv = OverseenVecEnv(
        LanesVecEnv(OpsDesk(3)), gate, signal=Signal(credit=credited, penalty=penalty)
    )
    venv.seed(4)
    settings = {"buffer_size": 3000, "learning_starts": 10_000, "train_freq": 1}
    agent = Agent("dqn", 3, settings)
    agent.check(venv.oversight.lanes, gate, credited)
    model = agent.build(venv, seed=4)
    records = []
    step = venv.oversight.step

    def stepping(actions):
        records.append(step(actions))
        return records[-1]

    venv.oversight.step = stepping
    train(model, 300)
    return records, model.replay_buffer


def test_dqn_stores_the_credited_action_and_reward():
    for credited in ("proposed", "executed", "both"):
        records, buffer = replayed(credited)
        refused = np.stack([record.refused for record in records])
        assert refused.sum() > 20
        for step, record in enumerate(records):
            wanted = record.proposed if credited == "proposed" else record.executed
            assert buffer.actions[step, :, 0].tolist() == wanted.tolist()
            reward = record.reward if credited == "both" else record.learning_reward
            np.testing.assert_allclose(buffer.rewards[step], reward, atol=1e-6)


def test_both_keeps_refused_proposals_as_terminal_with_their_penalty():
    records, buffer = replayed("both", penalty=0.5)
    assert isinstance(buffer, CreditedReplay)
    rows = [
        (int(record.proposed[lane]), float(record.reward[lane] - 0.5))
        for record in records
        for lane in np.flatnonzero(record.refused)
    ]
    np.random.seed(0)  # noqa: NPY002 - the generator that SB3's buffers use
    sample = buffer.sample(20_000)
    stored = 300 + len(rows)
    terminal = sample.dones[:, 0].numpy() == 1
    assert abs(terminal.mean() - len(rows) / stored) < 0.02
    seen = {
        (int(action), round(float(reward), 5))
        for action, reward in zip(
            sample.actions[terminal, 0], sample.rewards[terminal, 0], strict=True
        )
    }
    assert seen == {(action, round(reward, 5)) for action, reward in rows}


def test_combinations_without_a_sound_meaning_are_refused_by_name():
    with pytest.raises(UsageError, match="credit=both needs an off-policy algorithm: PPO"):
        ppo(Gate(), Signal(credit="both"))
    running = Gate(overseer=ScriptedOverseer(review_seconds=2.0), world="running")
    with pytest.raises(UsageError, match="credit=proposed with DQN where proposals wait"):
        replayed("proposed", protocol=running)
    replayed("executed", protocol=running)
    replayed("both", protocol=running)


def test_executed_credit_under_an_override_stores_what_ran():
    model, venv = ppo(Veto(lag=1), Signal(credit="executed"), LavaShortcut(3))
    records, buffer = record_rollout(model, venv)
    overridden = np.stack([record.standby for record in records])
    assert overridden.any()
    executed = np.stack([record.executed for record in records])
    assert (buffer.actions[:, :, 0] == executed).all()
