"""The picture of a road from above: the ego, the cars around it, who signals, and speeds."""

from typing import TYPE_CHECKING

import numpy as np

from looplab.envs.drawing import (
    AGENT,
    BLUE,
    DRAW_MODES,
    FLOOR,
    INK,
    ORANGE,
    PAPER,
    PICTURE_WIDTH,
    VERMILLION,
    WALL,
    Colour,
    Frame,
)
from looplab.envs.errors import choice
from looplab.envs.worlds.ring_road import CAR_METRES, ROAD_LANES, Traffic, too_near

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

#: What is shown, in metres behind and ahead of the ego.
_BEHIND, _AHEAD = 30.0, 66.0
_PIXELS_PER_METRE = PICTURE_WIDTH / (_BEHIND + _AHEAD)
_LANE_PIXELS = 44
_TITLE_PIXELS = 44
_CAR_PIXELS = 15
_EDGE_PIXELS = 3
_DASH_PIXELS, _GAP_PIXELS = 18, 14
_TITLE_SIZE, _SPEED_SIZE = 20, 14
_MARGIN = 14
_ARROW_PIXELS = 10
_METRES_PER_LETTER = 3.0
_KMH = 3.6


def draw_road(traffic: Traffic, index: int, mode: str) -> str | Frame:
    """Draws one road; speeds are in km/h, orange arrows show where a signalling car will go.

    Args:
        traffic: roads.
        index: which of them.
        mode: ``ansi`` for text with a newline at its end (``@`` the ego, ``#`` a car, ``^`` and
            ``v`` cars that signal to the left and to the right), ``rgb_array`` for uint8
            (176, 480, 3); the ego is vermillion while its headway is too short.

    Raises:
        UsageError: if the mode is unknown.
    """
    choice("render_mode", mode, DRAW_MODES)
    one = traffic.of(index)
    title = f"{_KMH * one.ego_speed[0]:.0f} km/h"
    return _text(one, title) if mode == "ansi" else _pixels(one, title)


def _cars(one: Traffic) -> list[tuple[int, float, float, int]]:
    """Lane, metres ahead, speed and direction of the signal of each car in the picture."""
    signal = (one.target - one.lane) * (one.countdown > 0)
    rows = zip(one.lane[0], one.distance[0], one.speed[0], signal[0], strict=True)
    inside = [row for row in rows if -_BEHIND < row[1] < _AHEAD]
    return [(int(lane), float(place), float(v), int(to)) for lane, place, v, to in inside]


def _text(one: Traffic, title: str) -> str:
    columns = int((_BEHIND + _AHEAD) / _METRES_PER_LETTER)
    lines = [["."] * columns for _ in range(ROAD_LANES)]
    for lane, place, _, to in _cars(one):
        lines[lane][int((place + _BEHIND) / _METRES_PER_LETTER)] = "#v^"[to]
    lines[int(one.ego_lane[0])][int(_BEHIND / _METRES_PER_LETTER)] = AGENT
    return "".join("".join(line) + "\n" for line in lines) + title + "\n"


def _pixels(one: Traffic, title: str) -> Frame:
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (PICTURE_WIDTH, _TITLE_PIXELS + ROAD_LANES * _LANE_PIXELS), PAPER)
    draw = ImageDraw.Draw(image)
    near = bool(too_near(one, np.zeros(1, dtype=np.bool_))[0])
    font = ImageFont.load_default(_TITLE_SIZE)
    middle = _TITLE_PIXELS / 2
    draw.text((_MARGIN, middle), title, fill=INK, font=font, anchor="lm")
    if near:
        corner = (PICTURE_WIDTH - _MARGIN, middle)
        draw.text(corner, "too near", fill=VERMILLION, font=font, anchor="rm")
    _draw_lanes(draw)
    for lane, place, speed, to in _cars(one):
        _draw_car(draw, lane, place, speed, WALL)
        if to:
            _draw_arrow(draw, lane, place, to)
    ego = VERMILLION if near else BLUE
    _draw_car(draw, int(one.ego_lane[0]), 0.0, float(one.ego_speed[0]), ego)
    return np.array(image, dtype=np.uint8)


def _draw_lanes(draw: "ImageDraw") -> None:
    bottom = _TITLE_PIXELS + ROAD_LANES * _LANE_PIXELS - 1
    draw.rectangle((0, _TITLE_PIXELS, PICTURE_WIDTH, bottom), fill=FLOOR)
    for edge in (_TITLE_PIXELS, bottom - _EDGE_PIXELS + 1):
        draw.rectangle((0, edge, PICTURE_WIDTH, edge + _EDGE_PIXELS - 1), fill=INK)
    for line in range(1, ROAD_LANES):
        y = _TITLE_PIXELS + line * _LANE_PIXELS
        for left in range(0, PICTURE_WIDTH, _DASH_PIXELS + _GAP_PIXELS):
            draw.line((left, y, left + _DASH_PIXELS, y), fill=WALL, width=2)


def _middle(lane: int, place: float) -> tuple[float, float]:
    return (place + _BEHIND) * _PIXELS_PER_METRE, _TITLE_PIXELS + (lane + 0.5) * _LANE_PIXELS


def _draw_car(draw: "ImageDraw", lane: int, place: float, speed: float, colour: Colour) -> None:
    from PIL import ImageFont

    x, y = _middle(lane, place)
    long, wide = CAR_METRES * _PIXELS_PER_METRE / 2, _CAR_PIXELS / 2
    draw.rounded_rectangle((x - long, y - wide, x + long, y + wide), radius=4, fill=colour)
    font = ImageFont.load_default(_SPEED_SIZE)
    draw.text((x - long - 3, y), f"{_KMH * speed:.0f}", fill=INK, font=font, anchor="rm")


def _draw_arrow(draw: "ImageDraw", lane: int, place: float, to: int) -> None:
    """A triangle on the side to which the car will go."""
    x, y = _middle(lane, place)
    base = y + to * (_CAR_PIXELS / 2 + 1)
    tip = base + to * _ARROW_PIXELS
    corners = [(x - _ARROW_PIXELS, base), (x + _ARROW_PIXELS, base), (x, tip)]
    draw.polygon(corners, fill=ORANGE, outline=INK)
