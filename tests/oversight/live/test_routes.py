"""Every route against every role; what is malformed is answered in kind and has no effect."""

import asyncio
import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from starlette.routing import WebSocketRoute
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from looplab.oversight.live.client import ReviewerClient
from looplab.oversight.live.guard import ANYBODY, MAX_BODY, Buckets, roles_of
from looplab.oversight.live.refusal import STATUS, Refused
from looplab.oversight.live.roles import ROLES
from looplab.oversight.live.service import PARTS
from tests.oversight.live.conftest import Service, run

#: Every route of the service, from the routes themselves: method, address, roles.
ROUTES = sorted(
    (method, route.path, tuple(sorted(roles_of(route))))
    for part in PARTS
    for route in part.router.routes
    if not isinstance(route, WebSocketRoute) and not hasattr(route, "original_router")
    for method in (getattr(route, "methods", None) or ())
    if method != "HEAD"
)  # fmt: skip
_FILLED = {
    "session": "nobody", "batch": "b", "clock": "1", "request": "nobody:b:0", "digest": "0" * 64,
    "person": "p_000000000000", "token": "000000000000",
}  # fmt: skip


def filled(path: str) -> str:
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: _FILLED[found[1]], path)


@pytest.fixture(scope="module")
def tokens(service: Service) -> dict[str, str]:
    """A token of every role."""
    found = {}
    with service.owner() as owner:
        for role in ROLES:
            body = {"name": role, "role": role}
            found[role] = owner.connection.call("POST", "/api/people", body)["token"]
    return found


@pytest.fixture
def http(service: Service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, trust_env=False) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_every_route_names_who_may_call_it() -> None:
    assert len(ROUTES) > 25
    for method, path, roles in ROUTES:
        assert roles, f"{method} {path} names no role, so that nobody can call it"
        assert set(roles) <= {*ROLES, ANYBODY}


@pytest.mark.parametrize(("method", "path", "roles"), ROUTES)
def test_who_may_call_a_route_may_and_nobody_else(
    http: httpx.Client, tokens: dict[str, str], method: str, path: str, roles: tuple[str, ...]
) -> None:
    """A body that is no JSON shows what is looked at first: whoever may not call is told so."""
    body = b"{" if method in ("POST", "PUT", "PATCH") else None
    for role, token in tokens.items():
        answer = http.request(method, filled(path), headers=bearer(token), content=body)
        allowed = role in roles or ANYBODY in roles
        assert (answer.status_code == 403) != allowed, (role, answer.text)
        assert answer.status_code < 500
    nobody = http.request(method, filled(path), content=body)
    assert (nobody.status_code == 401) != (ANYBODY in roles)
    wrong = http.request(method, filled(path), headers=bearer("looplab_wrong"), content=body)
    assert (wrong.status_code == 401) != (ANYBODY in roles)
    time.sleep(0.5)  # strangers may knock only so often


def test_what_is_not_there_is_told_only_to_who_may_look(
    http: httpx.Client, tokens: dict[str, str]
) -> None:
    assert http.get("/api/nothing").status_code == 401
    assert http.get("/api/nothing", headers=bearer(tokens["viewer"])).status_code == 404
    assert http.get("/docs").status_code == 401
    assert http.get("/openapi.json").json()["info"]["title"] == "LoopLab review service"


def test_a_trainers_token_sees_nothing_of_people_and_a_reviewers_asks_nothing(
    http: httpx.Client, tokens: dict[str, str]
) -> None:
    assert http.get("/api/people", headers=bearer(tokens["trainer"])).status_code == 403
    assert http.put("/api/sessions/x", headers=bearer(tokens["admin"])).status_code == 403


def test_a_token_that_is_revoked_or_has_ended_lets_nobody_in(service: Service) -> None:
    with service.owner() as owner:
        call = owner.connection.call
        made = call("POST", "/api/people", {"name": "Bob", "role": "viewer", "hours": 0.0003})
        token = call("POST", f"/api/people/{made['person']}/tokens", {"hours": 1.0})
        bob = ReviewerClient(service.url, token["token"])
        assert bob.me()["person"] == made["person"]
        call("DELETE", f"/api/tokens/{token['number']}")
        with pytest.raises(Refused, match="not valid"):
            bob.me()
        bob.connection.close()
        time.sleep(1.2)
        late = ReviewerClient(service.url, made["token"])
        with pytest.raises(Refused, match="expired") as expired:
            late.me()
        assert expired.value.code == "expired"
        late.connection.close()


