import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from looplab.envs.errors import UsageError
from looplab.experiments.drift_curves import drift_curves
from looplab.experiments.figures import FIGURES, draw_all, material
from looplab.experiments.figures.calibration import reliability
from looplab.experiments.figures.frontier import alike, references, series_handles
from looplab.experiments.figures.labels import spread
from looplab.experiments.figures.marks import REGIME_STYLES, Mark, cell_marks
from looplab.experiments.figures.profiles import profile, scores_by_label
from looplab.experiments.figures.safety import pareto_front
from looplab.experiments.figures.sheet import STYLE, WIDTH_INCHES, Material, finish
from looplab.experiments.metrics import per_seed, summary
from looplab.experiments.result_folder import load
from looplab.experiments.run_tables import calibration_rows

AXES = ["env", "regime", "algo"]
#: Drawn of the trial, and only where reviewers erred, something drifts, or it was predicted.
STEMS = [
    "overseen_vs_alone",
    "return_vs_violations",
    "performance_profiles",
    "learning_curve",
    "time_to_threshold",
    "cumulative_violations",
    "violations_vs_hours",
    "violation_rate",
    "review_rate",
    "intervention_rate",
]
OF_ERRORS = ["reviewers", "recall"]
OTHERS = [*OF_ERRORS, "drift_aligned", "risk_calibration", "confidence_calibration"]
#: Figures whose intervals are not those of means.
OF_SHARES = ["performance_profiles", "time_to_threshold"]
PNG_START, PDF_START = b"\x89PNG", b"%PDF"
FEW, MANY = ["autonomous", "in_the_loop_correction", "rules"], sorted(REGIME_STYLES)
#: One of each kind, where there are many panels.
OF_MANY_TASKS = ["overseen_vs_alone", "return_vs_violations", "learning_curve", "drift_aligned"]
NINE = [f"task_with_a_name_{k}" for k in range(9)]


def copied(folder: Path, to: Path) -> Path:
    return shutil.copytree(folder, to / folder.name)


def material_of(folder: Path) -> Material:
    data = load(folder)
    seeds = per_seed(data.results, data.runs, data.axes)
    return material(data, seeds, summary(seeds, data.axes))


def with_more(folder: Path) -> Path:
    """Adds a drift, erring reviewers and calibration to a comparison."""
    runs = pd.read_parquet(folder / "runs.parquet")
    runs["drift_step"] = runs["steps"] / 2.0
    runs["total_caught"], runs["total_overlooked"] = 70, 30
    runs["total_false_alarms"], runs["total_cleared"] = 10, 190
    runs["total_unsafe_proposals"] = 100
    runs.to_parquet(folder / "runs.parquet")
    bins = {"count": [90, 60, 8], "predicted": [9.0, 30.0, 7.0], "happened": [10, 20, 8]}
    metrics = {run: {"calibration": {"risk": bins, "confidence": bins}} for run in runs["run"]}
    calibration_rows(metrics).to_parquet(folder / "calibration.parquet")
    return folder


def test_every_figure_is_drawn_as_png_and_pdf_with_a_caption(trial: Path, tmp_path: Path) -> None:
    folder = copied(trial, tmp_path)
    figures = draw_all(folder)
    assert [figure.stem for figure in figures] == STEMS
    for figure in figures:
        assert (folder / "figures" / f"{figure.stem}.png").read_bytes().startswith(PNG_START)
        assert (folder / "figures" / f"{figure.stem}.pdf").read_bytes().startswith(PDF_START)
        assert "n\u00a0=\u00a03 seeds per cell" in figure.caption
        assert "95\u00a0% intervals" in figure.caption
        assert ("Student-t" in figure.caption) == (figure.stem not in OF_SHARES)
        assert figure.title
    assert "stays still when alone" in figures[0].caption
    assert len(list((folder / "figures").iterdir())) == 2 * len(STEMS)


