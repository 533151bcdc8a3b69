"""What identifies a run, and folders that are whole or not there."""

import errno
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from looplab.envs.errors import UsageError
from looplab.experiments.overrides import plan
from looplab.experiments.store import (
    HASH_DIGITS,
    RUN_BYTES,
    check_same,
    check_writable,
    identity,
    is_finished,
    locked,
    remove_partial,
    run_name,
    write_manifest,
    written_whole,
)

Usage = namedtuple("Usage", "total used free")
DEAD_PROCESS = 2**22 + 1  # above the largest number that Linux gives to a process


def config(*words: str) -> dict[str, Any]:
    keys = [word.split("=")[0] for word in words]
    usual = [w for w in ("env=ops_desk", "regime=in_the_loop") if w.split("=")[0] not in keys]
    return plan([*usual, *words], sweeps=False).cells[0]


def manifest(*words: str) -> dict[str, Any]:
    asked = plan(words)
    runs = [
        {"run": run_name({**cell, "seed": seed}), "seed": seed, "cell": cell["cell"]}
        for cell in asked.cells
        for seed in asked.seeds
    ]
    return {
        "name": "comparison", "version": "1", "axes": list(asked.axes), "settings": asked.settings,
        "runs": runs,
    }  # fmt: skip


# Identity


@pytest.mark.parametrize(
    "word",
    [
        "out=elsewhere",
        "workers=7",
        "display=none",
        "dry_run=true",
        "executor=ray",
        "other_version=apart",
    ],
)
def test_how_to_run_does_not_change_the_identity(word: str) -> None:
    assert identity(config(word)) == identity(config())


@pytest.mark.parametrize(
    "word",
    [
        "seed=1", "env=lava_shortcut", "regime=in_the_loop_penalty", "env.max_episode_steps=49",
        "agent=dqn", "agent.lanes=8",
        "agent.settings.gamma=0.97", "fallback=halt", "trigger=risk", "overseer.miss_rate=0.1",
        "signal=penalty", "protocol.world=running", "total_steps=5", "eval_episodes=7",
        "tolerance=0.1", "wage_per_hour=31", "fee_per_review=1", "max_decisions=5",
        "+overseer.name=other",
    ],
)  # fmt: skip
def test_what_to_run_changes_the_identity(word: str) -> None:
    assert identity(config(word)) != identity(config())


@pytest.mark.parametrize("key", ["cell", "out", "executor", "workers", "display", "dry_run"])
def test_names_and_ways_of_running_are_no_part_of_the_identity(key: str) -> None:
    assert identity({**config(), key: "other"}) == identity(config())


def test_the_identity_is_of_the_content_not_of_how_it_was_said() -> None:
    said = config("protocol=gate", "trigger=always", "tolerance=0", "fallback=hold")
    assert identity(said) == identity(config())
    assert identity(dict(reversed(list(said.items())))) == identity(config())
    assert len(identity(said)) == HASH_DIGITS


def test_a_run_is_named_after_its_cell_seed_and_hash() -> None:
    named = config("seed=4")
    assert run_name(named) == f"ops_desk-in_the_loop-ppo-s4-{identity(named)}"


# Folders


def test_a_folder_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "run"
    with written_whole(target) as folder:
        (folder / "metrics.json").write_text("{}")
        assert not target.exists()
    assert is_finished(target)
    assert [path.name for path in target.parent.iterdir()] == ["run"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), ConnectionError("gone")])
def test_nothing_is_left_of_a_folder_that_failed(tmp_path: Path, error: BaseException) -> None:
    def fail() -> None:
        with written_whole(tmp_path / "run") as folder:
            (folder / "half").write_text("written")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    said = "cannot write .*run: No space left on device"
    with pytest.raises(UsageError, match=said), written_whole(tmp_path / "run"):
        raise full
    assert list(tmp_path.iterdir()) == []


def test_of_two_that_finish_the_same_run_the_first_one_stays(tmp_path: Path) -> None:
    target = tmp_path / "run"
    with written_whole(target) as folder:
        (folder / "metrics.json").write_text("second")
        target.mkdir()
        (target / "metrics.json").write_text("first")
    assert (target / "metrics.json").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_only_what_dead_processes_left_is_removed(tmp_path: Path) -> None:
    for process in (DEAD_PROCESS, os.getpid()):
        (tmp_path / f".run.partial-{process}").mkdir()
    (tmp_path / "run").mkdir()
    remove_partial(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"run", f".run.partial-{os.getpid()}"}


# Room and permission


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(UsageError, match="is a file, not a folder"):
            check_writable(out, 1)


