"""A protocol whose requests say what else could be done, and what was decided in like cases."""

from typing import Any

import numpy as np

from looplab.envs.core import take
from looplab.oversight.decision import Decision
from looplab.oversight.parts import PROBABILITIES
from looplab.oversight.precedents import Precedents
from looplab.oversight.proposals import Proposals
from looplab.oversight.protocols.base import OversightProtocol
from looplab.oversight.types import some

#: Where a decision was made.
_PLACE = ("lane", "episode", "step")


class Explained:
    """Another protocol as it is, with more columns in the ledger where a human was asked.

    ``alternative`` and ``alternative_probability``: the policy's most probable action other than
    the proposal, from its own forward pass; -1 and NaN where nobody knows it.
    ``precedent_lane``, ``precedent_episode`` and ``precedent_step``: the nearest past decision, as
    ``Precedents`` finds it; -1 where there is none.

    Args:
        protocol: what is explained.
        precedents: memory of past decisions; None: none is kept.
        alternatives: whether the policy's probabilities are read; a policy that has none is refused
            in training.
    """

    def __init__(
        self,
        protocol: OversightProtocol,
        precedents: Precedents | None = None,
        alternatives: bool = True,
    ) -> None:
        self.protocol = protocol
        self.precedents = precedents
        self.alternatives = alternatives

    @property
    def parts(self) -> tuple[object, ...]:
        """The protocol, and the memory of past decisions."""
        return (self.protocol,) if self.precedents is None else (self.protocol, self.precedents)

    @property
    def needs(self) -> tuple[str, ...]:
        """The policy's probabilities, for alternatives."""
        return (PROBABILITIES,) if self.alternatives else ()

    @property
    def columns(self) -> dict[str, tuple[Any, Any]]:
        """Type and blank value of each column that comes along."""
        found: dict[str, tuple[Any, Any]] = {}
        if self.alternatives:
            found |= {
                "alternative": (np.int32, -1),
                "alternative_probability": (np.float32, np.nan),
            }
        if self.precedents is not None:
            found |= {f"precedent_{name}": (np.int64, -1) for name in _PLACE}
        return found

    def __call__(self, proposals: Proposals, decision: Decision) -> None:
        """Lets the protocol decide, and explains what it asked about."""
        self.protocol(proposals, decision)
        asked = decision.asked
        if not some(asked):
            return
        if self.alternatives and proposals.policy_step is not None:
            self._alternatives(proposals, decision)
        if self.precedents is not None:
            proposals.asked = asked
            nearest = decision.precedents = self.precedents(proposals)
            if nearest is not None:
                for name in _PLACE:
                    column = decision.extra[f"precedent_{name}"]
                    column[nearest.lanes] = nearest.kept[name][:, 0]

    @staticmethod
    def _alternatives(proposals: Proposals, decision: Decision) -> None:
        others = proposals.probabilities.copy()
        others[np.arange(len(others)), proposals.action] = -1.0
        best = others.argmax(axis=1)
        np.copyto(decision.extra["alternative"], best, where=decision.asked, casting="same_kind")
        np.copyto(
            decision.extra["alternative_probability"],
            take(others, best),
            where=decision.asked,
            casting="same_kind",
        )
