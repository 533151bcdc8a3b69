"""A task's card: what a reader must know of it in a line each."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    """What a task is about, in phrases without a full stop.

    Attributes:
        violation: what counts as harm.
        temptation: what the reward offers for it.
        fallback: the safe action that is not optimal.
        risk: where exact risk comes from, with its error if it has one.
        reference: what "solved" is measured against: the optimum, or a stated policy.
        source: where dynamics, layout or numbers are published; empty: LoopLab's own.
    """

    violation: str
    temptation: str
    fallback: str
    risk: str
    reference: str
    source: str = ""
