"""How a cell looks in every figure: one fixed colour, marker and line per label.

The first colours are Okabe & Ito's (2008), which the colour-blind can tell apart; markers and line
styles say the same once more, for print without colour and where there are more regimes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import pandas as pd

from looplab.experiments.cells import cell_labels

Line = Literal["-", "--", "-.", ":"]

#: Fixed colour and marker of the preset regimes.
REGIME_STYLES = {
    "autonomous": ("#000000", "o"),
    "feedback": ("#CC79A7", "P"),
    "on_the_loop": ("#D55E00", "s"),
    "veto_window": ("#E69F00", "D"),
    "in_the_loop": ("#0072B2", "^"),
    "in_the_loop_correction": ("#56B4E9", "v"),
    "in_the_loop_penalty": ("#009E73", "X"),
    "adaptive": ("#5B3A8C", "*"),
    "rules": ("#8C6D1F", "h"),
    "behind_the_loop": ("#7F7F7F", "p"),
    "panel": ("#882255", "<"),
    "escalation": ("#44AA99", ">"),
}
#: Styles of further regimes, by name, and of labels where only one regime is compared.
MORE_STYLES = (("#999933", "8"), ("#332288", "H"), ("#AA4466", "d"))
PALETTE = (*REGIME_STYLES.values(), *MORE_STYLES)

#: Labels of one regime share its hue, each paler than the one before, with markers and lines of
#: their own; the palest keeps this share of the colour.
LEAST_COLOUR = 0.35
LINES: tuple[Line, ...] = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "h", "*", "<", ">", "8", "H", "d")


@dataclass(frozen=True)
class Mark:
    """How one label is drawn: colour as ``#RRGGBB``, marker and line as matplotlib names them.

    Labels of one ``series`` differ in numbers alone, such as a budget.
    """

    label: str
    colour: str
    marker: str
    line: Line
    series: int = field(default=0, compare=False)


def cell_marks(cells: pd.DataFrame, axes: Sequence[str]) -> list[Mark]:
    """One mark per row of ``cells``; rows that differ only in their task share one.

    Where several regimes are compared, labels of one share its hue; where there is only one, labels
    that differ in numbers alone do.
    """
    labels = cell_labels(cells, axes)
    series_of = dict(zip(labels, _series(cells, axes), strict=True))
    base = _regime_styles(list(cells["regime"]))
    families: list[tuple[tuple[str, str], list[str]]] = []
    if len(base) > 1:
        regime_of = dict(zip(labels, cells["regime"], strict=True))
        for regime, style in base.items():
            families.append((style, [label for label in regime_of if regime_of[label] == regime]))
    else:
        (first,) = base.values()
        styles = [first, *(style for style in PALETTE if style != first)]
        for turn, series in enumerate(dict.fromkeys(series_of.values())):
            own = [label for label in series_of if series_of[label] == series]
            families.append((styles[turn % len(styles)], own))
    marks = {
        mark.label: replace(mark, series=series_of[mark.label])
        for style, own in families
        for mark in _family(style, own)
    }
    return [marks[label] for label in labels]


def _series(cells: pd.DataFrame, axes: Sequence[str]) -> list[int]:
    """Number of each cell's series, shape (cells,): cells that differ in task and numbers alone."""
    words = [axis for axis in axes if axis != "env" and not _is_numeric(cells[axis])]
    if not words:
        return list(range(len(cells)))
    found: list[int] = cells.groupby(words, sort=False, dropna=False).ngroup().tolist()
    return found


def _is_numeric(values: pd.Series) -> bool:
    return bool(pd.to_numeric(values, errors="coerce").notna().all())


def _family(style: tuple[str, str], labels: Sequence[str]) -> Iterator[Mark]:
    """Marks of labels that share a hue, each paler than the one before."""
    colour, marker = style
    for turn, label in enumerate(labels):
        share = (1.0 - LEAST_COLOUR) * turn / max(len(labels) - 1, 1)
        other = MARKERS[(MARKERS.index(marker) + turn) % len(MARKERS)]
        yield Mark(
            label, _paler(colour, share) if turn else colour, other, LINES[turn % len(LINES)]
        )


def _regime_styles(regimes: Sequence[str]) -> dict[str, tuple[str, str]]:
    others = sorted(set(regimes) - set(REGIME_STYLES))
    styles = {name: MORE_STYLES[i % len(MORE_STYLES)] for i, name in enumerate(others)}
    return {name: REGIME_STYLES.get(name) or styles[name] for name in dict.fromkeys(regimes)}


def _paler(colour: str, share: float) -> str:
    """Mixes ``colour`` with ``share`` of white."""
    parts = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(part + (255 - part) * share):02X}" for part in parts)
