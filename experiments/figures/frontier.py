"""The oversight frontier: training violations against human hours, with two lines of reference."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from looplab.experiments.figures.marks import Mark
from looplab.experiments.figures.safety import mark_points
from looplab.experiments.figures.sheet import (
    GREY,
    Material,
    Painted,
    from_zero,
    line_handles,
    panels,
)
from looplab.experiments.metrics import PER_1K

HOURS, VIOLATIONS = "human_hours", "train_violations_per_1k"
#: Reviewers whose worth (hits less false blocks) is equal to so many decimals are as good.
WORTH_DECIMALS = 2
RANDOM: dict[str, Any] = {
    "color": GREY, "linewidth": 1.0, "linestyle": (0, (1, 1.5)), "zorder": 1.2,
}  # fmt: skip
PERFECT: dict[str, Any] = {**RANDOM, "linestyle": (0, (5, 2))}


class References(NamedTuple):
    """What the same proposals would have cost, and how many hours would have prevented it all.

    Attributes:
        unreviewed: violations per 1 000 steps if nobody had looked.
        random_hours: human hours in which a perfect reviewer sees every proposal, so that a share
            of them, chosen at random, prevents that share of the violations.
        perfect_hours: human hours in which a perfect reviewer sees the unsafe proposals only.
    """

    unreviewed: float
    random_hours: float
    perfect_hours: float


def violations_vs_hours(material: Material) -> Painted:
    """Training violations against human hours, with random review and a perfect overseer."""
    x_label, y_label = "Human hours per run", "Training violations\nper 1 000 steps"
    canvas, all_axes = panels(material, x_label, y_label, steps=False)
    handles = series_handles(material.marks)
    if handles:  # one entry per series, so one marker too
        material = replace(material, marks=alike(material.marks))
    else:
        handles = line_handles(material, lines=False)
    steps = [float(own["steps"].mean()) for own in material.seeds_of_cells]
    told = False
    for (_, rows), axes in zip(material.tasks(), all_axes, strict=True):
        names = (HOURS, VIOLATIONS)
        _join_series(axes, material, rows, names)
        mark_points(axes, material, rows, names)
        found = references(material.cells.iloc[rows], np.array([steps[row] for row in rows]))
        if found is not None:
            _draw(axes, found)
            told = True
        from_zero(axes, "x")
        from_zero(axes, "y")
    if told:
        handles.append(Line2D([], [], label="random review, expected", **RANDOM))
        handles.append(Line2D([], [], label="perfect overseer, asked only if unsafe", **PERFECT))
    return canvas, [*handles]


def series_handles(marks: Sequence[Mark]) -> list[Line2D]:
    """One entry of the legend per series, with its numbers; none where no line joins them.

    Numbers that all series share are told once.
    """
    series: dict[int, list[Mark]] = {}
    for mark in dict.fromkeys(marks):
        series.setdefault(mark.series, []).append(mark)
    if len(series) == 1 or all(len(own) == 1 for own in series.values()):
        return []
    names = [together([mark.label for mark in own]) for own in series.values()]
    shared = {numbers for _, numbers in names}
    numbers = shared.pop() if len(shared) == 1 else ""
    handles = [
        Line2D([], [], color=own[0].colour, marker=own[0].marker, linewidth=0.9,
               label=name if numbers else " / ".join(filter(None, (name, told))))
        for own, (name, told) in zip(series.values(), names, strict=True)
    ]  # fmt: skip
    if numbers:
        handles.append(Line2D([], [], linestyle="", label=f"dark to pale: {numbers}"))
    return handles


def alike(marks: Sequence[Mark]) -> list[Mark]:
    """The marks, those of one series with the marker of its first."""
    first: dict[int, str] = {}
    return [replace(mark, marker=first.setdefault(mark.series, mark.marker)) for mark in marks]


def together(labels: Sequence[str]) -> tuple[str, str]:
    """What several labels have in common, and the numbers in which they differ.

    >>> together(["trigger risk / share 0.05", "trigger risk / share 0.2"])
    ('trigger risk', 'share 0.05, 0.2')
    >>> together(["in the loop", "in the loop / share 0.2"])
    ('in the loop; in the loop / share 0.2', '')
    """
    parts = [label.split(" / ") for label in labels]
    if len({len(own) for own in parts}) > 1:
        return "; ".join(labels), ""
    common, numbers = [], []
    for column in zip(*parts, strict=True):
        first, *others = dict.fromkeys(column)
        if others:
            numbers.append(", ".join([first, *(other.rsplit(" ", 1)[-1] for other in others)]))
        else:
            common.append(first)
    return " / ".join(common), " / ".join(numbers)


def references(cells: pd.DataFrame, steps: np.ndarray) -> References | None:
    """Lines of reference for the cells of one task; None where nothing tells them.

    Both follow from the cell that was interfered with least: its proposals are nearest to those of
    an agent that nobody reviews. A review takes as long as in the cell with the best reviewers;
    where several are as good, as in the quickest of them.

    Args:
        cells: rows of ``metrics.summary``.
        steps: training steps per run, shape (cells,).
    """
    reviews = cells["reviews_per_1k"].to_numpy(float) * steps / PER_1K
    spent = cells[HOURS].to_numpy(float)
    asked = (reviews > 0.0) & (spent > 0.0)
    if not asked.any():
        return None
    hours_per_review = spent[asked] / reviews[asked]
    worth = (cells["reviewer_recall"] - cells["reviewer_false_blocks"].fillna(0.0)).to_numpy(float)
    rank = np.lexsort((hours_per_review, -np.nan_to_num(worth[asked]).round(WORTH_DECIMALS)))
    place = int(np.argmin(cells["interventions_per_1k"].to_numpy(float)))
    calm, length = cells.iloc[place], float(steps[place])
    unreviewed = float(calm[VIOLATIONS] + np.nan_to_num(calm["prevented_per_1k"]))
    unsafe = float(calm["unsafe_proposals_per_1k"]) * length / PER_1K
    if not unreviewed > 0.0 or not unsafe > 0.0:
        return None
    pace = float(hours_per_review[rank[0]])
    return References(unreviewed, length * pace, unsafe * pace)


def _draw(axes: Axes, found: References) -> None:
    """Both lines from nobody's review down to no violation, within the panel as it is."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, max(high, 1.05 * found.unreviewed))
    for hours, style in ((found.random_hours, RANDOM), (found.perfect_hours, PERFECT)):
        axes.plot([0.0, hours], [found.unreviewed, 0.0], scalex=False, scaley=False, **style)


def _join_series(
    axes: Axes, material: Material, rows: Sequence[int], names: tuple[str, str]
) -> None:
    """A thin line through cells that differ in a number alone, such as a budget."""
    places: dict[int, list[int]] = {}
    for row in rows:
        places.setdefault(material.marks[row].series, []).append(row)
    if len(places) == 1:  # what is compared is the numbers themselves
        return
    for own in places.values():
        line = material.cells.iloc[own].sort_values(names[0])
        colour = material.marks[own[0]].colour
        axes.plot(line[names[0]], line[names[1]], color=colour, linewidth=0.9, zorder=2)
