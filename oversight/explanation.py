"""Why is a human asked? One lane's request in words, for people."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from looplab.envs.core import RISK_SOURCES
from looplab.envs.errors import UsageError, whole
from looplab.oversight.engine import Engine
from looplab.oversight.precedents import Precedent, Precedents
from looplab.oversight.proposals import PolicyStep, Proposals
from looplab.oversight.record import Record
from looplab.oversight.triggers import reasons

#: Alternatives that a request names, at most.
MOST_ALTERNATIVES = 3


@dataclass(frozen=True)
class Alternative:
    """An action that was not proposed.

    Attributes:
        action: its number, and ``name`` what the task calls it.
        probability: the policy's own.
    """

    action: int
    name: str
    probability: float


@dataclass(frozen=True)
class Request:
    """What a human is asked about one lane.

    Attributes:
        lane: which, in ``episode`` at ``step``.
        action: what is proposed, and ``name`` what the task calls it.
        because: the trigger in words; empty if nobody is asked.
        score: what the trigger read; None if it reads nothing.
        threshold: what it compared that with; None likewise.
        probability: the policy's own, of the proposal; None if nobody knows it.
        alternatives: the most probable other actions, most probable first.
        risks: of the proposal, by source; privileged: for overseers, never for the agent.
        precedents: the nearest past decisions, nearest first.
    """

    lane: int
    episode: int
    step: int
    action: Any
    name: str
    because: str
    score: float | None
    threshold: float | None
    probability: float | None
    alternatives: tuple[Alternative, ...]
    risks: dict[str, float]
    precedents: tuple[Precedent, ...]

    def as_dict(self) -> dict[str, Any]:
        """The request as plain values, ready for JSON."""
        return asdict(self)

    @property
    def sentence(self) -> str:
        """Why it asks, in one sentence."""
        if not self.because:
            return "Nobody is asked."
        if self.score is None:
            return f"Asked because of: {self.because}."
        against = "" if self.threshold is None else f" against {self.threshold:.3g}"
        return f"Asked because of: {self.because} (here {self.score:.3g}{against})."

    def __str__(self) -> str:
        sure = "" if self.probability is None else f" ({self.probability:.0%} sure)"
        lines = [
            f"Lane {self.lane}, episode {self.episode}, step {self.step}: {self.name}{sure}",
            self.sentence,
        ]
        if self.alternatives:
            others = [f"{other.name} {other.probability:.0%}" for other in self.alternatives]
            lines.append(f"Instead: {', '.join(others)}")
        if self.risks:
            risks = [f"{source} {risk:.3g}" for source, risk in self.risks.items()]
            lines.append(f"Risk: {', '.join(risks)}")
        lines += [
            f"Before: {past.verdict} ({past.reason}) in episode {past.episode}, step {past.step}, "
            f"at distance {past.distance:.2g}"
            for past in self.precedents
        ]
        return "\n".join(lines)


def explain(
    source: Proposals | Record | Engine, lane: int, precedents: Precedents | None = None
) -> Request:
    """What a human is, or was, asked about one lane.

    Args:
        source: the proposals that an overseer is shown; or the record of a step; or an engine, for
            its last step. Of a record the names of actions are not known, and of a step that is
            over only the risk that decided what was unsafe.
        lane: number of the lane.
        precedents: memory of past decisions to look into, a part of the same protocol; of a step
            that is over, what ``Explained`` found is told.

    Raises:
        UsageError: if there is no such lane, or no step yet.
    """
    if isinstance(source, Engine):
        if source.last is None:
            raise UsageError("nothing to explain: the engine has made no step")
        return _decided(source.last, lane, names_of(source.lanes))
    if isinstance(source, Record):
        return _decided(source, lane, ())
    return _proposed(source, lane, precedents)


def _proposed(proposals: Proposals, lane: int, precedents: Precedents | None) -> Request:
    _check(lane, len(proposals))
    because, score, threshold = "", math.nan, math.nan
    shown = proposals.shown
    given = () if shown.trigger is None else reasons(shown.trigger, shown, proposals.asked)
    for reason in given:
        if reason.lanes[lane]:
            because = reason.text
            score = float(np.broadcast_to(reason.score, len(proposals))[lane])
            threshold = float(np.broadcast_to(reason.threshold, len(proposals))[lane])
    nearest = None if precedents is None else precedents(proposals)
    risks: dict[str, float] = {
        source: float(proposals.risk(source)[lane])
        for source in RISK_SOURCES
        if proposals.lanes.offers(source)
    }
    return _request(
        lane, int(proposals.episode[lane]), int(proposals.step[lane]), proposals.action,
        names_of(proposals.lanes), because, score, threshold, proposals.policy_step, risks,
        () if nearest is None else tuple(nearest.of(lane)),
    )  # fmt: skip


def _decided(record: Record, lane: int, names: tuple[str, ...]) -> Request:
    _check(lane, len(record))
    decision, risk = record.decision, float(record.risk[lane])
    nearest = decision.precedents
    return _request(
        lane, int(record.episode[lane]), int(record.step[lane]), record.proposed, names,
        decision.reasons.texts[record.because[lane]] if record.asked[lane] else "",
        float(record.score[lane]), float(record.threshold[lane]), record.policy,
        {} if math.isnan(risk) else {"risk": risk},
        () if nearest is None else tuple(nearest.of(lane)),
    )  # fmt: skip


def _check(lane: int, num_lanes: int) -> None:
    if whole("lane", lane, 0) >= num_lanes:
        raise UsageError(f"lane must be below {num_lanes}, got {lane}")


def _request(
    lane: int,
    episode: int,
    step: int,
    actions: Any,
    names: tuple[str, ...],
    because: str,
    score: float,
    threshold: float,
    policy: PolicyStep | None,
    risks: dict[str, float],
    precedents: tuple[Precedent, ...],
) -> Request:
    action = actions[lane].tolist()
    return Request(
        lane=lane,
        episode=episode,
        step=step,
        action=action,
        name=_name(names, action),
        because=because,
        score=score if math.isfinite(score) else None,
        threshold=threshold if math.isfinite(threshold) else None,
        probability=None if policy is None else float(policy.confidence[lane]),
        alternatives=alternatives(policy, actions, lane, names),
        risks=risks,
        precedents=precedents,
    )


def alternatives(
    policy: PolicyStep | None, actions: Any, lane: int, names: tuple[str, ...] = ()
) -> tuple[Alternative, ...]:
    """The policy's most probable actions beside the proposal, most probable first.

    Args:
        policy: what the policy knew; None: nobody knows.
        actions: proposals of all lanes, shape (n,).
        lane: number of the lane.
        names: what the task calls its actions.
    """
    if policy is None:
        return ()
    chances = policy.probabilities[lane]
    best_first = np.argsort(-chances, kind="stable").tolist()
    others = [action for action in best_first if action != actions[lane]]
    return tuple(
        Alternative(action, _name(names, action), float(chances[action]))
        for action in others[:MOST_ALTERNATIVES]
    )


def names_of(lanes: Any) -> tuple[str, ...]:
    """What a task calls its discrete actions; empty if it does not say."""
    return tuple(getattr(lanes, "ACTIONS", ()))


def _name(names: tuple[str, ...], action: Any) -> str:
    return names[action] if isinstance(action, int) and action < len(names) else str(action)
