"""What browsers are told that pages may load: nothing from elsewhere."""

from nicegui.version import __version__ as nicegui_version
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: NiceGUI builds its pages by scripts and styles in the page, and compiles parts of them there.
CONSOLE_POLICY = "; ".join(
    (
        "default-src 'self'", "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'", "img-src 'self' data:", "font-src 'self'",
        "connect-src 'self'", "object-src 'none'", "base-uri 'self'", "form-action 'self'",
        "frame-ancestors 'none'",
    )
)  # fmt: skip
#: Files whose address names their version do not change.
_KEPT = "private, max-age=31536000, immutable"


class Policy:
    """A plain ASGI layer that adds the headers of pages and of their files.

    Args:
        app: what answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def forward(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["content-security-policy"] = CONSOLE_POLICY
                fixed = f"/_nicegui/{nicegui_version}/" in scope["path"]
                if fixed and message["status"] == 200:
                    headers["cache-control"] = _KEPT
            await send(message)

        await self._app(scope, receive, forward)
