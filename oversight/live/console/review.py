"""The review view: the most urgent question, and the keys that answer it. Ratings look alike."""

from contextlib import suppress

from looplab.oversight.live.console.elements import Node, button, section
from looplab.oversight.live.console.form import FormCard, filled
from looplab.oversight.live.console.library import told
from looplab.oversight.live.console.sheet import History, Picture, Sheet
from looplab.oversight.live.console.verdicts import (
    Chooser,
    rating_buttons,
    reasons,
    review_buttons,
)
from looplab.oversight.live.console.visit import Press, Visit, typed
from looplab.oversight.live.console.waiting import Waiting
from looplab.oversight.live.console.words import GONE, NONE, Reading, named, reading
from looplab.oversight.live.event import Event
from looplab.oversight.live.messages import VerdictIn
from looplab.oversight.live.refusal import Refused
from looplab.oversight.live.review import DECIDED, FORM, RATING, REVIEW, Review

_NEWS = frozenset(
    ("asked", "deferred", "decided", "overdue", "escalated", "released", "withdrawn", "claimed",
     "undone", "settings", "session_ended", "session_opened", "session_resumed")
)  # fmt: skip
_NOTHING = Reading("", NONE, None, (), "", "Nothing waits for you.", "", (), (), "")
_PAST = {
    "approve": "Approved", "reject": "Rejected", "modify": "Modified", "escalate": "Escalated",
    "terminate": "Terminated", "good": "Rated good", "bad": "Rated bad", "skip": "Skipped",
}  # fmt: skip
_RATINGS = {"good": 1.0, "bad": -1.0, "skip": None}
_VERDICTS = ("approve", "reject", "modify", "escalate", "terminate")


def _feedback(verdict: str, unsafe: bool) -> tuple[str, str]:
    """What somebody who practises is told of their verdict, and in which tone."""
    truth = "the proposal was unsafe" if unsafe else "the proposal was safe"
    if verdict == "escalate":
        return f"Passed on. In truth {truth}.", "calm"
    right = unsafe == (verdict != "approve")
    past = _PAST[verdict].lower()
    return f"{'Right' if right else 'Wrong'}: you {past} it, and {truth}.", (
        "good" if right else "bad"
    )


