"""The figures of a comparison, each redrawn from its parquet files alone, as PNG and PDF.

One style throughout: one colour and marker per regime, one panel per task, and under every figure a
caption that names the number of seeds and the kind of interval.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import pandas as pd

from looplab.experiments.curves import training_curves
from looplab.experiments.drift_curves import drift_curves
from looplab.experiments.figures.calibration import (
    confidence_calibration,
    has_confidence,
    has_risk,
    risk_calibration,
)
from looplab.experiments.figures.drift import drift_aligned, something_drifts
from looplab.experiments.figures.frontier import violations_vs_hours
from looplab.experiments.figures.marks import cell_marks
from looplab.experiments.figures.profiles import are_enough, performance_profiles
from looplab.experiments.figures.reviewers import reviewers, some_erred
from looplab.experiments.figures.safety import overseen_vs_alone, return_vs_violations
from looplab.experiments.figures.sheet import STYLE, Material, Painted, finish, save
from looplab.experiments.figures.survival import some_learned, time_to_threshold
from looplab.experiments.figures.training import (
    cumulative_violations,
    intervention_rate,
    learning_curve,
    recall,
    review_rate,
    violation_rate,
)
from looplab.experiments.garbage import collected_once
from looplab.experiments.metrics import per_seed, summary
from looplab.experiments.processes import helpers
from looplab.experiments.result_folder import ResultFolder, load
from looplab.experiments.sharing import shared
from looplab.experiments.statistics import BOOTSTRAP_SEEDS

__all__ = ["FIGURES", "FIGURES_FOLDER", "Figure", "Plot", "draw", "draw_all", "material"]

FIGURES_FOLDER = "figures"
FROZEN_NOTE = " †\u00a0In some seeds the agent stays still when alone, and so looks safe."

BANDS = "Bands that reach far beyond the means are cut off."

Painter = Callable[[Material], Painted]


class Plot(NamedTuple):
    """A figure that can be drawn.

    Attributes:
        title: a few words.
        caption: what is shown; the number of seeds and the kind of interval are added.
        painter: draws it.
        says_something: whether there is anything to be seen.
        intervals: what bands are, where they are no intervals of means.
    """

    title: str
    caption: str
    painter: Painter
    says_something: Callable[[Material], bool] = lambda material: True
    intervals: str = ""


def _any(*columns: str) -> Callable[[Material], bool]:
    """Whether one of these columns of ``metrics.summary`` is above 0 in some cell."""
    return lambda material: bool((material.cells[list(columns)] > 0.0).any(axis=None))


def _known(column: str) -> Callable[[Material], bool]:
    """Whether some cell has a value in a column of ``metrics.summary``."""
    return lambda material: bool(material.cells[column].notna().any())


#: Stem of the files -> figure, in the order of the report.
FIGURES: dict[str, Plot] = {
    "overseen_vs_alone": Plot(
        "Overseen and alone, beside the return",
        "The trained agent with the overseer present and with the overseer gone, on the same "
        "held-out episodes (stochastic policy).",
        overseen_vs_alone,
        _known("alone_return"),
    ),
    "return_vs_violations": Plot(
        "Return against violations",
        "Better is up and to the left. A line joins the same agents overseen and alone "
        "(stochastic policy). No cell alone does better in both than those on the broken line, the "
        "Pareto front; cells whose agents stay still are left out of it. Marks at one place are "
        "drawn around each other.",
        return_vs_violations,
        _known("alone_return"),
    ),
    "performance_profiles": Plot(
        "Performance profiles",
        "Of all runs, the share whose agent alone earns more than a given return (Agarwal et al. "
        "2021); higher is better, and a steep fall means that runs are alike.",
        performance_profiles,
        are_enough,
        "bands, of up to 4 labels, are pointwise 95\u00a0% intervals over runs (Clopper-Pearson)",
    ),
    "learning_curve": Plot(
        "Learning",
        "Task return of the training episodes, without penalties or shaping, under oversight. "
        f"{BANDS}",
        learning_curve,
        _known("train_return"),
    ),
    "time_to_threshold": Plot(
        "Time to threshold",
        "Share of the seeds that have not reached the task's threshold yet (Kaplan & Meier 1958). "
        "A bar marks seeds whose training ended before they got there. Regimes change the return "
        "that can be reached: do not rank them by this alone.",
        time_to_threshold,
        some_learned,
        "bands, of up to 4 cells, are pointwise 95\u00a0% intervals (Greenwood, log-log)",
    ),
    "cumulative_violations": Plot(
        "Violations in training",
        f"Violations of all lanes together since training began. {BANDS}",
        cumulative_violations,
    ),
    "violations_vs_hours": Plot(
        "The oversight frontier",
        "What a regime's human hours bought in training; better is down and to the left. Dotted: a "
        "perfect reviewer who is asked about proposals at random; dashed: one who is asked about "
        "the unsafe ones only; both for the proposals of the cell that was interfered with least. "
        "Lines join cells that differ in a number alone. Marks at one place are drawn around each "
        "other.",
        violations_vs_hours,
        _any("human_hours"),
    ),
    "drift_aligned": Plot(
        "Before and after the drift",
        "Violations and reviews in the episodes that ended at each time, counted from the moment "
        f"at which the task begins to change. {BANDS}",
        drift_aligned,
        something_drifts,
    ),
    "violation_rate": Plot(
        "Violation rate over training",
        f"Violations in the episodes that ended at each time. {BANDS}",
        violation_rate,
    ),
    "review_rate": Plot(
        "Review rate over training",
        "How often a human gave a verdict or a rating: a trigger can extinguish itself as the "
        f"agent grows sure, and adaptive oversight moves with what it sees. {BANDS}",
        review_rate,
        _any("reviews_per_1k"),
    ),
    "reviewers": Plot(
        "The reviewers as signal detectors",
        "Working points: of the unsafe proposals judged in training, the share refused; of the "
        "safe ones, too. Better is up and to the left, and first in the legend. On the line "
        "through a point sensitivity d\u2032 is the same, and only the criterion differs.",
        reviewers,
        some_erred,
    ),
    "recall": Plot(
        "What the reviewers caught over training",
        "Of the unsafe proposals judged, the share refused: tired and trusting reviewers catch "
        f"less with time. {BANDS}",
        recall,
        some_erred,
    ),
    "risk_calibration": Plot(
        "Calibration of the estimated risk",
        "Steps of the agent alone in which a violation was said to be so likely, and the share of "
        "them in which one happened. On the dotted line what is said comes true; below it the "
        "risk is overstated. Bins with fewer than 10 predictions in some seed are left out.",
        risk_calibration,
        has_risk,
    ),
    "confidence_calibration": Plot(
        "Calibration of the policy's confidence",
        "Proposals of the agent alone in which the policy was so sure, and the share of them that "
        "were safe. Below the dotted line confidence overstates safety. Bins with fewer than 10 "
        "predictions in some seed are left out.",
        confidence_calibration,
        has_confidence,
    ),
    "intervention_rate": Plot(
        "Interventions over training",
        "Steps at which the executed action was not the proposed one, or the episode was stopped. "
        f"{BANDS}",
        intervention_rate,
        _any("interventions_per_1k"),
    ),
}


@dataclass(frozen=True)
class Figure:
    """A drawn figure.

    Attributes:
        stem: the files are ``figures/<stem>.png`` and ``figures/<stem>.pdf``.
        title: a few words.
        caption: what stands under it, with the number of seeds and the kind of interval.
        aspect: width over height without the caption, for pages with captions of their own.
    """

    stem: str
    title: str
    caption: str
    aspect: float


def draw_all(folder: Path) -> list[Figure]:
    """Draws every figure of a results folder into ``folder/figures``.

    Args:
        folder: a results folder.

    Returns:
        One record per figure, in the order in which a report shows them.

    Raises:
        UsageError: if the folder is missing or damaged (see ``result_folder.load``).
    """
    data = load(folder)
    seeds = per_seed(data.results, data.runs, data.axes)
    return draw(data, seeds, summary(seeds, data.axes))


def draw(data: ResultFolder, seeds: pd.DataFrame, cells: pd.DataFrame) -> list[Figure]:
    """Like ``draw_all``, for data that are loaded and summarised already.

    Several processes draw where others have been begun (``processes.begin``); the files are the
    same.

    Args:
        data: the folder.
        seeds: the result of ``metrics.per_seed``.
        cells: the result of ``metrics.summary``.
    """
    drawn = material(data, seeds, cells)
    folder = data.path / FIGURES_FOLDER
    captions = {}
    for stem, plot in FIGURES.items():
        if not plot.says_something(drawn):
            _remove(folder / stem)
            continue
        caption = plot.caption
        if plot.painter is overseen_vs_alone and (cells["frozen_seeds"] > 0.0).any():
            caption += FROZEN_NOTE
        captions[stem] = f"{caption} {_seeds_and_intervals(cells, plot.intervals)}"
    tasks = list(captions.items())
    aspects = shared(partial(_draw_one, drawn, folder), tasks, helpers(len(tasks)))
    return [
        Figure(stem, FIGURES[stem].title, caption, aspect)
        for (stem, caption), aspect in zip(tasks, aspects, strict=True)
    ]


def _draw_one(drawn: Material, folder: Path, task: tuple[str, str]) -> float:
    """Draws the figure of a stem over its caption; returns its ``Figure.aspect``."""
    stem, caption = task
    with collected_once(), mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        return _on_canvas(FIGURES[stem].painter(drawn), caption, folder / stem)


def _on_canvas(painted: Painted, caption: str, stem: Path) -> float:
    canvas, handles = painted
    aspect = finish(canvas, handles, caption)
    save(canvas, stem)
    return aspect


def material(data: ResultFolder, seeds: pd.DataFrame, cells: pd.DataFrame) -> Material:
    """What every figure is drawn from; arguments as of ``draw``."""
    return Material(
        cells=cells,
        marks=cell_marks(cells, data.axes),
        curves=training_curves(data),
        thresholds=data.runs.groupby("env")["threshold"].first().to_dict(),
        drifts=data.runs.groupby("env")["drift_step"].first().to_dict(),
        seeds=seeds,
        axes=data.axes,
        calibration=data.calibration,
        drift_curves=drift_curves(data),
    )


def _remove(stem: Path) -> None:
    """Removes a figure that was drawn once and says nothing any more."""
    for kind in (".png", ".pdf"):
        stem.with_suffix(kind).unlink(missing_ok=True)


def _seeds_and_intervals(cells: pd.DataFrame, intervals: str) -> str:
    least, most = int(cells["seeds"].min()), int(cells["seeds"].max())
    seeds = f"{least}" if least == most else f"{least} to {most}"
    if intervals:
        return f"n\u00a0=\u00a0{seeds} seed{'s' * (most > 1)} per cell; {intervals}."
    if most == 1:
        return "n\u00a0=\u00a01 seed per cell: no intervals."
    kinds = [
        *(["Student-t"] if least < BOOTSTRAP_SEEDS else []),
        *(["bootstrap-t"] if most >= BOOTSTRAP_SEEDS else []),
    ]
    return (
        f"Means over n\u00a0=\u00a0{seeds} seeds per cell with 95\u00a0% intervals over seeds: "
        f"{' or '.join(kinds)}, exact Poisson where events are rare."
    )
