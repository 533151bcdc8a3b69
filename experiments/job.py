"""One run to execute, what can go wrong with it, and who is told how it goes on."""

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from looplab.envs.errors import LoopLabError, UsageError
from looplab.experiments.garbage import collected_rarely
from looplab.experiments.store import written_whole


@dataclass(frozen=True)
class Job:
    """One run to execute.

    Attributes:
        name: the run's name.
        config: its resolved configuration.
        folder: where its files go, whole or not at all.
        tracker: configuration of who else is told of it; None: nobody.
    """

    name: str
    config: Mapping[str, Any]
    folder: Path
    tracker: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Failure:
    """A run that did not finish.

    Attributes:
        name: the run's name.
        message: one line for a person.
        details: the traceback, where it is a fault and no complaint about the input.
        usage: whether the input was at fault.
        chance: whether it may go well when it is tried once more. What LoopLab itself complains
            about does not: the same run meets the same input and the same environment.
    """

    name: str
    message: str
    details: str = field(default="", repr=False)
    usage: bool = False
    chance: bool = False


class Watcher(Protocol):
    """Who is told how runs go on."""

    def started(self, name: str) -> None:
        """A run has begun."""

    def advanced(self, name: str, steps: int) -> None:
        """A run has made some more steps."""

    def finished(self, name: str, failure: Failure | None) -> None:
        """A run has ended, well or not."""


def execute(job: Job, advanced: Callable[[int], None]) -> Failure | None:
    """Executes one run in this process; returns what went wrong, if anything did."""
    from looplab.experiments.trackers.tracking import followed  # imports torch
    from looplab.experiments.trials import trial_of  # imports Hydra

    try:
        with written_whole(job.folder) as folder, collected_rarely():
            trial = trial_of(job.config)
            with followed(job.tracker, job.name, job.config, folder) as tracking:
                trial.run(job.config, folder, advanced, tracking)
    except UsageError as error:
        return Failure(job.name, str(error), usage=True)
    except LoopLabError as error:
        return Failure(job.name, str(error))
    except Exception as error:  # isolated: the other runs go on, and it is reported
        line = f"{type(error).__name__}: {error}".splitlines()[0]
        return Failure(job.name, line, traceback.format_exc(), chance=True)
    return None
