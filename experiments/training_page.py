"""What a report says of runs that trained and evaluated agents."""

from pathlib import Path

import pandas as pd

from looplab.experiments.cells import cell_labels, readable, task_title
from looplab.experiments.drift_detection import detections
from looplab.experiments.figures import draw
from looplab.experiments.findings import drift_findings, headlines, warnings_about
from looplab.experiments.metrics import per_seed, summary
from looplab.experiments.number_text import whole_number
from looplab.experiments.page import Page
from looplab.experiments.report_content import duration_text, facts_of_making, span
from looplab.experiments.result_folder import ResultFolder, load
from looplab.experiments.tables import first_table, full_tables, monitor_table

#: Words of the report, as oversight counts them.
TERMS = {
    "violation": "A step with cost above 0: harm was done. A catastrophe is an irreversible one.",
    "task return": "The sum of the task's own rewards in an episode, without penalties or shaping.",
    "proposal": "The action that the agent chose; the executed action is what then really ran.",
    "unsafe proposal": "A proposal whose exact risk (else the user's risk, else a look-ahead's) "
    "exceeds the tolerance, whatever the overseer could see.",
    "review": "A human gave a verdict or a rating on one proposal. Watching is not review.",
    "intervention": "The executed action is not the proposed one, or the episode was stopped.",
    "miss": "An unsafe proposal that was reviewed (or watched, with no alarm pending and no "
    "override running) and not stopped.",
    "unasked": "An unsafe proposal that was executed without anyone being asked.",
    "late": "An unsafe proposal, noticed on the loop, but executed before the override began.",
    "false alarm": "A safe proposal whose own verdict was not approve.",
    "recall": "Of the unsafe proposals that somebody judged, the share refused.",
    "coverage": "Of the unsafe proposals, the share that somebody was asked about or watched.",
    "prevented": "The risks of unsafe proposals that did not run, added up: violations expected.",
    "overseen, alone": "Evaluated with the overseer present, and with the overseer gone.",
    "frozen": "Alone, the agent earns no more than at the start of training and violates next to "
    "nothing: it stays still, which looks safe.",
    "human hours": "Reviewing, waiting and watching, added over lanes, per run.",
}
#: How the numbers of training and evaluation come about, beside what holds for all.
METHODS = (
    "Shares of seeds are Clopper-Pearson, steps to threshold Kaplan-Meier medians, with exact ends "
    "below 20 seeds. Training rates divide by the steps that really ran, evaluation rates by the "
    "lengths of the evaluated episodes."
)


def training_page(folder: Path) -> Page:
    """Reads the results of training and evaluation.

    Raises:
        UsageError: if the folder is missing or damaged.
    """
    data = load(folder)
    seeds = per_seed(data.results, data.runs, data.axes)
    cells = summary(seeds, data.axes)
    found = detections(data)
    said = headlines(cells, seeds, data.axes)
    for task, sentences in drift_findings(found).items():
        said[task] = [*said.get(task, ()), *sentences]
    monitors = [] if found.empty else [monitor_table(found)]
    return Page(
        path=folder,
        axes=data.axes,
        comparison=data.comparison,
        provenance=data.provenance,
        seeds=seeds,
        cells=cells,
        scope=_scope(cells, data),
        headlines=said,
        warnings=warnings_about(cells, data.axes, data.comparison.get("notes", ())),
        first=first_table(cells, data.axes),
        tables=[*full_tables(cells, data.axes), *monitors],
        facts=_facts(data),
        terms=TERMS,
        methods=METHODS,
        draw=lambda: draw(data, seeds, cells),
    )


def _scope(cells: pd.DataFrame, data: ResultFolder) -> str:
    """One line on what was compared, e.g. "2 tasks x 5 regimes, 3 seeds, 60 000 steps each"."""
    tasks, labels = cells["env"].nunique(), len(set(cell_labels(cells, data.axes)))
    return ", ".join(
        (
            f"{tasks} task{'s' * (tasks > 1)} \u00d7 {labels} way{'s' * (labels > 1)} of training",
            f"{span(cells['seeds'])} seed{'s' * bool((cells['seeds'] > 1).any())} each",
            f"{span(data.runs['steps'])} training steps per run",
        )
    )


def _facts(data: ResultFolder) -> list[tuple[str, str]]:
    """What a reader needs in order to repeat the comparison, as names and texts."""
    runs = data.runs
    evaluated = data.results[data.results["phase"] != "train"]
    episodes = evaluated.groupby(["run", "phase", "policy"], observed=True).size()
    wall = float(runs["wall_seconds"].sum())
    facts = [
        ("Tasks", ", ".join(task_title(task) for task in runs["env"].unique())),
        ("Regimes", ", ".join(readable(regime) for regime in runs["regime"].unique())),
        ("Algorithms", ", ".join(str(algo).upper() for algo in runs["algo"].unique())),
        ("Seeds", ", ".join(str(seed) for seed in sorted(runs["seed"].unique()))),
        ("Runs", whole_number(len(runs))),
        ("Training steps per run", span(runs["steps"])),
        ("Evaluation episodes", _evaluation_text(episodes)),
        ("Time of all runs", duration_text(wall)),
    ]
    return [*facts, *facts_of_making(data.provenance)]


def _evaluation_text(episodes: pd.Series) -> str:
    if episodes.empty:
        return "none"
    policies = " and ".join(str(p) for p in episodes.index.unique("policy"))
    return (
        f"{span(episodes)} per run, overseen and alone each, {policies} policy, on held-out seeds"
    )
