"""The guard at the door: who comes in, how much and how often, before anything is looked at.

A plain ASGI layer around the service, so that no route can forget it: addresses' roles are read
from the routes, and one that names none is closed to everybody.
"""

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from typing import Any, TypeVar
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.routing import BaseRoute, Match, Mount

from looplab.oversight.live.asgi import HEADERS, App, Message, Receive, Scope, Send, with_headers
from looplab.oversight.live.desk import Desk
from looplab.oversight.live.refusal import Refused
from looplab.oversight.live.roles import TRAINER, Person

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

COOKIE = "looplab_token"
#: Roles of a route that anybody may call.
ANYBODY = "anybody"
_ROLES = "__looplab_roles__"
#: Bytes of a body: what trainers send holds pictures.
MAX_BODY, MAX_TRAINER_BODY = 1_000_000, 16_000_000
#: Seconds within which a body must be there.
BODY_SECONDS = 20.0
#: Requests per second and at once: of a person, of a program that trains, of an unknown address.
RATES = {"person": (100.0, 300.0), "trainer": (2000.0, 4000.0), "stranger": (5.0, 30.0)}
_MOST_BUCKETS = 10_000
_UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
_CLOSED = 4401
#: Nothing that the service says is kept by browsers and what stands between.
_HEADERS = {**HEADERS, "Cache-Control": "no-store"}


def allowed(*roles: str) -> Callable[[Endpoint], Endpoint]:
    """Marks a route with the roles that may call it; ``ANYBODY`` needs no token."""

    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _ROLES, frozenset(roles))
        return endpoint

    return mark


def roles_of(route: BaseRoute) -> frozenset[str]:
    """Roles that may call a route, or what is mounted there; none where it names none."""
    answers = getattr(route, "endpoint", None) or getattr(route, "app", None)
    return getattr(answers, _ROLES, frozenset())


class Buckets:
    """Limits how often somebody comes: each has so many at once, and gets new ones with time.

    Args:
        clock: seconds, from any beginning.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, who: str, kind: str, cost: float = 1.0) -> bool:
        """Whether somebody may come once more; it is counted if so.

        Args:
            who: their name.
            kind: one of ``RATES``.
            cost: how many it counts for; 0 only asks.
        """
        rate, most = RATES[kind]
        now = self._clock()
        left, since = self._left.pop(who, (most, now))
        left = min(most, left + (now - since) * rate)
        enough = left >= max(cost, 1.0)
        self._left[who] = (left - cost if enough else left, now)
        while len(self._left) > _MOST_BUCKETS:
            self._left.popitem(last=False)
        return enough


class Guard:
    """Lets in who has a token of the right role, and no more than can be digested.

    Args:
        app: the service.
        routes: of the service; each says who may call it.
        desk: knows whose token it is, and writes down who was turned down.
        buckets: how often everybody may still come.
        hosts: names and addresses that the service goes by, beside what it is called in a request.
    """

    def __init__(
        self,
        app: App,
        routes: list[BaseRoute],
        desk: Desk,
        buckets: Buckets,
        hosts: tuple[str, ...] = (),
    ) -> None:
        self._app = app
        self._routes = routes
        self._desk = desk
        self._hosts = hosts
        self._buckets = buckets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or one connection."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        address = (scope.get("client") or ("unknown",))[0]
        scope.setdefault("state", {}).update(address=address, desk=self._desk)
        try:
            person, roles = self._let_in(scope, address)
        except Refused as refused:
            await self._turn_away(scope, receive, send, refused)
            return
        if person is not None:
            scope["state"]["person"] = person
        most = MAX_TRAINER_BODY if TRAINER in roles else MAX_BODY
        limited = receive if scope["type"] == "websocket" else _limited(scope, receive, most)
        await self._app(scope, limited, with_headers(send, _HEADERS))

    def _let_in(self, scope: Scope, address: str) -> tuple[Person | None, frozenset[str]]:
        headers = Headers(scope=scope)
        self._check_origin(scope, headers)
        route = _route(scope, self._routes)
        roles = frozenset[str]() if route is None else roles_of(route)
        if ANYBODY in roles:
            if not self._buckets.take(f"all {address}", "person"):
                raise Refused("too_many", "too many requests; slow down")
            return None, roles
        if not self._buckets.take(f"stranger {address}", "stranger", cost=0.0):
            raise Refused("too_many", "too many attempts from this address; wait a while")
        try:
            person = self._desk.people.known(_token(scope, headers), self._desk.clock())
        except Refused:
            self._buckets.take(f"stranger {address}", "stranger")
            raise
        kind = "trainer" if person.role == TRAINER else "person"
        if not self._buckets.take(person.id, kind):
            raise Refused("too_many", "too many requests; slow down")
        if route is None:
            raise Refused("unknown", f"there is nothing at {scope['path']}")
        if person.role not in roles:
            allowed = " or ".join(sorted(roles)) or "nobody"
            raise Refused("forbidden", f"this needs the role {allowed}, yours is {person.role}")
        return person, roles

    def _check_origin(self, scope: Scope, headers: Headers) -> None:
        """Pages of others may neither connect nor change anything in a visitor's name."""
        origin = headers.get("origin")
        watched = scope["type"] == "websocket" or scope.get("method") in _UNSAFE
        if origin is None or not watched:
            return
        host = urlsplit(origin).netloc.lower()
        if host not in (headers.get("host", "").lower(), *self._hosts):
            raise Refused("forbidden", "this origin is not the service's own")

    async def _turn_away(
        self, scope: Scope, receive: Receive, send: Send, refused: Refused
    ) -> None:
        """Answers, and writes it down unless it comes too often."""
        if refused.code != "too_many":
            body = {"code": refused.code, "method": scope.get("method", "CONNECT")}
            with suppress(Refused):  # nothing can be written any more: the service is ending
                await self._desk.log("refused", body)
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": _CLOSED, "reason": refused.code})
            return
        if _seeks_page(scope):
            await _to_log_in(with_headers(send, _HEADERS), refused)
            return
        await answer(with_headers(send, _HEADERS), refused)


