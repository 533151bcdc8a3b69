"""The command line from outside: statuses, single lines, help and completion."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
def outside(tmp_path: Path) -> Run:
    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*MAIN, *words],
            cwd=tmp_path, env={**os.environ, **environment}, capture_output=True, text=True,
            timeout=SECONDS, check=False,
        )  # fmt: skip

    return run


#: What is wrong with a command line, and what its answer names.
BAD_INPUT = [
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
]


@pytest.mark.parametrize(("words", "said"), BAD_INPUT, ids=[" ".join(w) for w, _ in BAD_INPUT])
def test_bad_input_is_one_line_with_status_2_and_leaves_nothing(
    refused: Callable[..., str], words: tuple[str, ...], said: tuple[str, ...]
) -> None:
    line = refused(*words)
    assert all(text in line for text in said), line


@pytest.mark.parametrize(("words", "said"), [BAD_INPUT[1], BAD_INPUT[3]])
def test_bad_input_is_refused_from_outside_too(
    outside: Run, tmp_path: Path, words: tuple[str, ...], said: tuple[str, ...]
) -> None:
    done = outside(*words)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert all(text in line for text in said), line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_explains_itself(outside: Run, name: str) -> None:
    done = outside(name, "--help")
    assert done.returncode == 0
    assert f"looplab {name}" in done.stdout


def test_help_and_version_are_quick_to_import(outside: Run) -> None:
    assert __version__ in outside("--version").stdout
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
def test_tab_completes_keys_choices_and_commands(outside: Run, typed: str, offered: str) -> None:
    done = outside(
        _LOOPLAB_COMPLETE="bash_complete",
        COMP_WORDS=typed,
        COMP_CWORD=str(len(typed.split()) - 1),
    )
    assert f"plain,{offered}" in done.stdout.splitlines()


@pytest.mark.usefixtures("undrawn")
def test_train_evaluate_report_and_list_work_together(
    outside: Run, looplab: Callable[..., Any], tmp_path: Path
) -> None:
    trained = outside("train", *TINY, "regime=in_the_loop", "seed=3", "out=here")
    assert trained.returncode == 0, trained.stderr
    assert "eval_alone" in trained.stdout
    assert json.loads((tmp_path / "here" / "metrics.json").read_text())["steps"] == 64
    again = looplab("train", *TINY, "regime=in_the_loop", "seed=3", "out=here")
    assert "finished already" in again.out
    judged = looplab("evaluate", "here/model.zip", "regime=in_the_loop", "eval_episodes=2")
    assert judged.status == 0, judged.err
    assert "eval_overseen" in judged.out
    words = ("regime=autonomous,feedback", "seeds=2", "workers=1", "out=both")
    compared = looplab("compare", *TINY, *words)
    assert compared.status == 0, compared.err
    assert (tmp_path / "both" / "report.html").is_file()
    (tmp_path / "both" / "report.html").unlink()
    reported = outside("report", "both")
    assert reported.returncode == 0, reported.stderr
    assert (tmp_path / "both" / "report.html").is_file()
    listed = outside("list", "regimes").stdout
    assert "on_the_loop" in listed
    assert "takes over for three steps" in listed


def test_a_dry_run_lists_runs_and_writes_nothing(
    looplab: Callable[..., Any], tmp_path: Path
) -> None:
    done = looplab("compare", *TINY, "env=ops_desk,lava_shortcut", "seeds=2", "--dry-run")
    assert done.status == 0
    assert done.out.count("-s0-") == 2
    assert done.out.count("-s1-") == 2
    assert list(tmp_path.iterdir()) == []


def test_a_loaded_model_acts_in_plain_sb3(looplab: Callable[..., Any], tmp_path: Path) -> None:
    from stable_baselines3 import PPO

    assert looplab("train", *TINY, "out=here").status == 0
    model = PPO.load(tmp_path / "here" / "model.zip", device="cpu")
    observation = LanesVecEnv(LavaShortcut(2)).reset()
    assert np.isin(model.predict(observation)[0], range(5)).all()
