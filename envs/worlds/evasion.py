"""Evasion: whether a moving point can still keep clear of circular hazards."""

from typing import Any

import numpy as np

from looplab.envs.core import BoolArray, FloatArray
from looplab.envs.worlds.point_mass import ComplexArray, PointMass

#: Full forces in the eight directions, anticlockwise from the east.
PUSHES: ComplexArray = np.array([1, 1 + 1j, 1j, -1 + 1j, -1, -1 - 1j, -1j, 1 - 1j], np.complex128)
#: A manoeuvre pushes in one direction for at most so many steps, and then brakes.
PUSH_STEPS = 4
#: The brake stops a point in so many steps where drag is at least 1 per second, from any speed
#: that it can have there.
STOP_STEPS = 7


def gap(points: ComplexArray, hazards: ComplexArray, radius: float | FloatArray) -> FloatArray:
    """Signed distance to the edge of the nearest hazard, below 0 inside, (..., m).

    Args:
        points: shape (..., m).
        hazards: middles of each point's hazards, shape (m, H).
        radius: of hazards, one for all or (m,).
    """
    nearest: FloatArray = np.abs(points[..., None] - hazards).min(axis=-1)
    return nearest - radius


def evades(
    mass: PointMass,
    position: ComplexArray,
    velocity: ComplexArray,
    hazards: ComplexArray,
    radius: float | FloatArray,
) -> BoolArray:
    """Whether some manoeuvre keeps moving points clear of hazards until they are at rest, (m,).

    The manoeuvres: the brake at once, or a push in one direction for 1 to 4 steps and then the
    brake.
    """
    clear = _stops(mass, position, velocity, hazards, radius)
    if clear.all():
        return clear
    shape = (len(PUSHES), len(position))
    position, velocity = np.broadcast_to(position, shape), np.broadcast_to(velocity, shape)
    free, saved = np.ones(shape, np.bool_), np.zeros(shape, np.bool_)
    for _ in range(PUSH_STEPS):
        position, velocity = mass.move(position, velocity, PUSHES[:, None])
        free &= gap(position, hazards, radius) >= 0.0
        saved |= free & _stops(mass, position, velocity, hazards, radius)
    return clear | saved.any(axis=0)


def _stops(
    mass: PointMass, position: ComplexArray, velocity: ComplexArray, hazards: Any, radius: Any
) -> BoolArray:
    """Whether the brake keeps moving points clear of hazards, (..., m)."""
    clear = np.ones(position.shape, np.bool_)
    for _ in range(STOP_STEPS):
        position, velocity = mass.move(position, velocity, mass.brake(velocity))
        clear &= gap(position, hazards, radius) >= 0.0
    return clear
