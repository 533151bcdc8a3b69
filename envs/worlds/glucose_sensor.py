"""A continuous glucose sensor under the skin, and how it errs.

The error follows Breton & Kovatchev (2008), "Analysis, modeling, and simulation of the accuracy of
continuous glucose sensors": a first-order autoregression every 15 minutes, passed through a Johnson
transform of unbounded type. It is mostly within 15 mg/dL, and now and then above 50.
"""

import numpy as np
from scipy.special import ndtr

from looplab.envs.core import FloatArray

#: Share of an error's state that is left after 15 minutes, and the state's standard deviation.
MEMORY = 0.7
STATE_SD = MEMORY / float(np.sqrt(1.0 - MEMORY**2))
#: Johnson transform, xi and lambda in mg/dL.
XI, LAMBDA, GAMMA, DELTA = -5.471, 15.96, -0.5444, 1.6898
#: What sensors can show, mg/dL.
LEAST_READING, MOST_READING = 40.0, 400.0


def first_state(deviate: FloatArray) -> FloatArray:
    """State of the error in the long run, from a normal deviate."""
    state: FloatArray = STATE_SD * deviate
    return state


def next_state(state: FloatArray, deviate: FloatArray) -> FloatArray:
    """State of the error 15 minutes later, from a normal deviate."""
    return MEMORY * (state + deviate)


def read(glucose: FloatArray, state: FloatArray) -> FloatArray:
    """What the sensor shows, mg/dL."""
    error = XI + LAMBDA * np.sinh((state - GAMMA) / DELTA)
    shown: FloatArray = np.clip(glucose + error, LEAST_READING, MOST_READING)
    return shown


def error_at_least(error: FloatArray) -> FloatArray:
    """Probability that an error is at least so large, mg/dL."""
    state = GAMMA + DELTA * np.arcsinh((error - XI) / LAMBDA)
    chance: FloatArray = ndtr(-state / STATE_SD)
    return chance
