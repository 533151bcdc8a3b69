"""Closed forms of queues, run by the fleet."""

import math

import numpy as np

from looplab.envs.errors import UsageError, whole, within
from looplab.experiments.validation.check import Check, Expected, Sample, seeds
from looplab.oversight.fleet.closed_forms import erlang_c, machine_repairman
from looplab.oversight.fleet.durations import Exponential
from looplab.oversight.fleet.queueing import simulate
from looplab.oversight.fleet.reviewers import FlatReviewers
from looplab.oversight.fleet.settings import Fleet, Period

#: Independent runs, services of each that are counted, and services before that are not.
_RUNS, _COUNTED, _WARM_UP = 40, 400, 100
#: Share of the reviewers' time from which on a queue remembers its beginning for longer than the
#: warm-up: 1 / (1 - sqrt(share))^2 services before one reviewer, less before several.
_HEAVIEST = 0.92
#: Agents that go on; together they are a Poisson stream, however many they are.
_STREAM_AGENTS = 20


def _repairman(
    agents: int = 20, reviewers: int = 3, service: float = 30.0, think: float = 120.0
) -> Expected:
    for name, seconds in (("service", service), ("think", think)):
        if math.isinf(within(name, seconds, np.finfo(np.float64).tiny)):
            raise UsageError(f"{name} must be finite")
    steady = machine_repairman(agents, reviewers, think, service)
    found = {
        "utilisation": steady.utilisation,
        "requests a second": steady.throughput,
        "seconds of wait": steady.wait_seconds,
        "who wait": steady.waits,
    }
    return {name: value for name, value in found.items() if value > 0.0}


def _repairman_run(
    seed: int, size: int, agents: int, reviewers: int, service: float, think: float
) -> dict[str, Sample]:
    fleet = Fleet(agents, reviewers, Exponential(think))
    return _runs(seed, size, fleet, service, think + service)


def _erlang(reviewers: int = 3, load: float = 2.0) -> Expected:
    whole("reviewers", reviewers, 1)
    within("load", load, np.finfo(np.float64).tiny)
    chance = erlang_c(reviewers, load)
    if load > _HEAVIEST * reviewers:
        raise UsageError(
            f"a load of {load:g} is so near to {reviewers} reviewers that the queue takes too long "
            f"to settle; at most {_HEAVIEST * reviewers:g} can be measured"
        )
    if chance < 1e-4:
        raise UsageError(f"with load {load:g} hardly anybody waits for {reviewers} reviewers")
    return {
        "who wait": chance,
        "services of wait": chance / (reviewers - load),
        "utilisation": load / reviewers,
    }


def _erlang_run(seed: int, size: int, reviewers: int, load: float) -> dict[str, Sample]:
    think = _STREAM_AGENTS / load
    fleet = Fleet(_STREAM_AGENTS, reviewers, Exponential(think), waiting="non_blocking")
    found = _runs(seed, 4 * size, fleet, 1.0, 1.0 / (1.0 - load / reviewers))
    return found | {"services of wait": found["seconds of wait"]}


def _runs(
    seed: int, size: int, fleet: Fleet, service: float, relaxation: float
) -> dict[str, Sample]:
    """Means of independent runs, which are as long as the queue's memory asks for."""
    warm_up = _WARM_UP * relaxation
    period = Period(warm_up + _COUNTED * relaxation, warm_up)
    reviewers = FlatReviewers(Exponential(service))
    rows = []
    for run in seeds(seed, _RUNS * size):
        outcome = simulate(fleet, reviewers, period, seed=run)
        waits = outcome.waits
        requests = len(waits) / period.seconds
        rows.append((outcome.utilisation, requests, waits.mean(), (waits > 0.0).mean()))
    names = ("utilisation", "requests a second", "seconds of wait", "who wait")
    columns = np.array(rows).T
    return {name: Sample.of(column) for name, column in zip(names, columns, strict=True)}


QUEUES = (
    Check(
        "machine_repairman",
        "agents who wait for their verdicts: a closed queue (Kleinrock 1975)",
        _repairman,
        _repairman_run,
    ),
    Check(
        "erlang_c",
        "agents who go on: a Poisson stream before c reviewers (Erlang 1917); time in services",
        _erlang,
        _erlang_run,
    ),
)
