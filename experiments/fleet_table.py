"""Tables and answers of a fleet: one row for every number of agents and reviewers."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from looplab.envs.errors import finite, probability
from looplab.experiments.number_text import short_number, with_interval
from looplab.experiments.statistics import Interval, mean_interval
from looplab.experiments.text_table import text_table

#: Columns of a table on the terminal: measure, heading, factor to the heading's unit.
COLUMNS = (
    ("utilisation", "busy %", 100.0),
    ("wait_mean", "mean wait s", 1.0),
    ("wait_p50", "p50 s", 1.0),
    ("wait_p95", "p95 s", 1.0),
    ("overdue", "overdue %", 100.0),
    ("abandoned", "abandoned %", 100.0),
    ("relative_throughput", "throughput %", 100.0),
    ("violations_per_1k", "violations /1k", 1.0),
    ("stale_approvals_per_1k", "stale /1k", 1.0),
    ("task_return_per_1k", "return /1k", 1.0),
    ("reviews_per_hour", "reviews /h", 1.0),
    ("cost_per_hour", "cost /h", 1.0),
)
#: Columns that are left out where every entry is 0 or undefined.
OPTIONAL = ("overdue", "abandoned", "stale_approvals_per_1k")
#: Rates of rare events, which are not certain to be 0 where none was seen.
RATES = ("violations_per_1k", "catastrophes_per_1k")
#: Share of requests without an answer from which an answer mentions it.
MENTIONED = 0.001
#: Figures of a mean on the terminal, and places after the point, at most.
FIGURES, MOST_PLACES = 3, 2
#: What tells the fleets of one command apart.
KEYS = ("agents", "reviewers")


@dataclass(frozen=True)
class Target:
    """What reviewers are to achieve.

    Attributes:
        measure: column that must not exceed ``limit``.
        limit: in the column's own unit.
        text: what is then achieved, in words.
        unit: short unit, and ``factor`` to it.
    """

    measure: str
    limit: float
    text: str
    unit: str
    factor: float = 1.0


def targets_of(own: Mapping[str, Any]) -> list[Target]:
    """The targets that a fleet's settings state.

    Raises:
        UsageError: if a time is negative, or a share is none.
    """
    found = []
    if own["target_wait_p95"] is not None:
        limit = finite("target_wait_p95", own["target_wait_p95"], 0.0)
        text = f"keep the 95th percentile of waiting within {short_number(limit)} s"
        found.append(Target("wait_p95", limit, text, "s"))
    if own["target_overdue"] is not None:
        limit = probability("target_overdue", own["target_overdue"])
        text = f"leave at most {short_number(100.0 * limit)} % of requests overdue or withdrawn"
        found.append(Target("unanswered", limit, text, "%", 100.0))
    return found


def summarise(runs: pd.DataFrame, keys: Sequence[str] = KEYS) -> pd.DataFrame:
    """Means over seeds with 95 % intervals: for each measure its column, ``_low`` and ``_high``.

    Args:
        runs: one row per number of agents, number of reviewers and seed.
        keys: the columns that tell cells apart.
    """
    rng = np.random.default_rng(0)
    rows = []
    for _, group in runs.groupby(list(keys), sort=False, dropna=False):
        row: dict[str, Any] = {key: group[key].iloc[0] for key in keys} | {"seeds": len(group)}
        for name in runs.columns.drop([*keys, "seed"]):
            thousands = group["steps"].sum() / 1000.0 if name in RATES else None
            found = mean_interval(group[name], count_exposure=thousands, rng=rng)
            row |= {name: found.mean, f"{name}_low": found.low, f"{name}_high": found.high}
        rows.append(row)
    return pd.DataFrame(rows)


def interval(row: pd.Series, name: str, factor: float = 1.0) -> Interval:
    """A measure of one row with its interval."""
    return Interval(*(factor * float(row[name + end]) for end in ("", "_low", "_high")))


def tables(cells: pd.DataFrame) -> str:
    """One table for every number of agents, mean and half the width of the interval in each."""
    shown = [c for c in COLUMNS if c[0] not in OPTIONAL or cells[c[0]].fillna(0.0).any()]
    parts = []
    for agents, rows in cells.groupby("agents"):
        table = pd.DataFrame({"reviewers": rows["reviewers"]})
        for name, heading, factor in shown:
            table[heading] = [_text(interval(row, name, factor)) for _, row in rows.iterrows()]
        parts.append(f"{agents} agents\n{text_table(table)}\n")
    seeds = int(cells["seeds"].iloc[0])
    kind = "no intervals" if seeds == 1 else "± half of the 95 % interval"
    return "\n".join([*parts, f"n = {seeds} seed{'s' * (seeds > 1)}: {kind}"])


def _text(found: Interval) -> str:
    """A mean with three figures, and half its interval's width to the same place."""
    if math.isnan(found.mean) or math.isnan(found.low):
        return short_number(found.mean)
    half = (found.high - found.low) / 2.0
    if half == 0.0:
        return short_number(found.mean)
    if found.mean == 0.0:
        return f"0 (< {short_number(found.high)})"
    exponent = int(f"{max(abs(found.mean), half):.2e}".partition("e")[2])
    places = min(max(FIGURES - 1 - exponent, 0), MOST_PLACES)
    return f"{found.mean:.{places}f} ±{half:.{places}f}"


def enough(rows: pd.DataFrame, targets: Sequence[Target]) -> pd.Series | None:
    """The first row, of one number of agents, whose interval lies within all targets; or None."""
    for _, row in rows.sort_values("reviewers").iterrows():
        if all(_worst(row, target) <= target.limit for target in targets):
            return row
    return None


def _worst(row: pd.Series, target: Target) -> float:
    """Upper end of the interval; the value itself where one seed gives none."""
    found = interval(row, target.measure)
    return found.mean if math.isnan(found.high) else found.high


def answers(cells: pd.DataFrame, targets: Sequence[Target]) -> Iterator[str]:
    """One sentence for each number of agents: how many reviewers are enough, if any are."""
    wish = " and ".join(target.text for target in targets)
    if not targets:
        return
    for agents, rows in cells.sort_values(list(KEYS)).groupby("agents"):
        found = enough(rows, targets)
        if not rows["requests_per_hour"].any():
            yield f"{agents} agents: nobody is ever asked"
        elif found is None:
            most = rows.iloc[-1]
            yield f"{agents} agents: even {_people(most)} cannot {wish} ({_came(most, targets)})"
        else:
            line = f"{agents} agents: {_people(found)} can {wish} ({_came(found, targets)})"
            fewer = rows[rows["reviewers"] < found["reviewers"]]
            if len(fewer):
                last = fewer.iloc[-1]
                line += f"; {_people(last)} cannot ({_came(last, targets)})"
                gap = found["reviewers"] - last["reviewers"] > 1
                line += ", and none between was tried" if gap else ""
            yield line


def _people(row: pd.Series) -> str:
    number = int(row["reviewers"])
    return f"{number} reviewer{'s' * (number > 1)}"


def _came(row: pd.Series, targets: Sequence[Target]) -> str:
    """What the targets' measures came to, and what share of requests went without an answer."""
    said = []
    for target in targets:
        found = interval(row, target.measure, target.factor)
        said.append(f"{with_interval(found)} {target.unit}")
    if row["unanswered"] >= MENTIONED and all(target.measure != "unanswered" for target in targets):
        said.append(f"{short_number(100.0 * row['unanswered'])} % unanswered")
    return ", ".join(said)
