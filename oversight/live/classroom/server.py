"""The classroom's server: pages, static files, and the clock that moves the lesson on."""

import asyncio
import errno
import logging
import socket
import time
import warnings
import webbrowser
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlencode

import uvicorn
from fastapi import FastAPI, Request
from nicegui import app as pages
from nicegui import ui

from looplab.envs.errors import UsageError
from looplab.oversight.live.asgi import is_loopback
from looplab.oversight.live.classroom.assets import STATIC
from looplab.oversight.live.classroom.guard import MOST_BYTES, Guard
from looplab.oversight.live.classroom.lesson import Lesson
from looplab.oversight.live.classroom.student_page import StudentPage
from looplab.oversight.live.classroom.teacher_page import Joining, TeacherPage

#: Seconds between two moves of the lesson, and how much of them it may work.
TICK_SECONDS, BUDGET_SECONDS = 0.05, 0.02
#: Time that a tick may stand for at most, after a machine slept.
_LONGEST_TICK = 0.5
#: Messages that are kept for a browser whose connection broke.
_KEPT_MESSAGES = 20
_SHUTDOWN_SECONDS = 1
TITLE = "LoopLab: in the loop, on the loop"


def serve(
    lesson: Lesson, host: str, port: int, say: Callable[[str], None], opens: bool = False
) -> None:
    """Shows a lesson until Ctrl-C.

    Args:
        lesson: what is shown.
        host: what to bind to; beyond this machine, students can join.
        port: 0: a free one.
        say: prints lines.
        opens: whether to open a browser.

    Raises:
        UsageError: if the address cannot be bound to.
    """
    listener = _listen(host, port)
    port = listener.getsockname()[1]
    local = is_loopback(host)
    link = f"http://{_bracketed(host if local else '127.0.0.1')}:{port}"
    outside = link if local else f"http://{_bracketed(_own_address(host))}:{port}"
    joining = Joining(f"{outside}/join", not local)

    def begun() -> None:
        say(f"classroom: {link} (Ctrl-C ends it)")
        if not local:
            query = urlencode({"code": lesson.ballot.code})
            say(
                f"warning: everybody who reaches {host} can open the join page; the page of the "
                "lesson opens on this machine only"
            )
            say(f"students: {joining.link}?{query} (code {lesson.ballot.code})")
        if opens:
            webbrowser.open(link)

    server = uvicorn.Server(
        uvicorn.Config(
            Guard(_application(lesson, joining, begun), host),
            log_level="warning",
            access_log=False,
            ws_max_size=MOST_BYTES,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
            server_header=False,
            lifespan="on",
        )
    )
    try:
        with suppress(KeyboardInterrupt), warnings.catch_warnings():
            # NiceGUI looks for its server among all objects, and torch's deprecated ones object.
            warnings.filterwarnings("ignore", ".*reduce_op.*", FutureWarning)
            server.run(sockets=[listener])
    finally:
        listener.close()


def _application(lesson: Lesson, joining: Joining, begun: Callable[[], None]) -> FastAPI:
    """Pages and static files, with nothing that documents or reveals more."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        drives = asyncio.create_task(drive(lesson))
        begun()
        yield
        drives.cancel()
        with suppress(asyncio.CancelledError):
            await drives

    application = FastAPI(lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)
    pages.add_static_files("/classroom", STATIC, max_cache_age=0)

    @ui.page("/")
    def teacher() -> None:
        TeacherPage(lesson, joining)

    @ui.page("/join")
    async def student(request: Request, code: str = "") -> None:
        address = request.client.host if request.client is not None else ""
        await StudentPage(lesson, code, address).begin()

    logging.getLogger("nicegui").setLevel(logging.WARNING)
    ui.run_with(
        application, title=TITLE, dark=None, language="en-US", tailwind=False,
        message_history_length=_KEPT_MESSAGES, show_welcome_message=False,
    )  # fmt: skip
    return application


async def drive(lesson: Lesson) -> None:
    """Moves a lesson on as time passes, in short pieces, so that pages are answered in between."""
    before = time.perf_counter()
    while True:
        await asyncio.sleep(TICK_SECONDS)
        now = time.perf_counter()
        lesson.advance(min(now - before, _LONGEST_TICK), BUDGET_SECONDS)
        before = now


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise UsageError(f"host={host} is no address of this machine: {error.strerror}") from error
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen()
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise UsageError(f"port={port} is in use; port=0 takes a free one") from error
        raise UsageError(f"cannot bind to {host}:{port}: {error.strerror}") from error
    return listener


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _own_address(host: str) -> str:
    """The address by which other machines reach this one, as far as it can be known."""
    if host not in ("0.0.0.0", "::", ""):
        return host
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # reserved for examples; a datagram socket sends nothing
        return str(probe.getsockname()[0])
    return socket.gethostname()
