"""The ledger: one row per decision, columnar, buffered, and never a broken file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from looplab.envs.core import Actions, BoolArray
from looplab.envs.errors import UsageError, probability, whole
from looplab.envs.streams import Streams
from looplab.oversight.record import Record
from looplab.oversight.types import VERDICTS

#: Columns of numbers and flags, with their types; proposed and executed action, verdict, reason
#: and overseer come beside them.
NUMBERS: dict[str, Any] = {
    "lane": np.int32, "episode": np.int64, "step": np.int32, "level": np.int8,
    "asked": np.bool_, "reviewed": np.bool_, "intervened": np.bool_, "unsafe": np.bool_,
    "unavoidable": np.bool_, "miss": np.bool_, "unasked": np.bool_, "late": np.bool_,
    "false_alarm": np.bool_, "standby": np.bool_, "unconsidered": np.bool_,
    "stale": np.bool_, "overdue": np.bool_, "halted": np.bool_, "caught": np.bool_,
    "disagreement": np.float32, "seconds": np.float32, "elapsed": np.float32,
    "score": np.float32, "threshold": np.float32, "risk": np.float32,
    "cost": np.float32, "reward": np.float32, "learning_reward": np.float32,
}  # fmt: skip
#: Rows between flushes, where nothing else is said.
FLUSH_ROWS = 65_536
_MERGED = "decisions.parquet"
#: Columns that parts keep statistics of; those of every column take a fifth of a flush.
_ORDER = ["lane", "episode", "step"]


class Ledger:
    """Writes decisions to ``folder/decisions.parquet``.

    Rows are buffered and flushed as numbered parts under ``folder/decisions``; each part is written
    under another name and then renamed, so that a killed process loses at most what it had not yet
    flushed and leaves no broken file. ``close`` merges the parts.

    Args:
        folder: where to write; made if it is not there.
        flush_rows: rows between flushes, at least 1.
        fraction: share of episodes that are kept, in [0, 1]: whole episodes, chosen at random with
            a stream of their own. Counters elsewhere stay exact.

    Raises:
        UsageError: if the folder already holds a ledger.
    """

    def __init__(
        self, folder: str | Path, flush_rows: int = FLUSH_ROWS, fraction: float = 1.0
    ) -> None:
        self.folder = Path(folder)
        self.parts = self.folder / "decisions"
        if (self.folder / _MERGED).exists() or self.parts.exists():
            raise UsageError(f"{self.folder} already holds a ledger of decisions")
        self.flush_rows = whole("flush_rows", flush_rows, 1)
        self.fraction = probability("fraction", fraction)
        self._streams: Streams | None = None
        self._tables: list[pa.Table] = []
        self._rows = 0
        self._written = 0
        self._closed = False

    def bind(self, num_lanes: int, seed: int) -> None:
        """Takes its place in one engine; ``seed`` chooses the episodes that are kept."""
        if self._streams is not None:
            raise UsageError("a ledger belongs to one engine; open another for the next")
        self._streams = Streams(num_lanes, "ledger", seed)
        try:
            self.parts.mkdir(parents=True)
        except OSError as error:
            raise UsageError(f"cannot make {self.parts}: {error.strerror}") from error

    def add(self, block: Record) -> None:
        """Takes a block of steps, shape (steps, n), whose rows will not change any more."""
        if self._closed:
            raise UsageError("the ledger is closed")
        self._tables.append(self._table(block))  # while it is in the processor's cache
        self._rows += block.cost.size
        if self._rows >= self.flush_rows:
            self.flush()

    def flush(self) -> None:
        """Writes what is buffered as one more part."""
        if not self._tables:
            return
        table = pa.concat_tables(self._tables).unify_dictionaries()
        with writing(self.parts / f"{self._written:06d}.parquet") as hidden:
            pq.write_table(table, hidden, write_statistics=_ORDER)
        self._written += 1
        self._tables, self._rows = [], 0

    def _table(self, block: Record) -> pa.Table:
        shape = block.cost.shape
        kept = slice(None) if self.fraction >= 1.0 else self._kept(block).reshape(-1)
        columns = {}
        for name, dtype in NUMBERS.items():
            values = np.broadcast_to(getattr(block, name), shape).reshape(-1)[kept]
            columns[name] = pa.array(values.astype(dtype))
        for name in ("proposed", "executed"):
            actions = getattr(block, name)
            columns[name] = _actions(actions.reshape(-1, *actions.shape[2:])[kept])
        for name, values in block.decision.extra.items():
            columns[name] = pa.array(values.reshape(-1)[kept])
        texts = {
            "verdict": VERDICTS,
            "reason": tuple(block.decision.reasons.texts),
            "overseer": tuple(block.decision.names.texts),
            "because": tuple(block.decision.reasons.texts),
        }
        for name, meanings in texts.items():
            codes = pa.array(getattr(block, name).reshape(-1)[kept].astype(np.int32))
            columns[name] = pa.DictionaryArray.from_arrays(codes, pa.array(meanings))
        return pa.table(columns)

    def _kept(self, block: Record) -> BoolArray:
        episode = block.episode
        assert self._streams is not None  # the engine has bound it
        start = np.zeros(episode.shape[1], np.int64)
        draws = [self._streams.uniforms(row, start, 1)[:, 0] for row in episode]
        return np.stack(draws) < self.fraction

    def close(self) -> Path | None:
        """Flushes, merges all parts into one file and returns it; None if there was no step."""
        if self._closed or self._streams is None:
            self._closed = True
            return None
        self.flush()
        self._closed = True
        files = sorted(self.parts.glob("*.parquet"))
        merged = self.folder / _MERGED
        if len(files) == 1:
            os.replace(files[0], merged)
        elif files:
            merge(files, merged)
            for file in files:
                file.unlink()
        self.parts.rmdir()
        return merged if files else None

    def __getstate__(self) -> dict[str, Any]:
        """Refuses to be copied: two ledgers would write the same files."""
        raise UsageError("a ledger cannot be pickled or copied; open one where the engine runs")


def merge(files: list[Path], target: Path) -> Path:
    """Writes several parts of one ledger as one file, whole or not at all."""
    schema = pq.read_schema(files[0])
    with writing(target) as hidden, pq.ParquetWriter(hidden, schema) as writer:
        for file in files:
            writer.write_table(pq.read_table(file).cast(schema))
    return target


@contextmanager
def writing(target: Path) -> Iterator[Path]:
    """Gives another name in the same folder, and renames the file when it is complete.

    Raises:
        UsageError: if there is no space or no permission; nothing is left behind.
    """
    hidden = target.with_suffix(".tmp")
    try:
        yield hidden
        os.replace(hidden, target)
    except OSError as error:
        hidden.unlink(missing_ok=True)
        raise UsageError(f"cannot write {target}: {error.strerror or error}") from error


def _actions(actions: Actions) -> pa.Array:
    """Discrete actions as numbers, continuous ones as lists of fixed length."""
    if actions.ndim == 1:
        return pa.array(actions)
    width = int(np.prod(actions.shape[1:]))
    return pa.FixedSizeListArray.from_arrays(pa.array(actions.reshape(-1)), width)
