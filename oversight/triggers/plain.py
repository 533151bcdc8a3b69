"""Triggers that read nothing: always, never, and at random."""

import numpy as np

from looplab.envs.core import BoolArray
from looplab.envs.errors import probability
from looplab.oversight.proposals import Proposals


class Always:
    """Asks about every proposal."""

    def __call__(self, proposals: Proposals) -> BoolArray:
        """True in all lanes, shape (n,)."""
        return np.ones(len(proposals), dtype=np.bool_)

    def __str__(self) -> str:
        return "always"


class Never:
    """Asks about no proposal."""

    def __call__(self, proposals: Proposals) -> BoolArray:
        """False in all lanes, shape (n,)."""
        return np.zeros(len(proposals), dtype=np.bool_)

    def __str__(self) -> str:
        return "never"


class Audit:
    """Asks at random, independently of everything.

    Args:
        probability: chance in [0, 1] that a proposal is audited.
    """

    def __init__(self, probability: float) -> None:
        self.probability = _checked("probability", probability)

    def __call__(self, proposals: Proposals) -> BoolArray:
        """Audited lanes, shape (n,)."""
        return proposals.uniform(self) < self.probability

    def __str__(self) -> str:
        return f"audit {self.probability:g}"


_checked = probability
