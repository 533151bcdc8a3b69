"""How a cell looks in every figure: one fixed colour, marker and line per label.

The first colours are Okabe & Ito's (2008), which the colour-blind can tell apart; markers and line
styles say the same once more, for print without colour and where there are more regimes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
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
    """How one label is drawn: colour as ``#RRGGBB``, marker and line as matplotlib names them."""

    label: str
    colour: str
    marker: str
    line: Line


def cell_marks(cells: pd.DataFrame, axes: Sequence[str]) -> list[Mark]:
    """One mark per row of ``cells``; rows that differ only in their task share one."""
    labels = cell_labels(cells, axes)
    regime_of = dict(zip(labels, cells["regime"], strict=True))
    base = _regime_styles(list(cells["regime"]))
    marks: dict[str, Mark] = {}
    for regime, (colour, marker) in base.items():
        own = [label for label in regime_of if regime_of[label] == regime]
        hues = [style for style in PALETTE if style != (colour, marker)] if len(base) == 1 else []
        for turn, label in enumerate(own):
            line = LINES[turn % len(LINES)]
            if turn == 0:
                marks[label] = Mark(label, colour, marker, line)
            elif turn <= len(hues):
                marks[label] = Mark(label, *hues[turn - 1], line)
            else:
                shade = _paler(colour, (1.0 - LEAST_COLOUR) * turn / (len(own) - 1))
                other = MARKERS[(MARKERS.index(marker) + turn) % len(MARKERS)]
                marks[label] = Mark(label, shade, other, line)
    return [marks[label] for label in labels]


def _regime_styles(regimes: Sequence[str]) -> dict[str, tuple[str, str]]:
    others = sorted(set(regimes) - set(REGIME_STYLES))
    styles = {name: MORE_STYLES[i % len(MORE_STYLES)] for i, name in enumerate(others)}
    return {name: REGIME_STYLES.get(name) or styles[name] for name in dict.fromkeys(regimes)}


def _paler(colour: str, share: float) -> str:
    """Mixes ``colour`` with ``share`` of white."""
    parts = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(part + (255 - part) * share):02X}" for part in parts)
