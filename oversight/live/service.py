"""The review service as an ASGI application: desk, guard and routes put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Route

from looplab import __version__
from looplab.envs.errors import UsageError
from looplab.oversight.live.desk import Desk
from looplab.oversight.live.guard import ANYBODY, Buckets, Guard, allowed, roles_of
from looplab.oversight.live.refusal import Refused
from looplab.oversight.live.roles import Person
from looplab.oversight.live.routes import (
    administrators,
    analysts,
    door,
    reviewers,
    stream,
    trainers,
)

TITLE = "LoopLab review service"
PARTS = (door, trainers, reviewers, administrators, analysts, stream)
_CODES = {400: "malformed", 404: "unknown", 405: "unknown", 413: "too_large"}


def application(desk: Desk, hosts: tuple[str, ...] = (), console: bool = False) -> FastAPI:
    """The service around a desk.

    Args:
        desk: starts and stops with it.
        hosts: names (host:port) that its own pages may come from, beside what it is called.
        console: whether people's pages are there too; once in a process.
    """

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        await desk.start()
        yield
        await desk.stop()

    app = FastAPI(
        title=TITLE, version=__version__, lifespan=life, openapi_url=None, docs_url=None,
        redoc_url=None, redirect_slashes=False,
    )  # fmt: skip
    app.state.desk = desk
    app.state.buckets = Buckets()
    for part in PARTS:
        app.include_router(part.router)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(UsageError, _unusable)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _unroutable)

    @app.get("/openapi.json", include_in_schema=False)
    @allowed(ANYBODY)
    async def description() -> dict[str, Any]:
        return describe(app)

    routes = routes_of(app)
    if console:
        from looplab.oversight.live.console.login import router
        from looplab.oversight.live.console.mount import mount

        app.include_router(router)
        routes += [*router.routes, mount(app)]
    app.add_middleware(Guard, routes=routes, desk=desk, buckets=app.state.buckets, hosts=hosts)
    return app


def routes_of(app: FastAPI) -> list[BaseRoute]:
    """Every single route of the service, those of its parts included."""
    own = [route for route in app.routes if isinstance(route, Route)]
    return [*own, *(route for part in PARTS for route in part.router.routes)]


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description, with the roles of every route."""
    if app.openapi_schema is None:
        found = get_openapi(title=TITLE, version=__version__, routes=app.routes)
        found.setdefault("components", {})["securitySchemes"] = {
            "token": {"type": "http", "scheme": "bearer"}
        }
        roles: dict[str, dict[str, frozenset[str]]] = {}
        for route in routes_of(app):
            for method in getattr(route, "methods", None) or ():
                path = str(getattr(route, "path", ""))
                roles.setdefault(path, {})[method.lower()] = roles_of(route)
        for path, methods in found["paths"].items():
            for method, operation in methods.items():
                who = roles[path][method]
                operation["x-roles"] = sorted(who)
                operation["security"] = [] if ANYBODY in who else [{"token": []}]
        app.openapi_schema = found
    return app.openapi_schema


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refused)
    if error.to_log:
        await _log(request, error)
    headers = {"retry-after": "1"} if error.status == 429 else None
    return JSONResponse(error.as_dict(), error.status, headers)


async def _unusable(request: Request, error: Exception) -> JSONResponse:
    return await _refused(request, Refused("invalid", str(error)))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """One line on the first thing that does not fit."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part not in ("body",))
    code = "malformed" if first["type"] == "json_invalid" else "invalid"
    message = f"{where}: {first['msg']}" if where else str(first["msg"])
    return await _refused(request, Refused(code, message))


async def _unroutable(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    cause: BaseException | None = error.__cause__
    while cause is not None and not isinstance(cause, Refused):
        cause = cause.__cause__
    if isinstance(cause, Refused):  # raised while the body was read
        return await _refused(request, cause)
    refused = Refused(_CODES.get(error.status_code, "malformed"), str(error.detail))
    refused.status = error.status_code
    response = await _refused(request, refused)
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response


async def _log(request: Request, error: Refused) -> None:
    """Writes down that somebody was turned down, by whom it is known."""
    if error.code in ("too_many", "unavailable"):
        return
    person: Person | None = getattr(request.state, "person", None)
    desk: Desk = request.app.state.desk
    body = {"code": error.code, "method": request.method}
    await desk.log("refused", body, "" if person is None else person.id)
