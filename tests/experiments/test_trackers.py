"""Trackers are told of curves, settings and results, and change nothing in a run."""

import json
from pathlib import Path
from typing import Any

import pytest

from looplab.envs.errors import UsageError
from looplab.experiments.cli import cli
from looplab.experiments.trackers.mlflow import MLFLOW_ADDRESS, Mlflow, batched
from looplab.experiments.trackers.tracking import followed
from looplab.experiments.trackers.wandb import Wandb

TINY = ("env=ops_desk", "regime=in_the_loop", "total_steps=4096", "eval_episodes=2", "display=none")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to run in; nobody's own tracker is told of tests."""
    monkeypatch.delenv(MLFLOW_ADDRESS, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def trained(*words: str) -> None:
    cli.main(["train", *TINY, *words], standalone_mode=False)


def metrics_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return found


def test_mlflow_holds_settings_curves_and_results(here: Path) -> None:
    trained("tracker=mlflow", "tracker.experiment=desk", "out=tracked")
    trained("out=untracked")
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=(here / "mlruns").as_uri())
    experiment = client.get_experiment_by_name("desk")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["total_steps"] == "4096"
    assert run.data.params["protocol.world"] == "paused"
    totals = metrics_of(here / "tracked")["totals"]
    assert run.data.metrics["totals.violations"] == totals["violations"] == 0
    curve = client.get_metric_history(run.info.run_id, "rollout/ep_rew_mean")
    assert [point.step for point in curve] == [2048, 4096]
    assert totals == metrics_of(here / "untracked")["totals"]


def test_wandb_writes_offline_into_the_runs_folder(here: Path) -> None:
    trained("tracker=wandb", "out=tracked")
    (session,) = (here / "tracked" / "wandb").glob("offline-run-*")
    (log,) = session.glob("run-*.wandb")
    content = log.read_bytes()
    for word in (b"total_steps", b"rollout/ep_rew_mean", b"evaluation.alone_return"):
        assert word in content


class Recorder:
    """What a tracker was told."""

    told: list[tuple[str, Any]]

    def __init__(self) -> None:
        Recorder.told = []

    def begin(self, name: str, config: Any, folder: Path) -> "Recorder":
        """Follows a run."""
        self.told.append(("begin", name))
        return self

    def results(self, values: Any) -> None:
        """Takes what came of it."""
        self.told.append(("results", values))

    def end(self, failed: bool) -> None:
        """It has ended."""
        self.told.append(("end", failed))


RECORDER = {"_target_": f"{__name__}.Recorder"}


def test_a_run_that_fails_is_told_as_failed(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("looplab.experiments.build.make", lambda config: Recorder())
    with pytest.raises(RuntimeError), followed(RECORDER, "one", {}, tmp_path):
        raise RuntimeError
    assert Recorder.told == [("begin", "one"), ("end", True)]
    (tmp_path / "metrics.json").write_text('{"a": {"b": 2}, "c": "text", "d": null}')
    with followed(RECORDER, "two", {}, tmp_path):
        pass
    assert Recorder.told == [("begin", "two"), ("results", {"a.b": 2.0}), ("end", False)]


def test_settings_are_checked_before_anything_runs(here: Path) -> None:
    with pytest.raises(UsageError, match="unknown mode 'ofline'; did you mean 'offline'"):
        Wandb(mode="ofline")
    with pytest.raises(UsageError, match=r"tracker\.experiment must be a name, got 3"):
        Mlflow(3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="did you mean 'offline'"):
        trained("tracker=wandb", "tracker.mode=ofline")
    with pytest.raises(UsageError, match="unknown tracker 'mlfow'; did you mean 'mlflow'"):
        trained("tracker=mlfow")
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(("package", "tracker"), [("mlflow", Mlflow), ("wandb", Wandb)])
def test_a_missing_package_names_its_extra(
    monkeypatch: pytest.MonkeyPatch, package: str, tracker: Any
) -> None:
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(UsageError, match=rf"pip install 'looplab\[{package}\]'"):
        tracker()


def test_long_lists_are_sent_in_parts() -> None:
    assert [list(some) for some in batched(range(5), 2)] == [[0, 1], [2, 3], [4]]
