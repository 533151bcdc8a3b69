"""Out of the loop: the agent acts alone."""

from looplab.oversight.decision import Decision
from looplab.oversight.proposals import Proposals


class Autonomous:
    """Asks nobody and changes nothing (Sheridan & Verplank 1978, level 10)."""

    blocks = False

    def __call__(self, proposals: Proposals, decision: Decision) -> None:
        """Leaves the decision as it is: every proposal runs."""
