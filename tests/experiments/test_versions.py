"""Results of another version of LoopLab: refused, or kept apart."""

import json
from pathlib import Path

import pytest

from looplab import __version__
from looplab.envs.errors import UsageError
from looplab.experiments.overrides import plan
from looplab.experiments.training import single_job
from looplab.experiments.versions import place_of, version_of


def write(folder: Path, version: str, file: str = "comparison.json") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    content = {"version": version} if file[0] == "c" else {"versions": {"looplab": version}}
    (folder / file).write_text(json.dumps(content))
    return folder


def test_this_version_s_results_are_taken(tmp_path: Path) -> None:
    out, run = tmp_path / "out", tmp_path / "out" / "runs" / "a"
    assert place_of(out, [run], "refuse") == out
    write(out, __version__)
    write(run, __version__, "provenance.json")
    assert place_of(out, [run], "refuse") == out
    assert place_of(out, [run], "apart") == out


@pytest.mark.parametrize("file", ["comparison.json", "provenance.json"])
def test_another_version_s_results_are_refused_or_kept_apart(file: str, tmp_path: Path) -> None:
    out, run = tmp_path / "out", tmp_path / "out" / "runs" / "a"
    write(out if file[0] == "c" else run, "0.0.1", file)
    with pytest.raises(UsageError) as caught:
        place_of(out, [run], "refuse")
    assert f"holds results of LoopLab 0.0.1, and this is {__version__}" in str(caught.value)
    assert "other_version=apart" in str(caught.value)
    beside = tmp_path / f"out-{__version__}"
    assert place_of(out, [run], "apart") == beside
    write(beside, "0.0.2")
    with pytest.raises(UsageError, match=r"0\.0\.2"):
        place_of(out, [run], "apart")


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"versions": 3}'])
def test_a_file_that_tells_no_version_is_left_to_its_reader(text: str, tmp_path: Path) -> None:
    (tmp_path / "comparison.json").write_text(text)
    assert version_of(tmp_path) is None


def test_one_run_is_kept_apart_too(tmp_path: Path) -> None:
    out = write(tmp_path / "run", "0.0.1", "provenance.json")
    with pytest.raises(UsageError, match=r"holds results of LoopLab 0\.0\.1"):
        single_job([f"out={out}"])
    _, job = single_job([f"out={out}", "other_version=apart"])
    assert job.folder == tmp_path / f"run-{__version__}"
    assert plan([f"out={out}"]).running["other_version"] == "refuse"
