"""A check: what theory expects, what the running engine does, and whether they agree."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from looplab.envs.core import FloatArray
from looplab.envs.errors import UsageError, unknown, whole

#: Chance that an honest run of all checks fails any of them.
FAMILY_ERROR = 0.001
#: Half-width of every interval relative to what is expected: measured to this, judged by the next.
AIM, WIDEST = 0.04, 0.05
#: Where theory says 0, of which no share can be taken: half-width that is narrow enough.
NOUGHT = 0.001
#: Runs grow until intervals are narrow enough, to so many times their first size at most, and by
#: so much more than the first guess.
_LARGEST, _MARGIN, _TRIES = 300, 1.1, 3
#: Sizes that run together, so that memory stays bounded; more run one after another.
_BATCH = 10
#: Times the largest size that are asked for from which on growing would be in vain.
_IN_VAIN = 2.0
#: Differences below this, relative to what is expected, are of floating point.
_RESOLUTION = 1e-9
#: Verdict where the interval holds what is expected, but says nothing because it is wide.
UNCLEAR = "UNCLEAR"
#: What checks may be given beside their own parameters.
SEED = "seed"

#: What a check compares, by name.
Expected = Mapping[str, float]


@dataclass(frozen=True)
class Sample:
    """What was measured of one quantity.

    Attributes:
        mean: estimate.
        error: standard error of the mean of independent values; NaN for counts.
        count: values, or trials of a count.
        successes: what was counted among the trials; None: values have a mean.
    """

    mean: float
    error: float
    count: int
    successes: int | None = None

    @classmethod
    def of(cls, values: FloatArray) -> "Sample":
        """The mean of independent values, at least 2."""
        error = float(values.std(ddof=1)) / math.sqrt(len(values))
        return cls(float(values.mean()), error, len(values))

    @classmethod
    def counted(cls, successes: float, trials: float) -> "Sample":
        """The share of independent trials that were successes."""
        share = successes / trials if trials else math.nan
        return cls(share, math.nan, int(trials), int(successes))

    @classmethod
    def joined(cls, several: "Sequence[Sample]") -> "Sample":
        """At least one sample of one kind as one."""
        if len(several) == 1:
            return several[0]
        if several[0].successes is not None:
            successes = sum(sample.successes or 0 for sample in several)
            return cls.counted(successes, sum(sample.count for sample in several))
        counts = np.array([sample.count for sample in several], np.float64)
        means = np.array([sample.mean for sample in several])
        errors = np.array([sample.error for sample in several])
        count = counts.sum()
        mean = float(counts @ means / count)
        squares = (errors**2 * counts * (counts - 1.0)).sum() + counts @ (means - mean) ** 2
        return cls(mean, math.sqrt(squares / (count * (count - 1.0))), int(count))

    def interval(self, error: float) -> tuple[float, float]:
        """Two-sided interval that misses the truth with a chance of at most ``error``.

        Exact for counts (Clopper & Pearson 1934), Student's t for means.
        """
        if self.successes is None:
            reach = float(stats.t.isf(error / 2.0, self.count - 1)) * self.error
            return self.mean - reach, self.mean + reach
        if not self.count:
            return math.nan, math.nan
        found = stats.binomtest(self.successes, self.count).proportion_ci(1.0 - error)
        return float(found.low), float(found.high)


@dataclass(frozen=True)
class Finding:
    """One quantity: expected, measured, and the interval of what was measured."""

    check: str
    quantity: str
    expected: float
    measured: float
    low: float
    high: float

    @property
    def narrow(self) -> bool:
        """Whether the interval is narrow enough to say anything."""
        return self._half <= self._share_of_expected(WIDEST)

    @property
    def too_wide(self) -> float:
        """How many times as wide as is aimed at."""
        return self._half / self._share_of_expected(AIM)

    def _share_of_expected(self, share: float) -> float:
        return share * abs(self.expected) + _RESOLUTION if self.expected else NOUGHT

    @property
    def _half(self) -> float:
        return (self.high - self.low) / 2.0

    @property
    def inside(self) -> bool:
        """Whether theory lies in the interval."""
        slack = _RESOLUTION * max(1.0, abs(self.expected))
        return self.low - slack <= self.expected <= self.high + slack

    @property
    def agrees(self) -> bool:
        """Whether theory lies in a narrow interval."""
        return self.narrow and self.inside

    @property
    def verdict(self) -> str:
        """In one word."""
        if not self.inside:
            return "DIFFERS"
        return "agrees" if self.narrow else UNCLEAR


@dataclass(frozen=True)
class Check:
    """A closed form and the run that it must meet.

    Attributes:
        name: as on the command line.
        text: what is compared, and whose formula it is.
        expect: function of the check's parameters, all with defaults, that returns what theory
            says; raises ``UsageError`` for what is impossible.
        measure: function of (seed, size, **parameters) that runs the engine and returns one
            ``Sample`` for each; twice the size takes twice as many independent values.
    """

    name: str
    text: str
    expect: Callable[..., Expected]
    measure: Callable[..., Mapping[str, Sample]]

    @property
    def defaults(self) -> dict[str, Any]:
        """The check's own parameters with their defaults."""
        found = inspect.signature(self.expect).parameters
        return {name: parameter.default for name, parameter in found.items()}

    def run(
        self,
        seed: int,
        error: float,
        given: Mapping[str, Any] | None = None,
        planted: Mapping[str, Any] | None = None,
    ) -> list[Finding]:
        """Compares, with as many runs as narrow intervals take, or until a difference is plain.

        Args:
            seed: of all streams, at least 0.
            error: chance that an honest run fails one comparison, however often it is looked at.
            given: parameters that differ from their defaults.
            planted: parameters that the engine gets, but theory does not: a fault to be found.
        """
        parameters = self.defaults | dict(given or {})
        expected = self.expect(**parameters)
        actual = parameters | dict(planted or {})
        size, look = 1, error / _TRIES
        base = seeds(seed, 1)[0]  # lane i draws from base + i, far from other seeds
        for _ in range(_TRIES):
            samples = self._measured(base, size, actual)
            findings = [
                Finding(self.name, name, value, samples[name].mean, *samples[name].interval(look))
                for name, value in expected.items()
            ]
            too_wide = max(finding.too_wide for finding in findings)
            differs = not all(finding.inside for finding in findings)
            if differs or too_wide <= 1.0 or size == _LARGEST:
                break
            grown = size * too_wide**2 * _MARGIN
            if grown > _IN_VAIN * _LARGEST:
                break
            size = min(max(math.ceil(grown), size + 1), _LARGEST)
        return findings

    def _measured(self, base: int, size: int, actual: Mapping[str, Any]) -> dict[str, Sample]:
        """Samples of a run, in batches where it is long."""
        if size <= _BATCH:
            return dict(self.measure(base, size, **actual))
        parts = [
            self.measure(seed, min(_BATCH, size - batch * _BATCH), **actual)
            for batch, seed in enumerate(seeds(base, math.ceil(size / _BATCH)))
        ]
        names = {name: None for part in parts for name in part}
        return {
            name: Sample.joined([part[name] for part in parts if name in part]) for name in names
        }

    def parse(self, words: Mapping[str, str]) -> dict[str, Any]:
        """Parameters from words, each of the type of its default.

        Raises:
            UsageError: if a key is unknown or a value no number.
        """
        found = {}
        for key, word in words.items():
            if key not in self.defaults:
                raise unknown("parameter", key, (*self.defaults, SEED))
            found[key] = _number(key, word, type(self.defaults[key]))
        return found


def _number(key: str, word: str, kind: type) -> Any:
    try:
        return kind(word)
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise UsageError(f"{key} must be {what}, got '{word}'") from None


def checked_seed(word: str) -> int:
    """A seed from a word."""
    return whole(SEED, _number(SEED, word, int), 0)


def seeds(seed: int, count: int) -> list[int]:
    """Seeds of independent runs."""
    drawn = np.random.SeedSequence(seed).generate_state(count, np.uint32)
    return [int(value) for value in drawn]
