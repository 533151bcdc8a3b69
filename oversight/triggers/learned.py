"""A trigger that learns from verdicts where the human would refuse."""

from looplab.envs.core import FloatArray
from looplab.envs.errors import finite
from looplab.oversight.features import FeatureFunction
from looplab.oversight.proposals import Proposals
from looplab.oversight.triggers.refusals import LearnsRefusals, sigmoid


class Learned(LearnsRefusals):
    """Asks where the human would refuse with probability ``tau``, as far as it has learned.

    A logistic regression of verdicts on observation and action (see ``Refusals``), learned online
    from the proposals that were reviewed, in all lanes together. It is optimistic that asking
    pays: the score is the probability at ``optimism`` standard deviations above the log-odds, so
    that it asks about everything at first, and later where it has seen too little.

    Saunders, Sastry, Stuhlmueller & Evans 2018 train a blocker on a first phase in which a human
    sees every action, and then let it block in the human's place. Here nothing is blocked by what
    is learned: it decides who is asked. So a low threshold costs reviews instead of freedom, labels
    go on coming where it asks, and a human's errors are averaged, not obeyed. What it shares with
    a blocker: where it no longer asks it no longer learns, so that a shift there goes unnoticed
    unless an ``Audit`` stands beside it.

    Args:
        tau: threshold in [0, 1].
        optimism: standard deviations that are added, at least 0.
        prior: precision of the weights before any verdict, above 0.
        features: function of observations (n, ...) that returns (n, d); None: flattened, or
            one-hot where they are numbers of states.
    """

    name = "learned refusal"

    def __init__(
        self,
        tau: float = 0.2,
        optimism: float = 1.0,
        prior: float = 1.0,
        features: FeatureFunction | None = None,
    ) -> None:
        super().__init__(tau, prior=prior, features=features)
        self.optimism = finite("optimism", optimism, 0.0)

    def score(self, proposals: Proposals) -> FloatArray:
        """Probability that each proposal would be refused, optimistic that it would, (n,)."""
        learned = self.shown(proposals)
        return sigmoid(learned.logits[:, 0] + self.optimism * learned.doubt())
