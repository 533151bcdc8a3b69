"""Pictures: the text to the letter, the pixels by what a reader can tell apart."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from looplab.envs.drawing import (
    BLUE,
    PICTURE_WIDTH,
    TILES,
    captioned,
    draw_desk,
    draw_grid,
    tile_box,
    tile_side,
)
from looplab.envs.errors import UsageError

GRID = ["#####", "#..G#", "#LS.#", "#####"]
AGENT = (1, 2)
FACTS = {"type": "2", "signal": "+0.31"}


def _cell(frame: np.ndarray, row: int, column: int) -> np.ndarray:
    left, top, right, bottom = (int(x) for x in tile_box(row, column, tile_side(5)))
    return frame[top:bottom, left:right]


def _share(pixels: np.ndarray, colour: tuple[int, int, int]) -> float:
    return float((pixels == colour).all(axis=-1).mean())


def _pixels(mode_result: object) -> np.ndarray:
    assert isinstance(mode_result, np.ndarray)
    assert mode_result.dtype == np.uint8
    assert mode_result.shape[2] == 3
    return mode_result


def test_a_grid_in_text() -> None:
    assert draw_grid(GRID, AGENT, "ansi") == "# # # # #\n# . @ G #\n# L S . #\n# # # # #\n"


def test_a_grid_in_pixels_shows_each_cell_in_its_place() -> None:
    frame = _pixels(draw_grid(GRID, AGENT, "rgb_array"))
    side = tile_side(5)
    assert frame.shape == (4 * side + 1, 5 * side + 1, 3)
    assert PICTURE_WIDTH - 5 < frame.shape[1] <= PICTURE_WIDTH
    for row, line in enumerate(GRID):
        for column, symbol in enumerate(line):
            share = _share(_cell(frame, row, column), TILES[symbol].ground)
            assert share > (0.4 if (row, column) == AGENT else 0.5), (row, column)
    assert _share(_cell(frame, *AGENT), BLUE) > 0.25
    assert _share(_cell(frame, 1, 1), BLUE) == 0.0


def test_the_agent_moves_and_nothing_else_does() -> None:
    here = _pixels(draw_grid(GRID, (1, 1), "rgb_array"))
    there = _pixels(draw_grid(GRID, (1, 2), "rgb_array"))
    changed = np.argwhere((here != there).any(axis=-1))
    side = tile_side(5)
    assert set(changed[:, 0] // side) == {1}
    assert set(changed[:, 1] // side) == {1, 2}


def test_lava_is_told_from_goal_and_floor_without_colour() -> None:
    """Even in grey, lava is darker than the floor, and striped where the goal is plain."""
    frame = _pixels(draw_grid(GRID, AGENT, "rgb_array")).mean(axis=-1)
    corner = slice(2, 24)
    lava, goal, floor = (_cell(frame, *place)[corner, corner] for place in ((2, 1), (1, 3), (1, 1)))
    assert np.median(lava) < np.median(floor) - 100
    assert lava.std() > 3.0
    assert goal.std() == floor.std() == 0.0


def test_unknown_symbols_are_letters_on_a_ground_of_their_own() -> None:
    frame = _pixels(draw_grid(["C."], (0, 1), "rgb_array"))
    assert not any((frame[5, 5] == tile.ground).all() for tile in TILES.values())


def test_wide_grids_keep_to_the_width() -> None:
    for columns in (1, 7, 12, 59):
        frame = _pixels(draw_grid(["." * columns], (0, 0), "rgb_array"))
        assert PICTURE_WIDTH - columns <= frame.shape[1] <= PICTURE_WIDTH
    assert _pixels(draw_grid(["." * 100], (0, 0), "rgb_array")).shape[1] == 801


def test_a_desk_in_text() -> None:
    assert draw_desk("ops desk", 3, 5, FACTS, "ansi") == (
        "ops desk\n"  #
        "queue   [###..] 3/5\n"
        "type    2\n"
        "signal  +0.31\n"
    )


def test_a_desk_in_pixels_shows_how_long_the_queue_is() -> None:
    shares = []
    for queue in range(6):
        frame = _pixels(draw_desk("ops desk", queue, 5, FACTS, "rgb_array"))
        assert frame.shape[1] == PICTURE_WIDTH
        shares.append(_share(frame, BLUE))
    assert shares[0] == 0.0
    assert np.diff(shares) == pytest.approx(shares[1], rel=0.05)


def test_a_desk_in_pixels_shows_the_facts() -> None:
    one = draw_desk("ops desk", 1, 5, FACTS, "rgb_array")
    other = draw_desk("ops desk", 1, 5, {**FACTS, "signal": "-1.20"}, "rgb_array")
    changed = np.argwhere((_pixels(one) != _pixels(other)).any(axis=-1))
    assert len(changed) > 0
    assert changed[:, 0].min() > _pixels(one).shape[0] / 2  # the last line only


def test_bad_input() -> None:
    with pytest.raises(UsageError, match="unknown render_mode 'human'; allowed: ansi, rgb_array"):
        draw_grid(GRID, AGENT, "human")
    with pytest.raises(UsageError, match="unknown render_mode 'rgb'; did you mean 'rgb_array'"):
        draw_desk("desk", 1, 2, {}, "rgb")
    with pytest.raises(UsageError, match=r"rows of equal length, got lengths \[2, 1\]"):
        draw_grid(["..", "."], (0, 0), "ansi")
    with pytest.raises(UsageError, match=r"rows of equal length, got lengths \[\]"):
        draw_grid([], (0, 0), "ansi")
    with pytest.raises(UsageError, match=r"\(4, 0\) lies outside a grid of 4 x 5"):
        draw_grid(GRID, (4, 0), "ansi")
    with pytest.raises(UsageError, match=r"queue must be in 0\.\.2, got 3"):
        draw_desk("desk", 3, 2, {}, "ansi")


def test_text_needs_no_picture_library(tmp_path: Path) -> None:
    code = (
        "import sys; from looplab.envs.drawing import draw_grid; "
        "draw_grid(['..'], (0, 0), 'ansi'); assert not {'PIL', 'pygame'} & set(sys.modules); "
        "draw_grid(['..'], (0, 0), 'rgb_array'); assert 'pygame' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_a_caption_is_written_on_the_upper_left_and_nowhere_else() -> None:
    plain = np.zeros((120, 480, 3), dtype=np.uint8)
    one, other = captioned(plain, "+1.00 m/s"), captioned(plain, "+2.00 m/s")
    assert (one[:10, :10] == 255).any()
    assert not np.array_equal(one, other)
    assert not one[40:].any()
    assert not one[:, 200:].any()
    assert not plain.any()  # the picture that was given stays as it was
