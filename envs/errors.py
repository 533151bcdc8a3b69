"""Named errors, and one way to say that a name is unknown."""

import math
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from numbers import Integral, Real
from typing import TypeVar

T = TypeVar("T")


class LoopLabError(Exception):
    """Root of LoopLab's own errors."""


class UsageError(LoopLabError, ValueError):
    """Bad input from a person: one line that says what was given and what is allowed."""


class EnvironmentFault(LoopLabError, RuntimeError):
    """An environment broke its contract (NaN, negative cost), named by lane and step."""


def wrong_shape(
    given: tuple[int, ...], expected: object, lane: int, step: int, episode: int
) -> EnvironmentFault:
    """Builds the error for an observation whose shape is not the one of its space."""
    return EnvironmentFault(
        f"the environment returned an observation of shape {given}, not {expected}, in lane {lane} "
        f"at step {step} of episode {episode}"
    )


def unknown(kind: str, given: object, allowed: Iterable[object]) -> UsageError:
    """Builds the error for an unknown name, with the nearest valid one.

    Args:
        kind: what the name stands for, e.g. ``"env"``.
        given: the name that was given.
        allowed: all valid names.

    Returns:
        A ``UsageError`` of one line.

    >>> print(unknown("env", "lava_shortcutt", ["lava_shortcut", "ops_desk"]))
    unknown env 'lava_shortcutt'; did you mean 'lava_shortcut'? allowed: lava_shortcut, ops_desk
    """
    names = sorted(str(name) for name in allowed)
    near = get_close_matches(str(given), names, n=1, cutoff=0.5)
    near = near or [name for name in names if str(given) and name.startswith(str(given))]
    hint = f"; did you mean '{near[0]}'?" if near else ";"
    return UsageError(f"unknown {kind} '{given}'{hint} allowed: {', '.join(names) or 'none'}")


def probability(name: str, value: float) -> float:
    """Returns ``value`` if it is a probability, else raises ``UsageError`` naming the argument."""
    return within(name, value, 0.0, 1.0)


def within(name: str, value: float, low: float, high: float = math.inf) -> float:
    """Returns ``value`` as a float if it is a number in [low, high], NumPy's or Python's.

    Raises:
        UsageError: if it is no number, NaN, or outside the range.
    """
    if not (_is_number(value, Real) and low <= value <= high):
        bounds = _at_least(low) if high == math.inf else f"in [{low:g}, {high:g}]"
        raise UsageError(f"{name} must be a number {bounds}, got {_shown(value)}")
    return float(value)


def finite(name: str, value: float, low: float) -> float:
    """Returns ``value`` as a float if it is a finite number of at least ``low``.

    Raises:
        UsageError: if it is no number, NaN, infinite, or below ``low``.
    """
    if math.isinf(within(name, value, low)):
        bounds = "" if math.isinf(low) else f" of {_at_least(low)}".replace("of above", "above")
        raise UsageError(f"{name} must be a finite number{bounds}, got {_shown(value)}")
    return float(value)


def whole(name: str, value: int, low: int) -> int:
    """Returns ``value`` as an int if it is a whole number of at least ``low``.

    Raises:
        UsageError: if it is none, or below ``low``.
    """
    if not (_is_number(value, Integral) and value >= low):
        raise UsageError(f"{name} must be a whole number of at least {low}, got {_shown(value)}")
    return int(value)


def _is_number(value: object, kind: type) -> bool:
    """Whether it is a number of that kind; truth values are none, NumPy's neither."""
    return isinstance(value, kind) and not isinstance(value, bool)


def _at_least(low: float) -> str:
    return "above 0" if low == sys.float_info.min else f"at least {low:g}"


def _shown(value: object) -> str:
    """A value as a person would write it, so without the name of a NumPy type."""
    return str(value) if _is_number(value, Real) else repr(value)


def choice(name: str, value: T, allowed: Iterable[T]) -> T:
    """Returns ``value`` if it is one of ``allowed``, else raises ``UsageError``."""
    options = list(allowed)
    if value not in options:
        raise unknown(name, value, options)
    return value
