"""The figure of a fleet: waits, use of the reviewers and harm against the number of reviewers."""

from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from looplab.experiments.figures.marks import LINES, MARKERS, PALETTE, Line
from looplab.experiments.figures.sheet import GREY, STYLE, WIDTH_INCHES, finish, from_zero, save
from looplab.experiments.fleet_table import Target, enough

FIGURE = "fleet"
PANEL_INCHES = 2.1
#: Measure, title, unit on the axis, factor to it, and whether the axis ends at 100.
PANELS = (
    ("wait_p95", "Waiting, 95th percentile", "seconds", 1.0, False),
    ("utilisation", "Reviewers busy", "% of their time", 100.0, True),
    ("relative_throughput", "Agents' throughput", "% of that without waiting", 100.0, True),
    ("unanswered", "Requests overdue or withdrawn", "% of requests", 100.0, True),
    ("violations_per_1k", "Violations", "per 1 000 steps", 1.0, False),
    ("task_return_per_1k", "Task return", "per 1 000 steps", 1.0, False),
)
#: Panels that are left out where every value is this.
DULL = {"relative_throughput": 1.0, "unanswered": 0.0}
#: Waits below this are shown on a linear scale, which has a 0; above on a logarithmic one.
LINEAR_SECONDS = 1.0
#: Factor by which their axis goes beyond the longest.
ROOM_ABOVE = 1.5
#: Reviewers are shown on a logarithmic scale where the greatest number is so many times the least.
WIDE = 8
RING_POINTS, RING_WIDTH = 11, 1.3
DOTTED = (0, (1, 1.5))
#: Ends of axes: just above 100 %, and where all violations are near 0.
_FULL, LEAST_TOP = 104.0, 1.0


def draw(
    cells: pd.DataFrame, targets: Sequence[Target], subject: str, stem: Path
) -> tuple[str, float]:
    """Draws a fleet as ``stem.png`` and ``stem.pdf``: one panel per measure, one line per N.

    Args:
        cells: one row per number of agents and reviewers, with intervals (``summarise``).
        targets: what reviewers are to achieve; the fewest who do are ringed.
        subject: what the fleet is, for the caption.
        stem: path without its suffix.

    Returns:
        The caption, and width over height without it.
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        shown = [panel for panel in PANELS if not _is_dull(cells, panel[0])]
        lines = -(-len(shown) // 2)
        canvas = Canvas(figsize=(WIDTH_INCHES, lines * PANEL_INCHES))
        grid = list(canvas.subplots(lines, 2, squeeze=False).flat)
        for axes in grid[len(shown) :]:
            axes.remove()
        everybody = {int(str(agents)): rows for agents, rows in cells.groupby("agents")}
        for axes, (measure, title, unit, factor, share) in zip(grid, shown, strict=False):
            axes.set_title(title)
            axes.set_ylabel(unit)
            for rows, style in zip(everybody.values(), _styles(), strict=False):
                _line(axes, rows, measure, factor, style)
                found = enough(rows, targets) if targets else None
                if found is not None:
                    _ring(axes, found["reviewers"], factor * found[measure])
            for target in targets:
                if target.measure == measure:
                    limit = target.factor * target.limit
                    axes.axhline(limit, color=GREY, linewidth=0.9, linestyle=DOTTED)
            _scale_of_reviewers(axes, sorted(set(cells["reviewers"])))
            _scale_of_measure(axes, measure, share)
        handles = _handles(list(everybody), targets)
        caption = _caption(cells, targets, subject)
        aspect = finish(canvas, handles, caption)
        save(canvas, stem)
    return caption, aspect


def _is_dull(cells: pd.DataFrame, measure: str) -> bool:
    return measure in DULL and bool((cells[measure].fillna(DULL[measure]) == DULL[measure]).all())


def _styles() -> Iterator[tuple[str, str, Line]]:
    """Colour, marker and line of one number of agents after the other."""
    return zip(cycle(colour for colour, _ in PALETTE), cycle(MARKERS), cycle(LINES), strict=False)


def _line(
    axes: Axes, rows: pd.DataFrame, measure: str, factor: float, style: tuple[str, str, Line]
) -> None:
    colour, marker, line = style
    value, low, high = (factor * rows[measure + end].to_numpy() for end in ("", "_low", "_high"))
    reach = np.nan_to_num(np.stack([value - low, high - value])).clip(min=0.0)
    axes.errorbar(
        rows["reviewers"], value, yerr=reach, color=colour, marker=marker, linestyle=line,
        elinewidth=0.9, capsize=1.5, markeredgecolor="white", markeredgewidth=0.4, clip_on=False,
        zorder=3,
    )  # fmt: skip


def _ring(axes: Axes, reviewers: float, value: float) -> None:
    axes.plot(
        [reviewers], [value], marker="o", markersize=RING_POINTS, markerfacecolor="none",
        markeredgecolor="black", markeredgewidth=RING_WIDTH, clip_on=False, zorder=4,
    )  # fmt: skip


def _scale_of_reviewers(axes: Axes, numbers: Sequence[int]) -> None:
    if numbers[-1] >= WIDE * numbers[0]:
        axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator([float(number) for number in numbers]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set_xlabel("reviewers")


def _scale_of_measure(axes: Axes, measure: str, share: bool) -> None:
    if measure == "wait_p95":
        axes.set_yscale("symlog", linthresh=LINEAR_SECONDS)
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.set_ylim(0.0, ROOM_ABOVE * axes.get_ylim()[1])
    elif share:
        axes.set_ylim(0.0, _FULL)
    elif measure == "violations_per_1k":
        axes.set_ylim(0.0, max(axes.get_ylim()[1], LEAST_TOP))
        from_zero(axes, "y")


def _handles(numbers: Sequence[int], targets: Sequence[Target]) -> list[Line2D]:
    handles = [
        Line2D([], [], color=colour, marker=marker, linestyle=line, label=f"{agents} agents")
        for agents, (colour, marker, line) in zip(numbers, _styles(), strict=False)
    ]
    if targets:
        ring = Line2D([], [], color="black", marker="o", linestyle="", markerfacecolor="none",
                      markersize=8, label="fewest who suffice")  # fmt: skip
        handles.append(ring)
        handles.append(Line2D([], [], color=GREY, linewidth=0.9, linestyle=DOTTED, label="target"))
    return handles


def _caption(cells: pd.DataFrame, targets: Sequence[Target], subject: str) -> str:
    seeds = int(cells["seeds"].min())
    intervals = "no intervals" if seeds == 1 else "means with 95\u00a0% intervals over seeds"
    wish = " and ".join(target.text for target in targets)
    ring = f" Ringed: the fewest reviewers, of those tried, who {wish}." if targets else ""
    return f"{subject}. n\u00a0=\u00a0{seeds} seed{'s' * (seeds > 1)}: {intervals}.{ring}"
