"""What those call who want to know how reviews go: figures of all, and of oneself."""

from typing import Annotated

from fastapi import APIRouter, Query

from looplab.oversight.live.analytics.extract import Selection
from looplab.oversight.live.analytics.summary import OwnFigures, Summary
from looplab.oversight.live.guard import allowed
from looplab.oversight.live.messages import NAME
from looplab.oversight.live.routes.common import ANSWERING, PROBLEMS, RULING, AtDesk, Caller

router = APIRouter(prefix="/api/analytics", tags=["analysts"], responses=PROBLEMS)

OneSession = Annotated[
    str, Query(pattern=rf"^$|{NAME}", description="one live run; none: all but practice")
]
Since = Annotated[
    int | None, Query(ge=0, lt=2**53, description="asked at or after, milliseconds since 1970")
]
Until = Annotated[int | None, Query(ge=0, lt=2**53, description="asked before, likewise")]


@router.get("")
@allowed(*RULING)
async def summary(
    desk: AtDesk, session: OneSession = "", since: Since = None, until: Until = None
) -> Summary:
    """Rates, times, agreement, detection, automation and load of what was asked within a time."""
    return await desk.analyst.summary(Selection(session, since, until))


@router.get("/me")
@allowed(*ANSWERING)
async def own(
    desk: AtDesk,
    caller: Caller,
    session: OneSession = "",
    since: Since = None,
    until: Until = None,
) -> OwnFigures:
    """What you did yourself: counts, shares and times; not what of it was right."""
    return await desk.analyst.own(Selection(session, since, until), caller.id)
