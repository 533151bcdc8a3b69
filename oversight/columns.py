"""Columns of what is recorded at each step, kept in blocks of many steps.

A decision is a row of its block, so that recording it costs nothing; what follows from it (misses,
interventions, ...) is worked out for a whole block at once.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looplab.envs.core import Actions
from looplab.oversight.types import Lexicon

#: Columns that protocols fill in, with their types; most begin at 0.
DECIDED: dict[str, Any] = {
    "verdict": np.int8, "reviews": np.int8, "level": np.int8, "asked": np.bool_,
    "watched": np.bool_, "refused": np.bool_, "noticed": np.bool_, "alarm_pending": np.bool_,
    "standby": np.bool_, "unconsidered": np.bool_, "halted": np.bool_, "charged": np.bool_,
    "stale": np.bool_, "overdue": np.bool_,
    "seconds": np.float64, "elapsed": np.float64, "rating": np.float64,
    "disagreement": np.float64, "score": np.float64, "threshold": np.float64,
    "reason": np.int32, "overseer": np.int32, "because": np.int32,
}  # fmt: skip
#: Columns that the engine fills in.
HAPPENED: dict[str, Any] = {
    "risky": np.bool_, "no_safe_action": np.bool_, "catastrophe": np.bool_,
    "terminated": np.bool_, "truncated": np.bool_,
    "risk": np.float64, "reward": np.float64, "learning_reward": np.float64, "cost": np.float64,
    "success": np.float64,
    "episode": np.int64, "step": np.int64,
}  # fmt: skip
#: What stands in a column where nothing was said, if not 0.
BLANK = {"success": np.nan, "score": np.nan, "threshold": np.nan, "level": -1}

#: The arrays that hold the columns, each of shape (steps, columns, n), by the type they share.
STORES: dict[str, Any] = {
    "flags": np.int8, "reals": np.float64, "codes": np.int32, "places": np.int64,
}  # fmt: skip
_STORE_OF = {
    np.int8: "flags", np.bool_: "flags", np.float64: "reals", np.int32: "codes", np.int64: "places",
}  # fmt: skip
#: Names of each store's columns, in their order.
COLUMNS: dict[str, tuple[str, ...]] = {
    store: tuple(name for name, dtype in (DECIDED | HAPPENED).items() if _STORE_OF[dtype] == store)
    for store in STORES
}


def place(name: str) -> int:
    """Place of a column in its store, for loops that address it by number."""
    return next(names.index(name) for names in COLUMNS.values() if name in names)


class Block:
    """Room for many steps; every step is one row, every row fresh.

    Args:
        steps: number of rows.
        actions: n actions, whose shape and type the rows take.
        reasons: what the codes of reasons mean.
        names: what the codes of overseers mean.
        extra: columns that parts of the protocol fill in, by name: their type, and what stands
            where nothing was said.

    Attributes:
        flags, reals, codes, places: the stores, each of shape (steps, columns, n).
        proposed, executed: actions, shape (steps, n, ...).
        columns: views on the stores and extra columns by name, shape (steps, n).
        decided: those of them that protocols fill in.
        filled: rows that have been filled in.
    """

    def __init__(
        self,
        steps: int,
        actions: Actions,
        reasons: Lexicon,
        names: Lexicon,
        extra: Mapping[str, tuple[Any, Any]],
    ) -> None:
        self.steps = steps
        self.filled = 0
        self.reasons, self.names = reasons, names
        lanes = len(actions)
        for store, dtype in STORES.items():
            setattr(self, store, np.zeros((steps, len(COLUMNS[store]), lanes), dtype))
        self.proposed: Actions = np.zeros((steps, *actions.shape), actions.dtype)
        self.executed: Actions = np.zeros((steps, *actions.shape), actions.dtype)
        self.extra = {name: np.zeros((steps, lanes), dtype) for name, (dtype, _) in extra.items()}
        self._blank = BLANK | {name: blank for name, (_, blank) in extra.items()}
        self._name_columns()
        for name, blank in self._blank.items():
            self.columns[name][:] = blank

    flags: NDArray[np.int8]
    reals: NDArray[np.float64]
    codes: NDArray[np.int32]
    places: NDArray[np.int64]

    def _name_columns(self) -> None:
        self.columns: dict[str, NDArray[Any]] = dict(self.extra)
        for name, dtype in (DECIDED | HAPPENED).items():
            column = getattr(self, _STORE_OF[dtype])[:, place(name)]
            self.columns[name] = column.view(np.bool_) if dtype is np.bool_ else column
        self.decided = {name: self.columns[name] for name in DECIDED}

    @property
    def full(self) -> bool:
        """Whether there is no row left."""
        return self.filled == self.steps

    def clear(self) -> None:
        """Makes the next row fresh again, after a step that failed in it."""
        for name, column in self.columns.items():
            column[self.filled] = self._blank.get(name, 0)

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the views, which would become arrays of their own."""
        views = ("columns", "decided")
        return {name: held for name, held in self.__dict__.items() if name not in views}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Goes on where the pickled one was."""
        self.__dict__.update(state)
        self._name_columns()
