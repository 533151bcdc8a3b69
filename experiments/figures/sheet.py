"""The sheet on which every figure is drawn: its size, style, panels, legend, caption and files."""

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, MaxNLocator
from matplotlib.transforms import Bbox

from looplab.experiments.cells import task_title
from looplab.experiments.curves import CellCurves
from looplab.experiments.drift_curves import DriftCurves
from looplab.experiments.figures.marks import Mark
from looplab.experiments.files import write_whole

WIDTH_INCHES = 6.3  # 16 cm, the text width of a page
PANEL_INCHES = 2.2
LINE_INCHES = 0.15
CHARACTER_INCHES = 0.066
LEGEND_HANDLE_INCHES = 0.55
CAPTION_CHARACTERS = 124
PNG_DPI = 200
CAPTION_POINTS, CAPTION_SPACING, CAPTION_COLOUR = 7, 1.25, "#333333"
CAPTION_GAP_INCHES, LEGEND_GAP_INCHES, TOP_GAP_INCHES = 0.08, 0.12, 0.06
LEGEND_SPACING = 1.2
#: A legend with more entries is set smaller.
MOST_LARGE_ENTRIES, SMALL_LEGEND_POINTS = 8, 6.5
#: Tasks up to which panels stand two abreast; ``MOST_ABREAST`` beyond.
TASKS_TWO_ABREAST, MOST_ABREAST = 4, 3
#: Room around the data, and below 0 on an axis that begins there, as shares of the axis.
SIDE_MARGIN, TOP_MARGIN, BELOW_ZERO = 0.03, 0.08, 0.03
#: Upper end of an axis on which everything is 0.
LEAST_TOP = 1e-9
MOST_TICKS, TICK_STEPS = 5, (1, 2, 2.5, 5, 10)
GREY = "#555555"
#: Decimals of panels' places, as shares of the sheet: the solver's last bits differ by process.
PLACES = 9

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "pdf.fonttype": 42,
}

#: A canvas and the entries of its legend.
Painted = tuple[Canvas, list[Line2D | Patch]]


@dataclass(frozen=True)
class Material:
    """What every figure is drawn from: one row, one mark and one set of curves per cell.

    Attributes:
        cells: see ``metrics.summary``.
        marks: one per cell.
        curves: one per cell.
        thresholds: return that counts as learned, by task; NaN where there is none.
        drifts: training step at which each task begins to drift; NaN where none does.
        seeds: see ``metrics.per_seed``.
        axes: columns that name a cell.
        calibration: see ``run_tables.calibration_rows``.
        drift_curves: one per cell, None where nothing drifts.

    It holds no episodes, so that processes can be sent it.
    """

    cells: pd.DataFrame
    marks: Sequence[Mark]
    curves: Sequence[CellCurves]
    thresholds: dict[str, float]
    drifts: dict[str, float]
    seeds: pd.DataFrame
    axes: tuple[str, ...]
    calibration: pd.DataFrame
    drift_curves: Sequence[DriftCurves | None]

    @cached_property
    def seeds_of_cells(self) -> list[pd.DataFrame]:
        """The rows of ``seeds`` of each cell."""
        cells = self.seeds.groupby(list(self.axes), sort=False, dropna=False)
        return [own for _, own in cells]

    def tasks(self) -> list[tuple[str, list[int]]]:
        """Each task with the places of its cells; one panel each."""
        return [(str(task), list(rows)) for task, rows in self.cells.groupby("env").indices.items()]


def panels(
    material: Material, x_label: str, y_label: str, *, steps: bool = True
) -> tuple[Canvas, list[Axes]]:
    """A canvas with one titled panel per task; labels stand on the outer panels only."""
    titles = [task_title(task) for task, _ in material.tasks()]
    return titled_panels(titles, x_label, y_label, steps=steps)


