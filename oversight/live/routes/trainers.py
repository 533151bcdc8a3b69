"""What trainers call: they open a session, ask, and wait for answers.

All of it can be said twice without harm: a trainer that does not know whether it was heard says it
again.
"""

from typing import Any

from fastapi import APIRouter

from looplab.oversight.live.guard import allowed
from looplab.oversight.live.messages import BatchIn, Clock, EndIn, FrameIn, KnownIn, SessionIn
from looplab.oversight.live.roles import TRAINER
from looplab.oversight.live.routes.common import (
    PROBLEMS,
    AtDesk,
    BatchName,
    Caller,
    Seconds,
    SessionName,
)

router = APIRouter(prefix="/api/sessions/{session}", tags=["trainers"], responses=PROBLEMS)


@router.put("")
@allowed(TRAINER)
async def open_session(
    session: SessionName, body: SessionIn, desk: AtDesk, caller: Caller
) -> dict[str, Any]:
    """Begins a session, or goes on with it."""
    opened = await desk.open_session(session, body.about(), caller)
    return {"session": session, "control": opened.control.as_dict()}


@router.post("/beat")
@allowed(TRAINER)
async def beat(
    session: SessionName, body: KnownIn, desk: AtDesk, wait: Seconds = 0.0
) -> dict[str, Any]:
    """Says that a trainer lives; answers as soon as people have set what it does not know."""
    return await desk.control_of(session, body.model_dump(), wait)


@router.post("/end")
@allowed(TRAINER)
async def end_session(
    session: SessionName, body: EndIn, desk: AtDesk, caller: Caller
) -> dict[str, Any]:
    """Ends a session; what it still asked is withdrawn."""
    await desk.end_session(session, body.reason, caller, body.counts)
    return {"session": session}


@router.put("/batches/{batch}")
@allowed(TRAINER)
async def ask(
    session: SessionName, batch: BatchName, body: BatchIn, desk: AtDesk
) -> dict[str, Any]:
    """Asks about lanes of one step, which wait for one another."""
    asks = [request.ask(session, batch) for request in body.requests]
    await desk.ask(session, batch, asks, body.counts)
    return {"session": session, "requests": [ask.id for ask, _ in asks]}


@router.get("/batches/{batch}")
@allowed(TRAINER)
async def answers(
    session: SessionName, batch: BatchName, desk: AtDesk, wait: Seconds = 0.0
) -> dict[str, Any]:
    """The answers of a batch, as soon as all of them stand."""
    return await desk.answers(session, batch, wait)


@router.put("/frames/{clock}")
@allowed(TRAINER)
async def show(session: SessionName, clock: Clock, body: FrameIn, desk: AtDesk) -> dict[str, Any]:
    """Shows the next step to whoever watches."""
    await desk.show(session, clock, body.shown(), body.counts)
    return {"session": session}


@router.get("/frames/{clock}")
@allowed(TRAINER)
async def vetoes(
    session: SessionName, clock: Clock, desk: AtDesk, wait: Seconds = 0.0
) -> dict[str, Any]:
    """What stopped the step that is shown, when its time is over or somebody did."""
    return await desk.vetoes(session, clock, wait)
