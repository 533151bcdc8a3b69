"""How often intervals cover the truth: python benchmarks/interval_coverage.py [shown | replaced].

Prints the share of simulated experiments whose interval covers, at the numbers of seeds that users
take. Quantities that cannot be negative are marked so, as metrics mark them; counts also have their
exposure. What it printed is in docs/decisions/intervals.md.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import scipy.stats

from looplab.experiments.statistics import (
    Interval,
    aggregate,
    kaplan_meier_median,
    mean_interval,
    performance_profile,
    probability_of_improvement,
)

SEEDS = (3, 5, 10, 19, 20, 50)
SEED = 20_240_229
TRIALS = 2000
TASKS = 4
#: How the names of cases begin whose tables are resampled.
RESAMPLED = ("mean over", "interquartile mean")

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
Simulation = Callable[[np.random.Generator, int], Interval]


def skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.gamma(4.0, 0.25, shape)


def strongly_skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.exponential(1.0, shape)


def one_in_five(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Most seeds earn next to nothing, and some learn."""
    return np.where(rng.random(shape) < 0.2, rng.normal(50.0, 5.0, shape), rng.normal(0, 1, shape))


def counts(rate: float) -> Draw:
    return lambda rng, shape: rng.poisson(rate, shape)


def uneven_counts(rate: float) -> Draw:
    """Seeds differ in their rate: variance is rate + 2 rate^2."""
    return lambda rng, shape: rng.poisson(rng.gamma(0.5, 2.0 * rate, shape))


def returns(draw: Draw) -> Simulation:
    return lambda rng, seeds: mean_interval(draw(rng, (seeds,)), rng=rng)


def amounts(draw: Draw) -> Simulation:
    return lambda rng, seeds: mean_interval(draw(rng, (seeds,)), nonnegative=True, rng=rng)


def harm(draw: Draw) -> Simulation:
    return lambda rng, seeds: mean_interval(
        draw(rng, (seeds,)), count_exposure=float(seeds), rng=rng
    )


def resampled(method: str, draw: Draw) -> Simulation:
    """One task of the bootstraps that are not shown."""
    return lambda rng, seeds: aggregate(draw(rng, (seeds,)), of="return", method=method, rng=rng)


def over_tasks(kind: str, draw: Draw) -> Simulation:
    """Tasks of different level and spread, on one scale."""
    levels = np.arange(TASKS) / TASKS
    return lambda rng, seeds: aggregate(
        levels + (0.5 + levels) * draw(rng, (seeds, TASKS)), kind, of="return", rng=rng
    )


def improvement(shift: float, draw: Draw, pairing: float = 0.0) -> Simulation:
    """Two regimes over tasks; seeds share part of what they score."""

    def simulate(rng: np.random.Generator, seeds: int) -> Interval:
        shared = pairing * rng.normal(size=(seeds, TASKS))
        one, two = (draw(rng, (seeds, TASKS)) for _ in range(2))
        return probability_of_improvement(one + shift + shared, two + shared)

    return simulate


def profile(rng: np.random.Generator, seeds: int) -> Interval:
    """Share of runs above 1 where tasks lie 0 to 1.5 below it."""
    scores = rng.normal(np.arange(TASKS) / 2.0 - 0.5, 1.0, (seeds, TASKS))
    found = performance_profile(scores, [1.0])
    return Interval(*(float(part[0]) for part in (found.share, found.low, found.high)))


def waiting(mean_watch: float) -> Simulation:
    """Times to an event, each watched for a random time."""

    def simulate(rng: np.random.Generator, seeds: int) -> Interval:
        times, ends = rng.exponential(1.0, seeds), mean_watch * rng.exponential(1.0, seeds)
        return kaplan_meier_median(np.minimum(times, ends), times <= ends)

    return simulate


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.normal(0.0, 1.0, shape)


def _quartile_mean(draw: Draw) -> float:
    """Interquartile mean of the tasks of ``over_tasks`` together."""
    rng, levels = np.random.default_rng(SEED), np.arange(TASKS) / TASKS
    scores = levels + (0.5 + levels) * draw(rng, (1_000_000, TASKS))
    return float(scipy.stats.trim_mean(scores, 0.25, axis=None))


