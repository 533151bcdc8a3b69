"""What the server lets through, asked as ASGI servers ask."""

import asyncio
from typing import Any

import pytest

from looplab.oversight.live.asgi import is_loopback
from looplab.oversight.live.classroom.guard import MOST_BYTES, Guard

HERE = {"host": "127.0.0.1:8080"}


async def _passes(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


def asked(
    headers: dict[str, str],
    *,
    path: str = "/",
    client: str = "127.0.0.1",
    host: str = "127.0.0.1",
    kind: str = "http",
) -> tuple[Any, dict[str, str]]:
    """Status (or close code) and headers of the answer."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": f"{kind}.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": kind,
        "path": path,
        "client": (client, 1),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(Guard(_passes, host)(scope, receive, send))
    first = sent[0]
    found = {name.decode(): value.decode() for name, value in first.get("headers", [])}
    return first.get("status", first.get("code", first["type"])), found


def test_every_answer_forbids_frames_and_foreign_sources() -> None:
    for path, status in (("/", 200), ("/", 421)):
        given = HERE if status == 200 else {"host": "evil.example"}
        found, headers = asked(given, path=path)
        assert found == status
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["referrer-policy"] == "no-referrer"


def test_a_body_that_does_not_say_its_length_is_refused() -> None:
    assert asked({**HERE, "transfer-encoding": "chunked"})[0] == 411
    assert asked({**HERE, "content-length": str(MOST_BYTES)})[0] == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8080", 200),
        ("localhost:8080", 200),
        ("[::1]:8080", 200),
        ("evil.example:8080", 421),
        ("127.0.0.1.evil.example", 421),
        ("192.168.1.5:8080", 421),
        ("", 421),
        ("[::1", 421),
    ],
)
def test_only_this_machines_own_names_are_answered(host: str, status: int) -> None:
    assert asked({"host": host})[0] == status


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    ("origin", "passes"),
    [
        ("http://127.0.0.1:8080", True),
        ("http://127.0.0.1:9999", False),
        ("http://localhost:8080", False),
        ("https://evil.example", False),
        ("null", False),
    ],
)
def test_only_the_servers_own_pages_may_ask(kind: str, origin: str, passes: bool) -> None:
    found, _ = asked({**HERE, "origin": origin}, path="/_nicegui_ws/socket.io/", kind=kind)
    allowed = {"http": 200, "websocket": "websocket.accept"}[kind]
    refused = {"http": 403, "websocket": 1008}[kind]
    assert found == (allowed if passes else refused)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/join", 200),
        ("/_nicegui/3/static/x.js", 200),
        ("/_nicegui_ws/socket.io/", 200),
        ("/classroom/stage.js", 200),
        ("/", 403),
        ("/joined", 403),
        ("/classroom", 403),
        ("/openapi.json", 403),
    ],
)
def test_other_machines_get_what_students_need(path: str, status: int) -> None:
    headers = {"host": "192.168.1.5:8080"}
    found, _ = asked(headers, path=path, client="192.168.1.77", host="0.0.0.0")
    assert found == status


def test_bound_beyond_this_machine_foreign_names_are_still_refused() -> None:
    assert (
        asked({"host": "evil.example"}, path="/join", client="10.0.0.2", host="0.0.0.0")[0] == 421
    )


@pytest.mark.parametrize(
    ("length", "status"), [(str(MOST_BYTES), 200), (str(MOST_BYTES + 1), 413), ("-1", 413)]
)
def test_bodies_are_limited(length: str, status: int) -> None:
    assert asked({**HERE, "content-length": length})[0] == status


def test_what_counts_as_this_machine() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "localhost", "::1", "127.8.8.8")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "example.org", "")))
