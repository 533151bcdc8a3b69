import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from looplab.envs.errors import UsageError
from looplab.experiments.report_of_several import write_report_of_several
from looplab.experiments.reporting import report
from looplab.experiments.result_folder import load
from looplab.experiments.side_by_side import shared, study

SHORT: dict[str, Any] = {"steps": 8_000, "evaluated": 20}
CLAIM = {
    "name": "harmless", "says": "Nobody is harmed.", "measure": "train_violations",
    "of": {"regime": "autonomous"}, "is": "less", "than": 1_000,
}  # fmt: skip
EXPERIMENT = {"name": "one", "question": "What?", "claims": [CLAIM]}

Made = tuple[Path, Path]


@pytest.fixture
def two(cells: list[Any], make_comparison: Callable[..., Path]) -> Made:
    """The second has worse autonomous agents, another third cell, and a seed more."""
    first = make_comparison("before", cells[:3], seeds=3, experiment=EXPERIMENT, **SHORT)
    calm = cells[0].behaviour
    worse = replace(cells[0], behaviour=replace(calm, train_rate=calm.train_rate + 400))
    others = [worse, cells[1], cells[3]]
    second = make_comparison("after", others, seeds=4, experiment=EXPERIMENT, **SHORT)
    content = json.loads((second / "comparison.json").read_text()) | {"version": "9.9"}
    content["settings"]["tolerance"] = 0.25
    (second / "comparison.json").write_text(json.dumps(content))
    return first, second


def numbers(text: str) -> list[float]:
    return [float(one) for one in re.findall(r"-?[\d.]+", text.replace("\u2212", "-"))]


def rows_of(markdown: str, title: str) -> list[list[str]]:
    part = markdown.split(f"### {title}\n")[1].split("\n### ")[0]
    lines = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("|")]
    return lines[2:]


def test_cells_settings_and_claims_stand_side_by_side(two: Made) -> None:
    page = write_report_of_several(two)
    assert page == two[0].parent / "before_vs_after" / "report.html"
    markdown = re.sub(r"\\(.)", r"\1", (page.parent / "report.md").read_text(encoding="utf-8"))
    rates = []
    for folder in two:
        runs = pd.read_parquet(folder / "runs.parquet")
        own = runs[(runs["regime"] == "autonomous") & (runs["seed"] < 3)]
        rates.append(own["total_violations"] / own["steps"] * 1000.0)
    gaps = rates[1].to_numpy() - rates[0].to_numpy()
    row = next(row for row in rows_of(markdown, "Violations") if row[1] == "autonomous")
    assert row[2] == "3"
    assert numbers(row[5])[0] == pytest.approx(gaps.mean(), rel=0.01)
    low, high = numbers(row[5])[1:]
    assert low < gaps.mean() < high
    assert row[5].endswith("*")
    same = next(row for row in rows_of(markdown, "Violations") if row[1] == "in the loop")
    assert numbers(same[5])[0] == 0.0
    assert not same[5].endswith("*")
    assert "In 1 cell equal seeds have equal numbers" in markdown
    assert "- before: in the loop correction (Lava shortcut)" in markdown
    assert "- after: on the loop (Lava shortcut)" in markdown
    settings = {row[0]: row[1:] for row in rows_of(markdown, "Settings and versions that differ")}
    assert settings["seeds"] == ["0, 1, 2", "0, 1, 2, 3"]
    assert settings["tolerance"] == ["\u2013", "0.25"]
    assert settings["looplab"] == ["\u2013", "9.9"]
    assert "commit" not in settings
    (claim,) = rows_of(markdown, "Claims")
    assert claim[:4] == ["harmless", "Lava shortcut", "changed", "supported"]
    assert claim[5] == "not supported"
    assert "Verdicts that changed: harmless." in markdown
    source = page.read_text(encoding="utf-8")
    assert "default-src 'none'" in source
    assert "<td>autonomous</td>" in re.sub(r"<td[^>]*>", "<td>", source)


def test_equal_comparisons_differ_in_nothing(two: Made, tmp_path: Path) -> None:
    again = tmp_path / "again"
    again.mkdir()
    for file in two[0].iterdir():
        (again / file.name).write_bytes(file.read_bytes())
    page = write_report_of_several([two[0], again], tmp_path / "out")
    text = (page.parent / "report.md").read_text(encoding="utf-8")
    assert "In 3 cells equal seeds have equal numbers" in text
    assert "leaves out 0, in" not in text
    assert "Settings and versions that differ" not in text


def test_more_than_two_are_held_against_the_first(two: Made, tmp_path: Path) -> None:
    third = tmp_path / "third"
    third.mkdir()
    for file in two[0].iterdir():
        (third / file.name).write_bytes(file.read_bytes())
    page = write_report_of_several([*two, third], tmp_path / "out")
    text = page.read_text(encoding="utf-8")
    assert text.index("after against before") < text.index("third against before")


def test_what_one_sweeps_and_the_other_fixes_is_the_same_cell(
    cells: list[Any], make_comparison: Callable[..., Path]
) -> None:
    swept = [replace(cells[0], extra=(("overseer.miss_rate", rate),)) for rate in (0.0, 0.5)]
    first = load(make_comparison("swept", swept, seeds=2, **SHORT))
    folder = make_comparison("fixed", cells[:1], seeds=2, **SHORT)
    content = json.loads((folder / "comparison.json").read_text())
    content["settings"]["overseer.miss_rate"] = 0
    (folder / "comparison.json").write_text(json.dumps(content))
    sides = [study(data, first.axes) for data in (first, load(folder))]
    (found,) = shared(*sides)
    assert found.label == "miss rate 0"
    assert found.seeds == (0, 1)


def test_folders_without_a_common_cell_are_refused_and_nothing_is_written(
    cells: list[Any], make_comparison: Callable[..., Path], tmp_path: Path
) -> None:
    first = make_comparison("grid", cells[:2], seeds=2, **SHORT)
    second = make_comparison("desk", cells[5:7], seeds=2, **SHORT)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match=r"no cell in common: env=lava_.* against env=ops_") as why:
        write_report_of_several([first, second])
    assert "\n" not in str(why.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_words_that_cannot_be_meant_are_refused(two: Made, tmp_path: Path) -> None:
    first, second = map(str, two)
    for words, said in (
        ((), "name a results folder"),
        ((first, "out=x"), "two or more folders"),
        ((first, second, "to=x"), "unknown key 'to'"),
        ((first, second, "out="), "give one out=FOLDER"),
        ((first, first), "named twice"),
        ((first, second, f"out={first}"), "a results folder of its own"),
        ((first, str(tmp_path / "none")), "no results folder at"),
    ):
        with pytest.raises(UsageError, match=said):
            report(words)
    assert report((first, second, f"out={tmp_path / 'there'}")).parent == tmp_path / "there"
