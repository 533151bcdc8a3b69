"""The ``evaluate`` command: a model file, overseen and alone, and what is kept of it."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from looplab.envs.errors import UsageError
from looplab.experiments.evaluate import evaluate_file, summarise
from looplab.experiments.files import write_whole
from looplab.experiments.overrides import plan
from looplab.experiments.provenance import provenance
from looplab.experiments.run import write_episodes
from looplab.experiments.store import CONFIG_FILE, check_writable, written_whole
from looplab.experiments.text_table import text_table
from looplab.experiments.yaml_text import yaml_text

#: What is printed, one row per phase and policy. No ``metrics.json``: this is no trained run.
METRICS_FILE = "metrics.csv"
PROVENANCE_FILE = "provenance.json"
_TRUST = "trust="


def evaluate_model(model: Path, words: Sequence[str], say: Callable[[str], None]) -> None:
    """Evaluates a model file, prints its metrics, and keeps them where ``out=`` says.

    Args:
        model: the zip file.
        words: ``key=value``, as in Hydra, and ``trust=true`` or ``trust=false``.
        say: prints lines.

    Raises:
        UsageError: before anything runs, if it cannot run or the folder cannot be written.
    """
    asked = plan([word for word in words if not word.startswith(_TRUST)], sweeps=False)
    trust = _trusts(words)
    out = asked.running["out"]
    folder = None if out is None else Path(out)
    if folder is not None:
        _check_new(folder)
    config = asked.cells[0]
    episodes = evaluate_file(model, config, trust)
    metrics = summarise(episodes)
    if folder is not None:
        _write(folder, model, config, episodes, metrics)
    say(text_table(metrics))
    if folder is not None:
        say(f"evaluation: {folder}")


def _trusts(words: Sequence[str]) -> bool:
    given = [word.removeprefix(_TRUST) for word in words if word.startswith(_TRUST)]
    if any(value not in ("true", "false") for value in given):
        raise UsageError(f"trust must be true or false, got '{given[-1]}'")
    return given[-1:] == ["true"]


def _check_new(folder: Path) -> None:
    check_writable(folder, 1)
    if folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"{folder} exists and is not empty; give another out=")


def _write(
    folder: Path,
    model: Path,
    config: Mapping[str, Any],
    episodes: pd.DataFrame,
    metrics: pd.DataFrame,
) -> None:
    made = {**provenance(), "model": str(model)}
    with written_whole(folder) as partial:
        write_episodes(episodes, config, partial)
        for name, text in (
            (METRICS_FILE, metrics.to_csv(index=False)),
            (CONFIG_FILE, yaml_text(dict(config))),
            (PROVENANCE_FILE, json.dumps(made, indent=2) + "\n"),
        ):
            write_whole(partial / name, text.encode())
