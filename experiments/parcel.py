"""A run that is executed elsewhere, and comes back as the bytes of its files."""

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from os import getpid
from pathlib import Path
from platform import node
from tempfile import TemporaryDirectory, gettempdir

from looplab.envs.errors import UsageError
from looplab.experiments.job import Failure, Job, execute
from looplab.experiments.store import lives, written_whole

#: Files of a run's folder by their path within it, with "/".
Parcel = dict[str, bytes]


def execute_away(job: Job, advanced: Callable[[int], None]) -> Failure | Parcel:
    """Executes a run in a temporary folder of this machine; returns its files, or what went wrong.

    Args:
        job: the run; its folder is not touched.
        advanced: called with the training steps since the last call.
    """
    with scratch() as temporary:
        folder = temporary / job.name
        failure = execute(Job(job.name, job.config, folder), advanced)
        return packed(folder) if failure is None else failure


def look_in(path: Iterable[str]) -> None:
    """Looks for modules where another process does, after this one's own places."""
    sys.path.extend(place for place in path if place not in sys.path)


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder; those that dead processes of this machine left are removed first."""
    prefix = f"looplab-{node()}-"
    for folder in Path(gettempdir()).glob(f"{prefix}*"):
        process = folder.name.removeprefix(prefix).partition("-")[0]
        if process.isdigit() and not lives(int(process)):
            shutil.rmtree(folder, ignore_errors=True)
    with TemporaryDirectory(prefix=f"{prefix}{getpid()}-") as temporary:
        yield Path(temporary)


def packed(folder: Path) -> Parcel:
    """All files of a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def arrived(job: Job, outcome: Failure | Parcel) -> Failure | None:
    """Puts what came back into the run's folder, whole or not at all; returns what went wrong."""
    if isinstance(outcome, Failure):
        return outcome
    try:
        with written_whole(job.folder) as partial:
            for name, content in outcome.items():
                path = partial / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
    except UsageError as error:
        return Failure(job.name, str(error), usage=True)
    return None
