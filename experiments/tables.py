"""The tables of a report: cells of ``summary`` as text with the value that sorts them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from looplab.experiments.beyond_means import REFERENCE, TAIL_SHARE
from looplab.experiments.cells import cell_labels, readable, task_title
from looplab.experiments.findings import interval_of
from looplab.experiments.number_text import DASH, whole_number, with_interval
from looplab.experiments.statistics import Interval


@dataclass(frozen=True)
class Entry:
    """One entry of a table: its text, and what it is sorted by (numbers before texts)."""

    text: str
    key: float | str


@dataclass(frozen=True)
class Table:
    """A sortable table: title, what it holds, column heads with their help, rows of entries."""

    title: str
    about: str
    heads: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[Entry]]


def share_text(interval: Interval) -> str:
    """A share of seeds in per cent with its interval, e.g. ``100 % [29, 100]``."""
    if math.isnan(interval.mean):
        return with_interval(interval)
    if math.isnan(interval.low):
        return f"{100.0 * interval.mean:.0f}\u00a0%"
    mean, low, high = (f"{100.0 * part:.0f}" for part in interval)
    return f"{mean}\u00a0% [{low}, {high}]"


#: A column of a table: head, metric, what it means, and how its interval is written.
Column = tuple[str, str, str]

PER_1K = "per 1 000 steps"
OVERSEEN_AND_ALONE: tuple[Column, ...] = (
    ("Violations overseen", "overseen_violations_per_1k", f"{PER_1K}, overseer present"),
    ("Violations alone", "alone_violations_per_1k", f"{PER_1K}, overseer gone"),
    ("Return overseen", "overseen_return", "task return per episode, overseer present"),
    ("Return alone", "alone_return", "task return per episode, overseer gone"),
    ("Frozen seeds", "frozen_seeds", "seeds whose agent stays still when alone"),
)
TRAINING: tuple[Column, ...] = (
    ("Violations", "train_violations", "total of a run"),
    ("Violations per 1k", "train_violations_per_1k", PER_1K),
    ("Catastrophes per 1k", "train_catastrophes_per_1k", f"irreversible violations {PER_1K}"),
    ("Seeds without violation", "zero_violation_seeds", "share of seeds, in training"),
    ("Final return", "train_return", "mean task return of the last 100 training episodes"),
    ("Steps to threshold", "steps_to_threshold", "Kaplan-Meier median over seeds"),
    ("Seeds at threshold", "threshold_seeds", "share of seeds that reached the task's threshold"),
)
OVERSIGHT: tuple[Column, ...] = (
    ("Human hours", "human_hours", "reviewing, waiting and watching, per run"),
    ("Cost", "oversight_cost", "wage and fees, per run"),
    ("Reviews", "reviews_per_1k", PER_1K),
    ("Interventions", "interventions_per_1k", PER_1K),
    ("Unsafe proposals", "unsafe_proposals_per_1k", PER_1K),
    ("Misses", "misses_per_1k", PER_1K),
    ("Unasked", "unasked_per_1k", PER_1K),
    ("Late", "late_per_1k", PER_1K),
    ("False alarms", "false_alarms_per_1k", PER_1K),
)

REVIEWERS: tuple[Column, ...] = (
    ("Recall", "reviewer_recall", "of the unsafe proposals judged, the share refused"),
    ("False blocks", "reviewer_false_blocks", "of the safe proposals judged, the share refused"),
    ("Precision", "reviewer_precision", "of the proposals refused, the share that were unsafe"),
    ("d\u2032", "reviewer_d_prime", "sensitivity of the reviewers as a signal detector"),
    ("c", "reviewer_criterion", "their criterion: above 0 approves more, below 0 refuses more"),
    ("Coverage", "review_coverage", "of the unsafe proposals, the share that somebody judged"),
    ("Automation", "automation_rate", "share of the steps without a review"),
    ("Team", "team_accuracy", "share of the proposals that were safe or stopped"),
    ("Agent alone", "agent_accuracy", "share of the proposals that were safe"),
    ("Human alone", "human_accuracy", "share of the proposals judged that were judged rightly"),
    ("Prevented", "prevented_per_1k", f"violations expected of what was refused, {PER_1K}"),
    ("Reviews for one", "reviews_per_prevented", "reviews per violation prevented"),
    ("Seconds for one", "seconds_per_prevented", "human seconds per violation prevented"),
    ("Cost of one", "cost_per_prevented", "money per violation prevented"),
    ("Wait p50", "wait_p50", "seconds until a verdict, median"),
    ("Wait p95", "wait_p95", "seconds until a verdict, 95th percentile"),
    ("Overdue", "overdue_per_1k", f"nobody answered in time, {PER_1K}"),
    ("Disagreements", "disagreements_per_1k", f"votes that were not unanimous, {PER_1K}"),
    ("Risk calibration", "risk_calibration_error", "mean gap of estimated risk and frequency"),
    ("Confidence calibration", "confidence_calibration_error", "mean gap of confidence and safety"),
)
BEYOND_MEANS: tuple[Column, ...] = tuple(
    (f"{head}, {kind}", f"{metric}_{end}", about)
    for head, metric in (
        ("Violations in training", "train_violations_per_1k"),
        ("Violations alone", "alone_violations_per_1k"),
        ("Return alone", "alone_return"),
    )
    for kind, end, about in (
        ("worst seed", "worst", "value of the seed that did worst"),
        (
            f"worst {100 * TAIL_SHARE:.0f}\u00a0%",
            "cvar",
            "conditional value at risk: mean of the worst seeds",
        ),
        ("middle half", "iqm", "interquartile mean over seeds"),
        ("better", "improvement", "chance that a seed does better than one of the reference"),
    )
    if (end, metric) not in (("iqm", "train_violations_per_1k"), ("iqm", "alone_violations_per_1k"))
)


def evaluation_columns(suffix: str = "") -> tuple[Column, ...]:
    """Columns of an evaluation, ``suffix`` choosing the policy (``metrics.POLICIES``)."""
    return tuple(
        (f"{head} {who}", f"{who}_{metric}{suffix}", about)
        for head, metric, about in (
            ("Return", "return", "task return per episode"),
            ("Violations", "violations_per_1k", PER_1K),
            ("Catastrophes", "catastrophes_per_1k", f"irreversible violations {PER_1K}"),
            ("Success", "success", "share of episodes that reached the task's goal"),
        )
        for who in ("overseen", "alone")
    )


def first_table(cells: pd.DataFrame, axes: Sequence[str]) -> Table:
    """Overseen and alone, beside the return: the table that a report begins with."""
    return cells_table(
        "Overseen and alone, beside the return",
        "The same trained agents with the overseer present and gone, on the same held-out episodes "
        f"(stochastic policy). Violations {PER_1K}, mean over seeds and 95 % interval.",
        OVERSEEN_AND_ALONE,
        cells,
        axes,
    )


def full_tables(cells: pd.DataFrame, axes: Sequence[str]) -> list[Table]:
    """Everything in ``summary.csv``, by subject; columns without any value are left out."""
    rates = f"Counts {PER_1K} that training really ran."
    return [
        cells_table("Training", rates, TRAINING, cells, axes),
        cells_table("Oversight in training", rates, OVERSIGHT, cells, axes),
        cells_table(
            "Reviewers in training",
            "How well the overseers judged, what they prevented, and what each of that took. "
            "Calibration is of the agent alone, in evaluation.",
            REVIEWERS,
            cells,
            axes,
        ),
        cells_table(
            "Evaluation, stochastic policy",
            "On held-out seeds that overseen and alone share.",
            evaluation_columns(),
            cells,
            axes,
        ),
        cells_table(
            "Evaluation, deterministic policy",
            "The same with the policy's most likely action.",
            evaluation_columns("_deterministic"),
            cells,
            axes,
        ),
        cells_table(
            "What means hide",
            "The worst seed, the mean of the worst quarter of the seeds, the middle half of them, "
            "and how often a seed does better than one of the reference, over equal seeds: 50 % is "
            "no difference, a tie counts half. Harm has no middle half: it would cut catastrophes "
            "off. Worst seeds and tails have no interval.",
            BEYOND_MEANS,
            cells,
            axes,
            REFERENCE,
        ),
    ]


def monitor_table(found: pd.DataFrame) -> Table:
    """How late monitors found the drift, and how often they cried wolf before it.

    Args:
        found: the result of ``drift_detection.detections``, with at least one row.
    """
    heads = [
        ("Task", ""), ("Regime", ""), ("Seeds", "runs of this cell"), ("Monitor", ""),
        ("Drift at", "training step, all lanes together"),
        ("Found it", "share of seeds with an alarm after the drift began"),
        ("Delay", "training steps from the drift to the first alarm after it"),
        ("False alarms", f"alarms before the drift {PER_1K}"),
    ]  # fmt: skip
    rows = []
    for _, cell in found.iterrows():
        task, label, monitor = task_title(cell["env"]), cell["label"], str(cell["monitor"])
        detected = interval_of(cell, "detected")
        rows.append(
            [
                Entry(task, task), Entry(label, label),
                Entry(str(cell["seeds"]), int(cell["seeds"])), Entry(monitor, monitor),
                Entry(whole_number(cell["drift_step"]), int(cell["drift_step"])),
                Entry(share_text(detected), detected.mean),
                _entry(cell, "delay"), _entry(cell, "false_alarms_per_1k"),
            ]
        )  # fmt: skip
    about = (
        "How late each monitor found that the task had changed, over the seeds in which it did, "
        "and how often it raised an alarm before. Where nothing really changes (a control), what "
        "it finds afterwards is a false alarm too."
    )
    return Table("Monitors and the drift", about, heads, rows)


def cells_table(
    title: str,
    about: str,
    columns: Sequence[Column],
    cells: pd.DataFrame,
    axes: Sequence[str],
    named: str = "",
) -> Table:
    """Some columns of a summary, one row per cell; columns without any value are left out.

    The text of the column ``named``, if any, stands before them.
    """
    shown = [column for column in columns if cells[column[1]].notna().any()]
    heads = [("Task", ""), ("Regime", ""), ("Seeds", "runs of this cell")]
    heads += [(readable(named).capitalize(), "")] if named else []
    heads += [(head, help_text) for head, _, help_text in shown]
    rows = []
    for label, (_, cell) in zip(cell_labels(cells, axes), cells.iterrows(), strict=True):
        task = task_title(cell["env"])
        row = [
            Entry(task, task),
            Entry(label, label),
            Entry(str(cell["seeds"]), int(cell["seeds"])),
        ]
        if named:
            text = cell[named] if isinstance(cell[named], str) else DASH
            row.append(Entry(text, text))
        rows.append(row + [_entry(cell, metric) for _, metric, _ in shown])
    return Table(title, about, heads, rows)


def _entry(cell: pd.Series, metric: str) -> Entry:
    interval = interval_of(cell, metric)
    if metric == "steps_to_threshold" and math.isnan(interval.mean):
        stated = not math.isnan(float(cell["threshold_seeds"]))
        return Entry("not reached" if stated else with_interval(interval), math.inf)
    if metric == "frozen_seeds" and not math.isnan(interval.mean):
        return Entry(f"{round(interval.mean * cell['seeds'])} of {cell['seeds']}", interval.mean)
    share = metric.endswith(("_seeds", "_improvement"))
    write: Callable[[Interval], str] = share_text if share else with_interval
    return Entry(write(interval), math.inf if math.isnan(interval.mean) else interval.mean)
