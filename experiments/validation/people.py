"""Closed forms of simulated humans: signal detection, fatigue, teachers, shaping."""

import numpy as np
from scipy.special import expit, ndtr, ndtri

from looplab.envs.core import BoolArray, FloatArray
from looplab.envs.errors import UsageError, probability, whole, within
from looplab.envs.knowledge import GAMMA
from looplab.experiments.validation.check import Check, Expected, Sample, seeds
from looplab.experiments.validation.play import Corridor, Dangers, Rewards, play
from looplab.oversight import (
    Accuracy,
    Autonomous,
    Comparisons,
    Fatigue,
    Gate,
    PotentialShaping,
    Signal,
    SimulatedHuman,
    Teacher,
    Tempo,
)

_LANES, _STEPS = 1000, 100
_SECONDS_PER_MINUTE = 60.0
#: Length of the segments that teachers compare, and steps by which they know the average return.
_SEGMENT, _KNOWN_STEPS = 2, 400
#: Returns that differ by less are the same; by less, a little; by more, much.
_TIE, _LITTLE, _MUCH = 1e-9, 0.3, 1.0


def _detection(d_prime: float = 2.0, criterion: float = 0.3) -> Expected:
    Accuracy(d_prime=d_prime, criterion=criterion)
    return {
        "hits, of the unsafe": float(ndtr(d_prime / 2.0 - criterion)),
        "false blocks, of the safe": float(ndtr(-d_prime / 2.0 - criterion)),
    }


def _detection_run(seed: int, size: int, d_prime: float, criterion: float) -> dict[str, Sample]:
    person = SimulatedHuman(accuracy=Accuracy(d_prime=d_prime, criterion=criterion))
    columns = ("caught", "false_alarm", "unsafe")
    told, _ = play(Dangers(0.5), Gate(overseer=person), _LANES, 4 * _STEPS * size, seed, columns)
    unsafe = told["unsafe"].sum()
    return {
        "hits, of the unsafe": Sample.counted(told["caught"].sum(), unsafe),
        "false blocks, of the safe": Sample.counted(
            told["false_alarm"].sum(), told["unsafe"].size - unsafe
        ),
    }


