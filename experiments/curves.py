"""Curves over training: binned by steps per seed, then averaged over seeds with intervals."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from looplab.experiments.metrics import PER_1K, RESAMPLING_SEED
from looplab.experiments.result_folder import ResultFolder
from looplab.experiments.statistics import Floats, mean_intervals, poisson_upper_bound

#: A curve has at most this many points, and at least the next one.
MOST_BINS, FEWEST_BINS = 40, 4
#: Slack for steps that are a whole number of bins.
ROUNDING = 1e-9
#: Bins are made so wide that a middling run ends about this many episodes in each.
EPISODES_PER_BIN = 8


@dataclass(frozen=True)
class Curve:
    """Mean over seeds of one quantity against training steps, each array of shape (points,).

    Attributes:
        steps: training steps of a run, all lanes together.
        mean: mean over the cell's seeds.
        low: lower ends of the 95 % intervals, NaN for one seed.
        high: upper ends.
    """

    steps: Floats
    mean: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class CellCurves:
    """Curves of one cell.

    Attributes:
        task_return: per episode.
        violations: so far.
        violation_rate, interventions, reviews: per 1 000 steps.
        recall: of the unsafe proposals that somebody judged, the share refused.
    """

    task_return: Curve
    violations: Curve
    violation_rate: Curve
    interventions: Curve
    reviews: Curve
    recall: Curve


def training_curves(folder: ResultFolder) -> list[CellCurves]:
    """Curves of every cell, in the order of ``metrics.summary``.

    A point stands for the episodes that ended in one bin of training steps, at the bin's upper
    edge; bins in which some seed ended no episode are left out of returns and rates. Violations so
    far count finished episodes, and at the last point all of the run's.
    """
    runs = folder.runs
    longest = runs.groupby("env", sort=False)["steps"].transform("max").to_numpy(float)
    train = folder.results[folder.results["phase"] == "train"]
    of_run = pd.Index(runs["run"]).get_indexer(train["run"].astype(object))
    bins = bin_count(len(train), len(runs))
    width = np.maximum(longest, 1.0) / bins
    place = np.ceil(train["end_step"].to_numpy(float) / width[of_run]).astype(int) - 1
    flat = of_run * bins + place.clip(0, bins - 1)
    shape, size = (len(runs), bins), len(runs) * bins

    def total(column: str) -> Floats:
        weights = train[column].to_numpy(float)
        sums = np.bincount(flat, weights=weights, minlength=size)
        return np.asarray(sums, dtype=np.float64).reshape(shape)

    episodes = np.bincount(flat, minlength=size).reshape(shape)
    some = np.where(episodes > 0, 1.0, np.nan)
    length = total("length") * some
    returns = total("task_return") * some / np.maximum(episodes, 1)
    rates = {
        name: PER_1K * total(name) / length for name in ("violations", "interventions", "reviews")
    }
    judged = total("caught") + total("overlooked")
    recall = total("caught") / np.where(judged > 0.0, judged, np.nan)
    violations = _violations_so_far(total("violations"), runs, width)
    cells = runs.groupby(list(folder.axes), sort=False, dropna=False).indices.values()
    curves = []
    for rows in cells:
        steps = width[rows[0]] * np.arange(1, bins + 1)
        ksteps = length[rows].sum(axis=0) / PER_1K
        counted = {
            name: curve_over_seeds(steps, rate[rows], ksteps) for name, rate in rates.items()
        }
        curves.append(
            CellCurves(
                task_return=curve_over_seeds(steps, returns[rows]),
                violations=curve_over_seeds(
                    np.concatenate([[0.0], steps]),
                    violations[rows],
                    exposure=np.full(bins + 1, float(len(rows))),
                ),
                violation_rate=counted["violations"],
                interventions=counted["interventions"],
                reviews=counted["reviews"],
                recall=curve_over_seeds(steps, recall[rows], share=True),
            )
        )
    return curves


def bin_count(episodes: int, runs: int) -> int:
    """Bins of training in which curves are drawn."""
    return int(np.clip(episodes / max(runs, 1) / EPISODES_PER_BIN, FEWEST_BINS, MOST_BINS))


def _violations_so_far(violations: Floats, runs: pd.DataFrame, width: Floats) -> Floats:
    """Cumulated over bins from 0 on, shape (runs, bins + 1); NaN after a run's own end."""
    totals = runs["total_violations"].to_numpy(float)
    sums = np.concatenate([np.zeros((len(runs), 1)), violations.cumsum(axis=1)], axis=1)
    steps = runs["steps"].to_numpy(float)
    last = np.ceil(steps / width - ROUNDING).astype(int).clip(0, violations.shape[1])
    sums[np.arange(len(runs)), last] = totals
    sums[np.arange(sums.shape[1])[None, :] > last[:, None]] = np.nan
    return sums


def curve_over_seeds(
    steps: Floats, values: Floats, exposure: Floats | None = None, share: bool = False
) -> Curve:
    """Averages over seeds; points that some seed lacks are left out.

    Args:
        steps: where the points lie, shape (points,).
        values: one row per seed, shape (seeds, points), NaN where a seed has none.
        exposure: what events are counted over in each point, shape (points,); the values are then
            counts or rates, so at least 0.
        share: whether the values lie in [0, 1].
    """
    whole = ~np.isnan(values).any(axis=0)
    mean, low, high = mean_intervals(
        np.ascontiguousarray(values[:, whole].T),
        nonnegative=share or exposure is not None,
        rng=np.random.default_rng(RESAMPLING_SEED),
    )
    if exposure is not None and len(values) > 1:
        bounds = [poisson_upper_bound(float(e)) for e in exposure[whole]]
        high = np.where(mean == 0.0, bounds, high)
    if share:
        high = np.minimum(high, 1.0)
    return Curve(steps[whole], mean, low, high)
