"""Pictures of tasks, as text or as pixels, drawn without a window.

A picture is built in layers: the tiles of a grid or the lines of a desk come first, and whatever
lies over them is drawn by the caller in the boxes that ``tile_box`` gives.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from looplab.envs.errors import UsageError, choice

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

#: Text, or pixels as uint8 of shape (height, width, 3).
DrawMode = Literal["ansi", "rgb_array"]
DRAW_MODES: tuple[DrawMode, ...] = ("ansi", "rgb_array")
Frame = NDArray[np.uint8]
Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]

#: Width of every picture in pixels; a grid fills it with whole tiles.
PICTURE_WIDTH = 480
AGENT = "@"

# Colours that stay apart for colour-blind readers (Okabe & Ito 2008).
INK: Colour = (38, 38, 38)
PAPER: Colour = (255, 255, 255)
FAINT: Colour = (206, 210, 214)
ORANGE: Colour = (230, 159, 0)
SKY: Colour = (86, 180, 233)
GREEN: Colour = (0, 158, 115)
BLUE: Colour = (0, 114, 178)
VERMILLION: Colour = (213, 94, 0)
FLOOR: Colour = (244, 245, 246)
WALL: Colour = (89, 95, 102)


class Tile(NamedTuple):
    """How a symbol of a grid looks: its ground, the colour of its letter, and whether it shows."""

    ground: Colour
    letter: Colour
    shown: bool = True
    striped: bool = False


#: Symbols with a look of their own; any other one is a letter on orange.
TILES: Mapping[str, Tile] = {
    ".": Tile(FLOOR, INK, shown=False),
    "#": Tile(WALL, PAPER, shown=False),
    "L": Tile(VERMILLION, PAPER, striped=True),
    "S": Tile(FLOOR, WALL),
    "I": Tile(SKY, INK),  # thin ice; 1 and 2: steps that it has borne
    "1": Tile(SKY, INK, striped=True),
    "2": Tile(SKY, INK, striped=True),
    "G": Tile(GREEN, PAPER),
}
OTHER_TILE = Tile(ORANGE, INK)

_SMALLEST_TILE = 8
_LETTER_SHARE = 0.5
_AGENT_SHARE = 0.4
_RING_SHARE = 0.05
_STRIPES = 4
_STRIPE_SHARE = 0.08
_DARKER = 0.88

_MARGIN = 20
_LINE = 34
_TITLE_SIZE = 24
_TEXT_SIZE = 20
_SLOT_GAP = 4
_LABEL_SHARE = 0.32
_QUEUE_LABEL = "queue"


def draw_grid(symbols: Sequence[Sequence[str]], agent: tuple[int, int], mode: str) -> str | Frame:
    """Draws a grid with the agent on it.

    Args:
        symbols: one character per cell, rows of equal length: ``.`` floor, ``#`` wall, ``L`` lava,
            ``S`` start, ``G`` goal; others are drawn as letters.
        agent: row and column of the agent, marked ``@``, in pixels on a blue disc.
        mode: ``ansi`` for text with a newline at its end, ``rgb_array`` for uint8 (height, width,
            3), at most 480 pixels wide up to 59 columns; tiles are never smaller than 8.

    Raises:
        UsageError: if the mode is unknown, the rows are unequal, or the agent lies outside.
    """
    mode = _checked_mode(mode)
    rows, columns = len(symbols), len(symbols[0]) if symbols else 0
    if columns == 0 or any(len(row) != columns for row in symbols):
        raise UsageError(
            f"a grid needs rows of equal length, got lengths {[len(row) for row in symbols]}"
        )
    if not (0 <= agent[0] < rows and 0 <= agent[1] < columns):
        raise UsageError(f"the agent's cell {agent} lies outside a grid of {rows} x {columns}")
    if mode == "ansi":
        lines = [list(row) for row in symbols]
        lines[agent[0]][agent[1]] = AGENT
        return "".join(" ".join(line) + "\n" for line in lines)
    side = tile_side(columns)
    image, draw = _canvas(columns * side + 1, rows * side + 1)
    for row, line in enumerate(symbols):
        for column, symbol in enumerate(line):
            _draw_tile(draw, tile_box(row, column, side), symbol)
    _draw_agent(draw, tile_box(*agent, side))
    return _frame(image)


def tile_side(columns: int) -> int:
    """Side of a tile in pixels, in a grid of so many columns."""
    return max(_SMALLEST_TILE, (PICTURE_WIDTH - 1) // columns)


def tile_box(row: int, column: int, side: int) -> Box:
    """Left, top, right and bottom of a cell in pixels, for what is drawn over a grid."""
    return column * side, row * side, (column + 1) * side, (row + 1) * side


def draw_desk(title: str, queue: int, cap: int, facts: Mapping[str, str], mode: str) -> str | Frame:
    """Draws a desk: how long its queue is, and what is known of the case at hand.

    Args:
        title: name of the desk.
        queue: cases that wait, in 0..cap.
        cap: most cases that can wait.
        facts: what is known, each with its name, in the order of drawing.
        mode: ``ansi`` for text with a newline at its end, ``rgb_array`` for uint8 (height, 480, 3).

    Raises:
        UsageError: if the mode is unknown or the queue lies outside 0..cap.
    """
    mode = _checked_mode(mode)
    if not 0 <= queue <= cap:
        raise UsageError(f"queue must be in 0..{cap}, got {queue}")
    if mode == "ansi":
        width = max(len(name) for name in (_QUEUE_LABEL, *facts))
        bar = "#" * queue + "." * (cap - queue)
        lines = [title, f"{_QUEUE_LABEL:<{width}}  [{bar}] {queue}/{cap}"]
        lines += [f"{name:<{width}}  {value}" for name, value in facts.items()]
        return "".join(line + "\n" for line in lines)
    height = 2 * _MARGIN + _LINE * (len(facts) + 2)
    image, draw = _canvas(PICTURE_WIDTH, height)
    draw.text((_MARGIN, _MARGIN), title, fill=INK, font=_font(_TITLE_SIZE))
    top = _MARGIN + _LINE
    _draw_queue(draw, top, queue, cap)
    for name, value in facts.items():
        top += _LINE
        draw.line((_MARGIN, top, PICTURE_WIDTH - _MARGIN, top), fill=FAINT)
        _draw_fact(draw, top, name, value)
    return _frame(image)


def captioned(frame: Frame, text: str) -> Frame:
    """The picture with a line of text on its upper left, for what it does not show itself.

    Args:
        frame: uint8 (height, width, 3).
        text: one line.
    """
    from PIL import Image, ImageDraw

    image = Image.fromarray(frame)
    draw = ImageDraw.Draw(image)
    _, _, right, bottom = draw.textbbox((_SLOT_GAP, _SLOT_GAP), text, font=_font(_TEXT_SIZE))
    draw.rectangle((0, 0, right + _SLOT_GAP, bottom + _SLOT_GAP), fill=PAPER)
    draw.text((_SLOT_GAP, _SLOT_GAP), text, fill=INK, font=_font(_TEXT_SIZE))
    return _frame(image)


def _checked_mode(mode: str) -> DrawMode:
    for known in DRAW_MODES:
        if mode == known:
            return known
    choice("render_mode", mode, DRAW_MODES)
    raise AssertionError  # choice has raised


def _canvas(width: int, height: int) -> "tuple[Image, ImageDraw]":
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (width, height), PAPER)
    return image, ImageDraw.Draw(image)


def _font(size: float) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)


def _frame(image: "Image") -> Frame:
    return np.array(image, dtype=np.uint8)


def _draw_tile(draw: "ImageDraw", box: Box, symbol: str) -> None:
    tile = TILES.get(symbol, OTHER_TILE)
    draw.rectangle(box, fill=tile.ground)
    if tile.striped:
        _draw_stripes(draw, box, tile.ground)
    draw.rectangle(box, outline=FAINT)
    if tile.shown:
        _draw_letter(draw, box, symbol, tile.letter)


def _draw_letter(draw: "ImageDraw", box: Box, letter: str, colour: Colour) -> None:
    font = _font((box[2] - box[0]) * _LETTER_SHARE)
    draw.text(_middle(box), letter, fill=colour, font=font, anchor="mm")


def _middle(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _draw_stripes(draw: "ImageDraw", box: Box, ground: Colour) -> None:
    """Darker diagonals: danger is told by a pattern too, not by hue alone."""
    width = max(1, round((box[2] - box[0]) * _STRIPE_SHARE))
    left, top = box[0] + width, box[1] + width
    side = box[2] - width - left
    red, green, blue = (round(_DARKER * part) for part in ground)
    for stripe in range(1, 2 * _STRIPES):
        near = stripe * side / _STRIPES
        low, high = max(0.0, near - side), min(near, side)
        line = (left + low, top + high, left + high, top + low)
        draw.line(line, fill=(red, green, blue), width=width)


def _draw_agent(draw: "ImageDraw", box: Box) -> None:
    side = box[2] - box[0]
    ring = max(1, round(side * _RING_SHARE))
    draw.circle(_middle(box), side * _AGENT_SHARE, fill=BLUE, outline=PAPER, width=ring)
    _draw_letter(draw, box, AGENT, PAPER)


def _draw_queue(draw: "ImageDraw", top: int, queue: int, cap: int) -> None:
    left = _draw_fact(draw, top, _QUEUE_LABEL, "")
    font = _font(_TEXT_SIZE)
    count = f"{queue}/{cap}"
    right = PICTURE_WIDTH - _MARGIN - draw.textlength(f"{cap}/{cap} ", font=font)
    slot = (right - left) / cap
    high, low = top + 2 * _SLOT_GAP, top + _LINE - 2 * _SLOT_GAP
    for place in range(cap):
        start = left + place * slot
        box = (start, high, start + slot - _SLOT_GAP, low)
        draw.rectangle(box, fill=BLUE if place < queue else FLOOR, outline=WALL)
    middle = (PICTURE_WIDTH - _MARGIN, top + _LINE / 2)
    draw.text(middle, count, fill=INK, font=font, anchor="rm")


def _draw_fact(draw: "ImageDraw", top: int, name: str, value: str) -> float:
    """Draws a name and its value; returns where values begin."""
    left = _MARGIN + _LABEL_SHARE * (PICTURE_WIDTH - 2 * _MARGIN)
    middle, font = top + _LINE / 2, _font(_TEXT_SIZE)
    draw.text((_MARGIN, middle), name, fill=WALL, font=font, anchor="lm")
    draw.text((left, middle), value, fill=INK, font=font, anchor="lm")
    return left
