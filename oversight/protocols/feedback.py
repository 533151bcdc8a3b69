"""The human only rates: nothing is blocked."""

import math
from typing import Any

import numpy as np

from looplab.envs.compiled import compiled, element
from looplab.envs.core import BoolArray
from looplab.oversight.asking import consult
from looplab.oversight.columns import place
from looplab.oversight.decision import NO_REASON, Decision, explain_lane, note_lane
from looplab.oversight.overseers.scripted import ScriptedOverseer
from looplab.oversight.proposals import Proposals
from looplab.oversight.protocols.base import triggered
from looplab.oversight.triggers import Always, Trigger, reasons
from looplab.oversight.types import APPROVE, UNSAFE_RATING, some

UNRATED = "no rating given"

_OVERSEER, _ASKED, _REVIEWS = place("overseer"), place("asked"), place("reviews")
_SECONDS, _REASON = place("seconds"), place("reason")
#: Ratings that follow from the verdicts.
_FROM_CODES = np.empty(0)


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
        rated = self._rated(proposals, decision)
        if not some(rated):
            return
        why = reasons(self.trigger, proposals, rated)
        runs = proposals.having(proposals.action if decision.untouched else decision.executed)
        runs.rated = True
        verdicts = consult(self.overseer, runs, rated)
        rating, block, at = decision.rating, *decision.row
        reason = why[0] if len(why) == 1 else NO_REASON
        silent, noted = np.empty(len(rated), np.bool_), np.empty(len(rated), np.bool_)
        _rate(
            block.flags, block.reals, block.codes, at, rated, verdicts.code,
            _FROM_CODES if verdicts.rating is None else verdicts.rating, verdicts.seconds,
            verdicts.reason, block.reasons.groups[verdicts.reasons],
            verdicts.which, block.names.groups[verdicts.names],
            block.reasons[UNRATED], reason.lanes, block.reasons[reason.text], reason.score,
            reason.threshold, rating, silent, noted,
        )  # fmt: skip
        decision.vote(noted, verdicts)
        if reason is NO_REASON:
            for reason in why:
                decision.explain(reason._replace(lanes=reason.lanes & silent))

    def _rated(self, proposals: Proposals, decision: Decision) -> BoolArray:
        """Lanes whose action is rated, a fresh array of shape (n,)."""
        asked = triggered(self.trigger, proposals)
        if decision.untouched:
            return decision.remaining(asked)
        rated = ~(decision.standby | decision.halted)
        for mask in (decision.only, asked):
            if mask is not None:
                rated &= mask
        return rated


@compiled
def _rate(
    flags: Any, reals: Any, codes: Any, at: Any, rated: Any, code: Any, given: Any, seconds: Any,
    reason: Any, texts: Any, who: Any, names: Any, unrated: Any, explained: Any, why: Any,
    score: Any, threshold: Any, rating: Any, silent: Any, noted: Any,
) -> None:  # fmt: skip
    """Records ratings, and the verdicts that they came with where nobody else has said anything."""
    for lane in range(len(rated)):
        silent[lane] = rated[lane] and codes[at, _OVERSEER, lane] == 0
        noted[lane] = False
        if not rated[lane]:
            continue
        value = UNSAFE_RATING if code[lane] != APPROVE else 0.0
        if len(given) > 0:
            value = given[lane]
        flags[at, _ASKED, lane] = 1
        flags[at, _REVIEWS, lane] += 1
        reals[at, _SECONDS, lane] += element(seconds, lane)
        if not math.isnan(value):
            rating[lane] = value
            noted[lane] = silent[lane]
        elif silent[lane]:
            codes[at, _REASON, lane] = unrated
        if silent[lane] and len(explained) > 0 and explained[lane]:
            explain_lane(
                codes, reals, at, lane, why, element(score, lane), element(threshold, lane)
            )
        if noted[lane]:
            name = names[element(who, lane)]
            note_lane(flags, codes, at, lane, code[lane], texts[reason[lane]], name)
