"""Comparisons: what they leave, what they repeat, how they are extended and refused."""

import json
import shutil
from collections import namedtuple
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from looplab.envs.errors import UsageError
from looplab.experiments.collecting import column
from looplab.experiments.compare import RunsFailed, compare
from looplab.experiments.result_folder import load
from looplab.experiments.store import RUN_BYTES, locked

WORDS = ("env=lava_shortcut", "regime=autonomous,in_the_loop", "seeds=2")
QUIET = ("workers=1", "display=none")
FILES = {
    "results.parquet", "runs.parquet", "summary.csv", "report.html", "figures", "runs",
    "comparison.json", "provenance.json", ".lock", "report.md", "calibration.parquet",
    "alarms.parquet",
}  # fmt: skip
Usage = namedtuple("Usage", "total used free")
Looplab = Callable[..., Any]
Refused = Callable[..., str]
pytestmark = pytest.mark.usefixtures("done", "undrawn")  # with figures, and then without


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished comparison; read only."""
    out = tmp_path_factory.mktemp("done") / "out"
    words = ("total_steps=800", "eval_episodes=4", "agent.lanes=4")  # the fixture ``tiny``
    compare([*WORDS, *words, *QUIET], out=str(out))
    return out


@pytest.fixture
def copy(done: Path, tmp_path: Path) -> Path:
    """A finished comparison of one's own, as ``out=out``."""
    shutil.copytree(done, tmp_path / "out")
    return tmp_path / "out"


def results(folder: Path) -> bytes:
    return (folder / "results.parquet").read_bytes()


def models(folder: Path) -> dict[str, int]:
    return {p.parent.name: p.stat().st_mtime_ns for p in folder.glob("runs/*/model.zip")}


# What is left


def test_a_comparison_leaves_what_the_design_names(done: Path) -> None:
    assert {path.name for path in done.iterdir()} == FILES
    assert {path.suffix for path in (done / "figures").iterdir()} == {".png", ".pdf"}
    assert len(models(done)) == 4
    assert not list(done.rglob(".*partial*"))


def test_results_hold_every_episode_of_every_run(done: Path) -> None:
    frame = pd.read_parquet(done / "results.parquet")
    assert list(frame.columns[:5]) == ["env", "regime", "algo", "seed", "run"]
    folders = {path.name: path for path in (done / "runs").iterdir()}
    assert set(frame["run"]) == set(folders)
    for run, rows in frame.groupby("run"):
        own = pd.read_parquet(folders[str(run)] / "episodes.parquet")
        order = ["phase", "policy", "lane", "episode"]
        pd.testing.assert_frame_equal(
            rows.sort_values(order)[own.columns].reset_index(drop=True),
            own.sort_values(order).reset_index(drop=True),
        )
    assert set(frame[frame["phase"] != "train"].groupby(["run", "phase", "policy"]).size()) == {4}


def test_every_column_of_the_tables_has_one_type(done: Path) -> None:
    texts = {"env", "regime", "algo", "run", "phase", "policy"}
    for name in ("results", "runs", "calibration", "alarms"):
        types = pd.read_parquet(done / f"{name}.parquet").dtypes
        assert not {str(kind) for kind in types} - {"str", "int64", "float64", "Int64"}
        assert {column for column in types.index if types[column] == "str"} <= {
            *texts, "predicts", "monitor",
        }  # fmt: skip
    results = pd.read_parquet(done / "results.parquet").dtypes
    assert {name for name in results.index if results[name] == "str"} == texts
    for name in ("seed", "lane", "episode", "end_step", "length", "violations", "reviews"):
        assert results[name] == "int64"


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0, 1], "int64"), ([0, 0.5], "float64"), ([0, None], "float64"), ([True, False], "bool"),
        ([True, None], "boolean"), ([True, 1], "str"), (["a", None], "str"), ([None, None], "str"),
    ],
)  # fmt: skip
def test_values_of_an_axis_have_one_type(values: list[Any], kind: str) -> None:
    assert str(column(values).dtype) == kind


