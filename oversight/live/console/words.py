"""What pages say: sentences and numbers for people, from values that anybody may have sent."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from looplab.oversight.live.refusal import Refused
from looplab.oversight.live.review import Actions

#: Reasons that can be ticked beside a verdict.
TAGS = ("unsafe", "too risky", "not needed", "wrong goal", "unclear", "looks fine")
#: Stands where there is nothing to say.
NONE = "\u2013"
#: Alternatives and steps of the episode that are shown.
BARS, STEPS = 4, 8
#: What a refusal means for whoever gave an answer.
_REFUSALS = {
    "answered": "Somebody else answered first{by}. Your answer has no effect; here is the next.",
    "late": "The time was over before your answer came. It has no effect; here is the next.",
    "withdrawn": "The question was withdrawn: its trainer is gone. Here is the next.",
    "unknown": "The question is no longer open. Here is the next.",
    "claimed": "Kept for {who}, who looks at it now.",
    "executed": "Too late to undo: it was executed already.",
    "expired": "Your token has expired.",
    "unauthenticated": "Your token is not valid any more.",
}
#: How a question went away under a reader's eyes.
GONE = {
    "decided": "Somebody else answered this one.",
    "overdue": "The time was over: it failed closed, and what was proposed did not run.",
    "escalated": "This one went to the next tier.",
    "withdrawn": "This one was withdrawn: its trainer is gone.",
}


@dataclass(frozen=True)
class Bar:
    """One action that could run.

    Attributes:
        name: what it is called.
        share: the policy's probability, in [0, 1]; None: nobody knows it.
        proposed: whether it is the proposal.
    """

    name: str
    share: float | None
    proposed: bool


@dataclass(frozen=True)
class Reading:
    """What a page shows of one lane, in words.

    Attributes:
        place: where it is: task, lane, episode, step.
        proposal: the action's name.
        action: the action itself.
        bars: the proposal and its alternatives.
        confidence: of the policy in the proposal, as a sentence.
        why: why it is asked.
        score: what the trigger read against what; empty: nothing.
        risks: by source, in [0, 1]; empty: hidden or unknown.
        history: rows of step, proposed, executed, verdict, reward, cost; latest first.
        past: earlier decisions on the like.
    """

    place: str
    proposal: str
    action: Any
    bars: tuple[Bar, ...]
    confidence: str
    why: str
    score: str
    risks: tuple[tuple[str, float], ...]
    history: tuple[tuple[str, ...], ...]
    past: str


def reading(values: Mapping[str, Any], actions: Actions) -> Reading:
    """What is shown of a lane, in words; what is missing or of another kind is left out."""
    action = values.get("action")
    proposal = named(actions, action, values.get("name"))
    share = _number(values.get("probability"))
    bars = [Bar(proposal, share, True)]
    for other in _mappings(values.get("alternatives"))[: BARS - 1]:
        name = named(actions, other.get("action"), other.get("name"))
        bars.append(Bar(name, _number(other.get("probability")), False))
    score, threshold = _number(values.get("score")), _number(values.get("threshold"))
    against = "" if threshold is None else f", threshold {threshold:.3g}"
    risks = values.get("risks")
    known = risks.items() if isinstance(risks, Mapping) else ()
    return Reading(
        place=_place(values),
        proposal=proposal,
        action=action,
        bars=tuple(bars),
        confidence="The policy's probabilities are not known."
        if share is None
        else f"The policy is {share:.0%} sure.",
        why=_why(values.get("because"), bool(values.get("watching"))),
        score="" if score is None else f"Score {score:.3g}{against}",
        risks=tuple(
            (str(name)[:40], risk) for name, one in known if (risk := _number(one)) is not None
        ),
        history=tuple(_step(step, actions) for step in _mappings(values.get("history"))[::-1]),
        past=_past(values.get("precedents")),
    )


def _place(values: Mapping[str, Any]) -> str:
    parts = [str(values[name])[:80] for name in ("env", "regime", "phase") if values.get(name)]
    parts += [
        f"{name} {values[name]}" for name in ("lane", "episode", "step")
        if isinstance(values.get(name), int)
    ]  # fmt: skip
    return " · ".join(parts)


def _why(because: Any, watching: bool) -> str:
    what = "Watched" if watching else "Asked"
    return f"{what} because of: {str(because)[:300]}." if because else f"{what} without a reason."


def _step(step: Mapping[str, Any], actions: Actions) -> tuple[str, ...]:
    reward, cost = _number(step.get("reward")), _number(step.get("cost"))
    return (
        str(step.get("step", ""))[:10],
        named(actions, step.get("proposed")),
        named(actions, step.get("executed")),
        str(step.get("verdict") or NONE)[:20],
        "" if reward is None else f"{reward:+.2f}",
        "" if not cost else f"⚠ {cost:g}",
    )


def _past(precedents: Any) -> str:
    told = [
        f"{past.get('verdict')} ({past.get('reason')}) in episode {past.get('episode')}, step "
        f"{past.get('step')}"[:160]
        for past in _mappings(precedents)[:3]
    ]
    return "" if not told else f"Before, on the like: {'; '.join(told)}."


def named(actions: Actions, action: Any, name: Any = None) -> str:
    """An action as people call it."""
    if (
        isinstance(action, int)
        and not isinstance(action, bool)
        and 0 <= action < len(actions.names)
    ):
        return actions.names[action]
    if isinstance(action, Sequence) and not isinstance(action, str):
        numbers = [number for one in action if (number := _number(one)) is not None]
        return f"({', '.join(f'{number:.3g}' for number in numbers)})"
    return str(action if name in (None, "") else name)[:200]


def refused(error: Refused, me: str) -> str:
    """A refusal as a sentence for whoever met it."""
    words = _REFUSALS.get(error.code)
    by = error.details.get("by", "")
    who = "you" if by == me else by
    return words.format(by=f" ({who})" if by else "", who=who) if words else f"Not taken: {error}."


def share(value: float | None) -> str:
    """A probability as people read it."""
    return NONE if value is None else f"{value:.0%}"


def moment(at: int | None) -> str:
    """A time in milliseconds since 1970, in UTC."""
    if at is None:
        return ""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _number(value: Any) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good else None


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    given = value if isinstance(value, Sequence) and not isinstance(value, str) else ()
    return [one for one in given if isinstance(one, Mapping)]
