"""Where a run's curves and results are written besides its own folder: MLflow, Weights & Biases."""

import json
import math
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from stable_baselines3.common.logger import KVWriter

from looplab.envs.errors import UsageError, choice
from looplab.experiments.store import METRICS_FILE

#: Environment variable that names MLflow's server or store, and what MLflow wants for a folder.
MLFLOW_ADDRESS, MLFLOW_FOLDERS_ALLOWED = "MLFLOW_TRACKING_URI", "MLFLOW_ALLOW_FILE_STORE"
MLFLOW_FOLDER = "mlruns"
WANDB_MODES = ("offline", "online", "shared")
_TENSORBOARD = "tensorboard"
#: MLflow takes no more parameters at once.
_BATCH = 100


class Tracking(KVWriter, ABC):
    """One run as a tracker follows it; Stable-Baselines3's logger writes curves into it."""

    def write(
        self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0
    ) -> None:
        """Takes the numbers of one moment of training, those that TensorBoard is shown."""
        shown = {
            key: value
            for key, value in key_values.items()
            if _TENSORBOARD not in (key_excluded.get(key) or ())
        }
        self.curves(numbers(shown), step)

    def close(self) -> None:
        """Training has ended; results are still to come."""

    @abstractmethod
    def curves(self, values: Mapping[str, float], step: int) -> None:
        """Takes numbers of one moment of training."""

    @abstractmethod
    def results(self, values: Mapping[str, float]) -> None:
        """Takes what came of the run."""

    @abstractmethod
    def end(self, failed: bool) -> None:
        """The run has ended."""


class Tracker(Protocol):
    """Begins to follow runs."""

    def begin(self, name: str, config: Mapping[str, Any], folder: Path) -> Tracking:
        """Follows a run.

        Args:
            name: the run's name.
            config: its resolved configuration.
            folder: where its files go.
        """


@contextmanager
def followed(
    tracker: Mapping[str, Any] | None, name: str, config: Mapping[str, Any], folder: Path
) -> Iterator[Tracking | None]:
    """Follows a run while it is executed, and tells its tracker what came of it.

    Args:
        tracker: the tracker's configuration; None: there is none, and nobody follows.
        name: the run's name.
        config: its resolved configuration.
        folder: where its files go, ``metrics.json`` among them.
    """
    from looplab.experiments.build import make  # imports torch

    found: Tracker | None = None if tracker is None else make(tracker)
    if found is None:
        yield None
        return
    tracking = found.begin(name, config, folder)
    try:
        yield tracking
        metrics = json.loads((folder / METRICS_FILE).read_text(encoding="utf-8"))
        tracking.results(numbers(flat(metrics)))
    except BaseException:
        tracking.end(failed=True)
        raise
    tracking.end(failed=False)


def nothing() -> None:
    """No tracker."""


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested mapping with dotted keys.

    >>> flat({"env": {"slip": 0.2}, "seed": 3})
    {'env.slip': 0.2, 'seed': 3}
    """
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers among some values.

    >>> numbers({"a": 1, "b": "text", "c": float("nan")})
    {'a': 1.0}
    """
    return {
        key: float(value)
        for key, value in values.items()
        if isinstance(value, int | float | np.number) and math.isfinite(value)
    }


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise UsageError(
            f"tracker={name} needs a package that is not installed: pip install 'looplab[{name}]'"
        ) from error


class Mlflow:
    """Writes to MLflow: parameters, curves and results of every run.

    Runs go where ``MLFLOW_TRACKING_URI`` says, else into the folder ``mlruns``, which
    ``mlflow ui`` shows.

    Args:
        experiment: MLflow's name for what the runs belong to.
    """

    def __init__(self, experiment: str = "looplab") -> None:
        _package("mlflow")
        if not isinstance(experiment, str) or not experiment:
            raise UsageError(f"tracker.experiment must be a name, got {experiment!r}")
        self.experiment = experiment

    def begin(self, name: str, config: Mapping[str, Any], folder: Path) -> "_MlflowRun":
        """Follows a run (see ``Tracker``)."""
        address = os.environ.get(MLFLOW_ADDRESS)
        if address is None:  # a folder is what needs no server; MLflow wants to be told so
            address = Path(MLFLOW_FOLDER).resolve().as_uri()
            os.environ.setdefault(MLFLOW_FOLDERS_ALLOWED, "true")
        tracking = import_module("mlflow.tracking")
        client = tracking.MlflowClient(tracking_uri=address)
        return _MlflowRun(client, self._place(client), name, flat(config))

    def _place(self, client: Any) -> str:
        """Id of the experiment, made by whoever needs it first."""
        refused = import_module("mlflow.exceptions").MlflowException
        there = client.get_experiment_by_name(self.experiment)
        if there is None:
            try:
                return str(client.create_experiment(self.experiment))
            except refused:  # another worker was faster
                there = client.get_experiment_by_name(self.experiment)
        return str(there.experiment_id)


class _MlflowRun(Tracking):
    """A run of MLflow's."""

    def __init__(self, client: Any, place: str, name: str, parameters: Mapping[str, Any]) -> None:
        self._entities = import_module("mlflow.entities")
        self._client = client
        self._id = client.create_run(place, run_name=name).info.run_id
        given = [self._entities.Param(key, str(value)) for key, value in parameters.items()]
        for some in batched(given, _BATCH):
            client.log_batch(self._id, params=some)

    def curves(self, values: Mapping[str, float], step: int) -> None:
        """Takes numbers of one moment of training."""
        now = round(1000 * time.time())
        found = [self._entities.Metric(key, value, now, step) for key, value in values.items()]
        for some in batched(found, _BATCH):
            self._client.log_batch(self._id, metrics=some)

    def results(self, values: Mapping[str, float]) -> None:
        """Takes what came of the run."""
        self.curves(values, 0)

    def end(self, failed: bool) -> None:
        """Marks the run as finished or failed."""
        self._client.set_terminated(self._id, "FAILED" if failed else "FINISHED")


def batched(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """The values in lists of at most so many."""
    for first in range(0, len(values), size):
        yield values[first : first + size]


class Wandb:
    """Writes to Weights & Biases: configuration, curves and results of every run.

    Args:
        project: its name there.
        mode: ``offline`` writes into the run's folder, for ``wandb sync``; ``online`` and
            ``shared`` send.
    """

    def __init__(self, project: str = "looplab", mode: str = "offline") -> None:
        _package("wandb")
        if not isinstance(project, str) or not project:
            raise UsageError(f"tracker.project must be a name, got {project!r}")
        self.project = project
        self.mode = choice("mode", mode, WANDB_MODES)

    def begin(self, name: str, config: Mapping[str, Any], folder: Path) -> "_WandbRun":
        """Follows a run (see ``Tracker``)."""
        wandb = import_module("wandb")
        quiet = wandb.Settings(silent=True, console="off", disable_git=True)
        run = wandb.init(
            project=self.project, name=name, config=dict(config), mode=self.mode,
            dir=str(folder), settings=quiet, reinit="create_new",
        )  # fmt: skip
        return _WandbRun(run)


class _WandbRun(Tracking):
    """A run of Weights & Biases."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def curves(self, values: Mapping[str, float], step: int) -> None:
        """Takes numbers of one moment of training."""
        self._run.log(dict(values), step=step)

    def results(self, values: Mapping[str, float]) -> None:
        """Takes what came of the run."""
        self._run.summary.update(dict(values))

    def end(self, failed: bool) -> None:
        """Closes the run, as finished or failed."""
        self._run.finish(exit_code=int(failed))
