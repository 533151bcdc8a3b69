"""What every protocol does, and the two parts of it that several share."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from looplab.envs.compiled import compiled
from looplab.envs.core import BoolArray
from looplab.envs.errors import UsageError
from looplab.oversight.asking import answered
from looplab.oversight.decision import Decision
from looplab.oversight.fallbacks import OWN_FALLBACKS, Fallback, corrects, halts
from looplab.oversight.proposals import Proposals
from looplab.oversight.triggers import Always, Trigger, describe, reasons
from looplab.oversight.types import (
    MODIFY,
    REJECT,
    TERMINATE,
    Verdicts,
    put,
    some,
)


class OversightProtocol(Protocol):
    """Turns n proposals into one decision; may be followed by further protocols."""

    def __call__(self, proposals: Proposals, decision: Decision) -> None:
        """Fills in ``decision``, leaving alone what is not ``decision.remaining()``.

        Args:
            proposals: what was proposed, and in which states.
            decision: what earlier protocols decided; at first that everything passes.
        """


def refuse(
    decision: Decision,
    mask: BoolArray,
    proposals: Proposals,
    fallback: Fallback,
    verdicts: Verdicts | None = None,
) -> None:
    """Executes the fallback in the masked lanes, or the correction that came with the verdict.

    A ``terminate`` verdict and a fallback that halts stop the episode instead.
    """
    if not some(mask):
        return
    rest = mask
    if verdicts is not None:
        if TERMINATE in verdicts.code.tobytes():
            stop = mask & (verdicts.code == TERMINATE)
            decision.halted |= stop
            rest = rest & ~stop
        if verdicts.correction is not None:
            corrected = verdicts.brings_correction(rest)
            source = f"overseer {verdicts.overseer}"
            put(
                decision.executed,
                corrected,
                answered(verdicts.correction, corrected, proposals, source),
            )
            rest = rest & ~corrected
    if halts(fallback):
        decision.halted |= rest
    elif rest is mask or some(rest):
        actions = fallback(proposals)
        if not (type(fallback) in OWN_FALLBACKS and proposals.lanes.NAMES_OWN_ACTIONS):
            actions = answered(actions, rest, proposals, f"fallback {describe(fallback)}")
        put(decision.executed, rest, actions)


def label(verdicts: Verdicts, fallback: Fallback) -> Verdicts:
    """Calls a refusal ``modify`` where the fallback is the overseer's correction."""
    if not corrects(fallback):
        return verdicts
    code = np.empty(len(verdicts.code), np.int8)
    _soften(verdicts.code, code)
    return verdicts.called(code)


@compiled
def _soften(code: Any, out: Any) -> None:
    for lane in range(len(out)):
        out[lane] = MODIFY if code[lane] == REJECT else code[lane]


def explain(trigger: Trigger, proposals: Proposals, asked: BoolArray, decision: Decision) -> None:
    """Records why the masked lanes are asked about: which trigger, and its value and threshold."""
    for reason in reasons(trigger, proposals, asked):
        decision.explain(reason)


def _array(answer: Any) -> NDArray[Any]:
    """An answer as an array; one whose rows differ in length as an array of objects."""
    try:
        return np.asarray(answer)
    except ValueError:
        return np.asarray(answer, dtype=object)


def triggered(trigger: Trigger, proposals: Proposals) -> BoolArray | None:
    """Lanes that a trigger names, shape (n,); None for all of them."""
    proposals.trigger = trigger
    if isinstance(trigger, Always):
        return None
    named = trigger(proposals)
    if type(named) is not np.ndarray:
        named = _array(named)
    if named.shape != proposals.asked.shape or named.dtype != np.bool_:
        raise UsageError(
            f"trigger {describe(trigger)} must answer {len(proposals)} booleans, "
            f"got shape {named.shape} of {named.dtype}"
        )
    return named
