"""MaskablePPO: it never proposes what rules forbid, and its files are plain sb3-contrib's."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.buffers import MaskableRolloutBuffer
from stable_baselines3 import PPO

from looplab.agents.credit import MaskedRollouts
from looplab.agents.lanes_vec_env import LanesVecEnv
from looplab.agents.lean import fits, lean
from looplab.agents.loading import load
from looplab.agents.proposing import propose
from looplab.agents.sb3 import Agent, save, train
from looplab.envs.desks.ops_desk import CHECK, FAST, OpsDesk
from looplab.envs.errors import UsageError
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.envs.worlds.point_hazard import PointHazard
from looplab.oversight import (
    Adaptive,
    Autonomous,
    Behind,
    ConfidenceBelow,
    Forbid,
    Gate,
    OverseenVecEnv,
    Revision,
    RiskLimit,
    Rules,
    Signal,
    Stack,
)

SETTINGS = {"n_steps": 32, "batch_size": 64, "n_epochs": 2}
AGENT = Agent("maskable_ppo", 4, SETTINGS)


def overseen(protocol, lanes=None, seed=0, signal=None):
    venv = OverseenVecEnv(LanesVecEnv(OpsDesk(4) if lanes is None else lanes), protocol,
                          signal=signal)  # fmt: skip
    venv.seed(seed)
    return venv


def trained(protocol, lanes=None, steps=512):
    venv = overseen(protocol, lanes)
    model = AGENT.build(venv, seed=1)
    assert train(model, steps) == steps
    return model, venv


@pytest.mark.parametrize(
    "protocol",
    [
        Rules(RiskLimit(0.0, "exact")),
        Rules(revision=Revision(every=64)),
        Behind(1.0, revision=Revision(every=64)),
        Stack(Rules(Forbid(FAST)), Gate()),
    ],
)
@pytest.mark.parametrize("task", [OpsDesk, LavaShortcut])
def test_it_never_proposes_what_is_forbidden(protocol, task):
    _, venv = trained(protocol, task(4))
    totals = venv.oversight.totals
    assert totals["steps"] == 512
    rules = protocol if isinstance(protocol, Rules) else None
    if rules is not None and rules.rules:  # an exact limit: nothing unsafe was even proposed
        assert totals["unsafe_proposals"] == totals["violations"] == 0
    if not isinstance(protocol, Stack):  # a gate refuses on its own account
        assert totals["interventions"] == totals["penalties"] == 0


def test_its_buffer_keeps_masks_and_leaves_out_discarded_proposals():
    protocol = Stack(Rules(Forbid(CHECK)), Gate(world="running", step_seconds=5.0))
    model, _ = trained(protocol, steps=128)
    buffer = model.rollout_buffer
    assert type(buffer) is MaskedRollouts
    masks = buffer.action_masks.reshape(-1, 4)
    assert masks.tolist() == [[1.0, 0.0, 1.0, 1.0]] * 128
    assert not buffer.considered.all()
    batches = list(buffer.get(16))
    assert sum(len(batch.actions) for batch in batches) == int(buffer.considered.sum())
    assert all((batch.action_masks == torch.tensor([1.0, 0.0, 1.0, 1.0])).all()
               for batch in batches)  # fmt: skip


def test_it_learns_as_stock_maskable_ppo_does_under_the_same_masks():
    """Rewards of truncated lanes are bootstrapped at once instead of one by one, no more."""

    def weights(ours):
        venv = overseen(Rules(Forbid(CHECK)), OpsDesk(4, max_episode_steps=1000), seed=2)
        if ours:
            model = AGENT.build(venv, seed=7)
            train(model, 512)
        else:
            model = MaskablePPO("MlpPolicy", venv, seed=7, device="cpu",
                                policy_kwargs={"net_arch": [64, 64]}, **SETTINGS)  # fmt: skip
            venv.seed(2)
            model.learn(512)
        return model.policy.state_dict()

    ours, stock = weights(True), weights(False)
    assert all(torch.equal(ours[name], stock[name]) for name in stock)


def test_the_lean_forward_pass_keeps_away():
    model, _ = trained(Rules(Forbid(FAST)), steps=128)
    assert not fits(model.policy)
    with lean(model):
        assert "forward" not in vars(model.policy)


def test_its_confidence_can_be_read():
    protocol = Stack(Rules(Forbid(FAST)), Gate(ConfidenceBelow(0.5)))
    venv = overseen(protocol)
    model = AGENT.build(venv, seed=1)
    AGENT.check(venv.oversight.lanes, protocol, "proposed")
    AGENT.probe(model, venv.oversight)
    train(model, 128)
    record = venv.oversight.last
    assert record.policy.probabilities[:, FAST].max() < 1e-6
    np.testing.assert_allclose(record.policy.probabilities.sum(axis=1), 1.0, rtol=1e-5)


def test_alone_it_proposes_what_it_likes():
    model, venv = trained(Rules(Forbid(FAST)), steps=128)
    observation = venv.reset()
    torch.manual_seed(0)
    assert all(FAST not in propose(model, venv, observation, False) for _ in range(50))
    alone = overseen(Autonomous())
    observation = alone.reset()
    assert any(FAST in propose(model, alone, observation, False) for _ in range(50))


def test_a_saved_model_loads_where_looplab_is_not_installed_and_here(tmp_path):
    model, venv = trained(Rules(revision=Revision(every=64)))
    path = tmp_path / "model.zip"
    save(model, path)
    observation = venv.reset()
    masks = np.tile([True, True, False, True], (4, 1))
    expected, _ = model.predict(observation, deterministic=True, action_masks=masks)
    loaded = load(path, venv)
    assert type(loaded) is MaskablePPO
    found, _ = loaded.predict(observation, deterministic=True, action_masks=masks)
    assert found.tolist() == expected.tolist()
    assert type(load(path, venv, trust=True)) is MaskablePPO
    np.save(tmp_path / "observation.npy", observation)
    script = f"""
        import sys
        class Blocked:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] == "looplab":
                    raise ImportError(name)
        sys.meta_path.insert(0, Blocked())
        import numpy as np
        from sb3_contrib import MaskablePPO
        model = MaskablePPO.load({str(path)!r}, device="cpu")
        observation = np.load({str(tmp_path / "observation.npy")!r})
        masks = np.tile([True, True, False, True], (4, 1))
        print(model.predict(observation, deterministic=True, action_masks=masks)[0].tolist())
        print(model.rollout_buffer_class.__name__)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True,
                          text=True, check=True)  # fmt: skip
    assert done.stdout.splitlines() == [str(expected.tolist()), MaskableRolloutBuffer.__name__]


