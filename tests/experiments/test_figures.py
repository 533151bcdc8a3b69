import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib import pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from looplab.envs.errors import UsageError
from looplab.experiments.curves import training_curves
from looplab.experiments.figures import FIGURES, draw_all
from looplab.experiments.figures.marks import REGIME_STYLES, cell_marks
from looplab.experiments.figures.sheet import STYLE, WIDTH_INCHES, Material, finish
from looplab.experiments.metrics import per_seed, summary
from looplab.experiments.result_folder import load

AXES = ["env", "regime", "algo"]
#: Drawn of every comparison, and only where reviewers erred.
STEMS = [
    "overseen_vs_alone",
    "return_vs_violations",
    "learning_curve",
    "cumulative_violations",
    "violations_vs_hours",
    "violation_rate",
    "review_rate",
    "intervention_rate",
]
OF_ERRORS = ["reviewers", "recall"]
PNG_START, PDF_START = b"\x89PNG", b"%PDF"
NINE = [f"task_with_a_name_{k}" for k in range(9)]


def copied(folder: Path, to: Path) -> Path:
    return shutil.copytree(folder, to / folder.name)


def material(folder: Path) -> Material:
    data = load(folder)
    cells = summary(per_seed(data.results, data.runs, data.axes), data.axes)
    return Material(
        cells, cell_marks(cells, data.axes), training_curves(data), {}, {"ops_desk": 4000.0}
    )


def test_every_figure_is_drawn_as_png_and_pdf_with_a_caption(trial: Path, tmp_path: Path) -> None:
    folder = copied(trial, tmp_path)
    figures = draw_all(folder)
    assert [figure.stem for figure in figures] == STEMS
    for figure in figures:
        assert (folder / "figures" / f"{figure.stem}.png").read_bytes().startswith(PNG_START)
        assert (folder / "figures" / f"{figure.stem}.pdf").read_bytes().startswith(PDF_START)
        assert "n\u00a0=\u00a03 seeds per cell with 95\u00a0% intervals" in figure.caption
        assert "Student-t" in figure.caption
        assert figure.title
    assert "stays still when alone" in figures[0].caption
    assert len(list((folder / "figures").iterdir())) == 2 * len(STEMS)


def test_equal_data_give_equal_files_and_leave_matplotlib_as_it_was(
    trial: Path, tmp_path: Path
) -> None:
    first, second = copied(trial, tmp_path / "a"), copied(trial, tmp_path / "b")
    before = dict(mpl.rcParams)
    draw_all(first)
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        draw_all(second)
    assert dict(mpl.rcParams) == before
    assert pyplot.get_fignums() == []
    for file in (first / "figures").iterdir():
        assert file.read_bytes() == (second / "figures" / file.name).read_bytes(), file.name
    assert b"CreationDate" not in (first / "figures" / "learning_curve.pdf").read_bytes()


def test_other_data_give_other_pictures(
    trial: Path, tmp_path: Path, cells: list[Any], make_comparison: Callable[..., Path]
) -> None:
    worse = [
        replace(c, behaviour=replace(c.behaviour, train_rate=c.behaviour.train_rate + 100))
        for c in cells
    ]
    first, second = copied(trial, tmp_path), make_comparison("worse", worse)
    draw_all(first)
    draw_all(second)
    for stem in ("cumulative_violations", "violations_vs_hours"):
        name = f"figures/{stem}.png"
        assert (first / name).read_bytes() != (second / name).read_bytes()


def test_one_seed_and_many_seeds_are_named_for_what_they_are(
    cells: list[Any], make_comparison: Callable[..., Path]
) -> None:
    one = draw_all(make_comparison("one", cells[:2], seeds=1, steps=20_000))
    assert all("1 seed per cell: no intervals" in f.caption for f in one)
    many = draw_all(make_comparison("many", cells[:2], seeds=20, steps=20_000))
    assert all("bootstrap-t" in f.caption and "Student" not in f.caption for f in many)


def _texts_and_panels(canvas: Any) -> tuple[list[tuple[str, Bbox]], list[Bbox], list[Text]]:
    renderer = canvas.canvas.get_renderer()
    legend, caption = canvas.legends[0], canvas.texts[0]
    below = [
        ("legend", legend.get_window_extent(renderer)),
        ("caption", caption.get_window_extent()),
    ]
    panels = [axes.get_tightbbox(renderer) for axes in canvas.axes]
    return below, panels, legend.get_texts()


