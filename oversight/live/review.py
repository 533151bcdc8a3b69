"""One request for a review, and the answers that it can get."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from looplab.oversight.live.form import Form
from looplab.oversight.live.refusal import Refused
from looplab.oversight.types import VERDICTS

#: What is asked: may this action run? how good was it? or, of a person: to fill in a form.
REVIEW, RATING, FORM = "review", "rating", "form"
KINDS = (REVIEW, RATING, FORM)
OPEN, DECIDED, RELEASED, WITHDRAWN = "open", "decided", "released", "withdrawn"
#: Verdict of a request that nobody answered; the protocol then fails closed.
UNANSWERED = "escalate"
MAX_TAGS, TAG_CHARACTERS = 10, 40


@dataclass(frozen=True, slots=True)
class Actions:
    """What can run in a task: one of n actions, or a box of real numbers.

    Attributes:
        n: number of actions; 0: they are continuous.
        names: what the task calls them; empty: they go by number.
        low: least value of each number of a continuous action.
        high: greatest value of each.
    """

    n: int = 0
    names: tuple[str, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    def checked(self, action: Any) -> Any:
        """An action as the trainer takes it; discrete ones may be given by name.

        Raises:
            Refused: if there is no such action.
        """
        if self.n:
            if isinstance(action, str) and action in self.names:
                return self.names.index(action)
            if isinstance(action, int) and not isinstance(action, bool) and 0 <= action < self.n:
                return action
            named = f" or one of {', '.join(self.names)}" if self.names else ""
            raise Refused("invalid", f"action must be 0 to {self.n - 1}{named}, got {action!r}")
        if not isinstance(action, Sequence) or len(action) != len(self.low):
            raise Refused("invalid", f"action must be {len(self.low)} numbers, got {action!r}")
        for value, low, high in zip(action, self.low, self.high, strict=True):
            if not isinstance(value, int | float) or not low <= value <= high:
                raise Refused("invalid", f"action: {value!r} is not in [{low:g}, {high:g}]")
        return [float(value) for value in action]


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a person says of a request, before it is known whether it counts.

    Attributes:
        verdict: one of ``VERDICTS``; of a rating it follows from the number.
        action: what to execute instead, where the verdict is ``modify``.
        rating: in [-1, 1]; None: nothing is said of it.
        tags: reasons, short words.
        text: number of the text that holds what else was written; empty: nothing was.
        text_digest: sealed digest of that text.
        values: what was filled in, where a form was asked for.
    """

    verdict: str
    action: Any = None
    rating: float | None = None
    tags: tuple[str, ...] = ()
    text: str = ""
    text_digest: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    def fitting(self, kind: str, actions: Actions, form: Form | None = None) -> "Opinion":
        """This opinion of a request of a kind, checked.

        Raises:
            Refused: if it is none on such a request.
        """
        if kind == FORM:
            return self._filled(Form() if form is None else form)
        if self.values:
            raise Refused("invalid", f"a {kind} takes no values; only forms do")
        if len(self.tags) > MAX_TAGS or any(not 0 < len(t) <= TAG_CHARACTERS for t in self.tags):
            raise Refused(
                "invalid", f"at most {MAX_TAGS} tags of 1 to {TAG_CHARACTERS} characters are taken"
            )
        if kind == RATING:
            return self._rating()
        if self.verdict not in VERDICTS:
            raise Refused(
                "invalid", f"verdict must be one of {', '.join(VERDICTS)}, got {self.verdict!r}"
            )
        if self.rating is not None:
            raise Refused("invalid", "a review takes a verdict, not a rating")
        if (self.verdict == "modify") != (self.action is not None):
            raise Refused("invalid", "modify needs an action, and no other verdict takes one")
        action = None if self.action is None else actions.checked(self.action)
        return Opinion(self.verdict, action, None, self.tags, self.text, self.text_digest)

    def _filled(self, form: Form) -> "Opinion":
        others = (self.action, self.rating, *self.tags)
        if self.verdict not in ("", "approve") or any(said is not None for said in others):
            raise Refused("invalid", "a form takes values, and a text; no verdict")
        values = form.checked(self.values)
        return Opinion("approve", text=self.text, text_digest=self.text_digest, values=values)

    def _rating(self) -> "Opinion":
        if self.verdict not in ("", "approve", "reject") or self.action is not None:
            raise Refused("invalid", "a rating takes a number in [-1, 1], or null to say nothing")
        rating = self.rating
        if rating is not None and not (math.isfinite(rating) and -1.0 <= rating <= 1.0):
            raise Refused("invalid", f"rating must lie in [-1, 1], got {rating!r}")
        verdict = "reject" if rating is not None and rating < 0 else "approve"
        return Opinion(verdict, None, rating, self.tags, self.text, self.text_digest)

    def as_dict(self) -> dict[str, Any]:
        """What the ledger keeps of it; nothing that was not said."""
        said = {
            "verdict": self.verdict, "action": self.action, "rating": self.rating,
            "tags": list(self.tags), "text": self.text, "text_digest": self.text_digest,
            "values": dict(self.values),
        }  # fmt: skip
        return {name: value for name, value in said.items() if value not in (None, "", [], {})}