def test_a_plain_ppo_file_stays_plain(tmp_path):
    venv = overseen(Rules(Forbid(FAST)))
    PPO("MlpPolicy", LanesVecEnv(OpsDesk(4)), device="cpu").save(tmp_path / "model.zip")
    loaded = load(tmp_path / "model.zip", venv)
    assert type(loaded) is PPO
    propose(loaded, venv, venv.reset(), True)


@pytest.mark.parametrize(
    ("lanes", "protocol", "credit", "said"),
    [
        (OpsDesk(4), Gate(), "proposed", "agent=maskable_ppo proposes what rules allow, and this"),
        (OpsDesk(4), Adaptive([Rules(Forbid(0)), Autonomous()]), "proposed", "regime=rules"),
        (OpsDesk(4), Rules(Forbid(0)), "executed", "credit=executed has no meaning for Maskable"),
        (OpsDesk(4), Rules(Forbid(0)), "both", "credit=both needs an off-policy algorithm"),
        (PointHazard(4), Rules(revision=Revision()), "proposed", "maskable_ppo cannot act in Box"),
    ],
)
def test_what_has_no_masks_is_refused_by_name(lanes, protocol, credit, said):
    with pytest.raises(UsageError, match=said):
        AGENT.check(lanes, protocol, credit)
    assert Signal(credit=credit)  # the credit itself is known
