"""An escalation chain: what one tier leaves open, or answers too late, goes to the next."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from looplab.envs.core import BoolArray, FloatArray, IntArray
from looplab.envs.errors import UsageError, choice, finite, within
from looplab.oversight.asking import consult, selected, several, titled
from looplab.oversight.proposals import Proposals
from looplab.oversight.protocols.base import triggered
from looplab.oversight.triggers import Trigger
from looplab.oversight.types import VERDICTS, Verdicts, some

#: What the end of a chain may answer.
ENDS = ("escalate", "reject", "terminate")
NOBODY_ABOVE = "passed on by the last tier: nobody is above"


@dataclass(frozen=True)
class Tier:
    """One tier of a chain.

    Attributes:
        overseer: who answers.
        deadline_seconds: time after which the proposal goes on to the next tier, at least 0 and
            finite; None: the tier may take as long as it likes.
        passes: verdicts that are no answer but are passed on to the next tier, by name.
        at_once: a trigger: what it names comes to this tier at once, past those below; e.g.
            ``RiskAbove(0.5)``.
    """

    overseer: Any
    deadline_seconds: float | None = None
    passes: Sequence[str] = ("escalate",)
    at_once: Trigger | None = None

    def __post_init__(self) -> None:
        """Checks the settings."""
        if self.deadline_seconds is not None:
            finite("deadline_seconds", self.deadline_seconds, 0.0)
        if isinstance(self.passes, str):
            raise UsageError(f"passes must be a list of verdicts, got {self.passes!r}")
        for verdict in self.passes:
            choice("verdict in passes", verdict, VERDICTS)

    @property
    def parts(self) -> tuple[object, ...]:
        """The overseer, and the trigger if there is one."""
        return (self.overseer,) if self.at_once is None else (self.overseer, self.at_once)


class Chain:
    """Tiers of reviewers, each with a deadline; the first that answers in time is heard.

    A tier that does not answer until its deadline stops working, and the proposal goes on; so it
    does where its verdict is one of those that it passes. Human seconds and the time until the
    answer add up over the tiers that were asked; a deadline that passed is recorded as overdue. The
    record names the tier that answered.

    A chain always ends: what the last tier passes on too is answered by ``end``. ``escalate`` finds
    nobody above, and the gate fails closed (or open, if its ``timeout`` says so).

    Args:
        tiers: ``Tier``s or plain overseers, a list or a mapping from names, lowest first.
        end: ``escalate``, ``reject`` or ``terminate``; None: the last tier must have the last word,
            so it may neither have a deadline nor pass anything but ``escalate``.
        name: name in the record where no tier answered.

    Raises:
        UsageError: if there is no tier, somebody escalates to himself, or tiers have no end.
    """

    def __init__(
        self,
        tiers: Sequence[Any] | Mapping[str, Any],
        end: str | None = "escalate",
        name: str = "chain",
    ) -> None:
        names, given = several("Chain", tiers)
        self.tiers = tuple(tier if isinstance(tier, Tier) else Tier(tier) for tier in given)
        self.names = names or tuple(f"tier {number + 1}" for number in range(len(given)))
        if len({id(tier.overseer) for tier in self.tiers}) < len(self.tiers):
            raise UsageError(
                "Chain: an overseer is in two tiers; who escalates to himself finds no end"
            )
        last = self.tiers[-1]
        if end is None and (last.deadline_seconds is not None or set(last.passes) - {"escalate"}):
            raise UsageError(
                f"Chain: tiers without an end: {self.names[-1]} passes on, and nobody is above; "
                f"give end, one of: {', '.join(ENDS)}"
            )
        self.end = "escalate" if end is None else choice("end", end, ENDS)
        self.name = name

    @property
    def parts(self) -> tuple[object, ...]:
        """Overseers and triggers of all tiers."""
        return tuple(part for tier in self.tiers for part in tier.parts)

    def countdown(self, waited_seconds: float) -> tuple[str, float]:
        """Who has a proposal that nobody answered yet, and how long until it is passed on.

        Args:
            waited_seconds: time since the lowest tier was asked.

        Returns:
            Name of the tier and seconds that it has left, infinite without a deadline; the chain's
            own name and 0 where the last deadline has passed.
        """
        left = within("waited_seconds", waited_seconds, 0.0)
        for name, tier in zip(self.names, self.tiers, strict=True):
            if tier.deadline_seconds is None or left <= tier.deadline_seconds:
                deadline = math.inf if tier.deadline_seconds is None else tier.deadline_seconds
                return name, deadline - left
            left -= tier.deadline_seconds
        return self.name, 0.0

    def __call__(self, proposals: Proposals) -> Verdicts:
        """The verdict of the tier that answers, in every lane."""
        asked, watching, n = proposals.asked, proposals.watching, len(proposals)
        first = self._first(proposals)
        answers = [self._nobody(n)]
        which: IntArray = np.zeros(n, np.int64)
        left = asked
        seconds, elapsed, overdue = np.zeros(n), np.zeros(n), np.zeros(n, np.bool_)
        for place, (name, tier) in enumerate(zip(self.names, self.tiers, strict=True)):
            here = left & (first <= place)
            if not some(here):
                continue
            answer = titled(consult(tier.overseer, proposals, here, watching), name)
            late, worked, waited = _until_deadline(answer, tier.deadline_seconds, here)
            seconds += worked
            elapsed += waited
            overdue |= late if answer.overdue is None else late | (here & answer.overdue)
            passed = late | (here & np.isin(answer.code, [VERDICTS.index(v) for v in tier.passes]))
            which[here & ~passed] = len(answers)
            answers.append(answer)
            left = left & (~here | passed)
        found = selected(answers, which, proposals, self.name)
        return replace(found, seconds=seconds, elapsed=elapsed, overdue=overdue)

    def _first(self, proposals: Proposals) -> IntArray:
        """Place of the lowest tier that each lane's proposal comes to, shape (n,)."""
        first: IntArray = np.zeros(len(proposals), np.int64)
        for place, tier in enumerate(self.tiers):
            if tier.at_once is not None:
                named = triggered(tier.at_once, proposals)
                first[... if named is None else named] = place
        return first

    def _nobody(self, num_lanes: int) -> Verdicts:
        """What the end of the chain says."""
        code = np.full(num_lanes, VERDICTS.index(self.end), np.int8)
        return Verdicts(code, 0.0, np.zeros(num_lanes, np.int64), (NOBODY_ABOVE,), self.name)


def _until_deadline(
    answer: Verdicts, deadline: float | None, here: BoolArray
) -> tuple[BoolArray, FloatArray, FloatArray]:
    """Masked lanes that are late, seconds worked and seconds waited, each of shape (n,)."""
    worked, waited = np.where(here, answer.seconds, 0.0), np.where(here, answer.wait, 0.0)
    if deadline is None:
        return np.zeros_like(here), worked, waited
    late = waited > deadline
    worked[late] *= deadline / waited[late]
    waited[late] = deadline
    return late, worked, waited
