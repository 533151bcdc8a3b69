"""The desk: queue, people and storage together. Pages, programs and tests are its equal clients.

Every change is first made in memory, at once and in order; then its events go to disk; and only
when they are there is anybody told: who answered, the trainer that waits, and all who listen.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Select, select

from looplab.oversight.live.analytics.analyst import Analyst
from looplab.oversight.live.event import Event
from looplab.oversight.live.form import form_of
from looplab.oversight.live.queue import Events, same_answer
from looplab.oversight.live.recall import answer_of, people_of, queue_of, review_of
from looplab.oversight.live.refusal import Refused
from looplab.oversight.live.registry import Registry
from looplab.oversight.live.review import DECIDED, RELEASED, WITHDRAWN, Ask, Opinion, Review
from looplab.oversight.live.roles import Person
from looplab.oversight.live.session import (
    About,
    Control,
    Frame,
    Session,
)
from looplab.oversight.live.settings import MILLISECONDS, Settings
from looplab.oversight.live.shown import Shown
from looplab.oversight.live.store import Change, Store
from looplab.oversight.live.tables import (
    CONTEXTS,
    REQUESTS,
)
from looplab.oversight.live.text import MAX_TEXT, Written, written

#: Batches of each session whose answers stay in memory after they were told.
_TOLD = 8
#: A tick comes at least this often, in seconds: clocks of machines are set, too.
_LONGEST_SLEEP = 1.0

Listener = Callable[[Sequence[Event]], None]
Unsubscribe = Callable[[], None]


def wall_clock() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Said:
    """What a person sends: an opinion, and what they wrote beside it."""

    request: str
    opinion: Opinion
    text: str = ""


class Desk:
    """Who is asked, who answers, and what is kept of it.

    Args:
        store: the database.
        key: the audit key, which seals texts too.
        clock: milliseconds since 1970.
    """

    def __init__(self, store: Store, key: bytes, clock: Callable[[], int] = wall_clock) -> None:
        self.store = store
        self.clock = clock
        #: Is told that nothing can be written any more: memory is ahead of the disk then.
        self.on_failure: Callable[[Exception], None] = lambda error: None
        self.key = key
        self._listeners: list[Listener] = []
        self._news: dict[str, asyncio.Event] = {}
        self._told: dict[str, dict[str, list[dict[str, Any]]]] = {}
        self._shown: dict[str, Shown] = {}
        #: Requests, and batches of sessions, that have left memory and not yet reached the disk.
        self._leaving: set[str | tuple[str, str]] = set()
        self._ticking: asyncio.Task[None] | None = None
        self._earlier = asyncio.Event()
        self._ending = False
        self.people = people_of(store)
        self.queue = queue_of(store)
        self.registry = Registry(self)
        self.analyst = Analyst(store)

    async def start(self) -> None:
        """Begins to watch deadlines; everybody gets their time anew."""
        now = self.clock()
        events = [Event(now, "started", {"settings": self.queue.settings.as_dict()})]
        await self.commit([*events, *self.queue.defer(now)])
        self._ticking = asyncio.create_task(self._tick())

    async def stop(self) -> None:
        """Ends the watch and says so in the ledger."""
        if self._ticking is not None:
            self._ticking.cancel()
            with suppress(asyncio.CancelledError, Refused):
                await self._ticking
        if self.store.failure is None:
            await self.commit([Event(self.clock(), "stopped")])

    async def _tick(self) -> None:
        while True:
            due, now = self.queue.next_at(), self.clock()
            rest = _LONGEST_SLEEP if due is None else (due - now) / MILLISECONDS
            self._earlier.clear()
            try:
                async with asyncio.timeout(min(max(rest, 0.001), _LONGEST_SLEEP)):
                    await self._earlier.wait()
            except TimeoutError:
                events = self.queue.tick(self.clock())
                if events:
                    await self.commit(events)

    # Telling

    def on_change(self, listener: Listener) -> Unsubscribe:
        """Calls somebody with the events of every change, after it is on disk."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def commit(
        self,
        events: Events,
        shown: Iterable[Shown] = (),
        texts: Iterable[Written] = (),
        erased: Sequence[str] = (),
    ) -> None:
        """Waits until events are on disk, and tells of them.

        Raises:
            Refused: if they cannot be written.
        """
        released = self.queue.take_released()
        leaving: set[str | tuple[str, str]] = set()
        for session, batch, reviews in released:
            leaving |= {(session, batch), *(review.id for review in reviews)}
        self._leaving |= leaving
        change = Change(events, [s.row for s in shown], [t.row for t in texts], erased)
        if events or change.contexts or change.texts or erased:
            try:
                await asyncio.wrap_future(self.store.append(change))
            finally:
                self._leaving -= leaving
                if self.store.failure is not None:
                    self.on_failure(self.store.failure)
        for session, batch, reviews in released:
            told = self._told.setdefault(session, {})
            told[batch] = [answer_of(review) for review in reviews]
            while len(told) > _TOLD:
                del told[next(iter(told))]
        self._earlier.set()
        for session in {event.session for event in events if event.session}:
            self.wake(session)
        for listener in tuple(self._listeners):
            listener(events)

    def wake(self, session: str) -> None:
        """Lets whoever waits for a session look again."""
        news = self._news.pop(session, None)
        if news is not None:
            news.set()

    def close_waits(self) -> None:
        """Sends everybody away who waits for news: the service is ending."""
        self._ending = True
        for session in tuple(self._news):
            self.wake(session)

    async def _until_news(self, session: str, seconds: float) -> None:
        if self._ending:
            raise Refused("unavailable", "the service is ending; come again when it is back")
        news = self._news.setdefault(session, asyncio.Event())
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await news.wait()

    # Trainers

    async def open_session(self, name: str, about: About, trainer: Person) -> Session:
        """A trainer comes, or comes back; see ``Queue.open_session``."""
        await self.commit(self.queue.open_session(name, about, trainer.id, self.clock()))
        return self.queue.session(name)

    async def end_session(
        self, name: str, reason: str, who: Person, counts: Mapping[str, float] | None = None
    ) -> None:
        """A live run is over, with what it has counted."""
        now, session = self.clock(), self.queue.session(name)
        counted = session.count(counts or {}, now, at_once=True)
        await self.commit([*counted, *self.queue.end_session(name, reason, who.id, now)])
        self._told.pop(name, None)

    async def ask(
        self,
        name: str,
        batch: str,
        asks: Sequence[tuple[Ask, Shown]],
        counts: Mapping[str, float] | None = None,
    ) -> None:
        """A trainer asks about the lanes of a step, all at once, and says what it has counted.

        What a person has answered before, and what was told before, is not asked again.
        """
        session = self.queue.see(name, self.clock())
        if (name, batch) in self._leaving:
            return  # it is answered, and about to be told
        fresh = [pair for pair in asks if pair[0].id not in self.queue.reviews]
        if fresh:
            before = {row["id"]: row for row in await self._rows([a.id for a, _ in fresh])}
            fresh = [pair for pair in fresh if not self._answered(before.get(pair[0].id), pair[0])]
        events = self.queue.ask(name, batch, [ask for ask, _ in fresh], self.clock())
        events += session.count(counts or {}, self.clock())
        on_its_way = {shown.digest: shown for _, shown in fresh}
        self._shown.update(on_its_way)  # who is quick sees the request before it is on disk
        try:
            await self.commit(events, on_its_way.values())
        finally:
            for digest in on_its_way:
                self._shown.pop(digest, None)

    def _answered(self, row: Mapping[str, Any] | None, ask: Ask) -> bool:
        """Whether a request that is on disk has its answer; one that waits for others is held."""
        if row is None or row["state"] == WITHDRAWN:
            return False
        if row["context"] != ask.context:
            raise Refused("different", f"request {ask.id} is there already, and is another")
        if row["state"] == DECIDED and ask.id not in self.queue.reviews:
            self.queue.add(review_of(row))
        return bool(row["state"] in (DECIDED, RELEASED))

    async def answers(self, name: str, batch: str, seconds: float) -> dict[str, Any]:
        """A batch's answers, as soon as all of them stand; whatever else its trainer must know.

        Args:
            name: of the session.
            batch: as it was asked.
            seconds: how long to wait.

        Returns:
            ``ready``, ``answers`` (a list, in the order of lanes) and ``control``.
        """
        end = time.monotonic() + seconds
        while True:
            session = self.queue.see(name, self.clock())
            found = self._told.get(name, {}).get(batch)
            known = batch in session.batches or (name, batch) in self._leaving
            if found is None and not known:
                found = await self._told_before(name, batch)
            if session.control.paused:
                found = None
            left = end - time.monotonic()
            if found is not None or left <= 0:
                return {
                    "ready": found is not None,
                    "answers": found or [],
                    "control": session.control.as_dict(),
                }
            await self._until_news(name, left)

    async def _told_before(self, name: str, batch: str) -> list[dict[str, Any]]:
        known = select(REQUESTS).where(REQUESTS.c.session == name, REQUESTS.c.batch == batch)
        rows = await self.read(known.order_by(REQUESTS.c.lane))
        if not rows:
            raise Refused("unknown", f"session {name} has asked no batch {batch!r}")
        held = [row["id"] for row in rows if row["state"] != RELEASED]
        if held:
            raise Refused("withdrawn", f"batch {batch} was withdrawn; ask again")
        return [answer_of(review_of(row)) for row in rows]

    async def control_of(
        self, name: str, known: Mapping[str, Any], seconds: float
    ) -> dict[str, Any]:
        """What people have set of a session, as soon as it is another than its trainer knows."""
        end = time.monotonic() + seconds
        while True:
            control = self.queue.see(name, self.clock()).control.as_dict()
            left = end - time.monotonic()
            if control != known or left <= 0:
                return {"ready": control != known, "control": control}
            await self._until_news(name, left)

    async def show(
        self, name: str, clock: int, shown: Shown, counts: Mapping[str, float] | None = None
    ) -> None:
        """A trainer shows the next step to whoever watches; only what it has counted is kept."""
        now = self.clock()
        session = self.queue.see(name, now)
        session.frame = Frame(clock, now, shown.digest, shown.text, shown.picture)
        counted = session.count(counts or {}, now)
        if counted:
            await self.commit(counted)
        for listener in tuple(self._listeners):
            listener([Event(now, "shown", {"clock": clock}, name)])

    async def vetoes(self, name: str, clock: int, seconds: float) -> dict[str, Any]:
        """What stopped the step that is shown, when its time is over or somebody did.

        Returns:
            ``ready``, ``vetoes`` and ``control``.
        """
        end = time.monotonic() + seconds
        while True:
            session = self.queue.see(name, self.clock())
            frame, control = session.frame, session.control
            if frame is None or frame.clock != clock:
                raise Refused("invalid", f"step {clock} is not the one that is shown")
            left = end - time.monotonic()
            rest = 1.0 / control.speed - (self.clock() - frame.at) / MILLISECONDS
            known = bool(session.pending or session.taken.get(clock))
            ready = not control.paused and (rest <= 0 or known)
            if ready:
                taken, events = session.take_vetoes(clock, self.clock())
                await self.commit(events)
                told = [veto.as_dict() for veto in taken]
                return {"ready": True, "vetoes": told, "control": control.as_dict()}
            if left <= 0:
                return {"ready": False, "vetoes": [], "control": control.as_dict()}
            await self._until_news(name, left if control.paused else min(left, max(rest, 0.001)))

    # People

    async def decide(self, said: Sequence[Said], person: Person) -> list[dict[str, Any]]:
        """People's answers, each for itself; told when all are on disk.

        Returns:
            One mapping per answer: ``request`` and ``ok``; or ``error`` and ``message``.
        """
        results: list[dict[str, Any]] = [{}] * len(said)
        left = list(range(len(said)))
        while left:  # once, unless a request was told while others were looked up
            gone = [said[at].request for at in left if said[at].request not in self.queue.reviews]
            rows = {row["id"]: row for row in await self._rows(gone)} if gone else {}
            left = await self._decide(said, left, rows, gone, person, results)
        return results

    async def _decide(
        self,
        said: Sequence[Said],
        which: Sequence[int],
        rows: Mapping[str, Mapping[str, Any]],
        looked_up: Sequence[str],
        person: Person,
        results: list[dict[str, Any]],
    ) -> list[int]:
        """Takes answers, in memory all at once, and then to disk; returns those that it could not.

        Args:
            said: all answers.
            which: those to take, by their places.
            rows: requests that are held no more.
            looked_up: requests that were looked for among them.
            person: who answers.
            results: is filled in.
        """
        left: list[int] = []
        events: Events = []
        texts: list[Written] = []
        for at in which:
            one = said[at]
            held, row = self.queue.reviews.get(one.request), rows.get(one.request)
            if held is None and one.request not in looked_up:
                left.append(at)
                continue
            try:
                opinion = self._noted(one, texts)
                if held is not None:
                    events += self.queue.decide(one.request, person, opinion, self.clock())
                else:
                    self._refuse_gone(one.request, row, opinion, person)
                answered = held or review_of(row or {})
                results[at] = {"request": one.request, "ok": True, **self.feedback(answered)}
            except Refused as refused:
                results[at] = {"request": one.request, "ok": False, **refused.as_dict()}
                body = {"code": refused.code, "request": one.request}
                events.append(Event(self.clock(), "refused", body, who=person.id))
        await self.commit(events, texts=texts)
        return left

    def feedback(self, review: Review) -> dict[str, Any]:
        """What somebody who practises is told of a question, once it is answered."""
        practice = self.queue.session(review.session).about.practice
        told = practice and review.unsafe is not None and review.answer is not None
        return {"unsafe": review.unsafe} if told else {}

    def _noted(self, said: Said, texts: list[Written]) -> Opinion:
        """The opinion, with the number of what was written beside it."""
        if not said.text:
            return said.opinion
        text = written(self.key, said.text, MAX_TEXT, "text")
        texts.append(text)
        opinion = said.opinion
        return replace(opinion, text=text.id, text_digest=text.digest)

    def _refuse_gone(
        self, request: str, row: Mapping[str, Any] | None, opinion: Opinion, person: Person
    ) -> None:
        """Says why a request can no longer be answered; the same answer again is taken."""
        if row is None:
            raise Refused("unknown", f"there is no request {request!r}")
        if row["state"] == WITHDRAWN:
            raise Refused("withdrawn", f"request {request} was withdrawn: its trainer is gone")
        if not row["who"]:
            raise Refused("late", f"the time of request {request} is over")
        actions = self.queue.session(row["session"]).about.actions
        form = None if row["form"] is None else form_of(json.loads(row["form"]))
        said = opinion.fitting(row["kind"], actions, form) if row["who"] == person.id else None
        if said is None or not same_answer(json.loads(row["answer"]), said):
            by = row["who"]
            raise Refused("answered", f"request {request} was answered by {by}", by=by)

    async def undo(self, request: str, person: Person) -> None:
        """Somebody takes an answer back that was not executed yet."""
        if request not in self.queue.reviews:
            rows = await self._rows([request])
            code = "executed" if rows and rows[0]["state"] == RELEASED else "unknown"
            why = "was executed already" if code == "executed" else "is not open"
            raise Refused(code, f"request {request} {why}")
        await self.commit(self.queue.undo(request, person, self.clock()))

    def claim(self, request: str, person: Person, keep: bool) -> Review:
        """Keeps a request for somebody, or lets others have it."""
        change = self.queue.claim if keep else self.queue.unclaim
        review = change(request, person, self.clock())
        for listener in tuple(self._listeners):
            listener([Event(self.clock(), "claimed", {}, review.session, request, person.id)])
        self._earlier.set()
        return review

    async def veto(
        self, name: str, verdict: str, lanes: tuple[int, ...], action: Any, person: Person
    ) -> None:
        """Somebody on the loop stops what runs; what they saw is kept with it."""
        session = self.queue.session(name)
        events = [session.veto(verdict, lanes, action, person.id, self.clock())]
        frame = session.frame
        shown = [] if frame is None else [Shown(frame.context, frame.shown, frame.picture)]
        await self.commit(events, shown)

    async def control(self, name: str, changes: Mapping[str, Any], person: Person) -> Control:
        """People set how a session goes on."""
        wanted = self.queue.session(name).control.changed(changes)
        await self.commit(self.queue.control(name, wanted, person.id, self.clock()))
        return wanted

    async def change_settings(self, changes: Mapping[str, Any], by: str = "") -> Settings:
        """An administrator changes deadlines and the like; requests that are open keep theirs."""
        settings = self.queue.settings.changed(changes)
        self.queue.settings = settings
        kept = {name: value for name, value in settings.as_dict().items() if name in changes}
        await self.commit([Event(self.clock(), "settings", {"settings": kept}, who=by)])
        return settings

    async def log(self, kind: str, body: Mapping[str, Any], who: str = "") -> None:
        """Writes into the ledger that somebody came in or was turned down."""
        await self.commit([Event(self.clock(), kind, body, who=who)])

    # Reading

    async def read(self, statement: Select[Any]) -> list[Mapping[str, Any]]:
        """Rows of a statement, without holding up anybody else."""
        return await asyncio.to_thread(self.store.read, statement)

    async def _rows(self, requests: Sequence[str]) -> list[Mapping[str, Any]]:
        """Requests that are held no more, as they stand on disk, once they are there."""
        if self._leaving.intersection(requests):
            await asyncio.wrap_future(self.store.append(Change([])))
        return await self.read(select(REQUESTS).where(REQUESTS.c.id.in_(requests)))

    async def shown(self, digest: str) -> Shown:
        """What reviewers were shown, by its digest.

        Raises:
            Refused: if nothing like that is kept.
        """
        if digest in self._shown:
            return self._shown[digest]
        rows = await self.read(select(CONTEXTS).where(CONTEXTS.c.digest == digest))
        if not rows:
            raise Refused("unknown", f"nothing is kept under {digest!r}")
        return Shown(rows[0]["digest"], rows[0]["shown"], rows[0]["picture"])
