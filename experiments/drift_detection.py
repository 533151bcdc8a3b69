"""How well monitors find a drift: how late, and how often they cry wolf."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from looplab.envs.errors import UsageError, whole
from looplab.experiments.cells import cell_labels
from looplab.experiments.metrics import PER_1K, RESAMPLING_SEED
from looplab.experiments.result_folder import ResultFolder
from looplab.experiments.statistics import Interval, mean_interval, proportion_interval
from looplab.oversight.engine import Engine
from looplab.oversight.monitors import Monitor
from looplab.oversight.parts import walk


@dataclass(frozen=True)
class Detection:
    """What a monitor was worth over several seeds, with 95 % intervals.

    Attributes:
        delay: steps from the drift to the first alarm after it, over the seeds that had one.
        detected: share of seeds that had one.
        false_alarms_per_1k: alarms before the drift per 1 000 steps.
    """

    delay: Interval
    detected: Interval
    false_alarms_per_1k: Interval


def detection(alarms: Sequence[ArrayLike], drift_step: int, steps: int) -> Detection:
    """Delay and false-alarm rate of a monitor.

    Args:
        alarms: steps at which alarms were raised, in 0..steps - 1, one array per seed.
        drift_step: step from which the drift holds; ``steps`` or more: there was none.
        steps: length of every run, at least 1.

    Raises:
        UsageError: without a seed, or if an alarm lies outside of the run.
    """
    whole("drift_step", drift_step, 0)
    whole("steps", steps, 1)
    runs = [np.sort(np.asarray(run, np.int64).ravel()) for run in alarms]
    if not runs or any(len(run) and not 0 <= run[0] <= run[-1] < steps for run in runs):
        raise UsageError(f"alarms must be steps in 0..{steps - 1}, one array per seed")
    rng = np.random.default_rng(RESAMPLING_SEED)
    later = [run[run >= drift_step] for run in runs]
    delays = [run[0] - drift_step if len(run) else np.nan for run in later]
    found = sum(len(run) > 0 for run in later)
    quiet = min(drift_step, steps) / PER_1K
    false = [
        (len(run) - len(after)) / quiet if quiet else np.nan
        for run, after in zip(runs, later, strict=True)
    ]
    return Detection(
        delay=mean_interval(delays, nonnegative=True, rng=rng),
        detected=proportion_interval(found, len(runs)),
        false_alarms_per_1k=mean_interval(false, count_exposure=quiet * len(runs), rng=rng),
    )


def monitor_alarms(engine: Engine, lanes: int) -> list[dict[str, Any]]:
    """When each monitor of a run raised alarms, in training steps of all ``lanes`` together."""
    return [
        {"monitor": str(part), "steps": [step * lanes for step in engine.state(part).raised]}
        for part in walk(engine.protocol)
        if isinstance(part, Monitor)
    ]


def detections(data: ResultFolder) -> pd.DataFrame:
    """What the monitors of every drifting cell were worth.

    Args:
        data: a comparison.

    Returns:
        One row per cell and monitor, in the order of ``metrics.summary``: its axes, ``label``,
        ``monitor``, ``seeds``, ``drift_step`` and, each with ``_low`` and ``_high``, ``delay``,
        ``detected`` and ``false_alarms_per_1k`` (see ``Detection``); empty where nothing drifts or
        nobody monitors.
    """
    steps_of: dict[str, dict[str, np.ndarray]] = {}
    for (run, monitor), own in data.alarms.groupby(["run", "monitor"], sort=False):
        steps_of.setdefault(run, {})[monitor] = own["step"].dropna().to_numpy(np.int64)
    rows = []
    cells = [cell for _, cell in data.runs.groupby(list(data.axes), sort=False, dropna=False)]
    labels = cell_labels(pd.DataFrame([cell.iloc[0] for cell in cells]), data.axes)
    for label, cell in zip(labels, cells, strict=True):
        drifting = cell[cell["drift_step"].notna() & cell["run"].isin(steps_of)]
        if drifting.empty:
            continue
        drift, steps = int(drifting["drift_step"].iloc[0]), int(drifting["steps"].min())
        raised = [steps_of[run] for run in drifting["run"]]
        for monitor in dict.fromkeys(name for run in raised for name in run):
            alarms = [run[monitor][run[monitor] < steps] for run in raised if monitor in run]
            found = detection(alarms, drift, steps)
            row: dict[str, Any] = {axis: cell[axis].iloc[0] for axis in data.axes}
            row |= {"label": label, "monitor": monitor, "seeds": len(alarms), "drift_step": drift}
            for name in ("delay", "detected", "false_alarms_per_1k"):
                interval = getattr(found, name)
                row |= {name: interval.mean, f"{name}_low": interval.low}
                row[f"{name}_high"] = interval.high
            rows.append(row)
    return pd.DataFrame(rows)
