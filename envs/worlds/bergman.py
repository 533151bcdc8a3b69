"""A person with type 1 diabetes: Bergman's minimal model, with insulin under the skin and meals.

Glucose G (mg/dL), insulin under the skin I_s, in plasma I_p and at work Z (mU/dL), carbohydrates
in the stomach D_1 and the gut D_2 (g); time in minutes, insulin u in mU, meals d in g a minute:

    dG/dt   = -(p_1 + s S_I Z) G + E + 1000 D_2 / (V tau_m)
    dI_s/dt = (u / C_I - I_s) / tau_1        dD_1/dt = d - D_1 / tau_m
    dI_p/dt = (I_s - I_p) / tau_2            dD_2/dt = (D_1 - D_2) / tau_m
    dZ/dt   = p_2 (I_p - Z)

This is the minimal model of Bergman, Ider, Bowden & Cobelli (1979) without insulin of the body's
own, with the compartments and the mean parameters of Kanderian, Weinzimer, Voskanyan & Steil
(2009), "Identification of intraday metabolic profiles during closed-loop glucose control in
individuals with type 1 diabetes", known as the Medtronic virtual patient. The relative sensitivity
s is 1 for that patient. A basal infusion never stops; I_s, I_p and Z below are what lies above it.

Both chains are linear, so their integrals over a step are exact. Given these, G is linear too: its
integrating factor is exact, and Simpson's rule sums what appears within the step.
"""

import numpy as np
from scipy.linalg import expm

from looplab.envs.core import FloatArray

STEP_MINUTES = 15.0
#: Time constants of insulin under the skin and in plasma, and of meals, in minutes.
TAU_1, TAU_2, TAU_MEAL = 49.0, 47.0, 47.0
#: Rate at which insulin gets to work, per minute.
P_2 = 0.0106
#: Clearance of insulin, dL per minute.
CLEARANCE = 20.1
#: Insulin sensitivity S_I, dL per mU and minute.
SENSITIVITY = 0.0081
#: Glucose effectiveness at zero insulin p_1, per minute.
EFFECTIVENESS = 0.0022
#: Glucose made at zero insulin E, mg/dL per minute.
PRODUCTION = 1.33
#: Volume in which glucose spreads V, dL.
VOLUME = 253.0
#: Where the basal infusion holds a fasting person of sensitivity 1, mg/dL.
FASTING_GLUCOSE = 120.0
_MILLI = 1000.0

#: Exposure of a step is the integral of what removes glucose. By glucose alone, and by the basal
#: infusion at sensitivity 1:
OWN_EXPOSURE = EFFECTIVENESS * STEP_MINUTES
BASAL_EXPOSURE = PRODUCTION / FASTING_GLUCOSE * STEP_MINUTES - OWN_EXPOSURE
#: What a gram of carbohydrates adds in the long run if nothing removes it, mg/dL.
GRAM_RISE = _MILLI / VOLUME

_INSULIN_RATES = np.array(
    [[-1.0 / TAU_1, 0.0, 0.0], [1.0 / TAU_2, -1.0 / TAU_2, 0.0], [0.0, P_2, -P_2]]
)
#: What a unit adds under the skin, mU/dL.
_UNIT = _MILLI / (CLEARANCE * TAU_1)
#: What insulin in each compartment still has to do, units per mU/dL.
_TO_DO = np.array([TAU_1, TAU_2, 1.0 / P_2]) * CLEARANCE / _MILLI
_EDGE_WEIGHT, _MIDDLE_WEIGHT = STEP_MINUTES / 6.0, 4.0 * STEP_MINUTES / 6.0


def _transition(minutes: float) -> FloatArray:
    """The insulin chain after so long, and the integral of its Z meanwhile, (4, 3)."""
    rates = np.zeros((4, 4))
    rates[:3, :3], rates[3, 2] = _INSULIN_RATES, 1.0
    after: FloatArray = expm(rates * minutes)[:, :3]
    return after


