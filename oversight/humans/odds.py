"""The odds with which people err at one moment, and how effects move them."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import ndtr, ndtri

from looplab.envs.core import FloatArray
from looplab.envs.errors import UsageError, probability


class Odds:
    """Chances and times of n people at one moment; effects change them in place.

    Chances are kept as probabilities or as normal deviates, whichever was needed last.

    Args:
        errors: chances of a miss and of a false alarm, a fresh array of shape (2, n); None: given
            by ``deviates``.
        seconds: time that the answer takes, a fresh array of shape (n,).
        deviates: standard normal deviates of the chances, a fresh array of shape (2, n).
    """

    __slots__ = ("_deviates", "_errors", "seconds")

    def __init__(
        self, errors: FloatArray | None, seconds: FloatArray, deviates: FloatArray | None = None
    ) -> None:
        self._errors = errors
        self._deviates = deviates
        self.seconds = seconds

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

    def toward(self, error: float, share: FloatArray) -> None:
        """Moves both chances of an error towards ``error`` by a share in [0, 1], never below."""
        errors = self.errors
        errors += np.maximum(error - errors, 0.0) * share

    def desensitise(self, lost: FloatArray) -> None:
        """Takes a share of sensitivity d'; both chances must lie above 0 and below 1."""
        deviates = self.deviates
        d_prime = deviates[0] + deviates[1]  # times -1
        d_prime *= lost
        d_prime *= 0.5
        deviates -= d_prime

    def shift(self, criterion: FloatArray) -> None:
        """Adds to the criterion c; a chance of 0 or 1 stays as it is."""
        deviates = self.deviates
        deviates[0] += criterion
        deviates[1] -= criterion

    def copy_proposal(self, chance: FloatArray) -> None:
        """Approves with a chance whatever is proposed, without looking."""
        errors = self.errors
        errors *= 1.0 - chance
        errors[0] += chance


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
        deviates = np.empty((2, len(seconds)))
        deviates[:] = self._deviates
        return Odds(None, seconds, deviates)

    @cached_property
    def _deviates(self) -> FloatArray:
        deviates: FloatArray = ndtri(np.array(self.rates))[:, None]
        return deviates

    @property
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
