"""What came of a fleet: every request, and what can be said of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from looplab.envs.core import BoolArray, FloatArray
from looplab.oversight.fleet.desk import ABANDONED, APPROVED, OVERDUE, REFUSED
from looplab.oversight.fleet.settings import Fleet, Period

_SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True)
class Outcome:
    """A fleet's run.

    Attributes:
        fleet: agents, reviewers and rules.
        period: how long it ran, and from when on was counted.
        requests: columns of all requests, warm-up included, in the order of their ends, each of
            shape (requests,); see ``desk.COLUMNS``.
        steps: steps of all agents in the counted time.
        totals: what the work counted in these steps.
    """

    fleet: Fleet
    period: Period
    requests: Mapping[str, FloatArray] = field(repr=False)
    steps: int
    totals: Mapping[str, float]

    @property
    def counted(self) -> BoolArray:
        """Requests that were made after the warm-up, shape (requests,)."""
        return np.asarray(self.requests["asked_at"] >= self.period.warmup_seconds)

    @property
    def waits(self) -> FloatArray:
        """Seconds until each counted request was taken up, or withdrawn."""
        return np.asarray(self.requests["wait"][self.counted])

    def waits_of(self, urgent: bool) -> FloatArray:
        """Waits of the urgent, or of the routine, counted requests."""
        chosen = self.counted & (self.requests["urgent"] == urgent)
        return np.asarray(self.requests["wait"][chosen])

    def share(self, *endings: int) -> float:
        """Share of the counted requests that ended so; NaN without requests."""
        return _mean(np.isin(self.requests["ending"][self.counted], endings))

    @property
    def service_seconds(self) -> float:
        """Mean time of the reviews that ended in a verdict."""
        answered = self.requests["ending"] <= REFUSED
        return _mean(self.requests["busy"][answered & self.counted])

    @property
    def utilisation(self) -> float:
        """Share of the reviewers' counted time that was spent reviewing."""
        began = self.requests["asked_at"] + self.requests["wait"]
        return self._within(began, self.requests["busy"]) / self.fleet.reviewers

    @property
    def relative_throughput(self) -> float:
        """Share of the agents' counted time that was not spent in the queue.

        As many steps an agent makes of those that it would make if nobody ever had to wait for a
        free reviewer; 1 where agents go on.
        """
        if not self.fleet.blocking:
            return 1.0
        queued = self._within(self.requests["asked_at"], self.requests["wait"])
        return 1.0 - queued / self.fleet.agents

    def _within(self, start: FloatArray, length: FloatArray) -> float:
        """Mean number of intervals that run at a counted moment."""
        ends = (self.period.warmup_seconds, self.period.horizon_seconds)
        inside = np.clip(start + length, *ends) - np.clip(start, *ends)
        return float(inside.sum()) / self.period.seconds

    def measures(self) -> dict[str, float]:
        """All measures by name; shares in [0, 1], waits in seconds, NaN where nobody asked."""
        waits = self.waits
        middle, late = np.quantile(waits, (0.5, 0.95)) if len(waits) else (np.nan, np.nan)
        hours = self.period.seconds / _SECONDS_PER_HOUR
        asked = len(waits)
        found = {
            "utilisation": self.utilisation,
            "wait_mean": _mean(waits),
            "wait_p50": float(middle),
            "wait_p95": float(late),
            "overdue": self.share(OVERDUE),
            "abandoned": self.share(ABANDONED),
            "unanswered": self.share(OVERDUE, ABANDONED),
            "relative_throughput": self.relative_throughput,
            "steps": float(self.steps),
            "steps_per_hour": self.steps / hours,
            "requests_per_hour": asked / hours,
            "reviews_per_hour": asked * self.share(APPROVED, REFUSED) / hours if asked else 0.0,
        }
        per_1k = 1000.0 / self.steps if self.steps else np.nan
        return found | {f"{name}_per_1k": n * per_1k for name, n in self.totals.items()}


def _mean(values: FloatArray | BoolArray) -> float:
    return float(values.mean()) if len(values) else float("nan")
