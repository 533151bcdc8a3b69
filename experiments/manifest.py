"""What a results folder says about its comparison: ``comparison.json``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from looplab import __version__
from looplab.experiments.composition import TRIAL, groups
from looplab.experiments.job import Job
from looplab.experiments.notes import overseer_notes
from looplab.experiments.overrides import Plan
from looplab.experiments.store import CONFIG_FILE, RUNS
from looplab.experiments.yaml_text import read_yaml

_NAMED_RUNS = 3


def manifest_of(asked: Plan, wanted: Sequence[Job], command: str | None) -> dict[str, Any]:
    """The manifest of a plan alone.

    Args:
        asked: the plan.
        wanted: its runs.
        command: the exact command line; None where there was none.
    """
    experiment = asked.experiment
    return {
        "name": "comparison" if experiment is None else experiment["name"],
        "version": __version__,
        "command": command,
        TRIAL: asked.trial,
        "axes": list(asked.axes),
        "settings": asked.settings,
        "experiment": experiment,
        "notes": [],
        "runs": [
            {"run": job.name, "seed": job.config["seed"], "cell": dict(job.config["cell"])}
            for job in wanted
        ],
    }


def extended(found: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest with the runs and the commands that the folder has already.

    Args:
        found: what the folder holds; empty if nothing.
        manifest: the plan's own.
    """
    runs = {run["run"]: run for run in (*found.get("runs", ()), *manifest["runs"])}
    commands = (found.get("command"), manifest["command"])
    lines = [line for text in commands if text for line in text.splitlines()]
    return {
        **manifest,
        "command": "\n".join(dict.fromkeys(lines)) or None,
        "runs": sorted(runs.values(), key=lambda run: str(run["run"])),
    }


def with_notes(
    manifest: Mapping[str, Any], folder: Path, done: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """A manifest with what a reader of the report must know.

    Args:
        manifest: the folder's manifest.
        folder: the results folder.
        done: those of its runs that are finished.
    """
    replaced = [
        f"Every cell has {key}={value} in place of what its regime names."
        for key, value in manifest["settings"].items()
        if key in groups()
    ]
    notes = [*replaced, *_missing(manifest, done), *overseer_notes(_configs(folder, done))]
    return {**manifest, "notes": notes}


def _missing(manifest: Mapping[str, Any], done: Sequence[Mapping[str, Any]]) -> list[str]:
    names = {run["run"] for run in done}
    missing = [run["run"] for run in manifest["runs"] if run["run"] not in names]
    if not missing:
        return []
    first = ", ".join(missing[:_NAMED_RUNS])
    more = f" and {len(missing) - _NAMED_RUNS} more" * (len(missing) > _NAMED_RUNS)
    return [f"{len(missing)} of {len(manifest['runs'])} runs are missing: {first}{more}."]


def _configs(folder: Path, done: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Configuration of one run of every cell: seeds change nothing that a note speaks of."""
    by_cell = {str(run["cell"]): run["run"] for run in done}
    files = (folder / RUNS / name / CONFIG_FILE for name in by_cell.values())
    return [read_yaml(file) for file in files]
