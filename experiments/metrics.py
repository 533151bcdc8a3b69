"""From episodes and runs to one row per seed, and from there to one row per cell.

Training rates and totals come from each run's exact totals over the steps that it really ran, so
they include episodes that training left unfinished; evaluation rates divide by the lengths of the
evaluated episodes. Every rate is per 1 000 environment steps, summed over lanes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from looplab.experiments.beyond_means import beyond_means
from looplab.experiments.result_folder import TOTALS
from looplab.experiments.reviewing import REVIEWING, SHARED, SIGNED, reviewing
from looplab.experiments.statistics import (
    Interval,
    kaplan_meier_median,
    mean_interval,
    proportion_interval,
)

#: Episodes over which the training return is averaged for the threshold and for the start.
WINDOW_EPISODES = 100
#: Alone, an agent below this many violations per 1k steps may be safe only because it stays still.
NEAR_ZERO_PER_1K = 1.0
#: Seed of the resampling behind intervals, so that a report can be repeated exactly.
RESAMPLING_SEED = 20_240_229
SECONDS_PER_HOUR = 3600.0
PER_1K = 1000.0

HARMS = ("violations", "catastrophes")
#: Training totals that are counts of events.
COUNTS = tuple(
    name
    for name in TOTALS
    if name not in ("prevented", "human_seconds", "waiting_seconds", "oversight_cost")
)

#: Evaluation phases and policies, with the parts of a metric's name that they stand for.
PHASES = {"eval_overseen": "overseen", "eval_alone": "alone"}
POLICIES = {"stochastic": "", "deterministic": "_deterministic"}


@dataclass(frozen=True)
class Metric:
    """A column of ``per_seed`` that ``summary`` averages over seeds.

    Attributes:
        name: the column.
        exposure: column of ``per_seed`` with what the events are counted over, in the metric's
            unit; empty for what is no count.
        nonnegative: whether it can never be below 0.
        share: whether it can never be above 1 either.
    """

    name: str
    exposure: str = ""
    nonnegative: bool = True
    share: bool = False


def _evaluation_metrics() -> Iterator[Metric]:
    for policy in POLICIES.values():
        for phase in PHASES.values():
            exposure = f"{phase}_ksteps{policy}"
            yield Metric(f"{phase}_return{policy}", nonnegative=False)
            yield Metric(f"{phase}_violations_per_1k{policy}", exposure)
            yield Metric(f"{phase}_catastrophes_per_1k{policy}", exposure)
            yield Metric(f"{phase}_violations_per_episode{policy}", f"{phase}_episodes{policy}")
            yield Metric(f"{phase}_success{policy}")


#: Means over seeds, in the order of ``summary.csv``.
METRICS = (
    Metric("train_violations", "runs"),
    Metric("train_violations_per_1k", "train_ksteps"),
    Metric("train_catastrophes_per_1k", "train_ksteps"),
    Metric("train_return", nonnegative=False),
    *(Metric(f"{name}_per_1k", "train_ksteps") for name in COUNTS if name not in HARMS),
    Metric("human_hours"),
    Metric("oversight_cost"),
    *(Metric(name, nonnegative=name not in SIGNED, share=name in SHARED) for name in REVIEWING),
    *_evaluation_metrics(),
)
#: Shares of seeds, with exact intervals, and the column of ``per_seed`` that each one counts.
SHARES = {
    "zero_violation_seeds": "zero_violations",
    "threshold_seeds": "threshold_reached",
    "frozen_seeds": "frozen",
}


def per_seed(results: pd.DataFrame, runs: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """One row per run, in the order of ``runs``.

    Args:
        results: one row per finished episode (``result_folder.EPISODE_COLUMNS``).
        runs: one row per run (``axes`` and ``result_folder.RUN_COLUMNS``).
        axes: the columns that name a cell.

    Returns:
        Axes, ``seed, run, steps, threshold, wall_seconds``, the columns of ``METRICS`` and their
        exposures, and per seed:

        - ``train_return``, ``start_return``: mean task return of the last and the first
          ``WINDOW_EPISODES`` training episodes in order of (end_step, lane); of all, if there are
          fewer;
        - ``threshold_reached`` (1, 0 or NaN if the task states no threshold) and
          ``threshold_time``: the end_step at which the mean task return of the last
          ``WINDOW_EPISODES`` training episodes first reached the threshold, else the steps run
          (censored). Fewer episodes never reach it;
        - ``zero_violations``: no violation in training;
        - ``frozen``: alone, a return no better than at the start of training, and next to no
          violations.
    """
    frame = runs[[*axes, "seed", "run", "steps", "threshold", "wall_seconds"]].copy()
    frame["runs"] = 1.0
    frame["train_ksteps"] = runs["steps"] / PER_1K
    ksteps = frame["train_ksteps"].where(runs["steps"] > 0)
    for name in COUNTS:
        prefix = "train_" if name in HARMS else ""
        frame[f"{prefix}{name}_per_1k"] = runs[f"total_{name}"] / ksteps
    frame["train_violations"] = runs["total_violations"].astype(float)
    frame["human_hours"] = runs["total_human_seconds"] / SECONDS_PER_HOUR
    frame["oversight_cost"] = runs["total_oversight_cost"].astype(float)
    frame["zero_violations"] = (runs["total_violations"] == 0).astype(float)
    frame = frame.join(reviewing(runs))
    frame = frame.join(_training(results, runs), on="run")
    frame = frame.join(_evaluations(results), on="run")
    frozen = (frame["alone_return"] <= frame["start_return"]) & (
        frame["alone_violations_per_1k"] <= NEAR_ZERO_PER_1K
    )
    frame["frozen"] = frozen.astype(float).where(frame["alone_return"].notna())
    return frame


def summary(seeds: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """One row per cell: ``axes``, ``seeds``, then each metric with its 95 % interval.

    Every metric ``m`` has the columns ``m, m_low, m_high`` (see ``statistics.mean_interval``; ends
    are NaN for one seed). ``steps_to_threshold`` is the Kaplan-Meier median over seeds, NaN where
    half of them never got there; ``threshold_seeds``, ``zero_violation_seeds`` and
    ``frozen_seeds`` are shares of seeds with Clopper-Pearson intervals. Worst seeds, tails,
    interquartile means and chances of improvement follow, see ``beyond_means.beyond_means``.

    Args:
        seeds: the result of ``per_seed``.
        axes: the columns that name a cell.
    """
    rows: list[dict[str, object]] = []
    for _, cell in seeds.groupby(list(axes), sort=False, dropna=False):
        row: dict[str, object] = {axis: cell[axis].iloc[0] for axis in axes}
        row["seeds"] = len(cell)
        for name, interval in _cell_intervals(cell):
            row |= {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}
        rows.append(row)
    others = beyond_means(seeds, axes, RESAMPLING_SEED)
    found = pd.DataFrame([row | more for row, more in zip(rows, others, strict=True)])
    named = [name for name in found if name.endswith("_worst_seed")]
    return found.astype(dict.fromkeys(named, "Int64")).copy()  # in few blocks again


def _cell_intervals(cell: pd.DataFrame) -> Iterator[tuple[str, Interval]]:
    for metric in METRICS:
        interval = mean_interval(
            cell[metric.name].to_numpy(float),
            count_exposure=float(cell[metric.exposure].sum()) if metric.exposure else None,
            nonnegative=metric.nonnegative,
            rng=np.random.default_rng(RESAMPLING_SEED),
        )
        if metric.share and interval.high > 1.0:
            interval = interval._replace(high=1.0)
        yield metric.name, interval
    stated = cell[cell["threshold_reached"].notna()]
    yield (
        "steps_to_threshold",
        kaplan_meier_median(
            stated["threshold_time"].to_numpy(float), stated["threshold_reached"].to_numpy(bool)
        ),
    )
    for name, column in SHARES.items():
        known = cell[column].dropna()
        yield name, proportion_interval(int(known.sum()), len(known))


def first_step_at_threshold(end_steps: np.ndarray, returns: np.ndarray, threshold: float) -> float:
    """First end_step at which the mean of the last ``WINDOW_EPISODES`` returns is high enough.

    Args:
        end_steps: training steps at each episode's end, shape (episodes,), in order.
        returns: task return of each episode, shape (episodes,).
        threshold: the return to reach.

    Returns:
        The step, or NaN if it was never reached or there are fewer episodes than the window.
    """
    if returns.size < WINDOW_EPISODES:
        return float("nan")
    means = np.lib.stride_tricks.sliding_window_view(returns, WINDOW_EPISODES).mean(axis=1)
    reached = means >= threshold
    if not reached.any():
        return float("nan")
    return float(end_steps[WINDOW_EPISODES - 1 + int(reached.argmax())])


def _training(results: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Start, end and threshold of every run's training, indexed by run."""
    columns = ["run", "end_step", "lane", "task_return"]
    episodes = results.loc[results["phase"] == "train", columns]
    episodes = episodes.sort_values(["run", "end_step", "lane"], kind="stable")
    by_run = dict(iter(episodes.groupby("run", observed=True)))
    nothing = episodes.iloc[:0]
    rows = {}
    for run, steps, threshold in zip(runs["run"], runs["steps"], runs["threshold"], strict=True):
        own = by_run.get(run, nothing)
        returns = own["task_return"].to_numpy(float)
        step = first_step_at_threshold(own["end_step"].to_numpy(float), returns, threshold)
        known = not np.isnan(threshold)
        rows[run] = {
            "start_return": returns[:WINDOW_EPISODES].mean() if returns.size else np.nan,
            "train_return": returns[-WINDOW_EPISODES:].mean() if returns.size else np.nan,
            "threshold_reached": float(not np.isnan(step)) if known else np.nan,
            "threshold_time": (float(steps) if np.isnan(step) else step) if known else np.nan,
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _evaluations(results: pd.DataFrame) -> pd.DataFrame:
    """Evaluation metrics of every run, indexed by run; NaN where nothing was evaluated."""
    wide = {}
    for policy, suffix in POLICIES.items():
        for phase, who in PHASES.items():
            chosen = (results["phase"] == phase) & (results["policy"] == policy)
            runs = results[chosen].groupby("run", observed=True)
            wide[f"{who}_ksteps{suffix}"] = ksteps = runs["length"].sum() / PER_1K
            wide[f"{who}_episodes{suffix}"] = episodes = runs.size().astype(float)
            wide[f"{who}_violations_per_episode{suffix}"] = runs["violations"].sum() / episodes
            wide[f"{who}_return{suffix}"] = runs["task_return"].mean()
            wide[f"{who}_success{suffix}"] = runs["success"].mean()
            for harm in HARMS:
                rate = runs[harm].sum() / ksteps.where(ksteps > 0)
                wide[f"{who}_{harm}_per_1k{suffix}"] = rate
    frame = pd.DataFrame(wide)
    return frame.set_axis(frame.index.astype(str))
