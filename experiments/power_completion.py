"""Tab completion of ``looplab power``: keys, metrics, and what a results folder has."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from looplab.experiments.completion import joined
from looplab.experiments.power_words import BARE, KEYS, METRIC, OF, THAN


def completions(word: str, others: Sequence[str] = ()) -> list[str]:
    """Whole words that begin as ``word`` does.

    Args:
        word: what has been typed: part of a key, or a key with part of a value.
        others: words that stand before it; the folder among them says which axes there are.
    """
    axes = _axes(others)
    key, equals, value = word.partition("=")
    if not equals:
        return [f"{name}=" for name in (*KEYS, *axes) if name.startswith(word)]
    if key == METRIC:
        return [f"{key}={name}" for name in _metrics() if name.startswith(value)]
    if key not in (OF, THAN):
        return [f"{key}={name}" for name in axes.get(key, ()) if name.startswith(value)]
    before, comma, part = value.rpartition(",")
    axis, named, start = part.partition("=")
    offered = (
        [f"{axis}={name}" for name in axes.get(axis, ()) if name.startswith(start)]
        if named
        else [name for name in (*axes.get(BARE, ()), *(f"{a}=" for a in axes)) if
              name.startswith(part)]
    )  # fmt: skip
    return [f"{key}={before}{comma}{name}" for name in offered]


def bash_completions(word: str, others: Sequence[str]) -> list[str]:
    """What bash wants, which takes ``of=regime=in`` apart at every ``=``.

    Args:
        word: the last part; empty where it is the ``=`` itself.
        others: the parts before it.

    Returns:
        Replacements of the last part.
    """
    if not word and others and others[-1] in (*KEYS, *_axes(others)):
        others = (*others, "=")
    *before, last = joined((*others, word)) or [""]
    head = last.removesuffix(word)
    return [text.removeprefix(head) for text in completions(last, before)]


def _axes(others: Sequence[str]) -> dict[str, list[str]]:
    """Axes of the folder with their values; none without a folder that can be read."""
    folders = [word for word in others if Path(word).is_dir()]
    if not folders:
        return {}
    import pandas as pd

    from looplab.experiments.cells import BASE_AXES
    from looplab.experiments.pilot import axis_values
    from looplab.experiments.result_folder import COMPARISON_FILE, RUNS_FILE

    folder = Path(folders[0])
    try:
        comparison = json.loads((folder / COMPARISON_FILE).read_text(encoding="utf-8"))
        axes = list(dict.fromkeys((*BASE_AXES, *comparison["axes"])))
        return axis_values(pd.read_parquet(folder / RUNS_FILE, columns=axes))
    except (OSError, ValueError, KeyError, TypeError):  # no results: nothing to offer
        return {}


def _metrics() -> Iterable[str]:
    from looplab.experiments.metrics import METRICS

    return (metric.name for metric in METRICS)
