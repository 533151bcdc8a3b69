"""Rates around a drift: time counts from the moment at which the task begins to change."""

from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, MaxNLocator

from looplab.experiments.cells import task_title
from looplab.experiments.drift_curves import COUNTED
from looplab.experiments.figures.sheet import (
    MOST_TICKS,
    PANEL_INCHES,
    SIDE_MARGIN,
    TICK_STEPS,
    WIDTH_INCHES,
    Material,
    Painted,
    from_zero,
    line_handles,
)
from looplab.experiments.figures.training import DRIFT, draw_line, show_means

UNIT = "per 1 000 steps"


def something_drifts(material: Material) -> bool:
    """Whether any cell's task began to drift while it was trained in."""
    return any(curves is not None for curves in material.drift_curves)


def drift_aligned(material: Material) -> Painted:
    """Violations and reviews against the steps since the drift began; a row per task."""
    curves = material.drift_curves
    tasks = [
        (task, [row for row in rows if curves[row] is not None]) for task, rows in material.tasks()
    ]
    tasks = [(task, rows) for task, rows in tasks if rows]
    canvas = Canvas(figsize=(WIDTH_INCHES, PANEL_INCHES * len(tasks)))
    grid = canvas.subplots(len(tasks), len(COUNTED), squeeze=False)
    for (task, rows), line in zip(tasks, grid, strict=True):
        for axes, name in zip(line, COUNTED, strict=True):
            shown = {row: getattr(found, name) for row in rows if (found := curves[row])}
            for row, curve in shown.items():
                draw_line(axes, curve, material.marks[row], row)
            axes.axvline(0.0, **DRIFT)
            axes.margins(x=SIDE_MARGIN)
            axes.set_ylabel(f"{name.capitalize()}\n{UNIT}")
            axes.xaxis.set_major_locator(MaxNLocator(MOST_TICKS, steps=TICK_STEPS))
            axes.yaxis.set_major_locator(MaxNLocator(MOST_TICKS, steps=TICK_STEPS))
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
            show_means(axes, list(shown.values()))
            from_zero(axes, "y")
        line[0].set_title(task_title(task))
    for axes in grid[-1]:
        axes.set_xlabel("Training steps since the drift began")
    labels = {material.marks[row].label for _, rows in tasks for row in rows}
    handles = [one for one in line_handles(material) if one.get_label() in labels]
    return canvas, [*handles, Line2D([], [], label="the task drifts", **DRIFT)]
