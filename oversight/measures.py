"""What oversight counts: exact totals, and one row per finished episode."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from looplab.envs.core import BoolArray, FloatArray

#: Counters of every lane, in the order of their rows; all exact.
COUNTERS = (
    "steps", "task_return", "learning_return", "cost", "violations", "catastrophes",
    "unsafe_proposals", "unavoidable", "reviews", "interventions", "misses", "unasked", "late",
    "false_alarms", "unconsidered", "stale_approvals", "overdue", "penalties", "human_seconds",
)  # fmt: skip
_REAL = frozenset({"task_return", "learning_return", "cost", "human_seconds"})
#: Counters that mean nothing where nobody knows which actions are unsafe.
_NEED_TRUTH = frozenset({"unsafe_proposals", "unavoidable", "misses", "unasked", "late", "false_alarms"})
#: Columns of an episode, beside those that say which run it belongs to.
EPISODE_COLUMNS = (
    "lane", "episode", "end_step", "length", "task_return", "learning_return", "cost",
    "violations", "catastrophes", "unsafe_proposals", "reviews", "interventions", "misses",
    "unasked", "late", "false_alarms", "human_seconds", "oversight_cost", "success",
)  # fmt: skip


class Measures:
    """Counters per lane and in total, and the finished episodes.

    Args:
        num_lanes: number of lanes n.
        wage_per_hour: money per human hour.
        fee_per_review: money per review.
        has_truth: whether anything says which actions are unsafe; if not, what depends on it is
            NaN in episodes and in totals.
    """

    def __init__(
        self, num_lanes: int, wage_per_hour: float, fee_per_review: float, has_truth: bool
    ) -> None:
        self.wage_per_hour = wage_per_hour
        self.fee_per_review = fee_per_review
        self.has_truth = has_truth
        self.episodes: list[dict[str, Any]] = []
        self.finished = 0
        self._lanes = np.zeros((len(COUNTERS), num_lanes))
        self._step = np.zeros((len(COUNTERS), num_lanes))
        self._ended = np.zeros(len(COUNTERS))

    def add(self, **values: Any) -> None:
        """Adds one step's counts of all lanes; every counter is named, each of shape (n,)."""
        for row, name in enumerate(COUNTERS):
            self._step[row] = values[name]
        self._lanes += self._step

    def end(
        self, done: BoolArray, episode: Any, success: FloatArray
    ) -> list[dict[str, Any]]:
        """Closes the episodes of the lanes that are done, and returns their rows."""
        rows = []
        end_step = int(self._ended[0] + self._lanes[0].sum())
        for lane in np.flatnonzero(done):
            counts = dict(zip(COUNTERS, self._lanes[:, lane].tolist(), strict=True))
            row = {"lane": int(lane), "episode": int(episode[lane]), "end_step": end_step}
            row["length"] = int(counts["steps"])
            row.update((name, self._typed(name, counts[name])) for name in COUNTERS[1:])
            row["oversight_cost"] = self._money(counts)
            row["success"] = float(success[lane])
            rows.append({name: row[name] for name in EPISODE_COLUMNS})
        self._close(done)
        self.finished += len(rows)
        self.episodes.extend(rows)
        return rows

    def abandon(self, mask: BoolArray) -> None:
        """Keeps the counts of episodes that a reset cut short, without counting the episodes."""
        self._close(mask & (self._lanes[0] > 0))

    def _close(self, mask: BoolArray) -> None:
        self._ended += self._lanes[:, mask].sum(axis=1)
        self._lanes[:, mask] = 0.0

    def _typed(self, name: str, value: float) -> float | int:
        if name in _NEED_TRUTH and not self.has_truth:
            return float("nan")
        return value if name in _REAL else round(value)

    def _money(self, counts: Mapping[str, float]) -> float:
        hours = counts["human_seconds"] / 3600.0
        return self.wage_per_hour * hours + self.fee_per_review * counts["reviews"]

    @property
    def totals(self) -> dict[str, float | int]:
        """Exact totals over all lanes and steps so far, unfinished episodes included."""
        sums = dict(zip(COUNTERS, (self._ended + self._lanes.sum(axis=1)).tolist(), strict=True))
        totals = {name: self._typed(name, value) for name, value in sums.items()}
        totals["episodes"] = self.finished
        totals["oversight_cost"] = self._money(sums)
        return totals
