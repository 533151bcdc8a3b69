import math

import numpy as np
import pytest
import scipy.stats

from looplab.envs.errors import UsageError
from looplab.experiments.statistics import (
    aggregate,
    aggregate_difference,
    interquartile_mean,
    mean_interval,
)

# Five runs of three tasks. Reference numbers of rliable 1.2.0, made in an environment of its own:
#   pip install --no-deps rliable arch==6.3.0 && pip install "numpy<2" scipy "pandas<3" statsmodels
#   python -c "from rliable import metrics as m; print(m.aggregate_iqm(X), m.aggregate_mean(X))"
SCORES = np.array(
    [[0.1, 1.2, 3.0], [0.4, 0.9, 2.5], [0.2, 1.9, 2.5], [0.9, 1.1, 7.0], [0.3, 1.0, 2.8]]
)
OTHERS = np.array(
    [[0.2, 0.8, 2.5], [0.1, 1.2, 2.9], [0.2, 0.7, 2.4], [0.5, 1.0, 3.0], [0.0, 0.9, 2.8]]
)
RLIABLE_IQM, RLIABLE_MEAN, RLIABLE_IQM_OF_OTHERS = 1.3777777777777778, 1.72, 1.1333333333333333


def many(rng: np.random.Generator, runs: int = 20) -> np.ndarray:
    return rng.normal([0.0, 5.0], [1.0, 3.0], (runs, 2))


def test_aggregates_are_rliables(rng: np.random.Generator) -> None:
    assert interquartile_mean(SCORES, of="alone_return") == pytest.approx(RLIABLE_IQM)
    assert interquartile_mean(OTHERS, of="alone_return") == pytest.approx(RLIABLE_IQM_OF_OTHERS)
    assert aggregate(SCORES, of="alone_return", rng=rng).mean == pytest.approx(RLIABLE_MEAN)
    found = aggregate(SCORES, "interquartile_mean", of="alone_return", rng=rng)
    assert found.mean == pytest.approx(RLIABLE_IQM)


@pytest.mark.parametrize("size", [1, 3, 4, 7, 8, 40])
def test_the_interquartile_mean_is_scipys_trimmed_mean(size: int, rng: np.random.Generator) -> None:
    values = rng.exponential(1.0, size)
    assert interquartile_mean(values, of="x") == pytest.approx(scipy.stats.trim_mean(values, 0.25))


def test_one_task_of_few_runs_has_the_student_interval(rng: np.random.Generator) -> None:
    values = rng.normal(size=7)
    assert aggregate(values, of="x", rng=rng) == pytest.approx(mean_interval(values, rng=rng))


def test_tasks_add_their_variances_worked_by_hand(rng: np.random.Generator) -> None:
    # Task means 2 and 20, variances 1 and 100: error sqrt((1 + 100) / 3) / 2 = 2.901149, degrees of
    # freedom 101^2 / (1 / 2 + 10000 / 2) = 2.039996.
    found = aggregate([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]], of="x", rng=rng)
    reach = 2.901149 * scipy.stats.t.ppf(0.975, 2.039996)
    assert found == pytest.approx((11.0, 11.0 - reach, 11.0 + reach), rel=1e-5)


def test_trimmed_intervals_are_tukeys_and_mclaughlins_worked_by_hand(
    rng: np.random.Generator,
) -> None:
    # 1 2 3 4 5 6 7 90: two cut at each end, mean 4.5; winsorised 3 3 3 4 5 6 6 6 has the squared
    # deviation 14 / 7 = 2, error sqrt(2) / (0.5 sqrt(8)) = 1, and 4 - 1 = 3 degrees of freedom.
    found = aggregate(
        [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 90.0], "interquartile_mean", of="x", rng=rng
    )
    assert found == pytest.approx((4.5, 4.5 - 3.182446, 4.5 + 3.182446))


@pytest.mark.parametrize("kind", ["mean", "interquartile_mean"])
@pytest.mark.parametrize("method", ["auto", "studentised", "percentile", "bca"])
def test_bootstraps_draw_from_the_given_generator_and_surround_the_estimate(
    kind: str, method: str, rng: np.random.Generator
) -> None:
    scores = many(rng)

    def found(seed: int) -> tuple[float, ...]:
        return aggregate(
            scores, kind, of="x", method=method, rng=np.random.default_rng(seed)
        )  # fmt: skip

    assert found(5) == found(5)
    assert found(5) != found(6)
    mean, low, high = found(5)
    assert low < mean < high
    student = aggregate(scores, kind, of="x", method="student", rng=rng)
    assert (low, high) == pytest.approx(student[1:], abs=0.25 * (student.high - student.low))


