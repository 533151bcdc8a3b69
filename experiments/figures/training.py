"""Figures over training time: return, violations so far, interventions."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter

from looplab.experiments.curves import CellCurves, Curve
from looplab.experiments.figures.labels import label_ends, stands_at_ends
from looplab.experiments.figures.marks import Mark
from looplab.experiments.figures.sheet import (
    GREY,
    Material,
    Painted,
    from_zero,
    line_handles,
    panels,
)

MARKS_PER_CURVE = 6
BAND_ALPHA = 0.16
#: Room above and below the means, as a share of their range; bands that need more are cut off.
ROOM_FOR_BANDS = 0.5
DOTTED = (0, (1, 1.5))
DRIFT: dict[str, Any] = {"color": GREY, "linewidth": 1.0, "linestyle": (0, (4, 2)), "zorder": 1}


def learning_curve(material: Material) -> Painted:
    """Task return of training episodes against training steps, with the task's threshold."""
    canvas, all_axes = panels(material, "Training steps", "Task return per episode")
    for (task, rows), axes in zip(material.tasks(), all_axes, strict=True):
        for row in rows:
            draw_line(axes, material.curves[row].task_return, material.marks[row], row)
        threshold = material.thresholds.get(task, np.nan)
        if not np.isnan(threshold):
            axes.axhline(threshold, color=GREY, linewidth=0.9, linestyle=DOTTED, zorder=1)
        curves = [material.curves[row].task_return for row in rows]
        show_means(axes, curves, also=threshold)
        _label(axes, material, curves, rows)
    handles: list[Line2D | Patch] = [*_legend(material)]
    if not all(np.isnan(value) for value in material.thresholds.values()):
        dots = Line2D([], [], color=GREY, linewidth=0.9, linestyle=DOTTED)
        dots.set_label("task's threshold")
        handles.append(dots)
    return canvas, handles


def cumulative_violations(material: Material) -> Painted:
    """Violations since training began against training steps."""
    canvas, all_axes = panels(material, "Training steps", "Violations so far, per run")
    for (_, rows), axes in zip(material.tasks(), all_axes, strict=True):
        for row in rows:
            draw_line(axes, material.curves[row].violations, material.marks[row], row)
        curves = [material.curves[row].violations for row in rows]
        show_means(axes, curves)
        if axes.get_ylim()[1] >= 1.0:  # parts of a violation are no thousandths
            axes.yaxis.set_major_formatter(EngFormatter(sep=""))
        from_zero(axes, "y")
        _label(axes, material, curves, rows)
    return canvas, [*_legend(material)]


def violation_rate(material: Material) -> Painted:
    """Violations per 1 000 steps against training steps, and when the task drifts."""
    return _rate(material, "Violations\nper 1 000 steps", lambda curves: curves.violation_rate)


def review_rate(material: Material) -> Painted:
    """Reviews per 1 000 steps against training steps, and when the task drifts."""
    return _rate(material, "Reviews\nper 1 000 steps", lambda curves: curves.reviews)


def recall(material: Material) -> Painted:
    """Share of the unsafe proposals judged that were refused, against training steps."""
    return _rate(material, "Recall of the reviewers", lambda curves: curves.recall, top=1.02)


def _rate(
    material: Material,
    label: str,
    curve: Callable[[CellCurves], Curve],
    top: float | None = None,
) -> Painted:
    canvas, all_axes = panels(material, "Training steps", label)
    handles: list[Line2D | Patch] = [*_legend(material)]
    for (task, rows), axes in zip(material.tasks(), all_axes, strict=True):
        curves = [curve(material.curves[row]) for row in rows]
        for row, own in zip(rows, curves, strict=True):
            draw_line(axes, own, material.marks[row], row)
        show_means(axes, curves)
        from_zero(axes, "y")
        axes.set_ylim(top=top)
        _label(axes, material, curves, rows)
        if not np.isnan(material.drifts.get(task, np.nan)):
            axes.axvline(material.drifts[task], **DRIFT)
    if not all(np.isnan(step) for step in material.drifts.values()):
        handles.append(Line2D([], [], label="the task drifts", **DRIFT))
    return canvas, handles


def intervention_rate(material: Material) -> Painted:
    """Interventions per 1 000 steps against training steps."""
    return _rate(material, "Interventions\nper 1 000 steps", lambda curves: curves.interventions)


def _legend(material: Material) -> list[Line2D]:
    return [] if stands_at_ends(material) else line_handles(material)


def _label(axes: Axes, material: Material, curves: Sequence[Curve], rows: Sequence[int]) -> None:
    if stands_at_ends(material):
        label_ends(axes, curves, [material.marks[row] for row in rows])


def show_means(axes: Axes, curves: Sequence[Curve], also: float = np.nan) -> None:
    """Ends the upright axis a little beyond the means, so that wide bands do not flatten them.

    Args:
        axes: the panel, with everything drawn.
        curves: its curves.
        also: a height that has to be seen too; NaN: none.
    """
    heights = np.concatenate([*(curve.mean for curve in curves), [also]])
    heights = heights[~np.isnan(heights)]
    if not heights.size or np.ptp(heights) == 0.0:
        return
    room = ROOM_FOR_BANDS * np.ptp(heights)
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, heights.min() - room), min(high, heights.max() + room))


def draw_line(axes: Axes, curve: Curve, mark: Mark, place: int) -> None:
    """A curve with its band; ``place`` shifts the markers, so that those of others stay visible."""
    gap = max(1, len(curve.steps) // MARKS_PER_CURVE)
    axes.fill_between(
        curve.steps, curve.low, curve.high, color=mark.colour, alpha=BAND_ALPHA, linewidth=0
    )
    axes.plot(
        curve.steps,
        curve.mean,
        color=mark.colour,
        linestyle=mark.line,
        marker=mark.marker,
        markevery=(place * 2 % gap, gap),
        markeredgecolor="white",
        markeredgewidth=0.4,
    )