def _fatigue(
    miss_rate: float = 0.1,
    worst_error: float = 0.6,
    slowdown: float = 0.5,
    review_seconds: float = 20.0,
    rest_seconds: float = 15.0,
    capacity_minutes: float = 4.0,
    recovery_minutes: float = 2.0,
    reviews: int = 30,
) -> Expected:
    Fatigue(worst_error, slowdown, capacity_minutes, recovery_minutes)
    probability("miss_rate", miss_rate)
    Tempo(review_seconds, review_seconds)
    within("rest_seconds", rest_seconds, np.finfo(np.float64).tiny)
    if whole("reviews", reviews, 1) < 2:
        raise UsageError("reviews must be at least 2, or nobody tires")
    load, errors, seconds = 0.0, [], []
    for review in range(reviews):
        if review:
            load *= np.exp(-rest_seconds / (recovery_minutes * _SECONDS_PER_MINUTE))
        tired = 1.0 - np.exp(-load / (capacity_minutes * _SECONDS_PER_MINUTE))
        errors.append(miss_rate + max(worst_error - miss_rate, 0.0) * tired)
        seconds.append(review_seconds * (1.0 + slowdown * tired))
        load += seconds[-1]
    third = -(-reviews // 3)
    return {
        "missed by the rested, of the unsafe": errors[0],
        "missed in the first third": float(np.mean(errors[:third])),
        "missed in the last third": float(np.mean(errors[-third:])),
        "seconds of a review": float(np.mean(seconds)),
        "seconds of the second review": seconds[1],
    }


def _fatigue_run(
    seed: int,
    size: int,
    miss_rate: float,
    worst_error: float,
    slowdown: float,
    review_seconds: float,
    rest_seconds: float,
    capacity_minutes: float,
    recovery_minutes: float,
    reviews: int,
) -> dict[str, Sample]:
    person = SimulatedHuman(
        accuracy=Accuracy(miss_rate=miss_rate),
        review=Tempo(review_seconds, review_seconds),
        fatigue=Fatigue(worst_error, slowdown, capacity_minutes, recovery_minutes),
        step_seconds=rest_seconds,
    )
    gate, lanes = Gate(overseer=person), 16 * _LANES * size
    told, _ = play(Dangers(), gate, lanes, reviews, seed, ("miss", "seconds"))
    missed, third = told["miss"], -(-reviews // 3)
    return {
        "missed by the rested, of the unsafe": Sample.counted(missed[0].sum(), lanes),
        "missed in the first third": Sample.of(missed[:third].mean(axis=0)),
        "missed in the last third": Sample.of(missed[-third:].mean(axis=0)),
        "seconds of a review": Sample.of(told["seconds"].mean(axis=0)),
        "seconds of the second review": Sample.of(told["seconds"][1]),
    }


#: What the check of teachers compares.
_BPREF = (
    "skipped, of all pairs", "equal, of all pairs", "the better preferred",
    "the little better preferred", "the much better preferred",
)  # fmt: skip


def _segments() -> tuple[FloatArray, FloatArray]:
    """Rewards of the two steps of every segment, shape (segments, 2), and their sums."""
    levels = (np.arange(Rewards.levels) + 0.5) / Rewards.levels
    rewards = np.stack(np.meshgrid(levels, levels, indexing="ij"), axis=-1).reshape(-1, _SEGMENT)
    return rewards, rewards.sum(axis=1)


def _bpref(
    beta: float = 3.0,
    mistake: float = 0.1,
    skip: float = 0.6,
    equal: float = 0.1,
    gamma: float = 0.7,
) -> Expected:
    teacher = Teacher(beta, mistake, skip, equal, gamma, unit=1.0)
    rewards, plain = _segments()
    felt = rewards @ np.array([teacher.gamma, 1.0])
    gap, felt_gap = plain[None, :] - plain[:, None], felt[None, :] - felt[:, None]
    greater = np.maximum(plain[None, :], plain[:, None])
    chance = expit(teacher.beta * felt_gap)
    second = teacher.mistake + (1.0 - 2.0 * teacher.mistake) * chance
    better = (gap > _TIE) & (felt_gap > _TIE)
    shares = np.zeros(len(_BPREF))
    for average in _averages(rewards):
        skipped = greater <= teacher.skip * average
        equals = ~skipped & (np.abs(gap) < teacher.equal * average)
        chosen = better & ~(skipped | equals)
        among = (chosen, chosen & (gap < _LITTLE), chosen & (gap > _MUCH))
        shares += [skipped.mean(), equals.mean(), *(_mean(second[pairs]) for pairs in among)]
    shares /= len(_averages(rewards))
    found = dict(zip(_BPREF, shares.tolist(), strict=True))
    return {name: value for name, value in found.items() if value > 0.0}  # neither 0 nor NaN


def _averages(rewards: FloatArray) -> FloatArray:
    """What teachers take for the average return of a segment: the mean of what they saw, (25,)."""
    spread = rewards.std() * _SEGMENT / np.sqrt(_KNOWN_STEPS)
    averages: FloatArray = rewards.mean() * _SEGMENT + spread * ndtri((np.arange(25) + 0.5) / 25)
    return averages


def _mean(values: FloatArray) -> float:
    """Mean; NaN of nothing."""
    return float(values.mean()) if values.size else float("nan")


def _bpref_run(
    seed: int, size: int, beta: float, mistake: float, skip: float, equal: float, gamma: float
) -> dict[str, Sample]:
    teacher = Teacher(beta, mistake, skip, equal, gamma, unit=1.0)
    batches = [_bpref_lanes(run, teacher) for run in seeds(seed, size)]
    shares = np.concatenate(batches, axis=1)  # a lane's pairs come from the same rewards
    known = {name: lanes[~np.isnan(lanes)] for name, lanes in zip(_BPREF, shares, strict=True)}
    return {name: Sample.of(lanes) for name, lanes in known.items() if len(lanes) > 1}


def _bpref_lanes(seed: int, teacher: Teacher) -> FloatArray:
    """What each of some lanes' humans said: a row for each of ``_BPREF``, NaN of no pair."""
    comparisons = Comparisons(
        teacher, every=50, queries=100, segment_steps=_SEGMENT, recent_steps=_KNOWN_STEPS
    )
    lanes = 256
    _, engine = play(Rewards(), comparisons, lanes, _KNOWN_STEPS + 250, seed, ())
    pairs = engine.state(comparisons).preferences()
    known = pairs.clock >= _KNOWN_STEPS  # by then the teacher knows the average return
    gap = (pairs.second.reward - pairs.first.reward)[known]
    plain, felt = gap.sum(axis=1), gap @ np.array([teacher.gamma, 1.0])
    label, lane = pairs.label[known], pairs.first.lane[known]
    skipped, equals = np.isnan(label), label == 0.5
    chosen = ~(skipped | equals) & (plain * felt > _TIE)
    right, little, much = label == (plain > 0.0), np.abs(plain) < _LITTLE, np.abs(plain) > _MUCH
    every = np.ones(len(label), np.bool_)

    def share(hits: BoolArray, among: BoolArray) -> FloatArray:
        trials = np.bincount(lane, among, lanes)
        shares: FloatArray = np.bincount(lane, hits & among, lanes) / np.where(
            trials > 0.0, trials, np.nan
        )
        return shares

    return np.stack(
        [
            share(skipped, every),
            share(equals, every),
            share(right, chosen),
            share(right, chosen & little),
            share(right, chosen & much),
        ]
    )


def _potential(width: int) -> FloatArray:
    """Value of creeping on from each cell of a corridor, and of its end, shape (width + 1,)."""
    potential: FloatArray = 0.5 * (1.0 - GAMMA ** np.arange(width, -1.0, -1.0)) / (1.0 - GAMMA)
    return potential


def _shaping(gamma: float = 0.9, scale: float = 1.0, width: int = 6) -> Expected:
    probability("gamma", gamma)
    within("scale", scale, np.finfo(np.float64).tiny)
    potential = _potential(whole("width", width, 1))
    return {
        "shaping of an episode, discounted": -scale * float(potential[0]),
        "shaping of an episode": scale * float((gamma * potential[1:] - potential[:-1]).sum()),
    }


def _shaping_run(seed: int, size: int, gamma: float, scale: float, width: int) -> dict[str, Sample]:
    signal = Signal(shaping=PotentialShaping(gamma, scale=scale))
    columns = ("reward", "learning_reward")
    told, _ = play(Corridor(width), Autonomous(), 16, width, seed, columns, signal)
    added = told["learning_reward"] - told["reward"]
    discounts = gamma ** np.arange(width)[:, None]
    return {
        "shaping of an episode, discounted": Sample.of((discounts * added).sum(axis=0)),
        "shaping of an episode": Sample.of(added.sum(axis=0)),
    }


PEOPLE = (
    Check(
        "signal_detection",
        "a reviewer with sensitivity d' and criterion c (Green & Swets 1966)",
        _detection,
        _detection_run,
    ),
    Check(
        "fatigue",
        "a reviewer who tires by work and recovers by rest: misses are Poisson-binomial",
        _fatigue,
        _fatigue_run,
    ),
    Check(
        "bpref",
        "a B-Pref teacher who compares segments (Lee et al. 2021)",
        _bpref,
        _bpref_run,
    ),
    Check(
        "potential_shaping",
        "potential-based shaping adds -potential(start) to an episode (Ng et al. 1999)",
        _shaping,
        _shaping_run,
    ),
)
