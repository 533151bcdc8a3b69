"""A page's socket belongs to whoever loaded the page.

NiceGUI finds a page by a number that the socket names. Here the token must be the same, too: who
learns another's number can neither see that page nor press anything on it.
"""

import urllib.parse
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any

from nicegui import Client, core
from socketio.exceptions import ConnectionRefusedError as Unwelcome

from looplab.oversight.live.roles import Person

_MESSAGES = ("handshake", "event", "javascript_response", "ack", "log")
_BOUND = "__looplab_bound__"
Handler = Callable[..., Any]


def bind_sockets() -> None:
    """Puts the check before whatever sockets say; once in a process."""
    handlers: dict[str, Handler] = core.sio.handlers["/"]
    for name in _MESSAGES:
        if not hasattr(handlers[name], _BOUND):
            core.sio.on(name, _bound(handlers[name]))
    if not hasattr(handlers["connect"], _BOUND):
        core.sio.on("connect", _bound_connect(handlers["connect"]))


def _bound(handler: Handler) -> Callable[[str, Any], Awaitable[Any]]:
    async def checked(sid: str, message: Any) -> Any:
        named = message.get("client_id") if isinstance(message, dict) else None
        if not owns(core.sio.get_environ(sid), named):
            return False
        answer = handler(sid, message)
        return await answer if isawaitable(answer) else answer

    setattr(checked, _BOUND, True)
    return checked


def _bound_connect(handler: Handler) -> Callable[..., Awaitable[Any]]:
    async def checked(sid: str, environ: dict[str, Any], auth: Any = None) -> Any:
        query = urllib.parse.parse_qs(environ.get("QUERY_STRING", ""))
        named = query.get("client_id", [""])[0]
        if named in Client.instances and not owns(environ, named):
            raise Unwelcome("this page is somebody else's")
        return await handler(sid, environ, auth)

    setattr(checked, _BOUND, True)
    return checked


def owns(environ: dict[str, Any] | None, client_id: Any) -> bool:
    """Whether a socket came in with the token with which the page was loaded.

    Args:
        environ: of the socket.
        client_id: number of the page.
    """
    client = Client.instances.get(client_id) if isinstance(client_id, str) else None
    if client is None or environ is None:
        return False
    person: Person | None = environ.get("asgi.scope", {}).get("state", {}).get("person")
    owner: Person | None = getattr(client.request.state, "person", None)
    return person is not None and owner is not None and person.token == owner.token
