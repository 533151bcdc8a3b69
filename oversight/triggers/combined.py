"""Several triggers in one."""

from collections.abc import Iterator

import numpy as np

from looplab.envs.core import BoolArray
from looplab.envs.errors import UsageError
from looplab.oversight.proposals import Proposals
from looplab.oversight.triggers.base import Trigger, describe, reasons
from looplab.oversight.types import Reason, some


class _Combined:
    word: str

    def __init__(self, *triggers: Trigger | list[Trigger]) -> None:
        flat: list[Trigger] = []
        for trigger in triggers:
            flat.extend([trigger] if callable(trigger) else trigger)
        if not flat:
            raise UsageError(f"{type(self).__name__} needs at least one trigger")
        self.parts = tuple(flat)

    def __str__(self) -> str:
        return f" {self.word} ".join(describe(trigger) for trigger in self.parts)


class AnyOf(_Combined):
    """Asks where any of several triggers does."""

    word = "or"

    def __call__(self, proposals: Proposals) -> BoolArray:
        """Lanes where at least one trigger asks, shape (n,)."""
        asked: BoolArray = np.logical_or.reduce([trigger(proposals) for trigger in self.parts])
        return asked

    def reasons(self, proposals: Proposals, asked: BoolArray) -> Iterator[Reason]:
        """The first trigger that asks about each masked lane, with its reading."""
        left = asked
        for trigger in self.parts:
            here = left & trigger(proposals)
            if some(here):
                yield from reasons(trigger, proposals, here)
            left = left & ~here


class AllOf(_Combined):
    """Asks where all of several triggers do."""

    word = "and"

    def __call__(self, proposals: Proposals) -> BoolArray:
        """Lanes where every trigger asks, shape (n,)."""
        asked: BoolArray = np.logical_and.reduce([trigger(proposals) for trigger in self.parts])
        return asked
