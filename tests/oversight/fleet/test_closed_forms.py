"""Formulas of queues against cases worked out by hand, and against each other."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import poisson

from looplab.envs.errors import UsageError
from looplab.oversight.fleet.closed_forms import (
    erlang_c,
    impatient_queue,
    machine_repairman,
    patient_queue,
    priority_waits,
    waits_longer,
)


def test_two_machines_and_one_repairman_by_hand() -> None:
    # Weights 1, 2, 2 of nobody, one and both at the desk.
    found = machine_repairman(2, 1, think_seconds=1.0, service_seconds=1.0)
    assert found.utilisation == pytest.approx(0.8)
    assert found.throughput == pytest.approx(0.8)
    assert found.wait_seconds == pytest.approx(0.4 / 0.8)
    assert found.waits == pytest.approx(0.5)  # the other one alone is there half of the time


def test_with_a_repairman_each_nobody_waits() -> None:
    found = machine_repairman(7, 7, think_seconds=30.0, service_seconds=10.0)
    assert found.wait_seconds == found.waits == 0.0
    assert found.utilisation == pytest.approx(10.0 / 40.0)
    assert found.throughput == pytest.approx(7.0 / 40.0)


def test_the_closed_queue_obeys_littles_law_at_any_size() -> None:
    for agents, reviewers in ((5, 1), (50, 4), (2000, 300)):
        found = machine_repairman(agents, reviewers, 30.0, 5.0)
        cycle = 30.0 + 5.0 + found.wait_seconds
        assert found.throughput * cycle == pytest.approx(agents)


def test_many_rare_askers_become_a_poisson_stream() -> None:
    closed = machine_repairman(20_000, 3, think_seconds=10_000.0, service_seconds=1.0)
    opened = patient_queue(3, 2.0, 1.0)
    assert closed.waits == pytest.approx(opened.waits, rel=0.01)
    assert closed.wait_seconds == pytest.approx(opened.wait_seconds, rel=0.01)


@pytest.mark.parametrize(
    ("servers", "load", "chance"), [(3, 2.0, 0.4444), (5, 2.5, 0.1304), (6, 2.5, 0.0474)]
)
def test_erlang_c_has_its_published_values(servers: int, load: float, chance: float) -> None:
    assert erlang_c(servers, load) == pytest.approx(chance, abs=5e-5)


def test_one_server_is_busy_as_often_as_its_load_says() -> None:
    assert erlang_c(1, 0.3) == pytest.approx(0.3)
    found = patient_queue(1, 0.3, 1.0)
    assert found.wait_seconds == pytest.approx(0.3 / 0.7)


def test_the_tail_integrates_to_the_mean_wait() -> None:
    times = np.linspace(0.0, 60.0, 60_001)
    tail = [waits_longer(3, 2.0, 1.0, time) for time in times]
    assert np.trapezoid(tail, times) == pytest.approx(patient_queue(3, 2.0, 1.0).wait_seconds, 1e-3)


def test_patience_as_long_as_service_is_a_poisson_number_present() -> None:
    found, present = impatient_queue(3, 5.0, 1.0, 1.0), np.arange(200)
    chance = poisson.pmf(present, 5.0)
    assert found.utilisation == pytest.approx(chance @ np.minimum(present, 3) / 3.0)
    assert found.abandons == pytest.approx(chance @ np.maximum(present - 3, 0) / 5.0)
    assert found.waits == pytest.approx(poisson.sf(2, 5.0))


def test_what_is_not_answered_was_withdrawn() -> None:
    for rate in (0.5, 5.0, 500.0):
        found = impatient_queue(4, rate, 2.0, 7.0)
        assert found.throughput == pytest.approx(rate * (1.0 - found.abandons))


def test_endless_patience_is_erlang_c() -> None:
    found = impatient_queue(3, 2.0, 1.0, 1e5)
    assert found.waits == pytest.approx(erlang_c(3, 2.0), rel=1e-3)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_priority_moves_waits_about_but_makes_none(share: float) -> None:
    urgent, routine = priority_waits(3, 2.5, 1.0, share)
    everybody = patient_queue(3, 2.5, 1.0).wait_seconds
    assert share * urgent + (1.0 - share) * routine == pytest.approx(everybody)
    assert urgent < routine


@pytest.mark.parametrize(
    ("form", "arguments", "message"),
    [
        (erlang_c, (3, 3.0), "load must lie below the 3 servers, got 3"),
        (erlang_c, (0, 0.5), "servers must be a whole number of at least 1, got 0"),
        (machine_repairman, (0, 1, 1.0, 1.0), "agents must be a whole number"),
        (machine_repairman, (1, 1, 0.0, 1.0), "think_seconds"),
        (patient_queue, (1, 2.0, 1.0), "load must lie below"),
        (impatient_queue, (1, 2.0, 1.0, 0.0), "patience_seconds"),
        (priority_waits, (3, 2.5, 1.0, 1.5), "urgent_share"),
    ],
)
def test_impossible_queues_are_refused(form: Any, arguments: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        form(*arguments)
