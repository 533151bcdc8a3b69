"""Puts the console on the service: NiceGUI below one address, and who may call what of it."""

from pathlib import Path

from fastapi import FastAPI
from nicegui import core, ui
from nicegui.nicegui import app as nicegui_app
from nicegui.nicegui import sio_app, static_files
from starlette.middleware import Middleware
from starlette.routing import Mount, Route

from looplab.oversight.live.console.pages import register
from looplab.oversight.live.console.policy import Policy
from looplab.oversight.live.console.sockets import bind_sockets
from looplab.oversight.live.guard import ANYBODY, allowed
from looplab.oversight.live.routes.common import LOOKING

#: Address of the console; NiceGUI's own files and its socket lie below it.
ROOT = "/console"
STATIC = Path(__file__).parent / "static"
_RECONNECT_SECONDS = 5.0
_HISTORY = 200


def mount(app: FastAPI) -> Mount:
    """Mounts the console; once in a process, as NiceGUI has it.

    Args:
        app: the service.

    Returns:
        The mounted part, whose routes all name their roles.
    """
    _open_files()
    bind_sockets()
    register(ROOT)
    # No storage secret: pages keep nothing on the server, and no cookie beside the token's.
    ui.run_with(
        app, mount_path=ROOT, title="LoopLab", favicon=(STATIC / "favicon.svg").read_text(),
        dark=None, language="en-US", tailwind=False, show_welcome_message=False,
        gzip_middleware_factory=None, reconnect_timeout=_RECONNECT_SECONDS,
        message_history_length=_HISTORY, storage_secret=None,
    )  # fmt: skip
    core.app.config.socket_io_js_transports = ["websocket"]
    core.sio.eio.transports = ["websocket"]
    core.app.user_middleware.insert(0, Middleware(Policy))
    found = next(route for route in app.routes if isinstance(route, Mount) and route.path == ROOT)
    return found


def _open_files() -> None:
    """NiceGUI's files are anybody's, its socket is people's; what names no role stays closed."""
    allowed(ANYBODY)(static_files)
    allowed(*LOOKING)(sio_app)
    files = ("libraries", "components", "resources", "esm")
    for route in nicegui_app.routes:
        if isinstance(route, Route) and any(f"/{name}/" in route.path for name in files):
            allowed(ANYBODY)(route.endpoint)
