"""What a classroom's server lets through: who may ask, from where, for what, and how much."""

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from looplab.oversight.live.asgi import (
    HEADERS,
    App,
    Receive,
    Scope,
    Send,
    is_loopback,
    with_headers,
)

#: What students on other machines may open; the page of the lesson opens on this machine only.
STUDENTS_PATHS = ("/join", "/_nicegui/", "/_nicegui_ws/", "/classroom/", "/favicon.ico")
#: Bytes of a request's body, and of a message, at most.
MOST_BYTES = 100_000
#: NiceGUI's page compiles its templates in the browser, and carries its scripts and styles inline.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    **HEADERS,
    "Content-Security-Policy": POLICY,
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Guard:
    """An ASGI layer around the whole server.

    - The ``Host`` must be this machine's: an address, or one of its names. A page elsewhere cannot
      reach the server by a name that it points here.
    - A request or a WebSocket that names an ``Origin`` must come from the server's own pages.
    - Other machines get what students need, and nothing else.
    - Bodies are limited, and answers forbid frames and foreign sources.

    Args:
        app: what it stands around.
        host: what the server binds to.
    """

    def __init__(self, app: App, host: str) -> None:
        self._app = app
        self._local = is_loopback(host)
        self._names = {"localhost", host.lower(), socket.gethostname().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or refuses it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refused = self._refusal(scope)
        if refused is None:
            await self._app(scope, receive, with_headers(send, _HEADERS))
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _refuse(with_headers(send, _HEADERS), *refused)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and text of what is refused; None: nothing is."""
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"host", "")
        if not self._is_own(host):
            return 421, "this is not the server of that name"
        origin = headers.get(b"origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return 403, "pages of other servers are not served"
        address = (scope.get("client") or ("",))[0]
        if not is_loopback(address) and not _starts(scope["path"], STUDENTS_PATHS):
            return 403, "the page of the lesson opens only on the machine that shows it; use /join"
        if b"transfer-encoding" in headers:  # it need not end
            return 411, "a body must say its length"
        length = headers.get(b"content-length", "0")
        if not length.isdigit() or int(length) > MOST_BYTES:
            return 413, "too much at once"
        return None

    def _is_own(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:
            return False
        if self._local:
            return is_loopback(name)
        return name in self._names or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _starts(path: str, allowed: Iterable[str]) -> bool:
    return any(
        path == own or path.startswith(own if own.endswith("/") else f"{own}/") for own in allowed
    )


async def _refuse(send: Send, status: int, text: str) -> None:
    body = f"{text}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
