"""What a report says of one comparison, gathered once for every page that shows it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from looplab.experiments.cards import Card
from looplab.experiments.cells import cell_labels, readable, task_title
from looplab.experiments.drift_detection import detections
from looplab.experiments.figures import Figure
from looplab.experiments.findings import drift_findings, headlines, warnings_about
from looplab.experiments.metrics import SECONDS_PER_HOUR
from looplab.experiments.number_text import short_number, whole_number
from looplab.experiments.result_folder import ResultFolder
from looplab.experiments.tables import Table, first_table, full_tables, monitor_table

SECONDS_PER_MINUTE = 60.0

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


@dataclass(frozen=True)
class Content:
    """Everything that a report shows.

    Attributes:
        name: the comparison's name.
        scope: what was compared, in a line.
        question: the experiment's question; empty without one.
        cards: the experiment's claims with their verdicts.
        headlines: findings by task.
        warnings: what to know before believing them.
        first: the table that the report begins with.
        figures: in their order; the files lie in the folder ``figures``.
        tables: everything in ``summary.csv``, by subject.
        command: the lines that made the comparison; empty if it was called from Python.
        redraw: the line that makes the report anew, in the folder above.
        facts: what a reader needs in order to repeat it.
        versions: of the libraries that made it.
        settings: what all runs share.
        terms: words and their meanings.
    """

    name: str
    scope: str
    question: str
    cards: Sequence[Card]
    headlines: Mapping[str, Sequence[str]]
    warnings: Sequence[str]
    first: Table
    figures: Sequence[Figure]
    tables: Sequence[Table]
    command: str
    redraw: str
    facts: Sequence[tuple[str, str]]
    versions: Sequence[tuple[str, str]]
    settings: Sequence[tuple[str, str]]
    terms: Mapping[str, str]


def gathered(
    data: ResultFolder,
    seeds: pd.DataFrame,
    cells: pd.DataFrame,
    cards: Sequence[Card],
    figures: Sequence[Figure],
) -> Content:
    """Gathers the content of a report.

    Args:
        data: the folder.
        seeds: the result of ``metrics.per_seed``.
        cells: the result of ``metrics.summary``.
        cards: the claims as they were judged.
        figures: as they were drawn.
    """
    found = detections(data)
    monitors = [] if found.empty else [monitor_table(found)]
    said = headlines(cells, seeds, data.axes)
    for task, sentences in drift_findings(found).items():
        said[task] = [*said.get(task, ()), *sentences]
    return Content(
        name=readable(data.comparison.get("name", data.path.name)),
        scope=_scope(cells, data),
        question=experiment_of(data).get("question", ""),
        cards=cards,
        headlines=said,
        warnings=warnings_about(cells, data.axes, data.comparison.get("notes", ())),
        first=first_table(cells, data.axes),
        figures=figures,
        tables=[*full_tables(cells, data.axes), *monitors],
        command=data.comparison.get("command") or "",
        redraw=f"looplab report {data.path.resolve().name}",
        facts=_facts(data),
        versions=sorted(dict(data.provenance.get("versions", {})).items()),
        settings=list(flattened(data.comparison.get("settings", {}))),
        terms=TERMS,
    )


def experiment_of(data: ResultFolder) -> Mapping[str, Any]:
    """The experiment that a comparison belongs to; empty if to none."""
    return data.comparison.get("experiment") or {}


def _scope(cells: pd.DataFrame, data: ResultFolder) -> str:
    """One line on what was compared, e.g. "2 tasks x 5 regimes, 3 seeds, 60 000 steps each"."""
    tasks, labels = cells["env"].nunique(), len(set(cell_labels(cells, data.axes)))
    return ", ".join(
        (
            f"{tasks} task{'s' * (tasks > 1)} \u00d7 {labels} way{'s' * (labels > 1)} of training",
            f"{_span(cells['seeds'])} seed{'s' * bool((cells['seeds'] > 1).any())} each",
            f"{_span(data.runs['steps'])} training steps per run",
        )
    )


def _facts(data: ResultFolder) -> list[tuple[str, str]]:
    """What a reader needs in order to repeat the comparison, as names and texts."""
    runs, made = data.runs, data.provenance
    evaluated = data.results[data.results["phase"] != "train"]
    episodes = evaluated.groupby(["run", "phase", "policy"], observed=True).size()
    wall = float(runs["wall_seconds"].sum())
    facts = [
        ("Tasks", ", ".join(task_title(task) for task in runs["env"].unique())),
        ("Regimes", ", ".join(readable(regime) for regime in runs["regime"].unique())),
        ("Algorithms", ", ".join(str(algo).upper() for algo in runs["algo"].unique())),
        ("Seeds", ", ".join(str(seed) for seed in sorted(runs["seed"].unique()))),
        ("Runs", whole_number(len(runs))),
        ("Training steps per run", _span(runs["steps"])),
        ("Evaluation episodes", _evaluation_text(episodes)),
        ("Time of all runs", _duration(wall)),
    ]
    for key, label in (
        ("commit", "Commit"),
        ("python", "Python"),
        ("machine", "Machine"),
        ("created", "Made"),
    ):
        if made.get(key):
            facts.append((label, _text(made[key])))
    return facts


def _evaluation_text(episodes: pd.Series) -> str:
    if episodes.empty:
        return "none"
    policies = " and ".join(str(p) for p in episodes.index.unique("policy"))
    return (
        f"{_span(episodes)} per run, overseen and alone each, {policies} policy, on held-out seeds"
    )


def flattened(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as dotted names with their values as text, in order.

    >>> list(flattened({"agent": {"n_envs": 16}, "seeds": [1, 2]}))
    [('agent.n_envs', '16'), ('seeds', '1, 2')]
    """
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _text(value)


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{readable(key)} {_text(part)}" for key, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_text(part) for part in value)
    return "none" if value is None else str(value)


def _span(values: pd.Series) -> str:
    least, most = int(values.min()), int(values.max())
    texts = [whole_number(end) for end in (least, most)]
    return texts[0] if least == most else " to ".join(texts)


def _duration(seconds: float) -> str:
    if seconds < SECONDS_PER_MINUTE:
        return f"{short_number(seconds)} s"
    if seconds < SECONDS_PER_HOUR:
        return f"{short_number(seconds / SECONDS_PER_MINUTE)} min"
    return f"{short_number(seconds / SECONDS_PER_HOUR)} h"
