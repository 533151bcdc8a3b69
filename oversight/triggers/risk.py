"""A trigger on the risk of what is proposed."""

from looplab.envs.core import FloatArray, check_source
from looplab.envs.errors import probability
from looplab.oversight.parts import ANY_RISK
from looplab.oversight.proposals import Proposals
from looplab.oversight.triggers.base import Scored


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

    def score(self, proposals: Proposals) -> FloatArray:
        """Risk of each proposal, shape (n,)."""
        return proposals.risk(self.source)

    @property
    def name(self) -> str:
        """The risk that is read."""
        if self.source is None:
            return "risk"
        return "exact risk (oracle)" if self.source == "exact" else f"{self.source} risk"
