"""Verdicts on claims that were stated before the numbers were known.

The rule, for a claim that a difference lies in some region (``more by 5``: above 5):

1. Both sides are paired by seed; the estimate is the mean difference, with the 95 % interval that
   ``contrast.Contrast.interval`` defines.
2. ``p`` is the smallest 1 - level at which that interval lies wholly within the region, or wholly
   outside of it. Below 0.05 it is one of the two for the 95 % interval that is shown.
3. Holm's correction (1979) over all claims of the experiment, each task's counted, makes ``p`` into
   ``p_corrected``. Where that is at most 0.05, the claim is ``supported`` if the interval lay
   within the region, and ``not_supported`` if it lay outside. Everything else is ``inconclusive``:
   one seed, seeds that disagree, a difference of exactly the margin.

A claim of no event at all (``is: none``) is no test: one event refutes it, and none in at least two
seeds supports it, with the exact Poisson bound (the rule of three) as ``high``. It has no ``p``.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, log, sqrt
from typing import Any

import numpy as np
import pandas as pd

from looplab.experiments.claims import NONE, Claim, by_task, missing
from looplab.experiments.contrast import Contrast, Side, contrast
from looplab.experiments.metrics import RESAMPLING_SEED
from looplab.experiments.statistics import (
    BOOTSTRAP_SEEDS,
    LEVEL,
    RESAMPLES,
    UNDEFINED,
    Interval,
    holm,
    mean_interval,
    poisson_upper_bound,
)

VERDICTS_FILE = "verdicts.json"
SUPPORTED, NOT_SUPPORTED, INCONCLUSIVE = "supported", "not_supported", "inconclusive"
#: Corrected p-values above this decide nothing.
SIGNIFICANCE = 1.0 - LEVEL
#: p-values are not told apart below this one, nor, where seeds are resampled, below the share that
#: two resamples make.
LEAST_P = 1e-12
LEAST_RESAMPLED_P = 2.0 / RESAMPLES
#: p-values are found to within this factor.
_PRECISION = 1.001
_NEAR_ONE = 0.999


@dataclass(frozen=True)
class Verdict:
    """What the data say of one claim.

    Attributes:
        claim: the claim, of one task if tasks are judged apart.
        task: the task; None where all are taken together.
        verdict: ``supported``, ``not_supported`` or ``inconclusive``.
        estimate: mean difference with its 95 % interval; for ``is: none`` the mean itself.
        seeds: seeds that have both sides.
        means: means of the claim's cells, and of what they are held against; NaN for ``is: none``.
        p: the p-value; NaN without a test.
        p_corrected: the same after Holm's correction.
        averaged: axes over which both sides are means.
    """

    claim: Claim
    task: str | None
    verdict: str
    estimate: Interval
    seeds: int
    means: tuple[float, float]
    p: float = float("nan")
    p_corrected: float = float("nan")
    averaged: tuple[str, ...] = ()

    def record(self) -> dict[str, Any]:
        """As ``verdicts.json`` holds it: plain values, null for what is undefined."""
        claim, (of, than) = self.claim, self.means
        numbers = {
            "estimate": self.estimate.mean, "low": self.estimate.low, "high": self.estimate.high,
            "n": self.seeds, "p": self.p, "p_corrected": self.p_corrected,
            "mean_of": of, "mean_than": than,
        }  # fmt: skip
        sides = [dict(side) for side in claim.sides]
        return {
            "claim": claim.name,
            "says": claim.says,
            "task": self.task,
            "verdict": self.verdict,
            **{name: None if isnan(value) else value for name, value in numbers.items()},
            "measure": claim.measure.name,
            "of": sides[0],
            "is": claim.direction,
            "than": sides[1] if len(sides) > 1 else claim.than,
            "by": claim.by,
            "times": claim.times,
            "averaged_over": list(self.averaged),
        }


@dataclass(frozen=True)
class _Finding:
    """A verdict before the correction."""

    claim: Claim
    contrast: Contrast
    p: float
    verdict: str


def judge(claims: Sequence[Claim], frame: pd.DataFrame, axes: Sequence[str]) -> list[Verdict]:
    """Judges an experiment's claims by the rule that this module states.

    Args:
        claims: the claims; those that speak of cells which are not there are left out.
        frame: the result of ``metrics.per_seed``.
        axes: the columns that name a cell.

    Returns:
        A verdict for each claim, or for each claim and task, in the claims' order.
    """
    cells = frame[list(axes)].drop_duplicates().to_dict("records")
    asked = [one for claim in claims for one in by_task(claim, cells) if not missing(one, cells)]
    found = [_finding(claim, contrast(claim, frame, axes)) for claim in asked]
    corrected = _corrected([finding.p for finding in found])
    return [_verdict(*pair) for pair in zip(found, corrected, strict=True)]


def as_json(verdicts: Sequence[Verdict]) -> str:
    """The content of ``verdicts.json``: a list with a record of each verdict."""
    return json.dumps([v.record() for v in verdicts], indent=2, default=_plain) + "\n"


def _plain(value: Any) -> Any:
    """NumPy's scalars as Python's."""
    return value.item() if isinstance(value, np.generic) else str(value)


def _finding(claim: Claim, compared: Contrast) -> _Finding:
    if claim.direction == NONE:
        side = compared.of
        few = INCONCLUSIVE if compared.seeds < 2 else SUPPORTED
        return _Finding(claim, compared, float("nan"), NOT_SUPPORTED if side.mean > 0.0 else few)
    p, verdict = p_value(compared, claim.region)
    return _Finding(claim, compared, p, verdict)


def p_value(compared: Contrast, region: tuple[float, float]) -> tuple[float, str]:
    """Smallest 1 - level at which the interval is on one side of the region's border, and which.

    Args:
        compared: the difference.
        region: the claimed differences lie between these, ends left out.

    Returns:
        p and ``supported`` or ``not_supported``; NaN and ``inconclusive`` for fewer than two
        seeds, 1 and ``inconclusive`` where no level tells.
    """
    if compared.seeds < 2:
        return float("nan"), INCONCLUSIVE
    low, high = (LEAST_P if compared.seeds < BOOTSTRAP_SEEDS else LEAST_RESAMPLED_P), _NEAR_ONE
    side = _side_of(compared, region, high)
    if side == INCONCLUSIVE:
        return 1.0, INCONCLUSIVE
    if _side_of(compared, region, low) != INCONCLUSIVE:
        return low, side
    if _side_of(compared, region, SIGNIFICANCE) == INCONCLUSIVE:  # so that p fits what is shown
        low = SIGNIFICANCE
    else:
        high = SIGNIFICANCE
    while log(high / low) > log(_PRECISION):
        middle = sqrt(low * high)
        if _side_of(compared, region, middle) == INCONCLUSIVE:
            low = middle
        else:
            high = middle
    return high, side


def _side_of(compared: Contrast, region: tuple[float, float], alpha: float) -> str:
    """On which side of the region's border the interval of level 1 - alpha lies."""
    _, low, high = compared.interval(1.0 - alpha)
    if low > region[0] and high < region[1]:
        return SUPPORTED
    if high < region[0] or low > region[1]:
        return NOT_SUPPORTED
    return INCONCLUSIVE


