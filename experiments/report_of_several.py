"""The report of two or more comparisons: what differs, as pages in HTML and in Markdown."""

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from looplab.envs.errors import UsageError
from looplab.experiments.cells import readable, task_title
from looplab.experiments.files import write_whole
from looplab.experiments.measures import MEASURES
from looplab.experiments.number_text import DASH, counted, short_number, with_interval
from looplab.experiments.rendering import rendered
from looplab.experiments.report_content import flattened
from looplab.experiments.result_folder import COMPARISON_FILE, ResultFolder, load
from looplab.experiments.side_by_side import (
    MEASURED,
    Shared,
    Study,
    changed_verdicts,
    configured_otherwise,
    is_identical,
    only_in,
    shared,
    study,
)
from looplab.experiments.tables import Entry, Table

REPORT_FILE, MARKDOWN_FILE = "report.html", "report.md"
_DIFFERENCE = "Difference [95\u00a0%]"


@dataclass(frozen=True)
class Pair:
    """What is said of the first comparison and another.

    Attributes:
        first: name of the first comparison, from which differences are taken.
        second: name of the other.
        headlines: what differs, in sentences.
        tables: cells side by side, a table for each measure.
        alone: cells that only one of them has: its name, then task and cell of each.
        settings: what is set otherwise, as a table; None where nothing is.
        claims: verdicts on the claims that both state, as a table; None where there are none.
    """

    first: str
    second: str
    headlines: Sequence[str]
    tables: Sequence[Table]
    alone: Mapping[str, Sequence[str]]
    settings: Table | None
    claims: Table | None


