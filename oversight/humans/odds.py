"""The odds with which people err at one moment, and how effects move them."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from looplab.envs.compiled import compiled
from looplab.envs.core import FloatArray
from looplab.envs.errors import UsageError, probability
from looplab.oversight.humans.normal import cumulative, quantile
from looplab.oversight.types import brief


@compiled
def _begin(miss: float, false_alarm: float, errors: Any) -> None:
    """Gives everybody the same chances, (2, n)."""
    for person in range(errors.shape[1]):
        errors[0, person], errors[1, person] = miss, false_alarm


@compiled
def toward(error: float, share: float, person: int, errors: Any) -> None:
    """Moves one person's chances, of (2, n), towards an error by a share, never below."""
    for kind in range(2):
        gap = error - errors[kind, person]
        if gap > 0.0:
            errors[kind, person] += gap * share


@compiled
def shift(criterion: float, person: int, errors: Any) -> None:
    """Adds to the criterion of one person, of whom there are chances, (2, n)."""
    if criterion != 0.0:
        errors[0, person] = cumulative(quantile(errors[0, person]) + criterion)
        errors[1, person] = cumulative(quantile(errors[1, person]) - criterion)


@compiled
def desensitise(lost: float, person: int, errors: Any) -> None:
    """Takes a share of the d' of one person, of whom there are chances, (2, n)."""
    if lost != 0.0:
        miss, false_alarm = quantile(errors[0, person]), quantile(errors[1, person])
        half = (miss + false_alarm) * lost * 0.5  # times -1
        errors[0, person] = cumulative(miss - half)
        errors[1, person] = cumulative(false_alarm - half)


@compiled
def copy(chance: float, person: int, errors: Any) -> None:
    """One person approves with a chance, whatever the errors, (2, n), would have been."""
    looks = 1.0 - chance
    errors[0, person] = errors[0, person] * looks + chance
    errors[1, person] *= looks


@compiled
def _all_toward(error: float, share: Any, errors: Any) -> None:
    for person in range(len(share)):
        toward(error, share[person], person, errors)


@compiled
def _all_shift(criterion: Any, errors: Any) -> None:
    for person in range(len(criterion)):
        shift(criterion[person], person, errors)


@compiled
def _all_desensitise(lost: Any, errors: Any) -> None:
    for person in range(len(lost)):
        desensitise(lost[person], person, errors)


@compiled
def _all_copy(chance: Any, errors: Any) -> None:
    for person in range(len(chance)):
        copy(chance[person], person, errors)


def _each(values: Any, num_people: int) -> NDArray[Any]:
    """One number per person, shape (n,), from as many or from one for all."""
    if type(values) is np.ndarray and values.shape == (num_people,) and values.dtype == np.float64:
        return values
    try:
        return np.array(np.broadcast_to(values, (num_people,)), np.float64)
    except (TypeError, ValueError):
        raise UsageError(
            f"odds change by one number or by {num_people}, got {brief(values)}"
        ) from None


