"""When is a human asked? Each trigger maps n proposals to n booleans; a plain function will do."""

from looplab.oversight.triggers.active_queries import ActiveQueries, Uncertainty
from looplab.oversight.triggers.base import (
    Score,
    ScoreAbove,
    Scored,
    Trigger,
    as_scored,
    describe,
    reasons,
)
from looplab.oversight.triggers.budget import Budget
from looplab.oversight.triggers.chow import Chow
from looplab.oversight.triggers.combined import AllOf, AnyOf
from looplab.oversight.triggers.confidence import ConfidenceBelow
from looplab.oversight.triggers.disagreement import Disagreement
from looplab.oversight.triggers.learned import Learned
from looplab.oversight.triggers.novelty import Novelty
from looplab.oversight.triggers.plain import Always, Audit, Never
from looplab.oversight.triggers.risk import RiskAbove
from looplab.oversight.types import Reason

__all__ = [
    "ActiveQueries", "AllOf", "Always", "AnyOf", "Audit", "Budget", "Chow",
    "ConfidenceBelow", "Disagreement", "Learned", "Never", "Novelty", "Reason", "RiskAbove",
    "Score", "ScoreAbove", "Scored", "Trigger", "Uncertainty", "as_scored", "describe", "reasons",
]  # fmt: skip
