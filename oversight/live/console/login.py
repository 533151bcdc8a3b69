"""The log-in page and the console's own files: all that somebody without a token is given."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Cookie
from fastapi import Path as InPath
from fastapi.responses import FileResponse, RedirectResponse, Response

from looplab.oversight.live.guard import ANYBODY, COOKIE, allowed
from looplab.oversight.live.refusal import Refused
from looplab.oversight.live.routes.common import AtDesk

router = APIRouter(include_in_schema=False)

STATIC = Path(__file__).parent / "static"
_KINDS = {
    "console.css": "text/css", "console.js": "text/javascript", "favicon.svg": "image/svg+xml",
    "login.css": "text/css", "login.js": "text/javascript",
}  # fmt: skip
#: The page loads its own files and calls its own service; nothing else, and nobody frames it.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@router.get("/")
@router.get("/login")
@allowed(ANYBODY)
async def login_page(desk: AtDesk, kept: Annotated[str, Cookie(alias=COOKIE)] = "") -> Response:
    """Where people come in; whoever is in already is sent on by the page, after it read a token."""
    try:
        desk.people.known(kept, desk.clock())
        inside = "yes"
    except Refused:
        inside = "no"
    page = (STATIC / "login.html").read_text(encoding="utf-8").replace("{{in}}", inside)
    return Response(page, media_type="text/html", headers={"content-security-policy": _POLICY})


@router.get("/console")
@allowed(ANYBODY)
async def without_slash() -> Response:
    """The console's address as people type it."""
    return RedirectResponse("/console/", 307)


@router.get("/files/{name}")
@allowed(ANYBODY)
async def file(name: Annotated[str, InPath(max_length=40)]) -> Response:
    """A style, a script or the sign of the pages."""
    if name not in _KINDS:
        raise Refused("unknown", f"there is no file {name!r}")
    return FileResponse(
        STATIC / name, media_type=_KINDS[name], headers={"cache-control": "no-cache"}
    )
