"""What runs will cost, before they begin: time and disk, from what like runs took."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from glob import escape
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from looplab.experiments.job import Job
from looplab.experiments.number_text import counted
from looplab.experiments.parcel import scratch
from looplab.experiments.store import CONFIG_FILE, RUN_BYTES, RUNS
from looplab.experiments.yaml_text import read_yaml

#: Runs of one task and agent that make fewer steps together are not worth a trial.
TRIAL_WORTH_STEPS = 100_000
#: Steps of a trial: the next is made while the last was too short to tell.
_TRIAL_STEPS = (64, 512, 4096)
_TRIAL_SECONDS = 1.0
#: Each evaluation is made overseen and alone, with the stochastic and the deterministic policy.
_EVALUATIONS = 4
#: Like runs that are looked at.
_LOOKED_AT = 3
_MINUTE, _HOUR = 60, 3600
_KIBIBYTE = 1024
_ROWS = ("decisions.parquet", "episodes.parquet")


@dataclass(frozen=True)
class Pace:
    """What a kind of run takes.

    Attributes:
        step_seconds: per training step.
        evaluation_seconds: per episode of ``eval_episodes``, all evaluations together.
        row_bytes: on disk, per training step of which decisions are kept.
        fixed_bytes: on disk, whatever the steps.
    """

    step_seconds: float
    evaluation_seconds: float
    row_bytes: float
    fixed_bytes: float

    def seconds(self, config: Mapping[str, Any]) -> float:
        """Seconds of one core that a run takes."""
        evaluated = config["eval_episodes"] * self.evaluation_seconds
        return float(config["total_steps"] * self.step_seconds + evaluated)

    def bytes(self, config: Mapping[str, Any]) -> float:
        """Bytes that a run leaves."""
        return self.fixed_bytes + _kept(config) * self.row_bytes


@dataclass(frozen=True)
class Estimate:
    """What runs will cost together.

    Attributes:
        seconds: of one core; NaN where no like run was ever timed.
        longest: of the longest run.
        bytes: on disk.
        trials: whether some of it was tried just now.
    """

    seconds: float
    longest: float
    bytes: float
    trials: bool = False

    def line(self, room: int | None) -> str:
        """The estimate in a line.

        Args:
            room: how many runs go on at once; None: unknown.
        """
        disk = f"{_size(self.bytes)} on disk"
        if math.isnan(self.seconds):
            return f"estimate: {disk}; time unknown, no such run was timed before"
        source = "a short trial" if self.trials else "earlier runs"
        if room is None:
            return f"estimate: {_time(self.seconds)} of one core, {disk} (by {source})"
        wall = max(self.longest, self.seconds / room)
        at_once = f" with {room} at once" if room > 1 else ""
        return f"estimate: {_time(wall)}{at_once}, {disk} (by {source})"


def estimate(jobs: Sequence[Job], folder: Path) -> Estimate:
    """What runs will cost, by finished runs of the same cell, else of the same task and agent.

    Looked for are runs in the results folder and in those beside it. Where there is none and the
    runs are long, one is tried for a second or two; nothing of it is kept.

    Args:
        jobs: the runs.
        folder: the results folder; it need not exist.
    """
    by_cell: dict[str, list[Job]] = {}
    for job in jobs:
        by_cell.setdefault(_kind(job, "env", "regime", "algo"), []).append(job)
    steps: dict[str, int] = {}
    for job in jobs:
        kind = _kind(job, "env", "algo")
        steps[kind] = steps.get(kind, 0) + int(job.config["total_steps"])
    tried: dict[str, Pace | None] = {}
    seconds, longest, size = 0.0, 0.0, 0.0
    for alike in by_cell.values():
        pace = _known(alike[0], folder)
        kind = _kind(alike[0], "env", "algo")
        if pace is None and steps[kind] >= TRIAL_WORTH_STEPS:
            if kind not in tried:
                tried[kind] = trial(alike[0].config)
            pace = tried[kind]
        times = [math.nan if pace is None else pace.seconds(job.config) for job in alike]
        seconds += sum(times)
        longest = max(longest, *times)
        size += sum(RUN_BYTES if pace is None else pace.bytes(job.config) for job in alike)
    return Estimate(seconds, longest, size, any(pace is not None for pace in tried.values()))


def _kind(job: Job, *axes: str) -> str:
    return "-".join(str(job.config["cell"][axis]) for axis in axes)


def _known(job: Job, folder: Path) -> Pace | None:
    """The pace of like runs that are finished; the slowest of a few."""
    cell = {axis: escape(str(job.config["cell"][axis])) for axis in ("env", "regime", "algo")}
    for regime in (cell["regime"], "*"):
        pattern = f"{RUNS}/{cell['env']}-{regime}-{cell['algo']}-s*"
        for places in (folder.glob(pattern), folder.absolute().parent.glob(f"*/{pattern}")):
            paces = list(islice(_paces(places), _LOOKED_AT))
            if paces:
                return max(paces, key=lambda pace: pace.step_seconds)
    return None


def _paces(places: Iterable[Path]) -> Iterable[Pace]:
    for place in places:
        pace = pace_of(place)
        if pace is not None:
            yield pace


def pace_of(run: Path) -> Pace | None:
    """The pace of a finished run, from its folder; None where it tells none.

    Args:
        run: the run's folder.
    """
    try:
        metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
        config = read_yaml(run / CONFIG_FILE)
        sizes = {path.name: path.stat().st_size for path in run.rglob("*") if path.is_file()}
        training = float(metrics["train_wall_seconds"])
        rows = sum(sizes.get(name, 0) for name in _ROWS)
        return Pace(
            training / metrics["steps"],
            (float(metrics["wall_seconds"]) - training) / config["eval_episodes"],
            rows / _kept(config),
            sum(sizes.values()) - rows,
        )
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError, yaml.YAMLError):
        return None


def _kept(config: Mapping[str, Any]) -> int:
    return max(1, min(int(config["total_steps"]), int(config["max_decisions"])))


def trial(config: Mapping[str, Any]) -> Pace | None:
    """Makes a run that is much too short; returns its pace, or None where it failed.

    Args:
        config: the run's resolved configuration.
    """
    import torch

    from looplab.experiments.run import run

    pace, threads = None, torch.get_num_threads()
    torch.set_num_threads(1)  # as workers do
    with scratch() as temporary:
        for steps in _TRIAL_STEPS:
            place = temporary / str(steps)
            try:
                run({**config, "total_steps": steps, "eval_episodes": 1}, place)
            except Exception:  # the run itself will say so
                pace = None
                break
            pace = pace_of(place)
            if pace is None or pace.step_seconds * steps >= _TRIAL_SECONDS:
                break
        length = _length(place) if pace is not None else math.nan
    torch.set_num_threads(threads)
    if pace is None:
        return None
    # Many lanes are evaluated at once; one episode alone would take as long as all of them.
    return replace(pace, evaluation_seconds=_EVALUATIONS * length * pace.step_seconds)


def _length(run: Path) -> float:
    """Mean length of a run's episodes."""
    import pandas as pd

    return float(pd.read_parquet(run / "episodes.parquet", columns=["length"])["length"].mean())


def _time(seconds: float) -> str:
    if seconds < _MINUTE:
        return "under a minute"
    if seconds < _HOUR:
        return f"about {counted(round(seconds / _MINUTE), 'minute')}"
    return f"about {seconds / _HOUR:.1f} hours"


def _size(size: float) -> str:
    for unit in ("KiB", "MiB"):
        size /= _KIBIBYTE
        if size < _KIBIBYTE:
            return f"{size:.0f} {unit}"
    return f"{size / _KIBIBYTE:.1f} GiB"
