"""Kills a comparison at random moments, continues it, and compares with one that nobody disturbed.

    python benchmarks/kill_and_resume.py --kills 20 --executor local
    python benchmarks/kill_and_resume.py --kills 20 --executor ray

Each comparison is killed with SIGKILL and started again until it ends; then the next begins, until
there were as many kills as asked for. Status 1 if a finished run was made twice, if anything of a
dead command lives on, or if a result differs in anything but wall-clock columns.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

WORDS = (
    "env=lava_shortcut", "regime=autonomous,in_the_loop", "total_steps=3000",
    "eval_episodes=4", "agent.lanes=4", "workers=2", "display=none",
)  # fmt: skip
#: A dead command's processes end within this time: at once, but for two agents of Ray that were
#: being started when it died; they look for their cluster for up to 80 s.
END_SECONDS = 150.0
POLL_SECONDS = 0.05
#: Columns that hold wall-clock times.
CLOCK = ("wall_seconds", "train_wall_seconds")


class Differs(Exception):
    """What should have been the same is not."""


def start(folder: Path, out: str, words: Sequence[str]) -> subprocess.Popen[bytes]:
    """Starts a comparison in a session of its own; what it says on stderr is kept."""
    with (folder / f"{out}.err").open("ab") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "looplab.experiments.cli", "compare", *words, f"out={out}"],
            cwd=folder, stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True,
        )  # fmt: skip


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


def models(folder: Path) -> dict[str, int]:
    """When each finished run was made."""
    return {p.parent.name: p.stat().st_mtime_ns for p in folder.glob("runs/[!.]*/model.zip")}


def killed(folder: Path, out: str, words: Sequence[str], seconds: float) -> tuple[bool, float]:
    """Starts a comparison and kills it after ``seconds``.

    Returns:
        Whether it was still running, and for how many seconds it ran.
    """
    before, began = models(folder / out), time.monotonic()
    process = start(folder, out, words)
    try:
        status = process.wait(None if seconds == float("inf") else seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        status = process.wait()
    ran = time.monotonic() - began
    if status not in (0, -signal.SIGKILL):
        raise Differs(f"status {status}: {(folder / f'{out}.err').read_text()}")
    deadline = time.monotonic() + END_SECONDS
    while members(process.pid):
        if time.monotonic() > deadline:
            raise Differs(f"processes of a dead command live on: {members(process.pid)}")
        time.sleep(POLL_SECONDS)
    after = models(folder / out)
    if {run: after.get(run) for run in before} != before:
        raise Differs("a finished run was made again or has gone")
    return status != 0, ran


def check_same(left: Path, right: Path) -> None:
    """Compares all results of two comparisons."""
    if (left / "results.parquet").read_bytes() != (right / "results.parquet").read_bytes():
        raise Differs("results.parquet differs")
    one, other = (
        pd.read_parquet(folder / "runs.parquet").drop(columns=list(CLOCK), errors="ignore")
        for folder in (left, right)
    )
    pd.testing.assert_frame_equal(one, other)
    if list(right.glob("runs/.*")):
        raise Differs(f"half-written runs are left: {list(right.glob('runs/.*'))}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--executor", choices=("local", "ray"), default="local")
    parser.add_argument("--seeds", type=int, default=3, help="of a comparison: half of its runs")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    given = parser.parse_args()
    rng = random.Random(given.seed)
    here = (*WORDS, f"seeds={given.seeds}", "executor=local")
    words = (*here[:-1], f"executor={given.executor}")
    with tempfile.TemporaryDirectory() as temporary:
        folder, kills, out, span = Path(temporary), 0, 1, 0.0
        tried = (("timed", words),) if words != here else ()
        for name, how in (("undisturbed", here), *tried):
            disturbed, span = killed(folder, name, how, float("inf"))
            if disturbed:
                raise Differs(f"the {name} comparison was disturbed")
        check_same(folder / "undisturbed", folder / name)
        while kills < given.kills or (folder / f"out{out}").exists():
            seconds = rng.uniform(0.0, span) if kills < given.kills else float("inf")
            if killed(folder, f"out{out}", words, seconds)[0]:
                kills += 1
                made = len(models(folder / f"out{out}"))
                print(f"kill {kills:2d} after {seconds:5.1f} s: {made} runs finished", flush=True)
                continue
            check_same(folder / "undisturbed", folder / f"out{out}")
            print(f"comparison {out} ended, and equals the undisturbed one", flush=True)
            out += 1
    print(f"{kills} kills, {out - 1} comparisons, no difference, no run made twice")


if __name__ == "__main__":
    try:
        main()
    except Differs as fault:
        sys.exit(f"FAILED: {fault}")
