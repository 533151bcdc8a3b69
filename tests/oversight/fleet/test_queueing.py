"""The running fleet against queueing theory, and against days at the desk worked out by hand.

Waits in one run depend on each other, so every comparison is over independent replications: a
t-test on their means, at 1e-5 for each, which an honest fleet fails in one of 2 000 whole runs of
this file. The standard errors are bounded too, so that the comparisons have power.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest, ttest_1samp
from simpy import Environment

from looplab.envs.errors import UsageError
from looplab.oversight.fleet import (
    Exponential,
    Fixed,
    FlatReviewers,
    Fleet,
    Lognormal,
    Outcome,
    Period,
    Question,
    simulate,
)
from looplab.oversight.fleet.closed_forms import (
    impatient_queue,
    machine_repairman,
    patient_queue,
    priority_waits,
    waits_longer,
)
from looplab.oversight.fleet.desk import (
    ABANDONED,
    APPROVED,
    ENDINGS,
    OVERDUE,
    REFUSED,
    Desk,
    Request,
)

ALPHA = 1e-5
REPLICATIONS = 12
#: Standard error of a replicated mean, as a share of what is expected.
PRECISION = 0.03
LATER = Period(1500.0, 100.0)


def replicated(fleet: Fleet, service: Any, period: Period = LATER) -> list[Outcome]:
    return [
        simulate(fleet, FlatReviewers(service), period, seed=seed) for seed in range(REPLICATIONS)
    ]


def agrees(values: Sequence[float], expected: float, precision: float = PRECISION) -> bool:
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    assert error < precision * expected
    return bool(ttest_1samp(values, expected).pvalue > ALPHA)


def mean_wait(run: Outcome) -> float:
    return float(run.waits.mean())


# Theory


@pytest.mark.parametrize(("agents", "reviewers"), [(10, 1), (20, 3)])
def test_blocked_agents_are_machines_that_wait_for_repair(agents: int, reviewers: int) -> None:
    runs = replicated(Fleet(agents, reviewers, Exponential(10.0)), Exponential(1.5))
    theory = machine_repairman(agents, reviewers, 10.0, 1.5)
    assert agrees([run.utilisation for run in runs], theory.utilisation)
    assert agrees([len(run.waits) / run.period.seconds for run in runs], theory.throughput)
    assert agrees([mean_wait(run) for run in runs], theory.wait_seconds, 0.05)
    assert agrees([(run.waits > 0.0).mean() for run in runs], theory.waits)
    pace = (10.0 + 1.5) / (10.0 + 1.5 + theory.wait_seconds)
    assert agrees([run.relative_throughput for run in runs], pace)


@pytest.mark.parametrize(("reviewers", "load"), [(3, 2.0), (5, 2.5)])
def test_agents_that_go_on_are_a_poisson_stream(reviewers: int, load: float) -> None:
    fleet = Fleet(10, reviewers, Exponential(10.0 / load), "non_blocking")
    runs = replicated(fleet, Exponential(1.0), Period(2500.0, 100.0))
    theory = patient_queue(reviewers, load, 1.0)
    assert agrees([(run.waits > 0.0).mean() for run in runs], theory.waits, 0.05)
    assert agrees([mean_wait(run) for run in runs], theory.wait_seconds, 0.08)
    assert agrees([run.utilisation for run in runs], theory.utilisation)
    for seconds in (0.2, 0.5):
        longer = waits_longer(reviewers, load, 1.0, seconds)
        assert agrees([(run.waits > seconds).mean() for run in runs], longer, 0.12)


@pytest.mark.parametrize(("rate", "patience"), [(4.0, 2.0)])
def test_impatient_requests_are_erlang_a(rate: float, patience: float) -> None:
    fleet = Fleet(10, 3, Exponential(10.0 / rate), "non_blocking", patience=Exponential(patience))
    runs = replicated(fleet, Exponential(1.0))
    theory = impatient_queue(3, rate, 1.0, patience)
    assert agrees([run.share(ABANDONED) for run in runs], theory.abandons)
    assert agrees([run.utilisation for run in runs], theory.utilisation)
    assert agrees([mean_wait(run) for run in runs], theory.wait_seconds)
    assert agrees([(run.waits > 0.0).mean() for run in runs], theory.waits)


def test_urgent_requests_wait_as_cobham_says() -> None:
    fleet = Fleet(10, 3, Exponential(4.0), "non_blocking", "class", urgent_share=0.3)
    runs = replicated(fleet, Exponential(1.0), Period(2500.0, 100.0))
    urgent, routine = priority_waits(3, 2.5, 1.0, 0.3)
    assert agrees([float(run.waits_of(True).mean()) for run in runs], urgent)
    assert agrees([float(run.waits_of(False).mean()) for run in runs], routine, 0.06)
    shares = [run.requests["urgent"][run.counted] for run in runs]
    asked = np.concatenate(shares)
    assert binomtest(int(asked.sum()), len(asked), 0.3).pvalue > ALPHA


@pytest.mark.parametrize("wrong", ["think", "service"])
def test_a_time_that_is_ten_percent_off_is_noticed(wrong: str) -> None:
    think, service = (11.0, 1.5) if wrong == "think" else (10.0, 1.65)
    runs = replicated(Fleet(20, 3, Exponential(think)), Exponential(service))
    theory = machine_repairman(20, 3, 10.0, 1.5)
    assert not agrees([mean_wait(run) for run in runs], theory.wait_seconds, 0.05)


def test_the_utilisation_of_a_closed_queue_does_not_depend_on_how_think_is_spread() -> None:
    """With exponential service, only the mean of thinking matters (product form)."""
    theory = machine_repairman(10, 2, 10.0, 2.0)
    for think in (Fixed(10.0), Lognormal(8.0, 8.0 * np.exp(1.6448536 * np.sqrt(2 * np.log(1.25))))):
        assert think.mean_seconds == pytest.approx(10.0)
        runs = replicated(Fleet(10, 2, think), Exponential(2.0))
        assert agrees([run.utilisation for run in runs], theory.utilisation)


# The desk by hand


class Scripted:
    """Reviewers whose answers and times are written down; remembers who answered what."""

    def __init__(self, *seconds: float, refuses: bool = False) -> None:
        self.seconds: Iterator[float] = iter(seconds)
        self.refuses = refuses
        self.answered: list[tuple[int, float, float]] = []

    def answer(self, reviewer: int, question: Question, now: float, rng: Any) -> tuple[bool, float]:
        self.answered.append((reviewer, question.risk, now))
        return self.refuses, next(self.seconds)


def at_the_desk(
    people: Scripted, arrivals: Sequence[tuple[float, float, bool]], reviewers: int = 1,
    patience: float = np.inf, **rules: Any,
) -> tuple[dict[str, list[float]], list[tuple[float, bool]]]:  # fmt: skip
    """Requests of (time, risk, urgent) before a desk; its log, and who was told what and when."""
    fleet = Fleet(1, reviewers, Fixed(1.0), **rules)
    clock = Environment()
    desk = Desk(clock, fleet, people, [np.random.default_rng(i) for i in range(reviewers)])
    told: list[tuple[float, bool]] = []

    def arrive() -> Iterator[Any]:
        for agent, (time, risk, urgent) in enumerate(arrivals):
            yield clock.timeout(time - clock.now)
            question = Question(unsafe=False, risk=risk)
            then: Callable[[bool], None] = lambda runs: told.append((clock.now, runs))  # noqa: E731
            desk.ask(Request(agent, question, clock.now, urgent, patience, then))

    clock.process(arrive())
    clock.run()
    return {name: list(values) for name, values in desk.log.items()}, told


def endings(log: dict[str, list[float]]) -> list[str]:
    return [ENDINGS[int(ending)] for ending in log["ending"]]


CROWD = [(0.0, 0.1, False), (1.0, 0.2, False), (2.0, 0.9, False), (3.0, 0.3, True)]


@pytest.mark.parametrize(
    ("priority", "order"), [("fifo", [0, 1, 2, 3]), ("risk", [0, 2, 3, 1]), ("class", [0, 3, 1, 2])]
)
def test_who_comes_next(priority: str, order: list[int]) -> None:
    log, _ = at_the_desk(Scripted(10.0, 1.0, 1.0, 1.0), CROWD, priority=priority)
    assert log["agent"] == order
    began = [log["asked_at"][i] + log["wait"][i] for i in range(4)]
    assert began == [0.0, 10.0, 11.0, 12.0]
    assert log["busy"] == [10.0, 1.0, 1.0, 1.0]


def test_who_has_been_idle_for_longest_takes_the_next() -> None:
    people = Scripted(5.0, 1.0, 1.0, 1.0)
    at_the_desk(people, [(float(t), 0.0, False) for t in (1, 2, 4, 7)], reviewers=2)
    assert [reviewer for reviewer, _, _ in people.answered] == [0, 1, 1, 1]
    people = Scripted(1.0, 1.0, 1.0)
    at_the_desk(people, [(float(t), 0.0, False) for t in (1, 4, 7)], reviewers=2)
    assert [reviewer for reviewer, _, _ in people.answered] == [0, 1, 0]


def test_a_deadline_frees_agent_and_reviewer_alike() -> None:
    arrivals = [(0.0, 0.0, False), (1.0, 0.0, False), (4.0, 0.0, False)]
    log, told = at_the_desk(Scripted(20.0, 2.0, 2.0), arrivals, deadline_seconds=6.0)
    assert endings(log) == ["overdue", "overdue", "approved"]
    assert told == [(6.0, False), (7.0, False), (9.0, True)]
    assert log["wait"] == [0.0, 5.0, 3.0]
    assert log["busy"] == [6.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("patience", "ending", "wait"), [(5.0, "overdue", 3.0), (1.0, "abandoned", 1.0)]
)
def test_the_shorter_of_deadline_and_patience_ends_a_wait(
    patience: float, ending: str, wait: float
) -> None:
    arrivals = [(0.0, 0.0, False), (0.5, 0.0, False), (2.0, 0.0, True)]
    rules = {"priority": "class", "deadline_seconds": 3.0, "patience": patience}
    log, told = at_the_desk(Scripted(2.9, 1.0), arrivals, **rules)
    place = log["agent"].index(1.0)
    assert endings(log)[place] == ending
    assert (log["wait"][place], log["busy"][place]) == (wait, 0.0)
    assert told[place] == (0.5 + wait, False)
    assert sorted(endings(log)) == sorted([ending, "approved", "approved"])


def test_impatience_counts_until_somebody_looks() -> None:
    arrivals = [(0.0, 0.0, False), (1.0, 0.0, False), (8.0, 0.0, False)]
    log, told = at_the_desk(Scripted(10.0, 30.0), arrivals, patience=5.0)
    assert endings(log) == ["abandoned", "approved", "approved"]
    assert log["agent"] == [1, 0, 2]
    assert log["wait"] == [5.0, 0.0, 2.0]
    assert log["busy"] == [0.0, 10.0, 30.0]  # who has begun is not given up
    assert told == [(6.0, False), (10.0, True), (40.0, True)]


@pytest.mark.parametrize("fails_open", [False, True])
def test_where_nobody_answered_the_desk_fails_closed_unless_told(fails_open: bool) -> None:
    rules = {"deadline_seconds": 4.0, "fails_open": fails_open}
    _, told = at_the_desk(Scripted(9.0, refuses=True), [(0.0, 0.0, False)], **rules)
    assert told == [(4.0, fails_open)]


def test_a_refusal_stays_one_where_the_desk_fails_open() -> None:
    log, told = at_the_desk(
        Scripted(1.0, refuses=True), [(0.0, 0.0, False)], deadline_seconds=4.0, fails_open=True
    )
    assert (endings(log), told) == (["refused"], [(1.0, False)])


@pytest.mark.parametrize("seconds", [-1.0, np.inf, np.nan])
def test_a_review_takes_a_possible_time(seconds: float) -> None:
    with pytest.raises(UsageError, match="a review must take a finite time of at least 0 s"):
        at_the_desk(Scripted(seconds), [(0.0, 0.0, False)])


# Agents


def test_every_request_ends_once_and_reviewers_are_never_in_two_places() -> None:
    fleet = Fleet(
        12, 3, Exponential(4.0), "non_blocking", "class", 0.4,
        deadline_seconds=5.0, patience=Exponential(3.0),
    )  # fmt: skip
    run = simulate(fleet, FlatReviewers(Exponential(1.5), false_alarm_rate=0.2), LATER)
    assert sum(run.share(ending) for ending in range(len(ENDINGS))) == pytest.approx(1.0)
    assert all(run.share(ending) > 0.01 for ending in range(len(ENDINGS)))
    took_up = run.requests["busy"] > 0.0
    began = run.requests["asked_at"] + run.requests["wait"]
    edges = np.concatenate(
        [np.stack([began[took_up], np.ones(took_up.sum())]),
         np.stack([(began + run.requests["busy"])[took_up], -np.ones(took_up.sum())])], axis=1
    )  # fmt: skip
    at_once = np.cumsum(edges[1, np.lexsort((edges[1], edges[0]))])
    assert (at_once.min(), at_once.max()) == (0, 3)
    assert (run.requests["wait"] + run.requests["busy"]).max() <= 5.0 + 1e-9
    answered = run.share(APPROVED) + run.share(REFUSED)
    assert run.measures()["reviews_per_hour"] == pytest.approx(
        3600.0 * answered * len(run.waits) / LATER.seconds
    )
    assert run.share(OVERDUE) + run.share(ABANDONED) == run.measures()["unanswered"]


def test_false_alarms_are_binomial() -> None:
    people = FlatReviewers(Exponential(1.0), false_alarm_rate=0.1)
    run = simulate(Fleet(20, 3, Exponential(10.0)), people, LATER)
    refused = int((run.requests["ending"] == REFUSED).sum())
    assert binomtest(refused, len(run.requests["ending"]), 0.1).pvalue > ALPHA


def test_equal_thoughts_do_not_march_in_step() -> None:
    run = simulate(Fleet(100, 100, Fixed(60.0)), FlatReviewers(Fixed(0.0)), Period(600.0))
    phases = np.sort(run.requests["asked_at"] % 60.0)
    assert len(phases) == 1000
    assert np.diff(np.unique(phases.round(6))).max() < 10.0


def test_the_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    fleet = Fleet(9, 2, Lognormal(5.0, 20.0), patience=Exponential(9.0), deadline_seconds=30.0)
    people = FlatReviewers(Lognormal(1.0, 4.0), false_alarm_rate=0.3)
    runs = [simulate(fleet, people, LATER, seed=seed).requests for seed in (1, 1, 2)]
    assert all(runs[0][name].tobytes() == runs[1][name].tobytes() for name in runs[0])
    assert runs[0]["asked_at"].tobytes() != runs[2]["asked_at"].tobytes()


def test_agents_think_the_same_whoever_reviews() -> None:
    """Common random numbers: requests that do not depend on verdicts come at the same times."""
    fleet = Fleet(5, 1, Exponential(10.0), "non_blocking", overload=True)

    def times(**change: int) -> bytes:
        run = simulate(replace(fleet, **change), FlatReviewers(Fixed(3.0)), LATER)  # type: ignore[arg-type]
        return np.sort(run.requests["asked_at"][run.requests["agent"] < 5]).tobytes()

    assert times() == times(reviewers=4) == times(agents=6)


def test_the_warm_up_is_left_out_and_no_wait_is_cut_short() -> None:
    fleet = Fleet(5, 1, Fixed(10.0), "non_blocking", overload=True)  # asks for 5 times as much
    run = simulate(fleet, FlatReviewers(Fixed(10.0)), Period(1000.0, 400.0))
    assert run.counted.sum() == len(run.waits) == 5 * 60
    assert run.steps == 5 * 60
    assert run.waits.max() > 3000.0  # the queue is worked off after the agents have gone
    assert run.utilisation == pytest.approx(1.0)


def test_measures_of_nothing_are_undefined() -> None:
    run = simulate(Fleet(1, 1, Fixed(100.0)), FlatReviewers(Fixed(1.0)), Period(1.0), seed=1)
    found = run.measures()
    assert found["utilisation"] == found["requests_per_hour"] == found["reviews_per_hour"] == 0.0
    assert np.isnan([found["wait_mean"], found["wait_p95"], found["overdue"]]).all()


# Bad input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"agents": 0}, "agents must be a whole number of at least 1, got 0"),
        ({"reviewers": 0}, "reviewers must be a whole number of at least 1, got 0"),
        ({"reviewers": 1.5}, "reviewers must be a whole number"),
        ({"think": Fixed(0.0)}, "think must take more than 0 seconds"),
        ({"waiting": "blockin"}, "unknown waiting 'blockin'; did you mean 'blocking'"),
        ({"priority": "lifo"}, "unknown priority 'lifo'; did you mean 'fifo'"),
        ({"urgent_share": 1.1}, r"urgent_share must be a number in \[0, 1\], got 1.1"),
        ({"deadline_seconds": -1.0}, "deadline_seconds must be a number at least 0"),
    ],
)
def test_impossible_fleets_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(Fleet(2, 1, Fixed(1.0)), **change)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Fixed(-1.0), "seconds must be a number at least 0"),
        (lambda: Exponential(np.inf), "mean seconds must be a finite number"),
        (lambda: Lognormal(0.0, 1.0), "median seconds"),
        (lambda: Lognormal(2.0, 1.0), "p95 seconds must be a number at least 2"),
        (lambda: Period(10.0, 10.0), "horizon_seconds must be above warmup_seconds"),
        (lambda: Period(np.inf), "horizon_seconds must be a finite number"),
        (lambda: FlatReviewers(Fixed(1.0), miss_rate=2.0), "miss_rate"),
        (lambda: simulate(Fleet(1, 1, Fixed(1.0)), FlatReviewers(Fixed(1.0)), LATER, seed=-1),
         "seed must be a whole number of at least 0"),
    ],
)  # fmt: skip
def test_impossible_numbers_are_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


@pytest.mark.parametrize("bound", ["deadline", "patience", "overload", "blocking", None])
def test_a_queue_that_never_settles_is_refused(bound: str | None) -> None:
    rules: dict[str, Any] = {
        "deadline": {"deadline_seconds": 9.0},
        "patience": {"patience": Fixed(9.0)},
        "overload": {"overload": True},
        "blocking": {"waiting": "blocking"},
        None: {},
    }[bound]
    fleet = Fleet(10, 2, **{"think": Exponential(10.0), "waiting": "non_blocking", **rules})
    people = FlatReviewers(Exponential(2.0))  # 10 agents ask for exactly what 2 reviewers can do
    if bound is None:
        message = "10 agents that do not wait ask for 2 reviewers' time and there are 2, so the"
        with pytest.raises(UsageError, match=message):
            simulate(fleet, people, Period(100.0))
    else:
        assert simulate(fleet, people, Period(100.0)).steps > 50


def test_times_have_the_spread_that_they_are_given() -> None:
    rng, count = np.random.default_rng(3), 40_000
    for times in (Lognormal(8.0, 30.0), Exponential(8.0 / np.log(2.0))):
        draws = times.draws(rng, count)
        assert binomtest(int((draws < 8.0).sum()), count, 0.5).pvalue > ALPHA
        error = draws.std() / np.sqrt(count)
        assert abs(draws.mean() - times.mean_seconds) < 5.0 * error
    late = Lognormal(8.0, 30.0).draws(rng, count) > 30.0
    assert binomtest(int(late.sum()), count, 0.05).pvalue > ALPHA
