"""The ledger: one row per decision, columnar, buffered, and never a broken file."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from looplab.envs.errors import UsageError, probability, whole
from looplab.envs.streams import Streams
from looplab.oversight.types import VERDICTS

if TYPE_CHECKING:
    from looplab.oversight.engine import Record

#: Columns of numbers and flags, with their types; actions and texts come beside them.
NUMBERS: dict[str, Any] = {
    "lane": np.int32, "episode": np.int64, "step": np.int32,
    "asked": np.bool_, "reviewed": np.bool_, "intervened": np.bool_, "unsafe": np.bool_,
    "unavoidable": np.bool_, "miss": np.bool_, "unasked": np.bool_, "late": np.bool_,
    "false_alarm": np.bool_, "standby": np.bool_, "unconsidered": np.bool_,
    "stale": np.bool_, "halted": np.bool_, "seconds": np.float32, "risk": np.float32,
    "cost": np.float32, "reward": np.float32, "learning_reward": np.float32,
}  # fmt: skip
#: Columns of texts, kept as codes until they are written.
TEXTS: dict[str, Any] = {"verdict": np.int8, "reason": np.int32, "overseer": np.int32}
_FLUSH_ROWS = 65_536
_MERGED = "decisions.parquet"


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
        self, folder: str | Path, flush_rows: int = _FLUSH_ROWS, fraction: float = 1.0
    ) -> None:
        self.folder = Path(folder)
        self.parts = self.folder / "decisions"
        if (self.folder / _MERGED).exists() or self.parts.exists():
            raise UsageError(f"{self.folder} already holds a ledger of decisions")
        self.flush_rows = whole("flush_rows", flush_rows, 1)
        self.fraction = probability("fraction", fraction)
        self._buffer: dict[str, Any] = {}
        self._filled = 0
        self._written = 0
        self._closed = False

    def bind(self, num_lanes: int, seed: int) -> None:
        """Takes its place in one engine; ``seed`` chooses the episodes that are kept."""
        if self._buffer:
            raise UsageError("a ledger belongs to one engine; open another for the next")
        self._steps = max(self.flush_rows // num_lanes, 1)
        self._num_lanes = num_lanes
        self._streams = Streams(num_lanes, "ledger", seed)
        shape = (self._steps, num_lanes)
        columns = (NUMBERS | TEXTS).items()
        self._buffer = {name: np.zeros(shape, dtype) for name, dtype in columns}
        self._buffer["lane"][:] = np.arange(num_lanes)
        self._buffer["kept"] = np.ones(shape, np.bool_)
        self.parts.mkdir(parents=True)

    def append(self, record: "Record") -> None:
        """Adds one step of all lanes."""
        if self._closed:
            raise UsageError("the ledger is closed")
        at, buffer = self._filled, self._buffer
        if "proposed" not in buffer:
            for name in ("proposed", "executed"):
                actions = getattr(record, name)
                buffer[name] = np.zeros((self._steps, *actions.shape), actions.dtype)
        for name, column in buffer.items():
            if name not in ("lane", "kept"):
                column[at] = getattr(record, name)
        if self.fraction < 1.0:
            start = np.zeros(self._num_lanes, np.int64)
            draw = self._streams.uniforms(record.episode, start, 1)[:, 0]
            buffer["kept"][at] = draw < self.fraction
        self._lexicon = record.decision.lexicon
        self._filled += 1
        if self._filled == self._steps:
            self.flush()

    def flush(self) -> None:
        """Writes what is buffered as one more part."""
        if self._filled == 0:
            return
        kept = self._buffer["kept"][: self._filled].reshape(-1)
        columns = {
            name: self._column(name, column[: self._filled].reshape(-1, *column.shape[2:])[kept])
            for name, column in self._buffer.items()
            if name != "kept"
        }
        part = self.parts / f"{self._written:06d}.parquet"
        hidden = part.with_suffix(".tmp")
        pq.write_table(pa.table(columns), hidden)
        os.replace(hidden, part)
        self._written += 1
        self._filled = 0

    def _column(self, name: str, values: Any) -> Any:
        if name in TEXTS:
            texts = VERDICTS if name == "verdict" else self._lexicon.texts
            indices = pa.array(values.astype(np.int32))
            return pa.DictionaryArray.from_arrays(indices, pa.array(list(texts)))
        if values.ndim > 1:
            return pa.FixedSizeListArray.from_arrays(
                pa.array(values.reshape(-1)), int(np.prod(values.shape[1:]))
            )
        return pa.array(values)

    def close(self) -> Path | None:
        """Flushes, merges all parts into one file and returns it; None if there was no step."""
        if self._closed or not self._buffer:
            self._closed = True
            return None
        self.flush()
        self._closed = True
        files = sorted(self.parts.glob("*.parquet"))
        merged = merge(files, self.folder / _MERGED) if files else None
        for file in files:
            file.unlink()
        self.parts.rmdir()
        return merged

    def __getstate__(self) -> dict[str, Any]:
        """Refuses to be copied: two ledgers would write the same files."""
        raise UsageError("a ledger cannot be pickled or copied; open one where the engine runs")


def merge(files: list[Path], target: Path) -> Path:
    """Writes several parts of one ledger as one file, whole or not at all."""
    hidden = target.with_suffix(".tmp")
    schema = pq.read_schema(files[0])
    with pq.ParquetWriter(hidden, schema) as writer:
        for file in files:
            writer.write_table(pq.read_table(file).cast(schema))
    os.replace(hidden, target)
    return target
