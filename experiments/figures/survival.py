"""How many seeds are still below the task's threshold: Kaplan-Meier curves of every cell."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from looplab.experiments.figures.marks import Mark
from looplab.experiments.figures.sheet import GREY, Material, Painted, line_handles, panels
from looplab.experiments.statistics import survival_curve

#: Up to this many cells in a panel curves have their bands.
MOST_WITH_BANDS = 4
BAND_ALPHA = 0.12
#: Curves that coincide are drawn a little apart, as a share of the axis.
APART = 0.005


def some_learned(material: Material) -> bool:
    """Whether there is a time to show: a seed that reached the threshold, among several."""
    reached = material.seeds["threshold_reached"]
    return bool((reached == 1.0).any()) and int(material.cells["seeds"].max()) > 1


def time_to_threshold(material: Material) -> Painted:
    """Share of seeds below the threshold against training steps; bars mark who never got there."""
    canvas, all_axes = panels(material, "Training steps", "Seeds below threshold")
    cells = material.seeds_of_cells
    for (_, rows), axes in zip(material.tasks(), all_axes, strict=True):
        for turn, row in enumerate(rows):
            known = cells[row][cells[row]["threshold_reached"].notna()]
            if known.empty:
                continue
            times = known["threshold_time"].to_numpy(float)
            reached = known["threshold_reached"].to_numpy(bool)
            shift = APART * (turn - (len(rows) - 1) / 2.0)
            _curve(axes, times, reached, material.marks[row], shift, len(rows) <= MOST_WITH_BANDS)
        axes.set_ylim(-0.06, 1.06)
        axes.set_xlim(left=0.0)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    censored = Line2D(
        [], [], color=GREY, marker="|", markersize=7, linestyle="", label="never got there"
    )
    return canvas, [*line_handles(material), censored]


def _curve(
    axes: Axes, times: np.ndarray, reached: np.ndarray, mark: Mark, shift: float, band: bool
) -> None:
    found = survival_curve(times, reached)
    last = float(times.max())
    at = np.concatenate([[0.0], found.times, [last]])
    waiting = np.concatenate([[1.0], found.survival, found.survival[-1:]])
    waiting = waiting if len(found.times) else np.ones(2)
    axes.plot(at, waiting + shift, color=mark.colour, linestyle=mark.line, drawstyle="steps-post")
    ended = np.unique(times[~reached])
    if len(ended):  # an empty line that is not clipped would upset the layout
        heights = waiting[np.searchsorted(at[:-1], ended, side="right") - 1]
        axes.plot(
            ended, heights + shift, color=mark.colour, marker="|", markersize=8,
            markeredgewidth=1.4, linestyle="", clip_on=False, zorder=4,
        )  # fmt: skip
    if not len(found.times):
        return
    axes.plot(
        found.times, found.survival + shift, color=mark.colour, marker=mark.marker, linestyle="",
        markersize=3.5, markeredgecolor="white", markeredgewidth=0.4, clip_on=False, zorder=3,
    )  # fmt: skip
    if band:
        low, high = (
            np.concatenate([[1.0], np.nan_to_num(end), np.nan_to_num(end[-1:])])
            for end in (found.low, found.high)
        )
        axes.fill_between(
            at, low, high, step="post", color=mark.colour, alpha=BAND_ALPHA, linewidth=0
        )
