"""Simulated teachers that compare segments of behaviour: the irrationalities of B-Pref.

Lee, Smith, Dragan & Abbeel 2021, "B-Pref: Benchmarking preference-based reinforcement learning",
and its public code; where the code, after its first round of questions, multiplies a threshold by
its rate twice, the paper is followed.
"""

import math
import sys
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from looplab.envs.core import BoolArray, FloatArray
from looplab.envs.errors import UsageError, choice, probability, unknown, within

#: Labels of a comparison; NaN where the teacher gave none.
FIRST, EQUAL, SECOND, SKIPPED = 0.0, 0.5, 1.0, math.nan

#: Returns closer than this are the same: sums of rewards are not exact in floating point.
RETURN_RESOLUTION = 1e-9


def bpref_return(rewards: ArrayLike, gamma: float = 1.0) -> FloatArray:
    """Myopic return of segments, sum of gamma^(T-1-t) r_t: the last step counts in full.

    Args:
        rewards: shape (..., T).
        gamma: weight of a step against the one after it, in [0, 1]; 1 is the plain sum.

    Returns:
        Shape (...).
    """
    given = np.asarray(rewards, dtype=np.float64)
    weighted: FloatArray = given @ np.power(gamma, np.arange(given.shape[-1])[::-1])
    return weighted


def bpref_choice(difference: ArrayLike, beta: float, mistake: float = 0.0) -> FloatArray:
    """Probability of the label 1, that the second of two segments is preferred.

    mistake + (1 - 2 mistake) sigmoid(beta x difference); the teacher neither skips the pair nor
    calls it equal. Segments of equal return are preferred by a coin, whatever beta.

    Args:
        difference: return of the second segment less that of the first, in the teacher's unit.
        beta: rationality, at least 0; 0 is a coin, infinity the oracle.
        mistake: chance in [0, 1] that the label is flipped.

    Returns:
        Of the shape of ``difference``.
    """
    gap = np.asarray(difference, dtype=np.float64)
    logit = np.multiply(beta, gap, out=np.zeros(gap.shape), where=gap != 0.0)
    rational = 0.5 + 0.5 * np.tanh(0.5 * logit)  # the sigmoid, without overflow
    return np.asarray(mistake + (1.0 - 2.0 * mistake) * rational)


class Standard(NamedTuple):
    """What a teacher measures segments by; numbers, or one per pair, shape (m,).

    Attributes:
        average: average return of the present policy per T steps, R_avg H / T in the paper.
        unit: return that beta and differences are counted in, above 0.
    """

    average: FloatArray | float
    unit: FloatArray | float


