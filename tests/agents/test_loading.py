"""Anybody's model file: weights only, unless it is trusted."""

import base64
import io
import json
import pickle
import zipfile

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.policies import ActorCriticCnnPolicy
from torch import nn

from looplab.agents.lanes_vec_env import LanesVecEnv
from looplab.agents.loading import load
from looplab.envs.desks.ops_desk import OpsDesk
from looplab.envs.errors import UsageError
from looplab.envs.grids.lava_shortcut import LavaShortcut


def ops():
    return LanesVecEnv(OpsDesk(2))


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (PPO, {}),
        (PPO, {"net_arch": [32, 16]}),
        (PPO, {"net_arch": {"pi": [8], "vf": [16, 16]}, "activation_fn": nn.ReLU}),
        (A2C, {}),
        (DQN, {"net_arch": [24]}),
    ],
)
def test_a_foreign_model_acts_as_it_did(kind, settings, tmp_path):
    venv = ops()
    original = kind("MlpPolicy", venv, policy_kwargs=settings, seed=3, device="cpu")
    original.save(tmp_path / "model")
    loaded = load(tmp_path / "model.zip", venv)
    observation = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    expected, _ = original.predict(observation, deterministic=True)
    assert loaded.predict(observation, deterministic=True)[0].tolist() == expected.tolist()


def test_a_continuous_foreign_model_acts_as_it_did(tmp_path):
    env = gym.make("Pendulum-v1")
    original = SAC(
        "MlpPolicy", env, policy_kwargs={"net_arch": [20, 10]}, device="cpu", buffer_size=9
    )
    original.save(tmp_path / "model")
    loaded = load(tmp_path / "model.zip", env)
    observation = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    expected, _ = original.predict(observation, deterministic=True)
    np.testing.assert_allclose(loaded.predict(observation, deterministic=True)[0], expected)


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def plant(path, target):
    """A model file whose readable part unpickles into a file being made."""
    PPO("MlpPolicy", ops(), device="cpu").save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    data = json.loads(parts["data"])
    data["policy_class"][":serialized:"] = base64.b64encode(pickle.dumps(Bomb(target))).decode()
    parts["data"] = json.dumps(data).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def test_code_in_a_model_file_does_not_run_unless_it_is_trusted(tmp_path):
    path, target = tmp_path / "model.zip", tmp_path / "ran"
    plant(path, target)
    load(path, ops())
    assert not target.exists()
    with pytest.warns(ResourceWarning), pytest.raises(Exception):  # noqa: B017, PT011
        load(path, ops(), trust=True)
    assert target.exists(), "the planted code is harmless: the test proves nothing"


def test_pickled_weights_are_refused(tmp_path):
    path, target = tmp_path / "model.zip", tmp_path / "ran"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("policy.pth", pickle.dumps(Bomb(target)))
    with pytest.raises(UsageError, match="holds no plain weights"):
        load(path, ops())
    assert not target.exists()


def test_what_is_no_such_model_is_named(tmp_path):
    with pytest.raises(UsageError, match="no model file at"):
        load(tmp_path / "missing.zip", ops())
    (tmp_path / "text.zip").write_text("hello")
    with pytest.raises(UsageError, match="not a zip file"):
        load(tmp_path / "text.zip", ops())
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme", "hello")
    with pytest.raises(UsageError, match=r"holds no policy\.pth"):
        load(tmp_path / "other.zip", ops())
    TD3("MlpPolicy", gym.make("Pendulum-v1"), device="cpu", buffer_size=9).save(tmp_path / "td3")
    with pytest.raises(UsageError, match="not the model of a known family"):
        load(tmp_path / "td3.zip", gym.make("Pendulum-v1"))


def test_a_model_of_another_task_is_named(tmp_path):
    PPO("MlpPolicy", ops(), device="cpu").save(tmp_path / "model")
    with pytest.raises(UsageError, match="does not fit this environment"):
        load(tmp_path / "model.zip", LanesVecEnv(LavaShortcut(2)))
    DQN("MlpPolicy", ops(), device="cpu", buffer_size=9).save(tmp_path / "dqn")
    with pytest.raises(UsageError, match="is a DQN model and cannot act in Box"):
        load(tmp_path / "dqn.zip", gym.make("Pendulum-v1"))


