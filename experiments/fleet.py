"""The ``fleet`` command: how many reviewers does a fleet of agents need?"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from looplab.experiments.compare import RESULTS
from looplab.experiments.figures.fleet import FIGURE, draw
from looplab.experiments.files import write_whole
from looplab.experiments.fleet_study import Asked, Study, asked
from looplab.experiments.fleet_table import answers, summarise, tables, targets_of
from looplab.experiments.number_text import counted
from looplab.experiments.provenance import provenance
from looplab.experiments.store import check_writable
from looplab.experiments.yaml_text import yaml_text

CSV, RUNS_CSV, CONFIG_FILE, PROVENANCE_FILE = (
    "fleet.csv",
    "runs.csv",
    "config.yaml",
    "provenance.json",
)


def run_fleet(words: Sequence[str], say: Callable[[str], None]) -> Path:
    """Runs every number of agents with every number of reviewers and seed, and shows what came.

    Args:
        words: ``key=value``, as in Hydra; commas sweep ``agents`` and ``reviewers``.
        say: prints lines.

    Returns:
        The folder, with ``fleet.csv`` (a row for every number of agents and reviewers, with 95 %
        intervals over seeds), ``runs.csv`` (a row for every seed too), ``fleet.png`` and ``.pdf``,
        ``config.yaml`` and ``provenance.json``; nothing is written before all of it is known.

    Raises:
        UsageError: before anything runs, if it cannot be run.
    """
    request = asked(words)
    targets = targets_of(request.own)
    study = Study(request)
    cell = request.config["cell"]
    folder = RESULTS / "fleet" / f"{cell['env']}-{cell['regime']}"
    folder = folder if request.out is None else Path(request.out)
    check_writable(folder, 1)
    rows = []
    for fleet in study.fleets:
        rows += [study.row(fleet, seed) for seed in request.seeds]
        if not request.quiet:
            total = len(study.fleets) * len(request.seeds)
            say(f"{len(rows)} of {counted(total, 'run')}")
    runs = pd.DataFrame(rows)
    cells = summarise(runs)
    labels = _labels(request)
    for place, (name, value) in enumerate(labels.items()):
        runs.insert(place, name, value)
        cells.insert(place, name, value)
    _write(folder, request, runs, cells)
    draw(cells, targets, ", ".join(labels.values()), folder / FIGURE)
    say(tables(cells))
    say("\n".join(answers(cells, targets)))
    return folder


def _labels(request: Asked) -> dict[str, str]:
    """What fleet it is: columns of the files, and words of the caption."""
    own, cell = request.own, request.config["cell"]
    proposes = "model" if own["model"] is not None else own["policy"]
    return {
        "env": cell["env"], "regime": cell["regime"], "policy": proposes, "waiting": own["waiting"]
    }  # fmt: skip


def _write(folder: Path, request: Asked, runs: pd.DataFrame, cells: pd.DataFrame) -> None:
    settings = {**request.config, "fleet": request.own, "seeds": list(request.seeds)}
    for name, text in (
        (RUNS_CSV, runs.to_csv(index=False)),
        (CSV, cells.to_csv(index=False)),
        (CONFIG_FILE, yaml_text(settings)),
        (PROVENANCE_FILE, json.dumps(provenance(), indent=2) + "\n"),
    ):
        write_whole(folder / name, text.encode())
