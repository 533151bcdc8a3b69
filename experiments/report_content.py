"""What a report shows of one comparison, gathered once for every page that shows it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from looplab.experiments.cards import Card
from looplab.experiments.cells import readable
from looplab.experiments.figures import Figure
from looplab.experiments.metrics import SECONDS_PER_HOUR
from looplab.experiments.number_text import short_number, whole_number
from looplab.experiments.tables import Table

if TYPE_CHECKING:
    from looplab.experiments.page import Page

SECONDS_PER_MINUTE = 60.0


@dataclass(frozen=True)
class Content:
    """Everything that a report shows.

    Attributes:
        name: the comparison's name.
        scope: what was compared, in a line.
        question: the experiment's question; empty without one.
        cards: the experiment's claims with their verdicts.
        headlines: findings by task.
        warnings: what to know before believing them.
        first: the table that the report begins with.
        figures: in their order; the files lie in the folder ``figures``.
        tables: everything in ``summary.csv``, by subject.
        command: the lines that made the comparison; empty if it was called from Python.
        redraw: the line that makes the report anew, in the folder above.
        facts: what a reader needs in order to repeat it.
        versions: of the libraries that made it.
        settings: what all runs share.
        terms: words and their meanings.
        methods: how the numbers come about.
    """

    name: str
    scope: str
    question: str
    cards: Sequence[Card]
    headlines: Mapping[str, Sequence[str]]
    warnings: Sequence[str]
    first: Table
    figures: Sequence[Figure]
    tables: Sequence[Table]
    command: str
    redraw: str
    facts: Sequence[tuple[str, str]]
    versions: Sequence[tuple[str, str]]
    settings: Sequence[tuple[str, str]]
    terms: Mapping[str, str]
    methods: str


def gathered(page: "Page", cards: Sequence[Card], figures: Sequence[Figure]) -> Content:
    """Gathers the content of a report.

    Args:
        page: the comparison.
        cards: the claims as they were judged.
        figures: as they were drawn, in their order.
    """
    return Content(
        name=readable(page.comparison.get("name", page.path.name)),
        scope=page.scope,
        question=experiment_of(page).get("question", ""),
        cards=cards,
        headlines=page.headlines,
        warnings=page.warnings,
        first=page.first,
        figures=figures,
        tables=page.tables,
        command=page.comparison.get("command") or "",
        redraw=f"looplab report {page.path.resolve().name}",
        facts=page.facts,
        versions=sorted(dict(page.provenance.get("versions", {})).items()),
        settings=list(flattened(page.comparison.get("settings", {}))),
        terms=page.terms,
        methods=page.methods,
    )


def experiment_of(page: "Page") -> Mapping[str, Any]:
    """The experiment that a comparison belongs to; empty if to none."""
    return page.comparison.get("experiment") or {}


def facts_of_making(made: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Commit, Python, machine and time, those that are known."""
    named = {"commit": "Commit", "python": "Python", "machine": "Machine", "created": "Made"}
    return [(label, _text(made[key])) for key, label in named.items() if made.get(key)]


def flattened(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as dotted names with their values as text, in order.

    >>> list(flattened({"agent": {"n_envs": 16}, "seeds": [1, 2]}))
    [('agent.n_envs', '16'), ('seeds', '1, 2')]
    """
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _text(value)


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{readable(key)} {_text(part)}" for key, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_text(part) for part in value)
    return "none" if value is None else str(value)


def span(values: pd.Series) -> str:
    """Least and most of whole numbers, e.g. ``3 to 5``; one number where they are equal."""
    least, most = int(values.min()), int(values.max())
    texts = [whole_number(end) for end in (least, most)]
    return texts[0] if least == most else " to ".join(texts)


def duration_text(seconds: float) -> str:
    """A time with its unit, e.g. ``12 min``."""
    if seconds < SECONDS_PER_MINUTE:
        return f"{short_number(seconds)} s"
    if seconds < SECONDS_PER_HOUR:
        return f"{short_number(seconds / SECONDS_PER_MINUTE)} min"
    return f"{short_number(seconds / SECONDS_PER_HOUR)} h"