_STEP, _HALF = _transition(STEP_MINUTES), _transition(STEP_MINUTES / 2.0)


def _weigh(insulin: FloatArray, weights: FloatArray) -> FloatArray:
    """(n, 3) by (3, H) -> (n, H), rounded the same whatever n is, as a matrix product is not."""
    skin, plasma, work = insulin[:, :1], insulin[:, 1:2], insulin[:, 2:]
    product: FloatArray = skin * weights[0] + plasma * weights[1] + work * weights[2]
    return product


def inject(insulin: FloatArray, units: FloatArray) -> FloatArray:
    """Insulin (n, 3) after boluses (n,) under the skin."""
    insulin = insulin.copy()
    insulin[:, 0] += units * _UNIT
    return insulin


def pass_step(insulin: FloatArray) -> FloatArray:
    """Insulin (n, 3) a step later."""
    return _weigh(insulin, _STEP[:3].T)


def on_board(insulin: FloatArray) -> FloatArray:
    """Units that have been given and have yet to act, (n,): what pumps show."""
    return _weigh(insulin, _TO_DO[:, None])[:, 0]


def appearance(minutes: FloatArray) -> FloatArray:
    """Glucose that a gram brings so long after it was eaten, mg/dL per minute; 0 before."""
    since = np.maximum(minutes, 0.0) / TAU_MEAL
    rate: FloatArray = GRAM_RISE / TAU_MEAL * since * np.exp(-since)
    return rate


def carbohydrates_left(minutes: FloatArray) -> FloatArray:
    """Share of a meal that has yet to appear so long after it was eaten; 0 before."""
    since = np.maximum(minutes, 0.0) / TAU_MEAL
    return np.where(minutes < 0.0, 0.0, (1.0 + since) * np.exp(-since))


class Exposure:
    """What insulin will expose to in each of the coming H steps, at sensitivity 1.

    Args:
        steps: how many steps, H.

    Attributes:
        whole: exposure of each step by each compartment, per mU/dL, (3, H).
        late: the same for the second half of each step.
    """

    def __init__(self, steps: int) -> None:
        begun = [np.linalg.matrix_power(_STEP[:3], step) for step in range(steps)]
        self.whole = SENSITIVITY * np.array([_STEP[3] @ by for by in begun]).T
        self.late = SENSITIVITY * np.array([_HALF[3] @ _HALF[:3] @ by for by in begun]).T

    def of(self, insulin: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Exposure by insulin (n, 3) in whole steps and in their second halves, (n, H) each."""
        return _weigh(insulin, self.whole), _weigh(insulin, self.late)

    def of_boluses(self, units: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Exposure by boluses (A,) given now, (A, H) each."""
        given = _UNIT * units[:, None]
        return given * self.whole[0], given * self.late[0]


def follow(
    glucose: FloatArray,
    whole: FloatArray,
    late: FloatArray,
    sensitivity: FloatArray,
    rate: FloatArray,
) -> FloatArray:
    """Glucose at the end of each of H steps, (..., H).

    Args:
        glucose: at the beginning, (..., 1).
        whole: exposure by boluses in each step at sensitivity 1, (..., H).
        late: the same in each step's second half.
        sensitivity: relative sensitivity s in each step, (..., H) or (..., 1).
        rate: glucose that meals bring at the steps' edges and middles, (..., 2 H + 1).
    """
    made = rate + PRODUCTION
    kept = np.exp(-OWN_EXPOSURE - sensitivity * (BASAL_EXPOSURE + whole))
    kept_late = np.exp(-OWN_EXPOSURE / 2.0 - sensitivity * (BASAL_EXPOSURE / 2.0 + late))
    gained = _EDGE_WEIGHT * (kept * made[..., :-1:2] + made[..., 2::2])
    gained += _MIDDLE_WEIGHT * kept_late * made[..., 1::2]
    share = kept.cumprod(axis=-1)
    after: FloatArray = share * (glucose + (gained / share).cumsum(axis=-1))
    return after
