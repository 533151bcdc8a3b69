"""A gate whose trigger has a score and whose overseer is scripted, in one compiled loop.

What is looked up after a policy's forward pass is no longer in the processor's cache, and a gate of
separate parts looks up much. These two parts say in numbers what they do, so one loop does it; the
rule for one lane is each part's own, the same that its own loop calls.
"""

from functools import cache
from typing import Any

import numpy as np

from looplab.envs.compiled import compiled
from looplab.envs.core import BoolArray
from looplab.oversight.decision import Decision, explain_lane, review_lane
from looplab.oversight.overseers.scripted import REASONS, ScriptedOverseer, answer, refuses
from looplab.oversight.proposals import Proposals
from looplab.oversight.triggers.base import Scored, asks
from looplab.oversight.types import APPROVE

#: No lane is left out.
_ALL = np.empty(0, np.bool_)


def fits(trigger: Any, overseer: Any) -> bool:
    """Whether trigger and overseer do no more than the loop does."""
    kind: Any = type(trigger)
    return type(overseer) is ScriptedOverseer and _only_scored(kind)


@cache
def _only_scored(kind: type) -> bool:
    own = ("__call__", "reading", "reasons")
    return issubclass(kind, Scored) and all(getattr(kind, n) is getattr(Scored, n) for n in own)


def review(
    trigger: Any,
    overseer: Any,
    refusal: int,
    proposals: Proposals,
    decision: Decision,
) -> BoolArray | None:
    """Asks, answers and records, as ``Gate`` does with parts of any kind in a paused world.

    Args:
        trigger: when the overseer is asked; it and who answers must fit.
        overseer: who answers.
        refusal: what a refusal is called, a place in ``VERDICTS``.
        proposals: what was proposed.
        decision: where it is recorded.

    Returns:
        Lanes that were refused, shape (n,); None if there are none.
    """
    proposals.trigger = trigger
    reading, unsafe = trigger.reading(proposals), proposals.judgement[1]
    everybody = decision.untouched and decision.only is None
    proposals.asked = asked = np.empty(len(unsafe), np.bool_)
    refused = np.empty(len(unsafe), np.bool_)
    block, at = decision.row
    found = _review(
        block.flags, block.reals, block.codes, at, _ALL if everybody else decision.remaining(),
        reading, trigger.tau, trigger.BELOW, unsafe, overseer.draws(proposals), overseer.miss_rate,
        overseer.false_alarm_rate, overseer.review_seconds, refusal, block.reasons[str(trigger)],
        block.reasons.groups[REASONS], block.names[overseer.name], asked, refused,
    )  # fmt: skip
    return refused if found else None


@compiled
def _review(
    flags: Any, reals: Any, codes: Any, at: Any, left: Any, reading: Any, tau: Any, below: Any,
    unsafe: Any, draws: Any, miss_rate: Any, false_alarm_rate: Any, seconds: Any, refusal: Any,
    why: Any, texts: Any, who: Any, asked: Any, refused: Any,
) -> Any:  # fmt: skip
    found = False
    for lane in range(len(asked)):
        asked[lane] = (len(left) == 0 or left[lane]) and asks(reading[lane], tau, below)
        refused[lane] = False
        if asked[lane]:
            reason = answer(lane, unsafe, draws, miss_rate, false_alarm_rate)
            code = refusal if refuses(reason) else APPROVE
            explain_lane(codes, reals, at, lane, why, reading[lane], tau)
            refused[lane] = review_lane(
                flags, reals, codes, at, lane, code, texts[reason], who, seconds, seconds
            )
        found |= refused[lane]
    return found