def test_pages_come_in_by_a_cookie_that_no_script_and_no_other_site_can_use(
    service: Service, http: httpx.Client
) -> None:
    answer = http.post("/api/login", json={"token": service.tokens["admin"]})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert http.get("/api/me").json()["role"] == "admin"
    away = {"Origin": "http://evil.example"}
    assert http.post("/api/people", json={}, headers=away).status_code == 403
    assert http.post("/api/people", json={}, headers={"Origin": service.url}).status_code == 422
    assert http.post("/api/logout").status_code == 200
    assert service.events("login")
    assert service.tokens["admin"] not in json.dumps(service.events())


def test_answers_may_not_be_kept_framed_or_guessed_at(http: httpx.Client) -> None:
    for path in ("/health", "/api/me"):
        headers = http.get(path).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers


def test_a_body_that_is_too_large_or_never_ends_is_refused(
    service: Service, http: httpx.Client, tokens: dict[str, str]
) -> None:
    large = b'{"text": "' + b"x" * MAX_BODY + b'"}'
    path = "/api/requests/a:b:0/verdict"
    answer = http.post(path, content=large, headers=bearer(tokens["reviewer"]))
    assert (answer.status_code, answer.json()["error"]) == (413, "too_large")

    def pieces() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * 100_000

    answer = http.post(path, content=pieces(), headers=bearer(tokens["reviewer"]))
    assert answer.status_code == 413


def test_strangers_may_knock_only_so_often_and_the_ledger_is_not_flooded() -> None:
    now = [0.0]
    buckets = Buckets(lambda: now[0])
    assert sum(buckets.take("one", "stranger") for _ in range(100)) == 30
    assert buckets.take("two", "stranger")
    now[0] += 1.0
    assert sum(buckets.take("one", "stranger") for _ in range(100)) == 5
    assert not buckets.take("one", "stranger", cost=0.0)


def test_what_is_malformed_is_answered_in_kind_and_written_down(
    service: Service, tokens: dict[str, str], http: httpx.Client
) -> None:
    trainer = service.trainer("bad")
    trainer.open()
    trainer.ask("b", [{"lane": 0, "values": {}}])
    reviewer = bearer(tokens["reviewer"])
    path = "/api/requests/bad:b:0/verdict"
    before = len(service.events("refused"))
    cases: list[tuple[Any, str, str]] = [
        (b"{", "malformed", "JSON"),
        (b"[]", "invalid", "dictionary"),
        (b'{"verdict": "perhaps"}', "invalid", "one of approve"),
        (b'{"verdict": "modify", "action": 7}', "invalid", "0 to 2"),
        (b'{"verdict": "modify", "action": NaN}', "invalid", "action"),
        (b'{"verdict": "approve", "verdikt": 1}', "invalid", "verdikt"),
        (b'{"verdict": "approve", "tags": ["' + b"x" * 41 + b'"]}', "invalid", "tags"),
    ]
    for content, code, words in cases:
        typed = {**reviewer, "Content-Type": "application/json"}
        answer = http.post(path, content=content, headers=typed)
        told = answer.json()
        assert (answer.status_code, told["error"]) == (STATUS[code], code), content
        assert words in told["message"]
    for wrong, code in (("bad:b:1", "unknown"), ("other:b:0", "unknown")):
        answer = http.post(f"/api/requests/{wrong}/verdict", json={"verdict": "approve"},
                           headers=reviewer)  # fmt: skip
        assert answer.json()["error"] == code
    assert len(service.events("refused")) == before + len(cases) + 2
    (request,) = http.get("/api/requests", headers=reviewer).json()["requests"]
    assert request["state"] == "open"  # nothing of that had any effect
    assert http.post(path, json={"verdict": "approve"}, headers=reviewer).json()["ok"]
    again = http.post(path, json={"verdict": "reject"}, headers=reviewer).json()
    assert again["error"] == "answered"
    trainer.connection.close()


@pytest.mark.parametrize(
    "body",
    [
        {"env": "x"}, {"lanes": 0}, {"actions": {}}, {"actions": {"n": 2, "names": ["a"]}},
        {"actions": {"low": [0.0], "high": []}}, {"lanes": 10**9}, {"identity": ""},
    ],
)  # fmt: skip
def test_a_session_that_makes_no_sense_is_refused(service: Service, body: dict) -> None:
    trainer = service.trainer("senseless", **body) if "env" not in body else None
    if trainer is None:
        trainer = service.trainer("senseless")
        trainer._about = body
    with pytest.raises(Refused) as refused:
        trainer.open()
    assert refused.value.code == "invalid"
    trainer.connection.close()


