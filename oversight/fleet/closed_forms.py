"""What queueing theory says of a fleet in its steady state, to be met by the running one.

Think, service and patience are exponential throughout. Blocking agents are a closed system, the
machine repairman; agents that go on are, together, a Poisson stream. All times are in seconds.
"""

from dataclasses import dataclass

import numpy as np

from looplab.envs.core import FloatArray
from looplab.envs.errors import UsageError, finite, probability, whole, within

#: Standard deviations, and further states, beyond which more waiting requests are left out.
_REACH, _MARGIN = 12.0, 100
_ABOVE_ZERO = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class Steady:
    """A queue's steady state.

    Attributes:
        utilisation: share of the reviewers' time that is spent reviewing.
        throughput: requests that are answered, per second.
        wait_seconds: mean wait of all requests, those that do not wait included.
        waits: probability that a request has to wait.
        abandons: probability that a request is withdrawn.
    """

    utilisation: float
    throughput: float
    wait_seconds: float
    waits: float
    abandons: float = 0.0


def machine_repairman(
    agents: int, reviewers: int, think_seconds: float, service_seconds: float
) -> Steady:
    """N agents that wait for c reviewers: the closed queue M/M/c//N (Kleinrock 1975, chapter 3).

    With k agents at the desk, requests come at rate (N - k) / think and are answered at rate
    min(k, c) / service. A request that arrives finds the desk as it would be without its own agent
    (the arrival theorem; Reiser & Lavenberg 1980).
    """
    whole("agents", agents, 1)
    whole("reviewers", reviewers, 1)
    finite("think_seconds", think_seconds, _ABOVE_ZERO)
    finite("service_seconds", service_seconds, _ABOVE_ZERO)

    def chances(population: int) -> FloatArray:
        present = np.arange(population)
        answered = np.minimum(present + 1, reviewers) / service_seconds
        return _birth_and_death((population - present) / think_seconds, answered)

    present, chance = np.arange(agents + 1), chances(agents)
    busy = float(chance @ np.minimum(present, reviewers))
    queue = float(chance @ np.maximum(present - reviewers, 0))
    throughput = busy / service_seconds
    waits = float(chances(agents - 1)[reviewers:].sum())
    return Steady(busy / reviewers, throughput, queue / throughput, waits)


def erlang_c(servers: int, load: float) -> float:
    """Probability that a request has to wait in M/M/c (Erlang 1917).

    >>> [round(erlang_c(c, a), 4) for c, a in ((3, 2.0), (5, 2.5), (6, 2.5))]
    [0.4444, 0.1304, 0.0474]

    Args:
        servers: number of servers c, at least 1.
        load: arrival rate x mean service, at least 0.

    Raises:
        UsageError: if the load is not below the number of servers: the queue then never settles.
    """
    whole("servers", servers, 1)
    if not within("load", load, 0.0) < servers:
        raise UsageError(f"load must lie below the {servers} servers, got {load:g}")
    blocked = 1.0  # Erlang B, by its recursion
    for server in range(1, servers + 1):
        blocked = load * blocked / (server + load * blocked)
    return servers * blocked / (servers - load * (1.0 - blocked))


def patient_queue(reviewers: int, requests_per_second: float, service_seconds: float) -> Steady:
    """Requests at random that wait as long as it takes: M/M/c."""
    load = _load(requests_per_second, service_seconds)
    waits = erlang_c(reviewers, load)
    wait = waits * service_seconds / (reviewers - load)
    return Steady(load / reviewers, requests_per_second, wait, waits)


def waits_longer(
    reviewers: int, requests_per_second: float, service_seconds: float, seconds: float
) -> float:
    """P(W > t) = C exp(-(c mu - lambda) t) in M/M/c, first come, first served."""
    waits = erlang_c(reviewers, _load(requests_per_second, service_seconds))
    spare = reviewers / service_seconds - requests_per_second
    return waits * float(np.exp(-spare * finite("seconds", seconds, 0.0)))


def impatient_queue(
    reviewers: int, requests_per_second: float, service_seconds: float, patience_seconds: float
) -> Steady:
    """Erlang A, M/M/c+M: requests that wait longer than their patience are withdrawn.

    With k requests present, they leave at rate min(k, c) / service + max(k - c, 0) / patience, so
    that the queue settles at any load (Garnett, Mandelbaum & Reiman 2002).
    """
    whole("reviewers", reviewers, 1)
    finite("patience_seconds", patience_seconds, _ABOVE_ZERO)
    _load(requests_per_second, service_seconds)
    most = requests_per_second * max(service_seconds, patience_seconds)
    present = np.arange(int(most + _REACH * np.sqrt(most)) + reviewers + _MARGIN)
    served, queued = np.minimum(present, reviewers), np.maximum(present - reviewers, 0)
    leaving = served / service_seconds + queued / patience_seconds
    chance = _birth_and_death(np.full(len(present) - 1, requests_per_second), leaving[1:])
    busy, queue = float(chance @ served), float(chance @ queued)
    return Steady(
        utilisation=busy / reviewers,
        throughput=busy / service_seconds,
        wait_seconds=queue / requests_per_second,
        waits=float(chance[reviewers:].sum()),
        abandons=queue / patience_seconds / requests_per_second,
    )


def priority_waits(
    reviewers: int, requests_per_second: float, service_seconds: float, urgent_share: float
) -> tuple[float, float]:
    """Mean waits of urgent and of routine requests where no review is broken off (Cobham 1954).

    W_k = W_0 / ((1 - s_{k-1}) (1 - s_k)) with W_0 = C service / c, and s_k the utilisation by the
    first k classes; of several reviewers see also Davis (1966).
    """
    probability("urgent_share", urgent_share)
    both = patient_queue(reviewers, requests_per_second, service_seconds)
    urgent = both.waits * service_seconds / reviewers / (1.0 - urgent_share * both.utilisation)
    return urgent, urgent / (1.0 - both.utilisation)


def _load(requests_per_second: float, service_seconds: float) -> float:
    finite("service_seconds", service_seconds, _ABOVE_ZERO)
    return finite("requests_per_second", requests_per_second, _ABOVE_ZERO) * service_seconds


def _birth_and_death(births: FloatArray, deaths: FloatArray) -> FloatArray:
    """Steady state of a number that rises at births[k] from k and falls back at deaths[k]."""
    weights = np.concatenate(([0.0], np.cumsum(np.log(births / deaths))))
    chance = np.exp(weights - weights.max())
    total: float = chance.sum()
    return np.asarray(chance / total)
