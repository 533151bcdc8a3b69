"""Runs as jobs that submitit starts on this machine, in place of Slurm."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from looplab.envs.errors import UsageError
from looplab.experiments.build import make
from looplab.experiments.executors import Local
from looplab.experiments.job import Job
from looplab.experiments.slurm import JOBS, Slurm
from looplab.experiments.store import is_finished, lives

pytest.importorskip("submitit")
WAIT_SECONDS = 240.0
pytestmark = [pytest.mark.usefixtures("broken"), pytest.mark.slow]


def test_jobs_make_the_runs_that_this_process_makes(
    job: Callable[..., Job], tmp_path: Path, watching: Any
) -> None:
    wrong = job("Raises")
    there = [job(seed=seed) for seed in range(2)]
    here = [Job(one.name, one.config, tmp_path / "here" / one.name) for one in there[:1]]
    notes = watching()
    (failure,) = Slurm("local", runs_per_job=3)([wrong, *there], None, notes)
    assert failure.name == wrong.name
    assert failure.message == "ArithmeticError: the wires burnt"
    assert "Traceback" in failure.details
    assert notes.of(wrong)[-1] == "finished"
    assert (tmp_path / "runs" / JOBS).is_dir()  # with the logs
    assert Local()(here, 1, watching()) == []
    for one, other in zip(here, there, strict=False):
        for name in ("episodes.parquet", "decisions.parquet", "config.yaml"):
            assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes(), name
    assert all(notes.of(one) == ["started", "finished"] for one in there)


def test_a_job_that_dies_costs_its_run_one_more_try(job: Callable[..., Job], watching: Any) -> None:
    recovers, dies = job("DiesOnce"), job("Dies")
    notes = watching()
    (failure,) = Slurm("local")([recovers, dies], 2, notes)
    assert failure.name == dies.name
    assert re.match(r"its job \d+ died \(", failure.message)
    assert is_finished(recovers.folder)
    assert len(notes.of(recovers)) >= 2
    assert notes.of(recovers)[-1] == "finished"


DRIVER = "from looplab.experiments.cli import main; import sys; main(sys.argv[1:])"


def test_jobs_outlive_the_command_and_are_found_again(tmp_path: Path, tiny: Sequence[str]) -> None:
    words = (
        "compare", "env=lava_shortcut", "seeds=2", *tiny, "executor=slurm",
        "executor.cluster=local", "workers=1", "out=out", "display=plain",
    )  # fmt: skip
    command = [sys.executable, "-c", DRIVER, *words]
    driver = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    jobs = tmp_path / "out" / "runs" / JOBS
    until(lambda: list(jobs.glob("*.steps")), driver)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    (submitted,) = jobs.glob("*_submitted.pkl")
    number = int(submitted.name.split("_")[0])
    assert lives(number)
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=WAIT_SECONDS
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert sum(line.startswith("finished") for line in done.stdout.splitlines()) == 2
    assert not jobs.exists()
    assert len(list(tmp_path.glob("out/runs/*/model.zip"))) == 2
    assert not lives(number)


def until(condition: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        assert process.poll() is None
        time.sleep(0.05)


def test_settings_reach_sbatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bin"
    fake.mkdir()
    for name in ("sbatch", "srun"):
        (fake / name).write_text("#!/bin/sh\n")
        (fake / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake}{os.pathsep}{os.environ['PATH']}")
    slurm = Slurm(
        partition="long", account="lab", time_minutes=90, memory_gb=8, cpus=2,
        setup=["module load python"], extra={"qos": "low"},
    )  # fmt: skip
    text = slurm.submitter(tmp_path)._executor._make_submission_file_text("run", "0")
    for line in (
        "--partition=long", "--account=lab", "--time=90", "--mem=8GB", "--cpus-per-task=2",
        "--qos=low", "--job-name=looplab",
    ):  # fmt: skip
        assert f"#SBATCH {line}\n" in text, text
    assert "module load python\n" in text


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"cluster": "slum"}, "unknown executor.cluster 'slum'; did you mean 'slurm'"),
        ({"time_minutes": 0}, "executor.time_minutes must be a whole number of at least 1, got 0"),
        ({"runs_per_job": 1.5}, "executor.runs_per_job"),
        ({"setup": "module load"}, "executor.setup must be lines of shell"),
        ({"extra": "qos"}, "executor.extra must be options with values"),
    ],
)
def test_a_wrong_setting_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        Slurm(**{"cluster": "local", **settings})


def test_a_machine_without_slurm_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UsageError, match="finds no sbatch on this machine"):
        Slurm()


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UsageError, match=r"pip install 'looplab\[slurm\]'"):
        make({"_target_": "looplab.experiments.slurm.Slurm"})