def _corrected(p: Sequence[float]) -> list[float]:
    """Holm's correction; NaN, where nothing was tested, stays NaN and does not count."""
    values = np.asarray(p, dtype=np.float64)
    tested = ~np.isnan(values)
    values[tested] = holm(values[tested])
    return [float(value) for value in values]


def _verdict(finding: _Finding, corrected: float) -> Verdict:
    claim, compared = finding.claim, finding.contrast
    task = claim.of.get("env")
    decided = finding.verdict if isnan(corrected) or corrected <= SIGNIFICANCE else INCONCLUSIVE
    other = compared.than.mean if isinstance(compared.than, Side) else compared.than
    none = claim.direction == NONE
    return Verdict(
        claim=claim,
        task=task if isinstance(task, str) else None,
        verdict=decided,
        estimate=_events(compared.of) if none else compared.interval(),
        seeds=compared.seeds,
        means=(compared.of.mean, float("nan") if none else other),
        p=finding.p,
        p_corrected=corrected,
        averaged=compared.averaged,
    )


def _events(side: Side) -> Interval:
    """A count's mean; where it is 0, with the exact bound also for one seed."""
    if not side.values.size:
        return UNDEFINED
    if side.mean == 0.0:
        return Interval(0.0, 0.0, poisson_upper_bound(side.exposure))
    rng = np.random.default_rng(RESAMPLING_SEED)
    return mean_interval(side.values, count_exposure=side.exposure, rng=rng)