@pytest.mark.parametrize("tasks", [["ops_desk"], ["lava_shortcut", "ops_desk"], NINE])
@pytest.mark.parametrize("stem", [*STEMS, *OF_ERRORS])
def test_nothing_overlaps_and_nothing_leaves_the_page(
    stem: str, tasks: list[str], cells: list[Any], make_comparison: Callable[..., Path]
) -> None:
    regimes = sorted(REGIME_STYLES)
    behaviour = [cell.behaviour for cell in cells]
    shown = [
        replace(cells[0], env=env, regime=regime, behaviour=behaviour[(e + k) % len(behaviour)])
        for e, env in enumerate(tasks)
        for k, regime in enumerate(regimes)
    ]
    drawn = material(make_comparison("layout", shown, seeds=2, steps=8_000, evaluated=5))
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        canvas, handles = FIGURES[stem][2](drawn)
        FigureCanvasAgg(canvas)
        finish(canvas, handles, "A caption of usual length, said in many words. " * 4)
        canvas.draw_without_rendering()
        below, panels, labels = _texts_and_panels(canvas)
    assert canvas.get_figwidth() == WIDTH_INCHES
    for name, box in [*below, *(("panel", panel) for panel in panels)]:
        page = canvas.bbox
        assert box.x0 >= page.x0 - 1 and box.x1 <= page.x1 + 1, name  # noqa: PT018
        assert box.y0 >= page.y0 - 1 and box.y1 <= page.y1 + 1, name  # noqa: PT018
    assert not Bbox.intersection(below[0][1], below[1][1])
    for panel in panels:
        assert all(not Bbox.intersection(panel, box) for _, box in below)
    for k, panel in enumerate(panels):
        assert all(not _overlap(panel, other) for other in panels[k + 1 :])
    boxes = [label.get_window_extent() for label in labels]
    for k, box in enumerate(boxes):
        assert all(not _overlap(box, other) for other in boxes[k + 1 :])


def _overlap(first: Bbox, second: Bbox, slack_pixels: float = 1.0) -> bool:
    shared = Bbox.intersection(first, second)
    return shared is not None and min(shared.width, shared.height) > slack_pixels


def test_regimes_keep_their_colour_and_labels_can_be_told_apart() -> None:
    def marks(regimes: list[str], **more: list[object]) -> list[Any]:
        frame = pd.DataFrame({"env": "e", "regime": regimes, "algo": "ppo", **more})
        return cell_marks(frame, [*AXES, *more])

    both, other = marks(["autonomous", "in_the_loop"]), marks(["in_the_loop", "my_own"])
    assert both[1] == other[0]
    assert (both[1].colour, both[1].marker) == REGIME_STYLES["in_the_loop"]
    rates: list[object] = [0.0, 0.05, 0.1, 0.2, 0.5, 0.8]
    for regimes in (["in_the_loop"] * 6, ["in_the_loop"] * 5 + ["autonomous"]):
        made = marks(regimes, miss_rate=rates)
        assert len({(mark.colour, mark.marker) for mark in made}) == len(made)
        assert len({mark.label for mark in made}) == len(made)


def test_cells_that_differ_in_a_number_alone_share_hue_and_series() -> None:
    cells = pd.DataFrame(
        {
            "env": "ops_desk",
            "regime": "in_the_loop",
            "algo": "ppo",
            "trigger": ["budget_risk", "budget_risk", "budget_random", "budget_random"],
            "trigger.share": ["0.05", "0.2", "0.05", "0.2"],
        }
    )
    marks = cell_marks(cells, list(cells.columns))
    assert [mark.series for mark in marks] == [0, 0, 1, 1]
    assert len({(mark.colour, mark.marker) for mark in marks}) == 4
    assert marks[0].colour == "#0072B2"  # the regime's own, then paler
    assert all(
        int(marks[1].colour[i : i + 2], 16) >= int(marks[0].colour[i : i + 2], 16)
        for i in (1, 3, 5)
    )


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no results folder at"):
        draw_all(tmp_path / "none")


def test_erring_reviewers_are_drawn_where_there_are_any(
    cells: list[Any], make_comparison: Callable[..., Path]
) -> None:
    folder = make_comparison("erring", cells, seeds=2, steps=8_000, evaluated=5)
    runs = pd.read_parquet(folder / "runs.parquet")
    runs["total_caught"], runs["total_overlooked"] = 70, 30
    runs["total_false_alarms"], runs["total_cleared"] = 10, 190
    runs.to_parquet(folder / "runs.parquet")
    stems = [figure.stem for figure in draw_all(folder)]
    assert set(stems) == {*STEMS, *OF_ERRORS}
