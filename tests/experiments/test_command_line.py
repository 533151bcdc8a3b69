"""The command line from outside: statuses, single lines, help and completion."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from looplab import __version__
from looplab.agents.lanes_vec_env import LanesVecEnv
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.experiments.cli import cli

Run = Callable[..., subprocess.CompletedProcess[str]]
SECONDS = 240
TINY = ("total_steps=64", "eval_episodes=2", "display=plain")
MAIN = (sys.executable, "-W", "error", "-m", "looplab.experiments.cli")


@pytest.fixture
def looplab(tmp_path: Path) -> Run:
    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*MAIN, *words],
            cwd=tmp_path, env={**os.environ, **environment}, capture_output=True, text=True,
            timeout=SECONDS, check=False,
        )  # fmt: skip

    return run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("train", "env=lava_shortcutt"), ("'lava_shortcutt'", "lava_shortcut")),
        (("trian",), ("'trian'", "train")),
        (("train", "totl_steps=5"), ("totl_steps", "total_steps")),
        (("train", "overseer.mis_rate=0.1"), ("overseer.mis_rate", "overseer.miss_rate")),
        (("train", "overseer.miss_rate=1.5", "regime=in_the_loop"), ("miss_rate", "[0, 1]", "1.5")),
        (("train", "regime=in_the_lop"), ("in_the_lop", "in_the_loop")),
        (("train", "agent=sac"), ("agent=sac cannot act in Discrete", "ppo")),
        (("train", "agent=dqn", "regime=in_the_loop", "trigger=confidence"), ("softmax_q",)),
        (("train", "total_steps=many"), ("total_steps", "many")),
        (("train", "env"), ("env", "key=value")),
        (("compare", "seeds=0"), ("seeds", "0")),
        (("compare", "env=ops_desk", "executor=moon"), ("moon", "local")),
        (("evaluate", "missing.zip"), ("no model file at missing.zip",)),
        (("report", "nowhere"), ("nowhere",)),
        (("list", "regimez"), ("regimez", "regimes")),
        (("bench", "--json", "no/such/file.json"), ("no/such/file.json",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_bad_input_is_one_line_with_status_2_and_leaves_nothing(
    looplab: Run, tmp_path: Path, words: tuple[str, ...], said: tuple[str, ...]
) -> None:
    done = looplab(*words)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1
    assert all(text in lines[0] for text in said), lines[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_explains_itself(looplab: Run, name: str) -> None:
    done = looplab(name, "--help")
    assert done.returncode == 0
    assert f"looplab {name}" in done.stdout


def test_help_and_version_are_quick_to_import(looplab: Run) -> None:
    assert __version__ in looplab("--version").stdout
    script = (
        "import sys; from looplab.experiments.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit: pass\n"
        "print({'torch', 'hydra', 'pandas', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().endswith("set()")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("looplab train en", "env="),
        ("looplab train env=ops", "env=ops_desk"),
        ("looplab compare env=ops_desk,lava", "env=ops_desk,lava_shortcut"),
        ("looplab compare regime=in_the_loop_c", "regime=in_the_loop_correction"),
        ("looplab trai", "train"),
    ],
)
def test_tab_completes_keys_choices_and_commands(looplab: Run, typed: str, offered: str) -> None:
    done = looplab(
        _LOOPLAB_COMPLETE="bash_complete",
        COMP_WORDS=typed,
        COMP_CWORD=str(len(typed.split()) - 1),
    )
    assert f"plain,{offered}" in done.stdout.splitlines()


def test_train_evaluate_report_and_list_work_together(looplab: Run, tmp_path: Path) -> None:
    trained = looplab("train", *TINY, "regime=in_the_loop", "seed=3", "out=here")
    assert trained.returncode == 0, trained.stderr
    assert "eval_alone" in trained.stdout
    assert json.loads((tmp_path / "here" / "metrics.json").read_text())["steps"] == 64
    again = looplab("train", *TINY, "regime=in_the_loop", "seed=3", "out=here")
    assert "finished already" in again.stdout
    judged = looplab("evaluate", "here/model.zip", "regime=in_the_loop", "eval_episodes=2")
    assert judged.returncode == 0, judged.stderr
    assert "eval_overseen" in judged.stdout
    compared = looplab("compare", *TINY, "regime=autonomous,feedback", "seeds=2", "out=both")
    assert compared.returncode == 0, compared.stderr
    assert (tmp_path / "both" / "report.html").is_file()
    (tmp_path / "both" / "report.html").unlink()
    assert looplab("report", "both").returncode == 0
    assert (tmp_path / "both" / "report.html").is_file()
    listed = looplab("list", "regimes").stdout
    assert "on_the_loop" in listed
    assert "takes over for three steps" in listed


def test_a_dry_run_lists_runs_and_writes_nothing(looplab: Run, tmp_path: Path) -> None:
    done = looplab("compare", *TINY, "env=ops_desk,lava_shortcut", "seeds=2", "--dry-run")
    assert done.returncode == 0
    assert done.stdout.count("-s0-") == 2
    assert done.stdout.count("-s1-") == 2
    assert list(tmp_path.iterdir()) == []


def test_a_loaded_model_acts_in_plain_sb3(looplab: Run, tmp_path: Path) -> None:
    from stable_baselines3 import PPO

    assert looplab("train", *TINY, "out=here").returncode == 0
    model = PPO.load(tmp_path / "here" / "model.zip", device="cpu")
    observation = LanesVecEnv(LavaShortcut(2)).reset()
    assert np.isin(model.predict(observation)[0], range(5)).all()
