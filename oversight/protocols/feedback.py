"""The human only rates: nothing is blocked."""

import numpy as np

from looplab.oversight.asking import consult
from looplab.oversight.decision import Decision
from looplab.oversight.overseers.scripted import ScriptedOverseer
from looplab.oversight.proposals import Proposals
from looplab.oversight.protocols.base import explain, triggered
from looplab.oversight.triggers import Always, Trigger
from looplab.oversight.types import some

UNRATED = "no rating given"


class Feedback:
    """A human rates executed actions; the signal turns ratings into reward (Knox & Stone 2009).

    Stacked behind another protocol, it rates what that one lets run.

    Args:
        trigger: which actions are rated; default always.
        overseer: who rates: a verdict other than approve is a rating of -1, unless the verdicts
            bring ratings of their own (``Rater``). Where such a rating is NaN the human looked and
            said nothing: a review without a verdict. Default a ``ScriptedOverseer``.
    """

    rates = True
    blocks = False

    def __init__(self, trigger: Trigger | None = None, overseer: object | None = None) -> None:
        self.trigger: Trigger = Always() if trigger is None else trigger
        self.overseer = ScriptedOverseer() if overseer is None else overseer

    @property
    def parts(self) -> tuple[object, ...]:
        """Trigger and overseer."""
        return (self.trigger, self.overseer)

    def __call__(self, proposals: Proposals, decision: Decision) -> None:
        """Rates the actions that will run."""
        rated = ~(decision.standby | decision.halted)
        if decision.only is not None:
            rated &= decision.only
        asked = triggered(self.trigger, proposals)
        if asked is not None:
            rated &= asked
        if not some(rated):
            return
        runs = proposals.having(decision.executed)
        runs.rated = True
        verdicts = consult(self.overseer, runs, rated)
        rating = verdicts.rated
        given = rated & ~np.isnan(rating)
        np.copyto(decision.rating, rating, where=given)
        decision.reviews += rated
        decision.seconds += rated * verdicts.seconds
        silent = rated & (decision.overseer == 0)  # nobody has said anything of it
        decision.note(silent & given, verdicts)
        decision.say(silent & ~given, UNRATED)
        explain(self.trigger, proposals, silent, decision)
        decision.asked |= rated
