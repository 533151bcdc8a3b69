"""What a report says of a comparison, whatever its runs did."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from looplab.experiments.figures import Figure
    from looplab.experiments.tables import Table


@dataclass(frozen=True)
class Page:
    """A comparison, read and summarised.

    Attributes:
        path: the results folder.
        axes: columns that name a cell, the task first.
        comparison: content of ``comparison.json``.
        provenance: content of ``provenance.json``, empty if there is none.
        seeds: one row per run: axes, ``seed``, and the measures that claims can be about.
        cells: one row per cell: axes, ``seeds``, and each measure with its interval.
        scope: what was compared, in a line.
        headlines: findings of each task, most important first.
        warnings: what a reader must know first.
        first: the table that the report begins with.
        tables: all others.
        facts: what a reader needs in order to repeat it, as names and texts.
        terms: words that the report uses, and what they mean.
        draw: draws the figures into the folder, in the order of the report.
    """

    path: Path
    axes: tuple[str, ...]
    comparison: Mapping[str, Any]
    provenance: Mapping[str, Any]
    seeds: pd.DataFrame
    cells: pd.DataFrame
    scope: str
    headlines: Mapping[str, Sequence[str]]
    warnings: Sequence[str]
    first: "Table"
    tables: Sequence["Table"]
    facts: Sequence[tuple[str, str]]
    terms: Mapping[str, str]
    draw: Callable[[], Sequence["Figure"]]
