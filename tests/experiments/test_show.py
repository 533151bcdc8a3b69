"""The show command: pictures of an episode under a regime."""

from pathlib import Path

import pytest
from PIL import Image

from looplab.envs.errors import UsageError
from looplab.experiments.build import Seeds, oversee, parts
from looplab.experiments.overrides import plan
from looplab.experiments.show import badge, drawable, film, show


def test_a_gif_moves_and_a_strip_holds_every_step(tmp_path: Path) -> None:
    words = ["env=lava_shortcut", "regime=in_the_loop", "seed=1"]
    gif = show(words, tmp_path / "a.gif", steps=5)
    with Image.open(gif) as image:
        assert image.n_frames == 5  # type: ignore[attr-defined]
        width, height = image.size
    png = show(words, tmp_path / "a.png", steps=5)
    with Image.open(png) as strip:
        assert strip.width >= 4 * width
        assert strip.height >= 2 * height


def test_the_same_seed_draws_the_same_file(tmp_path: Path) -> None:
    files = [
        show(["env=ops_desk", f"seed={seed}"], tmp_path / f"{i}.gif", steps=4).read_bytes()
        for i, seed in enumerate((3, 3, 4))
    ]
    assert files[0] == files[1] != files[2]


def test_badges_follow_what_oversight_did() -> None:
    config = plan(["env=lava_shortcut", "regime=on_the_loop"], sweeps=False).cells[0]
    lanes = drawable(config["env"])
    venv = oversee(lanes, parts(config), Seeds.of(0).environment)
    venv.reset()
    lanes.state[:] = lanes.table.place((24, True))  # type: ignore[attr-defined]  # below the lava
    seen = []
    for _ in range(3):
        venv.step(lanes.reference())  # type: ignore[arg-type]
        assert venv.oversight.last is not None
        seen.append(badge(venv.oversight.last))
    assert seen[:2] == ["pending", "vetoed"]


def test_other_peoples_environments_are_drawn_too() -> None:
    config = plan(["env=cliff_walking", "regime=in_the_loop"], sweeps=False).cells[0]
    lanes = drawable(config["env"])
    venv = oversee(lanes, parts(config), 0)
    frames = film(venv, lanes, lambda observation: lanes.hold(), 2)  # type: ignore[arg-type, return-value]
    assert len(frames) == 2
    assert frames[0].shape[1] == 480


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"out": Path("a.jpg")}, r"a.jpg must end with .gif or .png"),
        ({"policy": "randm"}, "unknown policy 'randm'; did you mean 'random'"),
        ({"steps": 0}, "steps must be a whole number of at least 1"),
        ({"model": Path("none.zip")}, "none.zip"),
    ],
)
def test_bad_input(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        show(["env=lava_shortcut"], **arguments)  # type: ignore[arg-type]


def test_a_task_without_a_reference_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="knows no reference policy; use policy=random"):
        show(["env=minigrid_lava_gap"], tmp_path / "a.gif", policy="reference", steps=2)
