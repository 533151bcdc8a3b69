"""Gathers finished runs into the tables of a results folder."""

import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from looplab.experiments.cells import in_order
from looplab.experiments.files import write_whole
from looplab.experiments.provenance import provenance
from looplab.experiments.result_folder import (
    ALARMS_FILE,
    CALIBRATION_FILE,
    PROVENANCE_FILE,
    RESULTS_FILE,
    RUNS_FILE,
    TOTALS,
)
from looplab.experiments.run_tables import alarm_rows, calibration_rows
from looplab.experiments.store import METRICS_FILE, RUNS
from looplab.oversight.calibration import RISK, SAFETY

EPISODES_FILE = "episodes.parquet"
#: Order of the rows of ``results.parquet``, after the cell and the seed.
ROW_ORDER = ("phase", "policy", "end_step", "lane", "episode")


def collect(folder: Path, entries: Sequence[Mapping[str, Any]], axes: Sequence[str]) -> None:
    """Writes the tables and ``provenance.json`` of finished runs.

    The tables are ``results.parquet``, ``runs.parquet``, ``calibration.parquet`` and
    ``alarms.parquet``.

    Rows of ``results.parquet`` are ordered by cell, seed, phase, policy, end step, lane and
    episode, and hold no time of day, so that the same runs give the same file, however they were
    executed.

    Args:
        folder: the results folder.
        entries: at least one finished run of the manifest: ``run``, ``seed`` and ``cell``.
        axes: columns that name a cell.
    """
    runs = in_order(_runs(folder, entries, axes), axes)
    frames = [_episodes(folder / RUNS / name) for name in runs["run"]]
    lengths = [len(frame) for frame in frames]
    episodes = pd.concat(frames, ignore_index=True)
    labels = ["seed", "run", *axes]
    named = runs.iloc[np.repeat(np.arange(len(runs)), lengths)][labels].reset_index(drop=True)
    others = episodes.drop(columns=[name for name in labels if name in episodes])
    ordered = pd.concat([named[[*axes, "seed", "run"]], others], axis="columns")
    write_frame(folder / RESULTS_FILE, ordered)
    write_frame(folder / RUNS_FILE, runs)
    metrics = {name: read_metrics(folder / RUNS / name) for name in runs["run"]}
    for name, rows in (
        (CALIBRATION_FILE, calibration_rows(metrics)),
        (ALARMS_FILE, alarm_rows(metrics)),
    ):
        write_frame(folder / name, rows)
    text = json.dumps(provenance(), indent=2) + "\n"
    write_whole(folder / PROVENANCE_FILE, text.encode())


def _runs(folder: Path, entries: Sequence[Mapping[str, Any]], axes: Sequence[str]) -> pd.DataFrame:
    rows = []
    for entry in entries:
        metrics = read_metrics(folder / RUNS / entry["run"])
        threshold = metrics["threshold"]
        rows.append(
            {
                "seed": entry["seed"], "run": entry["run"], "steps": metrics["steps"],
                "threshold": float("nan") if threshold is None else float(threshold),
                "wall_seconds": metrics["wall_seconds"],
                **{f"total_{name}": metrics["totals"][name] for name in TOTALS},
                **{f"wait_{name}": _number(value) for name, value in metrics["waits"].items()},
                **{
                    f"{name}_calibration_error": _number(
                        metrics["calibration"].get(name, {}).get("error")
                    )
                    for name in (RISK, SAFETY)
                },
                "drift_step": _number(metrics["drift_step"]),
            }
        )  # fmt: skip
    found = pd.DataFrame(rows)
    for place, axis in enumerate(axes):
        found.insert(place, axis, column([entry["cell"].get(axis) for entry in entries]))
    return found


def read_metrics(place: Path) -> dict[str, Any]:
    """What ``metrics.json`` of a finished run says."""
    content: dict[str, Any] = json.loads((place / METRICS_FILE).read_text("utf-8"))
    return content


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def column(values: Sequence[Any]) -> pd.Series:
    """Values of one axis, of one type: numbers or truths where all are, else text.

    >>> column([0, 0.1, None]).tolist()
    [0.0, 0.1, nan]
    >>> column(["auto", 64]).tolist()
    ['auto', '64']
    >>> column([True, None]).dtype
    BooleanDtype
    """
    present = [value for value in values if value is not None]
    truths = [isinstance(value, bool) for value in present]
    numbers = all(isinstance(value, int | float) for value in present) and not any(truths)
    if present and numbers:
        return pd.Series(values, dtype=None if len(present) == len(values) else "float64")
    if present and all(truths):
        return pd.Series(values, dtype="bool" if len(present) == len(values) else "boolean")
    return pd.Series([None if value is None else str(value) for value in values], dtype="str")


def _episodes(place: Path) -> pd.DataFrame:
    frame = pd.read_parquet(place / EPISODES_FILE)
    return frame.sort_values(list(ROW_ORDER), kind="stable", ignore_index=True)


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Writes a Parquet file, whole or not at all."""
    buffer = BytesIO()
    frame.to_parquet(buffer, index=False)
    write_whole(path, buffer.getvalue())
