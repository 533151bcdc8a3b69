"""Above the loop: limits are set beforehand, and revised now and then."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from looplab.envs.compiled import compiled
from looplab.envs.core import RISK_RESOLUTION, Actions, BoolArray, check_source
from looplab.envs.errors import UsageError, probability, whole
from looplab.oversight.decision import Decision, note_lane, refuse_lane
from looplab.oversight.fallbacks import Fallback, Hold, corrects
from looplab.oversight.proposals import Proposals
from looplab.oversight.protocols.base import refuse
from looplab.oversight.protocols.stack import Stack
from looplab.oversight.record import Record
from looplab.oversight.revision import Book, Revision
from looplab.oversight.triggers import describe
from looplab.oversight.types import MODIFY, REJECT

#: What is allowed: of each proposal, shape (n,), or of every action in each state, shape (n, A).
Rule = Callable[[Proposals], BoolArray]

#: Whose verdict a broken rule is; no human gave it in this step, so it is no review.
RULES = "rules"


class Forbid:
    """Some actions are never allowed.

    Args:
        actions: their numbers.
    """

    def __init__(self, *actions: int) -> None:
        if not actions:
            raise UsageError("Forbid needs at least one action")
        self.actions = [whole("action", action, 0) for action in actions]

    def __call__(self, proposals: Proposals) -> BoolArray:
        """False in the columns of the forbidden actions, shape (n, A)."""
        allowed = np.ones((len(proposals), count_of(proposals)), np.bool_)
        if max(self.actions) >= allowed.shape[1]:
            raise UsageError(f"Forbid: {proposals.lanes.action_space} has no {max(self.actions)}")
        allowed[:, self.actions] = False
        return allowed

    def __str__(self) -> str:
        return f"never {', '.join(map(str, self.actions))}"


class RiskLimit:
    """Actions are allowed while their risk does not exceed a limit.

    With ``exact`` risk and limit 0 this is a shield (Alshiekh et al. 2018) that knows the task.

    Args:
        limit: in [0, 1].
        source: ``estimated``, ``exact`` or ``immediate``.
    """

    def __init__(self, limit: float, source: str = "estimated") -> None:
        self.limit = probability("limit", limit)
        self.source = check_source(source)
        self.needs = (self.source,)

    def __call__(self, proposals: Proposals) -> BoolArray:
        """Whether the risk is within the limit, shape (n, A); (n,) for continuous actions."""
        risk = proposals.lanes.risk_table(self.source)
        if risk is None:
            return self.keeps(proposals)
        return risk <= self.limit + RISK_RESOLUTION

    def keeps(self, proposals: Proposals) -> BoolArray:
        """Whether the risk of each proposal is within the limit, shape (n,)."""
        kept = np.empty(len(proposals), np.bool_)
        _within(proposals.risk(self.source), self.limit + RISK_RESOLUTION, kept)
        return kept

    def __str__(self) -> str:
        return f"{self.source} risk <= {self.limit:g}"


class Bounds:
    """Continuous actions must lie in a box.

    Args:
        low: least value of each component, a number or one per component.
        high: greatest value, likewise.
    """

    def __init__(self, low: float | Sequence[float], high: float | Sequence[float]) -> None:
        self.low, self.high = np.asarray(low, np.float64), np.asarray(high, np.float64)
        if not np.all(self.low <= self.high):
            raise UsageError(f"Bounds: low must not exceed high, got {low} and {high}")

    def __call__(self, proposals: Proposals) -> BoolArray:
        """Whether all components lie in the box, shape (n,)."""
        kept = self.nearest(proposals) == proposals.action
        found: BoolArray = kept.reshape(len(proposals), -1).all(axis=1)
        return found

    def nearest(self, proposals: Proposals) -> Actions:
        """The action in the box that is nearest to each proposal, (n, ...); a fallback."""
        if hasattr(proposals.lanes.action_space, "n"):
            raise UsageError("Bounds needs continuous actions; for discrete ones use Forbid")
        clipped: Actions = np.clip(proposals.action, self.low, self.high)
        return clipped.astype(proposals.action.dtype)

    def __str__(self) -> str:
        return f"within {self.low.tolist()}..{self.high.tolist()}"


def count_of(proposals: Proposals) -> int:
    """Number of actions.

    Raises:
        UsageError: if they are continuous.
    """
    count = getattr(proposals.lanes.action_space, "n", None)
    if count is None:
        raise UsageError(
            f"a rule on actions by number cannot hold in {proposals.lanes.action_space}"
        )
    return int(count)


def _asked(rule: Rule, proposals: Proposals) -> BoolArray:
    shapes: list[tuple[int, ...]] = [(len(proposals),)]
    if hasattr(proposals.lanes.action_space, "n"):
        shapes.append((len(proposals), count_of(proposals)))
    return _checked(rule, rule(proposals), shapes)


def _checked(rule: Rule, answer: Any, shapes: list[tuple[int, ...]]) -> BoolArray:
    """What a rule answered, if it is booleans of one of the shapes."""
    allowed = np.asarray(answer)
    if allowed.dtype != np.bool_ or allowed.shape not in shapes:
        raise UsageError(
            f"rule {describe(rule)} must answer booleans of shape "
            f"{' or '.join(map(str, shapes))}, got shape {allowed.shape} of {allowed.dtype}"
        )
    return allowed


def keeps(rule: Rule, proposals: Proposals) -> BoolArray:
    """Whether each proposal keeps a rule, shape (n,).

    A rule on all actions may have a method ``keeps`` of its own, which spares it the other ones.
    """
    own = getattr(rule, "keeps", None)
    if own is not None:
        return _checked(rule, own(proposals), [(len(proposals),)])
    allowed = _asked(rule, proposals)
    if allowed.ndim > 1:
        allowed = allowed[np.arange(len(proposals)), proposals.action]
    return allowed


def allows(rules: Sequence[Rule], proposals: Proposals) -> BoolArray:
    """Which actions keep all rules, shape (n, A)."""
    count = count_of(proposals)
    found = np.ones((len(proposals), count), np.bool_)
    for rule in rules:
        allowed = _asked(rule, proposals)
        if allowed.ndim == 1:
            each = (np.full(len(proposals), action) for action in range(count))
            allowed = np.stack([_asked(rule, proposals.having(a)) for a in each], axis=1)
        found &= allowed
    return found


def enforce(
    rules: Sequence[Rule], proposals: Proposals, decision: Decision, fallback: Fallback
) -> None:
    """Runs the fallback where a rule is broken; the reason names the first that is.

    A broken rule is a refusal, so that it is charged and the task is told; but nobody was asked:
    it is neither a review nor a false alarm, and what is unsafe among it was stopped.
    """
    here = decision.remaining()
    kept = np.empty((len(rules), len(here)), np.bool_)
    for place, rule in enumerate(rules):
        kept[place] = keeps(rule, proposals)
    if 0 not in kept.tobytes():
        return
    broken, (block, at) = np.empty(len(here), np.bool_), decision.row
    texts = block.reasons.groups[tuple(f"rule: {describe(rule)}" for rule in rules)]
    code = MODIFY if corrects(fallback) else REJECT
    _enforce(block.flags, block.codes, at, here, kept, code, texts, block.names[RULES], broken)
    refuse(decision, broken, proposals, fallback)


@compiled
def _within(risk: Any, bar: Any, out: Any) -> None:
    """Marks risks that are not above a bar, (n,)."""
    for lane in range(len(out)):
        out[lane] = risk[lane] <= bar


@compiled
def _enforce(
    flags: Any, codes: Any, at: Any, here: Any, kept: Any, code: Any, texts: Any, who: Any,
    broken: Any,
) -> None:  # fmt: skip
    """Refuses what breaks one of the rules, (rules, n); the first that is broken is the reason."""
    for lane in range(len(here)):
        broken[lane] = False
        for rule in range(len(kept)):
            if here[lane] and not broken[lane] and not kept[rule, lane]:
                broken[lane] = True
                note_lane(flags, codes, at, lane, code, texts[rule], who)
                refuse_lane(flags, at, lane)


class Rules:
    """Humans set limits beforehand and revise them now and then; nobody is asked in between.

    The supervisor as planner and teacher (Sheridan 1992, "Telerobotics, Automation, and Human
    Supervisory Control"). The fallback runs whatever the rules say of it: where every action is
    forbidden, something must.

    Args:
        rules: what is allowed, each a function of proposals; see ``Forbid``, ``RiskLimit`` and
            ``Bounds``.
        revision: how further rules are written from the harm that is seen, all of which is known
            from the task's own records; None: never.
        fallback: what runs instead of what breaks a rule; default ``Hold``.
    """

    def __init__(
        self,
        rules: Rule | Sequence[Rule] = (),
        revision: Revision | None = None,
        fallback: Fallback | None = None,
    ) -> None:
        self.rules: tuple[Rule, ...] = (rules,) if callable(rules) else tuple(rules)
        self.revision = revision
        self.fallback: Fallback = Hold() if fallback is None else fallback
        if not self.rules and revision is None:
            raise UsageError("Rules needs rules, or a revision that writes some")

    @property
    def parts(self) -> tuple[object, ...]:
        """Fallback and rules."""
        return (self.fallback, *self.rules)

    def start(self, num_lanes: int) -> Book | None:
        """No further rule has been written yet."""
        return None if self.revision is None else self.revision.start()

    def inherit(self, book: Book | None, former: Book | None) -> None:
        """Goes on with the rules that were written before."""
        if book is not None and former is not None:
            book.inherit(former)

    def _all(self, proposals: Proposals) -> tuple[Rule, ...]:
        if self.revision is None:
            return self.rules
        return (*self.rules, proposals.memory(self))

    def __call__(self, proposals: Proposals, decision: Decision) -> None:
        """Refuses what breaks a rule."""
        enforce(self._all(proposals), proposals, decision, self.fallback)

    def allowed(self, proposals: Proposals) -> BoolArray:
        """Which actions the rules allow in each state, shape (n, A)."""
        return allows(self._all(proposals), proposals)

    def see(self, book: Book | None, record: Record) -> None:
        """Takes down the harm of this step, and revises the rules when it is time."""
        if self.revision is None or book is None:
            return
        book.study(record.observed, record.executed, record.cost > 0, ~record.halted)
        self.revision.go_on(book, record.decision.seconds)


def ruling(protocol: Any) -> list[Any]:
    """Protocols whose rules hold for every proposal: the protocol itself, or some of a stack."""
    parts = protocol.parts if isinstance(protocol, Stack) else (protocol,)
    return [part for part in parts if hasattr(part, "allowed")]


def action_masks(protocol: Any, proposals: Proposals) -> BoolArray:
    """What a policy may propose so that no rule is broken, shape (n, A).

    Where every action is forbidden all may be proposed: the fallback will run.
    """
    masks = [part.allowed(proposals) for part in ruling(protocol)]
    if not masks:
        raise UsageError("this protocol has no rules, so it masks no actions; use Rules")
    allowed: BoolArray = np.logical_and.reduce(masks)
    allowed[~allowed.any(axis=1)] = True
    return allowed