def test_permission_is_asked_for_first(tmp_path: Path) -> None:
    refused = pytest.raises(UsageError, match=r"cannot write /proc/looplab|/proc")
    with refused, locked(Path("/proc/looplab")):
        pytest.fail("nobody can write there")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    if not os.access(closed, os.W_OK):  # the superuser may write everywhere
        with pytest.raises(UsageError, match="no permission to write in"):
            check_writable(closed / "new", 1)


def test_room_is_counted_by_what_runs_will_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, 5 * 2**20))
    check_writable(tmp_path / "new", 9, 5 * 2**20)
    with pytest.raises(UsageError, match=r"9 runs may need 6 MiB, 5 MiB are free"):
        check_writable(tmp_path / "new", 9, 5 * 2**20 + 1)


def test_room_is_counted_per_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = 3 * RUN_BYTES
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, free))
    check_writable(tmp_path / "new", 3)
    with pytest.raises(UsageError, match=r"no space .*4 runs may need 32 MiB, 24 MiB are free"):
        check_writable(tmp_path / "new", 4)
    assert not (tmp_path / "new").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one mebibyte."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True
    )
    if made.returncode:
        pytest.skip("file systems may not be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_run_does_not_fill_a_small_disk(small_disk: Path) -> None:
    with pytest.raises(UsageError, match="no space"):
        check_writable(small_disk / "new", 1)
    with (
        pytest.raises(UsageError, match="No space left"),
        written_whole(small_disk / "run") as folder,
    ):
        (folder / "large").write_bytes(bytes(2**21))
    assert list(small_disk.iterdir()) == []


# Locks

HOLD = """
import sys, time
from pathlib import Path
from looplab.experiments.store import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_folder_belongs_to_one_process_until_it_dies(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with (
            pytest.raises(UsageError, match="another looplab is working in"),
            locked(tmp_path),
        ):
            pytest.fail("two processes hold the folder")
        other.kill()
    with locked(tmp_path):
        assert (tmp_path / ".lock").exists()


# Comparisons

COMPARED = ("env=ops_desk", "regime=autonomous", "seeds=2", "total_steps=500")


@pytest.mark.parametrize(
    "changed",
    [
        ("env=ops_desk", "regime=autonomous", "seeds=5", "total_steps=500"),
        ("env=ops_desk", "regime=autonomous", "seeds=7,9", "total_steps=500"),
        ("env=ops_desk,lava_shortcut", "regime=in_the_loop", "seeds=2", "total_steps=500"),
        ("env=ops_desk", "regime=autonomous", "agent=ppo,dqn", "seeds=2", "total_steps=500"),
        (*COMPARED, "workers=1", "display=none", "out=x"),
    ],
)
def test_more_seeds_and_cells_belong_to_a_comparison(
    tmp_path: Path, changed: tuple[str, ...]
) -> None:
    assert check_same(tmp_path, manifest(*COMPARED)) == {}
    write_manifest(tmp_path, manifest(*COMPARED))
    assert check_same(tmp_path, manifest(*changed)) == manifest(*COMPARED)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (("total_steps=600",), "its total_steps is 500, not 600"),
        (("eval_episodes=9",), "its eval_episodes is 200, not 9"),
        (("fallback=halt",), "its fallback is not set, not halt"),
        (("overseer.miss_rate=0.1",), "its overseer.miss_rate is not set, not 0.1"),
        (("env.max_episode_steps=20,30",), "its axes are env, regime, algo, not env"),
    ],
)
def test_another_comparison_is_refused_and_told_apart(
    tmp_path: Path, changed: tuple[str, ...], said: str
) -> None:
    write_manifest(tmp_path, manifest(*COMPARED))
    kept = [word for word in COMPARED if word.split("=")[0] not in changed[0]]
    with pytest.raises(UsageError, match="holds another comparison") as caught:
        check_same(tmp_path, manifest(*kept, *changed))
    assert said in str(caught.value)
    assert "give another out=" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_name_is_refused(tmp_path: Path) -> None:
    write_manifest(tmp_path, manifest(*COMPARED))
    with pytest.raises(UsageError, match="its name is comparison, not first_look"):
        check_same(tmp_path, {**manifest(*COMPARED), "name": "first_look"})


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(UsageError, match=r"holds thesis\.tex, but no comparison"):
        check_same(tmp_path, manifest(*COMPARED))


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"name": "comparison"', '{"axes": 3}'])
def test_a_damaged_manifest_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "comparison.json").write_text(text)
    with pytest.raises(UsageError, match=r"comparison\.json|another comparison") as caught:
        check_same(tmp_path, manifest(*COMPARED))
    assert "\n" not in str(caught.value)
