"""A recorded overseer: answers as people did in the same situation."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from looplab.envs.core import Actions, Lanes
from looplab.envs.errors import UsageError, choice
from looplab.oversight.proposals import Proposals
from looplab.oversight.types import MODIFY, VERDICTS, Verdicts, put

#: What it may answer where nobody has answered before.
UNKNOWN = ("escalate", "approve", "reject", "terminate")
_COLUMNS = ("kind", "who", "verdict", "seconds", "observation", "proposed", "action", "trial")
_REASONS = ("as people answered", "nobody has answered that")


@dataclass(frozen=True)
class _Answer:
    """What most people said in one situation.

    Attributes:
        verdict: place in ``VERDICTS``.
        action: what to execute instead, where it is ``modify``.
        seconds: median time of those who said so.
    """

    verdict: int
    action: Any
    seconds: float


class Recorded:
    """Answers as people did when the agent saw the same and proposed the same.

    What they said is read from the ``reviews.parquet`` that ``looplab audit export`` writes. Where
    several people answered, most of them count, and of equally many the latest. Catch trials count
    too; ratings, forms and what nobody answered in time do not. Observations are compared number by
    number in the precision of the task; those with more than 256 numbers are not kept in a ledger.

    Args:
        file: the reviews.
        unknown: verdict where nobody has answered before: ``escalate``, which protocols meet by
            failing closed, ``approve``, ``reject`` or ``terminate``.
        name: name in the record.

    Raises:
        UsageError: if there is no such file, or no answer in it.
    """

    well_formed = True

    def __init__(
        self, file: str | Path | None, unknown: str = "escalate", name: str = "recorded"
    ) -> None:
        if file is None:
            raise UsageError(
                "a recorded overseer needs overseer.file=, a reviews.parquet that "
                "looplab audit export wrote"
            )
        self.file = Path(file)
        self.unknown = VERDICTS.index(choice("overseer.unknown", unknown, UNKNOWN))
        self.name = name
        self._rows = _read(self.file)
        self._answers: dict[bytes, _Answer] = {}

    def fits(self, lanes: Lanes) -> None:
        """Refuses a task in which none of the answers can have been given."""
        space: Any = lanes.observation_space
        known = self._known(lanes)
        if not known:
            raise UsageError(
                f"{self.file} holds no answer about observations of shape {space.shape}; "
                "it is of another task"
            )

    def __call__(self, proposals: Proposals) -> Verdicts:
        """Verdicts on all lanes' proposals."""
        known, kind = self._known(proposals.lanes), proposals.lanes.action_space.dtype
        n = len(proposals)
        code, seconds = np.full(n, self.unknown, np.int8), np.zeros(n)
        reason, corrected = np.ones(n, np.int8), np.zeros(n, np.bool_)
        correction: Actions = proposals.action.copy()
        for lane in np.flatnonzero(proposals.asked).tolist():
            found = known.get(_key(proposals.observation[lane], proposals.action[lane], kind))
            if found is None:
                continue
            code[lane], seconds[lane], reason[lane] = found.verdict, found.seconds, 0
            if found.action is not None:
                value = np.asarray(found.action, correction.dtype)
                put(correction, np.arange(n) == lane, np.broadcast_to(value, correction.shape))
                corrected[lane] = True
        return Verdicts(
            code=code, seconds=seconds, reason=reason, reasons=_REASONS, overseer=self.name,
            correction=correction if corrected.any() else None,
            corrected=corrected if corrected.any() else None,
        )  # fmt: skip

    def _known(self, lanes: Lanes) -> dict[bytes, _Answer]:
        """Answers by situation, in the types of a task; worked out once."""
        if not self._answers:
            space: Any = lanes.observation_space
            size = int(np.prod(space.shape))
            said: dict[bytes, list[dict[str, Any]]] = {}
            for row in self._rows:
                if len(row["observation"]) == size:
                    seen = np.asarray(row["observation"]).astype(space.dtype)
                    key = _key(seen, json.loads(row["proposed"]), lanes.action_space.dtype)
                    said.setdefault(key, []).append(row)
            self._answers = {key: _most(rows) for key, rows in said.items()}
        return self._answers


def _key(observation: Any, action: Any, kind: Any) -> bytes:
    return np.ascontiguousarray(observation).tobytes() + b"\0" + np.asarray(action, kind).tobytes()


def _most(rows: list[dict[str, Any]]) -> _Answer:
    """What most said; of equally many the latest."""
    said = [(row["verdict"], row["action"]) for row in rows]
    counts = Counter(said)
    best = max(counts.values())
    verdict, action = next(one for one in reversed(said) if counts[one] == best)
    alike = [
        row["seconds"] for row, one in zip(rows, said, strict=True) if one == (verdict, action)
    ]
    place = VERDICTS.index(verdict)
    instead = None if place != MODIFY or action is None else json.loads(action)
    return _Answer(place, instead, float(np.median(alike)))


def _read(file: Path) -> list[dict[str, Any]]:
    """Reviews that people answered, oldest first.

    Raises:
        UsageError: if there are none.
    """
    try:
        rows: list[dict[str, Any]] = pq.read_table(file, columns=list(_COLUMNS)).to_pylist()
    except FileNotFoundError:
        raise UsageError(f"overseer.file: there is no file {file}") from None
    except (OSError, pa.ArrowException) as error:
        line = str(error).splitlines()[0]
        raise UsageError(f"overseer.file={file} holds no reviews: {line}") from error
    answered = [
        row
        for row in rows
        if row["kind"] == "review" and row["who"] and row["observation"] and row["proposed"]
    ]
    if not answered:
        raise UsageError(f"{file} holds no review that a person answered")
    return answered
