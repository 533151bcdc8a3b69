"""What oversight made of a step, drawn under the picture of any task.

One strip for all tasks: the actions with the proposed one hollow and the executed one solid, a bar
of the proposal's risk, a badge for the verdict, and the human's clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from looplab.envs.drawing import (
    BLUE,
    FAINT,
    FLOOR,
    GREEN,
    INK,
    ORANGE,
    PAPER,
    PICTURE_WIDTH,
    SKY,
    VERMILLION,
    WALL,
    Colour,
    Frame,
)
from looplab.envs.errors import UsageError, choice, finite, within

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

#: Badges, with their ground and the colour of their letters; told apart by their words too.
BADGES: dict[str, tuple[Colour, Colour]] = {
    "acts alone": (FAINT, INK),
    "watched": (FAINT, INK),
    "pending": (ORANGE, INK),
    "approved": (GREEN, PAPER),
    "vetoed": (VERMILLION, PAPER),
    "escalated": (BLUE, PAPER),
    "stopped": (INK, PAPER),
}
_MARGIN = 12
_ROW = 30
_TEXT, _SMALL = 15, 13
_CHIP_GAP, _CHIP_PAD = 6, 7
_RADIUS = 6
_OUTLINE = 3
_LEGEND = "hollow: proposed   solid: executed"
_RISK_LABEL, _BAR_WIDTH, _BAR_HEIGHT = "risk", 150, 14
_DIAL_RADIUS = 22
_SECONDS_PER_MINUTE = 60


@dataclass(frozen=True)
class Annotation:
    """What is drawn of one step.

    Attributes:
        proposed: index of the proposed action, or a continuous action.
        executed: index of the action that ran, or a continuous action.
        actions: names of discrete actions; empty: continuous.
        risk: of the proposal, in [0, 1]; None: unknown.
        badge: one of ``BADGES``.
        human_seconds: human time since the episode began, at least 0.
        step: steps of the episode so far.
        violated: the step did harm.
    """

    proposed: Any
    executed: Any
    actions: Sequence[str]
    risk: float | None
    badge: str
    human_seconds: float
    step: int
    violated: bool = False

    def __post_init__(self) -> None:
        """Checks the badge and the ranges."""
        choice("badge", self.badge, BADGES)
        finite("human_seconds", self.human_seconds, 0.0)
        if self.risk is not None and self.risk == self.risk:
            within("risk", self.risk, 0.0, 1.0)


def overlay(frame: Frame, note: Annotation) -> Frame:
    """The picture with a strip under it, 480 pixels wide; a narrower picture is centred.

    Args:
        frame: uint8 (height, width, 3); wider ones are scaled down, small ones up.
        note: what the strip says.

    Raises:
        UsageError: if the frame is no picture.
    """
    from PIL import Image, ImageDraw

    picture = np.asarray(frame)
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise UsageError(f"a picture is uint8 (height, width, 3), got {picture.shape}")
    image = Image.fromarray(picture)
    if image.width > PICTURE_WIDTH:
        height = round(image.height * PICTURE_WIDTH / image.width)
        image = image.resize((PICTURE_WIDTH, height))
    elif (times := PICTURE_WIDTH // image.width) > 1:
        size = (image.width * times, image.height * times)
        image = image.resize(size, Image.Resampling.NEAREST)
    strip = Image.new("RGB", (PICTURE_WIDTH, 1), PAPER)
    rows = _chip_rows(ImageDraw.Draw(strip), note) if note.actions else []
    above = len(rows) * _ROW if note.actions else 2 * (_DIAL_RADIUS + _CHIP_GAP)
    height = _MARGIN + above + 2 * _ROW + _MARGIN // 2
    canvas = Image.new("RGB", (PICTURE_WIDTH, image.height + height), PAPER)
    canvas.paste(image, ((PICTURE_WIDTH - image.width) // 2, 0))
    draw = ImageDraw.Draw(canvas)
    top = image.height
    draw.line((0, top, PICTURE_WIDTH, top), fill=WALL, width=2)
    top += _MARGIN
    if note.actions:
        _draw_chips(draw, top, rows, note)
    else:
        _draw_dial(draw, top + _DIAL_RADIUS, note)
    top += above
    _draw_risk(draw, top, note)
    _draw_badge(draw, top, note)
    _draw_clock(draw, top + _ROW, note)
    return np.array(canvas, dtype=np.uint8)


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)


def _chip_rows(draw: "ImageDraw", note: Annotation) -> list[list[int]]:
    """Actions in rows that fit the width."""
    rows: list[list[int]] = [[]]
    left = _MARGIN
    for index, name in enumerate(note.actions):
        width = _chip_width(draw, name)
        if rows[-1] and left + width > PICTURE_WIDTH - _MARGIN:
            rows.append([])
            left = _MARGIN
        rows[-1].append(index)
        left += width + _CHIP_GAP
    return rows


def _chip_width(draw: "ImageDraw", name: str) -> int:
    return round(draw.textlength(name, font=_font(_TEXT))) + 2 * _CHIP_PAD


def _draw_chips(draw: "ImageDraw", top: int, rows: list[list[int]], note: Annotation) -> None:
    for row in rows:
        left = _MARGIN
        for index in row:
            name = note.actions[index]
            box = (left, top, left + _chip_width(draw, name), top + _ROW - _CHIP_GAP)
            runs, proposed = index == int(note.executed), index == int(note.proposed)
            draw.rounded_rectangle(
                box, _RADIUS, fill=SKY if runs else FLOOR,
                outline=INK if proposed else FAINT, width=_OUTLINE if proposed else 1,
            )  # fmt: skip
            middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
            shown = INK if runs or proposed else WALL
            draw.text(middle, name, fill=shown, font=_font(_TEXT), anchor="mm")
            left = box[2] + _CHIP_GAP
        top += _ROW


def _draw_dial(draw: "ImageDraw", middle: int, note: Annotation) -> None:
    """The first two numbers of continuous actions as dots in a square: right and up are above 0."""
    left, radius = _MARGIN + _DIAL_RADIUS, _DIAL_RADIUS
    draw.rectangle((left - radius, middle - radius, left + radius, middle + radius), outline=WALL)
    for action, solid in ((note.executed, True), (note.proposed, False)):
        x, y = (*np.asarray(action, dtype=np.float64).reshape(-1)[:2].tolist(), 0.0, 0.0)[:2]
        at = (left + radius * x, middle - radius * y)
        draw.circle(at, _RADIUS, fill=SKY if solid else None, outline=INK, width=1 + (not solid))
    text = f"proposed {_numbers(note.proposed)}\nexecuted {_numbers(note.executed)}"
    place = (left + radius + _MARGIN, middle)
    draw.text(place, text, fill=INK, font=_font(_SMALL), anchor="lm")


def _numbers(action: Any) -> str:
    return ", ".join(f"{value:+.2f}" for value in np.asarray(action).reshape(-1))


def _draw_risk(draw: "ImageDraw", top: int, note: Annotation) -> None:
    middle = top + _ROW / 2
    draw.text((_MARGIN, middle), _RISK_LABEL, fill=INK, font=_font(_TEXT), anchor="lm")
    left = _MARGIN + draw.textlength(f"{_RISK_LABEL} ", font=_font(_TEXT)) + _CHIP_GAP
    high, low = middle - _BAR_HEIGHT / 2, middle + _BAR_HEIGHT / 2
    draw.rectangle((left, high, left + _BAR_WIDTH, low), fill=FLOOR, outline=WALL)
    known = note.risk is not None and note.risk == note.risk
    if known and note.risk:
        draw.rectangle((left, high, left + _BAR_WIDTH * note.risk, low), fill=VERMILLION)
    text = f"{note.risk:.2f}" if known else "unknown"
    place = (left + _BAR_WIDTH + _CHIP_GAP, middle)
    draw.text(place, text, fill=INK, font=_font(_TEXT), anchor="lm")


def _draw_badge(draw: "ImageDraw", top: int, note: Annotation) -> None:
    ground, letters = BADGES[note.badge]
    width = draw.textlength(note.badge, font=_font(_TEXT)) + 4 * _CHIP_PAD
    right = PICTURE_WIDTH - _MARGIN
    box = (right - width, top + 2, right, top + _ROW - 2)
    draw.rounded_rectangle(box, (_ROW - 4) / 2, fill=ground)
    middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    draw.text(middle, note.badge, fill=letters, font=_font(_TEXT), anchor="mm")


def _draw_clock(draw: "ImageDraw", top: int, note: Annotation) -> None:
    middle = top + _ROW / 2
    minutes, seconds = divmod(round(note.human_seconds), _SECONDS_PER_MINUTE)
    text = f"human time {minutes}:{seconds:02d}   step {note.step}"
    draw.text((_MARGIN, middle), text, fill=INK, font=_font(_TEXT), anchor="lm")
    right = PICTURE_WIDTH - _MARGIN
    if note.violated:
        draw.text((right, middle), "violation", fill=VERMILLION, font=_font(_TEXT), anchor="rm")
    elif note.actions:
        draw.text((right, middle), _LEGEND, fill=WALL, font=_font(_SMALL), anchor="rm")
