"""Change detection through the running engine, against exact run lengths and bounds."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import binom, norm

from looplab.envs.desks.ops_desk import DANGER_BY_TYPE, FAST, OpsDesk
from looplab.envs.errors import UsageError
from looplab.oversight import Autonomous, Cusum, Gate, PageHinkley, Stack, Veto, WindowTest
from looplab.oversight.monitors import FeatureShift, bernoulli_reference, refusals, violations

GO, CREEP, WAIT = range(3)
#: Two-sided, of every statistical test here.
SIGNIFICANCE = 1e-6


def approve(proposals: Any) -> Any:
    return ["approve"] * len(proposals)


def alarms(run: Any) -> Any:
    """Whether an alarm was raised in each step, (steps - 1, lanes): a gate asks one step later."""
    return np.stack([record.asked for record in run.records[1:]])


def watched_by(monitor: Any) -> Gate:
    return Gate(trigger=monitor, overseer=approve)


# Run lengths of the CUSUM: exact, by the Markov chain of Brook & Evans 1972 ----------------------


def chain(rate: float, lanes: int, parts: int, threshold: int) -> Any:
    """Transition matrix of a CUSUM whose statistic is a multiple of 1 / parts.

    Of ``lanes`` values a step, each 1 with probability ``rate``; the reference is 1 / parts. The
    last state is the alarm, from which the chain begins anew. Threshold in whole events.
    """
    top = threshold * parts
    matrix = np.zeros((top + 1, top + 1))
    for state in range(top):
        for events, chance in enumerate(binom.pmf(np.arange(lanes + 1), lanes, rate)):
            after = max(state + events * parts - lanes, 0)
            matrix[state, min(after, top)] += chance
    matrix[top] = matrix[0]
    return matrix


def run_length(matrix: Any) -> float:
    """Mean steps until the first alarm, from nothing."""
    inner = matrix[:-1, :-1]
    return float(np.linalg.solve(np.eye(len(inner)) - inner, np.ones(len(inner)))[0])


def expected_alarms(matrix: Any, steps: int) -> float:
    where = np.zeros(len(matrix))
    where[0], total = 1.0, 0.0
    for _ in range(steps):
        where = where @ matrix
        total += where[-1]
    return total


def test_the_chain_agrees_with_run_lengths_worked_out_by_hand() -> None:
    """Threshold 1 with reference 1/2: an event raises the statistic by 1/2, none lowers it."""
    rate = 0.3
    # From 0: to 1/2 by an event; from 1/2: alarm by an event, else back to 0.
    by_hand = (1.0 / rate + 1.0) / rate
    assert run_length(chain(rate, 1, 2, 1)) == pytest.approx(by_hand)


@pytest.mark.parametrize(
    ("rate", "parts", "threshold"),
    [(0.05, 8, 2), (0.1, 8, 2), (0.125, 8, 3), (0.3, 8, 3), (0.2, 2, 1), (0.02, 10, 1)],
)
def test_a_cusum_raises_alarms_at_its_exact_rate(
    corridor: Any, start: Any, rate: float, parts: int, threshold: int
) -> None:
    lanes, steps = 400, 1500
    monitor = Cusum(1.0 / parts, threshold, pooled=False)
    run = start(corridor(lanes, harm=[rate]), watched_by(monitor), seed=5).play([GO] * (steps + 1))
    counts = alarms(run).sum(axis=0)
    matrix = chain(rate, 1, parts, threshold)
    check_mean(counts, expected_alarms(matrix, steps))
    first = np.where(counts > 0, alarms(run).argmax(axis=0) + 1.0, np.nan)
    if not np.isnan(first).any():  # every lane had one: the run length itself
        check_mean(first, run_length(matrix))


def check_mean(values: Any, expected: float) -> None:
    error = values.std(ddof=1) / np.sqrt(len(values))
    assert error < 0.15 * expected  # the comparison has some power
    assert abs(values.mean() - expected) < norm.isf(SIGNIFICANCE / 2) * error


def test_the_run_lengths_were_measured_where_every_lane_had_an_alarm() -> None:
    for rate, parts, threshold in [(0.125, 8, 3), (0.3, 8, 3), (0.2, 2, 1)]:
        assert run_length(chain(rate, 1, parts, threshold)) < 150


@pytest.mark.parametrize(("rate", "threshold"), [(0.1, 3), (0.15, 5)])
def test_a_pooled_cusum_raises_alarms_at_its_exact_rate(
    corridor: Any, start: Any, rate: float, threshold: int
) -> None:
    lanes, parts, steps = 6, 8, 400
    counts = []
    for seed in range(40):
        run = start(corridor(lanes, harm=[rate]), watched_by(Cusum(1 / parts, threshold)),
                    seed=seed * lanes)  # fmt: skip
        found = alarms(run.play([GO] * (steps + 1)))
        assert (found == found[:, :1]).all()  # an alarm for all lanes
        counts.append(found[:, 0].sum())
    check_mean(
        np.array(counts, float), expected_alarms(chain(rate, lanes, parts, threshold), steps)
    )


def test_the_bernoulli_reference_is_the_likelihood_ratio_in_units_of_events() -> None:
    before, after = 0.05, 0.2
    rises, falls = np.log(after / before), np.log((1 - before) / (1 - after))
    assert bernoulli_reference(before, after) == pytest.approx(falls / (rises + falls))
    assert before < bernoulli_reference(before, after) < after
    rare = bernoulli_reference(1e-6, np.e * 1e-6)  # Poisson's: (e - 1) x before
    assert rare == pytest.approx((np.e - 1) * 1e-6, rel=1e-3)


# The other two ----------------------------------------------------------------------------------


def reference_page_hinkley(values: Any, slack: float, settle: int, threshold: float) -> list[int]:
    """The textbook form: cumulative sum minus its minimum, begun anew at every alarm."""
    found, at = [], 0
    while at < len(values):
        total, lowest, mean = 0.0, 0.0, 0.0
        for place in range(at, len(values)):
            count = place - at + 1
            mean += (values[place] - mean) / count
            if count <= settle:
                continue
            total += values[place] - mean - slack
            lowest = min(lowest, total)
            if total - lowest >= threshold - 1e-9:
                found.append(place)
                break
        at = place + 1
    return found


def test_page_hinkley_is_the_textbooks(corridor: Any, start: Any) -> None:
    monitor = PageHinkley(2.0, 0.02, 20, stream=violations, pooled=False)
    task = corridor(8, harm=[0.1] * 60 + [0.5] * 400)
    run = start(task, watched_by(monitor), seed=2).play([GO] * 300)
    costs = np.stack([record.cost for record in run.records[:-1]])
    for lane, found in enumerate(alarms(run).T):
        assert np.flatnonzero(found).tolist() == reference_page_hinkley(
            costs[:, lane], 0.02, 20, 2.0
        )
    assert alarms(run).any(axis=0).all()


@pytest.mark.parametrize("error", [0.01, 0.2])
def test_a_window_test_cries_wolf_less_often_than_its_bound(
    corridor: Any, start: Any, error: float
) -> None:
    monitor = WindowTest(steps=20, error=error, pooled=False)
    run = start(corridor(300, harm=[0.5]), watched_by(monitor), seed=1).play([GO] * 300)
    assert alarms(run).mean() < error
    assert error < 0.1 or alarms(run).any()  # the bound is not far off


def test_a_window_test_compares_the_last_steps_with_all_before(corridor: Any, start: Any) -> None:
    """After 30 quiet steps, k events in a row differ by k/10 - 0; the bound is known."""
    monitor = WindowTest(steps=10, error=0.05)
    run = start(corridor(harm=[0.0] * 30 + [1.0] * 30), watched_by(monitor)).play([GO] * 60)
    older = {k: 20 + k for k in range(11)}
    bound = {k: np.sqrt(np.log(20) / 2 * (1 / 10 + 1 / older[k])) for k in older}
    first = min(k for k in older if k / 10 >= bound[k])
    assert np.flatnonzero(alarms(run)[:, 0]).tolist()[0] == 30 + first - 1


# Streams ----------------------------------------------------------------------------------------


def test_refusals_are_what_humans_who_looked_objected_to(corridor: Any, start: Any) -> None:
    task = corridor(harm=[1.0, 0.0, 1.0, 0.0, 0.0, 0.0])
    gate = start(task, Gate()).play([GO, CREEP, GO])
    assert [refusals(record)[0] for record in gate.records] == [1.0, 0.0, 0.0]
    veto = start(task, Veto(lag=1, override=2)).play([GO] * 4)
    assert np.array([refusals(r)[0] for r in veto.records]).tolist() == pytest.approx(
        [1.0, np.nan, np.nan, 0.0], nan_ok=True
    )
    alone = start(task, Autonomous()).play([GO])
    assert np.isnan(refusals(alone.records[0])).all()


def test_what_is_not_seen_is_no_evidence(corridor: Any, start: Any) -> None:
    monitor = Cusum(0.5, 1.0, stream="refusals")
    run = start(corridor(3, harm=[1.0]), Stack(watched_by(monitor), Autonomous()))
    run.play([GO] * 10)
    watch = run.engine._memory.state(monitor)
    assert (watch.count[0], run.totals["reviews"]) == (0.0, 0)


def test_a_shift_of_features_is_found(corridor: Any, start: Any) -> None:
    """The second feature is uniform noise, mean |z| = sqrt(3) / 2; the first leaves its range."""
    monitor = Cusum(1.0, 50.0, stream=FeatureShift(2000))
    run = start(corridor(20, harm=[0.0] * 100), watched_by(monitor)).play([WAIT] * 160)
    assert not alarms(run).any()
    watch = run.engine._memory.state(monitor)
    values = np.stack([monitor.stream.read(watch.source, record) for record in run.records[100:]])
    assert values.mean() == pytest.approx(np.sqrt(3) / 4, abs=0.03)  # a constant feature adds 0
    run.play([GO] * 20)
    assert alarms(run)[160:].any()
    assert values.max() <= 5.0


def test_an_alarm_comes_soon_after_a_drift() -> None:
    from looplab.experiments.drift_detection import detection

    at, steps, lanes = 300, 600, 8
    rate = 0.7 * DANGER_BY_TYPE.mean()  # there is a ticket whenever one arrived
    raised = 2.0 * rate
    reference = bernoulli_reference(rate, raised)
    found = []
    for seed in range(20):
        drift = {"parameter": "danger_factor", "value": 2.0, "at_step": at}
        task = OpsDesk(lanes, max_episode_steps=steps + 1, drift=drift)
        found.append(alarm_steps(task, Cusum(reference, 12.0), steps, seed * lanes))
    measured = detection(found, at, steps)
    assert measured.detected.mean == 1.0
    climb = lanes * (raised - reference)  # of the statistic per step (Wald)
    assert measured.delay.mean == pytest.approx(12.0 / climb, rel=0.35)
    assert measured.false_alarms_per_1k.mean < 1.0


def alarm_steps(task: Any, monitor: Any, steps: int, seed: int) -> list[int]:
    from looplab.oversight import Engine

    engine = Engine(task, watched_by(monitor))
    engine.reseed(seed)
    task.reseed(seed)
    task.reset()
    everyone = np.ones(task.num_lanes, np.bool_)
    engine.begin(everyone)
    found = []
    for step in range(steps + 1):
        record = engine.step(np.full(task.num_lanes, FAST))
        if record.asked.any():
            found.append(step - 1)
        if record.done.any():
            task.reset(record.done)
            engine.begin(record.done)
    return found


# Bad input --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Cusum(0.1, 0.0), "threshold must be a number"),
        (lambda: Cusum(0.1, 1.0, "refusal"), "unknown stream 'refusal'; did you mean 'refusals'"),
        (lambda: Cusum(0.1, 1.0, 3), "stream must be a name or a function of a record, got 3"),  # type: ignore[arg-type]
        (lambda: PageHinkley(slack=-0.1), "slack must be a number at least 0"),
        (lambda: PageHinkley(settle=0), "settle must be a whole number of at least 1"),
        (lambda: WindowTest(steps=0), "steps must be a whole number of at least 1"),
        (lambda: WindowTest(error=0.0), "error must lie between 0 and 1"),
        (lambda: FeatureShift(1), "settle must be a whole number of at least 2"),
        (lambda: bernoulli_reference(0.2, 0.1), "0 < before < after < 1"),
    ],
)
def test_bad_settings_are_refused_by_name(make: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (np.zeros(1), r"must answer 2 numbers, got array\(\[0\.\]\)"),
        ("many", "must answer 2 numbers, got 'many'"),
        (["a", "b"], r"must answer 2 numbers, got \['a', 'b'\]"),
        ([1.0, np.inf], r"must answer finite numbers, or NaN .*, got \[1\.0, inf\]"),
    ],
)
def test_a_stream_that_answers_no_numbers_is_refused(
    corridor: Any, start: Any, answer: Any, said: str
) -> None:
    with pytest.raises(UsageError, match=f"stream <lambda> {said}"):
        start(corridor(2), watched_by(Cusum(0.1, 1.0, lambda record: answer))).play([GO])
