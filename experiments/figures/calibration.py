"""Reliability of what is predicted: how often it happened, against how likely it was said to be."""

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from looplab.experiments.figures.marks import Mark
from looplab.experiments.figures.sheet import GREY, Material, Painted, line_handles, panels
from looplab.experiments.metrics import RESAMPLING_SEED
from looplab.experiments.statistics import mean_interval
from looplab.oversight.calibration import RISK, SAFETY

#: A bin is shown where every seed predicted so often at least.
LEAST_PREDICTIONS = 10
#: Up to this many cells in a panel points have their intervals.
MOST_WITH_INTERVALS = 8
LABELS = {
    RISK: ("Estimated risk of a violation", "Violations in such steps"),
    SAFETY: ("Confidence in the proposal", "Such proposals that were safe"),
}


def is_predicted(what: str, material: Material) -> bool:
    """Whether some cell has a bin that can be shown."""
    return any(len(reliability(material, what, row)) for row in range(len(material.cells)))


def _reliability_diagram(what: str, material: Material) -> Painted:
    said, happened = LABELS[what]
    canvas, all_axes = panels(material, said, happened, steps=False)
    for (_, rows), axes in zip(material.tasks(), all_axes, strict=True):
        axes.plot([0.0, 1.0], [0.0, 1.0], color=GREY, linewidth=0.8, linestyle=":", zorder=1)
        for row in rows:
            bins = reliability(material, what, row)
            if len(bins):
                _line(axes, bins, material.marks[row], len(rows) <= MOST_WITH_INTERVALS)
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0))
    return canvas, [*line_handles(material)]


def reliability(material: Material, what: str, row: int) -> pd.DataFrame:
    """Bins of one cell: mean over seeds of what was said, and of what happened with its interval.

    Args:
        material: what the figures are drawn from.
        what: ``risk`` or ``confidence``.
        row: place of the cell.

    Returns:
        Columns ``said, happened, low, high``, one row per bin in which every seed predicted at
        least ``LEAST_PREDICTIONS`` times.
    """
    runs = material.seeds_of_cells[row]["run"]
    table = material.calibration
    own = table[(table["predicts"] == what) & table["run"].isin(runs)]
    found = []
    for _, seeds in own.groupby("bin"):
        if len(seeds) < len(runs) or (seeds["count"] < LEAST_PREDICTIONS).any():
            continue
        interval = mean_interval(
            (seeds["happened"] / seeds["count"]).to_numpy(float),
            count_exposure=float(seeds["count"].sum()),
            rng=np.random.default_rng(RESAMPLING_SEED),
        )
        said = float((seeds["predicted"] / seeds["count"]).mean())
        found.append((said, interval.mean, interval.low, min(interval.high, 1.0)))
    return pd.DataFrame(found, columns=["said", "happened", "low", "high"])


def _line(axes: Axes, bins: pd.DataFrame, mark: Mark, with_intervals: bool) -> None:
    ends = [bins["happened"] - bins["low"], bins["high"] - bins["happened"]]
    reach = np.nan_to_num(np.array(ends)).clip(min=0.0) if with_intervals else None
    axes.errorbar(
        bins["said"], bins["happened"], yerr=reach, color=mark.colour, marker=mark.marker,
        linestyle=mark.line, linewidth=1.0, elinewidth=0.8, markeredgecolor="white",
        markeredgewidth=0.4, clip_on=False, zorder=3,
    )  # fmt: skip


#: Painters, and whether there is something to paint, by what is predicted.
risk_calibration, confidence_calibration = (
    partial(_reliability_diagram, what) for what in (RISK, SAFETY)
)
has_risk, has_confidence = (partial(is_predicted, what) for what in (RISK, SAFETY))
