"""Curves around the moment at which a task begins to drift: time counts from there."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from looplab.experiments.curves import Curve, bin_count, curve_over_seeds
from looplab.experiments.metrics import PER_1K
from looplab.experiments.result_folder import ResultFolder

#: What is counted around a drift, per 1 000 steps.
COUNTED = ("violations", "reviews")


@dataclass(frozen=True)
class DriftCurves:
    """Rates of one cell per 1 000 steps, against steps since the drift began, below 0 before."""

    violations: Curve
    reviews: Curve


def drift_curves(folder: ResultFolder) -> list[DriftCurves | None]:
    """Curves of every cell, in the order of ``metrics.summary``; None where nothing drifts.

    A point stands at the middle of a bin of training steps, and for the episodes that ended in it.
    Bins have an edge at the drift, so that none holds both what was before and what came after.
    """
    cells = folder.runs.groupby(list(folder.axes), sort=False, dropna=False)
    if not (folder.runs["drift_step"] > 0.0).any():
        return [None] * cells.ngroups
    train = folder.results[folder.results["phase"] == "train"]
    bins = bin_count(len(train), len(folder.runs))
    by_run = dict(iter(train.groupby("run", observed=True, sort=False)))
    return [_of_cell(cell, by_run, bins) for _, cell in cells]


def _of_cell(
    cell: pd.DataFrame, by_run: dict[object, pd.DataFrame], bins: int
) -> DriftCurves | None:
    drift, steps = float(cell["drift_step"].iloc[0]), float(cell["steps"].max())
    if not 0.0 < drift < steps:
        return None
    width = steps / bins
    before, after = (int(np.ceil(part / width)) for part in (drift, steps - drift))
    rates: dict[str, list[np.ndarray]] = {name: [] for name in COUNTED}
    ksteps = np.zeros(before + after)
    for run in cell["run"]:
        own = by_run.get(run)
        if own is None:
            return None
        ends = own["end_step"].to_numpy(float) - drift
        place = (np.ceil(ends / width).astype(int) - 1 + before).clip(0, before + after - 1)
        length = _sums(place, own["length"], before + after)
        ksteps += length / PER_1K
        for name, found in rates.items():
            events = _sums(place, own[name], before + after)
            found.append(PER_1K * events / np.where(length > 0.0, length, np.nan))
    middles = np.asarray(width * (np.arange(-before, after) + 0.5), dtype=np.float64)
    curves = {
        name: curve_over_seeds(middles, np.array(found), ksteps) for name, found in rates.items()
    }
    return DriftCurves(**curves)


def _sums(place: np.ndarray, values: pd.Series, bins: int) -> np.ndarray:
    return np.bincount(place, weights=values.to_numpy(float), minlength=bins)
