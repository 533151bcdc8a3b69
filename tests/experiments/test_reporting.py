"""The command that draws reports: when it lets other processes help."""

import json
from pathlib import Path

import pytest

from looplab.envs.errors import UsageError
from looplab.experiments import reporting
from looplab.experiments.reporting import MANY_CELLS, report


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows when processes are begun; the report itself is left out."""
    found: list[str] = []
    monkeypatch.setattr(reporting, "begin", lambda: found.append("begun"))
    monkeypatch.setattr("looplab.experiments.report.write_report", lambda folder: folder)
    return found


@pytest.mark.parametrize("cells", [MANY_CELLS - 1, MANY_CELLS])
def test_helpers_are_begun_for_many_cells_only(
    cells: int, begun: list[str], tmp_path: Path
) -> None:
    runs = [
        {"cell": {"env": f"task_{cell}"}, "seed": seed} for cell in range(cells) for seed in (0, 1)
    ]
    (tmp_path / "comparison.json").write_text(json.dumps({"runs": runs}))
    assert report([str(tmp_path)]) == tmp_path
    assert len(begun) == (cells >= MANY_CELLS)


@pytest.mark.parametrize("content", ["", "[]", '{"runs": 1}', '{"runs": [1]}'])
def test_a_damaged_folder_begins_nothing(content: str, begun: list[str], tmp_path: Path) -> None:
    (tmp_path / "comparison.json").write_text(content)
    report([str(tmp_path)])
    report([str(tmp_path / "none")])
    assert begun == []


def test_the_report_itself_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no results folder at"):
        report([str(tmp_path / "none")])
