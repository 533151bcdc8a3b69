"""What oversight counts: exact totals, and one row per finished episode, from blocks of steps."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looplab.envs.compiled import compiled
from looplab.envs.core import BoolArray, FloatArray
from looplab.oversight.columns import place
from looplab.oversight.record import SCORES, Record

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


#: Counters that add up a column of numbers, or one score, by their own name.
_SUMS = {
    "task_return": "reward", "learning_return": "learning_reward", "cost": "cost",
    "human_seconds": "seconds", "waiting_seconds": "elapsed",
}  # fmt: skip
_SCORED = {
    "unsafe_proposals": "unsafe", "unavoidable": "unavoidable", "interventions": "intervened",
    "misses": "miss", "unasked": "unasked", "late": "late", "false_alarms": "false_alarm",
    "caught": "caught", "overlooked": "overlooked", "cleared": "cleared",
}  # fmt: skip
_FLAGGED = {
    "catastrophes": "catastrophe", "reviews": "reviews", "unconsidered": "unconsidered",
    "stale_approvals": "stale", "overdue": "overdue", "penalties": "charged",
}  # fmt: skip


def _pairs(counted: dict[str, str], places: Callable[[str], int]) -> NDArray[np.int64]:
    """Places of counters and of what they count, shape (len(counted), 2)."""
    rows = [(COUNTERS.index(name), places(column)) for name, column in counted.items()]
    return np.array(rows, dtype=np.int64)


_REAL_PAIRS = _pairs(_SUMS, place)
_FLAG_PAIRS = _pairs(_FLAGGED, place)
_SCORE_PAIRS = _pairs(_SCORED, SCORES.index)
_STEPS, _VIOLATIONS, _PREVENTED, _DISAGREEMENTS, _LEVEL = (
    COUNTERS.index(name)
    for name in ("steps", "violations", "prevented", "disagreements", LEVEL_STEPS[0])
)
_COST, _RISK, _DISAGREEMENT = place("cost"), place("risk"), place("disagreement")
_RISKY, _LEVEL_FLAG = place("risky"), place("level")
_TERMINATED, _TRUNCATED = place("terminated"), place("truncated")
_INTERVENED = SCORES.index("intervened")
_LAST_LEVEL = len(LEVEL_STEPS) - 1


@compiled
def _tally(pairs: Any, columns: Any, running: Any) -> None:
    """Adds columns of one step, (columns, n), to the counters that count them, (counters, n)."""
    for row in range(len(pairs)):
        counter, column = pairs[row]
        for lane in range(running.shape[1]):
            running[counter, lane] += columns[column, lane]


@compiled
def _tally_rest(flags: Any, reals: Any, scores: Any, running: Any) -> None:
    """Adds what is no column as it stands, of one step: flags, reals, scores (columns, n)."""
    for lane in range(running.shape[1]):
        running[_STEPS, lane] += 1.0
        running[_VIOLATIONS, lane] += reals[_COST, lane] > 0.0
        running[_DISAGREEMENTS, lane] += reals[_DISAGREEMENT, lane] > 0.0
        if flags[_RISKY, lane] and scores[_INTERVENED, lane]:
            running[_PREVENTED, lane] += reals[_RISK, lane]
        level = flags[_LEVEL_FLAG, lane]
        if level >= 0:
            running[_LEVEL + min(level, _LAST_LEVEL), lane] += 1.0


@compiled
def _add_up(flags: Any, reals: Any, scores: Any, running: Any, ended: Any) -> None:
    """Adds s steps to what is running, (counters, n).

    What an episode came to goes to the next row of ``ended``, (episodes, counters), in the order of
    steps and lanes.
    """
    episodes = 0
    for step in range(flags.shape[0]):
        _tally(_REAL_PAIRS, reals[step], running)
        _tally(_FLAG_PAIRS, flags[step], running)
        _tally(_SCORE_PAIRS, scores[:, step], running)
        _tally_rest(flags[step], reals[step], scores[:, step], running)
        for lane in range(flags.shape[2]):
            if flags[step, _TERMINATED, lane] or flags[step, _TRUNCATED, lane]:
                ended[episodes] = running[:, lane]
                running[:, lane] = 0.0
                episodes += 1


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
        self._rows: list[dict[str, Any]] = []
        #: Episodes that have no row yet: counters, lanes, episodes, end steps and successes.
        self._ended: list[tuple[NDArray[Any], ...]] = []
        self._steps = 0
        self._running = np.zeros((len(COUNTERS), num_lanes))
        #: What finished episodes, and those that were cut short, came to.
        self._past = np.zeros(len(COUNTERS))
        self._waits: list[FloatArray] = []

    def add(self, block: Record) -> None:
        """Counts a block of steps, shape (steps, n), and closes the episodes that ended in it."""
        ends, lanes = np.nonzero(block.done)
        found = np.empty((len(ends), len(COUNTERS)))
        flags, reals = block.stores
        _add_up(flags, reals, block.scores, self._running, found)
        self._past += found.sum(axis=0)
        waited = block.elapsed[block.asked & (block.elapsed > 0.0)]
        if len(waited):
            self._waits.append(waited.astype(np.float32))
        if len(ends):
            end_step = (self._steps + ends + 1) * self._running.shape[1]
            episode, success = block.episode[ends, lanes], block.success[ends, lanes]
            self._ended.append((found, lanes, episode, end_step, success))
        self._steps += len(block)

    @property
    def episodes(self) -> list[dict[str, Any]]:
        """One row per finished episode, with ``EPISODE_COLUMNS``, in the order of their ends."""
        for found, *places in self._ended:
            columns = [column.tolist() for column in places]
            for counted, lane, episode, end_step, success in zip(found, *columns, strict=True):
                values = dict(zip(COUNTERS, counted.tolist(), strict=True))
                self._rows.append(self._row(values, lane, episode, end_step, success))
        self._ended.clear()
        return self._rows

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
        self._past += self._running[:, mask].sum(axis=1)
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
        total = self._past + self._running.sum(axis=1)
        sums = dict(zip(COUNTERS, total.tolist(), strict=True))
        totals = {name: self._typed(name, value) for name, value in sums.items()}
        totals["episodes"] = len(self.episodes)
        totals["oversight_cost"] = self._money(sums)
        return totals
