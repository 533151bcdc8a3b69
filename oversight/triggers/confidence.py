"""A trigger on the policy's own confidence."""

from looplab.envs.core import FloatArray
from looplab.envs.errors import probability
from looplab.oversight.parts import CONFIDENCE
from looplab.oversight.proposals import Proposals
from looplab.oversight.triggers.base import Scored


class ConfidenceBelow(Scored):
    """Asks where the policy's probability of its own proposal is at most ``tau``.

    Args:
        tau: threshold in [0, 1].
    """

    BELOW = True
    needs = (CONFIDENCE,)
    name = "confidence"

    def __init__(self, tau: float = 0.8) -> None:
        self.tau = probability("tau", tau)

    def score(self, proposals: Proposals) -> FloatArray:
        """Confidence in each proposal, shape (n,)."""
        return proposals.confidence
