"""What runs hold many rows of, beside episodes: bins of calibration, and monitors' alarms."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

#: Columns of ``calibration.parquet`` with their types: one row per run, prediction and bin.
CALIBRATION_COLUMNS = {
    "run": "str", "predicts": "str", "bin": "int64",
    "count": "int64", "predicted": "float64", "happened": "int64",
}  # fmt: skip
#: Columns of ``alarms.parquet``: one row per run, monitor and alarm; a monitor that raised none has
#: one row without a step, so that silence is told from absence.
ALARM_COLUMNS = {"run": "str", "monitor": "str", "step": "Int64"}


def calibration_rows(metrics: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Predictions and what came of them, in bins of equal width; see ``oversight.calibration``.

    Args:
        metrics: content of ``metrics.json`` by run.

    Returns:
        ``CALIBRATION_COLUMNS``: ``predicts`` is ``risk`` or ``confidence``; ``predicted`` is the
        sum of a bin's predicted chances, ``happened`` how often it happened.
    """
    rows = [
        (run, name, place, *values)
        for run, content in metrics.items()
        for name, bins in content["calibration"].items()
        for place, values in enumerate(
            zip(bins["count"], bins["predicted"], bins["happened"], strict=True)
        )
    ]
    return _typed(rows, CALIBRATION_COLUMNS)


def alarm_rows(metrics: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Training steps, of all lanes together, at which monitors raised alarms: ``ALARM_COLUMNS``.

    Args:
        metrics: content of ``metrics.json`` by run; runs of older versions told no alarms.
    """
    rows = [
        (run, found["monitor"], step)
        for run, content in metrics.items()
        for found in content.get("alarms", ())
        for step in found["steps"] or (None,)
    ]
    return _typed(rows, ALARM_COLUMNS)


def _typed(rows: list[tuple[Any, ...]], columns: Mapping[str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(columns)).astype(dict(columns))
