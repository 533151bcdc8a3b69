"""Two comparisons side by side: the same cells on equal seeds, and whatever else differs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from looplab.experiments.cells import cell_labels
from looplab.experiments.claims import read_claims
from looplab.experiments.contrast import Contrast, Side
from looplab.experiments.measures import MEASURES, Measure
from looplab.experiments.metrics import per_seed
from looplab.experiments.result_folder import ResultFolder
from looplab.experiments.verdicts import Verdict, judge

#: What is held side by side, most important first.
MEASURED = (
    "alone_violations_per_1k",
    "alone_return",
    "overseen_violations_per_1k",
    "overseen_return",
    "train_violations_per_1k",
    "train_return",
    "human_hours",
)
#: A cell's place: axes with their values as text, in the order of their names.
Key = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Study:
    """One comparison, ready to be held beside another.

    Attributes:
        data: the folder.
        cells: the seeds of every cell (``metrics.per_seed``) by its place.
        labels: what each cell is called.
        verdicts: of the experiment's claims, by claim and task.
    """

    data: ResultFolder
    cells: Mapping[Key, pd.DataFrame]
    labels: Mapping[Key, str]
    verdicts: Mapping[tuple[str, str | None], Verdict]


@dataclass(frozen=True)
class Shared:
    """A cell that both comparisons have.

    Attributes:
        env: its task.
        label: what it is called.
        seeds: seeds that both have, in order.
        contrasts: second minus first by measure, paired by seed.
        means: of the first and of the second, by measure, over the seeds that both have; over all
            of each where there is none.
    """

    env: str
    label: str
    seeds: tuple[int, ...]
    contrasts: Mapping[str, Contrast]
    means: Mapping[str, tuple[float, float]]


def study(data: ResultFolder, axes: tuple[str, ...]) -> Study:
    """Prepares a comparison.

    Args:
        data: the folder.
        axes: axes of any of the comparisons that are held side by side. Where this one has no such
            axis, its cells take the value that its settings fix.
    """
    seeds = per_seed(data.results, data.runs, data.axes)
    groups = [cell for _, cell in seeds.groupby(list(data.axes), sort=False, dropna=False)]
    names = cell_labels(pd.DataFrame([cell.iloc[0] for cell in groups]), data.axes)
    settings = data.comparison.get("settings") or {}
    cells, labels = {}, {}
    for cell, label in zip(groups, names, strict=True):
        place = {axis: cell[axis].iloc[0] for axis in data.axes}
        fixed = {axis: settings[axis] for axis in axes if axis not in place and axis in settings}
        key = _key({**fixed, **place})
        cells[key], labels[key] = cell, label
    experiment = data.comparison.get("experiment") or {}
    verdicts = judge(read_claims(experiment), seeds, data.axes) if experiment.get("claims") else []
    return Study(data, cells, labels, {(v.claim.name, v.task): v for v in verdicts})


def _key(place: Mapping[str, Any]) -> Key:
    known = {axis: value for axis, value in place.items() if not pd.isna(value)}
    return tuple(sorted((axis, _text(value)) for axis, value in known.items()))


def _text(value: Any) -> str:
    """Numbers by value, so that 0 and 0.0 are one cell.

    >>> _text(0.0), _text(1), _text("1"), _text(True)
    ('0', '1', '1', 'True')
    """
    if isinstance(value, float | int) and not isinstance(value, bool):
        return f"{float(value):.12g}"
    return str(value)


def shared(first: Study, second: Study) -> list[Shared]:
    """Cells that both have, in the first's order."""
    return [
        _shared(first, second, key, label)
        for key, label in first.labels.items()
        if key in second.cells
    ]


def is_identical(cell: Shared) -> bool:
    """Whether equal seeds have equal numbers in everything that was measured."""
    return bool(cell.seeds) and all(
        isinstance(one.than, Side) and np.array_equal(one.of.values, one.than.values)
        for one in cell.contrasts.values()
    )


def only_in(first: Study, second: Study) -> list[tuple[str, str]]:
    """Task and label of the cells that the first has and the second has not."""
    return [
        (dict(key)["env"], label) for key, label in first.labels.items() if key not in second.cells
    ]


def _shared(first: Study, second: Study, key: Key, label: str) -> Shared:
    cells = [side.cells[key].set_index("seed") for side in (first, second)]
    seeds = tuple(sorted(set(cells[0].index) & set(cells[1].index)))
    contrasts, means = {}, {}
    for name in MEASURED:
        measure = MEASURES[name]
        before, after = (_side(cell, seeds, measure) for cell in cells)
        known = ~(pd.isna(before.values) | pd.isna(after.values))
        before, after = (Side(s.values[known], s.exposure) for s in (before, after))
        contrasts[name] = Contrast(measure, after, before)
        whole = (float(cells[0][name].mean()), float(cells[1][name].mean()))
        means[name] = (before.mean, after.mean) if seeds else whole
    return Shared(dict(key)["env"], label, seeds, contrasts, means)


def _side(cell: pd.DataFrame, seeds: tuple[int, ...], measure: Measure) -> Side:
    own = cell.loc[list(seeds)]
    exposure = float(own[measure.exposure].sum()) if measure.exposure else 0.0
    return Side(own[measure.name].to_numpy(float), exposure)


def configured_otherwise(first: Study, second: Study) -> list[str]:
    """Labels of shared cells whose equal seeds ran another configuration, told by their hashes."""
    found = []
    for key, label in first.labels.items():
        if key in second.cells:
            runs = [side.cells[key].set_index("seed")["run"] for side in (first, second)]
            both = runs[0].index.intersection(runs[1].index)
            if any(runs[0].loc[both].map(_hash) != runs[1].loc[both].map(_hash)):
                found.append(label)
    return found


def _hash(run: str) -> str:
    return run.rsplit("-", 1)[-1]


def changed_verdicts(first: Study, second: Study) -> Iterator[tuple[Verdict, Verdict]]:
    """Verdicts on claims that both state of the same task, those that changed first."""
    both = [
        (verdict, second.verdicts[key])
        for key, verdict in first.verdicts.items()
        if key in second.verdicts
    ]
    yield from sorted(both, key=lambda pair: pair[0].verdict == pair[1].verdict)
