"""The report of a comparison: summary table, figures and one self-contained page.

``write_report`` needs nothing but the results folder; what it writes can be made again at any time.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from looplab.experiments.cards import Card, cards
from looplab.experiments.cells import cell_labels, readable, task_title
from looplab.experiments.claims import left_out, read_claims
from looplab.experiments.figures import FIGURES_FOLDER, Figure, draw
from looplab.experiments.files import write_whole
from looplab.experiments.findings import headlines, warnings_about
from looplab.experiments.metrics import SECONDS_PER_HOUR, per_seed, summary
from looplab.experiments.number_text import short_number, whole_number
from looplab.experiments.result_folder import ResultFolder, load
from looplab.experiments.tables import first_table, full_tables
from looplab.experiments.verdicts import VERDICTS_FILE, as_json, judge

SUMMARY_FILE = "summary.csv"
REPORT_FILE = "report.html"
TEMPLATES = Path(__file__).resolve().parent / "templates"
TEMPLATE = "report.html.j2"
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
class Picture:
    """A figure with its PNG as a data address, ready to be placed in a page."""

    figure: Figure
    address: str


def write_report(folder: Path) -> Path:
    """Writes ``summary.csv``, ``figures/`` and ``report.html`` into a results folder.

    Of a named experiment also ``verdicts.json``.

    Args:
        folder: a results folder with ``results.parquet``, ``runs.parquet`` and ``comparison.json``.

    Returns:
        The path of ``report.html``.

    Raises:
        UsageError: if the folder is missing, damaged, or cannot be written.
    """
    data = load(folder)
    seeds = per_seed(data.results, data.runs, data.axes)
    cells = summary(seeds, data.axes)
    write_whole(folder / SUMMARY_FILE, cells.to_csv(index=False).encode())
    claimed = _claimed(data, seeds)
    figures = sorted(draw(data, seeds, cells), key=lambda figure: figure.stem != _main_figure(data))
    pictures = [_picture(folder, figure) for figure in figures]
    page = _render(data, cells, seeds, pictures, claimed)
    return write_whole(folder / REPORT_FILE, page.encode())


def _experiment(data: ResultFolder) -> Mapping[str, Any]:
    return data.comparison.get("experiment") or {}


def _main_figure(data: ResultFolder) -> str:
    return str(_experiment(data).get("figure", ""))


def _claimed(data: ResultFolder, seeds: pd.DataFrame) -> list[Card]:
    """Judges the experiment's claims, and writes the verdicts where there is one."""
    experiment = _experiment(data)
    if not experiment:
        return []
    claims = read_claims(experiment)
    verdicts = judge(claims, seeds, data.axes)
    write_whole(data.path / VERDICTS_FILE, as_json(verdicts).encode())
    there = seeds[list(data.axes)].drop_duplicates().to_dict("records")
    return cards(claims, verdicts, left_out(claims, there))


def _render(
    data: ResultFolder,
    cells: pd.DataFrame,
    seeds: pd.DataFrame,
    pictures: Sequence[Picture],
    claimed: Sequence[Card],
) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE).render(
        name=readable(data.comparison.get("name", data.path.name)),
        scope=_scope(cells, data),
        question=_experiment(data).get("question", ""),
        cards=claimed,
        headlines=headlines(cells, seeds, data.axes),
        warnings=warnings_about(cells, data.axes, data.comparison.get("notes", ())),
        first=first_table(cells, data.axes),
        pictures=pictures,
        tables=full_tables(cells, data.axes),
        command=data.comparison.get("command", ""),
        facts=_facts(data),
        versions=sorted(dict(data.provenance.get("versions", {})).items()),
        settings=list(flattened(data.comparison.get("settings", {}))),
        terms=TERMS,
    )


def _picture(folder: Path, figure: Figure) -> Picture:
    content = (folder / FIGURES_FOLDER / f"{figure.stem}.png").read_bytes()
    return Picture(figure, f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}")


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
