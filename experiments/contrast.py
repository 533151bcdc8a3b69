"""What a claim compares, seed by seed, and the interval of the difference."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.stats

from looplab.experiments.cells import GROUP_AXES
from looplab.experiments.claims import Claim
from looplab.experiments.measures import Measure
from looplab.experiments.metrics import RESAMPLING_SEED
from looplab.experiments.selection import Cell, matches
from looplab.experiments.statistics import (
    LEVEL,
    RARE_EVENTS,
    UNDEFINED,
    Floats,
    Interval,
    mean_interval,
)

#: Values of the axes that both sides share, as text.
Rest = tuple[str, ...]


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

    Attributes:
        values: the measure, one per seed, shape (seeds,).
        exposure: what its events are counted over, all seeds together; 0 for what is no count.
    """

    values: Floats
    exposure: float = 0.0

    @property
    def mean(self) -> float:
        """Mean over seeds; NaN without any."""
        return float(self.values.mean()) if self.values.size else float("nan")

    def exact(self, measure: Measure, level: float) -> Interval | None:
        """Exact interval from the counts alone: Poisson (Garwood 1936) or Clopper-Pearson."""
        tail, seeds = (1.0 - level) / 2.0, len(self.values)
        if measure.yes_or_no:
            ones = self.mean * seeds
            low = scipy.stats.beta.ppf(tail, ones, seeds - ones + 1.0) if ones > 0.0 else 0.0
            high = (
                scipy.stats.beta.ppf(1.0 - tail, ones + 1.0, seeds - ones) if ones < seeds else 1.0
            )
            return Interval(self.mean, float(low), float(high))
        if not measure.exposure or not self.exposure > 0.0:
            return None
        events = self.mean * self.exposure
        low = scipy.stats.gamma.ppf(tail, events) / self.exposure if events > 0.0 else 0.0
        high = scipy.stats.gamma.ppf(1.0 - tail, events + 1.0) / self.exposure
        return Interval(self.mean, float(low), float(high))


@dataclass(frozen=True)
class Contrast:
    """Two sides on equal seeds: ``of`` minus ``times`` x ``than``.

    Attributes:
        measure: what is compared.
        of: the cells that the claim speaks of.
        than: the cells or the number that they are held against.
        times: factor of ``than``.
        averaged: axes over which both sides are means.
    """

    measure: Measure
    of: Side
    than: Side | float
    times: float = 1.0
    averaged: tuple[str, ...] = ()

    @property
    def seeds(self) -> int:
        """Seeds that both sides have."""
        return len(self.of.values)

    def interval(self, level: float = LEVEL) -> Interval:
        """Mean difference with its interval; ends are NaN for one seed.

        Paired by seed: Student-t below 20 seeds, bootstrap from 20 on. Where few events were
        counted, or every seed is a yes or a no, the interval also covers the one that follows from
        both sides' exact intervals (Zou & Donner 2008, "Construction of confidence limits about
        effect measures"), so that equal zeros never look certain.
        """
        if not self.seeds:
            return UNDEFINED
        other = self.than.values if isinstance(self.than, Side) else np.array(self.than)
        found = mean_interval(
            self.of.values - self.times * other,
            level=level,
            rng=np.random.default_rng(RESAMPLING_SEED),
        )
        if self.seeds < 2 or not self._rare():
            return found
        return self._covering(found, level)

    def _rare(self) -> bool:
        sides = [side for side in (self.of, self.than) if isinstance(side, Side)]
        few = any(side.mean * side.exposure <= RARE_EVENTS for side in sides)
        return self.measure.yes_or_no or (bool(self.measure.exposure) and few)

    def _covering(self, found: Interval, level: float) -> Interval:
        of = self.of.exact(self.measure, level)
        if isinstance(self.than, Side):
            than = self.than.exact(self.measure, level)
        else:
            than = Interval(self.than, self.than, self.than)
        if of is None or than is None:
            return found
        down = np.hypot(of.mean - of.low, self.times * (than.high - than.mean))
        up = np.hypot(of.high - of.mean, self.times * (than.mean - than.low))
        low, high = min(found.low, found.mean - down), max(found.high, found.mean + up)
        return Interval(found.mean, float(low), float(high))


def contrast(claim: Claim, frame: pd.DataFrame, axes: Sequence[str]) -> Contrast:
    """What a claim compares, on the seeds that have it all.

    Cells pair by seed and by every axis that the claim does not name, and each seed's pairs are
    averaged. Values of those axes for which a measure is never defined are left aside.

    Args:
        claim: the claim; of one task, if tasks are to be judged apart.
        frame: the result of ``metrics.per_seed``.
        axes: the columns that name a cell.
    """
    than = claim.than if isinstance(claim.than, Mapping) else {}
    named = {GROUP_AXES.get(axis, axis) for axis in (*claim.of, *than)}
    shared = [axis for axis in axes if axis not in named]
    tables = [_table(frame, axes, shared, cell, claim.measure) for cell in claim.sides]
    rests = [r for r in tables[0] if all(r in table for table in tables)]
    known = [set.intersection(*(set(table[rest]) for table in tables)) for rest in rests]
    seeds = sorted(set.intersection(*known)) if known else []
    sides = [_side(table, rests, seeds) for table in tables]
    averaged = tuple(
        axis for place, axis in enumerate(shared) if len({rest[place] for rest in rests}) > 1
    )
    number = float(claim.than) if isinstance(claim.than, int | float) else 0.0
    other = sides[1] if len(sides) > 1 else number
    return Contrast(claim.measure, sides[0], other, claim.times, averaged)


def _table(
    frame: pd.DataFrame, axes: Sequence[str], shared: Sequence[str], cell: Cell, measure: Measure
) -> dict[Rest, dict[int, Floats]]:
    """Mean of the measure, and sum of its exposure, by the shared axes' values and by seed."""
    found: dict[Rest, dict[int, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    exposure = frame[measure.exposure] if measure.exposure else pd.Series(0.0, frame.index)
    rows = zip(
        frame[list(axes)].to_dict("records"),
        frame["seed"].tolist(),
        frame[measure.name].astype(float).tolist(),
        exposure.astype(float).tolist(),
        strict=True,
    )
    for row, seed, value, counted_over in rows:
        if matches(row, cell) and value == value:
            found[tuple(str(row[axis]) for axis in shared)][seed].append((value, counted_over))
    return {
        rest: {
            seed: np.array([np.mean([v for v, _ in pairs]), sum(e for _, e in pairs)])
            for seed, pairs in seeds.items()
        }
        for rest, seeds in found.items()
    }


def _side(
    table: dict[Rest, dict[int, Floats]], rests: Sequence[Rest], seeds: Sequence[int]
) -> Side:
    if not seeds:
        return Side(np.empty(0))
    found = np.array([[table[rest][seed] for rest in rests] for seed in seeds])
    return Side(found[:, :, 0].mean(axis=1), float(np.nansum(found[:, :, 1])))
