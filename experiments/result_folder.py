"""What a comparison left behind, read back with only the columns that are asked for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from looplab.envs.errors import UsageError
from looplab.experiments.cells import BASE_AXES, in_order
from looplab.experiments.run_tables import ALARM_COLUMNS, CALIBRATION_COLUMNS
from looplab.oversight.measures import LEVEL_STEPS

RESULTS_FILE = "results.parquet"
RUNS_FILE = "runs.parquet"
CALIBRATION_FILE = "calibration.parquet"
ALARMS_FILE = "alarms.parquet"
COMPARISON_FILE = "comparison.json"
PROVENANCE_FILE = "provenance.json"
#: What runs do where a comparison says nothing of it.
TRAIN = "train"

#: Columns of ``results.parquet`` that tables and figures read; the rest stays on disk.
EPISODE_COLUMNS = (
    "run",
    "phase",
    "policy",
    "lane",
    "episode",
    "end_step",
    "length",
    "task_return",
    "violations",
    "catastrophes",
    "interventions",
    "reviews",
    "caught",
    "overlooked",
    "success",
)
#: Counts and costs of which ``runs.parquet`` holds exact training totals, as ``total_<name>``.
TOTALS = (
    "violations",
    "catastrophes",
    "unsafe_proposals",
    "reviews",
    "interventions",
    "misses",
    "unasked",
    "late",
    "false_alarms",
    "caught",
    "overlooked",
    "cleared",
    "overdue",
    "disagreements",
    "prevented",
    "human_seconds",
    "waiting_seconds",
    "oversight_cost",
    *LEVEL_STEPS,
)
#: What ``runs.parquet`` holds of waits, of calibration and of when training drifts: one number per
#: run, NaN if there is none.
READINGS = (
    "wait_p50",
    "wait_p95",
    "risk_calibration_error",
    "confidence_calibration_error",
    "drift_step",
)
RUN_COLUMNS = (
    "seed",
    "run",
    "steps",
    "threshold",
    "wall_seconds",
    *(f"total_{name}" for name in TOTALS),
    *READINGS,
)
_TEXT_COLUMNS = ("run", "phase", "policy")


@dataclass(frozen=True)
class ResultFolder:
    """One comparison's data.

    Attributes:
        path: the folder.
        results: one row per finished episode, ``EPISODE_COLUMNS``, text as categories.
        runs: one row per run, in the order of ``cells.in_order``.
        axes: columns of ``runs`` that name a cell, the task first.
        comparison: content of ``comparison.json``.
        provenance: content of ``provenance.json``, empty if there is none.
        calibration: see ``run_tables.calibration_rows``; empty if there is none.
        alarms: see ``run_tables.alarm_rows``; empty if there are none.
    """

    path: Path
    results: pd.DataFrame
    runs: pd.DataFrame
    axes: tuple[str, ...]
    comparison: Mapping[str, Any]
    provenance: Mapping[str, Any]
    calibration: pd.DataFrame
    alarms: pd.DataFrame


def load(folder: Path) -> ResultFolder:
    """Reads a results folder.

    Args:
        folder: where a comparison wrote its files.

    Raises:
        UsageError: if the folder or a file is missing, unreadable, empty or lacks a column.
    """
    comparison = read_comparison(folder)
    if comparison.get("trial", TRAIN) != TRAIN:
        raise UsageError(
            f"{folder} holds runs of trial={comparison['trial']}, which train no agent"
        )
    axes = tuple(dict.fromkeys((*BASE_AXES, *comparison.get("axes", ()))))
    runs = read_parquet(folder / RUNS_FILE, (*axes, *RUN_COLUMNS))
    results = read_parquet(folder / RESULTS_FILE, EPISODE_COLUMNS, text=_TEXT_COLUMNS)
    results = results.astype(dict.fromkeys(_TEXT_COLUMNS, "category"))
    if runs.empty:
        raise UsageError(
            f"{folder / RUNS_FILE} holds no run: the comparison has finished nothing yet"
        )
    strangers = set(results["run"].cat.categories) - set(runs["run"])
    if strangers:
        raise UsageError(
            f"{RESULTS_FILE} names run {min(strangers)}, which {RUNS_FILE} does not have"
        )
    provenance = folder / PROVENANCE_FILE
    return ResultFolder(
        path=folder,
        results=results,
        runs=in_order(runs, axes),
        axes=axes,
        comparison=comparison,
        provenance=read_json(provenance) if provenance.exists() else {},
        calibration=_read_table(folder / CALIBRATION_FILE, CALIBRATION_COLUMNS),
        alarms=_read_table(folder / ALARMS_FILE, ALARM_COLUMNS),
    )


def read_comparison(folder: Path) -> dict[str, Any]:
    """Content of ``comparison.json``.

    Raises:
        UsageError: if there is no such folder or file, or it cannot be read.
    """
    if not folder.is_dir():
        raise UsageError(
            f"no results folder at {folder}: give a folder that `looplab compare` wrote"
        )
    return read_json(folder / COMPARISON_FILE)


def _read_table(path: Path, columns: Mapping[str, str]) -> pd.DataFrame:
    """A table that folders of older versions lack."""
    if path.exists():
        return read_parquet(path, tuple(columns))
    return pd.DataFrame(columns=list(columns)).astype(dict(columns))


def read_json(path: Path) -> dict[str, Any]:
    """Content of a file that holds one mapping; a UsageError names what is wrong with it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{path.parent} is no results folder: it has no {path.name}") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {_one_line(error)}") from error
    if not isinstance(content, dict):
        raise UsageError(f"cannot read {path}: expected an object with named entries")
    return content


def read_parquet(path: Path, columns: tuple[str, ...], text: tuple[str, ...] = ()) -> pd.DataFrame:
    """Some columns of a Parquet file; a UsageError names what is wrong with it."""
    try:
        file = pq.ParquetFile(path, read_dictionary=list(text))
    except FileNotFoundError as error:
        raise UsageError(f"{path.parent} is no results folder: it has no {path.name}") from error
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"cannot read {path}: {_one_line(error)}") from error
    with file:
        missing = [name for name in columns if name not in file.schema_arrow.names]
        if missing:
            raise UsageError(f"{path} lacks the columns {', '.join(missing)}")
        try:
            table = file.read(columns=list(columns))
        except (OSError, pa.ArrowException) as error:
            raise UsageError(f"cannot read {path}: {_one_line(error)}") from error
    frame: pd.DataFrame = table.to_pandas(self_destruct=True, split_blocks=True)
    return frame


def _one_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
