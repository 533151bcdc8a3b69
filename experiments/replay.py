"""The ``replay`` command: a live session once more, from what people answered, bit for bit."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from looplab.envs.errors import LoopLabError, UsageError
from looplab.experiments.live_seat import JOURNAL_FILE
from looplab.experiments.run import train_run
from looplab.experiments.store import CONFIG_FILE
from looplab.experiments.yaml_text import read_yaml

DECISIONS_FILE = "decisions.parquet"


class Differs(LoopLabError):
    """A replay did not go as the session did."""


@dataclass(frozen=True)
class Replayed:
    """What a replay went through.

    Attributes:
        decisions: how many were made again, all of them the same.
        answers: how many steps people had answered.
        ended: how it ended.
    """

    decisions: int
    answers: int
    ended: str


def replay(folder: Path) -> Replayed:
    """Runs a session's training again from its journal, and compares every decision.

    Args:
        folder: of the session's run: ``config.yaml``, ``journal.jsonl`` and ``decisions.parquet``.

    Raises:
        UsageError: if it is no session's folder.
        Differs: naming the first decision that came out otherwise.
    """
    for name in (CONFIG_FILE, JOURNAL_FILE, DECISIONS_FILE):
        if not (folder / name).is_file():
            raise UsageError(f"{folder} holds no {name}: it is no finished live session")
    config: dict[str, Any] = read_yaml(folder / CONFIG_FILE)
    with tempfile.TemporaryDirectory(prefix="looplab-replay-") as place:
        answers, ended = _train_again(config, folder, Path(place))
        count = compare(folder / DECISIONS_FILE, Path(place) / DECISIONS_FILE)
    return Replayed(count, answers, ended)


def _train_again(config: Mapping[str, Any], folder: Path, place: Path) -> tuple[int, str]:
    """Trains as ``run`` does, with the journal in place of people."""
    done = train_run(config, place, replayed=folder)
    done.venv.close()
    if done.seat is None:
        raise UsageError(f"{folder} is a run without live people; the same command repeats it")
    answers = done.seat.overseer.repeated
    done.seat.overseer.close(finished=False)
    return answers, done.ended


def compare(before: Path, after: Path) -> int:
    """Compares two ledgers of decisions, column by column, bit by bit.

    Returns:
        How many decisions they hold.

    Raises:
        Differs: naming the first place where they are not the same.
    """
    one, two = pq.read_table(before), pq.read_table(after)
    if one.num_rows != two.num_rows:
        raise Differs(f"the session made {one.num_rows} decisions, its replay {two.num_rows}")
    for name in one.column_names:
        if name not in two.column_names:
            raise Differs(f"the replay knows no column {name}")
        left, right = (table[name].combine_chunks() for table in (one, two))
        same = _same(left, right)
        if not same.all():
            at = int(np.flatnonzero(~same)[0])
            raise Differs(
                f"decision {at + 1} differs in {name}: {left[at].as_py()} in the session, "
                f"{right[at].as_py()} in the replay"
            )
    return int(one.num_rows)


def _same(left: Any, right: Any) -> Any:
    """Where two columns hold the same, shape (rows,); NaN is the same as NaN."""
    one, two = left.to_pylist(), right.to_pylist()
    return np.array([a == b or (a != a and b != b) for a, b in zip(one, two, strict=True)])
