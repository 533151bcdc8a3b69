"""Tabular Q-learning: its update, its choices, its table, its credit and its file."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.env_util import make_vec_env

from looplab.agents.lanes_vec_env import LanesVecEnv
from looplab.agents.loading import load
from looplab.agents.q_learning import QLearning
from looplab.agents.sb3 import Agent, save, train
from looplab.agents.table_policy import TablePolicy, observations_of
from looplab.envs.adapters import cliff_walking, frozen_lake, taxi
from looplab.envs.desks.ops_desk import OpsDesk
from looplab.envs.errors import UsageError
from looplab.envs.grids.classics.cliff_walking import CliffWalking
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.oversight import Autonomous, Gate, OverseenVecEnv, Signal
from looplab.oversight.fallbacks import Correction

UP, RIGHT, DOWN, LEFT = range(4)
START = 36


def learner(lanes=None, protocol=None, signal=None, seed=0, **settings):
    venv = OverseenVecEnv(
        LanesVecEnv(lanes or CliffWalking(2)), protocol or Autonomous(), signal=signal
    )
    venv.seed(seed)
    agent = Agent("q_learning", venv.num_envs, settings)
    return agent.build(venv, seed), venv


def table(values, epsilon=0.0):
    """A policy over as many one-hot observations as there are rows."""
    count, actions = np.shape(values)
    space = gym.spaces.Box(0.0, 1.0, (count,), np.float32)
    rows = np.eye(count, dtype=np.float32)
    policy = TablePolicy(space, gym.spaces.Discrete(actions), lambda _: 0.0, rows, epsilon=epsilon)
    policy.values[:] = values
    return policy


def test_lanes_are_learned_from_one_after_the_other():
    policy = table([[0.0, 0.0], [4.0, 2.0], [8.0, 1.0]])
    policy.learn_from(
        np.array([0, 0, 1, 2]),
        np.array([1, 1, 0, 0]),
        (np.array([1.0, 1.0, -2.0, np.nan]), np.array([1, 1, 2, 0]), np.array([0, 0, 1, 0]) > 0),
        alpha=0.5,
        gamma=0.5,
    )
    # 0.5 (1 + 0.5 * 4) = 1.5, and once more 1.5 + 0.5 (3 - 1.5); 4 + 0.5 (-2 - 4); NaN: nothing
    assert policy.values.tolist() == [[0.0, 2.25], [1.0, 2.0], [8.0, 1.0]]


def test_choices_are_epsilon_greedy_and_ties_are_drawn():
    policy = table([[1.0, 5.0, 5.0, 0.0]])
    torch.manual_seed(1)
    rows = np.zeros(20_000, np.int64)
    greedy = np.bincount(policy.choose(rows, 0.0), minlength=4) / len(rows)
    assert greedy[[0, 3]].tolist() == [0.0, 0.0]
    assert greedy[1] == pytest.approx(0.5, abs=0.02)
    exploring = np.bincount(policy.choose(rows, 0.4), minlength=4) / len(rows)
    assert exploring == pytest.approx([0.1, 0.4, 0.4, 0.1], abs=0.02)
    assert policy.best(rows[:1]).tolist() == [1]


def test_the_cliff_is_learned_as_sutton_and_barto_say():
    model, venv = learner(CliffWalking(8))
    train(model, 8_000)
    rows = [row for row in venv.oversight.episodes if row["end_step"] > 4_000]
    assert -80 < np.mean([row["task_return"] for row in rows]) < -30  # their figure: about -50
    venv = LanesVecEnv(CliffWalking(1))
    observation, total = venv.reset(), 0.0
    for _ in range(50):
        observation, reward, done, _ = venv.step(model.predict(observation, deterministic=True)[0])
        total += float(reward[0])
        if done[0]:
            break
    assert total == -13.0  # along the edge


@pytest.mark.parametrize(
    ("last", "expected"), [({"TimeLimit.truncated": True}, 0.5 * (1 + 10)), ({}, 0.5)]
)
def test_a_truncated_episode_goes_on_in_its_value(last, expected):
    model, _ = learner(CliffWalking(1))
    values = model.policy.values
    values[5] = 10.0
    infos = [{"terminal_observation": model.policy.observations.numpy()[5], **last}]
    rows, done = np.array([3]), np.array([True])
    model._learn_from(rows, np.array([1]), np.array([1.0]), np.array([0]), done, infos)
    assert values[3, 1] == expected


def place(model, cell):
    return int(model.policy.rows(np.eye(48, dtype=np.float32)[cell][None])[0])


@pytest.mark.parametrize(
    ("signal", "proposed", "ran"),
    [
        (Signal(), -0.5, 0.0),  # the proposal is credited with what the correction did
        (Signal(penalty=1.0), -1.0, 0.0),
        (Signal(credit="executed"), 0.0, -0.5),
        (Signal(credit="executed", penalty=1.0), 0.0, -1.0),  # the correction pays the penalty
        (Signal(credit="both", penalty=1.0), -1.0, -0.5),
    ],
)
def test_credit_says_which_action_is_learned_about(signal, proposed, ran, monkeypatch):
    model, _ = learner(CliffWalking(1), Gate(fallback=Correction()), signal)
    monkeypatch.setattr(
        TablePolicy, "choose", lambda self, rows, epsilon: np.full(len(rows), RIGHT)
    )
    model.learn(1)
    values = model.policy.values[place(model, START)]
    assert values.tolist() == [ran, proposed, 0.0, 0.0]


def test_same_seed_same_table():
    def learned(seed):
        model, _ = learner(LavaShortcut(4), seed=seed, gamma=0.98)
        train(model, 2_000)
        return model.policy.values.copy()

    assert (learned(3) == learned(3)).all()
    assert (learned(3) != learned(4)).any()


@pytest.mark.parametrize("trust", [False, True])
def test_a_file_keeps_table_rows_and_exploration(trust, tmp_path):
    model, _ = learner(CliffWalking(2), epsilon=0.25)
    train(model, 500)
    save(model, tmp_path / "model.zip")
    loaded = load(tmp_path / "model.zip", LanesVecEnv(CliffWalking(2)), trust)
    assert isinstance(loaded, QLearning)
    assert (loaded.policy.values == model.policy.values).all()
    assert loaded.epsilon == float(loaded.policy.epsilon) == 0.25
    observations = np.eye(48, dtype=np.float32)[[0, 7, START]]
    expected = model.predict(observations, deterministic=True)[0]
    assert (loaded.predict(observations, deterministic=True)[0] == expected).all()
    with pytest.raises(UsageError, match="does not fit this environment"):
        load(tmp_path / "model.zip", LanesVecEnv(LavaShortcut(1)))


def test_an_observation_without_a_row_is_named():
    model, _ = learner()
    with pytest.raises(UsageError, match="the table of 38 has no row"):
        model.predict(np.full((1, 48), 0.5, np.float32))


@pytest.mark.parametrize(
    ("lanes", "rows"), [(cliff_walking.lanes, 48), (frozen_lake.lanes, 16), (taxi.lanes, 500)]
)
def test_tables_of_other_peoples_tasks_hold_every_observation(lanes, rows):
    task = lanes(2)
    listed = observations_of(task)
    assert listed.shape == (rows, task.observation_space.shape[0])
    known = {row.tobytes() for row in listed}
    task.reseed(0)
    seen = task.reset()
    rng = np.random.default_rng(0)
    for _ in range(100):
        assert {row.astype(np.float32).tobytes() for row in seen} <= known
        step = task.step(rng.integers(0, task.action_space.n, 2))
        seen = task.reset(step.terminated | step.truncated)


def test_numbered_observations_need_no_list_and_no_oversight():
    venv = make_vec_env("FrozenLake-v1", 2, seed=0, env_kwargs={"is_slippery": False})
    rows = np.arange(16, dtype=np.float32)[:, None]
    model = QLearning(
        "TablePolicy", venv, gamma=0.9, initial_value=1.0, seed=0,
        policy_kwargs={"observations": rows},
    )  # fmt: skip
    model.learn(4_000)
    observation, reward = venv.reset(), np.zeros(2)
    for _ in range(6):  # the shortest way
        observation, reward, *_ = venv.step(model.predict(observation, deterministic=True)[0])
    assert reward.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("lanes", "protocol", "settings", "said"),
    [
        (OpsDesk(1), Gate(), {}, "needs a task that lists its observations"),
        (CliffWalking(1), Gate(), {"epsilon": 2}, "epsilon must be a number in"),
        (CliffWalking(1), Gate(), {"learning_rate": -1}, "learning_rate must be a number in"),
        (CliffWalking(1), Gate(), {"initial_value": float("inf")}, "must be finite"),
        (CliffWalking(1), Gate(world="running"), {}, "credit=proposed with QLearning"),
    ],
)
def test_what_has_no_table_or_sense_is_refused(lanes, protocol, settings, said):
    def build():
        Agent("q_learning", 1, settings).check(lanes, protocol, "proposed")
        learner(lanes, protocol, **settings)

    with pytest.raises(UsageError, match=said):
        build()
