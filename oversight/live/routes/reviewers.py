"""What people's programs and pages call: they see what waits, and answer."""

import json
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from sqlalchemy import select

from looplab.oversight.live.guard import allowed
from looplab.oversight.live.messages import SpeedIn, VerdictIn, VerdictsIn, VetoIn
from looplab.oversight.live.recall import review_of
from looplab.oversight.live.refusal import Refused
from looplab.oversight.live.roles import ADMIN
from looplab.oversight.live.routes.common import (
    ANSWERING,
    LOOKING,
    PROBLEMS,
    AtDesk,
    Caller,
    Digest,
    RequestName,
    SessionName,
    picture_of,
)
from looplab.oversight.live.session import Session
from looplab.oversight.live.tables import REQUESTS

router = APIRouter(prefix="/api", tags=["people"], responses=PROBLEMS)


@router.get("/me")
@allowed(*LOOKING)
async def me(desk: AtDesk, caller: Caller) -> dict[str, Any]:
    """Who you are, and until when."""
    return {
        "person": caller.id, "role": caller.role, "tier": caller.tier,
        "expires_at": caller.expires_at, "now": desk.clock(),
    }  # fmt: skip


@router.get("/sessions")
@allowed(*LOOKING)
async def sessions(desk: AtDesk) -> list[dict[str, Any]]:
    """Live runs, those that go on first."""
    found = sorted(desk.queue.sessions.values(), key=lambda s: (s.state != "open", s.id))
    return [_summary(session) for session in found]


@router.get("/sessions/{session}")
@allowed(*LOOKING)
async def session(session: SessionName, desk: AtDesk) -> dict[str, Any]:
    """One live run."""
    return _summary(desk.queue.session(session))


def _summary(session: Session) -> dict[str, Any]:
    frame = session.frame
    return {
        "id": session.id, "state": session.state, **session.about.as_dict(),
        "control": session.control.as_dict(), "clock": None if frame is None else frame.clock,
    }  # fmt: skip


@router.get("/requests")
@allowed(*LOOKING)
async def requests(desk: AtDesk, caller: Caller) -> dict[str, Any]:
    """What waits for you, most urgent first, and the time by the service's clock."""
    mine = desk.queue.open(caller)
    return {"now": desk.clock(), "requests": [review.summary() for review in mine]}


@router.get("/requests/{request}")
@allowed(*LOOKING)
async def one_request(request: RequestName, desk: AtDesk, caller: Caller) -> dict[str, Any]:
    """A request, what is shown of it, and how it was answered."""
    held = desk.queue.reviews.get(request)
    if held is None:
        rows = await desk.read(select(REQUESTS).where(REQUESTS.c.id == request))
        if not rows:
            raise Refused("unknown", f"there is no request {request!r}")
        held = review_of(rows[0])
    if caller.role != ADMIN and not desk.queue.session(held.session).asks(caller):
        raise Refused("forbidden", f"request {request} asks somebody else")
    shown = await desk.shown(held.context)
    return {
        **held.summary(), "now": desk.clock(), "context": held.context,
        "shown": json.loads(shown.text), "picture": shown.picture is not None,
        "answer": None if held.answer is None else dict(held.answer), "who": held.who,
        **desk.feedback(held),
    }  # fmt: skip


@router.get("/shown/{digest}/picture", response_class=Response)
@allowed(*LOOKING)
async def picture(digest: Digest, desk: AtDesk) -> Response:
    """The picture of what is shown (PNG)."""
    return picture_of(await desk.shown(digest))


@router.post("/requests/{request}/claim")
@allowed(*ANSWERING)
async def claim(request: RequestName, desk: AtDesk, caller: Caller) -> dict[str, Any]:
    """Keeps a request for you while you look at it."""
    return desk.claim(request, caller, keep=True).summary()


@router.delete("/requests/{request}/claim")
@allowed(*ANSWERING)
async def unclaim(request: RequestName, desk: AtDesk, caller: Caller) -> dict[str, Any]:
    """Lets others have it."""
    return desk.claim(request, caller, keep=False).summary()


@router.post("/requests/{request}/verdict")
@allowed(*ANSWERING)
async def answer(
    request: RequestName, body: VerdictIn, desk: AtDesk, caller: Caller
) -> dict[str, Any]:
    """Answers a request; acknowledged when it is on disk."""
    (result,) = await desk.decide([body.said(request)], caller)
    if not result["ok"]:
        rest = {name: result[name] for name in ("by",) if name in result}
        raise Refused(result["error"], result["message"], **rest).logged()
    return result


@router.delete("/requests/{request}/verdict")
@allowed(*ANSWERING)
async def undo(request: RequestName, desk: AtDesk, caller: Caller) -> dict[str, Any]:
    """Takes your answer back, where nothing was executed yet."""
    await desk.undo(request, caller)
    return {"request": request, "ok": True}


@router.post("/verdicts")
@allowed(*ANSWERING)
async def answer_many(body: VerdictsIn, desk: AtDesk, caller: Caller) -> dict[str, Any]:
    """Answers many requests, each for itself; acknowledged when all are on disk."""
    said = [verdict.said(verdict.request) for verdict in body.verdicts]
    return {"results": await desk.decide(said, caller)}


@router.get("/sessions/{session}/frame")
@allowed(*LOOKING)
async def frame(session: SessionName, desk: AtDesk) -> dict[str, Any]:
    """The step that runs next where somebody watches."""
    seen = desk.queue.session(session).frame
    if seen is None:
        raise Refused("unknown", f"session {session} shows nothing now")
    return {
        "clock": seen.clock, "at": seen.at, "now": desk.clock(), "context": seen.context,
        "shown": json.loads(seen.shown), "picture": seen.picture is not None,
    }  # fmt: skip


@router.get("/sessions/{session}/frame/picture", response_class=Response)
@allowed(*LOOKING)
async def frame_picture(session: SessionName, desk: AtDesk) -> Response:
    """Its picture (PNG)."""
    seen = desk.queue.session(session).frame
    if seen is None or seen.picture is None:
        raise Refused("unknown", f"session {session} shows no picture now")
    return Response(seen.picture, media_type="image/png")


@router.post("/sessions/{session}/vetoes")
@allowed(*ANSWERING)
async def veto(session: SessionName, body: VetoIn, desk: AtDesk, caller: Caller) -> dict[str, Any]:
    """Stops what runs, in the named lanes or in all."""
    await desk.veto(session, body.verdict, tuple(body.lanes), body.action, caller)
    return {"session": session, "ok": True}


@router.put("/sessions/{session}/speed")
@allowed(*ANSWERING)
async def speed(
    session: SessionName, body: SpeedIn, desk: AtDesk, caller: Caller
) -> dict[str, Any]:
    """Sets the steps per second where somebody watches."""
    return (await desk.control(session, {"speed": body.speed}, caller)).as_dict()


@router.post("/sessions/{session}/stop")
@allowed(*ANSWERING)
async def stop(session: SessionName, desk: AtDesk, caller: Caller) -> dict[str, Any]:
    """The kill switch: ends every lane's episode, and the training with it. For good."""
    return (await desk.control(session, {"stopped": True}, caller)).as_dict()
