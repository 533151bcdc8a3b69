"""MLflow as a tracker."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from looplab.envs.errors import UsageError
from looplab.experiments.trackers.tracking import Tracking, flat, package

#: Environment variable that names MLflow's server or store, and what MLflow wants for a folder.
MLFLOW_ADDRESS, MLFLOW_FOLDERS_ALLOWED = "MLFLOW_TRACKING_URI", "MLFLOW_ALLOW_FILE_STORE"
MLFLOW_FOLDER = "mlruns"
#: MLflow takes no more parameters at once.
_BATCH = 100


class Mlflow:
    """Writes to MLflow: parameters, curves and results of every run.

    Runs go where ``MLFLOW_TRACKING_URI`` says, else into the folder ``mlruns``, which
    ``mlflow ui`` shows.

    Args:
        experiment: MLflow's name for what the runs belong to.
    """

    def __init__(self, experiment: str = "looplab") -> None:
        package("mlflow")
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
