"""Cells of a comparison: their order, their labels and what their names mean to a reader."""

from collections.abc import Sequence

import pandas as pd

#: The order in which regimes are shown, the least intrusive first; others follow by name.
REGIME_ORDER = (
    "autonomous",
    "feedback",
    "on_the_loop",
    "veto_window",
    "in_the_loop",
    "in_the_loop_correction",
    "in_the_loop_penalty",
)
#: Column that names the choice of each group that is always an axis of a comparison.
GROUP_AXES = {"env": "env", "regime": "regime", "agent": "algo"}
#: Axes that every comparison has.
BASE_AXES = tuple(GROUP_AXES.values())


def readable(name: object) -> str:
    """A configuration's name as a person would write it: ``in_the_loop`` -> ``in the loop``."""
    return str(name).replace("_", " ")


def task_title(env: object) -> str:
    """Title of a task: ``lava_shortcut`` -> ``Lava shortcut``."""
    text = readable(env)
    return text[:1].upper() + text[1:]


def in_order(frame: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """Sorts rows by the axes, then by seed: regimes as in ``REGIME_ORDER``, the rest by name."""
    columns = [[_sort_key(axis, value) for value in frame[axis]] for axis in axes]
    if "seed" in frame:
        columns.append([_sort_key("seed", seed) for seed in frame["seed"].tolist()])
    rows = list(zip(*columns, strict=True))
    return frame.iloc[sorted(range(len(rows)), key=rows.__getitem__)].reset_index(drop=True)


def cell_labels(frame: pd.DataFrame, axes: Sequence[str]) -> list[str]:
    """One label per row, naming the regime and whichever other axes differ between rows.

    Tasks are left out, since each has its own panel or table. ``"overseer.miss_rate"`` is
    shortened to ``"miss rate 0.05"``; a cell without a value on that axis does not mention it.
    """
    varying = [a for a in axes if a not in BASE_AXES and frame[a].nunique(dropna=False) > 1]
    parts = [frame["regime"].map(readable)]
    if frame["algo"].nunique() > 1:
        parts.append(frame["algo"].astype(str).str.upper())
    for axis in varying:
        short = readable(axis.rsplit(".", 1)[-1])
        parts.append(frame[axis].map(lambda value, short=short: _named(short, value)))
    if frame["regime"].nunique() == 1 and len(parts) > 1:
        parts = parts[1:]
    return [" / ".join(p for p in row if p) or "all" for row in zip(*parts, strict=True)]


def _named(axis: str, value: object) -> str:
    if _missing(value):
        return ""
    return f"{axis} {value:g}" if isinstance(value, float) else f"{axis} {readable(value)}"


def _missing(value: object) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and value != value)


def _sort_key(axis: str, value: object) -> tuple[int, float, str]:
    """Known regimes first, then numbers by size, then names; a missing value comes first."""
    if _missing(value):
        return -1, 0.0, ""
    if axis == "regime" and value in REGIME_ORDER:
        return REGIME_ORDER.index(str(value)), 0.0, ""
    if isinstance(value, int | float):
        return len(REGIME_ORDER), float(value), ""
    return len(REGIME_ORDER) + 1, 0.0, str(value)
