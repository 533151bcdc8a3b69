"""What anybody may call: is the service well, and may I come in?"""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from looplab import __version__
from looplab.oversight.live.guard import ANYBODY, COOKIE, allowed
from looplab.oversight.live.messages import LoginIn
from looplab.oversight.live.refusal import Refused
from looplab.oversight.live.routes.common import PROBLEMS, AtDesk
from looplab.oversight.live.settings import MILLISECONDS

router = APIRouter(tags=["door"], responses=PROBLEMS)


@router.get("/health")
@allowed(ANYBODY)
async def health(desk: AtDesk) -> dict[str, Any]:
    """Whether the service can write."""
    if desk.store.failure is not None:
        raise Refused("unavailable", "the service cannot write to its database")
    return {"ok": True, "version": __version__}


@router.post("/api/login")
@allowed(ANYBODY)
async def login(body: LoginIn, desk: AtDesk, request: Request) -> JSONResponse:
    """Comes in with a token: pages go by a cookie then, which no script can read."""
    limits = request.app.state.buckets
    address = request.state.address
    if not limits.take(f"stranger {address}", "stranger", cost=0.0):
        raise Refused("too_many", "too many attempts from this address; wait a while")
    now = desk.clock()
    try:
        person = desk.people.known(body.token, now)
    except Refused:
        limits.take(f"stranger {address}", "stranger")
        raise
    await desk.log("login", {"role": person.role}, person.id)
    answer = JSONResponse({"person": person.id, "role": person.role, "tier": person.tier})
    answer.set_cookie(
        COOKIE, body.token, max_age=max((person.expires_at - now) // MILLISECONDS, 1),
        httponly=True, samesite="strict", secure=request.url.scheme == "https", path="/",
    )  # fmt: skip
    return answer


@router.post("/api/logout")
@allowed(ANYBODY)
async def logout() -> JSONResponse:
    """Forgets the cookie; the token itself stays good until it ends or is revoked."""
    answer = JSONResponse({"ok": True})
    answer.delete_cookie(COOKIE, path="/")
    return answer
