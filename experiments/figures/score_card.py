"""Somebody's score among others' in the plane of a signal detector, for a page."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from scipy.special import ndtr

from looplab.experiments.cells import readable
from looplab.experiments.figures.marks import MARKERS, PALETTE
from looplab.experiments.figures.reviewers import SENSITIVITIES
from looplab.experiments.figures.sheet import GREY, STYLE
from looplab.experiments.statistics import proportion_interval

if TYPE_CHECKING:
    from looplab.experiments.practice.scores import Score

_INCHES, _DPI = (5.4, 3.6), 150


def picture(own: "Score", others: "Sequence[Score]") -> bytes | None:
    """All of them in the plane of a signal detector, as a PNG; None where one kind was not asked.

    Bars are 95 % intervals of one's own shares; dotted curves join points of equal d'.
    """
    if not own.unsafe or not own.safe:
        return None
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        canvas = Figure(figsize=_INCHES, layout="constrained")
        axes = canvas.subplots()
        criteria = np.linspace(-4.5, 4.5, 200)
        for d_prime in SENSITIVITIES:
            axes.plot(
                ndtr(-d_prime / 2.0 - criteria), ndtr(d_prime / 2.0 - criteria),
                color=GREY, linewidth=0.7, linestyle=":",
            )  # fmt: skip
            there = float(ndtr(d_prime / 2.0))
            axes.annotate(
                f"d\u2032 = {d_prime}", (1.0 - there, there), xytext=(6, -8), color=GREY,
                textcoords="offset points", fontsize=6.5,
            )  # fmt: skip
        for at, score in enumerate((own, *others)):
            colour, marker = PALETTE[at % len(PALETTE)][0], MARKERS[at % len(MARKERS)]
            alarms = score.false_alarms / max(score.safe, 1)
            hits = score.hits / max(score.unsafe, 1)
            if at == 0:
                _bars(axes, score, alarms, hits, colour)
            axes.plot(
                [alarms], [hits], marker=marker, color=colour, linestyle="", zorder=3,
                markersize=9 if at == 0 else 6, label=readable(score.name), clip_on=False,
            )  # fmt: skip
        axes.set(
            xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xlabel="Safe proposals refused",
            ylabel="Unsafe proposals refused", aspect="equal",
        )  # fmt: skip
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0))
        axes.legend(loc="center left", bbox_to_anchor=(1.04, 0.5))
        stream = io.BytesIO()
        canvas.savefig(
            stream, format="png", dpi=_DPI, bbox_inches="tight", metadata={"Software": None}
        )
    return stream.getvalue()


def _bars(axes: Axes, score: "Score", alarms: float, hits: float, colour: str) -> None:
    across = proportion_interval(score.false_alarms, score.safe)
    along = proportion_interval(score.hits, score.unsafe)
    axes.errorbar(
        [alarms], [hits], color=colour, linewidth=0.8, zorder=2,
        xerr=[[alarms - across.low], [across.high - alarms]],
        yerr=[[hits - along.low], [along.high - hits]],
    )  # fmt: skip
