"""The picture of a point on a field, from above: hazards, goal, velocity and lidar."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from looplab.envs.drawing import (
    BLUE,
    FAINT,
    FLOOR,
    GREEN,
    INK,
    PAPER,
    PICTURE_WIDTH,
    SKY,
    VERMILLION,
    Colour,
    Frame,
    draw_grid,
)

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

#: Characters across the field, as text.
_COLUMNS = 20
_METRES_BETWEEN_LINES = 1.0
_LETTER_PIXELS = 36
_AGENT_PIXELS = 9
_RING_PIXELS = 2
#: A full bin of lidar is a bar from the one to the other distance from the agent.
_LIDAR_PIXELS = (14, 134)
_BAR_PIXELS = 5
#: The line of the velocity ends where the point would be after so many seconds.
_VELOCITY_SECONDS = 0.5
_VELOCITY_PIXELS = 4
_STRIPES = 5
_STRIPE_PIXELS = 4
_STRIPE: Colour = (187, 83, 0)
_NORTH_EAST = (1 + 1j) / abs(1 + 1j)


@dataclass(frozen=True)
class Field:
    """What lies on a square field; places in metres from its middle, x + iy.

    Attributes:
        half: half of its side, in metres.
        point: where the agent is.
        velocity: of the agent, in metres per second.
        goal: middle of the goal.
        goal_radius: in metres.
        hazards: their middles, shape (H,).
        hazard_radius: in metres.
        lidar: what the agent senses, from the east anticlockwise, in [0, 1].
    """

    half: float
    point: complex
    velocity: complex
    goal: complex
    goal_radius: float
    hazards: NDArray[np.complex128]
    hazard_radius: float
    lidar: NDArray[np.float32]


def draw_field(field: Field, mode: str) -> str | Frame:
    """Draws a field, north up.

    Args:
        field: what lies on it.
        mode: ``ansi`` for 20 x 20 characters (``H`` hazard, ``G`` goal, ``@`` agent),
            ``rgb_array`` for uint8 (480, 480, 3).

    Raises:
        UsageError: if the mode is unknown.
    """
    return _pixels(field) if mode == "rgb_array" else _text(field, mode)


def _text(field: Field, mode: str) -> str | Frame:
    ticks = (np.arange(_COLUMNS) + 0.5) * (2 * field.half / _COLUMNS) - field.half
    cells = ticks + 1j * ticks[::-1, None]
    symbols = np.full(cells.shape, ".")
    symbols[np.abs(cells - field.goal) <= field.goal_radius] = "G"
    gaps = np.abs(cells[..., None] - field.hazards).min(axis=-1)
    symbols[gaps < field.hazard_radius] = "H"
    row, column = np.unravel_index(np.abs(cells - field.point).argmin(), cells.shape)
    return draw_grid(symbols.tolist(), (int(row), int(column)), mode)


def _pixels(field: Field) -> Frame:
    from PIL import Image, ImageDraw, ImageFont

    scale = PICTURE_WIDTH / (2 * field.half)

    def spot(place: complex) -> complex:
        """A place in pixels, right + i down."""
        return scale * ((place.real + field.half) + 1j * (field.half - place.imag))

    image = Image.new("RGB", (PICTURE_WIDTH, PICTURE_WIDTH), FLOOR)
    draw = ImageDraw.Draw(image)
    for line in np.arange(-field.half, field.half, _METRES_BETWEEN_LINES)[1:]:
        _line(draw, spot(complex(line, -field.half)), spot(complex(line, field.half)), FAINT, 1)
        _line(draw, spot(complex(-field.half, line)), spot(complex(field.half, line)), FAINT, 1)
    goal = spot(field.goal)
    draw.circle((goal.real, goal.imag), scale * field.goal_radius, fill=GREEN, outline=PAPER)
    font = ImageFont.load_default(_LETTER_PIXELS)
    draw.text((goal.real, goal.imag), "G", fill=PAPER, font=font, anchor="mm")
    for hazard in field.hazards:
        _hazard(draw, spot(hazard), scale * field.hazard_radius)
    point = spot(field.point)
    _lidar(draw, point, field.lidar)
    ahead = spot(field.point + _VELOCITY_SECONDS * field.velocity)
    _line(draw, point, ahead, INK, _VELOCITY_PIXELS)
    draw.circle(
        (point.real, point.imag), _AGENT_PIXELS, fill=BLUE, outline=PAPER, width=_RING_PIXELS
    )
    return np.array(image, dtype=np.uint8)


def _hazard(draw: "ImageDraw", middle: complex, radius: float) -> None:
    """A striped disc: danger is told by a pattern too, not by hue alone."""
    draw.circle((middle.real, middle.imag), radius, fill=VERMILLION)
    for share in np.linspace(-1.0, 1.0, _STRIPES + 2)[1:-1]:
        foot = middle + share * radius * _NORTH_EAST
        half = radius * np.sqrt(1.0 - share**2) * _NORTH_EAST * 1j
        _line(draw, foot - half, foot + half, _STRIPE, _STRIPE_PIXELS)


def _lidar(draw: "ImageDraw", point: complex, readings: NDArray[np.float32]) -> None:
    near, far = _LIDAR_PIXELS
    for place, reading in enumerate(readings.tolist()):
        # Down is positive in pixels, so that anticlockwise turns are negative.
        towards = np.exp(-2j * np.pi * (place + 0.5) / len(readings))
        if reading:
            end = point + towards * (near + reading * (far - near))
            _line(draw, point + towards * near, end, SKY, _BAR_PIXELS)


def _line(draw: "ImageDraw", start: complex, end: complex, colour: Colour, width: int) -> None:
    draw.line((start.real, start.imag, end.real, end.imag), fill=colour, width=width)
