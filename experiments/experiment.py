"""Named experiments: what a file of ``configs/experiment/`` states, and how much it is."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from looplab import CONFIG_DIR
from looplab.envs.errors import UsageError, choice, within
from looplab.experiments.cells import GROUP_AXES
from looplab.experiments.claims import Claim, read_claims
from looplab.experiments.composition import CHOICES, EXPERIMENT, SWEEP, WITHOUT
from looplab.experiments.selection import check_values, matches
from looplab.experiments.trials import kind
from looplab.experiments.yaml_text import read_yaml

#: What ``experiment:`` may hold, of which the first two must be there.
KEYS = ("name", "question", "figure", "cost_cpu_minutes", "claims")
_REQUIRED = KEYS[:2]


def check_experiment(base: Mapping[str, Any]) -> list[Claim]:
    """Checks what an experiment states, before anything runs, and reads its claims.

    Args:
        base: the configuration that the experiment composes, with nothing else.

    Raises:
        UsageError: naming the experiment, what is wrong, and the nearest valid name.
    """
    stated, axes, read = base[EXPERIMENT], axes_of(base), kind(base[CHOICES])
    try:
        for key in stated:
            choice("key", key, KEYS)
        for key in _REQUIRED:
            if not isinstance(stated.get(key), str):
                raise UsageError(f"{key} must be a text, got {stated.get(key)!r}")
        if "figure" in stated:
            choice("figure", stated["figure"], read.figures())
        if "cost_cpu_minutes" in stated:
            within("cost_cpu_minutes", stated["cost_cpu_minutes"], 0.0)
        for cell in base.get(WITHOUT) or ():
            check_values(cell, axes)
    except UsageError as error:
        raise UsageError(f"experiment {stated.get('name')}: {error}") from error
    return read_claims(stated, axes, read.measures())


def axes_of(base: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Every axis of an experiment with its values: what it sweeps, and the groups that it fixes."""
    fixed = {group: [base[CHOICES][group]] for group in GROUP_AXES}
    swept = {
        axis: values if isinstance(values, list) else [values]
        for axis, values in (base.get(SWEEP) or {}).items()
    }
    return {**fixed, **swept}


def size(base: Mapping[str, Any]) -> tuple[int, int]:
    """Cells and seeds of an experiment as it stands."""
    axes = axes_of(base)
    without: Sequence[Mapping[str, Any]] = base.get(WITHOUT) or ()
    columns = [GROUP_AXES.get(axis, axis) for axis in axes]
    cells = [dict(zip(columns, values, strict=True)) for values in product(*axes.values())]
    kept = [cell for cell in cells if not any(matches(cell, wanted) for wanted in without)]
    seeds = base["seeds"]
    return len(kept), len(seeds) if isinstance(seeds, list) else int(seeds)


def line_about(name: str) -> str:
    """An experiment in a line: its question, its cells and seeds, and what it costs."""
    base = _as_written(name)
    stated = base[EXPERIMENT]
    cells, seeds = size(base)
    cost = stated.get("cost_cpu_minutes")
    minutes = "" if cost is None else f", {cost:g} CPU minutes"
    return f"{stated['question']} ({cells} cells x {seeds} seeds{minutes})"


def _as_written(name: str) -> dict[str, Any]:
    """What the files say of an experiment, without composing it: a list of all takes no time."""
    root, own = (
        read_yaml(CONFIG_DIR / file) for file in ("config.yaml", f"{EXPERIMENT}/{name}.yaml")
    )
    defaults = [entry for entry in root["defaults"] if isinstance(entry, Mapping)]
    chosen = {key: value for entry in defaults for key, value in entry.items()}
    return {"seeds": root["seeds"], **own, CHOICES: chosen}
