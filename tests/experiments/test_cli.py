"""Commands in this process: what they print, repeat and refuse, and completion in a real bash."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from looplab.experiments import bench, catalogue, cli, completion, doctor, serving, show
from looplab.experiments.composition import groups
from looplab.experiments.validation import validate

Looplab = Callable[..., Any]
Refused = Callable[..., str]


def test_without_a_command_there_is_help(looplab: Looplab) -> None:
    ended = looplab()
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == looplab("--help").out
    for name in cli.cli.commands:
        assert re.search(rf"^  {name} ", ended.out, re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("comparee",), "unknown command 'comparee'; did you mean 'compare'?"),
        (("xyzzy",), "unknown command 'xyzzy'; allowed: audit, bench, compare,"),
        (("train", "--dryrun"), "--dryrun"),
        (("--verbose",), "--verbose"),
        (("evaluate",), "MODEL"),
        (("report",), "FOLDER"),
        (("list", "a", "b"), "b"),
    ],
)
def test_wrong_commands_and_options_are_answered_in_one_line(
    words: Sequence[str], said: str, refused: Refused
) -> None:
    assert said in refused(*words)


# Training


def test_a_finished_training_is_not_repeated(
    looplab: Looplab, refused: Refused, tmp_path: Path, tiny: Sequence[str]
) -> None:
    words = ("train", "env=lava_shortcut", *tiny, "out=run")
    first = looplab(*words)
    assert (first.status, first.err) == (0, "")
    when = (tmp_path / "run" / "model.zip").stat().st_mtime_ns
    again = looplab(*words)
    assert again.out.splitlines()[0] == "this run is finished already; nothing is repeated"
    assert again.out.splitlines()[1:] == first.out.splitlines()[-len(again.out.splitlines()) + 1 :]
    assert (tmp_path / "run" / "model.zip").stat().st_mtime_ns == when
    line = refused(*words, "regime=feedback")
    assert "run holds another run, lava_shortcut-autonomous-ppo-s0-" in line
    assert "run holds another run" in refused(*words, "seed=1")


def test_a_training_goes_where_it_is_told(
    looplab: Looplab, tmp_path: Path, tiny: Sequence[str]
) -> None:
    ended = looplab("train", *tiny, "seed=2", "display=none")
    (folder,) = (tmp_path / "results" / "train").iterdir()
    assert folder.name.startswith("lava_shortcut-autonomous-ppo-s2-")
    assert ended.out.splitlines()[-1] == f"run: {folder.relative_to(tmp_path)}"


def test_a_folder_that_is_no_run_is_refused(
    refused: Refused, tmp_path: Path, tiny: Sequence[str]
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "strange").mkdir()
    (tmp_path / "strange" / "thesis.tex").write_text("")
    for out in ("file", "file/deeper", "strange", "."):
        assert f"{out}" in refused("train", *tiny, f"out={out}")


def test_a_dry_run_only_lists(looplab: Looplab, tmp_path: Path) -> None:
    for words in (("train", "--dry-run"), ("train", "dry_run=true")):
        ended = looplab(*words)
        assert re.fullmatch(
            r"lava_shortcut-autonomous-ppo-s0-\w{12}  100000 steps  -> results/train/\S+\n"
            r"estimate: (under a|about \d+) minutes?, \d+ [KM]iB on disk \(by a short trial\)\n",
            ended.out,
        )
    ended = looplab("compare", "experiment=first_look", "dry_run=true")
    lines = ended.out.splitlines()
    assert lines[0] == "results/first_look: 30 runs, 30 to do"
    assert len(lines) == 32
    assert all(
        line.startswith("  to do     ") and line.endswith("60000 steps") for line in lines[1:-1]
    )
    assert lines[-1].startswith("estimate: ")
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_refuses_what_cannot_run(refused: Refused) -> None:
    assert "agent=sac" in refused("compare", "--dry-run", "agent=ppo,sac")
    assert "agent=sac" in refused("train", "--dry-run", "agent=sac")


# Choices


def test_list_shows_every_choice(looplab: Looplab) -> None:
    lines = looplab("list").out.splitlines()
    heads = [line.removesuffix("=") for line in lines if line.endswith("=") and line[0] != " "]
    assert heads == list(groups())
    assert len(lines) == len(heads) + sum(map(len, groups().values()))


# Failures


def test_what_nobody_foresaw_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(name: str | None) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("looplab.experiments.catalogue.catalogue", fails)
    with pytest.raises(ZeroDivisionError):
        cli.main(["list"])


def test_a_reader_that_goes_away_is_no_fault() -> None:
    command = f"{sys.executable} -W error -m looplab.experiments.cli list | head -n 1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == "agent=\n"
    assert done.stderr == ""


# Doctor


def test_the_doctor_finds_a_sound_machine_well(looplab: Looplab, tmp_path: Path) -> None:
    ended = looplab("doctor")
    assert (ended.status, ended.err) == (0, "")
    assert "0 violations" in ended.out
    assert "FAILED" not in ended.out
    assert ended.out.splitlines()[-1] == "all is well"
    assert list(tmp_path.iterdir()) == []


def test_the_doctor_s_finding_is_the_status(
    looplab: Looplab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_train", lambda say: False)
    ended = looplab("doctor")
    assert ended.status == 1
    assert ended.out.splitlines()[-1].startswith("something is wrong")


# Completion

#: Completes the last of the parts that bash has made of a line, as its Tab key does.
COMPLETE = """
eval "$(_LOOPLAB_COMPLETE=bash_source looplab)"
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
_looplab_completion looplab "${COMP_WORDS[-1]}"
echo "${COMPREPLY[@]}"
"""
Tab = Callable[..., str]


@pytest.fixture
def tab(tmp_path: Path) -> Tab:
    """A function that gives bash a line in the parts that it makes of it, and presses Tab."""
    if shutil.which("bash") is None:
        pytest.skip("needs bash")
    program = tmp_path / "bin" / "looplab"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m looplab.experiments.cli "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"

    def press(*parts: str) -> str:
        done = subprocess.run(
            ["bash", "-c", COMPLETE, "bash", "looplab", *parts],
            env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stderr == ""
        return done.stdout.strip()

    return press


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("lis", "list"),
        ("audit ve", "verify"),
        ("live checkp", "checkpoint_steps="),
        ("live peo", ""),
        ("serve po", "port="),
        ("serve env", ""),
        ("train env = ops_d", "ops_desk"),
        ("train env =", " ".join(groups()["env"])),
        ("train env = ops_desk,lav", "ops_desk,lava_shortcut"),
        ("train regime = on_the_loop protocol.l", "protocol.lag="),
        ("compare --dry-run total", "total_steps="),
        ("train nothing", ""),
        ("train tune", ""),
        ("list reg", "regimes"),
        ("compare executor = r", "ray"),
        ("compare executor = ray executor.ad", "executor.address="),
        ("bench so", "solve"),
        ("bench solve lava", "lava_shortcut"),
        ("show --policy ref", "reference"),
        ("validate erlang_", "erlang_c"),
        ("validate erlang_c erlang_", ""),
    ],
)
def test_tab_completes_in_bash_which_parts_words_at_the_equals_sign(
    line: str, offered: str, tab: Tab
) -> None:
    assert tab(*line.split(" ")) == offered


def test_words_that_are_written_down_for_completion_are_those_that_there_are() -> None:
    plurals = completion.argument_words("list", "what")
    assert sorted(plurals) == sorted(catalogue.PLURALS)
    assert tuple(validate.CHECKS) == completion.CHECKS
    assert tuple(bench.BENCHES) == completion.BENCHES
    assert serving.AUDITS == completion.AUDITS
    assert show.POLICIES == completion.POLICIES


def test_tab_after_a_finished_word_offers_keys(tab: Tab) -> None:
    assert {"env=", "regime=", "seed="} <= set(tab("train", "env", "=", "ops_desk", "").split())
