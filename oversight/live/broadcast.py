"""News for everybody who listens: each is put into words once, however many hear it."""

import asyncio
import json
from collections.abc import Sequence
from weakref import WeakKeyDictionary

from looplab.oversight.live.desk import Desk, Unsubscribe
from looplab.oversight.live.event import Event
from looplab.oversight.live.review import Review
from looplab.oversight.live.roles import Person

#: News that a slow listener may be behind; then it has to come again and look at all anew.
_BACKLOG = 1000
#: Kinds of events that are told, and those in which a request left the queue.
_TOLD = frozenset(
    ("session_opened", "session_resumed", "session_ended", "control", "asked", "deferred",
     "escalated", "claimed", "undone", "shown", "vetoed", "veto_taken", "settings")
)  # fmt: skip
_GONE = frozenset(("decided", "overdue", "released", "withdrawn"))


class Listener:
    """Somebody who hears all that is meant for them.

    Args:
        person: who.
    """

    def __init__(self, person: Person) -> None:
        self.person = person
        #: News as JSON text; None: there will be none any more.
        self.news: asyncio.Queue[str | None] = asyncio.Queue(_BACKLOG)
        #: Whether news was lost because they were too slow.
        self.lost = False

    def tell(self, text: str | None) -> None:
        """Puts a piece of news behind the others."""
        try:
            self.news.put_nowait(text)
        except asyncio.QueueFull:
            self.lost = True


class Broadcast:
    """Everybody who listens to one desk.

    Args:
        desk: whose news.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._listeners: list[Listener] = []
        self._unsubscribe: Unsubscribe | None = None

    def join(self, listener: Listener) -> None:
        """Somebody listens from now on."""
        self._listeners.append(listener)
        if self._unsubscribe is None:
            self._unsubscribe = self._desk.on_change(self._hear)

    def leave(self, listener: Listener) -> None:
        """Somebody does not any more."""
        self._listeners.remove(listener)
        if not self._listeners and self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def _hear(self, events: Sequence[Event]) -> None:
        for event in events:
            found = self._told(event)
            if found is None:
                continue
            text, review = found
            for listener in self._listeners:
                if review is None or self._desk.queue.is_for(review, listener.person):
                    listener.tell(text)

    def _told(self, event: Event) -> tuple[str, Review | None] | None:
        """An event in words, and the request that it is about, which not everybody may see."""
        about = {"kind": event.kind, "at": event.at, "session": event.session}
        if event.kind in _GONE:
            gone = {**about, "kind": "gone", "how": event.kind, "request": event.request}
            return json.dumps(gone), None
        if event.kind not in _TOLD:
            return None
        if not event.request:
            more = {"clock": event.body["clock"]} if "clock" in event.body else {}
            return json.dumps({**about, **more}), None
        review = self._desk.queue.reviews.get(event.request)
        if review is None:
            return None
        told = {**about, "request": review.id, "review": review.summary()}
        return json.dumps(told), review


_OF: "WeakKeyDictionary[Desk, Broadcast]" = WeakKeyDictionary()


def broadcast_of(desk: Desk) -> Broadcast:
    """The one broadcast of a desk."""
    if desk not in _OF:
        _OF[desk] = Broadcast(desk)
    return _OF[desk]
