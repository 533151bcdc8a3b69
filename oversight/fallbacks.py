"""What runs instead of a refused action? Each fallback maps n proposals to n actions.

A plain function of the proposals is a fallback too.
"""

from collections.abc import Callable

import numpy as np

from looplab.envs.core import Actions
from looplab.envs.errors import UsageError
from looplab.oversight.parts import PROBABILITIES, TABLE
from looplab.oversight.proposals import Proposals

#: What to execute in each lane, shape (n, ...); lanes that need none are ignored.
Fallback = Callable[[Proposals], Actions]


class Hold:
    """Does nothing: the task's no-op."""

    needs = ("hold",)

    def __call__(self, proposals: Proposals) -> Actions:
        """The no-op of each lane, shape (n, ...)."""
        return _known(proposals.lanes.hold(), self, "action that does nothing")


class SafestAction:
    """The proposal itself if it is among the safest actions, else the lowest of those."""

    needs = (TABLE,)

    def __call__(self, proposals: Proposals) -> Actions:
        """A safest action of each lane, shape (n,)."""
        return proposals.safest


class Correction:
    """What the overseer would do instead; the verdict is then ``modify``."""

    needs = ("correction",)
    corrects = True

    def __call__(self, proposals: Proposals) -> Actions:
        """The correction of each lane, shape (n, ...)."""
        return _known(proposals.lanes.correction(), self, "correction")


class NextBest:
    """The policy's next-best action, by its own probabilities."""

    needs = (PROBABILITIES,)

    def __call__(self, proposals: Proposals) -> Actions:
        """The most probable action that was not proposed, shape (n,)."""
        chances = proposals.probabilities.copy()
        chances[np.arange(len(proposals)), proposals.action] = -1.0
        best: Actions = chances.argmax(axis=1)
        return best


class Halt:
    """Stops the episode: the environment is not stepped again."""

    halts = True

    def __call__(self, proposals: Proposals) -> Actions:
        """The proposals, none of which will run."""
        return proposals.action


#: What these answer on a native task needs no check.
OWN_FALLBACKS = frozenset({Hold, SafestAction, Correction, NextBest})


def halts(fallback: Fallback) -> bool:
    """Whether the fallback stops the episode."""
    return bool(getattr(fallback, "halts", False))


def corrects(fallback: Fallback) -> bool:
    """Whether the fallback is an overseer's correction."""
    return bool(getattr(fallback, "corrects", False))


def _known(actions: Actions | None, fallback: object, what: str) -> Actions:
    if actions is None:
        raise UsageError(f"{type(fallback).__name__}: the environment offers no {what}")
    return actions
