"""Figures of what oversight bought: overseen against alone, and return against violations."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, MaxNLocator

from looplab.experiments.cells import task_title
from looplab.experiments.figures.marks import Mark
from looplab.experiments.figures.sheet import (
    GREY,
    MOST_TICKS,
    TICK_STEPS,
    WIDTH_INCHES,
    Material,
    Painted,
    from_zero,
    grey_marker,
    line_handles,
    panels,
)
from looplab.experiments.findings import FROZEN_SHARE
from looplab.experiments.number_text import short_number

TITLE_INCHES = 0.45
BAR_ROW_INCHES = 0.32
MARK_POINTS, RING_POINTS = 6.5, 4.5
HOLLOW_POINTS, EDGE_POINTS = 1.1, 0.6
#: Drawing order of marks, above grid and lines; a mark around others lies below them.
MARKS_ABOVE = 4.0
#: Points nearer than this share of both axes count as one place.
SAME_PLACE = 0.02
BAR_HEIGHT, BAR_SHIFT, BAR_MARGIN = 0.34, 0.19, 0.2
NUMBER_SIZE = 6.5
#: Numbers from here on are told in thousands, so that they fit into their panel.
THOUSANDS_FROM = 10_000.0
FRONT: dict[str, Any] = {
    "color": GREY, "linewidth": 0.9, "linestyle": (0, (3, 1, 1, 1)), "zorder": 1.5, "alpha": 0.8,
}  # fmt: skip


def overseen_vs_alone(material: Material) -> Painted:
    """Paired bars of violations and of return, overseen above alone; one row of panels per task."""
    tasks = material.tasks()
    heights = [TITLE_INCHES + BAR_ROW_INCHES * len(rows) for _, rows in tasks]
    canvas = Canvas(figsize=(WIDTH_INCHES, sum(heights) + TITLE_INCHES))
    grid = canvas.subplots(len(tasks), 2, squeeze=False, height_ratios=heights)
    for (task, rows), (left, right) in zip(tasks, grid, strict=True):
        for axes, what in ((left, "violations_per_1k"), (right, "return")):
            for place, row in enumerate(rows):
                _pair_of_bars(axes, place, material.cells.iloc[row], what, material.marks[row])
            axes.set_ylim(len(rows) - 0.4, -0.6)
            axes.grid(visible=False, axis="y")
            axes.tick_params(axis="y", length=0)
            axes.xaxis.set_major_locator(MaxNLocator(MOST_TICKS, steps=TICK_STEPS))
            axes.margins(x=BAR_MARGIN)
            if max(map(abs, axes.get_xlim())) >= THOUSANDS_FROM:
                axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        left.set_yticks(range(len(rows)), [_flagged(material, row) for row in rows])
        right.set_yticks(range(len(rows)), [""] * len(rows))
        right.axvline(0.0, color=GREY, linewidth=0.8)
        left.set_title(task_title(task))
        from_zero(left, "x")
    grid[-1][0].set_xlabel("Violations per 1 000 steps")
    grid[-1][1].set_xlabel("Task return per episode")
    return canvas, [
        Patch(facecolor="white", edgecolor=GREY, label="overseen"),
        Patch(facecolor=GREY, edgecolor=GREY, label="alone"),
    ]


def return_vs_violations(material: Material) -> Painted:
    """Return against violations in evaluation, hollow overseen and filled alone."""
    x_label, y_label = "Violations per 1 000 steps", "Task return per episode"
    canvas, all_axes = panels(material, x_label, y_label, steps=False)
    for (_, rows), axes in zip(material.tasks(), all_axes, strict=True):
        for row in rows:
            cell, mark = material.cells.iloc[row], material.marks[row]
            ends = [
                [cell[f"{who}_{what}"] for who in ("overseen", "alone")]
                for what in ("violations_per_1k", "return")
            ]
            axes.plot(*ends, color=mark.colour, linewidth=0.7, alpha=0.5, zorder=2)
        for who in ("overseen", "alone"):
            mark_points(axes, material, rows, (f"{who}_violations_per_1k", f"{who}_return"))
        from_zero(axes, "x")
        front = pareto_front(material.cells.iloc[rows])
        if len(front):
            right, bottom = axes.get_xlim()[1], axes.get_ylim()[0]
            (x, y) = front.T
            xs, ys = np.r_[x[0], x, right], np.r_[bottom, y, y[-1]]
            axes.plot(xs, ys, drawstyle="steps-post", scalex=False, scaley=False, **FRONT)
    phases = [grey_marker("overseen", hollow=True), grey_marker("alone")]
    best = Line2D([], [], label="best trade-offs alone", **FRONT)
    return canvas, [*line_handles(material, lines=False), *phases, best]


def pareto_front(cells: pd.DataFrame) -> np.ndarray:
    """Cells that no other beats alone in both violations and return, among those that move.

    Args:
        cells: rows of ``metrics.summary``.

    Returns:
        Violations per 1 000 steps and return, rising, shape (cells on the front, 2).
    """
    names = ["alone_violations_per_1k", "alone_return"]
    moving = cells[~(cells["frozen_seeds"] >= FROZEN_SHARE)]
    points = moving[names].dropna().sort_values(names, ascending=[True, False]).to_numpy(float)
    best = np.maximum.accumulate(np.r_[-np.inf, points[:, 1]])[:-1]
    found: np.ndarray = points[points[:, 1] > best]
    return found


def mark_points(
    axes: Axes, material: Material, rows: Sequence[int], names: tuple[str, str]
) -> None:
    """One mark per cell with its intervals; marks that coincide are drawn around each other."""
    places = material.cells[list(names)].iloc[list(rows)].to_numpy(float)
    span = np.nan_to_num(np.ptp(material.cells.iloc[list(rows)][list(names)], axis=0))
    hollow = names[0].startswith("overseen")
    for turn, row in enumerate(rows):
        cell, mark = material.cells.iloc[row], material.marks[row]
        (x, x_reach), (y, y_reach) = (_reach(cell, name) for name in names)
        if np.isnan(x) or np.isnan(y):
            continue
        near = np.abs(places[:turn] - places[turn]) <= SAME_PLACE * span
        rings = int(near.all(axis=1).sum())
        axes.errorbar(
            x,
            y,
            xerr=x_reach,
            yerr=y_reach,
            color=mark.colour,
            marker=mark.marker,
            markersize=MARK_POINTS + RING_POINTS * rings,
            markerfacecolor="none" if hollow else mark.colour,
            markeredgecolor=mark.colour if hollow else "white",
            markeredgewidth=HOLLOW_POINTS if hollow else EDGE_POINTS,
            elinewidth=0.9,
            linestyle="",
            clip_on=False,
            zorder=MARKS_ABOVE - rings / len(rows),
        )


def _pair_of_bars(axes: Axes, place: int, cell: pd.Series, what: str, mark: Mark) -> None:
    for shift, who, fill in ((-BAR_SHIFT, "overseen", "white"), (BAR_SHIFT, "alone", mark.colour)):
        mean, reach = _reach(cell, f"{who}_{what}")
        axes.barh(
            place + shift,
            mean,
            height=BAR_HEIGHT,
            xerr=reach,
            facecolor=fill,
            edgecolor=mark.colour,
            linewidth=0.9,
            error_kw={"elinewidth": 0.9, "capsize": 1.5, "ecolor": GREY},
        )
        side = -1 if mean < 0.0 else 1
        axes.annotate(
            _bar_number(mean),
            (mean + side * float(reach[(side + 1) // 2, 0]), place + shift),
            xytext=(side * 3, 0),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="center_baseline",
            fontsize=NUMBER_SIZE,
            color="#333333",
        )


def _bar_number(value: float) -> str:
    if abs(value) < THOUSANDS_FROM:
        return short_number(value)
    return EngFormatter(places=0, sep="").format_eng(value).replace("-", "\u2212")


def _reach(cell: pd.Series, name: str) -> tuple[float, np.ndarray]:
    """A metric's mean and the distances to its interval's ends, shape (2, 1); NaN becomes 0."""
    mean = float(cell[name])
    ends = np.array([[mean - cell[f"{name}_low"]], [cell[f"{name}_high"] - mean]], dtype=float)
    return mean, np.nan_to_num(ends).clip(min=0.0)


def _flagged(material: Material, row: int) -> str:
    frozen = float(material.cells.iloc[row]["frozen_seeds"]) > 0.0
    return f"{material.marks[row].label}{' †' if frozen else ''}"
