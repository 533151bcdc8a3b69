"""What a results folder says about its comparison: ``comparison.json``."""

from collections.abc import Mapping, Sequence
from typing import Any

from looplab import __version__
from looplab.experiments.composition import groups
from looplab.experiments.job import Job
from looplab.experiments.notes import notes
from looplab.experiments.overrides import Plan

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
        "axes": list(asked.axes),
        "settings": asked.settings,
        "experiment": experiment,
        "notes": [],
        "cell_notes": notes(asked.cells),
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
    said = (*found.get("cell_notes", ()), *manifest["cell_notes"])
    return {
        **manifest,
        "command": "\n".join(dict.fromkeys(lines)) or None,
        "cell_notes": list(dict.fromkeys(said)),
        "runs": sorted(runs.values(), key=lambda run: str(run["run"])),
    }


def with_notes(manifest: Mapping[str, Any], done: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A manifest with what a reader of the report must know.

    Args:
        manifest: the folder's manifest.
        done: those of its runs that are finished.
    """
    replaced = [
        f"Every cell has {key}={value} in place of what its regime names."
        for key, value in manifest["settings"].items()
        if key in groups()
    ]
    names = {run["run"] for run in done}
    missing = [run["run"] for run in manifest["runs"] if run["run"] not in names]
    if missing:
        first = ", ".join(missing[:_NAMED_RUNS])
        more = f" and {len(missing) - _NAMED_RUNS} more" * (len(missing) > _NAMED_RUNS)
        replaced.append(
            f"{len(missing)} of {len(manifest['runs'])} runs are missing: {first}{more}."
        )
    return {**manifest, "notes": [*manifest["cell_notes"], *replaced]}
