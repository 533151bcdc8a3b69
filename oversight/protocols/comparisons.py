"""The human only compares: now and then, which of two segments of behaviour is better?"""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from looplab.envs.core import BoolArray, FloatArray, IntArray
from looplab.envs.errors import UsageError, finite, whole
from looplab.oversight.decision import Decision
from looplab.oversight.humans.preferences import Preferences
from looplab.oversight.humans.segments import Segments, Trail
from looplab.oversight.humans.teachers import Standard, Teacher
from looplab.oversight.proposals import Proposals
from looplab.oversight.record import Record
from looplab.oversight.types import some

#: A step's reviews are counted in one byte.
MAX_QUERIES = 100


@dataclass
class Collected:
    """What the humans of n lanes saw and said.

    Attributes:
        trail: the lanes' recent steps.
        answered: comparisons so far, shape (n,).
        groups: what was compared, in the order of time.
    """

    trail: Trail
    answered: IntArray
    groups: list[Preferences] = field(default_factory=list)

    def preferences(self) -> Preferences:
        """All compared pairs.

        Raises:
            UsageError: if nothing was compared yet.
        """
        if not self.groups:
            raise UsageError(
                "nothing was compared yet: a lane needs two segments within its recent episodes"
            )
        return Preferences.joined(self.groups)


class Judge(Protocol):
    """Somebody who compares segments by looking at them, as a live person does."""

    def look(self, proposals: Proposals) -> None:
        """Sees every state before its step."""

    def __call__(
        self, first: Segments, second: Segments, proposals: Proposals
    ) -> tuple[FloatArray, FloatArray]:
        """Labels of m pairs (0 the first, 1 the second, 0.5 equal, NaN none), and human seconds."""


class Comparisons:
    """Each lane's human compares pairs of the lane's recent segments; nothing is blocked.

    Every ``every`` steps, ``queries`` pairs are drawn, each pair two different segments, all
    segments within one episode being as likely (uniform sampling, Lee et al. 2021).
    Segments may overlap; episodes shorter than a segment have none. A pair that the teacher skips
    was looked at: it counts as a review and takes its time. Neither is about the proposal of that
    step. Stackable, like ``Feedback``. What was said is kept, and changes nothing in the run:
    ``engine.state(comparisons).preferences()``.

    Args:
        teacher: who compares: a ``Teacher``, by default the oracle, who judges by utility; or
            whoever looks at the segments themselves, a ``Judge``.
        every: steps between questions, at least 1.
        queries: pairs per question and lane, 1 to 100.
        segment_steps: length T of a segment, at least 1.
        recent_steps: steps of each lane from which segments are drawn, more than T; by these the
            teacher also knows the average return and the spread of returns.
        cost_weight: what harm is worth: the teacher's utility is reward - cost_weight x cost.
        review_seconds: human time of one comparison, at least 0; a ``Judge`` tells its own.
        budget: comparisons of each lane in all; None: no end.
    """

    blocks = False

    def __init__(
        self,
        teacher: "Teacher | Judge | None" = None,
        every: int = 100,
        queries: int = 1,
        segment_steps: int = 10,
        recent_steps: int = 500,
        cost_weight: float = 1.0,
        review_seconds: float = 5.0,
        budget: int | None = None,
    ) -> None:
        self.teacher = Teacher() if teacher is None else teacher
        if not isinstance(self.teacher, Teacher) and not hasattr(self.teacher, "look"):
            raise UsageError(f"teacher must be a Teacher or a Judge, got {self.teacher!r}")
        self.every = whole("every", every, 1)
        self.queries = whole("queries", queries, 1)
        if queries > MAX_QUERIES:
            raise UsageError(f"queries must be at most {MAX_QUERIES}, got {queries}")
        self.segment_steps = whole("segment_steps", segment_steps, 1)
        self.recent_steps = whole("recent_steps", recent_steps, segment_steps + 1)
        self.cost_weight = finite("cost_weight", cost_weight, 0.0)
        self.review_seconds = finite("review_seconds", review_seconds, 0.0)
        self.budget = None if budget is None else whole("budget", budget, 0)

    @property
    def parts(self) -> tuple[object, ...]:
        """Who looks at segments, if somebody does."""
        return () if isinstance(self.teacher, Teacher) else (self.teacher,)

    def start(self, num_lanes: int) -> Collected:
        """Nothing seen, nothing compared."""
        return Collected(Trail(self.recent_steps), np.zeros(num_lanes, np.int64))

    def see(self, collected: Collected, record: Record) -> None:
        """Keeps the step that the lanes have lived through."""
        collected.trail.add(record)

    def __call__(self, proposals: Proposals, decision: Decision) -> None:
        """Asks for comparisons when it is time."""
        collected: Collected = proposals.memory(self)
        trail = collected.trail
        if not isinstance(self.teacher, Teacher):
            self.teacher.look(proposals)
        if proposals.clock % self.every or len(trail) <= self.segment_steps:
            return
        starts = trail.whole(self.segment_steps)
        enough = starts.sum(axis=0) > 1
        utility = trail.column("reward") - self.cost_weight * trail.column("cost")
        for query in range(self.queries):
            asked = enough if self.budget is None else enough & (collected.answered < self.budget)
            if not some(asked):
                return
            seconds = self._compare(collected, proposals, asked, starts, utility, query)
            collected.answered += asked
            decision.reviews += asked
            decision.seconds[asked] += seconds

    def _compare(
        self,
        collected: Collected,
        proposals: Proposals,
        asked: BoolArray,
        starts: BoolArray,
        utility: FloatArray,
        query: int,
    ) -> FloatArray | float:
        """One pair of every lane that is asked; returns the human seconds that each took."""
        lanes, steps = np.flatnonzero(asked), self.segment_steps
        draws = [
            proposals.uniform(self, f"{name} {query}")[lanes]
            for name in ("first", "second", "answer")
        ]
        first, second = _two(starts[:, lanes], draws[0], draws[1])
        cut = collected.trail.cut
        pair = cut(first, lanes, steps), cut(second, lanes, steps)
        seconds: FloatArray | float = self.review_seconds
        if isinstance(self.teacher, Teacher):
            windows = sliding_window_view(utility, steps, axis=0)
            standard = Standard(
                utility[:, lanes].mean(axis=0) * steps,
                self.teacher.unit_among(windows[:, lanes], starts[:, lanes]),
            )
            label = self.teacher.prefer(
                windows[first, lanes], windows[second, lanes], draws[2], standard
            )
        else:
            label, seconds = self.teacher(*pair, proposals)
        clock = np.full(len(lanes), proposals.clock)
        collected.groups.append(Preferences(*pair, label, clock))
        return seconds


def _two(starts: BoolArray, draw: FloatArray, other: FloatArray) -> tuple[IntArray, IntArray]:
    """Two different marked rows of every column, each as likely as any other, shape (m,)."""
    ranks = starts.cumsum(axis=0)
    count = ranks[-1]
    first = (draw * count).astype(np.int64)
    second = (first + 1 + (other * (count - 1)).astype(np.int64)) % count
    return (ranks == first + 1).argmax(axis=0), (ranks == second + 1).argmax(axis=0)
