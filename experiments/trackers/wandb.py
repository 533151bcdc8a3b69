"""Weights & Biases as a tracker."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from looplab.envs.errors import UsageError, choice
from looplab.experiments.trackers.tracking import Tracking, package

WANDB_MODES = ("offline", "online", "shared")


class Wandb:
    """Writes to Weights & Biases: configuration, curves and results of every run.

    Args:
        project: its name there.
        mode: ``offline`` writes into the run's folder, for ``wandb sync``; ``online`` and
            ``shared`` send.
    """

    def __init__(self, project: str = "looplab", mode: str = "offline") -> None:
        package("wandb")
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
