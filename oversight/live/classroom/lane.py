"""One lane of a lesson: an agent under one regime, in a real engine, step by step."""

from typing import Any

import numpy as np

from looplab.envs.core import Actions
from looplab.oversight.engine import Engine
from looplab.oversight.live.classroom.counters import Counters
from looplab.oversight.live.classroom.seat import Seat, Unanswered
from looplab.oversight.live.classroom.task import Learner, Task
from looplab.oversight.protocols.base import OversightProtocol
from looplab.oversight.record import Record
from looplab.oversight.types import ESCALATE, VERDICTS

AGENT = "@"
#: What a lane is doing, or did in its last step.
STATES = ("acts", "waits", "approved", "rejected", "watched", "alarm", "override", "overdue")


class Run:
    """An agent in an engine of its own: one lane, one protocol.

    Args:
        task: the task.
        learner: the agent; it may have learned elsewhere.
        protocol: who oversees it, and how.
        seed: of the environment and of the overseers.
        learns: whether the agent explores and learns, or does what it holds for best.
        seat: who is asked; None: nobody.
    """

    def __init__(
        self,
        task: Task,
        learner: Learner,
        protocol: OversightProtocol,
        seed: int,
        learns: bool,
        seat: Seat | None = None,
    ) -> None:
        self._lanes = task.lanes()
        self._lanes.reseed(seed)
        self.engine = Engine(self._lanes, protocol, seed=seed)
        self.seat = seat
        self.counters = Counters()
        self.last: dict[str, Any] | None = None
        self._actions = task.actions
        self._learner, self._learns = learner, learns
        self._begin(np.ones(1, np.bool_))
        self._propose()

    def _begin(self, mask: Any) -> None:
        self._lanes.reset(mask)
        self.engine.begin(mask)

    def _propose(self) -> None:
        self._proposed: Actions = self._learner.choose(self._lanes.observation, self._learns)
        self.rows: list[str] = self._lanes.render(0, "ansi").replace(" ", "").splitlines()
        if self.seat is not None:
            self.seat.show()

    def step(self) -> bool:
        """Lets the present proposal run, or whatever is decided instead.

        Returns:
            False where it still waits for a verdict: then nothing has happened.
        """
        if self.seat is not None and self.seat.waits:
            return False
        try:
            record = self.engine.step(self._proposed)
        except Unanswered:
            return False
        self.counters.add(record)
        if self._learns:
            self._learner.learn(record)
        self.last = self._told(record)
        if record.done[0]:
            self._begin(record.done)
        self._propose()
        return True

    def _told(self, record: Record) -> dict[str, Any]:
        """What a step was, for a page."""
        decision = record.decision
        return {
            "cell": cell_of(self.rows),
            "proposed": int(record.proposed[0]),
            "executed": int(record.executed[0]),
            "verdict": VERDICTS[record.verdict[0]],
            "asked": bool(record.asked[0]),
            "state": state_of(record),
            "who": decision.names.texts[record.overseer[0]],
            "why": decision.reasons.texts[record.reason[0]],
            "risk": round(float(record.risk[0]), 2),
            "violated": bool(record.cost[0] > 0.0),
            "done": bool(record.done[0]),
            "success": bool(record.done[0] and record.success[0] == 1.0),
        }

    def shown(self) -> dict[str, Any]:
        """The lane as a page shows it: the present proposal, the last step and the counts."""
        seat = self.seat
        waits = seat is not None and seat.waits
        state = "waits" if waits else self.last["state"] if self.last else "acts"
        return {
            "rows": self.rows,
            "cell": cell_of(self.rows),
            "proposed": int(self._proposed[0]),
            "state": state,
            "left": round(seat.left, 1) if seat is not None and waits else 0,
            "allowed": round(seat.allowed, 1) if seat is not None and waits else 0,
            "last": self.last,
            "counters": self.counters.shown(),
        }


def cell_of(rows: list[str]) -> tuple[int, int]:
    """Row and column of the agent in a picture of text."""
    for row, line in enumerate(rows):
        if (column := line.find(AGENT)) >= 0:
            return row, column
    return 0, 0


def state_of(record: Record) -> str:
    """Which of ``STATES`` a step of one lane was."""
    checks = (
        ("override", bool(record.standby[0])),
        ("overdue", bool(record.verdict[0] == ESCALATE)),
        ("rejected", bool(record.refused[0])),
        ("alarm", bool(record.alarm_pending[0] or record.noticed[0])),
        ("approved", bool(record.asked[0])),
        ("watched", bool(record.watched[0])),
    )
    return next((state for state, holds in checks if holds), "acts")
