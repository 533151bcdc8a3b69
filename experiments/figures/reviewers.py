"""The reviewers of every cell in the plane of a signal detector."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter
from scipy.special import ndtr, ndtri

from looplab.experiments.figures.safety import mark_points
from looplab.experiments.figures.sheet import GREY, Material, Painted, line_handles, panels

#: Sensitivities whose lines are drawn.
SENSITIVITIES = (1, 2, 3)
_LINE_POINTS = 200
_NOTE_POINTS = 6.5


def reviewers(material: Material) -> Painted:
    """Hits against false blocks in training, with lines of equal sensitivity d'."""
    labels = ("Safe proposals refused", "Unsafe proposals refused")
    canvas, all_axes = panels(material, *labels, steps=False)
    for (_, rows), axes in zip(material.tasks(), all_axes, strict=True):
        for d_prime in SENSITIVITIES:
            _line_of(axes, d_prime)
        mark_points(axes, material, rows, ("reviewer_false_blocks", "reviewer_recall"))
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0))
    return canvas, [*line_handles(material, lines=False)]


def _line_of(axes: Axes, d_prime: int) -> None:
    blocks = np.linspace(0.0, 1.0, _LINE_POINTS)[1:-1]
    hits = ndtr(ndtri(blocks) + d_prime)
    axes.plot(blocks, hits, color=GREY, linewidth=0.7, alpha=0.6, zorder=1)
    corner = int(np.argmin(np.abs(blocks + hits - 1.0)))  # where nobody is biased
    axes.annotate(
        f"d\u2032 = {d_prime}",
        (blocks[corner], hits[corner]),
        xytext=(3, -7),
        textcoords="offset points",
        fontsize=_NOTE_POINTS,
        color=GREY,
    )