def titled_panels(
    tasks: Sequence[str], x_label: str, y_label: str, *, steps: bool = False
) -> tuple[Canvas, list[Axes]]:
    """A canvas with one panel per title; with ``steps`` the lower axis counts in thousands."""
    columns = min(len(tasks), 2 if len(tasks) <= TASKS_TWO_ABREAST else MOST_ABREAST)
    lines = -(-len(tasks) // columns)
    canvas = Canvas(figsize=(WIDTH_INCHES, PANEL_INCHES * lines))
    grid = list(canvas.subplots(lines, columns, squeeze=False).flat)
    for place, axes in enumerate(grid[: len(tasks)]):
        axes.set_title(tasks[place])
        axes.margins(x=SIDE_MARGIN, y=TOP_MARGIN)
        if place % columns == 0:
            axes.set_ylabel(y_label)
        if place + columns >= len(tasks):
            axes.set_xlabel(x_label)
        axes.xaxis.set_major_locator(MaxNLocator(MOST_TICKS, steps=TICK_STEPS))
        axes.yaxis.set_major_locator(MaxNLocator(MOST_TICKS, steps=TICK_STEPS))
        if steps:
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    for axes in grid[len(tasks) :]:
        axes.remove()
    return canvas, grid[: len(tasks)]


def line_handles(material: Material, *, lines: bool = True) -> list[Line2D]:
    """One entry of the legend per label, with or without its line."""
    handles = []
    for mark in {mark.label: mark for mark in material.marks}.values():
        line = mark.line if lines else ""
        handles.append(
            Line2D([], [], color=mark.colour, marker=mark.marker, linestyle=line, label=mark.label)
        )
    return handles


def grey_marker(label: str, *, hollow: bool = False) -> Line2D:
    """An entry of the legend for what filled or hollow marks mean."""
    face = "white" if hollow else GREY
    return Line2D([], [], color=GREY, marker="o", linestyle="", markerfacecolor=face, label=label)


def from_zero(axes: Axes, axis: str) -> None:
    """Lets a nonnegative axis begin just below 0, so that marks at 0 are seen whole."""
    get, put = getattr(axes, f"get_{axis}lim"), getattr(axes, f"set_{axis}lim")
    top = max(get()[1], LEAST_TOP)
    put(-BELOW_ZERO * top, top)


def finish(canvas: Canvas, handles: Sequence[Line2D | Patch], caption: str) -> float:
    """Adds legend and caption below the panels; returns width over height without the caption."""
    small = len(handles) > MOST_LARGE_ENTRIES
    size = SMALL_LEGEND_POINTS if small else float(STYLE["font.size"])
    scale = size / float(STYLE["font.size"])
    longest = max((len(str(handle.get_label())) for handle in handles), default=0)
    column = LEGEND_HANDLE_INCHES + longest * CHARACTER_INCHES * scale
    columns = max(1, min(len(handles), int(WIDTH_INCHES / column)))
    text = textwrap.fill(caption, CAPTION_CHARACTERS)
    caption_inches = LINE_INCHES * (text.count("\n") + 1) + CAPTION_GAP_INCHES
    lines = -(-len(handles) // columns)
    legend_inches = LINE_INCHES * LEGEND_SPACING * scale * lines
    legend_inches += LEGEND_GAP_INCHES if handles else CAPTION_GAP_INCHES
    below = caption_inches + legend_inches
    height = canvas.get_figheight() + below
    canvas.set_figheight(height)
    canvas.text(
        0.01,
        CAPTION_GAP_INCHES / 2 / height,
        text,
        fontsize=CAPTION_POINTS,
        color=CAPTION_COLOUR,
        va="bottom",
        linespacing=CAPTION_SPACING,
    )
    if handles:
        canvas.legend(
            handles=handles,
            loc="lower center",
            bbox_to_anchor=(0.5, caption_inches / height),
            ncols=columns,
            borderaxespad=0.1,
            columnspacing=LEGEND_SPACING,
            fontsize=size,
        )
    canvas.set_layout_engine(
        "constrained", rect=(0, below / height, 1, 1 - (below + TOP_GAP_INCHES) / height)
    )
    return WIDTH_INCHES / (height - caption_inches)


def save(canvas: Canvas, stem: Path) -> None:
    """Writes PNG and PDF without dates, so that equal data give equal files.

    It is laid out once and for both: otherwise each would be drawn one time more, to find room.
    """
    canvas.set_dpi(PNG_DPI)
    layout = canvas.get_layout_engine()
    if layout is not None:
        layout.execute(canvas)
        canvas.set_layout_engine(None)  # "none" would leave one that is asked at every draw
        for axes in canvas.axes:
            axes.set_position(Bbox(axes.get_position(original=True).get_points().round(PLACES)))
    for kind, metadata in (("png", {"Software": None}), ("pdf", {"CreationDate": None})):
        buffer = io.BytesIO()
        canvas.savefig(buffer, format=kind, dpi=PNG_DPI, metadata=metadata)
        write_whole(stem.with_suffix(f".{kind}"), buffer.getvalue())
