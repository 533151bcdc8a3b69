"""README: its Python runs, its commands are understood, its files are there."""

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from looplab.experiments.classroom.demo import asked as lesson_asked
from looplab.experiments.cli import cli
from looplab.experiments.fleet_study import asked
from looplab.experiments.live import asked as live_asked
from looplab.experiments.overrides import plan
from looplab.experiments.own_words import read_own, split_words
from looplab.experiments.power_words import asked as power_asked
from looplab.experiments.solving import native_presets

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = [
    line
    for block in re.findall(r"```console\n(.*?)```", README, flags=re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]
SECONDS = 240


def test_the_readme_has_examples() -> None:
    assert len(BLOCKS) >= 3
    assert len(COMMANDS) >= 6


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_python_blocks_run(block: str, tmp_path: Path) -> None:
    script = tmp_path / "example.py"
    script.write_text(block, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", script.name],
        cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip(), "the example prints nothing"


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command: str) -> None:
    program, name, *words = shlex.split(command)
    if program == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        assert re.search(rf"^{name}:", makefile, flags=re.MULTILINE)
        return
    if program == "python":
        assert name == "-m"
        assert importlib.util.find_spec(f"{words[0]}.__main__") is not None
        return
    assert program == "looplab"
    assert name in cli.commands
    overrides = [word for word in words if "=" in word]
    if name == "demo":
        assert lesson_asked(overrides).own["host"]
    elif name == "fleet":
        assert asked(words).own["agents"]
    elif name == "live":
        assert live_asked(words).own["deadlines"]
    elif name == "serve":
        assert read_own("serve", words)["port"] == 8700
    elif name in ("practice", "study"):
        own, rest = split_words(name, overrides)
        assert own["questions"]
        assert plan(rest, sweeps=False).cells
    elif name == "power":
        assert power_asked(words).effects
    elif overrides:
        assert plan(overrides, sweeps=name == "compare").cells


def test_every_regime_of_the_table_exists_and_none_is_missing() -> None:
    table = README.split("## Regimes")[1].split("## Tasks")[0]
    named = set(re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE))
    assert named == {file.stem for file in (ROOT / "configs" / "regime").glob("*.yaml")}


def test_pictures_and_links_are_there() -> None:
    targets = re.findall(r"\]\((docs/[^)#]+)\)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_the_test_command_is_what_ci_runs() -> None:
    assert "make test" in COMMANDS
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").rstrip().endswith("make test")


def test_every_native_task_is_in_the_table() -> None:
    table = README.split("## Tasks")[1].split("Every task of LoopLab")[0]
    named = set(re.findall(r"`(\w+)`", table))
    assert set(native_presets()) - named == set()
