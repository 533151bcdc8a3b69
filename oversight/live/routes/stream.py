"""What pages and programs listen to: news of requests, sessions and what runs, as it comes."""

import asyncio
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from looplab.oversight.live.desk import Desk
from looplab.oversight.live.event import Event
from looplab.oversight.live.guard import allowed
from looplab.oversight.live.roles import Person
from looplab.oversight.live.routes.common import LOOKING
from looplab.oversight.live.settings import MILLISECONDS

router = APIRouter()

#: News that a slow listener may be behind; then it has to come again and look at all anew.
_BACKLOG = 1000
_BEAT_SECONDS = 15.0
_TOO_SLOW, _NO_LONGER = 4408, 4401
#: Kinds of events that are told, and those in which a request left the queue.
_TOLD = frozenset(
    ("session_opened", "session_resumed", "session_ended", "control", "asked", "deferred",
     "escalated", "claimed", "undone", "shown", "vetoed", "veto_taken", "settings")
)  # fmt: skip
_GONE = frozenset(("decided", "overdue", "released", "withdrawn"))


@router.websocket("/api/stream")
@allowed(*LOOKING)
async def stream(websocket: WebSocket) -> None:
    """News, one JSON object each: ``kind``, and what it is about; first of all what waits now."""
    desk: Desk = websocket.app.state.desk
    person: Person = websocket.state.person
    await websocket.accept()
    news: asyncio.Queue[dict[str, Any]] = asyncio.Queue(_BACKLOG)
    lost = asyncio.Event()

    def listen(events: Sequence[Event]) -> None:
        for event in events:
            told = _told(desk, person, event)
            if told is None:
                continue
            try:
                news.put_nowait(told)
            except asyncio.QueueFull:
                lost.set()

    unsubscribe = desk.on_change(listen)
    ending = asyncio.create_task(_until_gone(websocket))
    try:
        await websocket.send_json(_now(desk, person))
        await _forward(websocket, desk, person, news, lost, ending)
    except (WebSocketDisconnect, RuntimeError):
        pass  # whoever listened has gone
    finally:
        unsubscribe()
        ending.cancel()


async def _until_gone(websocket: WebSocket) -> None:
    """Returns when the other side closes; what it sends is not listened to."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        continue


async def _forward(
    websocket: WebSocket,
    desk: Desk,
    person: Person,
    news: "asyncio.Queue[dict[str, Any]]",
    lost: asyncio.Event,
    ending: "asyncio.Task[None]",
) -> None:
    while not ending.done():
        if not desk.people.holds(person, desk.clock()):
            await websocket.close(_NO_LONGER, "the token is not valid any more")
            return
        if lost.is_set():
            await websocket.close(_TOO_SLOW, "too slow; connect again")
            return
        getting = asyncio.create_task(news.get())
        left = (person.expires_at - desk.clock()) / MILLISECONDS
        await asyncio.wait(
            (getting, ending), timeout=min(_BEAT_SECONDS, max(left, 0.01)),
            return_when=asyncio.FIRST_COMPLETED,
        )  # fmt: skip
        if getting.done():
            await websocket.send_json(getting.result())
        else:
            getting.cancel()
            if not ending.done():
                await websocket.send_json({"kind": "beat", "now": desk.clock()})


def _now(desk: Desk, person: Person) -> dict[str, Any]:
    """What waits as somebody connects."""
    return {
        "kind": "now", "now": desk.clock(),
        "requests": [review.summary() for review in desk.queue.open(person)],
        "sessions": [session.id for session in desk.queue.sessions.values()],
    }  # fmt: skip


def _told(desk: Desk, person: Person, event: Event) -> dict[str, Any] | None:
    """What somebody is told of an event; None: nothing."""
    about = {"kind": event.kind, "at": event.at, "session": event.session}
    if event.kind in _GONE:
        return {**about, "kind": "gone", "how": event.kind, "request": event.request}
    if event.kind not in _TOLD:
        return None
    if not event.request:
        return {**about, **({"clock": event.body["clock"]} if "clock" in event.body else {})}
    review = desk.queue.reviews.get(event.request)
    if review is None or not desk.queue.is_for(review, person):
        return None
    return {**about, "request": review.id, "review": review.summary()}
