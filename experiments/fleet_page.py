"""What a report says of fleets: how long requests wait, who is enough, and what harm is done."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from looplab.envs.errors import UsageError
from looplab.experiments.cells import BASE_AXES, cell_labels, readable, task_title
from looplab.experiments.figures import FIGURES_FOLDER, Figure
from looplab.experiments.figures.fleet import FIGURE
from looplab.experiments.figures.fleet import draw as draw_fleet
from looplab.experiments.findings import few_seeds
from looplab.experiments.fleet_measures import EXPOSURE, HARM, MEASURES, THEORY, WAITING
from looplab.experiments.fleet_table import KEYS, Target, answers, summarise, targets_of
from looplab.experiments.number_text import whole_number
from looplab.experiments.page import Page
from looplab.experiments.report_content import duration_text, facts_of_making, span
from looplab.experiments.result_folder import (
    PROVENANCE_FILE,
    RESULTS_FILE,
    RUNS_FILE,
    read_comparison,
    read_json,
    read_parquet,
)
from looplab.experiments.store import CONFIG_FILE, RUNS
from looplab.experiments.tables import Table, cells_table
from looplab.experiments.yaml_text import read_yaml

TERMS = {
    "request": "A proposal that waits for a human's verdict.",
    "wait": "From the request until a reviewer takes it up, or nobody does any more.",
    "blocking": "An agent waits for its verdict; else it goes on with the fallback, and what is "
    "approved late runs in a later state.",
    "throughput": "The share of the steps that the agents would make if nobody ever waited.",
    "theory": "The machine-repairman model, M/M/c//N: N agents who wait, c reviewers, exponential "
    "times (Kleinrock 1975). It holds for unlimited time, and is shown where it applies.",
    "violation": "A step with cost above 0: harm was done. A catastrophe is an irreversible one.",
    "stale approval": "A proposal that was approved late, and ran in a later state.",
}
METHODS = (
    "Rates divide by the agents' steps after the warm-up. Waits within a run depend on each other, "
    "so intervals are taken over seeds, never over requests."
)


def fleet_page(folder: Path) -> Page:
    """Reads the results of fleets.

    Args:
        folder: a results folder whose comparison says ``trial: fleet``.

    Raises:
        UsageError: if it is missing or damaged.
    """
    comparison = read_comparison(folder)
    axes = tuple(dict.fromkeys((*BASE_AXES, *comparison.get("axes", ()))))
    columns = (*axes, "seed", "run", *KEYS, "steps", EXPOSURE, *MEASURES)
    seeds = read_parquet(folder / RESULTS_FILE, columns)
    runs = read_parquet(folder / RUNS_FILE, ("steps", "counted_seconds", "wall_seconds"))
    made = folder / PROVENANCE_FILE
    cells = summarise(seeds.drop(columns=["run", EXPOSURE]), (*axes, *KEYS))
    targets = targets_of(_settings(folder, comparison))
    fleets = _fleets(cells, axes)
    return Page(
        path=folder,
        axes=axes,
        comparison=comparison,
        provenance=read_json(made) if made.exists() else {},
        seeds=seeds,
        cells=cells,
        scope=_scope(cells, runs),
        headlines=_headlines(fleets, targets),
        warnings=[*few_seeds(cells), *comparison.get("notes", ())],
        first=cells_table("Waiting", "Means over seeds and 95 % interval.", WAITING, cells, axes),
        tables=_tables(cells, axes),
        facts=[*_facts(seeds, runs), *facts_of_making(read_json(made) if made.exists() else {})],
        terms=TERMS,
        methods=METHODS,
        draw=partial(_draw, folder, fleets, targets),
    )


def _settings(folder: Path, comparison: Any) -> dict[str, Any]:
    """What one of the runs was told of its fleet; targets are the same for all."""
    name = comparison["runs"][0]["run"]
    path = folder / RUNS / name / CONFIG_FILE
    try:
        return dict(read_yaml(path)["trial"])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise UsageError(f"cannot read {path}, which tells the targets of the fleet") from error


def _fleets(cells: pd.DataFrame, axes: Sequence[str]) -> dict[tuple[str, str], pd.DataFrame]:
    """Cells that differ in numbers of agents and reviewers alone, by task and label."""
    others = [axis for axis in axes if axis.rsplit(".", 1)[-1] not in KEYS]
    labels = cell_labels(cells, others)
    found = {}
    keyed = cells.assign(_label=labels)
    for (task, label), own in keyed.groupby(["env", "_label"], sort=False):
        ordered = own.drop(columns="_label").sort_values(list(KEYS), ignore_index=True)
        found[str(task), str(label)] = ordered
    return found


def _scope(cells: pd.DataFrame, runs: pd.DataFrame) -> str:
    counts = (f"{span(cells[name])} {name}" for name in KEYS)
    return (
        f"{' and '.join(counts)}, {span(cells['seeds'])} seeds each, "
        f"{span(runs['steps'])} steps per run"
    )


def _headlines(
    fleets: dict[tuple[str, str], pd.DataFrame], targets: Sequence[Target]
) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for (task, label), own in fleets.items():
        lines = found.setdefault(task_title(task), [])
        lines += [f"{label}: {line}." for line in answers(own, targets)]
    return found


def _tables(cells: pd.DataFrame, axes: Sequence[str]) -> list[Table]:
    harm = "Of all agents together, in the counted time."
    tables = [cells_table("Harm and return", harm, HARM, cells, axes)]
    if cells[THEORY[0][1]].notna().any():
        about = "The machine-repairman model, where agents wait and all times are exponential."
        tables.append(cells_table("Against theory", about, THEORY, cells, axes))
    return tables


def _facts(seeds: pd.DataFrame, runs: pd.DataFrame) -> list[tuple[str, str]]:
    return [
        ("Tasks", ", ".join(task_title(task) for task in seeds["env"].unique())),
        ("Regimes", ", ".join(readable(regime) for regime in seeds["regime"].unique())),
        ("Agents", span(seeds["agents"])),
        ("Reviewers", span(seeds["reviewers"])),
        ("Seeds", ", ".join(str(seed) for seed in sorted(seeds["seed"].unique()))),
        ("Runs", whole_number(len(runs))),
        ("Steps per run", span(runs["steps"])),
        ("Virtual time of a run", f"{span(runs['counted_seconds'] / 60.0)} min, after the warm-up"),
        ("Time of all runs", duration_text(float(runs["wall_seconds"].sum()))),
    ]


def _draw(
    folder: Path, fleets: dict[tuple[str, str], pd.DataFrame], targets: Sequence[Target]
) -> list[Figure]:
    figures = []
    for place, ((task, label), own) in enumerate(fleets.items()):
        stem = FIGURE if place == 0 else f"{FIGURE}_{place + 1}"
        title = f"{task_title(task)}, {label}"
        caption, aspect = draw_fleet(own, targets, title, folder / FIGURES_FOLDER / stem)
        figures.append(Figure(stem, title, caption, aspect))
    return figures