@pytest.mark.filterwarnings("error")
def test_files_that_hold_something_else_are_answered_in_a_few_words(tmp_path):
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("notes.txt", "x")
    with pytest.raises(UsageError, match=r"other.zip is no Stable-Baselines3 model: it holds no"):
        load(tmp_path / "other.zip", ops())
    with zipfile.ZipFile(tmp_path / "pickle.zip", "w") as archive:
        archive.writestr("policy.pth", pickle.dumps(Bomb(str(tmp_path / "bomb"))))
    with pytest.raises(UsageError, match=r"pickle.zip holds no plain weights: .{1,80}$"):
        load(tmp_path / "pickle.zip", ops())


def test_weights_that_are_not_finite_are_named(tmp_path):
    model = PPO("MlpPolicy", ops(), device="cpu")
    nn.init.constant_(model.policy.action_net.bias, float("nan"))
    model.save(tmp_path / "model")
    with pytest.raises(UsageError, match=r"that are not finite: action_net\.bias"):
        load(tmp_path / "model.zip", ops())


def test_a_model_of_pictures_is_refused_briefly(tmp_path):
    env = gym.make("CartPole-v1")
    model = PPO("MlpPolicy", env, device="cpu")
    pixels = gym.spaces.Box(0, 255, (3, 36, 36), np.uint8)
    policy = ActorCriticCnnPolicy(pixels, gym.spaces.Discrete(4), lambda _: 1e-3)
    model.policy = policy
    model.save(tmp_path / "model")
    with pytest.raises(UsageError, match="has no plain MLP policy") as caught:
        load(tmp_path / "model.zip", ops())
    assert len(str(caught.value).partition("MLP policy")[2]) < 200


def rewritten(path, **parts):
    """A model file with some of its parts replaced; None: left out."""
    PPO("MlpPolicy", ops(), device="cpu").save(path)
    with zipfile.ZipFile(path) as archive:
        kept = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (kept | parts).items():
            if content is not None:
                archive.writestr(name, content)
    return path


def pickled(weights):
    buffer = io.BytesIO()
    torch.save(weights, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"data": b"[1, 2]"}, "its data is no mapping$"),
        ({"data": b"3"}, "its data is no mapping$"),
        ({"policy.pth": pickled([torch.zeros(2)])}, r"its policy\.pth names no tensors$"),
        ({"policy.pth": pickled({"action_net.weight": 3})}, r"its policy\.pth names no tensors$"),
        ({"policy.pth": pickled({3: torch.zeros(2)})}, r"its policy\.pth names no tensors$"),
    ],
)
def test_parts_of_a_file_that_hold_something_else_are_named(parts, said, trust, tmp_path):
    path = rewritten(tmp_path / "model.zip", **parts)
    with pytest.raises(UsageError, match=f"model.zip is no Stable-Baselines3 model: {said}"):
        load(path, ops(), trust)


def test_weights_without_size_fit_nothing(tmp_path):
    scalars = {"action_net.weight": torch.tensor(1.0)}
    scalars["mlp_extractor.policy_net.0.weight"] = torch.tensor(1.0)
    path = rewritten(tmp_path / "model.zip", **{"policy.pth": pickled(scalars)})
    with pytest.raises(UsageError, match="does not fit this environment"):
        load(path, ops())


def test_a_file_without_data_is_read_by_its_weights_alone(tmp_path):
    path = rewritten(tmp_path / "model.zip", data=None)
    assert isinstance(load(path, ops()), PPO)
    with pytest.raises(UsageError, match="holds no data to unpickle; its weights need no trust"):
        load(path, ops(), trust=True)


def test_a_trusted_file_that_cannot_be_unpickled_is_answered_in_one_line(tmp_path):
    path = rewritten(tmp_path / "model.zip", data=b"{}")
    with pytest.raises(UsageError, match=r"model.zip cannot be unpickled: \w+: ") as caught:
        load(path, ops(), trust=True)
    assert "\n" not in str(caught.value)