def test_runs_hold_the_exact_totals_of_training(done: Path) -> None:
    runs = pd.read_parquet(done / "runs.parquet")
    assert runs["regime"].tolist() == ["autonomous"] * 2 + ["in_the_loop"] * 2
    assert runs["seed"].tolist() == [0, 1, 0, 1]
    for row in runs.to_dict("records"):
        metrics = json.loads((done / "runs" / row["run"] / "metrics.json").read_text())
        assert row["steps"] == metrics["steps"] == 800
        assert row["threshold"] == metrics["threshold"]
        for name, total in metrics["totals"].items():
            assert row.get(f"total_{name}", total) == total, name
    gated = runs["regime"] == "in_the_loop"
    assert (runs.loc[gated, "total_violations"] == 0).all()
    assert (runs.loc[~gated, "total_violations"] > 0).all()


def test_the_manifest_says_what_was_compared(done: Path) -> None:
    found = load(done).comparison
    assert found["axes"] == ["env", "regime", "algo"]
    assert found["settings"]["total_steps"] == 800
    assert found["settings"]["agent.lanes"] == 4
    assert "workers" not in found["settings"]
    assert {run["run"] for run in found["runs"]} == set(models(done))


def test_an_experiment_leaves_verdicts_and_says_which_claims_it_left_out(
    looplab: Looplab, tmp_path: Path, tiny: Sequence[str]
) -> None:
    words = ("experiment=first_look", "env=lava_shortcut", "regime=autonomous,in_the_loop")
    ended = looplab("compare", *words, "seeds=2", *tiny, "workers=1", "out=out")
    assert (ended.status, ended.err) == (0, "")
    (found,) = json.loads((tmp_path / "out" / "verdicts.json").read_text())
    assert (found["claim"], found["task"]) == ("gate_prevents", "lava_shortcut")
    assert (found["verdict"], found["estimate"], found["n"]) == ("supported", 0.0, 2)
    assert ended.out.splitlines()[1:4] == [
        "claim correction_teaches_dependence is left out: no cell has in the loop correction",
        "claim watching_teaches_nothing is left out: no cell has on the loop",
        "claim ratings_teach is left out: no cell has feedback",
    ]
    (tmp_path / "out" / "verdicts.json").unlink()
    assert looplab("report", "out").status == 0
    assert json.loads((tmp_path / "out" / "verdicts.json").read_text()) == [found]


# The same from the command line, and again


def test_the_command_and_the_function_do_the_same(
    done: Path, looplab: Looplab, tmp_path: Path, tiny: Sequence[str]
) -> None:
    ended = looplab("compare", *WORDS, *tiny, "workers=1", "out=out")
    assert ended.status == 0
    assert ended.err == ""
    lines = ended.out.splitlines()
    assert lines[0] == "4 runs, 4 to do, in out"
    assert sum(line.startswith("finished ") for line in lines) == 4
    assert lines[-1] == "report: out/report.html"
    assert results(tmp_path / "out") == results(done)
    assert (tmp_path / "out" / "summary.csv").read_bytes() == (done / "summary.csv").read_bytes()
    found = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert found["command"] == " ".join(["looplab compare", *WORDS, *tiny, "workers=1", "out=out"])


def test_several_workers_give_the_same_results(
    done: Path, tmp_path: Path, tiny: Sequence[str]
) -> None:
    compare([*WORDS, *tiny], workers=2, display="none", out=str(tmp_path / "out"))
    assert results(tmp_path / "out") == results(done)


