"""The pages: who may open each, and the frame that all of them share."""

from collections.abc import Callable

from fastapi import Request
from nicegui import ui

from looplab.oversight.live.console.administration import AdminView
from looplab.oversight.live.console.analytics import AnalyticsView
from looplab.oversight.live.console.elements import Node, button
from looplab.oversight.live.console.review import ReviewView
from looplab.oversight.live.console.visit import View, Visit
from looplab.oversight.live.console.watch import WatchView
from looplab.oversight.live.guard import allowed
from looplab.oversight.live.review import RATING, REVIEW
from looplab.oversight.live.roles import ADMIN
from looplab.oversight.live.routes.common import ANSWERING, LOOKING, RULING

#: Pages by their addresses below the console's own.
PAGES = {
    "/": "Review", "/watch": "Watch", "/rate": "Rate", "/analytics": "Analytics", "/admin": "Admin",
}  # fmt: skip
#: Those of them that are for administrators alone.
_RULED = ("/analytics", "/admin")
_KEYS = (
    ("a r m e t", "approve, reject, modify, escalate, terminate"),
    ("0 to 9", "after m: the action; else: tick a reason"),
    ("x", "write a remark; Enter or Esc goes back"),
    ("u, Ctrl+Z", "undo, where nothing was executed yet"),
    ("n", "next question, or next session"),
    ("g b s", "rate: good, bad, skip"),
    ("space", "VETO what runs next"),
    ("l", "choose one lane, or all"),
    ("+ -", "faster, slower"),
    ("p", "pause and resume (administrators)"),
    ("Shift+K twice", "kill switch: ends the run for good"),
    ("?", "these keys; Esc closes them"),
)


def register(root: str) -> None:
    """Makes the pages known to NiceGUI.

    Args:
        root: address under which they are mounted.
    """

    def page(path: str, who: tuple[str, ...], view: Callable[[Visit], View]) -> None:
        title = PAGES[path]

        @ui.page(path, title=f"{title} · LoopLab", language="en-US", dark=None)
        @allowed(*who)
        async def build(request: Request) -> None:
            acts = RULING if path in _RULED else ANSWERING
            visit = Visit(request, acts)
            _frame(visit, root, path)
            visit.show(view(visit))

    page("/", LOOKING, lambda visit: ReviewView(visit, REVIEW))
    page("/rate", LOOKING, lambda visit: ReviewView(visit, RATING))
    page("/watch", LOOKING, WatchView)
    page("/analytics", RULING, AnalyticsView)
    page("/admin", RULING, AdminView)


def _frame(visit: Visit, root: str, here: str) -> None:
    """What stands above every page."""
    ui.add_head_html(
        '<link rel="stylesheet" href="/files/console.css"><script src="/files/console.js"></script>'
    )
    Node("a", "To the content", "skip-link", href="#main")
    with Node("header", "", "bar"):
        Node("strong", "LoopLab", "brand")
        with Node("nav", aria_label="Pages"):
            for path, title in PAGES.items():
                if path not in _RULED or visit.person.role == ADMIN:
                    current = "page" if path == here else None
                    with Node("a", href=f"{root}{path}", aria_current=current):
                        Node("span", title)
                        Node("span", "", "badge", data_badge=path, hidden=True)
        with Node("div", "", "tools"):
            Node("span", f"{visit.person.id} · {visit.person.role}", "me")
            button("Theme: system", "theme", "", "", "small", data_local="theme", data_free="")
            button("Sound: off", "sound", "", "", "small", data_local="sound", data_free="")
            button("Keys", "help", "?", "?", "small", data_local="help", data_free="")
            button("Log out", "logout", "", "", "small", data_local="logout", data_free="")
    Node("p", "", "heard", id="spoken", aria_live="assertive")
    with Node("dialog", "", "keys", id="keys", aria_label="Keys"):
        Node("h2", "Keys")
        with Node("dl"):
            for key, what in _KEYS:
                Node("dt", key)
                Node("dd", what)
        button("Close", "help", "", "Esc", "small", data_local="help", data_free="")
