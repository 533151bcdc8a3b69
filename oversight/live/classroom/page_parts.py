"""What the pages of teacher and students are made of."""

import json
from collections.abc import Callable
from typing import Any

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from looplab.envs.errors import UsageError


def head() -> None:
    """Style and script of the stage, and the language, in the page's head."""
    ui.add_head_html('<link rel="stylesheet" href="/classroom/stage.css">')
    ui.add_head_html('<script src="/classroom/stage.js"></script>')


def text(tag: str, words: str) -> Any:
    """An element of plain text."""
    return TextElement(tag=tag, text=words)


def button(label: str, act: Callable[[], Any], looks: str = "") -> Any:
    """A button in the stage's own colours: ``main``, ``veto``, ``big``, or plain."""
    return ui.button(label, on_click=lambda: act(), color=None).props("no-caps flat").classes(looks)


def script(call: str, *values: Any) -> str:
    """A call of a function of the stage with plain values."""
    return f"LoopLabStage.{call}({', '.join(json.dumps(value) for value in values)})"


def guarded(act: Callable[..., Any]) -> Callable[..., None]:
    """The same, with what a person did wrong told in a notice."""

    def tries(*given: Any) -> None:
        try:
            act(*given)
        except UsageError as error:
            ui.notify(str(error), type="warning")

    return tries