def test_equal_data_give_equal_files_and_leave_matplotlib_as_it_was(
    cells: list[Any], make_comparison: Callable[..., Path], tmp_path: Path
) -> None:
    first = make_comparison("small", cells[:2], seeds=2, steps=8_000, evaluated=5)
    second = copied(first, tmp_path / "again")
    before = dict(mpl.rcParams)
    draw_all(first)
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        draw_all(second)
    assert dict(mpl.rcParams) == before
    assert pyplot.get_fignums() == []
    for file in (first / "figures").iterdir():
        assert file.read_bytes() == (second / "figures" / file.name).read_bytes(), file.name
    assert b"CreationDate" not in (first / "figures" / "learning_curve.pdf").read_bytes()


@pytest.mark.usefixtures("forked")
def test_helpers_draw_the_same_files(
    cells: list[Any],
    make_comparison: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alone = with_more(make_comparison("many", cells[:6], seeds=2, steps=8_000, evaluated=5))
    together = copied(alone, tmp_path / "again")
    drawn = {}
    for folder, count in ((alone, 0), (together, 2)):
        monkeypatch.setattr("looplab.experiments.figures.helpers", lambda tasks, n=count: n)
        drawn[folder] = draw_all(folder)
    assert drawn[alone] == drawn[together]
    assert len(drawn[alone]) > len(STEMS)
    for file in (alone / "figures").iterdir():
        assert file.read_bytes() == (together / "figures" / file.name).read_bytes(), file.name


def test_what_helpers_are_sent_holds_no_episodes(
    cells: list[Any], make_comparison: Callable[..., Path]
) -> None:
    sizes = [
        len(pickle.dumps(material_of(make_comparison(name, cells[:2], steps=steps, evaluated=n))))
        for name, steps, n in (("short", 200_000, 5), ("long", 800_000, 2_000))
    ]
    assert sizes[1] < 1.2 * sizes[0]


def test_other_data_give_other_pictures(
    cells: list[Any], make_comparison: Callable[..., Path]
) -> None:
    worse = [
        replace(c, behaviour=replace(c.behaviour, train_rate=c.behaviour.train_rate + 100))
        for c in cells[:2]
    ]
    first, second = (
        make_comparison(name, own, seeds=2, steps=8_000, evaluated=5)
        for name, own in (("first", cells[:2]), ("worse", worse))
    )
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
    assert not {f.stem for f in one} & set(OF_SHARES)
    many = draw_all(make_comparison("many", cells[:2], seeds=20, steps=20_000))
    means = [f for f in many if f.stem not in OF_SHARES]
    assert len(means) < len(many)
    assert all("bootstrap-t" in f.caption and "Student" not in f.caption for f in means)


def _texts_and_panels(canvas: Any) -> tuple[list[tuple[str, Bbox]], list[Bbox], list[Text]]:
    renderer = canvas.canvas.get_renderer()
    below = [("caption", canvas.texts[0].get_window_extent())]
    below += [("legend", legend.get_window_extent(renderer)) for legend in canvas.legends]
    panels = [axes.get_tightbbox(renderer) for axes in canvas.axes]
    beside = [axes.get_legend() for axes in canvas.axes if axes.get_legend()]
    labels = [text for axes in canvas.axes for text in axes.texts if text.get_clip_on() is False]
    labels += [text for legend in (*canvas.legends, *beside) for text in legend.get_texts()]
    return below, panels, [text for text in labels if text.get_text()]


@pytest.mark.parametrize(
    ("tasks", "regimes"),
    [
        (["ops_desk"], FEW),
        (["ops_desk"], MANY),
        (["lava_shortcut", "ops_desk"], ["rules", "panel"]),
        (NINE, MANY),
    ],
)
def test_nothing_overlaps_and_nothing_leaves_the_page(
    tasks: list[str], regimes: list[str], cells: list[Any], make_comparison: Callable[..., Path]
) -> None:
    behaviour = [cell.behaviour for cell in cells]
    shown = [
        replace(cells[0], env=env, regime=regime, behaviour=behaviour[(e + k) % len(behaviour)])
        for e, env in enumerate(tasks)
        for k, regime in enumerate(regimes)
    ]
    drawn = material_of(
        with_more(make_comparison("layout", shown, seeds=3, steps=4_500, evaluated=5))
    )
    for stem in OF_MANY_TASKS if tasks is NINE else [*STEMS, *OTHERS]:
        check_layout(stem, drawn)


def check_layout(stem: str, drawn: Material) -> None:
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        canvas, handles = FIGURES[stem].painter(drawn)
        FigureCanvasAgg(canvas)
        finish(canvas, handles, "A caption of usual length, said in many words. " * 4)
        canvas.draw_without_rendering()
        below, panels, labels = _texts_and_panels(canvas)
    assert canvas.get_figwidth() == WIDTH_INCHES
    for name, box in [*below, *(("panel", panel) for panel in panels)]:
        page = canvas.bbox
        assert box.x0 >= page.x0 - 1 and box.x1 <= page.x1 + 1, (stem, name)  # noqa: PT018
        assert box.y0 >= page.y0 - 1 and box.y1 <= page.y1 + 1, (stem, name)  # noqa: PT018
    assert len(below) == 1 or not Bbox.intersection(below[0][1], below[1][1]), stem
    for panel in panels:
        assert all(not Bbox.intersection(panel, box) for _, box in below), stem
    for k, panel in enumerate(panels):
        assert all(not _overlap(panel, other) for other in panels[k + 1 :]), stem
    boxes = [label.get_window_extent() for label in labels]
    for k, box in enumerate(boxes):
        assert box.x1 <= canvas.bbox.x1 + 1, stem
        assert all(not _overlap(box, other) for other in boxes[k + 1 :]), stem


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


def test_a_legend_names_each_series_once_and_shared_numbers_once() -> None:
    marks = [
        Mark(f"trigger {kind} / share {share}", colour, marker, "-", series)
        for series, (kind, colour) in enumerate((("risk", "#000000"), ("random", "#0072B2")))
        for share, marker in ((0.05, "os"[series]), (0.2, "^v"[series]))
    ]
    labels = [handle.get_label() for handle in series_handles(marks)]
    assert labels == ["trigger risk", "trigger random", "dark to pale: share 0.05, 0.2"]
    labels = [handle.get_label() for handle in series_handles(marks[:3])]
    assert labels == ["trigger risk / share 0.05, 0.2", "trigger random / share 0.05"]
    drawn = alike(marks)
    shown = {(handle.get_label(), handle.get_marker()) for handle in series_handles(marks)[:2]}
    assert [mark.marker for mark in drawn] == ["o", "o", "s", "s"]
    assert {marker for _, marker in shown} == {"o", "s"}
    assert [mark.colour for mark in drawn] == [mark.colour for mark in marks]
    assert series_handles(marks[:2]) == []  # what is compared is the numbers themselves
    assert series_handles(marks[::2]) == []  # no line joins anything


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no results folder at"):
        draw_all(tmp_path / "none")


def test_erring_reviewers_are_drawn_where_there_are_any(
    cells: list[Any], make_comparison: Callable[..., Path]
) -> None:
    folder = with_more(make_comparison("erring", cells[:4], seeds=5, steps=20_000, evaluated=5))
    stems = [figure.stem for figure in draw_all(folder)]
    assert set(stems) == {*STEMS, *OTHERS}


def test_what_says_nothing_any_more_is_removed(
    cells: list[Any], make_comparison: Callable[..., Path]
) -> None:
    folder = make_comparison("calm", cells[:1], seeds=1, steps=8_000)
    (folder / "figures").mkdir()
    (folder / "figures" / "reviewers.png").write_bytes(b"old")
    stems = {figure.stem for figure in draw_all(folder)}
    assert "violations_vs_hours" not in stems  # nobody spent any time
    assert {file.stem for file in (folder / "figures").iterdir()} == stems


def test_the_pareto_front_leaves_out_what_is_beaten_and_what_is_frozen() -> None:
    cells = pd.DataFrame(
        [(0.0, -2.5, 1.0), (1.0, 0.2, 0.0), (5.0, 0.1, 0.0), (9.0, 0.5, 0.2), (9.0, 0.4, 0.0)],
        columns=["alone_violations_per_1k", "alone_return", "frozen_seeds"],
    )
    assert pareto_front(cells).tolist() == [[1.0, 0.2], [9.0, 0.5]]


def test_the_frontier_is_held_against_random_and_perfect_review() -> None:
    # a calm cell: 10 of 110 unsafe proposals are stopped; a gate that sees all 50k steps in 50 h
    cells = pd.DataFrame(
        {
            "human_hours": [5.0, 50.0, 20.0],
            "reviews_per_1k": [100.0, 1000.0, 1000.0],
            "train_violations_per_1k": [80.0, 0.0, 40.0],
            "prevented_per_1k": [10.0, 60.0, 30.0],
            "interventions_per_1k": [10.0, 90.0, 50.0],
            "unsafe_proposals_per_1k": [110.0, 90.0, 90.0],
            "reviewer_recall": [1.0, 1.0, 0.5],
            "reviewer_false_blocks": [0.0, 0.0, 0.0],
        }
    )
    found = references(cells, np.array([50_000.0] * 3))
    assert found is not None
    assert found.unreviewed == 90.0
    assert found.random_hours == pytest.approx(50.0)  # 50 000 reviews of 3.6 s
    assert found.perfect_hours == pytest.approx(5.5)  # 5 500 of them
    assert references(cells.assign(reviews_per_1k=0.0), np.array([1.0] * 3)) is None


def test_reliability_needs_predictions_in_every_seed(
    cells: list[Any], make_comparison: Callable[..., Path]
) -> None:
    folder = with_more(make_comparison("said", cells[:1], seeds=3, steps=8_000, evaluated=5))
    bins = reliability(material_of(folder), "risk", 0)
    assert bins["said"].tolist() == pytest.approx([0.1, 0.5])
    assert bins["happened"].tolist() == pytest.approx([1 / 9, 1 / 3])


def test_profiles_put_tasks_on_one_scale(
    cells: list[Any], make_comparison: Callable[..., Path]
) -> None:
    drawn = material_of(make_comparison("profiles", cells, seeds=3, steps=8_000, evaluated=5))
    scores = scores_by_label(drawn)
    assert {len(own) for own in scores.values()} == {6}
    together = np.concatenate(list(scores.values()))
    assert (together.min(), together.max()) == (0.0, 1.0)
    found = profile(np.array([0.0, 0.5, 0.5, 1.0]))
    assert found.share.tolist() == [1.0, 0.75, 0.25, 0.0, 0.0]


def test_curves_are_aligned_at_the_drift(
    cells: list[Any], make_comparison: Callable[..., Path]
) -> None:
    folder = make_comparison("drift", cells[:1], seeds=2, steps=8_000, evaluated=5)
    runs = pd.read_parquet(folder / "runs.parquet").assign(drift_step=2_000.0)
    runs.to_parquet(folder / "runs.parquet")
    results = pd.read_parquet(folder / "results.parquet")
    train = results["phase"] == "train"
    results.loc[train, "violations"] = (results.loc[train, "end_step"] > 2_000).astype(int) * 4
    results.loc[train, "length"] = 40
    results.to_parquet(folder / "results.parquet")
    (found,) = drift_curves(load(folder))
    assert found is not None
    before = found.violations.steps < 0
    assert before.any()
    assert found.violations.mean[before].tolist() == [0.0] * before.sum()
    assert found.violations.mean[~before].tolist() == pytest.approx([100.0] * (~before).sum())


def test_labels_at_the_ends_keep_their_order_and_their_distance() -> None:
    assert spread([0.1, 0.9], 0.1) == [0.1, 0.9]
    places = spread([0.0, 0.01, 0.02, 0.5], 0.1)
    assert np.diff(places) == pytest.approx([0.1, 0.1, 0.39])
    assert np.mean(places[:3]) == pytest.approx(0.01)
