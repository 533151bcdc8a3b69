"""Cells chosen by the values of some of their axes, as experiments name them."""

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from looplab.envs.errors import unknown
from looplab.experiments.cells import GROUP_AXES, readable, task_title
from looplab.experiments.number_text import short_number

#: Values of some axes: a cell has them all, or it is not meant.
Cell = Mapping[str, Any]


def said(cell: Cell) -> str:
    """A cell's values in words.

    >>> said({"regime": "in_the_loop", "signal.beta": 10})
    'in the loop, beta 10'
    >>> said({"env.supervisor": None, "protocol.lag": [0, 1]})
    'supervisor null, lag 0 or 1'
    """
    words = []
    for axis, value in cell.items():
        if axis == "env":
            words.append(task_title(value))
        elif isinstance(value, str) and "." not in axis:
            words.append(readable(value))
        else:
            words.append(f"{readable(axis.rsplit('.', 1)[-1])} {_text(value)}")
    return ", ".join(words) or "every cell"


def same(one: Any, other: Any) -> bool:
    """Whether two values of an axis are the same one, also after a table has changed their type.

    >>> same(0, 0.0), same(None, float("nan")), same(64, "64"), same(True, 1)
    (True, True, True, False)
    """
    if _missing(one) or _missing(other):
        return _missing(one) and _missing(other)
    if is_number(one) and is_number(other):
        return float(one) == float(other)
    return str(one) == str(other)


def matches(cell: Cell, wanted: Cell) -> bool:
    """Whether a cell has all the wanted values; a list of values allows each of them."""
    return all(
        any(
            same(cell.get(GROUP_AXES.get(axis, axis)), v)
            for v in (value if isinstance(value, list) else [value])
        )
        for axis, value in wanted.items()
    )


def check_values(cell: Cell, axes: Mapping[str, Sequence[Any]]) -> None:
    """Checks that cells are named by axes and values that there are.

    Raises:
        UsageError: naming the nearest valid axis or value.
    """
    for axis, value in cell.items():
        if axis not in axes:
            raise unknown("axis", axis, axes)
        for one in value if isinstance(value, list) else [value]:
            if not any(same(one, known) for known in axes[axis]):
                raise unknown(f"value of {axis}", one, axes[axis])


def is_number(value: Any) -> bool:
    """Whether it is a number, and no truth."""
    return isinstance(value, Real) and not isinstance(value, bool)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " or ".join(map(_text, value))
    if _missing(value) or isinstance(value, bool):
        return "null" if _missing(value) else str(value).lower()
    return short_number(value) if is_number(value) else readable(value)


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)
