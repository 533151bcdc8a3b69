"""Figures over training time: return, violations so far, interventions."""

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter

from looplab.experiments.curves import CellCurves, Curve
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
DOTTED = (0, (1, 1.5))
DRIFT: dict[str, Any] = {"color": GREY, "linewidth": 1.0, "linestyle": (0, (4, 2)), "zorder": 1}


def learning_curve(material: Material) -> Painted:
    """Task return of training episodes against training steps, with the task's threshold."""
    canvas, all_axes = panels(material, "Training steps", "Task return per episode")
    for (task, rows), axes in zip(material.tasks(), all_axes, strict=True):
        for row in rows:
            _line(axes, material.curves[row].task_return, material.marks[row], row)
        threshold = material.thresholds.get(task, np.nan)
        if not np.isnan(threshold):
            axes.axhline(threshold, color=GREY, linewidth=0.9, linestyle=DOTTED, zorder=1)
    handles: list[Line2D | Patch] = [*line_handles(material)]
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
            _line(axes, material.curves[row].violations, material.marks[row], row)
        axes.yaxis.set_major_formatter(EngFormatter(sep=""))
        from_zero(axes, "y")
    return canvas, [*line_handles(material)]


def violation_rate(material: Material) -> Painted:
    """Violations per 1 000 steps against training steps, and when the task drifts."""
    return _rate(material, "Violations\nper 1 000 steps", lambda curves: curves.violation_rate)


def review_rate(material: Material) -> Painted:
    """Reviews per 1 000 steps against training steps, and when the task drifts."""
    return _rate(material, "Reviews\nper 1 000 steps", lambda curves: curves.reviews)


def recall(material: Material) -> Painted:
    """Share of the unsafe proposals judged that were refused, against training steps."""
    canvas, handles = _rate(material, "Recall of the reviewers", lambda curves: curves.recall)
    for axes in canvas.axes:
        axes.set_ylim(top=1.02)
    return canvas, handles


def _rate(material: Material, label: str, curve: Callable[[CellCurves], Curve]) -> Painted:
    canvas, all_axes = panels(material, "Training steps", label)
    handles: list[Line2D | Patch] = [*line_handles(material)]
    for (task, rows), axes in zip(material.tasks(), all_axes, strict=True):
        for row in rows:
            _line(axes, curve(material.curves[row]), material.marks[row], row)
        from_zero(axes, "y")
        if not np.isnan(material.drifts.get(task, np.nan)):
            axes.axvline(material.drifts[task], **DRIFT)
    if not all(np.isnan(step) for step in material.drifts.values()):
        handles.append(Line2D([], [], label="the task drifts", **DRIFT))
    return canvas, handles


def intervention_rate(material: Material) -> Painted:
    """Interventions per 1 000 steps against training steps."""
    return _rate(material, "Interventions\nper 1 000 steps", lambda curves: curves.interventions)


def _line(axes: Axes, curve: Curve, mark: Mark, place: int) -> None:
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
