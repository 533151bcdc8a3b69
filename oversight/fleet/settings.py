"""What a fleet is: how many agents and reviewers, and the rules between them."""

from dataclasses import dataclass

from looplab.envs.errors import UsageError, choice, finite, probability, whole
from looplab.oversight.fleet.durations import Duration

WAITINGS = ("blocking", "non_blocking")
PRIORITIES = ("fifo", "risk", "class")


@dataclass(frozen=True)
class Fleet:
    """N agents who share c reviewers.

    Attributes:
        agents: number of agents N, at least 1.
        reviewers: number of reviewers c, at least 1.
        think: how long an agent takes for each proposal; mean above 0.
        waiting: ``blocking``, an agent waits for the verdict on its proposal, so that at most N
            requests are there at once; or ``non_blocking``, it goes on, the fallback running
            meanwhile.
        priority: ``fifo``; ``risk``, the riskiest first; ``class``, urgent requests first. No
            review is broken off for another.
        urgent_share: chance in [0, 1] that a request is urgent, where ``priority`` is ``class``.
        deadline_seconds: time from request to verdict after which the request is overdue and its
            reviewer lets go of it, at least 0; None: no deadline.
        patience: wait after which a request that nobody has taken up is withdrawn; None: for ever.
        fails_open: whether proposals run whose requests are overdue or withdrawn; else the
            fallback does.
        overload: accept agents that go on and ask more than the reviewers can ever answer.
    """

    agents: int
    reviewers: int
    think: Duration
    waiting: str = "blocking"
    priority: str = "fifo"
    urgent_share: float = 0.0
    deadline_seconds: float | None = None
    patience: Duration | None = None
    fails_open: bool = False
    overload: bool = False

    def __post_init__(self) -> None:
        """Checks names and ranges."""
        whole("agents", self.agents, 1)
        whole("reviewers", self.reviewers, 1)
        choice("waiting", self.waiting, WAITINGS)
        choice("priority", self.priority, PRIORITIES)
        probability("urgent_share", self.urgent_share)
        if self.deadline_seconds is not None:
            finite("deadline_seconds", self.deadline_seconds, 0.0)
        if not self.think.mean_seconds > 0.0:
            raise UsageError("think must take more than 0 seconds, or time stands still")

    @property
    def blocking(self) -> bool:
        """Whether an agent waits for the verdict."""
        return self.waiting == "blocking"

    def check_load(self, service_seconds: float, asked: float = 1.0) -> None:
        """Refuses a queue that would only grow.

        Args:
            service_seconds: mean time of a review.
            asked: share of the proposals about which a human is asked.

        Raises:
            UsageError: if agents go on, requests wait for ever, and c reviewers cannot keep up.
        """
        load = self.agents * asked * service_seconds / self.think.mean_seconds
        bounded = self.blocking or self.deadline_seconds is not None or self.patience is not None
        if bounded or self.overload or load < self.reviewers:
            return
        raise UsageError(
            f"{self.agents} agents that do not wait ask for {load:.3g} reviewers' time and there "
            f"are {self.reviewers}, so the queue never settles; give more reviewers, a deadline "
            "or patience, or overload=true to watch it grow"
        )


@dataclass(frozen=True)
class Period:
    """How long a fleet is watched.

    Attributes:
        horizon_seconds: when the agents stop, above the warm-up and finite.
        warmup_seconds: what happens before is not counted: agents begin with nobody waiting, and
            that is better than what they come to.
    """

    horizon_seconds: float
    warmup_seconds: float = 0.0

    def __post_init__(self) -> None:
        """Checks the ranges."""
        finite("horizon_seconds", self.horizon_seconds, 0.0)
        finite("warmup_seconds", self.warmup_seconds, 0.0)
        if not self.warmup_seconds < self.horizon_seconds:
            raise UsageError(
                "horizon_seconds must be above warmup_seconds, got "
                f"{self.horizon_seconds:g} and {self.warmup_seconds:g}"
            )

    @property
    def seconds(self) -> float:
        """Time that is counted."""
        return self.horizon_seconds - self.warmup_seconds
