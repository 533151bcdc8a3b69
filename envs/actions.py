"""Checks that actions lie in their space, one per lane."""

from typing import Any

import gymnasium as gym
import numpy as np

from looplab.envs.compiled import compiled
from looplab.envs.core import Actions, Lanes
from looplab.envs.errors import UsageError, unknown

#: What rescaled actions may exceed their bounds by, as a share of the range; they are clipped.
ROUNDING = 1e-6
_INT64 = np.dtype(np.int64)


def action_names(lanes: Lanes) -> tuple[str, ...]:
    """What a task calls its discrete actions: its own names, else their numbers; shape (A,).

    Raises:
        UsageError: if its actions are not discrete.
    """
    count = getattr(lanes.action_space, "n", None)
    if count is None:
        raise UsageError(f"names of actions need a Discrete action space, got {lanes.action_space}")
    return tuple(getattr(lanes, "ACTIONS", ())) or tuple(map(str, range(int(count))))


def action_number(names: tuple[str, ...], given: object, what: str = "action") -> int:
    """Number of a discrete action from its name or its number.

    Args:
        names: see ``action_names``.
        given: e.g. ``"up"``, ``0`` or ``"0"``.
        what: what the error calls it.

    Raises:
        UsageError: if there is no such action, with the nearest name.
    """
    word = str(given)
    if word in names:
        return names.index(word)
    if word.isdecimal() and int(word) < len(names):
        return int(word)
    raise unknown(what, given, names)


def check_action_space(space: gym.Space[Any]) -> None:
    """Refuses spaces whose actions no lanes can run.

    Raises:
        UsageError: unless it is Discrete or a Box.
    """
    if not isinstance(space, gym.spaces.Discrete | gym.spaces.Box):
        raise UsageError(f"only Discrete and Box action spaces are supported, got {space}")


@compiled
def _any_outside(actions: Any, count: Any) -> Any:
    """Whether any action, (n,), is not among 0 ... count - 1."""
    outside = False
    for action in actions:
        outside |= action < 0 or action >= count
    return outside


class ActionCheck:
    """Checks the actions of n lanes, fast where they are what they should be.

    Args:
        space: action space of one lane.
        num_lanes: number of lanes n.
    """

    def __init__(self, space: gym.Space[Any], num_lanes: int) -> None:
        self._space = space
        self._shape = (num_lanes,)
        counts_from_zero = isinstance(space, gym.spaces.Discrete) and int(space.start) == 0
        self._count = int(space.n) if counts_from_zero else None  # type: ignore[attr-defined]

    def __call__(self, actions: Actions) -> Actions:
        """Actions as an array of the space's type, one per lane; see ``checked_actions``."""
        if (
            self._count is not None
            and type(actions) is np.ndarray
            and actions.dtype == _INT64
            and actions.shape == self._shape
            and not _any_outside(actions, self._count)
        ):
            return actions
        return checked_actions(self._space, actions, self._shape[0])


def checked_actions(space: gym.Space[Any], actions: Actions, num_lanes: int) -> Actions:
    """Actions as an array of the space's type, one per lane.

    Raises:
        UsageError: naming the lane, if an action is not in the space.
    """
    if isinstance(space, gym.spaces.Discrete):
        given = np.asarray(actions)
        if given.shape != (num_lanes,):
            given = given.reshape(-1)
        if given.shape != (num_lanes,) or given.dtype.kind not in "iu":
            raise UsageError(
                f"expected {num_lanes} whole numbers as actions, "
                f"got shape {np.shape(actions)} of {given.dtype}"
            )
        low, high = int(space.start), int(space.start + space.n)
        outside = (given < low) | (given >= high)
        if np.count_nonzero(outside):
            lane = int(np.flatnonzero(outside)[0])
            raise UsageError(f"action {given[lane]} of lane {lane} is not in {low}..{high - 1}")
        return given if given.dtype == np.int64 else given.astype(np.int64)
    if isinstance(space, gym.spaces.Box):
        try:
            given = np.asarray(actions, dtype=space.dtype)
        except (TypeError, ValueError) as error:
            raise UsageError(f"expected numbers as actions, got {actions!r}") from error
        if given.shape != (num_lanes, *space.shape):
            raise UsageError(
                f"expected actions of shape {(num_lanes, *space.shape)}, got {given.shape}"
            )
        bad = ~np.isfinite(given).reshape(num_lanes, -1).all(axis=1)
        if bad.any():
            lane = int(np.flatnonzero(bad)[0])
            raise UsageError(f"action {given[lane]} of lane {lane} is not finite")
        slack = ROUNDING * (space.high - space.low)
        bad = (given < space.low - slack) | (given > space.high + slack)
        if bad.any():
            lane = int(np.flatnonzero(bad.reshape(num_lanes, -1).any(axis=1))[0])
            raise UsageError(f"action {given[lane]} of lane {lane} is not in {space}")
        clipped: Actions = np.clip(given, space.low, space.high)
        return clipped
    check_action_space(space)
    raise AssertionError(space)