def _route(scope: Scope, routes: Sequence[BaseRoute]) -> BaseRoute | None:
    """The route that would answer, in what is mounted too; with another method it is the same."""
    partial: BaseRoute | None = None
    for route in routes:
        match, child = route.matches(scope)
        if match is Match.FULL:
            inner = route.routes if isinstance(route, Mount) else []
            return _route({**scope, **child}, inner) if inner else route
        if match is Match.PARTIAL and not isinstance(route, Mount) and partial is None:
            partial = route
    return partial


async def answer(send: Send, refused: Refused) -> None:
    """Sends a refusal."""
    body = json.dumps(refused.as_dict()).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    if refused.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if refused.status == 429:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


#: Why a visitor is sent to the log-in page, as it says it.
_WHY = {"unauthenticated": "needed", "expired": "expired", "forbidden": "forbidden"}


def _seeks_page(scope: Scope) -> bool:
    """Whether somebody wants to see a page, rather than a program its data."""
    wants = Headers(scope=scope).get("accept", "")
    return scope["method"] == "GET" and "text/html" in wants and not _is_data(scope["path"])


def _is_data(path: str) -> bool:
    return path.startswith("/api/") or path in ("/health", "/openapi.json")


async def _to_log_in(send: Send, refused: Refused) -> None:
    """Sends a visitor to the log-in page, which says why."""
    if refused.code not in _WHY:
        await answer(send, refused)
        return
    where = f"/login#why={_WHY[refused.code]}".encode()
    headers = [(b"location", where), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _token(scope: Scope, headers: Headers) -> str:
    """The token that comes with a request: of programs in a header, of pages in a cookie."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    try:
        kept = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        kept = None
    if kept is not None and kept.value:
        return kept.value
    raise Refused("unauthenticated", "a token is needed: Authorization: Bearer TOKEN")


def _limited(scope: Scope, receive: Receive, most: int) -> Receive:
    """Takes a body of at most so many bytes, within a time."""
    declared = Headers(scope=scope).get("content-length", "0")
    if declared.isdigit() and int(declared) > most:
        raise_later: Refused | None = _too_large(most)
    else:
        raise_later = None
    read, complete, end = 0, False, time.monotonic() + BODY_SECONDS

    async def take() -> Message:
        nonlocal read, complete
        if raise_later is not None:
            raise raise_later
        if complete:  # only the end of the connection can come now
            return await receive()
        try:
            async with asyncio.timeout(max(end - time.monotonic(), 0.001)):
                message = await receive()
        except TimeoutError:
            raise Refused("timeout", f"the body did not come in {BODY_SECONDS:g} s") from None
        read += len(message.get("body", b""))
        complete = message["type"] != "http.request" or not message.get("more_body", False)
        if read > most:
            raise _too_large(most)
        return message

    return take


def _too_large(most: int) -> Refused:
    return Refused("too_large", f"a body may have {most} bytes")