def test_a_picture_that_is_none_is_refused(service: Service) -> None:
    trainer = service.trainer("pictures")
    trainer.open()
    for picture in ("no base64!", "aGVsbG8="):
        with pytest.raises(Refused, match="PNG in base64"):
            trainer.ask("b", [{"lane": 0, "values": {}, "picture": picture}])
    trainer.connection.close()


# The stream


def socket_url(service: Service) -> str:
    return service.url.replace("http", "ws") + "/api/stream"


def test_news_come_as_they_happen_to_who_may_hear_them(
    service: Service, tokens: dict[str, str]
) -> None:
    trainer = service.trainer("stream")
    trainer.open()

    async def listen() -> list[dict[str, Any]]:
        heard = []
        async with connect(
            socket_url(service), additional_headers=bearer(tokens["viewer"])
        ) as socket:
            heard.append(json.loads(await socket.recv()))
            await asyncio.to_thread(trainer.ask, "b", [{"lane": 0, "values": {}}])
            with service.person() as ann:
                await asyncio.to_thread(ann.answer, "stream:b:0", "approve")
            while heard[-1]["kind"] != "gone":
                async with asyncio.timeout(10):
                    heard.append(json.loads(await socket.recv()))
        return heard

    heard = run(listen())
    assert heard[0]["kind"] == "now"
    mine = [(one["kind"], one.get("request")) for one in heard if one.get("session") == "stream"]
    assert mine == [("asked", "stream:b:0"), ("gone", "stream:b:0")]
    trainer.connection.close()


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://evil.example"}])
def test_who_may_not_hear_is_not_connected(
    service: Service, tokens: dict[str, str], headers: dict[str, str]
) -> None:
    given = {**headers, **(bearer(tokens["viewer"]) if headers else {})}

    async def knock() -> None:
        async with connect(socket_url(service), additional_headers=given):
            pass

    with pytest.raises(InvalidStatus):
        run(knock())


def test_a_revoked_token_ends_its_stream(service: Service) -> None:
    with service.owner() as owner:
        made = owner.connection.call("POST", "/api/people", {"name": "Eve", "role": "viewer"})
        (eve,) = [
            one for one in owner.connection.call("GET", "/api/people")
            if one["person"] == made["person"]
        ]  # fmt: skip

        async def listen() -> int | None:
            async with connect(
                socket_url(service), additional_headers=bearer(made["token"])
            ) as socket:
                await socket.recv()
                number = eve["tokens"][0]["id"]
                await asyncio.to_thread(owner.connection.call, "DELETE", f"/api/tokens/{number}")
                with suppress(ConnectionClosed):
                    async with asyncio.timeout(25):
                        while True:
                            await socket.recv()
                return socket.close_code

        assert run(listen()) == 4401


def test_a_connection_that_sends_its_head_slowly_does_not_hold_up_others(
    service: Service, http: httpx.Client
) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    slow = [socket.create_connection((host, int(port))) for _ in range(30)]
    for one in slow:
        one.sendall(b"POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    assert http.get("/health").json()["ok"]
    for one in slow:
        one.close()


# The description


@pytest.mark.slow
def test_nothing_that_fits_the_description_or_does_not_breaks_the_service(
    service: Service,
) -> None:
    """Calls made from the OpenAPI description, right and wrong ones: never a status of 5xx."""
    schema = schemathesis.openapi.from_url(f"{service.url}/openapi.json")
    broken: list[str] = []
    asked = 0
    with httpx.Client(base_url=service.url, trust_env=False) as http:
        for operation in schema.get_all_operations():
            found = operation.ok()
            trains = "trainer" in found.definition.raw.get("x-roles", [])
            key = service.tokens["trainer" if trains else "admin"]
            if not found.path.endswith("/stop"):
                for answer in called(found.as_strategy(), http, key):
                    asked += 1
                    if answer.status_code >= 500:
                        broken.append(f"{found.label}: {answer.status_code} {answer.text}")
    assert not broken, broken[:3]
    assert asked > 200


def called(cases: Any, http: httpx.Client, token: str) -> list[httpx.Response]:
    """The answers to a dozen calls of one kind."""
    answers: list[httpx.Response] = []

    @given(case=cases)
    @settings(
        max_examples=12, deadline=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def call(case: Any) -> None:
        sent = case.as_transport_kwargs(base_url=str(http.base_url))
        wanted = {"json": sent.get("json"), "params": sent.get("params")}
        headers = {**dict(sent.get("headers") or {}), **bearer(token)}
        answers.append(http.request(case.method, sent["url"], headers=headers, **wanted))
        time.sleep(0.004)  # within what one person may ask

    call()
    return answers
