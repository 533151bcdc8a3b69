"""Preferences: pairs of segments with a teacher's labels, as a reward model learns from them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from looplab.envs.core import FloatArray, IntArray
from looplab.oversight.humans.segments import Segments
from looplab.oversight.ledger import writing


@dataclass(frozen=True)
class Preferences:
    """m compared pairs.

    Attributes:
        first: m segments.
        second: m segments, each of the same lane as the first.
        label: 1 where the second is preferred, 0 the first, 0.5 equal, NaN skipped, shape (m,).
        clock: steps of the engine before the question, shape (m,).
    """

    first: Segments
    second: Segments
    label: FloatArray
    clock: IntArray

    def __len__(self) -> int:
        return len(self.label)

    @classmethod
    def joined(cls, several: "Sequence[Preferences]") -> "Preferences":
        """At least one group of pairs as one."""
        return cls(
            Segments.joined([each.first for each in several]),
            Segments.joined([each.second for each in several]),
            np.concatenate([each.label for each in several]),
            np.concatenate([each.clock for each in several]),
        )

    def write(self, path: str | Path) -> None:
        """Writes one row per pair, e.g. to ``preferences.parquet``.

        ``label`` is null where the teacher skipped. Rewards and costs are lists of T numbers,
        observations and actions lists of T x their size, in C order; the metadata ``shapes`` says
        what to reshape them to.

        Raises:
            UsageError: if the file cannot be written; nothing is left behind.
        """
        columns: dict[str, Any] = {
            "lane": self.first.lane,
            "clock": self.clock,
            "label": pa.array(self.label, from_pandas=True),
        }
        shapes = {}
        for side in ("first", "second"):
            segments: Segments = getattr(self, side)
            columns[f"{side}_episode"], columns[f"{side}_step"] = segments.episode, segments.step
            for name in ("observation", "action", "reward", "cost"):
                values = getattr(segments, name)
                shapes[name] = values.shape[1:]
                flat = pa.array(values.reshape(-1))
                width = int(np.prod(values.shape[1:]))
                columns[f"{side}_{name}"] = pa.FixedSizeListArray.from_arrays(flat, width)
        table = pa.table(columns).replace_schema_metadata({"shapes": json.dumps(shapes)})
        with writing(Path(path)) as hidden:
            pq.write_table(table, hidden)
