"""What a claim about fleets can be about, and the tables that show it."""

from looplab.experiments.measures import Measure
from looplab.experiments.tables import Column

#: Column with the steps behind rates of rare events, in thousands.
EXPOSURE = "ksteps"
WAITING: tuple[Column, ...] = (
    ("Busy", "utilisation", "share of the reviewers' time that is spent reviewing"),
    ("Mean wait", "wait_mean", "seconds until somebody takes a request up"),
    ("Wait p50", "wait_p50", "seconds, median"),
    ("Wait p95", "wait_p95", "seconds, 95th percentile"),
    ("Overdue", "overdue", "share of the requests that met their deadline unanswered"),
    ("Withdrawn", "abandoned", "share of the requests that nobody took up in time"),
    ("Unanswered", "unanswered", "share of the requests, overdue or withdrawn"),
    ("Throughput", "relative_throughput", "share of the steps that agents make if nobody waits"),
    ("Steps per hour", "steps_per_hour", "of all agents together"),
    ("Requests per hour", "requests_per_hour", "of all agents together"),
    ("Reviews per hour", "reviews_per_hour", "of all reviewers together"),
    ("Cost per hour", "cost_per_hour", "reviewers are paid for their presence, and by the review"),
)
THEORY: tuple[Column, ...] = (
    ("Wait, theory", "theory_wait_mean", "mean seconds by the machine-repairman model"),
    ("Wait above it", "wait_above_theory", "seconds that the mean wait is longer than the model's"),
    ("Busy, theory", "theory_utilisation", "share of the reviewers' time by the same model"),
    ("Busy above it", "busy_above_theory", "share by which reviewers are busier than the model's"),
)
HARM: tuple[Column, ...] = (
    ("Violations", "violations_per_1k", "per 1 000 steps"),
    ("Catastrophes", "catastrophes_per_1k", "irreversible violations per 1 000 steps"),
    ("Stale approvals", "stale_approvals_per_1k", "approved late, run in a later state; per 1 000"),
    ("Return", "task_return_per_1k", "task return per 1 000 steps"),
)
#: Rates of rare events, which are not certain to be 0 where none was seen.
_COUNTED = ("violations_per_1k", "catastrophes_per_1k", "stale_approvals_per_1k")
#: Every measure by its name.
MEASURES = {
    name: Measure(name, f"{head}: {about}", EXPOSURE if name in _COUNTED else "")
    for head, name, about in (*WAITING, *THEORY, *HARM)
}
