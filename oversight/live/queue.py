"""The queue: who is asked what, for how long, and whose answer counts. It knows no screen.

A plain state machine: each method checks what somebody wants, changes what is in memory, and
returns the events that must be on disk before anybody is told. Times are milliseconds since 1970
and come from outside.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from looplab.oversight.live.event import Event
from looplab.oversight.live.refusal import Refused
from looplab.oversight.live.review import (
    DECIDED,
    FORM,
    OPEN,
    RELEASED,
    UNANSWERED,
    WITHDRAWN,
    Ask,
    Opinion,
    Review,
)
from looplab.oversight.live.roles import Person
from looplab.oversight.live.session import (
    LOST,
    RUNNING,
    STOPPED,
    About,
    Control,
    Session,
)
from looplab.oversight.live.settings import MILLISECONDS, Settings, milliseconds

Events = list[Event]


class Queue:
    """All live runs and their requests that are still open.

    What was released or withdrawn leaves memory: however many decisions there were, only those
    that somebody waits for are held.

    Args:
        settings: how long it waits for whom.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = Settings() if settings is None else settings
        self.sessions: dict[str, Session] = {}
        self.reviews: dict[str, Review] = {}
        self._released: list[tuple[str, str, list[Review]]] = []

    # Sessions

    def session(self, name: str) -> Session:
        """A live run by its name.

        Raises:
            Refused: if there is none.
        """
        found = self.sessions.get(name)
        if found is None:
            raise Refused("unknown", f"there is no session {name!r}")
        return found

    def open_session(self, name: str, about: About, who: str, now: int) -> Events:
        """A trainer comes, or comes back.

        Raises:
            Refused: if another run goes by that name, or it was stopped.
        """
        known = self.sessions.get(name)
        if known is None:
            control = Control(speed=self.settings.speed)
            known = self.sessions[name] = Session(name, about, seen_at=now, control=control)
            body: dict[str, Any] = {"about": about.as_dict(), "control": known.control.as_dict()}
            return [Event(now, "session_opened", body, name, who=who)]
        if known.about.identity != about.identity:
            raise Refused("different", f"session {name} is another run; give this one a name")
        if known.control.stopped:
            raise Refused("ended", f"session {name} was stopped; a stopped run does not go on")
        known.state, known.seen_at, known.about = RUNNING, now, about
        return [Event(now, "session_resumed", {}, name, who=who)]

    def see(self, name: str, now: int) -> Session:
        """A running session, whose trainer has just been heard of.

        Raises:
            Refused: if there is none, or it is over.
        """
        session = self.session(name)
        session.check_open()
        session.seen_at = now
        return session

    def end_session(self, name: str, reason: str, who: str, now: int) -> Events:
        """A live run is over; what it still asked is withdrawn."""
        session = self.session(name)
        if session.state != RUNNING:
            return []
        session.state, session.frame, session.pending = reason, None, []
        held = [self.reviews[request] for batch in session.batches.values() for request in batch]
        session.batches.clear()
        events = []
        for review in held:  # what a person has answered stays so, should the trainer come back
            if review.state == OPEN:
                events.append(self._leave(review, WITHDRAWN, now))
            else:
                del self.reviews[review.id]
        return [*events, Event(now, "session_ended", {"reason": reason}, name, who=who)]

    def control(self, name: str, control: Control, who: str, now: int) -> Events:
        """People set how a session goes on."""
        session = self.session(name)
        session.check_open()
        regimes = session.about.regimes
        if control.regime and control.regime not in regimes:
            allowed = ", ".join(regimes) or "none"
            raise Refused("invalid", f"regime must be a preset: {allowed}; got {control.regime!r}")
        session.control = control
        body = {"control": control.as_dict(), "mixed": bool(control.regime)}
        events = [Event(now, "control", body, name, who=who)]
        return events + (self.end_session(name, STOPPED, who, now) if control.stopped else [])

    # Requests

    def ask(self, name: str, batch: str, asks: Sequence[Ask], now: int) -> Events:
        """A trainer asks about lanes of one step; what it asked before is left as it is.

        Raises:
            Refused: if the session is over, or a request of the same name is another.
        """
        session, events = self.see(name, now), []
        for ask in asks:
            if not 0 <= ask.lane < session.about.lanes:
                raise Refused("invalid", f"lane must lie in 0..{session.about.lanes - 1}")
            known = self.reviews.get(ask.id)
            if known is not None and (known.context, known.session) != (ask.context, name):
                raise Refused("different", f"request {ask.id} is there already, and is another")
        for ask in asks:
            if ask.id in self.reviews:
                continue
            tier = min(ask.tier, self.settings.top)
            review = Review(
                ask.id, name, batch, ask.lane, ask.kind, ask.context, ask.priority, tier, now, None,
                unsafe=ask.unsafe, trial=ask.trial, form=ask.form, limit=ask.limit,
            )  # fmt: skip
            review.deadline_at = self._deadline(review, now)
            self.add(review)
            body = {
                "batch": batch, "lane": ask.lane, "kind": ask.kind, "context": ask.context,
                "priority": ask.priority, "tier": tier, "deadline_at": review.deadline_at,
                "unsafe": ask.unsafe, "trial": ask.trial,
                "form": None if ask.form is None else ask.form.as_list(), "limit": ask.limit,
            }  # fmt: skip
            events.append(Event(now, "asked", body, name, ask.id))
        return events

    def add(self, review: Review) -> None:
        """Takes a request into memory, with its batch."""
        self.reviews[review.id] = review
        self.session(review.session).batches.setdefault(review.batch, []).append(review.id)

    def open(self, person: Person | None = None) -> list[Review]:
        """Requests that somebody may answer, most urgent first; None: all of them."""
        found = [review for review in self.reviews.values() if review.state == OPEN]
        if person is not None:
            found = [review for review in found if self.is_for(review, person)]
        return sorted(found, key=lambda review: review.urgency)

    def is_for(self, review: Review, person: Person) -> bool:
        """Whether somebody is asked: by their tier, and by whom the session asks."""
        return review.tier <= person.tier and self.session(review.session).asks(person)

    def review(self, request: str) -> Review:
        """A request that is still held.

        Raises:
            Refused: if it is not.
        """
        found = self.reviews.get(request)
        if found is None:
            raise Refused("unknown", f"there is no open request {request!r}")
        return found

    def claim(self, request: str, person: Person, now: int) -> Review:
        """Keeps a request for somebody who is looking at it, for a while.

        Raises:
            Refused: if it is not open to them, or kept for somebody else.
        """
        review = self._open_to(request, person, now)
        if review.claimed_by != person.id or review.claimed_until <= now:
            review.claimed_at = now
        review.claimed_by = person.id
        review.claimed_until = now + milliseconds(self.settings.claim_seconds)
        return review

    def unclaim(self, request: str, person: Person, now: int) -> Review:
        """Lets others have a request that was kept for somebody."""
        review = self._open_to(request, person, now)
        self._unkeep(review)
        return review

    def decide(self, request: str, person: Person, opinion: Opinion, now: int) -> Events:
        """Somebody answers; the first answer counts.

        Raises:
            Refused: if it is not open to them any more, or no answer to that.
        """
        review = self.reviews.get(request)
        if review is not None and review.state == DECIDED and review.who == person.id:
            said = opinion.fitting(review.kind, self._about(review).actions, review.form)
            if same_answer(review.answer or {}, said):
                return []  # the same once more: its acknowledgement was lost
        review = self._open_to(request, person, now)
        said = opinion.fitting(review.kind, self._about(review).actions, review.form)
        seconds = review.seconds + self._looked(review, person, now)
        self._unkeep(review)
        if said.verdict == UNANSWERED and review.tier < self.settings.top:
            return [self._escalate(review, seconds, said.as_dict(), person.id, now)]
        answer = {**said.as_dict(), "seconds": seconds, "elapsed": _since(review.asked_at, now)}
        return self._settle(review, answer, "decided", person.id, now)

    def undo(self, request: str, person: Person, now: int) -> Events:
        """Somebody takes an answer back that was not executed yet.

        Raises:
            Refused: if it was, or is somebody else's.
        """
        review = self.review(request)
        if review.state != DECIDED or not review.who:
            raise Refused("invalid", f"request {request} has no answer that could be taken back")
        if review.who != person.id:
            raise Refused("forbidden", "only who gave an answer can take it back")
        if self._about(review).practice:
            raise Refused("executed", "an answer stands in practice: the truth was told")
        review.seconds = float((review.answer or {}).get("seconds", review.seconds))
        review.state, review.answer, review.who, review.decided_at = OPEN, None, "", 0
        review.deadline_at = self._deadline(review, now)
        review.claimed_by, review.claimed_at = person.id, now
        review.claimed_until = now + milliseconds(self.settings.claim_seconds)
        body = {"deadline_at": review.deadline_at, "seconds": review.seconds}
        return [Event(now, "undone", body, review.session, request, person.id)]

    def take_released(self) -> list[tuple[str, str, list[Review]]]:
        """Batches that were released since the last call: session, batch, and its requests."""
        released, self._released = self._released, []
        return released

    # Time

    def tick(self, now: int) -> Events:
        """What time brings: deadlines, claims and leases that are over, answers that now stand."""
        events: Events = []
        for review in list(self.reviews.values()):
            if review.claimed_by and review.claimed_until <= now:
                self._unkeep(review)
            timed = review.state == OPEN and review.deadline_at is not None
            if timed and (review.deadline_at or 0) <= now:
                events += self._overdue(review, now)
        for session in list(self.sessions.values()):
            if session.state != RUNNING:
                continue
            if session.seen_at + milliseconds(self.settings.lease_seconds) <= now:
                events += self.end_session(session.id, LOST, "", now)
            else:
                for batch in list(session.batches):
                    events += self._release(session, batch, now)
        return events

    def next_at(self) -> int | None:
        """When time brings something, in milliseconds; None: nothing is waited for."""
        return min(self._times(), default=None)

    def _times(self) -> Iterator[int]:
        undo = milliseconds(self.settings.undo_seconds)
        for review in self.reviews.values():
            if review.claimed_by:
                yield review.claimed_until
            if review.state == OPEN and review.deadline_at is not None:
                yield review.deadline_at
        for session in self.sessions.values():
            if session.state == RUNNING:
                yield session.seen_at + milliseconds(self.settings.lease_seconds)
            for batch in session.batches.values():
                reviews = [self.reviews[request] for request in batch]
                if all(review.state == DECIDED for review in reviews):  # else people are waited for
                    yield max(r.decided_at + (undo if r.who else 0) for r in reviews)

    def defer(self, now: int) -> Events:
        """Gives everybody their time anew, after the service was away."""
        events = []
        for review in self.reviews.values():
            if review.state == OPEN:
                review.deadline_at = self._deadline(review, now)
                body = {"deadline_at": review.deadline_at}
                events.append(Event(now, "deferred", body, review.session, review.id))
        for session in self.sessions.values():
            session.seen_at = now
        return events

    # Parts of these

    def _about(self, review: Review) -> About:
        return self.session(review.session).about

    def _deadline(self, review: Review, now: int) -> int | None:
        """When its tier's time is over; forms have all the time."""
        if review.kind == FORM:
            return None
        if review.limit is not None:
            return now + milliseconds(review.limit)
        return self.settings.deadline_at(review.tier, now)

    def _open_to(self, request: str, person: Person, now: int) -> Review:
        review = self.review(request)
        if not self.session(review.session).asks(person):
            raise Refused("forbidden", f"request {request} asks somebody else")
        if review.tier > person.tier:
            raise Refused(
                "forbidden", f"request {request} is with tier {review.tier}, yours is {person.tier}"
            )
        if review.state != OPEN:
            by = f" by {review.who}" if review.who else ""
            raise Refused("answered", f"request {request} was answered{by}", by=review.who)
        if review.deadline_at is not None and review.deadline_at <= now:
            raise Refused("late", f"the time of request {request} is over")
        kept = review.claimed_by not in ("", person.id) and review.claimed_until > now
        if kept:
            raise Refused(
                "claimed", f"request {request} is kept for {review.claimed_by}",
                by=review.claimed_by,
            )  # fmt: skip
        return review

    @staticmethod
    def _unkeep(review: Review) -> None:
        review.claimed_by, review.claimed_at, review.claimed_until = "", 0, 0

    @staticmethod
    def _looked(review: Review, person: Person, now: int) -> float:
        """Seconds that somebody spent on a request: since they claimed it, or else since asked."""
        mine = review.claimed_by == person.id
        return _since(review.claimed_at if mine else review.asked_at, now)

    def _escalate(
        self, review: Review, seconds: float, said: dict[str, Any], who: str, now: int
    ) -> Event:
        review.tier, review.seconds = review.tier + 1, seconds
        review.deadline_at = self._deadline(review, now)
        body = {
            "tier": review.tier, "deadline_at": review.deadline_at, "seconds": seconds,
            "said": said,
        }  # fmt: skip
        return Event(now, "escalated", body, review.session, review.id, who)

    def _overdue(self, review: Review, now: int) -> Events:
        """A tier's time is over: the next one is asked, or it fails closed."""
        seconds = review.seconds
        if review.claimed_by:  # somebody looked, and did not answer
            seconds += _since(review.claimed_at, now)
        self._unkeep(review)
        if review.tier < self.settings.top:
            return [self._escalate(review, seconds, {"overdue": True}, "", now)]
        answer = {
            "verdict": UNANSWERED, "overdue": True, "seconds": seconds,
            "elapsed": _since(review.asked_at, now),
        }  # fmt: skip
        return self._settle(review, answer, "overdue", "", now)

    def _settle(
        self, review: Review, answer: dict[str, Any], kind: str, who: str, now: int
    ) -> Events:
        review.state, review.answer, review.who = DECIDED, answer, who
        review.decided_at = now
        decided = Event(now, kind, {"answer": answer}, review.session, review.id, who)
        return [decided, *self._release(self.session(review.session), review.batch, now)]

    def _release(self, session: Session, batch: str, now: int) -> Events:
        """Lets the trainer have a batch's answers when all are there and can stay."""
        reviews = [self.reviews[request] for request in session.batches[batch]]
        undo = milliseconds(self.settings.undo_seconds)
        if any(r.state != DECIDED or (r.who and r.decided_at + undo > now) for r in reviews):
            return []
        del session.batches[batch]
        self._released.append((session.id, batch, reviews))
        return [self._leave(review, RELEASED, now) for review in reviews]

    def _leave(self, review: Review, state: str, now: int) -> Event:
        review.state = state
        del self.reviews[review.id]
        return Event(now, state, {}, review.session, review.id)


def _since(then: int, now: int) -> float:
    """Seconds between two times in milliseconds, at least 0."""
    return max(now - then, 0) / MILLISECONDS


def same_answer(answer: Mapping[str, Any], said: Opinion) -> bool:
    """Whether somebody says again what was decided; what they write beside it may differ."""
    kept = [answer.get(name) for name in ("verdict", "action", "rating")]
    return kept == [said.verdict, said.action, said.rating] and (
        answer.get("values", {}) == dict(said.values)
    )
