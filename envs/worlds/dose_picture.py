"""Picture of a day of insulin: glucose over its bands, what the sensor showed, meals and boluses.

Drawn for the human who watches: the line is true glucose, and exercise is shown beforehand, which
the agent never sees.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from looplab.envs.core import FloatArray
from looplab.envs.drawing import (
    BLUE,
    DRAW_MODES,
    FAINT,
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
from looplab.envs.errors import choice
from looplab.envs.worlds.bergman import STEP_MINUTES
from looplab.envs.worlds.day_plan import DAY_STEPS, EXERCISE_STEPS, FIRST_HOUR, STEPS_PER_HOUR
from looplab.envs.worlds.dose_control import HIGH, LOW, SEVERE

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

#: Grounds below the two levels of lows.
SEVERE_GROUND: Colour = (246, 205, 180)
LOW_GROUND: Colour = (252, 236, 196)
#: Ends of the axes, mg/dL and units.
LEAST, MOST = 30.0, 310.0
MOST_UNITS = 10.0

_HEIGHT = 340
_LEFT, _RIGHT = 50, PICTURE_WIDTH - 12
_TITLE, _TOP, _BOTTOM = 8, 62, 250
_BARS_TOP, _BARS_BOTTOM = 266, 312
_DOT, _LINE, _BAR, _MARK, _STRIP, _GAP = 1.5, 3, 3, 6, 16, 6
_TITLE_SIZE, _LABEL_SIZE = 18, 12
_LABELLED_HOURS = 6
#: Steps that a letter of the text stands for.
_STEPS_PER_LETTER = 2


def draw_day(
    chart: FloatArray, meals: Mapping[int, float], exercise: int | None, elapsed: int, mode: str
) -> str | Frame:
    """Draws the day so far.

    Args:
        chart: glucose (mg/dL) and reading (mg/dL) after each step, and the bolus (units) given in
            it; NaN where it has not come to that, (3, steps + 1).
        meals: announced carbohydrates in grams, by the step in which they are eaten.
        exercise: step in which the day's exercise begins; None: there is none.
        elapsed: steps that are over.
        mode: ``ansi`` for text with a newline at its end, ``rgb_array`` for uint8 (340, 480, 3).

    Raises:
        UsageError: if the mode is unknown.
    """
    choice("render_mode", mode, DRAW_MODES)
    glucose, reading = chart[:2, elapsed]
    title = f"{_clock(elapsed)}   glucose {glucose:.0f} mg/dL   sensor {reading:.0f}"
    drawn = _text if mode == "ansi" else _pixels
    return drawn(title, chart[:, : elapsed + 1], meals, exercise)


def _clock(step: int) -> str:
    minutes = round(FIRST_HOUR * 60.0 + step * STEP_MINUTES)
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}"


def _text(title: str, chart: FloatArray, meals: Mapping[int, float], exercise: int | None) -> str:
    rows = {"glucose": "", "bolus": "", "meal": ""}
    for start in range(0, chart.shape[1], _STEPS_PER_LETTER):
        glucose, _, units = chart[:, start : start + _STEPS_PER_LETTER]
        given = np.nansum(units)
        eaten = any(step in meals for step in range(start, start + _STEPS_PER_LETTER))
        rows["glucose"] += _level(glucose)
        rows["bolus"] += "." if given == 0.0 else f"{given:.0f}" if given < 10.0 else "*"
        rows["meal"] += "m" if eaten else "."
    lines = [title, *(f"{name:<7}  {row}" for name, row in rows.items())]
    if exercise is not None:
        lines.append(f"exercise from {_clock(exercise)} to {_clock(exercise + EXERCISE_STEPS)}")
    lines.append("a letter is half an hour: S < 54, v < 70, - in range, ^ > 180 mg/dL; * >= 10 U")
    return "".join(line + "\n" for line in lines)


def _level(glucose: FloatArray) -> str:
    least = glucose.min()
    if least < LOW:
        return "S" if least < SEVERE else "v"
    return "^" if glucose.max() > HIGH else "-"


def _across(step: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * step / DAY_STEPS


def _up(glucose: float) -> float:
    return _BOTTOM - (_BOTTOM - _TOP) * (min(max(glucose, LEAST), MOST) - LEAST) / (MOST - LEAST)


def _pixels(
    title: str, chart: FloatArray, meals: Mapping[int, float], exercise: int | None
) -> Frame:
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (PICTURE_WIDTH, _HEIGHT), PAPER)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(_LABEL_SIZE)
    draw.text((_LEFT, _TITLE), title, fill=INK, font=ImageFont.load_default(_TITLE_SIZE))
    _draw_axes(draw, font)
    if exercise is not None:
        _draw_exercise(draw, exercise, font)
    for step, grams in meals.items():
        _draw_meal(draw, step, grams, font)
    glucose, reading, units = chart
    for step, shown in enumerate(reading):
        draw.circle((_across(step), _up(shown)), _DOT, fill=WALL)
    line = [(_across(step), _up(level)) for step, level in enumerate(glucose)]
    if len(line) > 1:
        draw.line(line, fill=BLUE, width=_LINE, joint="curve")
    draw.circle(line[-1], _MARK, fill=BLUE, outline=PAPER, width=2)
    heights = np.nan_to_num(units) / MOST_UNITS * (_BARS_BOTTOM - _BARS_TOP)
    for step, height in enumerate(heights):
        if height > 0.0:
            left = _across(step)
            draw.rectangle((left, _BARS_BOTTOM - height, left + _BAR, _BARS_BOTTOM), fill=INK)
    return np.array(image, dtype=np.uint8)


def _draw_axes(draw: "ImageDraw", font: Any) -> None:
    draw.rectangle((_LEFT, _up(LOW), _RIGHT, _up(SEVERE)), fill=LOW_GROUND)
    draw.rectangle((_LEFT, _up(SEVERE), _RIGHT, _BOTTOM), fill=SEVERE_GROUND)
    for level, colour in ((SEVERE, VERMILLION), (LOW, ORANGE), (HIGH, ORANGE)):
        draw.line((_LEFT, _up(level), _RIGHT, _up(level)), fill=colour)
        draw.text((_LEFT - _GAP, _up(level)), f"{level:.0f}", fill=INK, font=font, anchor="rm")
    draw.text((_LEFT - _GAP, _TOP - 2 * _MARK), "meals", fill=GREEN, font=font, anchor="rb")
    draw.text((_LEFT - _GAP, _TOP), "mg/dL", fill=WALL, font=font, anchor="rt")
    draw.line((_LEFT, _BARS_BOTTOM, _RIGHT, _BARS_BOTTOM), fill=WALL)
    draw.line((_LEFT, _BARS_TOP, _RIGHT, _BARS_TOP), fill=FAINT)
    draw.text((_LEFT - _GAP, _BARS_TOP), f"{MOST_UNITS:.0f} U", fill=WALL, font=font, anchor="rm")
    draw.text((_LEFT - _GAP, _BARS_BOTTOM), "0", fill=WALL, font=font, anchor="rm")
    for step in range(0, DAY_STEPS + 1, _LABELLED_HOURS * STEPS_PER_HOUR):
        edge = "la" if step == 0 else "ra" if step == DAY_STEPS else "ma"
        place = (_across(step), _BARS_BOTTOM + _GAP)
        draw.text(place, _clock(step), fill=INK, font=font, anchor=edge)


def _draw_exercise(draw: "ImageDraw", step: int, font: Any) -> None:
    left, right = _across(step), _across(step + EXERCISE_STEPS)
    draw.rectangle((left, _TOP, right, _TOP + _STRIP), fill=SKY)
    draw.text(((left + right) / 2, _TOP + _STRIP / 2), "exercise", fill=INK, font=font, anchor="mm")


def _draw_meal(draw: "ImageDraw", step: int, grams: float, font: Any) -> None:
    across = _across(step)
    for down in range(_TOP, _BOTTOM, 2 * _MARK):
        draw.line((across, down, across, down + _MARK), fill=GREEN)
    corners = [(across - _MARK, _TOP - _MARK), (across + _MARK, _TOP - _MARK), (across, _TOP)]
    draw.polygon(corners, fill=GREEN)
    place = (across, _TOP - 2 * _MARK)
    draw.text(place, f"{grams:.0f} g", fill=INK, font=font, anchor="mb")
