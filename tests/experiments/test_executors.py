"""Runs in this process and in workers: what fails, what dies, and who is told."""

import os
import signal
from collections.abc import Callable, Sequence
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from looplab.experiments.executors import Local
from looplab.experiments.job import Failure, Job
from looplab.experiments.store import is_finished

STEPS = 800
LOCAL = Local()
Jobs = Callable[..., Job]
pytestmark = pytest.mark.usefixtures("broken")


def left(jobs: Sequence[Job]) -> list[str]:
    """Folders beside the finished ones."""
    there = {path.name for path in jobs[0].folder.parent.iterdir()}
    return sorted(there - {job.name for job in jobs if is_finished(job.folder)})


@pytest.mark.parametrize("workers", [1, 2])
def test_runs_are_finished_and_the_watcher_is_told(workers: int, job: Jobs, watching: Any) -> None:
    jobs, notes = [job(seed=seed) for seed in range(3)], watching()
    assert LOCAL(jobs, workers, notes) == []
    assert left(jobs) == []
    for one in jobs:
        assert notes.of(one) == ["started", "finished"]
        assert notes.steps[one.name] == STEPS
        assert is_finished(one.folder)


def test_workers_make_the_same_runs_as_this_process(
    job: Jobs, tmp_path: Path, watching: Any
) -> None:
    jobs = [job(seed=seed) for seed in range(2)]
    others = [Job(one.name, one.config, tmp_path / "others" / one.name) for one in jobs]
    LOCAL(jobs, 1, watching())
    LOCAL(others, 2, watching())
    for one, other in zip(jobs, others, strict=True):
        for name in ("episodes.parquet", "decisions.parquet", "config.yaml"):
            assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes(), name


def test_no_jobs_need_no_worker(watching: Any) -> None:
    assert LOCAL([], 2, watching()) == []


#: Tasks, what their failures say, and whether it is a fault whose traceback is wanted.
FAULTS = {
    "Raises": ("ArithmeticError: the wires burnt", True),
    "Loses": ("FileNotFoundError: [Errno 2] No such file or directory: 'level.txt'", True),
    "NanReward": ("lane 2", False),
}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_that_fails_stops_no_other(workers: int, job: Jobs, watching: Any) -> None:
    wrong, well = [job(task) for task in FAULTS], [job(seed=1), job(seed=2)]
    notes = watching()
    failures = LOCAL([wrong[0], *well, *wrong[1:]], workers, notes)
    assert [failure.name for failure in failures] == [one.name for one in wrong]
    assert notes.failures == {failure.name: failure for failure in failures}
    for failure, (message, traced) in zip(failures, FAULTS.values(), strict=True):
        assert notes.told.count(("started", failure.name)) == (2 if traced else 1)  # once more
        assert message in failure.message
        assert "\n" not in failure.message
        assert ("Traceback" in failure.details) == traced
        assert not failure.usage
    assert all(is_finished(one.folder) for one in well)
    assert left(well) == []


def test_what_the_user_can_mend_is_told_apart(job: Jobs, watching: Any) -> None:
    one = job()
    one.folder.parent.write_text("a file")
    (failure,) = LOCAL([one], 1, watching())
    assert failure.usage
    assert failure.message.startswith(f"cannot write {one.folder}")


def test_a_worker_that_dies_costs_its_run_only(job: Jobs, watching: Any) -> None:
    dies, recovers, *well = jobs = [job("Dies"), job("DiesOnce"), job(seed=1), job(seed=2)]
    notes = watching()
    (failure,) = LOCAL(jobs, 2, notes)
    assert failure.name == dies.name
    assert "worker process died" in failure.message
    assert notes.of(dies) == notes.of(recovers) == ["started", "started", "finished"]
    assert notes.steps[recovers.name] == STEPS
    assert len(pd.read_parquet(recovers.folder / "decisions.parquet")) == STEPS
    for one in well:
        assert notes.of(one) == ["started", "finished"]
        assert is_finished(one.folder)


def test_an_interruption_ends_the_workers(job: Jobs, watching: Any) -> None:
    class Impatient(watching):
        def finished(self, name: str, failure: Failure | None) -> None:
            raise KeyboardInterrupt

    jobs = [job(seed=seed) for seed in range(4)]
    with pytest.raises(KeyboardInterrupt):
        LOCAL(jobs, 2, Impatient())
    assert active_children() == []


def test_workers_do_not_hear_ctrl_c(
    job: Jobs, capfd: pytest.CaptureFixture[str], watching: Any
) -> None:
    class Noisy(watching):
        def advanced(self, name: str, steps: int) -> None:
            super().advanced(name, steps)
            for worker in active_children():
                os.kill(worker.pid or 0, signal.SIGINT)

    jobs = [job(seed=seed) for seed in range(2)]
    assert LOCAL(jobs, 2, Noisy()) == []
    assert "Traceback" not in capfd.readouterr().err
