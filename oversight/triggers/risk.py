"""A trigger on the risk of what is proposed."""

from looplab.envs.core import FloatArray, check_source
from looplab.envs.errors import UsageError, probability
from looplab.oversight.parts import ANY_RISK
from looplab.oversight.proposals import Proposals
from looplab.oversight.triggers.base import Scored

#: Which risk a trigger reads where none is named: what the agent could know comes first.
PREFERRED_SOURCES = ("estimated", "exact", "immediate")


class RiskAbove(Scored):
    """Asks where the risk of the proposal is at least ``tau``.

    Args:
        tau: threshold in [0, 1].
        source: ``estimated``, ``exact`` or ``immediate``; None: the first of estimated, exact and
            immediate that the task offers. ``exact`` is an oracle, a perfect detector for free.
    """

    def __init__(self, tau: float = 0.05, source: str | None = None) -> None:
        self.tau = probability("tau", tau)
        self.source = None if source is None else check_source(source)

    @property
    def needs(self) -> tuple[str, ...]:
        """The named risk, or any."""
        return (ANY_RISK if self.source is None else self.source,)

    def reads(self, proposals: Proposals) -> str:
        """The source of risk that is read in this task."""
        if self.source is not None:
            return self.source
        for source in PREFERRED_SOURCES:
            if proposals.lanes.offers(source):
                return source
        raise UsageError("RiskAbove: the environment offers no risk; pass risk=")

    def score(self, proposals: Proposals) -> FloatArray:
        """Risk of each proposal, shape (n,)."""
        if self.source is not None:
            return proposals.risk(self.source)
        found = proposals.memory(self)
        if "source" not in found:
            found["source"] = self.reads(proposals)
        return proposals.risk(found["source"])

    def start(self, num_lanes: int) -> dict[str, str]:
        """Remembers which source was found, so that it is looked up once."""
        return {}

    @property
    def name(self) -> str:
        """The risk that is read."""
        if self.source is None:
            return "risk"
        return "exact risk (oracle)" if self.source == "exact" else f"{self.source} risk"
