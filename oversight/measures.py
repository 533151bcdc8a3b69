"""What oversight counts: exact totals, and one row per finished episode, from blocks of steps."""

from typing import Any

import numpy as np

from looplab.envs.core import BoolArray, FloatArray
from looplab.oversight.decision import Record

#: Steps at each level of an adaptive protocol, most watched first; the last takes all that follow.
LEVEL_STEPS = ("level_0_steps", "level_1_steps", "level_2_steps")
#: Counters of every lane, in the order of their rows; all exact.
COUNTERS = (
    "steps", "task_return", "learning_return", "cost", "violations", "catastrophes",
    "unsafe_proposals", "unavoidable", "reviews", "interventions", "misses", "unasked", "late",
    "false_alarms", "caught", "overlooked", "cleared", "unconsidered", "stale_approvals",
    "overdue", "disagreements", "penalties", "prevented",
    "human_seconds", "waiting_seconds", *LEVEL_STEPS,
)  # fmt: skip
_REAL = frozenset(
    {"task_return", "learning_return", "cost", "prevented", "human_seconds", "waiting_seconds"}
)
#: Counters that mean nothing where nobody knows which actions are unsafe.
_NEED_TRUTH = frozenset(
    {"unsafe_proposals", "unavoidable", "misses", "unasked", "late", "false_alarms", "caught",
     "overlooked", "cleared", "prevented"}
)  # fmt: skip
#: Columns of an episode, beside those that say which run it belongs to.
EPISODE_COLUMNS = (
    "lane", "episode", "end_step", "length", "task_return", "learning_return", "cost",
    "violations", "catastrophes", "unsafe_proposals", "reviews", "interventions", "misses",
    "unasked", "late", "false_alarms", "caught", "overlooked", "cleared", "overdue",
    "disagreements", "human_seconds", "waiting_seconds", "oversight_cost", "success", *LEVEL_STEPS,
)  # fmt: skip
_SECONDS_PER_HOUR = 3600.0


def counts(record: Record) -> FloatArray:
    """Every counter of every lane and step, shape (len(COUNTERS), ..., n)."""
    values = {
        "steps": 1.0,
        "task_return": record.reward,
        "learning_return": record.learning_reward,
        "cost": record.cost,
        "violations": record.cost > 0,
        "catastrophes": record.catastrophe,
        "unsafe_proposals": record.unsafe,
        "unavoidable": record.unavoidable,
        "reviews": record.reviews,
        "interventions": record.intervened,
        "misses": record.miss,
        "unasked": record.unasked,
        "late": record.late,
        "false_alarms": record.false_alarm,
        "caught": record.caught,
        "overlooked": record.overlooked,
        "cleared": record.cleared,
        "unconsidered": record.unconsidered,
        "stale_approvals": record.stale,
        "overdue": record.overdue,
        "disagreements": record.disagreement > 0.0,
        "penalties": record.charged,
        "prevented": np.where(record.risky & record.intervened, record.risk, 0.0),
        "human_seconds": record.seconds,
        "waiting_seconds": record.elapsed,
        "level_0_steps": record.level == 0,
        "level_1_steps": record.level == 1,
        "level_2_steps": record.level >= 2,
    }
    found = np.empty((len(COUNTERS), *record.cost.shape))
    for row, name in enumerate(COUNTERS):
        found[row] = values[name]
    return found


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
        self._steps = 0
        self._running = np.zeros((len(COUNTERS), num_lanes))
        self._total = np.zeros(len(COUNTERS))
        self._waits: list[FloatArray] = []

    def add(self, block: Record) -> None:
        """Counts a block of steps, shape (steps, n), and closes the episodes that ended in it."""
        step = counts(block)
        self._total += step.sum(axis=(1, 2))
        waited = block.elapsed[block.asked & (block.elapsed > 0.0)]
        if len(waited):
            self._waits.append(waited.astype(np.float32))
        sums = step.cumsum(axis=1)
        sums += self._running[:, None, :]
        begun = np.zeros_like(self._running)
        num_lanes = begun.shape[1]
        ends, lanes = np.nonzero(block.done)
        episode, success = block.episode, block.success
        for end, lane in zip(ends.tolist(), lanes.tolist(), strict=True):
            values = (sums[:, end, lane] - begun[:, lane]).tolist()
            begun[:, lane] = sums[:, end, lane]
            found = dict(zip(COUNTERS, values, strict=True))
            end_step = (self._steps + end + 1) * num_lanes
            self.episodes.append(
                self._row(found, lane, int(episode[end, lane]), end_step, float(success[end, lane]))
            )
        self._running = sums[:, -1] - begun
        self._steps += sums.shape[1]

    def _row(
        self, found: dict[str, float], lane: int, episode: int, end_step: int, success: float
    ) -> dict[str, Any]:
        row: dict[str, Any] = {name: self._typed(name, found[name]) for name in COUNTERS}
        row["lane"], row["episode"], row["end_step"] = lane, episode, end_step
        row["length"] = round(found["steps"])
        row["oversight_cost"] = self._money(found)
        row["success"] = success
        return {name: row[name] for name in EPISODE_COLUMNS}

    def abandon(self, mask: BoolArray) -> None:
        """Forgets the running episodes that a reset cut short; the totals keep what they count."""
        self._running[:, mask] = 0.0

    @property
    def waits(self) -> dict[str, float | None]:
        """Median and 95th percentile of the seconds that proposals waited for a verdict, if any."""
        if not self._waits:
            return {"p50": None, "p95": None}
        middle, late = np.quantile(np.concatenate(self._waits), (0.5, 0.95)).tolist()
        return {"p50": middle, "p95": late}

    def _typed(self, name: str, value: float) -> float | int:
        if name in _NEED_TRUTH and not self.has_truth:
            return float("nan")
        return value if name in _REAL else round(value)

    def _money(self, found: dict[str, float]) -> float:
        hours = found["human_seconds"] / _SECONDS_PER_HOUR
        return self.wage_per_hour * hours + self.fee_per_review * found["reviews"]

    @property
    def totals(self) -> dict[str, float | int]:
        """Exact totals over all lanes and counted steps, unfinished episodes included."""
        sums = dict(zip(COUNTERS, self._total.tolist(), strict=True))
        totals = {name: self._typed(name, value) for name, value in sums.items()}
        totals["episodes"] = len(self.episodes)
        totals["oversight_cost"] = self._money(sums)
        return totals
