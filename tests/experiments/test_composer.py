"""Composition, held against Hydra's own."""

from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf

from looplab import CONFIG_DIR
from looplab.experiments.composer import Composer

ROOT = "config"
#: Words that use every part of Hydra's that LoopLab's files and users do.
SAMPLES = {
    "defaults": [],
    "values": ["env=ops_desk", "regime=on_the_loop", "protocol.lag=3", "seed=7", "out='a b'"],
    "a regime's own part replaced": ["regime=in_the_loop", "trigger=risk", "trigger.tau=0.1"],
    "keys added": ["+agent.settings.clip_range=0.1", "++agent.settings.gamma=0.9"],
    "mappings and lists": ["agent.hidden=[32]", "+agent.settings.policy_kwargs={a:{b:[1]}}"],
    "interpolations": ["out=x-${env.slip}-${seed}"],
    "settings of a task for an agent": ["env=taxi", "agent=dqn", "total_steps=10"],
    "settings of a mode": ["env=lava_shortcut", "tuned=lava_shortcut_aligned_ppo"],
    "an experiment": ["experiment=trigger_frontier", "env=ops_desk"],
    "another trial": ["experiment=fleet_capacity", "trial=fleet"],
    "one part built on another": ["overseer=panel", "regime=panel"],
}


@pytest.fixture(scope="module")
def composer() -> Composer:
    """One that remembers, for all tests."""
    return Composer(str(CONFIG_DIR), ROOT)


def by_hydra(words: list[str]) -> tuple[Any, dict[str, Any]]:
    """What Hydra makes of the words, without what it says of itself."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONFIG_DIR), version_base=None):
        config = compose(ROOT, overrides=words, return_hydra_config=True)
    choices = dict(config.hydra.runtime.choices)
    OmegaConf.set_struct(config, False)
    del config["hydra"]
    plain = OmegaConf.to_container(config, resolve=True)
    return plain, {key: name for key, name in choices.items() if not key.startswith("hydra/")}


@pytest.mark.parametrize("name", SAMPLES)
def test_composition_is_hydras(name: str, composer: Composer) -> None:
    wanted = by_hydra(SAMPLES[name])
    for _ in range(2):  # what is remembered is the same
        found = composer.compose(SAMPLES[name])
        assert found == wanted
        assert repr(found[0]) == repr(wanted[0])  # in the same order, of the same types


def test_what_a_caller_changes_is_changed_for_nobody_else(composer: Composer) -> None:
    wanted, choices = composer.compose(["env=ops_desk"])
    found, others = composer.compose(["env=ops_desk"])
    found["env"].clear()
    others.clear()
    assert composer.compose(["env=ops_desk"]) == (wanted, choices)


@pytest.mark.parametrize(
    "words",
    [
        ["env=nowhere"],
        ["nothing=1"],
        ["seed=1,2"],
        ["env.nothing=1"],
        ["regime=in_the_loop", "+seed=3"],
    ],
)
def test_what_hydra_refuses_is_refused(words: list[str], composer: Composer) -> None:
    with pytest.raises(HydraException) as ours:
        composer.compose(words)
    with pytest.raises(HydraException) as theirs:
        by_hydra(words)
    assert type(ours.value) is type(theirs.value)
    assert str(ours.value).splitlines()[0] == str(theirs.value).splitlines()[0]


def test_another_folder_is_another_composition(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("a: 1\nb: ${a}\n")
    assert Composer(str(tmp_path), ROOT).compose(["a=2"]) == ({"a": 2, "b": 2}, {})
