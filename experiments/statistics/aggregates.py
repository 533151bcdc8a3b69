"""One number for a table of runs x tasks: mean and interquartile mean, with intervals.

Follows Agarwal et al. 2021, "Deep reinforcement learning at the edge of the statistical precipice".
"""

from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from looplab.envs.errors import UsageError, choice
from looplab.experiments.statistics.intervals import (
    LEVEL,
    Floats,
    Interval,
    checked_level,
    paired_tables,
    table,
)
from looplab.experiments.statistics.means import BOOTSTRAP_SEEDS
from looplab.experiments.statistics.stratified import (
    Estimator,
    Parts,
    bca,
    bootstrap_t,
    percentile,
    student,
)

#: Share of the scores that an interquartile mean leaves out at each end.
TRIMMED = 0.25
#: What names of harm contain: it is rare, its tail is what matters, and so it is never trimmed.
HARMS = ("violation", "catastroph", "cost", "harm", "unsafe", "miss", "late_", "unasked")
#: Names that contain one of them and yet are money.
MONEY = ("oversight_cost", "cost_per_prevented", "cost_per_hour")
AUTO, STUDENT = "auto", "student"
BOOTSTRAPS = {"studentised": bootstrap_t, "percentile": percentile, "bca": bca}


def interquartile_mean(scores: ArrayLike, *, of: str) -> float:
    """Mean of the middle half of all scores, runs and tasks together (Agarwal et al. 2021).

    The quarter that is left out at each end is rounded down to whole scores.

    Args:
        scores: shape (runs, tasks) or (runs,), on one scale for all tasks.
        of: name of the quantity, e.g. ``alone_return``.

    Raises:
        UsageError: if ``of`` is harm, which is never trimmed, or the scores are no table.
    """
    _estimator("interquartile_mean", of)
    return float(_interquartile_mean(table(scores)).estimate)


def aggregate(
    scores: ArrayLike,
    kind: str = "mean",
    *,
    of: str,
    method: str = AUTO,
    level: float = LEVEL,
    rng: np.random.Generator,
) -> Interval:
    """Mean or interquartile mean over runs x tasks with its interval.

    Args:
        scores: shape (runs, tasks) or (runs,), on one scale for all tasks.
        kind: ``mean`` or ``interquartile_mean``.
        of: name of the quantity; harm has no interquartile mean.
        method: ``student`` (for trimmed means Tukey & McLaughlin 1963; over tasks Welch 1947), or
            runs resampled within tasks: ``studentised``, ``percentile``, ``bca``. ``auto`` is
            ``student`` below ``BOOTSTRAP_SEEDS`` runs and ``studentised`` from there on.
        level: confidence level in (0, 1).
        rng: generator of the bootstrap.

    Returns:
        The interval; ends NaN for one run, which says nothing about others.

    Raises:
        UsageError: for an unknown kind or method, a bootstrap of fewer than ``BOOTSTRAP_SEEDS``
            runs, a trimmed harm, no table, or no level.
    """
    return _interval(table(scores)[None], _estimator(kind, of), method, level, rng)


def aggregate_difference(
    first: ArrayLike,
    second: ArrayLike,
    kind: str = "mean",
    *,
    of: str,
    method: str = AUTO,
    level: float = LEVEL,
    rng: np.random.Generator,
) -> Interval:
    """Aggregate of ``first`` minus that of ``second``, whose runs are paired by seed.

    Args:
        first: shape (runs, tasks) or (runs,).
        second: the other regime's scores: the same seeds and tasks in the same order.
        kind: as in ``aggregate``, like all that follows.
        of: name of the quantity.
        method: how the interval is found.
        level: confidence level in (0, 1).
        rng: generator of the bootstrap, which draws the same seeds from both.

    Raises:
        UsageError: as ``aggregate``, and if the two have not the same shape.
    """
    both = np.stack(paired_tables(first, second))
    return _interval(both, _estimator(kind, of), method, level, rng)


def _interval(
    tables: Floats, estimator: Estimator, method: str, level: float, rng: np.random.Generator
) -> Interval:
    """Of the first table's aggregate, minus the second's if there is one."""
    runs = tables.shape[1]
    chosen = choice("method", method, (AUTO, STUDENT, *BOOTSTRAPS))
    if chosen in BOOTSTRAPS and runs < BOOTSTRAP_SEEDS:
        raise UsageError(
            f"a {chosen} bootstrap needs at least {BOOTSTRAP_SEEDS} runs per task, got {runs}: "
            f"give method='{STUDENT}'"
        )
    if chosen == AUTO:
        chosen = STUDENT if runs < BOOTSTRAP_SEEDS else "studentised"
    found, checked = estimator(tables), checked_level(level)
    estimate = float(found.estimate)
    if runs < 2:
        return Interval(estimate, float("nan"), float("nan"))
    if not np.ptp(found.influence, axis=-2).any():
        return Interval(estimate, estimate, estimate)
    if chosen == STUDENT:
        return student(found, checked)
    return BOOTSTRAPS[chosen](tables, estimator, checked, rng)


def _estimator(kind: str, of: str) -> Estimator:
    choice("kind", kind, KINDS)
    harm = of not in MONEY and any(word in f"{of}_" for word in HARMS)
    if kind == "interquartile_mean" and harm:
        raise UsageError(
            f"{of} has no interquartile mean, which would trim catastrophes away; take the mean, "
            "the worst seed or the conditional value at risk"
        )
    return partial(_signed, KINDS[kind])


def _signed(estimator: Estimator, tables: Floats) -> Parts:
    """Parts of the first table, minus those of the second if there is one."""
    found = estimator(tables)
    if len(tables) == 1:
        return Parts(found.estimate[0], found.influence[0], found.freedom[0])
    return Parts(
        found.estimate[0] - found.estimate[1],
        found.influence[0] - found.influence[1],
        np.minimum(found.freedom[0], found.freedom[1]),
    )


def _mean(tables: Floats) -> Parts:
    runs = tables.shape[-2]
    freedom = np.full((*tables.shape[:-2], tables.shape[-1]), runs - 1.0)
    return Parts(np.asarray(tables.mean(axis=(-2, -1))), tables, freedom)


def _interquartile_mean(tables: Floats) -> Parts:
    """Influence: the winsorised score, over the share that is kept (Huber 1981, section 3.3)."""
    *outer, runs, tasks = tables.shape
    size = runs * tasks
    cut = int(TRIMMED * size)
    ordered = np.sort(tables.reshape(*outer, size), axis=-1)
    low = ordered[..., cut, None, None]
    high = ordered[..., size - cut - 1, None, None]
    kept = (tables >= low) & (tables <= high)
    return Parts(
        np.asarray(ordered[..., cut : size - cut].mean(axis=-1)),
        np.clip(tables, low, high) * (size / (size - 2 * cut)),
        np.maximum(kept.sum(axis=-2) - 1.0, 1.0),
    )


KINDS: Mapping[str, Estimator] = {"mean": _mean, "interquartile_mean": _interquartile_mean}
