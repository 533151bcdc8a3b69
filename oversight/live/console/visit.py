"""Somebody's open page: who looks, what they press, and when they have to leave.

Whatever a page does goes through the desk, as every other client's wishes do; and each press looks
anew whether whoever pressed may.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from fastapi import Request
from nicegui import background_tasks, ui
from nicegui.events import GenericEventArguments
from pydantic import Field, ValidationError

from looplab.envs.errors import UsageError
from looplab.oversight.live.console.elements import Node
from looplab.oversight.live.console.words import refused
from looplab.oversight.live.desk import Desk
from looplab.oversight.live.event import Event
from looplab.oversight.live.messages import Action, Label, Message, Tag
from looplab.oversight.live.refusal import Refused
from looplab.oversight.live.roles import Person
from looplab.oversight.live.settings import MILLISECONDS
from looplab.oversight.live.text import MAX_TEXT

#: A page is drawn at most so often: ten times a second is as much as an eye follows.
_REST_SECONDS = 0.1
_BEAT_SECONDS = 5.0
#: Pages of a desk follow the news one after the other, and rest as long as each took: whoever
#: answers, through a page or a program, never waits for more than one drawing.
_PACES: "WeakKeyDictionary[Desk, asyncio.Lock]" = WeakKeyDictionary()


class Press(Message):
    """What a page says when a button or its key was pressed."""

    what: str = Field(max_length=40)
    value: str = Field("", max_length=300)
    request: str = Field("", max_length=300)
    action: Action | None = None
    tags: list[Tag] = Field(default=[], max_length=10)
    text: str = Field("", max_length=MAX_TEXT)
    form: dict[Label, Label] = Field(default={}, max_length=60)


class View(Protocol):
    """What a page shows."""

    async def draw(self) -> None:
        """Shows how things stand now."""

    def hear(self, event: Event) -> bool:
        """Takes a piece of news; returns whether something has to be drawn anew."""

    def leave(self) -> None:
        """Lets go of what was kept for whoever looked."""


Doing = Callable[[Press], Awaitable[None]]


class Visit:
    """One page in one browser.

    Args:
        request: with which it was asked for; the guard has put person and desk there.
        roles: who may do what is done here.
    """

    def __init__(self, request: Request, roles: Sequence[str]) -> None:
        self.desk: Desk = request.state.desk
        self.person: Person = request.state.person
        self.client = ui.context.client
        #: What can be pressed.
        self.presses: dict[str, Doing] = {"visible": self._visible}
        #: Whether whoever looks has the page before their eyes.
        self.visible = True
        self._may = self.person.role in roles
        self._news = asyncio.Event()
        self._drawing = asyncio.Lock()
        self._view: View | None = None
        self._status: Node | None = None
        self._gone = False
        self._badge = (-1, -1)

    @property
    def acts(self) -> bool:
        """Whether whoever looks may do something here."""
        return self._may

    def status(self) -> None:
        """Places the line that tells what became of a press."""
        with Node("p", "", "status", role="status", aria_live="polite"):
            self._status = Node("span", "", "", id="status")
            Node("span", "", "", id="hint", data_tone="bad")  # what the browser itself has to say

    def say(self, text: str, tone: str = "calm") -> None:
        """Tells whoever looks something; tones are ``calm``, ``good`` and ``bad``."""
        if self._status is not None:
            self._status.put(text, data_tone=tone)

    def show(self, view: View) -> None:
        """Follows the news for a view until the page is closed."""
        self._view = view
        ui.on("press", self._pressed)
        unsubscribe = self.desk.on_change(self._heard)
        following = background_tasks.create(self._follow(), name="console")

        def close() -> None:
            self._gone = True
            unsubscribe()
            following.cancel()
            with suppress(Refused):
                view.leave()

        self.client.on_delete(close)

    def call(self, name: str, *arguments: Any) -> None:
        """Calls a function of ``console.js`` with plain values."""
        told = ", ".join(json.dumps(argument).replace("<", "\\u003c") for argument in arguments)
        self.client.run_javascript(f"window.looplab?.{name}({told})")

    def badge(self, here: int, elsewhere: int) -> None:
        """Shows in the title how many questions wait, on this page and on others."""
        if self._badge != (here, elsewhere):
            self._badge = (here, elsewhere)
            self.call("badge", here, elsewhere)

    def wake(self) -> None:
        """Has the page drawn anew, as after news."""
        self._news.set()

    def stays(self) -> bool:
        """Whether whoever looks may still; if not, the page goes to the log-in."""
        if self._gone:
            return False
        if self.desk.people.holds(self.person, self.desk.clock()):
            return True
        expired = self.person.expires_at <= self.desk.clock()
        if self._view is not None:
            with suppress(Refused):
                self._view.leave()
        self._gone = True
        self.call("leave", "expired" if expired else "revoked")
        return False

    async def redraw(self) -> None:
        """Shows how things stand now, one drawing after the other."""
        async with self._drawing:
            if self._view is not None and not self._gone:
                with self.client:
                    await self._view.draw()

    # What comes in

    def _heard(self, events: Sequence[Event]) -> None:
        view = self._view
        if view is None:
            return
        for event in events:
            if event.kind == "token_revoked" or view.hear(event):
                self._news.set()

    async def _follow(self) -> None:
        await self.client.connected()
        pace = _PACES.setdefault(self.desk, asyncio.Lock())
        while self.stays():
            async with pace:
                began = time.perf_counter()
                with suppress(Refused):  # what cannot be read now is drawn with the next news
                    await self.redraw()
                await asyncio.sleep(time.perf_counter() - began)
            await asyncio.sleep(_REST_SECONDS)
            left = (self.person.expires_at - self.desk.clock()) / MILLISECONDS
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), min(_BEAT_SECONDS, max(left, 0.01)))
            self._news.clear()

    async def _visible(self, press: Press) -> None:
        self.visible = press.value == "yes"
        if not self.visible and self._view is not None:
            self._view.leave()

    async def _pressed(self, event: GenericEventArguments) -> None:
        if not self.stays():
            return
        try:
            press = Press.model_validate(event.args)
            doing = self.presses.get(press.what)
            if doing is None or not (self._may or press.what == "visible"):
                raise Refused("forbidden", f"your role, {self.person.role}, may not do that")
            await doing(press)
        except Refused as error:
            self.say(refused(error, self.person.id), "bad")
        except UsageError as error:
            self.say(f"Not taken: {error}.", "bad")
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            self.say(f"Not taken: {where}: {first['msg']}.", "bad")
        await self.redraw()


def typed(action: Action | None) -> Action | None:
    """An action as it was chosen or typed; a number may come as text."""
    return int(action) if isinstance(action, str) and action.strip().isdigit() else action
