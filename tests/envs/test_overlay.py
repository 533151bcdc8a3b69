"""The strip under a picture: what it shows differs where the step differed."""

from dataclasses import replace

import numpy as np
import pytest

from looplab.envs.drawing import GREEN, ORANGE, PAPER, PICTURE_WIDTH, SKY, VERMILLION
from looplab.envs.errors import UsageError
from looplab.envs.overlay import BADGES, Annotation, overlay

NOTE = Annotation(
    proposed=0, executed=4, actions=("up", "down", "left", "right", "stay"), risk=0.8,
    badge="vetoed", human_seconds=65.0, step=12,
)  # fmt: skip
PICTURE = np.full((100, 479, 3), 7, dtype=np.uint8)


def _count(frame: np.ndarray, colour: tuple[int, int, int]) -> int:  # type: ignore[type-arg]
    return int((frame == np.array(colour)).all(axis=2).sum())


def test_the_picture_stays_as_it_is_above_the_strip() -> None:
    frame = overlay(PICTURE, NOTE)
    assert frame.shape[1:] == (PICTURE_WIDTH, 3)
    assert frame.dtype == np.uint8
    assert (frame[:99, :479] == 7).all()
    assert len(frame) > 150


def test_only_the_executed_action_is_solid() -> None:
    moved = overlay(PICTURE, replace(NOTE, executed=0))
    both = overlay(PICTURE, NOTE)
    narrow, wide = (_count(frame, SKY) for frame in (moved, both))
    assert 0 < narrow < wide  # "up" is shorter than "stay"
    assert not np.array_equal(overlay(PICTURE, replace(NOTE, proposed=1)), both)


@pytest.mark.parametrize("risk", [0.25, 0.5, 1.0])
def test_the_bar_is_as_long_as_the_risk(risk: float) -> None:
    bar = _count(overlay(PICTURE, replace(NOTE, risk=risk, badge="pending")), VERMILLION)
    whole = _count(overlay(PICTURE, replace(NOTE, risk=1.0, badge="pending")), VERMILLION)
    assert bar / whole == pytest.approx(risk, abs=0.01)


@pytest.mark.parametrize("risk", [None, float("nan"), 0.0])
def test_no_risk_has_no_bar(risk: float | None) -> None:
    assert _count(overlay(PICTURE, replace(NOTE, risk=risk, badge="pending")), VERMILLION) == 0


def test_every_badge_looks_different() -> None:
    frames = [overlay(PICTURE, replace(NOTE, badge=badge)) for badge in BADGES]
    assert len({frame.tobytes() for frame in frames}) == len(BADGES)
    assert _count(overlay(PICTURE, replace(NOTE, badge="approved")), GREEN) > 500
    assert _count(overlay(PICTURE, replace(NOTE, badge="pending")), ORANGE) > 500


def test_a_violation_is_written_out() -> None:
    assert _count(overlay(PICTURE, replace(NOTE, risk=0.0, badge="approved", violated=True)),
                  VERMILLION) > 20  # fmt: skip


def test_continuous_actions_are_points_in_a_square() -> None:
    def drawn(x: float) -> np.ndarray:  # type: ignore[type-arg]
        note = replace(NOTE, actions=(), proposed=np.zeros(2), executed=np.array([x, 0.5]))
        return overlay(PICTURE, note)

    columns = [np.flatnonzero((drawn(x) == np.array(SKY)).all(axis=2).any(axis=0)) for x in (-1, 1)]
    assert columns[0].max() < columns[1].min()


def test_actions_of_six_numbers_fit_the_width() -> None:
    six = np.linspace(-1.0, 1.0, 6)
    strip = overlay(PICTURE, replace(NOTE, actions=(), proposed=six, executed=-six))[110:155]
    assert (strip[:, -12:] == np.array(PAPER)).all()
    assert not np.array_equal(strip[:22, 80:], strip[22:44, 80:])  # one line for each


def test_many_actions_go_on_in_further_rows() -> None:
    names = tuple(f"action number {i}" for i in range(12))
    assert len(overlay(PICTURE, replace(NOTE, actions=names))) > len(overlay(PICTURE, NOTE))


@pytest.mark.parametrize(("width", "shown"), [(160, 480), (960, 480), (300, 300)])
def test_pictures_of_other_sizes_fit(width: int, shown: int) -> None:
    frame = overlay(np.full((60, width, 3), 7, dtype=np.uint8), NOTE)
    assert frame.shape[1] == PICTURE_WIDTH
    assert abs(int((frame[5] == 7).all(axis=1).sum()) - shown) <= 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"badge": "aproved"}, "unknown badge 'aproved'; did you mean 'approved'"),
        ({"risk": 1.5}, r"risk must be a number in \[0, 1\], got 1.5"),
        ({"human_seconds": -1.0}, "human_seconds must be a number at least 0"),
    ],
)
def test_bad_notes(change: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(NOTE, **change)  # type: ignore[arg-type]


def test_what_is_no_picture() -> None:
    with pytest.raises(UsageError, match=r"a picture is uint8 \(height, width, 3\), got \(4, 4\)"):
        overlay(np.zeros((4, 4), dtype=np.uint8), NOTE)