class Odds:
    """Chances and times of n people at one moment; effects change them in place.

    Chances are kept as probabilities, or as normal deviates while those were looked at last. The
    compiled functions of this file do the same for one person inside an effect's own loop.

    Args:
        errors: chances of a miss and of a false alarm, a fresh array of shape (2, n).
        seconds: time that the answer takes, a fresh array of shape (n,).
    """

    __slots__ = ("_deviates", "_errors", "_seconds")

    def __init__(self, errors: FloatArray, seconds: FloatArray) -> None:
        self._errors = errors
        self._deviates: FloatArray | None = None
        self._seconds = seconds

    @property
    def seconds(self) -> FloatArray:
        """Time that the answer takes, shape (n,)."""
        return self._seconds

    @seconds.setter
    def seconds(self, seconds: ArrayLike) -> None:
        self._seconds = _each(seconds, len(self._seconds)).copy()

    @property
    def errors(self) -> FloatArray:
        """Chances of a miss and of a false alarm, (2, n); writing to them changes the odds."""
        if self._deviates is not None:
            self._errors[:] = ndtr(self._deviates)
            self._deviates = None
        return self._errors

    @property
    def deviates(self) -> FloatArray:
        """Their normal deviates, (2, n): -z(hit) and z(false alarm); writing changes the odds."""
        if self._deviates is None:
            self._deviates = ndtri(self._errors)
        return self._deviates

    @property
    def miss(self) -> FloatArray:
        """Chance of approving an unsafe proposal, shape (n,); writing to it changes the odds."""
        miss: FloatArray = self.errors[0]
        return miss

    @property
    def false_alarm(self) -> FloatArray:
        """Chance of refusing a safe one, shape (n,); writing to it changes the odds."""
        false_alarm: FloatArray = self.errors[1]
        return false_alarm

    def toward(self, error: float, share: ArrayLike) -> None:
        """Moves both chances of an error towards ``error`` by a share in [0, 1], never below."""
        _all_toward(float(error), _each(share, len(self._seconds)), self.errors)

    def desensitise(self, lost: ArrayLike) -> None:
        """Takes a share of sensitivity d'; both chances must lie above 0 and below 1."""
        _all_desensitise(_each(lost, len(self._seconds)), self.errors)

    def shift(self, criterion: ArrayLike) -> None:
        """Adds to the criterion c; a chance of 0 or 1 stays as it is."""
        _all_shift(_each(criterion, len(self._seconds)), self.errors)

    def copy_proposal(self, chance: ArrayLike) -> None:
        """Approves with a chance whatever is proposed, without looking."""
        _all_copy(_each(chance, len(self._seconds)), self.errors)


@dataclass(frozen=True)
class Accuracy:
    """How well somebody tells unsafe proposals from safe ones, as rates or as a signal detector.

    A signal detector (Green & Swets 1966) refuses what looks worse than a criterion: it refuses
    the unsafe with probability Phi(d'/2 - c) and the safe with Phi(-d'/2 - c). Rates are the same
    thing in other words; either are given.

    Attributes:
        miss_rate: chance of approving an unsafe proposal, in [0, 1]; default 0.
        false_alarm_rate: chance of refusing a safe one, in [0, 1]; default 0.
        d_prime: sensitivity d', at least 0; None: rates are given.
        criterion: bias c; above 0 approves more, below 0 refuses more.
        inverted: allows somebody who refuses the safe more often than the unsafe.
    """

    miss_rate: float | None = None
    false_alarm_rate: float | None = None
    d_prime: float | None = None
    criterion: float = 0.0
    inverted: bool = False

    def __post_init__(self) -> None:
        """Checks that one of the two descriptions is given, and that it is a sound one."""
        for name in ("miss_rate", "false_alarm_rate"):
            if getattr(self, name) is not None:
                probability(name, getattr(self, name))
        for name in ("d_prime", "criterion"):
            value = getattr(self, name)
            if value is not None and not _is_finite(value):
                raise UsageError(f"{name} must be a finite number, got {value!r}")
        if self.d_prime is None:
            if self.criterion:
                raise UsageError("criterion belongs to d_prime; give both, or rates instead")
        elif self.miss_rate is not None or self.false_alarm_rate is not None:
            raise UsageError("give miss_rate and false_alarm_rate, or d_prime, not both")
        miss, false_alarm = self.rates
        if 1.0 - miss < false_alarm and not self.inverted:
            raise UsageError(
                f"refuses the safe ({false_alarm:g}) more often than the unsafe ({1.0 - miss:g}); "
                "say inverted=true if that is meant"
            )

    def odds(self, seconds: FloatArray) -> Odds:
        """The odds of n people at their best, who take some seconds, shape (n,)."""
        errors = np.empty((2, len(seconds)))
        _begin(*self.rates, errors)
        return Odds(errors, seconds)

    @cached_property
    def rates(self) -> tuple[float, float]:
        """Chances of a miss and of a false alarm."""
        if self.d_prime is None:
            return self.miss_rate or 0.0, self.false_alarm_rate or 0.0
        half = self.d_prime / 2.0
        return float(ndtr(self.criterion - half)), float(ndtr(-half - self.criterion))


def _is_finite(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value)
