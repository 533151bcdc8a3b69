"""From what people answered to verdicts of all lanes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from looplab.envs.core import Actions
from looplab.oversight.proposals import Proposals
from looplab.oversight.protocols.gate import OVERDUE
from looplab.oversight.types import APPROVE, VERDICTS, Verdicts, put

STOPPED = "stopped by a person"


def all_stopped(lanes: Sequence[int]) -> list[dict[str, Any]]:
    """Answers of lanes whose session a person has stopped."""
    return [
        {"lane": lane, "verdict": "terminate", "seconds": 0.0, "elapsed": 0.0, "stopped": True}
        for lane in lanes
    ]


def by_lane(vetoes: Sequence[Mapping[str, Any]], lanes: Sequence[int]) -> list[dict[str, Any]]:
    """The first veto that names each lane."""
    found: dict[int, dict[str, Any]] = {}
    for veto in vetoes:
        for lane in veto["lanes"] or lanes:
            if lane in lanes and lane not in found:
                found[lane] = {
                    "lane": lane, "verdict": veto["verdict"], "action": veto["action"],
                    "who": veto["who"], "seconds": veto["seconds"], "elapsed": veto["seconds"],
                }  # fmt: skip
    return [found[lane] for lane in sorted(found)]


def verdicts_of(answers: Sequence[Mapping[str, Any]], proposals: Proposals, name: str) -> Verdicts:
    """Verdicts from what people answered; lanes without an answer are approved.

    Args:
        answers: as the service tells them.
        proposals: what was asked about.
        name: name of them together.
    """
    n = len(proposals)
    code = np.full(n, APPROVE, np.int8)
    seconds, elapsed = np.zeros(n), np.zeros(n)
    reason, who = np.zeros(n, np.int32), np.zeros(n, np.int32)
    rating = np.zeros(n)
    corrected, overdue = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    correction: Actions = proposals.action.copy()
    reasons, people = ["approve"], [name]
    for answer in answers:
        lane = int(answer["lane"])
        code[lane] = VERDICTS.index(answer["verdict"])
        seconds[lane], elapsed[lane] = answer["seconds"], answer["elapsed"]
        reason[lane] = _place(reasons, _reason(answer))
        if answer.get("who"):
            who[lane] = _place(people, f"{name}: {answer['who']}")
        overdue[lane] = bool(answer.get("overdue"))
        given = answer.get("rating")
        rating[lane] = np.nan if given is None else float(given)
        if answer.get("action") is not None:
            mask = np.arange(n) == lane
            value = np.asarray(answer["action"], correction.dtype).reshape(correction.shape[1:])
            put(correction, mask, np.broadcast_to(value, correction.shape))
            corrected[lane] = True
    return Verdicts(
        code=code,
        seconds=seconds,
        reason=reason,
        reasons=tuple(reasons),
        overseer=name,
        correction=correction if corrected.any() else None,
        corrected=corrected if corrected.any() else None,
        elapsed=elapsed,
        who=who,
        people=tuple(people),
        overdue=overdue,
        rating=rating if proposals.rated else None,
    )


def _reason(answer: Mapping[str, Any]) -> str:
    """Why, in words: what the person ticked; never what they wrote."""
    if answer.get("stopped"):
        return STOPPED
    if answer.get("overdue"):
        return OVERDUE
    return ", ".join([answer["verdict"], *answer.get("tags", ())])


def _place(texts: list[str], text: str) -> int:
    if text not in texts:
        texts.append(text)
    return texts.index(text)
