"""Which actions a human rates, where ratings are few."""

from looplab.envs.core import FloatArray
from looplab.envs.errors import choice
from looplab.oversight.features import FeatureFunction
from looplab.oversight.proposals import Proposals
from looplab.oversight.triggers.budget import Budget
from looplab.oversight.triggers.refusals import LearnsRefusals, sigmoid

QUERIES = ("uncertainty", "random")


class Uncertainty(LearnsRefusals):
    """Asks where a model of the human's verdicts is least sure: p (1 - p) at least ``tau``.

    Uncertainty sampling (Lewis & Gale 1994) on the regression of ``Learned``.

    Args:
        tau: threshold in [0, 0.25].
        prior: precision of the weights before any verdict, above 0.
        features: function of observations (n, ...) that returns (n, d); None: flattened, or
            one-hot where they are numbers of states.
    """

    name = "uncertainty"

    def __init__(
        self, tau: float = 0.1, prior: float = 1.0, features: FeatureFunction | None = None
    ) -> None:
        super().__init__(tau, prior=prior, features=features)

    def score(self, proposals: Proposals) -> FloatArray:
        """Variance p (1 - p) of the verdict on each proposal, shape (n,)."""
        chance = sigmoid(self.shown(proposals).logits[:, 0])
        return chance * (1.0 - chance)


class ActiveQueries(Budget):
    """Asks for a rating where it teaches most, within a share of the proposals; for ``Feedback``.

    Args:
        share: of the proposals, in [0, 1].
        query: ``uncertainty``, where a model of the human's verdicts is least sure; or ``random``,
            the reference at the same budget.
        prior: precision of the model's weights before any verdict, above 0.
        features: function of observations (n, ...) that returns (n, d); None: flattened, or
            one-hot where they are numbers of states.
    """

    def __init__(
        self,
        share: float = 0.1,
        query: str = "uncertainty",
        prior: float = 1.0,
        features: FeatureFunction | None = None,
    ) -> None:
        unsure = choice("query", query, QUERIES) == "uncertainty"
        super().__init__(Uncertainty(prior=prior, features=features) if unsure else None, share)
