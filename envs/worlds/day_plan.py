"""What a day holds for a person with diabetes: three meals and, now and then, exercise."""

import numpy as np

from looplab.envs.core import FloatArray, IntArray
from looplab.envs.worlds.bergman import STEP_MINUTES, appearance

STEPS_PER_HOUR = round(60.0 / STEP_MINUTES)
DAY_STEPS = 24 * STEPS_PER_HOUR
FIRST_HOUR = 6.0
#: Hours between which breakfast, lunch and dinner begin, and their carbohydrates in grams, (2, 3).
MEAL_HOURS = np.array([[7.0, 12.0, 18.0], [9.0, 14.0, 20.0]])
MEAL_GRAMS = np.array([[30.0, 50.0, 50.0], [60.0, 90.0, 90.0]])
MEALS = MEAL_HOURS.shape[1]
#: How often there is exercise, when it begins, how long it lasts, and how it raises sensitivity.
EXERCISE_CHANCE = 0.5
EXERCISE_HOURS = np.array([13.0, 21.0])
EXERCISE_STEPS = 3 * STEPS_PER_HOUR
EXERCISE_SENSITIVITY = 1.6
#: The step in which what does not happen begins.
NEVER = np.iinfo(np.int64).max // 2


def between(draws: FloatArray, ends: FloatArray) -> FloatArray:
    """Uniforms (..., k) stretched to between the ends, (2,) or (2, k)."""
    stretched: FloatArray = ends[0] + draws * (ends[1] - ends[0])
    return stretched


def _step_between(draws: FloatArray, hours: FloatArray) -> IntArray:
    """The step that begins at a time between two hours of the day; both may be met."""
    first, last = (hours - FIRST_HOUR) * STEPS_PER_HOUR
    steps: IntArray = np.floor(first + draws * (last - first + 1.0)).astype(np.int64)
    return steps


def plan_meals(when: FloatArray, size: FloatArray) -> tuple[IntArray, FloatArray]:
    """Steps in which meals are eaten, and their grams, from uniforms (n, 3); (n, 3) each."""
    return _step_between(when, MEAL_HOURS), between(size, MEAL_GRAMS)


def plan_exercise(happens: FloatArray, when: FloatArray) -> IntArray:
    """The step in which exercise begins, from uniforms (n,); ``NEVER`` where there is none."""
    return np.where(happens < EXERCISE_CHANCE, _step_between(when, EXERCISE_HOURS), NEVER)


def rate_of_meals(steps: IntArray, grams: FloatArray, until: int) -> FloatArray:
    """Glucose that meals (n, 3) bring at edges and middles of steps, mg/dL a minute.

    Returns:
        Shape (n, 2 * until + 1), from the beginning of step 0 to that of step ``until``.
    """
    nodes = np.arange(2 * until + 1) / 2.0
    since = (nodes - steps[:, :, None]) * STEP_MINUTES
    rate: FloatArray = (grams[:, :, None] * appearance(since)).sum(axis=1)
    return rate


def exercise_sensitivity(step: IntArray, begins: IntArray) -> FloatArray:
    """Factor on sensitivity to insulin in steps (n, H) of days whose exercise begins so, (n, H)."""
    since = step - begins[:, None]
    return np.where((since >= 0) & (since < EXERCISE_STEPS), EXERCISE_SENSITIVITY, 1.0)
