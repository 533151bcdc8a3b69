"""What a tracker is: it begins to follow runs, and is told of their curves and results."""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from stable_baselines3.common.logger import KVWriter

from looplab.envs.errors import UsageError
from looplab.experiments.store import METRICS_FILE

_TENSORBOARD = "tensorboard"


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


def package(name: str) -> Any:
    """The module of a tracker; a UsageError names the extra where it is not installed."""
    try:
        return import_module(name)
    except ImportError as error:
        raise UsageError(
            f"tracker={name} needs a package that is not installed: pip install 'looplab[{name}]'"
        ) from error