def write_report_of_several(folders: Sequence[Path], out: Path | None = None) -> Path:
    """Holds comparisons beside the first of them, and writes ``report.html`` and ``report.md``.

    Args:
        folders: two or more results folders.
        out: where to write; None: a folder beside the first, named ``FIRST_vs_OTHER``.

    Returns:
        The path of ``report.html``.

    Raises:
        UsageError: if a folder is missing or damaged, is named twice, or has no cell in common with
            the first, or if ``out`` is a results folder or cannot be written.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UsageError("a results folder is named twice; give different ones")
    place = _default_out(folders) if out is None else out
    if (place / COMPARISON_FILE).exists():
        raise UsageError(f"{place} is a results folder of its own; give another out=")
    loaded = [load(folder) for folder in folders]
    axes = tuple(dict.fromkeys(axis for data in loaded for axis in data.axes))
    studies = [study(data, axes) for data in loaded]
    names = _names(folders)
    pairs = [
        _pair(studies[0], other, names[0], name)
        for other, name in zip(studies[1:], names[1:], strict=True)
    ]
    given = [*(folder.as_posix() for folder in folders), *([f"out={out}"] if out else [])]
    shown: dict[str, Any] = {
        "title": " and ".join(names),
        "pairs": pairs,
        "command": shlex.join(["looplab", "report", *given]),
    }
    write_whole(place / MARKDOWN_FILE, rendered("several.md.j2", **shown).encode())
    return write_whole(place / REPORT_FILE, rendered("several.html.j2", **shown).encode())


def _default_out(folders: Sequence[Path]) -> Path:
    first = folders[0].resolve()
    return first.parent / "_vs_".join([first.name, *(f.resolve().name for f in folders[1:])])


def _names(folders: Sequence[Path]) -> list[str]:
    """Names of folders; as they were given where two end alike."""
    short = [folder.resolve().name for folder in folders]
    return short if len(set(short)) == len(short) else [folder.as_posix() for folder in folders]


def _pair(first: Study, second: Study, name: str, other: str) -> Pair:
    both = shared(first, second)
    if not both:
        raise UsageError(
            f"{name} and {other} have no cell in common: {_said(first)} against {_said(second)}"
        )
    alone = {
        own: [f"{label} ({task_title(env)})" for env, label in found]
        for own, found in ((name, only_in(first, second)), (other, only_in(second, first)))
        if found
    }
    tables = [t for measure in MEASURED if (t := _table(measure, both, name, other)) is not None]
    return Pair(
        name, other, [*_headlines(both, first, second, name, other)], tables, alone,
        _settings(first.data, second.data, name, other), _claims(first, second, name, other),
    )  # fmt: skip


def _said(side: Study) -> str:
    runs = side.data.runs
    tasks, regimes = (", ".join(map(str, runs[axis].unique())) for axis in ("env", "regime"))
    more = [axis for axis in side.data.axes if axis not in ("env", "regime", "algo")]
    return f"env={tasks} regime={regimes}" + (f" by {', '.join(more)}" if more else "")


def _headlines(
    both: Sequence[Shared], first: Study, second: Study, name: str, other: str
) -> Iterator[str]:
    paired = [cell for cell in both if cell.seeds]
    yield (
        f"{counted(len(both), 'cell')} in both, {len(paired)} of them with equal seeds. "
        f"Differences are {other} minus {name}; nothing corrects for their number."
    )
    same = sum(map(is_identical, both))
    if same:
        where = counted(same, "cell")
        yield f"In {where} equal seeds have equal numbers in everything that is shown here."
    for measure in MEASURED:
        clear = [cell for cell in paired if _is_clear(cell, measure)]
        if clear:
            found = "; ".join(
                f"{cell.label} ({task_title(cell.env)}) "
                f"{with_interval(cell.contrasts[measure].interval())}"
                for cell in clear
            )
            title = readable(measure).removesuffix(" per 1k")
            yield f"{title.capitalize()} differs, with an interval that leaves out 0, in: {found}."
    if same < len(paired) and not any(
        _is_clear(cell, measure) for cell in paired for measure in MEASURED
    ):
        yield "No difference has an interval that leaves out 0."
    both_state = changed_verdicts(first, second)
    changed = [v.claim.name for v, w in both_state if v.verdict != w.verdict]
    if changed:
        yield f"Verdicts that changed: {', '.join(map(readable, dict.fromkeys(changed)))}."
    otherwise = configured_otherwise(first, second)
    if otherwise:
        yield (
            f"{counted(len(otherwise), 'cell')} ran with another configuration, or by another "
            f"version of LoopLab, on equal seeds: {', '.join(otherwise)}."
        )


def _is_clear(cell: Shared, measure: str) -> bool:
    interval = cell.contrasts[measure].interval()
    return interval.low > 0.0 or interval.high < 0.0


def _table(measure: str, both: Sequence[Shared], name: str, other: str) -> Table | None:
    heads = [("Task", ""), ("Cell", ""), ("Equal seeds", ""), (name, "mean over equal seeds"),
             (other, "mean over equal seeds"), (_DIFFERENCE, "paired by seed")]  # fmt: skip
    rows = []
    for cell in both:
        before, after = cell.means[measure]
        if math.isnan(before) and math.isnan(after):
            continue
        gap = cell.contrasts[measure].interval()
        mark = " *" if _is_clear(cell, measure) else ""
        task = task_title(cell.env)
        rows.append(
            [
                Entry(task, task), Entry(cell.label, cell.label),
                Entry(str(len(cell.seeds)), len(cell.seeds)),
                *(Entry(short_number(mean), _sortable(mean)) for mean in (before, after)),
                Entry(f"{with_interval(gap)}{mark}", _sortable(gap.mean)),
            ]
        )  # fmt: skip
    if not rows:
        return None
    title, _, about = MEASURES[measure].title.partition(": ")
    note = f"{about}. A star: the interval leaves out 0."
    return Table(title, note[:1].upper() + note[1:], heads, rows)


def _sortable(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _settings(first: ResultFolder, second: ResultFolder, name: str, other: str) -> Table | None:
    before, after = (dict(_told(data)) for data in (first, second))
    rows = [
        [Entry(key, key), *(Entry(side.get(key, DASH), side.get(key, DASH)) for side in sides)]
        for sides in ((before, after),)
        for key in dict.fromkeys((*before, *after))
        if before.get(key) != after.get(key)
    ]
    heads = [("What", ""), (name, ""), (other, "")]
    about = "Settings that all runs of a comparison share, axes, seeds, versions and the machine."
    return Table("Settings and versions that differ", about, heads, rows) if rows else None


def _told(data: ResultFolder) -> Iterator[tuple[str, str]]:
    comparison, made = data.comparison, data.provenance
    yield "experiment", str(comparison.get("name", DASH))
    yield "axes", ", ".join(data.axes)
    yield "seeds", ", ".join(map(str, sorted(data.runs["seed"].unique())))
    yield "training steps", ", ".join(f"{s:,}" for s in sorted(data.runs["steps"].unique()))
    yield from flattened(comparison.get("settings") or {})
    yield "looplab", str(comparison.get("version", DASH))
    for key in ("commit", "python"):
        yield key, str(made.get(key) or DASH)
    yield from ((key, text) for key, text in flattened({"machine": made.get("machine") or {}}))
    versions = dict(made.get("versions") or {})
    versions.pop("looplab", None)
    yield from ((str(key), str(text)) for key, text in sorted(versions.items()))


def _claims(first: Study, second: Study, name: str, other: str) -> Table | None:
    rows = []
    for before, after in changed_verdicts(first, second):
        task = "all tasks" if before.task is None else task_title(before.task)
        changed = "changed" if before.verdict != after.verdict else "the same"
        sides = [
            (readable(verdict.verdict), with_interval(verdict.estimate))
            for verdict in (before, after)
        ]
        texts = [readable(before.claim.name), task, changed, *sides[0], *sides[1]]
        rows.append([Entry(text, text) for text in texts])
    heads = [("Claim", ""), ("Task", ""), ("Verdict", ""), (name, ""), ("Estimate", ""),
             (other, ""), ("Estimate", "")]  # fmt: skip
    about = "Claims that both state; each judged anew from its own data, changed verdicts first."
    return Table("Claims", about, heads, rows) if rows else None
