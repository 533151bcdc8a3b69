"""The reviewers of every cell in the plane of a signal detector."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter
from scipy.special import ndtr

from looplab.experiments.cells import task_title
from looplab.experiments.figures.marks import Mark
from looplab.experiments.figures.safety import mark_points
from looplab.experiments.figures.sheet import (
    GREY,
    SMALL_LEGEND_POINTS,
    Material,
    Painted,
    line_handles,
    panels,
    titled_panels,
)

#: Sensitivities whose lines are drawn.
SENSITIVITIES = (1, 2, 3)
BLOCKS, HITS, D_PRIME = "reviewer_false_blocks", "reviewer_recall", "reviewer_d_prime"
#: Up to this many cells in a panel each has the curve that its working point lies on.
MOST_CURVES = 12
#: A single panel has the legend beside it, if that has at most so many entries; the panel's height.
MOST_BESIDE, SQUARE_INCHES = 18, 3.0
_LINE_POINTS = 200
_NOTE_POINTS = 6.5


def some_erred(material: Material) -> bool:
    """Whether any reviewer erred."""
    cells = material.cells
    return bool(((cells[HITS] < 1.0) | (cells["reviewer_precision"] < 1.0)).any())


def reviewers(material: Material) -> Painted:
    """Working points, hits against false blocks in training, on curves of equal sensitivity d'.

    The legend begins with the best: who refuses most of what is unsafe and least of what is safe.
    """
    labels = ("Safe proposals refused", "Unsafe proposals refused")
    handles = _best_first(material)
    beside = len(material.tasks()) == 1 and len(handles) <= MOST_BESIDE
    if beside:
        title = task_title(material.tasks()[0][0])
        canvas, all_axes = titled_panels([title], *labels)
        canvas.set_figheight(SQUARE_INCHES)
        all_axes[0].set_anchor("W")
        legend = all_axes[0].legend(
            handles=handles, loc="center left", bbox_to_anchor=(1.06, 0.5), borderaxespad=0.0,
            fontsize=SMALL_LEGEND_POINTS,
        )  # fmt: skip
        legend.set_in_layout(False)  # else the panel would give way to it
    else:
        canvas, all_axes = panels(material, *labels, steps=False)
    for (_, rows), axes in zip(material.tasks(), all_axes, strict=True):
        for d_prime in SENSITIVITIES:
            _line_of(axes, d_prime)
        if len(rows) <= MOST_CURVES:
            for row in rows:
                _own_curve(axes, material.cells.iloc[row], material.marks[row])
        mark_points(axes, material, rows, (BLOCKS, HITS))
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0))
    return canvas, [] if beside else [*handles]


def _best_first(material: Material) -> list[Line2D]:
    """Entries of the legend for labels whose reviewers judged anything, the best first."""
    worth = (material.cells[HITS] - material.cells[BLOCKS].fillna(0.0)).to_numpy(float)
    of_label: dict[str, list[float]] = {}
    for mark, value in zip(material.marks, worth, strict=True):
        of_label.setdefault(mark.label, []).append(value)
    means = {label: float(np.mean(own)) for label, own in of_label.items()}
    judged = [h for h in line_handles(material, lines=False) if means[str(h.get_label())] > -np.inf]
    return sorted(judged, key=lambda handle: -means[str(handle.get_label())])


def _own_curve(axes: Axes, cell: pd.Series, mark: Mark) -> None:
    """The curve of a reviewer's own sensitivity, on which other criteria would lie."""
    d_prime = float(cell[D_PRIME])
    if np.isfinite(d_prime):
        blocks, hits = _curve(d_prime)
        axes.plot(blocks, hits, color=mark.colour, linewidth=0.7, linestyle=mark.line, zorder=1.5)


def _curve(d_prime: float) -> tuple[np.ndarray, np.ndarray]:
    criteria = np.linspace(-4.5, 4.5, _LINE_POINTS)
    return ndtr(-d_prime / 2.0 - criteria), ndtr(d_prime / 2.0 - criteria)


def _line_of(axes: Axes, d_prime: int) -> None:
    blocks, hits = _curve(d_prime)
    axes.plot(blocks, hits, color=GREY, linewidth=0.7, alpha=0.5, linestyle=":", zorder=1)
    unbiased = float(ndtr(d_prime / 2.0))
    axes.annotate(
        f"d\u2032 = {d_prime}",
        (1.0 - unbiased, unbiased),
        xytext=(7, -9),
        textcoords="offset points",
        fontsize=_NOTE_POINTS,
        color=GREY,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
        zorder=1.2,
    )
