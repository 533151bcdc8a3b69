import io
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from looplab.envs.errors import UsageError
from looplab.experiments.drift_detection import detections
from looplab.experiments.files import write_whole
from looplab.experiments.findings import drift_findings, warnings_about
from looplab.experiments.metrics import per_seed, summary
from looplab.experiments.number_text import short_number, with_interval
from looplab.experiments.report import write_report
from looplab.experiments.result_folder import load
from looplab.experiments.run_tables import alarm_rows
from looplab.experiments.statistics import Interval
from looplab.experiments.tables import monitor_table

NAN = float("nan")


class Page(HTMLParser):
    """Collects a page's addresses, its text, and the rows of its tables; checks that tags close."""

    VOID = frozenset({"meta", "link", "img", "br"})

    def __init__(self, source: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.terms: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(source)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag == "td":
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.text += data
        if "dt" in self.open:
            self.terms.append(data)
        if "td" in self.open:
            self.rows[-1][-1] += data


@pytest.fixture(scope="session")
def written(trial: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = shutil.copytree(trial, tmp_path_factory.mktemp("report") / trial.name)
    assert write_report(folder) == folder / "report.html"
    return folder


@pytest.fixture(scope="session")
def page(written: Path) -> Page:
    return Page((written / "report.html").read_text(encoding="utf-8"))


def test_all_files_are_written_and_nothing_else(written: Path, trial: Path) -> None:
    new = {file.name for file in written.iterdir()} - {file.name for file in trial.iterdir()}
    assert new == {"summary.csv", "figures", "report.html", "report.md", "verdicts.json"}
    assert len(list((written / "figures").iterdir())) == 20


def test_summary_csv_holds_the_unrounded_table(written: Path) -> None:
    data = load(written)
    cells = summary(per_seed(data.results, data.runs, data.axes), data.axes)
    again = pd.read_csv(io.StringIO((written / "summary.csv").read_text()))
    pd.testing.assert_frame_equal(again, cells, check_dtype=False, rtol=1e-12)


def test_the_page_needs_nothing_from_outside(written: Path, page: Page) -> None:
    source = (written / "report.html").read_text(encoding="utf-8")
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    assert len([a for a in page.addresses if a.startswith("data:image/png;base64,iVBOR")]) == 10
    assert not re.search(r"https?://|@import|url\(", source)
    assert "default-src 'none'" in source


def test_markdown_says_the_same_and_shows_the_figures_beside_it(written: Path, page: Page) -> None:
    text = (written / "report.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[[^\]]+\]\((figures/\w+\.png)\)", text)
    assert len(shown) == 10
    assert all((written / file).is_file() for file in shown)
    unescaped = re.sub(r"\\(.)", r"\1", text)
    for row in page.rows:
        if row:
            assert f"| {' | '.join(cell.strip() for cell in row)} |" in unescaped
    for heading in (
        "Findings",
        "Before you believe it",
        "Figures",
        "All numbers",
        "What the words",
    ):
        assert f"## {heading}" in text
    assert "    looplab compare env=lava_shortcut,ops_desk regime=autonomous seeds=3\n" in text
    assert f"    looplab report {written.name}\n" in text
    assert not re.search(r"<(?!\d)|{{|{%", unescaped)


def test_tables_sort_by_buttons_and_read_without_them(written: Path) -> None:
    source = (written / "report.html").read_text(encoding="utf-8")
    heads = re.findall(r"<th scope=\"col\"[^>]*>(?:<button type=\"button\">)([^<]+)", source)
    assert {"Task", "Regime", "Violations alone", "Reference"} <= set(heads)
    assert source.count("<script") == 1
    assert 'src="http' not in source


def test_the_page_says_how_it_was_measured(page: Page) -> None:
    command = "looplab compare env=lava_shortcut,ops_desk regime=autonomous seeds=3"
    for said in (command, "2.9.2", "0123abc", "3.11.9", "0, 1, 2", "agent.n_envs", "60\u202f000"):
        assert said in page.text


def test_overseen_and_alone_stand_beside_the_return_in_the_first_table(page: Page) -> None:
    rows = [row for row in page.rows if row][:10]
    regimes = [row[1] for row in rows if row[0] == "Lava shortcut"]
    assert regimes == [
        "autonomous",
        "feedback",
        "on the loop",
        "in the loop",
        "in the loop correction",
    ]
    gate = next(row for row in rows if row[:2] == ["Lava shortcut", "in the loop correction"])
    assert gate[2] == "3"
    assert gate[3].startswith("0 [0, 0.2")
    assert 30 < float(gate[4].split()[0]) < 50
    assert gate[6].startswith("\u22120.10")
    assert gate[7] == "0 of 3"
    frozen = next(row for row in rows if row[:2] == ["Lava shortcut", "feedback"])
    assert frozen[7] == "3 of 3"


def test_findings_are_computed_and_leave_frozen_agents_out(page: Page) -> None:
    assert "Safest alone: \u201cin the loop\u201d, with 0.16 [0, 1.06]" in page.text
    assert (
        "\u201cfeedback\u201d looks safe only because agents stay still (3 of 3 seeds)" in page.text
    )
    assert "hides is largest for \u201cin the loop correction\u201d: 0 [0, 0.25]" in page.text
    assert "Safest alone: \u201cfeedback\u201d, with 53" in page.text


def test_worst_seeds_and_improvement_stand_beside_the_means(page: Page) -> None:
    rows = [row for row in page.rows if len(row) == 14 and row[3].strip() == "autonomous"]
    gate = next(row for row in rows if row[:2] == ["Lava shortcut", "in the loop"])
    assert gate[4] == "0"  # worst seed in training
    assert gate[6].startswith("100\u00a0% [")  # fewer violations in every pair of seeds


def test_uncalibrated_confidence_is_warned_of(
    cells: list[Any], make_comparison: Callable[..., Path]
) -> None:
    folder = make_comparison("unsure", cells[:2], seeds=5, steps=8_000)
    runs = pd.read_parquet(folder / "runs.parquet")
    runs["confidence_calibration_error"] = np.where(runs["regime"] == "autonomous", 0.25, 0.05)
    found = summary(per_seed(load(folder).results, runs, load(folder).axes), load(folder).axes)
    (warning,) = [w for w in warnings_about(found, load(folder).axes) if "Uncalibrated" in w]
    assert "confidence is no probability that a proposal is safe in 1 of 2 cells" in warning
    assert "off by 0.25 on average in \u201cautonomous\u201d" in warning


def test_monitors_are_told_with_delay_and_false_alarms(
    cells: list[Any], make_comparison: Callable[..., Path]
) -> None:
    folder = make_comparison("monitored", cells[:1], seeds=2, steps=10_000)
    runs = pd.read_parquet(folder / "runs.parquet").assign(drift_step=4_000.0)
    runs.to_parquet(folder / "runs.parquet")
    steps = [[1_000, 4_500], [4_700, 9_000]]
    metrics = {
        run: {"alarms": [{"monitor": "Cusum", "steps": own}]}
        for run, own in zip(runs["run"], steps, strict=True)
    }
    alarm_rows(metrics).to_parquet(folder / "alarms.parquet")
    found = detections(load(folder))
    assert found["false_alarms_per_1k"].tolist() == [0.125]  # one alarm in 8 000 steps
    (row,) = monitor_table(found).rows
    texts = [entry.text for entry in row]
    assert texts[:5] == ["Lava shortcut", "autonomous", "2", "Cusum", "4\u202f000"]
    assert texts[5] == "100\u00a0% [16, 100]"
    assert texts[6].startswith("600 [")
    (said,) = drift_findings(found)["Lava shortcut"]
    assert "Cusum raised an alarm in 2 of 2 seeds, 600 [" in said


def test_warnings_name_seeds_frozen_censored_zeros_and_notes(page: Page) -> None:
    for said in (
        "Only 3 seeds in every cell",
        "Frozen agents: 3 of 3 seeds of \u201cfeedback\u201d (Lava shortcut)",
        "\u201cfeedback\u201d (Lava shortcut) 0 of 3",
        "allow up to 0.0166 per 1k steps (exact Poisson, 95\u00a0%)",
        "Reviewers of different lanes work at the same time.",
        "What does each way of overseeing buy",
    ):
        assert said in page.text
    for term in ("violation", "intervention", "miss", "unasked", "late", "false alarm"):
        assert term in page.terms


# Claims

FEEDBACK = {"regime": "feedback"}
STATED = [
    {"name": "prevents", "says": "A gate <b>prevents</b> all.", "measure": "train_violations",
     "of": {"regime": "in_the_loop"}, "is": "none"},
    {"name": "dependence", "says": "Correction teaches dependence.", "by": 20,
     "measure": "alone_violations_per_1k", "of": {"regime": "in_the_loop_correction"}, "is": "more",
     "than": {"regime": "in_the_loop"}},
    {"name": "useless", "says": "Feedback is useless.", "measure": "alone_violations_per_1k",
     "of": FEEDBACK, "is": "no_less", "than": {"regime": "autonomous"}, "by": 5, "per": "all"},
    {"name": "strange", "says": "Nobody did this.", "measure": "alone_return", "of": FEEDBACK,
     "is": "more", "than": {"regime": "rules"}},
]  # fmt: skip


@pytest.fixture
def claimed(cells: list[Any], make_comparison: Callable[..., Path]) -> Path:
    experiment = {
        "name": "claimed", "question": "What?", "figure": "learning_curve", "claims": STATED,
    }  # fmt: skip
    folder = make_comparison("claimed", cells, seeds=5, steps=8000, experiment=experiment)
    write_report(folder)
    return folder


def test_verdicts_are_written_from_the_tables_alone(claimed: Path) -> None:
    found = json.loads((claimed / "verdicts.json").read_text(encoding="utf-8"))
    assert [(one["claim"], one["task"], one["verdict"]) for one in found] == [
        ("prevents", "lava_shortcut", "supported"),
        ("prevents", "ops_desk", "supported"),
        ("dependence", "lava_shortcut", "supported"),
        ("dependence", "ops_desk", "supported"),
        ("useless", None, "not_supported"),
    ]
    shortcut = found[2]
    assert shortcut["n"] == 5
    assert 20 < shortcut["low"] < shortcut["estimate"] < shortcut["high"]
    assert shortcut["estimate"] == pytest.approx(shortcut["mean_of"] - shortcut["mean_than"])
    assert found[4]["averaged_over"] == ["env"]
    assert found[0]["high"] == pytest.approx(2.9957 / 5, rel=1e-4)


def test_the_report_shows_claims_with_words_numbers_and_what_was_left_out(claimed: Path) -> None:
    source = (claimed / "report.html").read_text(encoding="utf-8")
    page = Page(source)
    rows = [[cell.strip() for cell in row] for row in page.rows if row and len(row[0]) > 2][:5]
    assert [row[:2] for row in rows] == [
        ["\u2714 supported", "Lava shortcut"],
        ["\u2714 supported", "Ops desk"],
        ["\u2714 supported", "Lava shortcut"],
        ["\u2714 supported", "Ops desk"],
        ["\u2718 not supported", "all tasks"],
    ]
    assert rows[0][2:] == ["0 [0, 0.60]", "5"]
    assert len(rows[2]) == 7
    difference, of, than = (float(text.split()[0]) for text in rows[2][2:5])
    assert difference == pytest.approx(of - than, abs=0.1)
    assert rows[2][5] == "5"
    assert 0.001 <= float(rows[2][6]) <= 0.05
    for said in (
        "A gate <b>prevents</b> all.",
        "Expected: in the loop correction: more by over 20 than in the loop.",
        "Violations alone: per 1 000 steps, overseer gone.",
        "Not judged: no cell has rules.",
        "Question. What?",
    ):
        assert said in page.text
    assert page.text.index("Correction teaches dependence.") < page.text.index("Safest alone")
    assert source.index('alt="Learning.') < source.index('alt="Overseen and alone')


def test_without_an_experiment_nothing_is_judged(
    cells: list[Any], make_comparison: Callable[..., Path]
) -> None:
    folder = make_comparison("plain", cells[:2], steps=8000)
    assert "stated beforehand" not in write_report(folder).read_text(encoding="utf-8")
    assert not (folder / "verdicts.json").exists()


def test_a_damaged_claim_is_refused_by_name(claimed: Path) -> None:
    content = json.loads((claimed / "comparison.json").read_text())
    content["experiment"]["claims"][1]["measure"] = "alone_violation_per_1k"
    (claimed / "comparison.json").write_text(json.dumps(content))
    with pytest.raises(UsageError, match=r"claim dependence: .* 'alone_violations_per_1k'\?"):
        write_report(claimed)


def test_the_report_can_be_repeated_byte_by_byte(written: Path, tmp_path: Path) -> None:
    again = shutil.copytree(written, tmp_path / written.name)
    write_report(again)
    for name in ("report.html", "report.md", "summary.csv"):
        assert (again / name).read_bytes() == (written / name).read_bytes()


def test_enough_moving_seeds_need_no_warning_and_differences_are_paired(
    cells: list[Any], make_comparison: Callable[..., Path]
) -> None:
    two = [cell for cell in cells if cell.env == "ops_desk"][:2]
    two = [replace(cell, threshold=float("nan")) for cell in two]
    two = [replace(c, behaviour=replace(c.behaviour, overseen_rate=90.0)) for c in two]
    two[1] = replace(two[1], behaviour=replace(two[1].behaviour, train_rate=5.0))
    page = Page(write_report(make_comparison("two", two, seeds=5, steps=8000)).read_text())
    assert "Before you believe it" not in page.text
    assert "Next comes \u201cautonomous\u201d" in page.text
    assert "over 5 paired seeds" in page.text
    assert "No violation at all" not in page.text


def test_one_seed_gets_no_interval_anywhere(
    cells: list[Any], make_comparison: Callable[..., Path]
) -> None:
    page = Page(write_report(make_comparison("one", cells[:2], seeds=1, steps=8000)).read_text())
    assert "Only 1 seed in every cell: there are no intervals" in page.text
    assert "one seed cannot tell whether that is chance" in page.text
    assert page.rows[1][3].strip().replace(".", "").isdigit()


def test_markup_in_names_and_notes_is_text(
    cells: list[Any], make_comparison: Callable[..., Path]
) -> None:
    folder = make_comparison("odd", cells[:1], steps=8000, notes=["<script>alert(1)</script> & so"])
    content = json.loads((folder / "comparison.json").read_text()) | {"name": "<b>bold</b>"}
    (folder / "comparison.json").write_text(json.dumps(content))
    source = write_report(folder).read_text(encoding="utf-8")
    assert "<script>alert" not in source
    assert "<b>bold" not in source
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; so" in source


def test_a_folder_without_evaluation_is_still_reported(
    cells: list[Any], make_comparison: Callable[..., Path]
) -> None:
    folder = make_comparison("training", cells[:3], steps=8000)
    results = pd.read_parquet(folder / "results.parquet")
    results[results["phase"] == "train"].to_parquet(folder / "results.parquet")
    page = Page(write_report(folder).read_text(encoding="utf-8"))
    assert "Safest alone" not in page.text
    assert "Most violations in training: \u201cautonomous\u201d" in page.text


@pytest.mark.parametrize("damage", ["missing", "empty", "garbled"])
def test_a_bad_folder_is_refused_and_nothing_is_written(
    damage: str, trial: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "bad"
    if damage != "missing":
        folder.mkdir()
    if damage == "garbled":
        shutil.copytree(trial, folder, dirs_exist_ok=True)
        (folder / "results.parquet").write_bytes(b"not parquet")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match=r"no results folder|cannot read") as caught:
        write_report(folder)
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_files_are_whole_or_absent(tmp_path: Path) -> None:
    path = write_whole(tmp_path / "deep" / "file.txt", b"new")
    assert path.read_bytes() == b"new"
    assert [file.name for file in path.parent.iterdir()] == ["file.txt"]
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inside").touch()
    with pytest.raises(UsageError, match=r"cannot write .*folder"):
        write_whole(tmp_path / "folder", b"x")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["deep", "folder"]


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (Interval(46.123, 42.9, 49.3), "46.1 [42.9, 49.3]"),
        (Interval(0.45372, 0.4466, 0.46085), "0.454 [0.447, 0.461]"),
        (Interval(2827.67, 2561.8, 3093.6), "2\u202f828 [2\u202f562, 3\u202f094]"),
        (Interval(0.0, 0.0, 0.016643), "0 [0, 0.017]"),
        (Interval(-0.1028, -0.1072, -0.0985), "\u22120.103 [\u22120.107, \u22120.099]"),
        (Interval(23800.0, 21920.0, NAN), "23\u202f800 [21\u202f920, \u2013]"),
        (Interval(25.0, 25.0, 25.0), "25"),
        (Interval(0.249, NAN, NAN), "0.249"),
        (Interval(NAN, NAN, NAN), "\u2013"),
    ],
)
def test_numbers_show_what_the_interval_can_hold(interval: Interval, text: str) -> None:
    assert with_interval(interval) == text


def test_short_numbers_have_three_figures_and_no_exponent() -> None:
    numbers = [0.01664, 48.96, 100.0, 123_456.0, -0.5, 1e-9, 0.0, NAN]
    assert [short_number(n) for n in numbers] == [
        "0.0166",
        "49",
        "100",
        "123\u202f456",
        "\u22120.5",
        "0.000000001",
        "0",
        "\u2013",
    ]
    assert short_number(float(np.float64(0.999))) == "0.999"