@dataclass(frozen=True, slots=True)
class Ask:
    """What a trainer asks about one lane.

    Attributes:
        id: its own name for it; the same again is the same request.
        lane: which lane.
        kind: one of ``KINDS``.
        context: SHA-256 of what the reviewer is shown.
        priority: higher ones come first.
        tier: which tier is asked first, from 0 on.
        unsafe: whether what is proposed is unsafe, which reviewers are not told; None: not known.
        trial: whether it is a catch trial: judged as any other, and never executed.
        form: what is to be filled in, where ``kind`` is ``form``.
        limit: seconds that each tier has for it; None: as for all others.
    """

    id: str
    lane: int
    kind: str
    context: str
    priority: float = 0.0
    tier: int = 0
    unsafe: bool | None = None
    trial: bool = False
    form: Form | None = None
    limit: float | None = None


@dataclass(slots=True)
class Review:
    """A request and where it stands.

    Attributes:
        id: name of it.
        session: live run that asked.
        batch: what it is executed together with.
        lane: which lane.
        kind: one of ``KINDS``.
        context: SHA-256 of what is shown.
        priority: higher ones come first.
        tier: which tier is asked now.
        asked_at: when, in milliseconds since 1970.
        deadline_at: when this tier's time is over; None: never.
        state: ``open``, ``decided``, ``released`` or ``withdrawn``.
        seconds: human time that it has taken so far.
        answer: what was decided; None: nothing yet.
        who: who decided; empty: nobody.
        decided_at: when.
        claimed_by: for whom it is kept; empty: nobody.
        claimed_at: since when.
        claimed_until: till when.
        unsafe, trial, form, limit: see ``Ask``.
    """

    id: str
    session: str
    batch: str
    lane: int
    kind: str
    context: str
    priority: float
    tier: int
    asked_at: int
    deadline_at: int | None
    state: str = OPEN
    seconds: float = 0.0
    answer: Mapping[str, Any] | None = None
    who: str = ""
    decided_at: int = 0
    claimed_by: str = field(default="")
    claimed_at: int = 0
    claimed_until: int = 0
    unsafe: bool | None = None
    trial: bool = False
    form: Form | None = None
    limit: float | None = None

    @property
    def urgency(self) -> tuple[float, float, str]:
        """Sorts the most urgent first: by priority, then by deadline."""
        deadline = math.inf if self.deadline_at is None else float(self.deadline_at)
        return (-self.priority, deadline, self.id)

    def summary(self) -> dict[str, Any]:
        """What a list of requests shows of it."""
        return {
            "id": self.id, "session": self.session, "batch": self.batch, "lane": self.lane,
            "kind": self.kind, "state": self.state, "tier": self.tier, "priority": self.priority,
            "asked_at": self.asked_at, "deadline_at": self.deadline_at,
            "claimed_by": self.claimed_by, "claimed_until": self.claimed_until,
        }  # fmt: skip
