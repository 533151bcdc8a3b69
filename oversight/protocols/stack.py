"""Protocols one after another: each sees what the earlier ones let run."""

from looplab.envs.errors import UsageError
from looplab.oversight.decision import Decision
from looplab.oversight.proposals import Proposals
from looplab.oversight.protocols.base import OversightProtocol


class Stack:
    """Several protocols in turn, e.g. a gate followed by feedback.

    Args:
        protocols: at least one, as arguments or as one list.
    """

    def __init__(self, *protocols: OversightProtocol | list[OversightProtocol]) -> None:
        flat: list[OversightProtocol] = []
        for protocol in protocols:
            flat.extend([protocol] if callable(protocol) else protocol)
        if not flat:
            raise UsageError("Stack needs at least one protocol")
        self.parts = tuple(flat)

    def __call__(self, proposals: Proposals, decision: Decision) -> None:
        """Lets every protocol in turn fill in the decision."""
        for protocol in self.parts:
            protocol(proposals, decision)
            decision.untouched = False
