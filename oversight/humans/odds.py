"""The odds with which people err at one moment, and how effects move them."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from looplab.envs.compiled import compiled
from looplab.envs.core import FloatArray
from looplab.envs.errors import UsageError, probability
from looplab.oversight.types import brief


@compiled
def _toward(error: float, share: Any, errors: Any) -> None:
    """Moves chances, (2, n), towards an error by a share, (n,), never below."""
    for kind in range(2):
        for person in range(len(share)):
            gap = error - errors[kind, person]
            if gap > 0.0:
                errors[kind, person] += gap * share[person]


@compiled
def _desensitise(lost: Any, deviates: Any) -> None:
    """Takes a share, (n,), of the d' that two deviates, (2, n), add up to."""
    for person in range(len(lost)):
        if lost[person] != 0.0:
            half = (deviates[0, person] + deviates[1, person]) * lost[person] * 0.5  # times -1
            deviates[0, person] -= half
            deviates[1, person] -= half


@compiled
def _shift(criterion: Any, deviates: Any) -> None:
    """Adds a criterion, (n,), to the first deviates and takes it from the second, (2, n)."""
    for person in range(len(criterion)):
        if criterion[person] != 0.0:
            deviates[0, person] += criterion[person]
            deviates[1, person] -= criterion[person]


@compiled
def _gather(errors: Any, size: Any, chances: Any, sizes: Any) -> int:
    """Lists the chances, misses first, and the sizes of those who are moved; returns how many."""
    count = 0
    for person in range(len(size)):
        if size[person] != 0.0:
            sizes[count] = size[person]
            chances[count] = errors[0, person]
            count += 1
    place = count
    for person in range(len(size)):
        if size[person] != 0.0:
            chances[place] = errors[1, person]
            place += 1
    return count


@compiled
def _scatter(chances: Any, size: Any, errors: Any) -> None:
    """Puts the chances of those who were moved back."""
    place, count = 0, len(chances) // 2
    for person in range(len(size)):
        if size[person] != 0.0:
            errors[0, person] = chances[place]
            errors[1, person] = chances[count + place]
            place += 1


@compiled
def _copy(chance: Any, errors: Any) -> None:
    """Approves with a chance, (n,), whatever the errors, (2, n), would have been."""
    for person in range(len(chance)):
        looks = 1.0 - chance[person]
        errors[0, person] = errors[0, person] * looks + chance[person]
        errors[1, person] *= looks


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

    Chances are kept as probabilities or as normal deviates: at first as both, and then as whichever
    was looked at last.

    Args:
        errors: chances of a miss and of a false alarm, a fresh array of shape (2, n); None: given
            by ``deviates``.
        seconds: time that the answer takes, a fresh array of shape (n,).
        deviates: standard normal deviates of the chances, a fresh array of shape (2, n); None:
            given by ``errors``.
    """

    __slots__ = ("_deviates", "_errors", "_seconds")

    def __init__(
        self, errors: FloatArray | None, seconds: FloatArray, deviates: FloatArray | None = None
    ) -> None:
        self._errors = errors
        self._deviates = deviates
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
        if self._errors is None:
            self._errors = ndtr(self._deviates)
        self._deviates = None
        return self._errors

    @property
    def deviates(self) -> FloatArray:
        """Their normal deviates, (2, n): -z(hit) and z(false alarm); writing changes the odds."""
        if self._deviates is None:
            self._deviates = ndtri(self._errors)
        self._errors = None
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
        _toward(float(error), _each(share, len(self._seconds)), self.errors)

    def desensitise(self, lost: ArrayLike) -> None:
        """Takes a share of sensitivity d'; both chances must lie above 0 and below 1."""
        self._move(_desensitise, _each(lost, len(self._seconds)))

    def shift(self, criterion: ArrayLike) -> None:
        """Adds to the criterion c; a chance of 0 or 1 stays as it is."""
        self._move(_shift, _each(criterion, len(self._seconds)))

    def _move(self, by: Callable[[Any, Any], None], size: NDArray[Any]) -> None:
        """Moves deviates; where chances are kept, they are converted for those who are moved.

        So nobody's odds depend on who else is moved, to the last bit.
        """
        if self._deviates is not None:
            by(size, self.deviates)
            return
        chances, sizes = np.empty(2 * len(size)), np.empty(len(size))
        count = _gather(self._errors, size, chances, sizes)
        if count:
            deviates = ndtri(chances[: 2 * count])
            by(sizes[:count], deviates.reshape(2, count))
            _scatter(ndtr(deviates), size, self._errors)

    def copy_proposal(self, chance: ArrayLike) -> None:
        """Approves with a chance whatever is proposed, without looking."""
        _copy(_each(chance, len(self._seconds)), self.errors)


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
        errors, deviates = _at_best(self.rates, len(seconds))
        return Odds(errors.copy(), seconds, deviates.copy())

    @cached_property
    def rates(self) -> tuple[float, float]:
        """Chances of a miss and of a false alarm."""
        if self.d_prime is None:
            return self.miss_rate or 0.0, self.false_alarm_rate or 0.0
        half = self.d_prime / 2.0
        return float(ndtr(self.criterion - half)), float(ndtr(-half - self.criterion))


@lru_cache(maxsize=16)
def _at_best(rates: tuple[float, float], num_people: int) -> tuple[FloatArray, FloatArray]:
    """Chances of n people, (2, n), as they are after a conversion, and their normal deviates."""
    deviates = np.repeat(ndtri(np.array(rates))[:, None], num_people, axis=1)
    return ndtr(deviates), deviates


def _is_finite(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value)
