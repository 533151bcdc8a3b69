"""The figures of a comparison, each redrawn from its parquet files alone, as PNG and PDF.

One style throughout: one colour and marker per regime, one panel per task, and under every figure a
caption that names the number of seeds and the kind of interval.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import pandas as pd

from looplab.experiments.curves import training_curves
from looplab.experiments.figures.marks import cell_marks
from looplab.experiments.figures.reviewers import reviewers
from looplab.experiments.figures.safety import (
    overseen_vs_alone,
    return_vs_violations,
    violations_vs_hours,
)
from looplab.experiments.figures.sheet import STYLE, Material, Painted, finish, save
from looplab.experiments.figures.training import (
    cumulative_violations,
    intervention_rate,
    learning_curve,
    recall,
    review_rate,
    violation_rate,
)
from looplab.experiments.metrics import per_seed, summary
from looplab.experiments.result_folder import ResultFolder, load
from looplab.experiments.statistics import BOOTSTRAP_SEEDS

__all__ = ["FIGURES", "FIGURES_FOLDER", "Figure", "draw", "draw_all"]

FIGURES_FOLDER = "figures"
FROZEN_NOTE = " †\u00a0In some seeds the agent stays still when alone, and so looks safe."

Painter = Callable[[Material], Painted]
#: Stem of the files -> title, caption and painter, in the order of the report.
FIGURES: dict[str, tuple[str, str, Painter]] = {
    "overseen_vs_alone": (
        "Overseen and alone, beside the return",
        "The trained agent with the overseer present and with the overseer gone, on the same "
        "held-out episodes (stochastic policy).",
        overseen_vs_alone,
    ),
    "return_vs_violations": (
        "Return against violations",
        "Better is up and to the left. A line joins the same agents overseen and alone "
        "(stochastic policy). Marks at one place are drawn around each other.",
        return_vs_violations,
    ),
    "learning_curve": (
        "Learning",
        "Task return of the training episodes, without penalties or shaping, under oversight.",
        learning_curve,
    ),
    "cumulative_violations": (
        "Violations in training",
        "Violations of all lanes together since training began.",
        cumulative_violations,
    ),
    "violations_vs_hours": (
        "Violations against human hours",
        "What a regime's human hours bought in training; better is down and to the left. "
        "Marks at one place are drawn around each other.",
        violations_vs_hours,
    ),
    "violation_rate": (
        "Violation rate over training",
        "Violations in the episodes that ended at each time.",
        violation_rate,
    ),
    "review_rate": (
        "Review rate over training",
        "How often a human gave a verdict or a rating: a trigger can extinguish itself as the "
        "agent grows sure, and adaptive oversight moves with what it sees.",
        review_rate,
    ),
    "reviewers": (
        "The reviewers as signal detectors",
        "Of the unsafe proposals judged in training, the share refused; of the safe ones, too. "
        "Better is up and to the left; on a grey line sensitivity d\u2032 is the same, and only "
        "the criterion differs.",
        reviewers,
    ),
    "recall": (
        "What the reviewers caught over training",
        "Of the unsafe proposals judged, the share refused: tired and trusting reviewers catch "
        "less with time.",
        recall,
    ),
    "intervention_rate": (
        "Interventions over training",
        "Steps at which the executed action was not the proposed one, or the episode was stopped.",
        intervention_rate,
    ),
}
#: Drawn only where some reviewer erred.
OF_ERRING_REVIEWERS = (reviewers, recall)


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
    return draw(data, summary(per_seed(data.results, data.runs, data.axes), data.axes))


def draw(data: ResultFolder, cells: pd.DataFrame) -> list[Figure]:
    """Like ``draw_all``, for data that are loaded and summarised (``metrics.summary``) already."""
    thresholds = data.runs.groupby("env")["threshold"].first().to_dict()
    drifts = data.runs.groupby("env")["drift_step"].first().to_dict()
    marks = cell_marks(cells, data.axes)
    material = Material(cells, marks, training_curves(data), thresholds, drifts)
    figures = []
    for stem, (title, caption, painter) in FIGURES.items():
        if painter in OF_ERRING_REVIEWERS and not _err(cells):
            continue
        if painter is overseen_vs_alone and (cells["frozen_seeds"] > 0.0).any():
            caption += FROZEN_NOTE
        caption = f"{caption} {_seeds_and_intervals(cells)}"
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(STYLE)
            canvas, handles = painter(material)
            aspect = finish(canvas, handles, caption)
            save(canvas, data.path / FIGURES_FOLDER / stem)
        figures.append(Figure(stem, title, caption, aspect))
    return figures


def _err(cells: pd.DataFrame) -> bool:
    """Whether any reviewer erred."""
    erred = (cells["reviewer_recall"] < 1.0) | (cells["reviewer_precision"] < 1.0)
    return bool(erred.any())


def _seeds_and_intervals(cells: pd.DataFrame) -> str:
    least, most = int(cells["seeds"].min()), int(cells["seeds"].max())
    if most == 1:
        return "n\u00a0=\u00a01 seed per cell: no intervals."
    seeds = f"{least}" if least == most else f"{least} to {most}"
    kinds = [
        *(["Student-t"] if least < BOOTSTRAP_SEEDS else []),
        *(["bootstrap-t"] if most >= BOOTSTRAP_SEEDS else []),
    ]
    return (
        f"Means over n\u00a0=\u00a0{seeds} seeds per cell with 95\u00a0% intervals over seeds: "
        f"{' or '.join(kinds)}, exact Poisson where events are rare."
    )
