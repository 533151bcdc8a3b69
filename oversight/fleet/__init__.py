"""N agents who share c reviewers, in virtual time: how long they wait, and what it does."""

from looplab.oversight.fleet.durations import Duration, Exponential, Fixed, Lognormal
from looplab.oversight.fleet.outcome import Outcome
from looplab.oversight.fleet.queueing import simulate
from looplab.oversight.fleet.reviewers import FlatReviewers, Question, Reviewers
from looplab.oversight.fleet.settings import Fleet, Period
from looplab.oversight.fleet.work import LaneWork, Policy, Requests, Work

__all__ = [
    "Duration", "Exponential", "Fixed", "FlatReviewers", "Fleet", "LaneWork", "Lognormal",
    "Outcome", "Period", "Policy", "Question", "Requests", "Reviewers", "Work", "simulate",
]  # fmt: skip
