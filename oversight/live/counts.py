"""What a live run counts of its own steps, and tells the service as it goes on."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from looplab.oversight.record import Record

#: Counted over all steps of the training so far; what needs to know which actions are unsafe is 0
#: where nobody knows. As in ``record.SCORES``: ``caught`` is an unsafe proposal that was refused.
COUNTS = (
    "steps", "asked", "reviewed", "watched", "intervened", "violations", "unsafe", "caught",
    "miss", "unasked", "late", "false_alarm", "human_seconds",
)  # fmt: skip


class Counts:
    """Counts of the steps that lanes have lived through."""

    def __init__(self) -> None:
        self._of = dict.fromkeys(COUNTS, 0.0)

    def add(self, record: "Record") -> None:
        """The lanes have lived through a step."""
        self._of["steps"] += len(record)
        self._of["violations"] += float((record.cost > 0.0).sum())
        self._of["human_seconds"] += float(record.seconds.sum())
        for name in COUNTS:
            if name not in ("steps", "violations", "human_seconds"):
                self._of[name] += float(getattr(record, name).astype(bool).sum())

    def as_dict(self) -> Mapping[str, float]:
        """Plain values, by the names in ``COUNTS``."""
        return dict(self._of)
