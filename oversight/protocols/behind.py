"""Behind the loop: nothing is stopped; episodes are reviewed once they are over."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from looplab.envs.core import BoolArray, FloatArray, IntArray
from looplab.envs.errors import finite, probability
from looplab.oversight.decision import Decision
from looplab.oversight.fallbacks import Fallback, Hold
from looplab.oversight.proposals import Proposals
from looplab.oversight.protocols.rules import allows, enforce
from looplab.oversight.record import Record
from looplab.oversight.revision import Book, Revision
from looplab.oversight.types import some

REVIEWED = "its episode was reviewed afterwards"


@dataclass(slots=True)
class Tape:
    """What ran since the oldest running episode began.

    Attributes:
        book: the rules that reviews have led to; None where they lead to none.
        draw: this step's draw of every lane, shape (n,).
        length: steps of each lane's episode so far, shape (n,).
        harmed: whether it did harm, shape (n,).
        steps: observations, executed actions, harm and whether a step ran, oldest first.
    """

    book: Book | None
    draw: FloatArray
    length: IntArray
    harmed: BoolArray
    steps: list[tuple[Any, Any, BoolArray, BoolArray]] = field(default_factory=list)

    def of(self, lanes: BoolArray) -> Iterator[Any]:
        """The four columns of ``steps`` of the masked lanes' episodes, in rows."""
        age = np.arange(len(self.steps), 0, -1)[:, None]
        rows = lanes & (age <= self.length)
        for column in zip(*self.steps, strict=True):
            yield np.stack(column)[rows]


class Behind:
    """A human reviews episodes after they have ended; what is found there may become a rule.

    A review after the fact changes nothing of what was decided: it costs time, booked on the
    episode's last step, but makes no proposal reviewed or missed.

    Args:
        share: share of all episodes that are reviewed, in [0, 1], at random.
        after_harm: whether every episode that did harm is reviewed, too.
        step_seconds: human time per reviewed step, at least 0.
        revision: how rules for later steps are written from the reviewed episodes; None: never.
        fallback: what runs instead of what breaks such a rule; default ``Hold``.
    """

    def __init__(
        self,
        share: float = 0.1,
        after_harm: bool = True,
        step_seconds: float = 1.0,
        revision: Revision | None = None,
        fallback: Fallback | None = None,
    ) -> None:
        self.share = probability("share", share)
        self.after_harm = bool(after_harm)
        self.step_seconds = finite("step_seconds", step_seconds, 0.0)
        self.revision = revision
        self.fallback: Fallback = Hold() if fallback is None else fallback

    @property
    def parts(self) -> tuple[object, ...]:
        """The fallback, where it can ever run."""
        return () if self.revision is None else (self.fallback,)

    def start(self, num_lanes: int) -> Tape:
        """Nothing has run yet."""
        book = None if self.revision is None else self.revision.start()
        return Tape(
            book,
            np.ones(num_lanes),
            np.zeros(num_lanes, np.int64),
            np.zeros(num_lanes, np.bool_),
        )

    def begin(self, tape: Tape, mask: BoolArray) -> None:
        """A new episode begins with an empty tape."""
        tape.length[mask] = 0
        tape.harmed[mask] = False
        del tape.steps[: len(tape.steps) - int(tape.length.max())]

    def inherit(self, tape: Tape, former: Tape) -> None:
        """Goes on with the rules that were written before."""
        if tape.book is not None and former.book is not None:
            tape.book.inherit(former.book)

    def __call__(self, proposals: Proposals, decision: Decision) -> None:
        """Refuses what breaks a rule that reviews have led to."""
        tape: Tape = proposals.memory(self)
        tape.draw = proposals.uniform(self)
        if tape.book is not None:
            enforce((tape.book,), proposals, decision, self.fallback)

    def allowed(self, proposals: Proposals) -> BoolArray:
        """Which actions the rules allow in each state, shape (n, A)."""
        book = proposals.memory(self).book
        return allows(() if book is None else (book,), proposals)

    def see(self, tape: Tape, record: Record) -> None:
        """Keeps what ran, and reviews episodes that have ended."""
        harmed = record.cost > 0
        tape.length += 1
        tape.harmed |= harmed
        if tape.book is not None:
            tape.steps.append((record.observed, record.executed, harmed, ~record.halted))
        reviewed = record.done & (tape.draw < self.share)
        if self.after_harm:
            reviewed |= record.done & tape.harmed
        decision = record.decision
        if some(reviewed):
            decision.seconds += self.step_seconds * tape.length * reviewed
            decision.say(reviewed & (decision.reason == 0), REVIEWED)
            if tape.book is not None:
                tape.book.study(*tape.of(reviewed))
        if self.revision is not None and tape.book is not None:
            self.revision.go_on(tape.book, decision.seconds)
