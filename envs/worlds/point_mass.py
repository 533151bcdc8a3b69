"""A point mass on a square field: drag, a force of two axes, walls; the plane is complex."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from looplab.envs.core import FloatArray

#: Points, velocities and forces as complex numbers, x + iy, of shape (..., n).
ComplexArray = NDArray[np.complex128]

STEP_SECONDS = 0.1
#: Acceleration of a force of 1, in metres per second squared.
ACCELERATION = 2.0
#: Half the side of the field in metres; its centre is the origin.
HALF_FIELD = 2.0
_PUSH = STEP_SECONDS * ACCELERATION


def as_plane(pairs: NDArray[Any]) -> ComplexArray:
    """Pairs (..., 2) as complex numbers (...)."""
    return np.ascontiguousarray(pairs, np.float64).view(np.complex128)[..., 0]


def as_pairs(points: ComplexArray) -> FloatArray:
    """Complex numbers (...) as pairs (..., 2)."""
    return np.ascontiguousarray(points)[..., None].view(np.float64)


class PointMass:
    """How points move.

    Args:
        drag: per second; a float, or one for each of n points, (n,).
    """

    def __init__(self, drag: float | FloatArray) -> None:
        self._kept = 1.0 - STEP_SECONDS * drag

    def move(
        self, position: ComplexArray, velocity: ComplexArray, force: ComplexArray
    ) -> tuple[ComplexArray, ComplexArray]:
        """Position and velocity one step later, each (..., n); walls stop the axis they block."""
        velocity = self._kept * velocity + _PUSH * force
        free = as_pairs(position + STEP_SECONDS * velocity)
        walled = np.clip(free, -HALF_FIELD, HALF_FIELD)
        return as_plane(walled), as_plane(as_pairs(velocity) * (walled == free))

    def towards(self, velocity: ComplexArray, wanted: ComplexArray) -> ComplexArray:
        """The force that brings each axis nearest to a wanted velocity, (..., n).

        It is rounded as actions are, so that a step foreseen is the step that follows.
        """
        force = as_pairs((wanted - self._kept * velocity) / _PUSH)
        return as_plane(np.clip(force, -1.0, 1.0).astype(np.float32))

    def brake(self, velocity: ComplexArray) -> ComplexArray:
        """The force that stops each axis soonest, (..., n)."""
        return self.towards(velocity, np.zeros_like(velocity))
