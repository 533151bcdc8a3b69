"""What a cell's means hide: the worst seed, the tail, the middle half, how often it improves."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from looplab.experiments.cells import cell_labels
from looplab.experiments.statistics import (
    UNDEFINED,
    Interval,
    aggregate,
    conditional_value_at_risk,
    probability_of_improvement,
    worst_seed,
)

#: Harm and return of ``metrics.per_seed``, and which end of each is bad.
BAD_END: Mapping[str, str] = {
    **{
        f"{phase}_{harm}_per_1k": "high"
        for harm in ("violations", "catastrophes")
        for phase in ("train", "overseen", "alone")
    },
    **{f"{phase}_return": "low" for phase in ("train", "overseen", "alone")},
}
#: Measures with an interquartile mean; harm has none, which would cut catastrophes off.
MIDDLE = (
    "train_return", "overseen_return", "alone_return",
    "human_hours", "reviews_per_1k", "interventions_per_1k",
)  # fmt: skip
#: Share of the seeds, the worst ones, that the conditional value at risk is the mean of.
TAIL_SHARE = 0.25
#: Regime that the others are held against, where it is there.
REFERENCE_REGIME = "autonomous"
REFERENCE = "reference"


def beyond_means(
    seeds: pd.DataFrame, axes: Sequence[str], resampling_seed: int
) -> list[dict[str, object]]:
    """One record per cell, in order of appearance, for ``summary.csv``.

    Args:
        seeds: the result of ``metrics.per_seed``.
        axes: the columns that name a cell.
        resampling_seed: seed of the bootstrap behind interquartile means.

    Returns:
        Of every measure ``m`` in ``BAD_END``: ``m_worst`` and ``m_worst_seed``, the worst seed's
        value and number; ``m_cvar``, the mean of the worst quarter of the seeds; and
        ``m_improvement`` with ``_low`` and ``_high``, the chance that a seed of this cell does
        better than one of the cell that ``reference`` names, over the seeds that both have. Of
        every measure in ``MIDDLE``: ``m_iqm`` with ``_low`` and ``_high``. NaN where a measure is
        not defined; worst seeds and tails have no interval.
    """
    cells = [cell for _, cell in seeds.groupby(list(axes), sort=False, dropna=False)]
    by_seed = [cell.set_index("seed")[list(BAD_END)] for cell in cells]
    first = pd.DataFrame([cell.iloc[0] for cell in cells])
    labels = cell_labels(first, axes)
    records = []
    for place, (cell, other) in enumerate(zip(cells, references(first, axes), strict=True)):
        record: dict[str, object] = dict(_worst(cell))
        for name in MIDDLE:
            record |= _columns(f"{name}_iqm", _middle(cell, name, resampling_seed))
        held_against = None if other in (None, place) else by_seed[other]
        record[REFERENCE] = None if other in (None, place) else labels[other]
        for name in BAD_END:
            found = _improvement(by_seed[place], held_against, name)
            record |= _columns(f"{name}_improvement", found)
        records.append(record)
    return records


def references(cells: pd.DataFrame, axes: Sequence[str]) -> list[int | None]:
    """Place of the cell that each one is held against, shape (cells,); None: there is none.

    It is of the same task and algorithm: the autonomous one with the same further axes, or the only
    one there is; without any, the first cell of the task.

    Args:
        cells: one row per cell, with ``axes``.
        axes: the columns that name a cell.
    """
    further = [axis for axis in axes if axis not in ("env", "regime", "algo")]
    rows = cells.reset_index(drop=True)
    keys = rows[further].astype(object).where(rows[further].notna(), None)
    found: list[int | None] = []
    for place, row in rows.iterrows():
        same = (rows["env"] == row["env"]) & (rows["algo"] == row["algo"])
        calm = rows.index[same & (rows["regime"] == REFERENCE_REGIME)].tolist()
        if not calm:
            found.append(int(rows.index[same][0]))
            continue
        equal = [other for other in calm if tuple(keys.loc[other]) == tuple(keys.loc[place])]
        chosen = equal or (calm if len(calm) == 1 else [])
        found.append(int(chosen[0]) if chosen else None)
    return found


def _worst(cell: pd.DataFrame) -> Iterator[tuple[str, object]]:
    for name, end in BAD_END.items():
        known = cell[cell[name].notna()]
        if known.empty:
            seed, value, tail = None, np.nan, np.nan
        else:
            values = known[name].to_numpy(float)
            seed, value = worst_seed(values, known["seed"].tolist(), worst=end)
            tail = conditional_value_at_risk(values, TAIL_SHARE, worst=end)
        yield f"{name}_worst", value
        yield f"{name}_worst_seed", seed
        yield f"{name}_cvar", tail


def _middle(cell: pd.DataFrame, name: str, resampling_seed: int) -> Interval:
    values = cell[name].dropna().to_numpy(float)
    if not values.size:
        return UNDEFINED
    rng = np.random.default_rng(resampling_seed)
    return aggregate(values, "interquartile_mean", of=name, rng=rng)


def _improvement(cell: pd.DataFrame, other: pd.DataFrame | None, name: str) -> Interval:
    if other is None:
        return UNDEFINED
    mine, theirs = (side[name].dropna() for side in (cell, other))
    shared = mine.index.intersection(theirs.index)
    if shared.empty:
        return UNDEFINED
    sides = [side.loc[shared].to_numpy(float) for side in (mine, theirs)]
    if BAD_END[name] == "high":
        sides.reverse()  # less harm is better
    return probability_of_improvement(*sides)


def _columns(name: str, interval: Interval) -> dict[str, object]:
    return {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}