def test_runs_are_resampled_within_tasks(rng: np.random.Generator) -> None:
    # Tasks far apart, runs of each nearly equal: between-task spread must not enter.
    scores = np.array([0.0, 1000.0]) + rng.normal(size=(20, 2))
    for method in ("student", "studentised", "percentile", "bca"):
        _, low, high = aggregate(scores, of="x", method=method, rng=rng)
        assert high - low < 2.0


def test_bca_of_one_task_is_scipys(rng: np.random.Generator) -> None:
    values = rng.exponential(1.0, 30)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=40_000, rng=np.random.default_rng(1)
    ).confidence_interval
    found = aggregate(values, of="x", method="bca", rng=rng)
    assert found[1:] == pytest.approx((theirs.low, theirs.high), abs=0.03)


def test_pairing_removes_what_seeds_share(rng: np.random.Generator) -> None:
    shared = 100.0 * rng.normal(size=(5, 2))
    first, second = shared + [[1.0, 3.0]] + 0.1 * rng.normal(size=(5, 2)), shared
    found = aggregate_difference(first, second, of="x", rng=rng)
    assert found == pytest.approx(aggregate(first - second, of="x", rng=rng))
    assert found.low > 1.5
    many_first = np.tile(first, (5, 1)) + 0.01 * rng.normal(size=(25, 2))
    found = aggregate_difference(many_first, np.tile(second, (5, 1)), of="x", rng=rng)
    assert found.mean == pytest.approx(2.0, abs=0.2)
    assert found.high - found.low < 0.2


def test_differences_of_interquartile_means_are_just_that(rng: np.random.Generator) -> None:
    found = aggregate_difference(SCORES, OTHERS, "interquartile_mean", of="alone_return", rng=rng)
    assert found.mean == pytest.approx(RLIABLE_IQM - RLIABLE_IQM_OF_OTHERS)
    assert found.low < found.mean < found.high


def test_equal_values_have_no_width_and_one_run_has_no_interval(rng: np.random.Generator) -> None:
    for runs in (3, 25):
        for kind in ("mean", "interquartile_mean"):
            assert aggregate(np.full((runs, 2), 7.0), kind, of="x", rng=rng) == (7.0, 7.0, 7.0)
    mean, low, high = aggregate([[1.0, 2.0]], of="x", rng=rng)
    assert mean == 1.5
    assert math.isnan(low)
    assert math.isnan(high)


@pytest.mark.parametrize(
    "name",
    ["alone_violations_per_1k", "train_catastrophes_per_1k", "cost_sum", "misses_per_1k",
     "late_per_1k", "unsafe_proposals_per_1k"],
)  # fmt: skip
def test_harm_is_never_trimmed(name: str, rng: np.random.Generator) -> None:
    with pytest.raises(UsageError, match=f"{name} has no interquartile mean.*worst seed"):
        interquartile_mean(SCORES, of=name)
    with pytest.raises(UsageError, match="no interquartile mean"):
        aggregate(SCORES, "interquartile_mean", of=name, rng=rng)
    with pytest.raises(UsageError, match="no interquartile mean"):
        aggregate_difference(SCORES, OTHERS, "interquartile_mean", of=name, rng=rng)
    assert aggregate(SCORES, of=name, rng=rng).mean == pytest.approx(RLIABLE_MEAN)


def test_returns_and_money_are_trimmed() -> None:
    for name in ("alone_return", "oversight_cost", "latency", "human_hours"):
        assert interquartile_mean(SCORES, of=name) == pytest.approx(RLIABLE_IQM)


def test_wrong_words_and_shapes_are_named(rng: np.random.Generator) -> None:
    with pytest.raises(UsageError, match=r"unknown kind 'iqm'.*interquartile_mean"):
        aggregate(SCORES, "iqm", of="x", rng=rng)
    with pytest.raises(UsageError, match="unknown method 'bcaa'; did you mean 'bca'"):
        aggregate(SCORES, of="x", method="bcaa", rng=rng)
    with pytest.raises(UsageError, match="bca bootstrap needs at least 20 runs per task, got 5"):
        aggregate(SCORES, of="x", method="bca", rng=rng)
    with pytest.raises(UsageError, match="level must lie between 0 and 1, got 95"):
        aggregate(SCORES, of="x", level=95, rng=rng)
    with pytest.raises(UsageError, match=r"shape \(runs, tasks\), got \(2, 2, 2\)"):
        aggregate(np.zeros((2, 2, 2)), of="x", rng=rng)
    with pytest.raises(UsageError, match="finite, got nan for run 1, task 0"):
        aggregate([[1.0, 2.0], [math.nan, 2.0]], of="x", rng=rng)
    with pytest.raises(UsageError, match=r"equal runs and tasks, got \(5, 3\) and \(4, 3\)"):
        aggregate_difference(SCORES, OTHERS[:4], of="x", rng=rng)