@dataclass(frozen=True)
class Teacher:
    """Says which of two segments is better, and errs as people do.

    In this order, as in B-Pref's code: a pair is skipped where neither segment's plain return
    exceeds ``skip`` x the average; it is called equal where the plain returns differ by less than
    ``equal`` x the average; otherwise the second is preferred with the probability of
    ``bpref_choice``, on myopic returns. Mistakes never turn an equal pair.

    B-Pref's rewards begin at 0. Where they do not, ``floor`` says where they begin, and returns and
    average are counted from there in both thresholds; where the average does not exceed the floor,
    nothing is skipped and nothing is equal, as in the code. A tie is a coin here, the limit of the
    formula, where the code's oracle prefers the first.

    Attributes:
        beta: rationality, at least 0, infinite for the oracle; the code's -1 is infinity here.
        mistake: chance in [0, 1] that a label is flipped.
        skip: threshold of a skipped pair as a share of the average return, in [0, 1].
        equal: threshold of an equal pair as a share of the average return, in [0, 1].
        gamma: weight of a step against the one after it, in [0, 1].
        unit: return that beta counts in, above 0; None: the standard deviation of the returns that
            the teacher could be shown, so that its noise is the same in every task. 1 is B-Pref's
            own, which is nearly deterministic wherever returns are large.
        floor: utility of the worst step.
    """

    beta: float = math.inf
    mistake: float = 0.0
    skip: float = 0.0
    equal: float = 0.0
    gamma: float = 1.0
    unit: float | None = None
    floor: float = 0.0

    def __post_init__(self) -> None:
        """Checks the ranges."""
        within("beta", self.beta, 0.0)
        for name in ("mistake", "skip", "equal", "gamma"):
            probability(name, getattr(self, name))
        if self.unit is not None:
            within("unit", self.unit, RETURN_RESOLUTION)
        within("floor", self.floor, -sys.float_info.max, sys.float_info.max)

    def chance(self, difference: ArrayLike) -> FloatArray:
        """Probability of choosing the second of two, by how much better it is in the unit."""
        return bpref_choice(difference, self.beta, self.mistake)

    def unit_among(self, rewards: FloatArray, where: BoolArray | bool = True) -> Any:
        """What beta counts in where the teacher could be shown these segments.

        Args:
            rewards: shape (k, ..., T).
            where: segments that count, shape (k, ...), at least one of the k.

        Returns:
            ``unit``, or the standard deviation of their myopic returns over the k.
        """
        if self.unit is not None:
            return self.unit
        spread = bpref_return(rewards, self.gamma).std(axis=0, where=where)
        return np.where(spread > RETURN_RESOLUTION, spread, 1.0)

    def probability(
        self, first: FloatArray, second: FloatArray, standard: Standard | None = None
    ) -> FloatArray:
        """Expected label of pairs: 0.5 where called equal, NaN where skipped, else P(label 1).

        Args:
            first: rewards of the first segments, shape (m, T).
            second: rewards of the second segments, shape (m, T).
            standard: what they are measured by; None: the average and the spread of all these.

        Returns:
            Shape (m,).

        Raises:
            UsageError: if the two are not of one shape (m, T), with T at least 1.
        """
        skipped, equal, chance = self._answers(first, second, standard)
        return np.where(skipped, SKIPPED, np.where(equal, EQUAL, chance))

    def prefer(
        self,
        first: FloatArray,
        second: FloatArray,
        uniforms: FloatArray,
        standard: Standard | None = None,
    ) -> FloatArray:
        """Labels of pairs: 0 the first, 1 the second, 0.5 equal, NaN skipped; shape (m,).

        Args:
            first: as in ``probability``.
            second: likewise.
            uniforms: one draw in [0, 1) per pair, shape (m,).
            standard: as in ``probability``.
        """
        skipped, equal, chance = self._answers(first, second, standard)
        chosen = np.where(uniforms < chance, SECOND, FIRST)
        return np.where(skipped, SKIPPED, np.where(equal, EQUAL, chosen))

    def _answers(
        self, first: FloatArray, second: FloatArray, standard: Standard | None
    ) -> tuple[BoolArray, BoolArray, FloatArray]:
        """Which pairs are skipped, which are equal, and P(label 1) of the others."""
        first, second = np.asarray(first), np.asarray(second)
        if first.shape != second.shape or first.ndim != 2 or not first.shape[1]:
            raise UsageError(
                f"segments must be two arrays of one shape (pairs, steps), got {first.shape} "
                f"and {second.shape}"
            )
        if standard is None:
            shown = np.concatenate([first, second])
            standard = Standard(shown.sum(axis=1).mean(), self.unit_among(shown))
        floor = self.floor * first.shape[1]
        plain = first.sum(axis=1), second.sum(axis=1)
        margin = np.asarray(standard.average) - floor
        silence = self.skip * margin
        skipped = (np.maximum(*plain) - floor <= silence) & (silence > 0.0)
        equal = np.abs(plain[1] - plain[0]) < self.equal * margin
        gap = bpref_return(second, self.gamma) - bpref_return(first, self.gamma)
        gap = np.where(np.abs(gap) > RETURN_RESOLUTION, gap, 0.0) / standard.unit
        return skipped, equal, self.chance(gap)


#: The teachers that B-Pref published; its code calls ``stoc`` noisy.
PRESETS = {
    "oracle": Teacher(),
    "stoc": Teacher(beta=1.0),
    "mistake": Teacher(mistake=0.1),
    "skip": Teacher(skip=0.1),
    "equal": Teacher(equal=0.1),
    "myopic": Teacher(gamma=0.9),
}


def teacher(preset: str = "oracle", **changes: float | None) -> Teacher:
    """A published teacher, with some settings changed.

    Args:
        preset: a name in ``PRESETS``.
        **changes: settings of ``Teacher``; None: as in the preset.

    Raises:
        UsageError: for an unknown name, or a value out of range.

    >>> teacher("mistake", beta=2.0)
    Teacher(beta=2.0, mistake=0.1, skip=0.0, equal=0.0, gamma=1.0, unit=None, floor=0.0)
    """
    known = [field.name for field in fields(Teacher)]
    for name in changes:
        if name not in known:
            raise unknown("setting of a teacher", name, known)
    given = {name: value for name, value in changes.items() if value is not None}
    return replace(PRESETS[choice("preset", preset, PRESETS)], **given)
