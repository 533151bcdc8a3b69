"""The intelligent driver model: how a driver accelerates behind another (Treiber et al. 2000)."""

import math

import numpy as np

from looplab.envs.core import FloatArray

# Treiber, Hennecke & Helbing 2000, "Congested traffic states in empirical observations and
# microscopic simulations", table I; desired speeds are a driver's own.
TIME_GAP_SECONDS = 1.6
ACCELERATION = 0.73  # m/s^2
DECELERATION = 1.67  # m/s^2, comfortable
JAM_GAP_METRES = 2.0
#: Where a gap is cut short the model asks for any deceleration; brakes give no more, m/s^2.
BRAKING = 6.0
#: Bumpers that touch stand this far apart for the formula, which divides by the gap.
_SMALLEST_GAP_METRES = 0.1


def acceleration(
    speed: FloatArray,
    desired: FloatArray | float,
    gap: FloatArray,
    closing: FloatArray,
    time_gap: float = TIME_GAP_SECONDS,
    most: float = ACCELERATION,
    comfortable: float = DECELERATION,
) -> FloatArray:
    """Acceleration of drivers in m/s^2, at least -6 (arrays broadcast).

    Args:
        speed: own speed in m/s.
        desired: speed on a free road in m/s.
        gap: metres from bumper to bumper to the car ahead.
        closing: own speed less that of the car ahead, m/s.
        time_gap: time gap kept in steady traffic, in seconds.
        most: acceleration from standstill on a free road, m/s^2.
        comfortable: deceleration that the driver finds comfortable, m/s^2.
    """
    wanted = speed * time_gap + speed * closing / (2.0 * math.sqrt(most * comfortable))
    wanted = JAM_GAP_METRES + np.maximum(wanted, 0.0)
    crowding = wanted / np.maximum(gap, _SMALLEST_GAP_METRES)
    free = (speed / desired) ** 2  # the model's exponent is 4; squaring twice is much faster
    return np.maximum(most * (1.0 - free * free - crowding * crowding), -BRAKING)