_NORMAL_LEVEL = float((np.arange(TASKS) / TASKS).mean())
_SHIFT = 1.0
_BEATS = float(scipy.stats.norm.cdf(_SHIFT / 2**0.5))
_ABOVE = float(scipy.stats.norm.sf(1.0, np.arange(TASKS) / 2.0 - 0.5).mean())

#: What is simulated, with its true value.
CASES: Mapping[str, tuple[Simulation, float]] = {
    "return, normal": (returns(_normal), 0.0),
    "return, skewed (gamma 4)": (returns(skewed), 1.0),
    "return, strongly skewed (exponential)": (returns(strongly_skewed), 1.0),
    "return, 20 % of seeds learn": (returns(one_in_five), 10.0),
    "amount >= 0, skewed (gamma 4)": (amounts(skewed), 1.0),
    "amount >= 0, strongly skewed (exponential)": (amounts(strongly_skewed), 1.0),
    "counts, 0.05 a seed": (harm(counts(0.05)), 0.05),
    "counts, 0.3 a seed": (harm(counts(0.3)), 0.3),
    "counts, 1 a seed": (harm(counts(1.0)), 1.0),
    "counts, 20 a seed": (harm(counts(20.0)), 20.0),
    "uneven counts, 1 a seed": (harm(uneven_counts(1.0)), 1.0),
    "uneven counts, 30 a seed": (harm(uneven_counts(30.0)), 30.0),
    "mean over 4 tasks, normal": (over_tasks("mean", _normal), _NORMAL_LEVEL),
    "mean over 4 tasks, exponential": (
        over_tasks("mean", strongly_skewed),
        float(_NORMAL_LEVEL + 0.5 + _NORMAL_LEVEL),
    ),
    "interquartile mean, normal": (
        over_tasks("interquartile_mean", _normal),
        _quartile_mean(_normal),
    ),
    "interquartile mean, exponential": (
        over_tasks("interquartile_mean", strongly_skewed),
        _quartile_mean(strongly_skewed),
    ),
    "improvement, no difference": (improvement(0.0, strongly_skewed), 0.5),
    "improvement, one deviation": (improvement(_SHIFT, _normal), _BEATS),
    "improvement, paired seeds": (improvement(_SHIFT * 2**0.5, _normal, pairing=1.0), _BEATS),
    "profile over 4 tasks": (profile, _ABOVE),
    "median time": (waiting(np.inf), float(np.log(2.0))),
    "median time, a third censored": (waiting(2.0), float(np.log(2.0))),
}

#: What other bootstraps of the same means would cover, which are refused below 20 seeds.
REPLACED: Mapping[str, tuple[Simulation, float]] = {
    "percentile, normal": (resampled("percentile", _normal), 0.0),
    "percentile, exponential": (resampled("percentile", strongly_skewed), 1.0),
    "BCa, normal": (resampled("bca", _normal), 0.0),
    "BCa, exponential": (resampled("bca", strongly_skewed), 1.0),
    "bootstrap-t, normal": (resampled("studentised", _normal), 0.0),
    "bootstrap-t, exponential": (resampled("studentised", strongly_skewed), 1.0),
}
CHOICES = {"shown": (CASES, SEEDS), "replaced": (REPLACED, SEEDS[-2:])}


def coverage(simulate: Simulation, truth: float, seeds: int, trials: int) -> float:
    """Share of trials that cover; an end that is not bounded does."""
    rng = np.random.default_rng([SEED, seeds])
    covered = 0
    for _ in range(trials):
        _, low, high = simulate(rng, seeds)
        covered += not (low > truth or high < truth)
    return covered / trials


def trials_of(name: str, trials: int) -> int:
    """A quarter for tables, which take long to resample."""
    return trials // 4 if name.startswith(RESAMPLED) else trials


def rows(cases: Mapping[str, tuple[Simulation, float]], seeds: Sequence[int]) -> Iterator[str]:
    for name, (simulate, truth) in cases.items():
        own = trials_of(name, TRIALS)
        found = [coverage(simulate, truth, count, own) for count in seeds]
        yield f"| {name} | " + " | ".join(f"{share:.3f}" for share in found) + " |"


if __name__ == "__main__":
    chosen, counted = CHOICES[sys.argv[1] if len(sys.argv) > 1 else "shown"]
    print(f"| seeds | {' | '.join(map(str, counted))} |")
    print("|---" * (len(counted) + 1) + "|")
    for row in rows(chosen, counted):
        print(row, flush=True)
