"""What the pages of teacher and students are made of."""

import json
from collections.abc import Callable
from typing import Any

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from looplab.envs.errors import UsageError
from looplab.oversight.live.classroom.settings import Slider

#: Seconds between two values of a slider that is being moved.
_THROTTLE_SECONDS = 0.1


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


class Range:
    """A slider of the browser's own, which keyboards and screen readers know.

    Args:
        label: what it is called.
        slider: its range.
        value: where it stands.
        moved: called with a new value.
    """

    def __init__(
        self, label: str, slider: Slider, value: float, moved: Callable[[float], Any]
    ) -> None:
        self._slider, self._moved, self._value = slider, moved, value
        bounds = f"min={slider.low} max={slider.high} step={slider.step}"
        self._input = ui.element("input").props(f'type=range {bounds} aria-label="{label}"')
        self._put(value)
        self._input.on(
            "input", self._take, js_handler="(event) => emit(Number(event.target.value))",
            throttle=_THROTTLE_SECONDS, leading_events=False,
        )  # fmt: skip

    def show(self, value: float) -> None:
        """Moves it, unless whoever holds it has moved it there."""
        if value != self._value:
            self._put(value)

    def _put(self, value: float) -> None:
        self._value = value
        self._input.props["value"] = value
        self._input.props["aria-valuetext"] = self._slider.text(value)

    def _take(self, event: Any) -> None:
        if isinstance(event.args, int | float):
            self._value = float(event.args)
            self._input.props["aria-valuetext"] = self._slider.text(self._value)
            self._moved(self._value)


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
