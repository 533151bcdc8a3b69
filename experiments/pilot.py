"""A pilot: how two cells of a comparison differ, seed by seed."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from looplab.envs.errors import UsageError, unknown
from looplab.experiments.cells import readable, task_title
from looplab.experiments.metrics import METRICS, per_seed
from looplab.experiments.power_words import BARE, KEYS, OF, THAN, Asked
from looplab.experiments.result_folder import ResultFolder
from looplab.experiments.statistics import Floats
from looplab.experiments.statistics.power import FEWEST

_TASK = "env"


@dataclass(frozen=True)
class Pilot:
    """Differences between two cells over the seeds that both have.

    Attributes:
        differences: of the metric, ``of`` minus ``than``, shape (seeds,).
        title: what was subtracted from what, for a reader.
    """

    differences: Floats
    title: str


def read_pilot(folder: ResultFolder, asked: Asked) -> Pilot:
    """Finds the two cells and pairs their seeds.

    Args:
        folder: a comparison's results.
        asked: the metric and the cells.

    Raises:
        UsageError: naming the metric, axis or value that is not there, what is left open, or that
            too few seeds are shared.
    """
    names = [metric.name for metric in METRICS]
    if asked.metric not in names:
        raise unknown("metric", asked.metric, names)
    for axis in asked.both:
        if axis not in folder.axes:
            raise unknown("key", axis, (*KEYS, *folder.axes))
    seeds = per_seed(folder.results, folder.runs, folder.axes)
    left, right = (
        _cell(seeds, folder.axes, key, {**asked.both, **own})
        for key, own in ((OF, asked.of), (THAN, asked.than))
    )
    if left.index.equals(right.index):
        raise UsageError(f"of and than name the same cell: {_text(asked.of)}")
    values = [cell.set_index("seed")[asked.metric].dropna() for cell in (left, right)]
    shared = values[0].index.intersection(values[1].index)
    if len(shared) < FEWEST:
        raise UsageError(
            f"both cells have {asked.metric} in {len(shared)} seed{'s' * (len(shared) != 1)} only; "
            f"a difference needs at least {FEWEST} to have a spread"
        )
    first, second = (value.loc[shared].to_numpy(float) for value in values)
    task = left[_TASK].iloc[0]
    where = f" ({task_title(task)})" if task == right[_TASK].iloc[0] else ""
    return Pilot(
        first - second,
        f"{readable(asked.metric)}: {_text(asked.of)} minus {_text(asked.than)}{where}",
    )


def axis_values(runs: pd.DataFrame) -> dict[str, list[str]]:
    """Columns with their values, each once and as the command line writes them."""
    return {axis: list(dict.fromkeys(_named(entry) for entry in runs[axis])) for axis in runs}


def _cell(
    seeds: pd.DataFrame, axes: tuple[str, ...], key: str, wanted: Mapping[str, str]
) -> pd.DataFrame:
    """The rows of the one cell that has these values."""
    found = seeds
    for axis, value in wanted.items():
        if axis not in axes:
            raise unknown("axis", axis, axes)
        chosen = found[[_equal(entry, value) for entry in found[axis]]]
        if chosen.empty:
            raise unknown(axis, value, {_named(entry) for entry in found[axis]})
        found = chosen
    for axis in axes:
        values = sorted({_named(entry) for entry in found[axis]})
        if len(values) > 1:
            raise UsageError(
                f"{key} leaves {axis} open ({', '.join(values)}); add one of them, e.g. "
                f"{axis}={values[0]}"
            )
    return found


def _equal(entry: object, text: str) -> bool:
    if _named(entry) == text:
        return True
    try:
        return not isinstance(entry, str | bool) and float(str(entry)) == float(text)
    except ValueError:
        return False


def _named(entry: object) -> str:
    """A value as the command line writes it."""
    if entry is None or entry is pd.NA or entry != entry:
        return "null"
    if isinstance(entry, bool | np.bool_):
        return str(entry).lower()
    return f"{entry:g}" if isinstance(entry, float) else str(entry)


def _text(cell: Mapping[str, str]) -> str:
    parts = [
        readable(value)
        if axis == BARE
        else f"{readable(axis.rsplit('.', 1)[-1])} {readable(value)}"
        for axis, value in cell.items()
    ]
    return " / ".join(parts)