class ReviewView:
    """One question after the other, the most urgent first.

    Args:
        visit: who looks.
        kind: of requests: ``review`` or ``rating``.
    """

    def __init__(self, visit: Visit, kind: str) -> None:
        self._visit = visit
        self._kind = kind
        self._kinds = {kind, FORM} if kind == REVIEW else {kind}
        self._open = ""
        self._shown = ""
        self._last = ""
        self._gone = ""
        self._passed: set[str] = set()
        self._lay_out()
        answers = _VERDICTS if kind == REVIEW else _RATINGS
        visit.presses |= dict.fromkeys(answers, self._answer)
        visit.presses |= {"undo": self._undo, "next": self._next, "open": self._choose}
        visit.presses |= {"fill": self._fill}

    def _lay_out(self) -> None:
        acts = self._visit.acts
        with Node("div", "", "review", id="main", tabindex="-1") as self._main:
            self._form = FormCard(acts)
            with section("The question", "question") as self._sheet:
                with Node("div", "", "head"):
                    self._ring = Node("div", "", "ring", id="ring", role="timer")
                    self._holder = Node("p", "", "holder", id="holder")
                with Node("div", "", "look"):
                    self._picture = Picture()
                    with Node("div", "", "facts"):
                        self._facts = Sheet()
            with Node("div", "", "side"):
                self._waiting = Waiting(acts)
                self._history = History()
            self._chooser: Chooser | None = None
            if acts:
                with Node("div", "", "extras"):
                    reasons()
                    button("Undo", "undo", "u Control+z", "u", "small")
                    button("Next", "next", "n", "n", "small")
            with Node("div", "", "answers", id="answers"):
                self._visit.status()
                if acts and self._kind == REVIEW:
                    self._chooser = Chooser("modify")
                if acts:
                    with Node("div", "", "buttons"):
                        review_buttons() if self._kind == REVIEW else rating_buttons()

    # How things stand

    def hear(self, event: Event) -> bool:
        """Takes news of the queue."""
        mine = bool(event.request) and event.request == self._open
        if mine and event.kind in GONE and event.who != self._visit.person.id:
            self._gone = event.kind
        return event.kind in _NEWS

    async def draw(self) -> None:
        """Shows the queue and the question that is open, or opens the next."""
        desk, me = self._visit.desk, self._visit.person
        waiting = desk.queue.open(me)
        mine = [review for review in waiting if review.kind in self._kinds]
        others = len(waiting) - len(mine)
        review = next((one for one in mine if one.id == self._open), None)
        if review is None and self._open and self._gone:
            self._visit.say(GONE[self._gone], "bad")
        if review is None or not self._keep(review):
            review = self._take(mine)
        self._open = "" if review is None else review.id
        self._gone = ""
        self._passed &= {one.id for one in mine}
        self._waiting.show(mine, self._open, me.id, desk.clock())
        self._visit.badge(len(mine), others)
        await self._show(review)

    def _keep(self, review: Review) -> bool:
        """Goes on keeping a question for whoever looks at it."""
        if not self._visit.acts or not self._visit.visible:
            return True
        lease = self._visit.desk.queue.settings.claim_seconds * 1000
        now, me = self._visit.desk.clock(), self._visit.person
        if review.claimed_by == me.id and review.claimed_until - now > lease / 2:
            return True
        with suppress(Refused):
            self._visit.desk.claim(review.id, me, keep=True)
            return True
        return False

    def _take(self, mine: list[Review]) -> Review | None:
        """Opens the most urgent question that nobody else looks at; passed ones come last."""
        if not self._visit.visible:
            return None
        for review in sorted(mine, key=lambda one: one.id in self._passed):
            if self._keep(review):
                return review
        return None

    async def _show(self, review: Review | None) -> None:
        desk, me = self._visit.desk, self._visit.person
        now = desk.clock()
        self._ring.put(
            data_deadline=None if review is None else review.deadline_at or 0,
            data_since=None if review is None else review.asked_at, data_now=now,
        )  # fmt: skip
        who = "" if review is None else review.claimed_by
        kept = (
            "Nobody has it yet."
            if not who
            else "Kept for you."
            if who == me.id
            else f"Kept for {who}."
        )
        self._holder.put("" if review is None else f"{kept} Tier {review.tier}.")
        filling = review is not None and review.kind == FORM
        self._main.put(data_filling="yes" if filling else None)
        if review is None or not filling:
            self._form.hide()
        if review is not None and review.id == self._shown:
            return
        self._shown = "" if review is None else review.id
        read, address = _NOTHING, ""
        if review is not None:
            actions = desk.queue.session(review.session).about.actions
            try:
                values, drawn = await told(desk, review.context)
            except Refused:  # it is being written down; news of it comes when it is
                self._shown = ""
                return
            address = f"/api/shown/{review.context}/picture" if drawn else ""
            if filling:
                self._form.show(review, values, address)
                self._visit.call("asked")
                return
            read = reading(values, actions)
            if self._chooser is not None:
                self._chooser.fit(actions)
        if review is None:  # what was shown stays, unseen: it costs nothing, and nothing moves
            self._facts.idle(read.why)
        else:
            self._facts.show(read)
            self._history.show(read)
            self._picture.show(address, f"The environment, with the proposal {read.proposal}")
        self._sheet.put(data_request=self._shown or None, data_idle=None if review else "yes")
        self._visit.call("opened", self._shown, read.action)

    def leave(self) -> None:
        """Lets others have the question."""
        if self._open and self._visit.acts:
            review = self._visit.desk.queue.reviews.get(self._open)
            if review is not None and review.claimed_by == self._visit.person.id:
                self._visit.desk.claim(self._open, self._visit.person, keep=False)
        self._open = ""

    # What people press

    async def _answer(self, press: Press) -> None:
        if not press.request:
            raise Refused("unknown", "no question is open")
        review = self._visit.desk.queue.reviews.get(press.request)
        lane = "" if review is None else f", lane {review.lane}"
        name = ""
        if press.what == "modify" and review is not None:
            actions = self._visit.desk.queue.session(review.session).about.actions
            name = f" to {named(actions, typed(press.action))}"
        said = self._verdict(press).said(press.request)
        (result,) = await self._visit.desk.decide([said], self._visit.person)
        if not result["ok"]:
            details = {key: result[key] for key in ("by",) if key in result}
            raise Refused(result["error"], result["message"], **details)
        self._last = press.request
        self._visit.call("cleared")
        told = f"{_PAST[press.what]}{name}{lane}. {self._undoing(press.request)}"
        if "unsafe" in result:
            self._visit.say(*_feedback(press.what, bool(result["unsafe"])))
        else:
            self._visit.say(told, "good")

    async def _fill(self, press: Press) -> None:
        review = self._visit.desk.queue.reviews.get(press.value)
        if review is None:
            raise Refused("unknown", "the form is no longer open")
        said = VerdictIn(values=filled(review, press)).said(press.value)
        (result,) = await self._visit.desk.decide([said], self._visit.person)
        if not result["ok"]:
            raise Refused(result["error"], result["message"])
        self._visit.say("Kept. Thank you.", "good")

    def _verdict(self, press: Press) -> VerdictIn:
        if self._kind == RATING:
            rating = _RATINGS[press.what]
            return VerdictIn(rating=rating, tags=press.tags, text=press.text)
        action = typed(press.action) if press.what == "modify" else None
        return VerdictIn(verdict=press.what, action=action, tags=press.tags, text=press.text)

    def _undoing(self, request: str) -> str:
        review = self._visit.desk.queue.reviews.get(request)
        held = review is not None and review.state == DECIDED
        return "Undo with u, while it was not executed." if held else ""

    async def _undo(self, press: Press) -> None:
        if not self._last:
            raise Refused("invalid", "there is nothing to undo")
        last, self._last = self._last, ""
        before = self._open
        await self._visit.desk.undo(last, self._visit.person)
        if before and before != last:
            self.leave()
        self._open = last
        self._visit.say("Taken back. The question is open again.", "good")

    async def _next(self, press: Press) -> None:
        self._passed.add(self._open)
        self.leave()

    async def _choose(self, press: Press) -> None:
        self._visit.desk.claim(press.value, self._visit.person, keep=True)
        if press.value != self._open:
            self.leave()
            self._open = press.value
