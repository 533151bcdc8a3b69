"""Comparisons that are killed or interrupted, and then continued by the same command."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from looplab.experiments.compare import compare

WORDS = ("env=lava_shortcut", "regime=autonomous,in_the_loop", "seeds=2", "total_steps=6000")
SHORT = ("eval_episodes=4", "agent.lanes=4")
WAIT_SECONDS = 120.0
KILLS = Path(__file__).parents[2] / "benchmarks" / "kill_and_resume.py"
KILL_SECONDS = 800.0
POLL_SECONDS = 0.002
#: After so long the workers' server has begun to import what it needs, and is not done.
STARTING_SECONDS = 0.5

Process = subprocess.Popen[str]
Start = Callable[..., Process]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Results of the same comparison that nobody disturbed, made in one process."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    compare([*WORDS, *SHORT], workers=1, display="none", out=str(out))
    return (out / "results.parquet").read_bytes()


def until(condition: Callable[[], object], process: Process | None = None) -> None:
    """Waits until something is so; fails if the process ends before."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(POLL_SECONDS)


def members(session: int) -> list[int]:
    """Living processes of a session, read from /proc."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                state, *fields = (place / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[2]) == session and state not in "ZX":
                found.append(int(place.name))
    return found


class Folder:
    """A results folder, while it is being filled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def finished(self) -> dict[str, int]:
        return {
            path.parent.name: path.stat().st_mtime_ns
            for path in self.path.glob("runs/[!.]*/model.zip")
        }

    def halves(self) -> list[Path]:
        return list(self.path.glob("runs/.*"))

    def collecting(self) -> bool:
        return len(self.finished()) == 4


#: Moments at which a comparison is disturbed, by what can be seen in its folder.
MOMENTS: dict[str, Callable[[Folder], object]] = {
    "before any run": lambda folder: (folder.path / ".lock").exists(),
    "in the first runs": lambda folder: folder.halves(),
    "between runs": lambda folder: folder.finished(),
    "while collecting": lambda folder: folder.collecting(),
}
linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")


@linux
@pytest.mark.slow
def test_a_comparison_that_is_killed_continues_where_it_stopped(
    started: Start, tmp_path: Path, undisturbed: bytes
) -> None:
    words = ("compare", *WORDS, *SHORT, "workers=2", "out=out")
    folder = Folder(tmp_path / "out")
    kept: dict[str, int] = {}
    for moment, reached in MOMENTS.items():
        if moment == "before any run":
            (tmp_path / "out").mkdir()
        process = started(*words)
        until(lambda reached=reached: reached(folder), process)  # type: ignore[misc]
        process.send_signal(signal.SIGKILL)
        _, errors = process.communicate()
        until(lambda session=process.pid: not members(session))  # type: ignore[misc]
        assert process.returncode == -signal.SIGKILL
        assert "Traceback" not in errors, moment
        finished = folder.finished()
        assert {run: finished[run] for run in kept} == kept, moment
        kept = finished
    assert len(kept) == 4
    last = started(*words)
    out, errors = last.communicate()
    assert (last.returncode, errors) == (0, "")
    assert out.splitlines()[0] == "4 runs, 0 to do, in out"
    assert folder.finished() == kept
    assert folder.halves() == []
    assert (tmp_path / "out" / "results.parquet").read_bytes() == undisturbed


@linux
@pytest.mark.parametrize("wait_seconds", [0.0, STARTING_SECONDS, 4.0])
def test_what_imports_in_advance_ends_with_its_parent(wait_seconds: float, started: Start) -> None:
    process = started("compare", *WORDS, *SHORT, "workers=2", "out=out")
    until(lambda: len(members(process.pid)) > 2, process)  # it, the tracker, and the server
    time.sleep(wait_seconds)
    process.send_signal(signal.SIGKILL)
    until(lambda: not members(process.pid))
    _, errors = process.communicate()
    assert errors == ""


@linux
@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")  # by what continues; what was interrupted draws
@pytest.mark.parametrize("moment", [*MOMENTS, "while workers start"])
def test_ctrl_c_ends_in_one_line_and_the_same_command_continues(
    moment: str, started: Start, tmp_path: Path, undisturbed: bytes
) -> None:
    words = ("compare", *WORDS, *SHORT, "workers=2", "out=out")
    folder = Folder(tmp_path / "out")
    process = started(*words)
    if moment == "while workers start":
        until(lambda: len(members(process.pid)) > 2, process)  # it, the tracker, and the server
        time.sleep(STARTING_SECONDS)
    else:
        until(lambda: MOMENTS[moment](folder), process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all processes
    _, errors = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 130
    assert errors.strip() == "looplab: interrupted; the same command continues"
    until(lambda: not members(process.pid))
    assert folder.halves() == []
    kept = folder.finished()
    compare([*WORDS, *SHORT], workers=1, display="none", out=str(tmp_path / "out"))
    assert {run: when for run, when in folder.finished().items() if run in kept} == kept
    assert (tmp_path / "out" / "results.parquet").read_bytes() == undisturbed


@linux
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_worker_that_is_killed_costs_its_run_only(
    number: int, started: Start, tmp_path: Path, undisturbed: bytes
) -> None:
    folder = Folder(tmp_path / "out")
    process = started("compare", *WORDS, *SHORT, "workers=2", "out=out")
    until(folder.halves, process)
    (half, *_) = folder.halves()
    os.kill(int(half.name.rsplit("-", 1)[1]), number)
    out, errors = process.communicate(timeout=WAIT_SECONDS)
    assert (process.returncode, errors) == (0, "")
    assert sum(line.startswith("finished") for line in out.splitlines()) == 4
    assert folder.halves() == []
    assert (tmp_path / "out" / "results.parquet").read_bytes() == undisturbed


@linux
@pytest.mark.slow
def test_a_training_that_is_interrupted_leaves_nothing(started: Start, tmp_path: Path) -> None:
    words: Sequence[str] = ("train", "env=lava_shortcut", "total_steps=400000", "out=run")
    for number, status in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        process = started(*words)
        until(lambda: list(tmp_path.glob(".run.partial-*/tensorboard")), process)
        process.send_signal(number)
        _, errors = process.communicate(timeout=WAIT_SECONDS)
        assert process.returncode == status
        assert "Traceback" not in errors
        assert not (tmp_path / "run").exists()
        assert bool(list(tmp_path.glob(".run.partial-*"))) == (number == signal.SIGKILL)
    last = started("train", "env=lava_shortcut", "total_steps=800", "eval_episodes=2", "out=run")
    _, errors = last.communicate(timeout=WAIT_SECONDS)
    assert (last.returncode, errors) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]  # what was half-written is gone


@linux
@pytest.mark.slow
@pytest.mark.parametrize("executor", ["local", "ray"])
def test_kills_at_random_moments_change_nothing(executor: str) -> None:
    if executor == "ray":
        pytest.importorskip("ray")
    words = ("--kills", "2", "--seeds", "1", "--executor", executor)
    done = subprocess.run(
        [sys.executable, str(KILLS), *words], capture_output=True, text=True, timeout=KILL_SECONDS
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"2 kills, \d+ comparisons, no difference, no run made twice", done.stdout)