def test_nothing_is_repeated(
    copy: Path, looplab: Looplab, tiny: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, content = models(copy), results(copy)
    ended = looplab("compare", *WORDS, *tiny, "out=out")
    assert ended.status == 0
    assert ended.out.splitlines() == ["4 runs, 0 to do, in out", "report: out/report.html"]
    assert models(copy) == before
    assert results(copy) == content


def test_a_run_that_is_missing_is_made_again(
    copy: Path, looplab: Looplab, tiny: Sequence[str]
) -> None:
    before, content = models(copy), results(copy)
    lost = min(before)
    shutil.rmtree(copy / "runs" / lost)
    (copy / "results.parquet").unlink()
    assert looplab("compare", *WORDS, *tiny, *QUIET, "out=out").status == 0
    after = models(copy)
    assert {run for run in after if after[run] != before[run]} == {lost}
    assert results(copy) == content


@pytest.mark.parametrize(
    "more",
    [
        ("env=lava_shortcut", "regime=autonomous,in_the_loop", "seeds=3"),
        ("env=lava_shortcut", "regime=feedback,autonomous", "seeds=2"),
        ("env=lava_shortcut", "regime=autonomous", "seeds=8"),
    ],
)
def test_more_seeds_and_cells_extend_a_comparison(
    copy: Path, more: Sequence[str], looplab: Looplab, tiny: Sequence[str]
) -> None:
    before, rows = models(copy), pd.read_parquet(copy / "results.parquet")
    assert looplab("compare", *more, *tiny, *QUIET, "out=out").status == 0
    after = models(copy)
    assert {run: after[run] for run in before} == before
    wanted = len(more[1].split(",")) * int(more[2].removeprefix("seeds="))
    kept = sum(r.split("-")[1] in more[1] and int(r.split("-s")[1][0]) < wanted for r in before)
    assert len(after) == len(before) + wanted - kept
    extended = pd.read_parquet(copy / "results.parquet")
    pd.testing.assert_frame_equal(
        extended[extended["run"].isin(before)].reset_index(drop=True), rows
    )
    assert set(extended["run"]) == set(after)
    commands = json.loads((copy / "comparison.json").read_text())["command"].splitlines()
    assert len(commands) == 1  # the first one came from Python


def test_an_extended_comparison_equals_one_that_was_made_at_once(
    done: Path, tmp_path: Path, looplab: Looplab, tiny: Sequence[str]
) -> None:
    for words in (
        ("env=lava_shortcut", "regime=in_the_loop", "seeds=[1]"),
        ("env=lava_shortcut", "regime=autonomous", "seeds=1"),
        WORDS,
    ):
        assert looplab("compare", *words, *tiny, *QUIET, "out=out").status == 0
    assert results(tmp_path / "out") == results(done)
    assert (tmp_path / "out" / "summary.csv").read_bytes() == (done / "summary.csv").read_bytes()


# Refusals


def test_another_comparison_s_folder_is_refused(
    copy: Path, refused: Refused, tiny: Sequence[str]
) -> None:
    line = refused("compare", *WORDS, "total_steps=900", *tiny[1:], "out=out")
    assert "out holds another comparison (its total_steps is 800, not 900)" in line
    assert "its axes are" in refused("compare", *WORDS, *tiny, "env.slip=0.1,0.2", "out=out")
    assert "its name is" in refused("compare", "experiment=first_look", "out=out")


def test_folders_that_cannot_be_used_are_refused(
    refused: Refused, tmp_path: Path, tiny: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("compare", *WORDS, *tiny)
    (tmp_path / "strange").mkdir()
    (tmp_path / "strange" / "thesis.tex").write_text("")
    (tmp_path / "file").write_text("")
    assert "holds thesis.tex, but no comparison" in refused(*words, "out=strange")
    assert "is a file" in refused(*words, "out=file")
    assert "is a file" in refused(*words, "out=file/deeper")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, 2**40))
    assert "cannot write /proc/looplab: " in refused(*words, "out=/proc/looplab")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, 4 * RUN_BYTES - 1))
    assert "no space for new: 4 runs may need 32 MiB" in refused(*words, "out=new")


def test_a_folder_in_use_is_refused(copy: Path, refused: Refused, tiny: Sequence[str]) -> None:
    with locked(copy):
        assert "another looplab is working in out" in refused("compare", *WORDS, *tiny, "out=out")


