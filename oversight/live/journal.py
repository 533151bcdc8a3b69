"""A live run's own ledger: every answer, on disk before it is executed.

One JSON object per line, in the order in which the run asked. A run that was killed runs again from
its start and takes its answers from here up to where it was; a replay takes all of them from here.
Nothing of it is held in memory.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Self

from looplab.envs.errors import LoopLabError, UsageError
from looplab.oversight.live.event import canonical

FORMAT = 1


class Diverged(LoopLabError):
    """A run that is repeated asks something else than it did before."""


class JournalEnds(LoopLabError):
    """A replay asks for more than was ever answered."""


class Journal:
    """Answers of one run, read again from the start and then written on.

    Args:
        path: the file; made if it is not there. A last line that a killed run left half-written is
            dropped.
        identity: of the run, which must be the same as that of the file.
        replay: only read: what comes after the end is refused.

    Raises:
        UsageError: if the file is another run's, or cannot be used.
    """

    def __init__(self, path: Path, identity: str, replay: bool = False) -> None:
        self.path = path
        self.replay = replay
        head = canonical({"format": FORMAT, "identity": identity}) + "\n"
        try:
            if not replay:
                path.parent.mkdir(parents=True, exist_ok=True)
                _mend(path)
            self._file: IO[str] = path.open("r" if replay else "a+", encoding="utf-8", newline="\n")
        except OSError as error:
            raise UsageError(f"cannot use the journal {path}: {error.strerror}") from error
        self._file.seek(0)
        first = self._file.readline()
        if not first and not replay:
            self._file.write(head)
            self._sync()
        elif first != head:
            self._file.close()
            raise UsageError(f"{path} is the journal of another run; give another out=")
        #: Entries that were taken from the file.
        self.repeated = 0
        self._ahead = self._file.readline() if first else ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def key(self) -> str | None:
        """Names the question that is answered next in the file; None: it is at its end."""
        return json.loads(self._ahead)["key"] if self._ahead else None

    def next(self, key: str, about: Mapping[str, Any]) -> dict[str, Any] | None:
        """What was answered before; None: nothing was, the journal is at its end.

        Args:
            key: names the question.
            about: what was asked, plain values.

        Raises:
            Diverged: if something else was asked at this point.
            JournalEnds: if a replay is at its end.
        """
        line = self._ahead
        if not line:
            if self.replay:
                raise JournalEnds(f"{self.path} ends before {key}")
            return None
        entry = json.loads(line)
        if (entry["key"], canonical(entry["about"])) != (key, canonical(about)):
            raise Diverged(
                f"{self.path}: entry {self.repeated + 1} is {entry['key']}, the run asks {key}"
                f"{'' if entry['key'] != key else ' otherwise'}: it does not repeat itself"
            )
        self.repeated += 1
        self._ahead = self._file.readline()
        found: dict[str, Any] = entry["answer"]
        return found

    def write(
        self, key: str, about: Mapping[str, Any], answer: Mapping[str, Any], durable: bool = True
    ) -> None:
        """Adds an answer.

        Args:
            key: names the question.
            about: what was asked.
            answer: plain values.
            durable: wait until it is on disk; False: it may be lost with the process.
        """
        self._file.write(canonical({"key": key, "about": about, "answer": answer}) + "\n")
        if durable:
            self._sync()

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Writes what is still buffered."""
        if not self._file.closed:
            if not self.replay:
                self._sync()
            self._file.close()


def _mend(path: Path) -> None:
    """Cuts off what comes after the last whole line."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)
