"""What pages and programs listen to: news of requests, sessions and what runs, as it comes."""

import asyncio
from typing import Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from looplab.oversight.live.broadcast import Listener, broadcast_of
from looplab.oversight.live.desk import Desk
from looplab.oversight.live.guard import allowed
from looplab.oversight.live.roles import Person
from looplab.oversight.live.routes.common import LOOKING
from looplab.oversight.live.settings import MILLISECONDS

router = APIRouter()

_BEAT_SECONDS = 15.0
_TOO_SLOW, _NO_LONGER = 4408, 4401


@router.websocket("/api/stream")
@allowed(*LOOKING)
async def stream(websocket: WebSocket) -> None:
    """News, one JSON object each: ``kind``, and what it is about; first of all what waits now."""
    desk: Desk = websocket.app.state.desk
    person: Person = websocket.state.person
    await websocket.accept()
    broadcast, listener = broadcast_of(desk), Listener(person)
    broadcast.join(listener)
    ending = asyncio.create_task(_until_gone(websocket, listener))
    try:
        await websocket.send_json(_now(desk, person))
        await _forward(websocket, desk, listener)
    except (WebSocketDisconnect, RuntimeError):
        pass  # whoever listened has gone
    finally:
        broadcast.leave(listener)
        ending.cancel()


async def _until_gone(websocket: WebSocket, listener: Listener) -> None:
    """Ends the news when the other side closes; what it sends is not listened to."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        continue
    while not listener.news.empty():
        listener.news.get_nowait()
    listener.tell(None)


async def _forward(websocket: WebSocket, desk: Desk, listener: Listener) -> None:
    while True:
        if not desk.people.holds(listener.person, desk.clock()):
            await websocket.close(_NO_LONGER, "the token is not valid any more")
            return
        if listener.lost:
            await websocket.close(_TOO_SLOW, "too slow; connect again")
            return
        left = (listener.person.expires_at - desk.clock()) / MILLISECONDS
        try:
            async with asyncio.timeout(min(_BEAT_SECONDS, max(left, 0.01))):
                text = await listener.news.get()
        except TimeoutError:
            await websocket.send_json({"kind": "beat", "now": desk.clock()})
            continue
        if text is None:
            return
        await websocket.send_text(text)


def _now(desk: Desk, person: Person) -> dict[str, Any]:
    """What waits as somebody connects."""
    return {
        "kind": "now", "now": desk.clock(),
        "requests": [review.summary() for review in desk.queue.open(person)],
        "sessions": [session.id for session in desk.queue.sessions.values()],
    }  # fmt: skip
