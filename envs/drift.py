"""Drift: one parameter of a task changes while agents act, by a schedule that every task knows."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from looplab.envs.core import BoolArray, FloatArray, IntArray
from looplab.envs.errors import UsageError, choice, unknown, whole, within

KINDS = ("abrupt", "gradual", "recurring")
#: A gradual drift moves in so many equal steps, so that exact risks can be tabled for each.
GRADUAL_STEPS = 16


@dataclass(frozen=True)
class Drift:
    """A parameter takes another value at a step.

    Attributes:
        parameter: name of one of the task's drifting parameters.
        value: what it becomes.
        at_step: steps that a lane has taken since it was seeded when the drift begins, at least 0;
            n lanes reach it after n times as many steps of the algorithm.
        kind: ``abrupt``, ``gradual`` (in 16 equal steps) or ``recurring`` (to and fro).
        over_steps: steps that a gradual drift takes, or that each phase of a recurring one lasts.
    """

    parameter: str
    value: float
    at_step: int = 0
    kind: str = "abrupt"
    over_steps: int = 1000

    def __post_init__(self) -> None:
        """Checks everything but the parameter's name and range, which the task knows."""
        choice("drift.kind", self.kind, KINDS)
        whole("drift.at_step", self.at_step, 0)
        whole("drift.over_steps", self.over_steps, 1)

    def levels(self, before: float) -> FloatArray:
        """Values that the parameter takes, the undrifted one first, shape (L,)."""
        if self.kind == "gradual":
            return np.linspace(before, self.value, GRADUAL_STEPS + 1)
        return np.array([before, self.value], dtype=np.float64)

    def level(self, clock: IntArray) -> IntArray:
        """Which of ``levels`` holds in a lane that has taken so many steps, shape (n,)."""
        since = clock - self.at_step
        begun: BoolArray = since >= 0
        if self.kind == "abrupt":
            return begun.astype(np.int64)
        if self.kind == "recurring":
            to: BoolArray = begun & (since // self.over_steps % 2 == 0)
            return to.astype(np.int64)
        moved = np.minimum(since * GRADUAL_STEPS // self.over_steps + 1, GRADUAL_STEPS)
        return np.where(begun, moved, np.int64(0))


def as_drift(
    given: Drift | Mapping[str, Any] | None, ranges: Mapping[str, tuple[float, float]]
) -> Drift | None:
    """A drift from what a configuration holds.

    Args:
        given: a drift, a mapping of its fields, or None for none.
        ranges: what can drift in the task, with the least and the greatest value.

    Raises:
        UsageError: for an unknown field or parameter, or a value out of range.
    """
    if given is None:
        return None
    if not isinstance(given, Drift | Mapping):
        raise UsageError(
            f"drift must be a mapping such as {{parameter: ..., value: ...}}, got {given!r}"
        )
    if not isinstance(given, Drift):
        names = [field.name for field in fields(Drift)]
        for name in given:
            if name not in names:
                raise unknown("field of drift", name, names)
        if missing := [name for name in ("parameter", "value") if name not in given]:
            raise UsageError(f"drift needs {' and '.join(missing)}; it has {', '.join(names)}")
        given = Drift(**given)
    if given.parameter not in ranges:
        raise unknown("drifting parameter", given.parameter, ranges)
    within("drift.value", given.value, *ranges[given.parameter])
    return given
