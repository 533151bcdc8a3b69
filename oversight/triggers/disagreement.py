"""A trigger on how far the models of an ensemble are apart."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from looplab.envs.core import FloatArray, Observations, take
from looplab.envs.errors import UsageError
from looplab.oversight.features import FeatureFunction
from looplab.oversight.proposals import Proposals
from looplab.oversight.triggers.refusals import LearnsRefusals, sigmoid

#: What one model says of observations (n, ...): probabilities or values of all actions, (n, A).
Model = Callable[[Observations], Any]


class Disagreement(LearnsRefusals):
    """Asks where the models of an ensemble differ about the proposal.

    The score is the standard deviation, over models, of what they say of the proposed action: its
    probability, or its value (EnsembleDAgger, Menda, Driggs-Campbell & Kochenderfer 2019, reads the
    spread of an ensemble of policies so). Without ``models``, they are logistic regressions of the
    human's verdicts (see ``Refusals``), learned online with bootstrap weights of their own (Oza &
    Russell 2001) from different first weights, so that they differ where little was reviewed.

    Args:
        tau: threshold in [0, 1]; of models of one's own, at least 0.
        models: at least two plain functions of observations (n, ...) that return (n, A); None: an
            ensemble that learns from verdicts.
        members: how many of those, at least 2.
        prior: precision of their weights before any verdict, above 0.
        features: function of observations (n, ...) that returns (n, d), for those; None:
            flattened, or one-hot where they are numbers of states.
        seed: of their first weights and bootstrap weights.
    """

    name = "disagreement"

    def __init__(
        self,
        tau: float = 0.1,
        models: Sequence[Model] | None = None,
        members: int = 5,
        prior: float = 1.0,
        features: FeatureFunction | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(tau, members, prior, features, seed)
        self.models = None if models is None else tuple(models)
        if (members if self.models is None else len(self.models)) < 2:
            raise UsageError("Disagreement needs at least 2 models")

    def score(self, proposals: Proposals) -> FloatArray:
        """Standard deviation of what the models say of each proposal, shape (n,)."""
        if self.models is None:
            spread: FloatArray = sigmoid(self.shown(proposals).logits).std(axis=1)
        else:
            said = [self._says(model, proposals) for model in self.models]
            spread = np.std(said, axis=0)
        return spread

    @staticmethod
    def _says(model: Model, proposals: Proposals) -> FloatArray:
        table = np.asarray(model(proposals.observation), dtype=np.float64)
        actions = getattr(proposals.lanes.action_space, "n", None)
        if actions is None or table.shape != (len(proposals), actions):
            raise UsageError(
                f"a model must return one number per lane and discrete action, got {table.shape} "
                f"for {len(proposals)} lanes of {proposals.lanes.action_space}"
            )
        return take(table, proposals.action)
