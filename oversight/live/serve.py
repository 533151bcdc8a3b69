"""Running the service: one process, one database, until it is told to end."""

import asyncio
import json
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from sqlalchemy import select

from looplab.envs.errors import LoopLabError, UsageError, finite, whole
from looplab.oversight.live.asgi import LOOPBACK_NAMES, is_loopback
from looplab.oversight.live.chain import key_from
from looplab.oversight.live.database import connect
from looplab.oversight.live.desk import Desk
from looplab.oversight.live.places import (
    ANCHORS,
    KEY_FILE,
    TOKENS,
    default_database,
    home,
)
from looplab.oversight.live.roles import ADMIN, TRAINER
from looplab.oversight.live.service import application
from looplab.oversight.live.settings import Settings
from looplab.oversight.live.store import Store
from looplab.oversight.live.tables import PEOPLE, TEXTS

_OWNERS = {ADMIN: "owner", TRAINER: "trainer"}
_HIGHEST_PORT = 65535
_PARENT_SECONDS = 0.5
#: Connections at once, and seconds that idle ones and the end may take.
_CONNECTIONS, _IDLE_SECONDS, _END_SECONDS = 1000, 65, 5
_SOCKET_BYTES = 65_536


@dataclass(frozen=True)
class Serving:
    """What a service is started with.

    Attributes:
        host: address that it listens to; others than this machine's own only when asked for.
        port: 0 takes a free one.
        db: its database; empty: ``live.db`` in LoopLab's own folder.
        token_hours: how long the owner's and the trainers' tokens of this start are good.
        ends_with: the process that started it, and without which it ends; None: it ends by itself.
        settings: what else it is told of ``Settings``; the rest stays as it was left.
    """

    host: str = "127.0.0.1"
    port: int = 8700
    db: str = ""
    token_hours: float = 24.0
    ends_with: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks the ranges."""
        if whole("port", self.port, 0) > _HIGHEST_PORT:
            raise UsageError(f"port must be at most {_HIGHEST_PORT}, got {self.port}")
        finite("token_hours", self.token_hours, 0.001)
        Settings().changed(self.settings)


def open_desk(db: str = "") -> Desk:
    """The desk on a database, with the key from LoopLab's own folder.

    Args:
        db: URL; empty: the default one.

    Raises:
        UsageError: if it cannot be used.
    """
    place = home()
    if db:
        connect(db).dispose()  # refuses what is none before anything is made
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = key_from(place / KEY_FILE)
    return Desk(Store(db or default_database(), key, place / ANCHORS), key)


def serve(serving: Serving, say: Callable[[str], None]) -> None:
    """Runs the service until it is told to end (Ctrl-C, or SIGTERM).

    Args:
        serving: what it is started with.
        say: prints a line: the link of the owner, and where the tokens are.

    Raises:
        UsageError: if it cannot start.
        LoopLabError: if it has to end because it cannot write.
    """
    listening = _listen(serving.host, serving.port)
    try:
        desk = open_desk(serving.db)
    except BaseException:
        listening.close()
        raise
    try:
        port = int(listening.getsockname()[1])
        address = _address(serving.host, port)
        hosts = (
            tuple(f"{name}:{port}" for name in LOOPBACK_NAMES) if is_loopback(serving.host) else ()
        )
        config = uvicorn.Config(
            application(desk, hosts, console=True), log_level="warning", access_log=False,
            ws="websockets-sansio", server_header=False, limit_concurrency=_CONNECTIONS,
            ws_max_size=_SOCKET_BYTES,
            timeout_keep_alive=_IDLE_SECONDS, timeout_graceful_shutdown=_END_SECONDS,
            proxy_headers=False, lifespan="on",
        )  # fmt: skip
        server = _Server(config, desk)
        desk.on_failure = lambda error: setattr(server, "should_exit", True)
        asyncio.run(_run(server, desk, listening, serving, address, say))
    finally:
        desk.store.close()
    if desk.store.failure is not None:
        raise LoopLabError(f"the service cannot write to its database: {desk.store.failure}")


class _Server(uvicorn.Server):
    """Sends away who waits before it waits for them itself.

    Args:
        config: what it runs.
        desk: where they wait.
    """

    def __init__(self, config: uvicorn.Config, desk: Desk) -> None:
        super().__init__(config)
        self._desk = desk

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends; see the parent."""
        self._desk.close_waits()
        await super().shutdown(sockets=sockets)


async def _end_with(process: int, server: uvicorn.Server) -> None:
    """Ends the service when the process that started it is no more."""
    while os.getppid() == process:
        await asyncio.sleep(_PARENT_SECONDS)
    server.should_exit = True


async def _run(
    server: uvicorn.Server,
    desk: Desk,
    listening: socket.socket,
    serving: Serving,
    address: str,
    say: Callable[[str], None],
) -> None:
    tokens = {role: await _token(desk, role, serving.token_hours) for role in _OWNERS}
    if serving.settings:
        await desk.change_settings(serving.settings)
    file = _keep(tokens, address, desk.store.name)
    if not is_loopback(serving.host):
        say(
            "warning: this listens beyond this machine, and unencrypted; put TLS in front of it, "
            "or use a tunnel"
        )
    say(f"trainers: LOOPLAB_TOKEN is in {file}")
    say(f"open: {address}/#token={tokens[ADMIN]}")
    watching = None
    if serving.ends_with is not None:
        watching = asyncio.create_task(_end_with(serving.ends_with, server))
    await server.serve(sockets=[listening])
    if watching is not None:
        watching.cancel()


async def _token(desk: Desk, role: str, hours: float) -> str:
    """A new token of the owner's, or of this machine's trainers; they are made at first."""
    named = select(PEOPLE.c.id).join(TEXTS, TEXTS.c.id == PEOPLE.c.name)
    named = named.where(PEOPLE.c.role == role, TEXTS.c.text == _OWNERS[role])
    found = await desk.read(named.order_by(PEOPLE.c.made_at).limit(1))
    if found:
        token, _ = await desk.registry.make_token(found[0]["id"], hours)
        return token
    _, token = await desk.registry.make_person(role, 0, _OWNERS[role], hours)
    return token


def _keep(tokens: dict[str, str], address: str, name: str) -> Path:
    """Writes tokens where only their owner can read them; returns the file."""
    folder = home() / TOKENS
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file, hidden = folder / f"{name}.json", folder / f".{name}.tmp"
    hidden.unlink(missing_ok=True)
    with os.fdopen(os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as written:
        json.dump({"url": address, **tokens}, written)
    os.replace(hidden, file)
    return file


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        UsageError: if it cannot.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # What is accepted inherits it: without, an answer's body waits 40 ms for its head to be heard.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise UsageError(f"cannot listen at {host}:{port}: {error.strerror or error}") from error
    listening.set_inheritable(True)
    return listening