def test_a_cell_that_cannot_run_is_refused_before_any_runs(refused: Refused) -> None:
    line = refused("compare", "env=ops_desk", "regime=in_the_loop", "agent=ppo,dqn,sac")
    assert "agent=sac cannot act in Discrete(4)" in line
    line = refused("compare", "env=ops_desk", "overseer.miss_rate=0,1.5,2")
    assert "miss_rate must be a number in [0, 1], got 1.5" in line
    assert "(and 1 more of 3 cells)" in line


# Failures


@pytest.mark.usefixtures("broken")
def test_a_cell_that_fails_stops_no_other(
    looplab: Looplab, tmp_path: Path, tiny: Sequence[str]
) -> None:
    sound = "looplab.envs.grids.lava_shortcut.LavaShortcut"
    tasks = f"env._target_=broken.Raises,broken.NanReward,{sound}"
    words = ("compare", "regime=autonomous", "seeds=2", tasks, *tiny, *QUIET, "out=out")
    ended = looplab(*words)
    assert ended.status == 1
    assert "Traceback" in ended.err  # of the fault in the environment's code
    last = ended.err.splitlines()[-1]
    assert last.startswith("looplab: 4 of 6 runs failed, first lava_shortcut-autonomous-ppo-s0-")
    assert "ArithmeticError: the wires burnt" in last
    frame = pd.read_parquet(tmp_path / "out" / "results.parquet")
    assert set(frame["env._target_"]) == {sound}
    assert set(frame["seed"]) == {0, 1}
    assert (tmp_path / "out" / "report.html").exists()
    notes = json.loads((tmp_path / "out" / "comparison.json").read_text())["notes"]
    assert any("4 of 6 runs are missing" in note for note in notes)
    before = models(tmp_path / "out")
    assert looplab(*words).status == 1
    assert models(tmp_path / "out") == before


@pytest.mark.usefixtures("broken")
def test_a_comparison_in_which_all_fails_leaves_no_results(
    tmp_path: Path, tiny: Sequence[str]
) -> None:
    words = ["env._target_=broken.NanReward", "seeds=2", *tiny, *QUIET]
    with pytest.raises(RunsFailed, match=r"2 of 2 runs failed, first .*in lane 2") as caught:
        compare(words, out=str(tmp_path / "out"))
    assert len(caught.value.failures) == 2
    assert not caught.value.usage
    assert not (tmp_path / "out" / "results.parquet").exists()
    assert list((tmp_path / "out" / "runs").iterdir()) == []


# Python


def test_lists_sweep_in_python(tmp_path: Path, tiny: Sequence[str]) -> None:
    frame = compare(
        tiny, regime=["autonomous", "feedback"], seeds=[7], workers=1, display="none",
        out=str(tmp_path / "a (b) = [c], d"), **{"agent.hidden": [[8], [16, 16]]},
    )  # fmt: skip
    assert set(frame["regime"]) == {"autonomous", "feedback"}
    assert set(frame["seed"]) == {7}
    assert len(set(frame["agent.hidden"])) == 2
    assert frame["run"].nunique() == 4
    assert (tmp_path / "a (b) = [c], d" / "report.html").exists()


def test_axes_of_mixed_types_are_collected(tmp_path: Path, tiny: Sequence[str]) -> None:
    words = [*tiny, *QUIET, "seeds=1", "regime=in_the_loop", "trigger=risk"]
    frame = compare(words, out=str(tmp_path / "out"), **{"trigger.source": [None, "exact"]})
    assert frame["trigger.source"].isna().sum() > 0
    assert set(frame["trigger.source"].dropna()) == {"exact"}


def test_wrong_words_are_refused_in_python() -> None:
    with pytest.raises(UsageError, match="did you mean 'lava_shortcut'"):
        compare(env="lava_shortcutt")
    with pytest.raises(UsageError, match="unknown key 'sedes'; did you mean 'seeds'"):
        compare(sedes=3)
