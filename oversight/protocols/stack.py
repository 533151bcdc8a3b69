"""Protocols one after another: each sees what the earlier ones let run."""

from itertools import pairwise

from looplab.envs.errors import UsageError
from looplab.oversight.decision import Decision
from looplab.oversight.proposals import Proposals
from looplab.oversight.protocols.base import OversightProtocol


class Stack:
    """Several protocols in turn, e.g. a gate followed by feedback.

    Args:
        protocols: at least one, as arguments or as one list; one that rates what runs comes after
            all that can change it. A protocol says of itself ``rates = True`` where it does, and
            ``blocks = False`` where it changes nothing.

    Raises:
        UsageError: if there is none, or if one that rates what runs comes too early.
    """

    def __init__(self, *protocols: OversightProtocol | list[OversightProtocol]) -> None:
        flat: list[OversightProtocol] = []
        for protocol in protocols:
            flat.extend([protocol] if callable(protocol) else protocol)
        if not flat:
            raise UsageError("Stack needs at least one protocol")
        for first, following in pairwise(flat):
            if getattr(first, "rates", False) and getattr(following, "blocks", True):
                raise UsageError(
                    f"{type(first).__name__} rates what runs, and "
                    f"{getattr(following, '__name__', type(following).__name__)} after it could "
                    "still change that: put it last"
                )
        self.parts = tuple(flat)

    @property
    def rates(self) -> bool:
        """Whether the last protocol rates what runs."""
        return bool(getattr(self.parts[-1], "rates", False))

    @property
    def blocks(self) -> bool:
        """Whether any of them can change what runs."""
        return any(getattr(part, "blocks", True) for part in self.parts)

    def __call__(self, proposals: Proposals, decision: Decision) -> None:
        """Lets every protocol in turn fill in the decision."""
        for protocol in self.parts:
            protocol(proposals, decision)
            decision.untouched = False
