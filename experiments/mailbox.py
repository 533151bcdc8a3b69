"""A folder through which jobs on other machines tell how their runs go on, and hand them back."""

import pickle
import time
from contextlib import suppress
from pathlib import Path

from looplab.experiments.files import write_whole
from looplab.experiments.job import Failure
from looplab.experiments.parcel import Parcel, packed

_STEPS, _OUTCOME = ".steps", ".outcome"
#: How often a run writes down how far it is.
_TELL_SECONDS = 2.0


class Mailbox:
    """Files of each run in a folder that all machines share: steps made, and the outcome.

    It is a watcher: the side where runs are executed tells it what happens.

    Args:
        folder: the shared folder.
        runs: where finished runs lie on this machine; only where runs are executed.
    """

    def __init__(self, folder: Path, runs: Path | None = None) -> None:
        self.folder = folder
        self._runs = runs
        self._made: dict[str, int] = {}
        self._told: dict[str, float] = {}

    def started(self, name: str) -> None:
        """A run has begun."""
        self._made[name] = 0
        self._tell(name)

    def advanced(self, name: str, steps: int) -> None:
        """A run has made some more steps."""
        self._made[name] += steps
        if time.monotonic() - self._told[name] >= _TELL_SECONDS:
            self._tell(name)

    def finished(self, name: str, failure: Failure | None) -> None:
        """Hands back what came of a run."""
        if failure is None and self._runs is None:
            raise RuntimeError("this side executes no runs")
        outcome = packed(self._runs / name) if failure is None and self._runs else failure
        self._tell(name)
        write_whole(self.folder / f"{name}{_OUTCOME}", pickle.dumps(outcome))

    def _tell(self, name: str) -> None:
        self._told[name] = time.monotonic()
        write_whole(self.folder / f"{name}{_STEPS}", str(self._made[name]).encode())

    def steps(self, name: str) -> int | None:
        """Steps that a run has made so far; None: it has not begun."""
        with suppress(OSError, ValueError):
            return int((self.folder / f"{name}{_STEPS}").read_text())
        return None

    def outcome(self, name: str) -> Failure | Parcel | None:
        """What came of a run; None: it has not ended."""
        try:
            found: Failure | Parcel = pickle.loads((self.folder / f"{name}{_OUTCOME}").read_bytes())
        except FileNotFoundError:
            return None
        return found

    def names(self) -> set[str]:
        """Runs whose outcome is here."""
        return {file.name.removesuffix(_OUTCOME) for file in self.folder.glob(f"*{_OUTCOME}")}

    def forget(self, name: str) -> None:
        """Removes what a run has left here."""
        for kind in (_STEPS, _OUTCOME):
            (self.folder / f"{name}{kind}").unlink(missing_ok=True)
