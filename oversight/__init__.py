"""Human oversight of agents: protocols, triggers, overseers, fallbacks and signals."""

from typing import TYPE_CHECKING, Any

from looplab.oversight.decision import Decision
from looplab.oversight.engine import Engine, Settings
from looplab.oversight.explanation import Request, explain
from looplab.oversight.fallbacks import Correction, Halt, Hold, NextBest, SafestAction
from looplab.oversight.humans.automation_bias import AutomationBias
from looplab.oversight.humans.fatigue import Fatigue
from looplab.oversight.humans.odds import Accuracy
from looplab.oversight.humans.prior_bias import PriorBias
from looplab.oversight.humans.rater import Rater
from looplab.oversight.humans.simulated import SimulatedHuman
from looplab.oversight.humans.skill_decay import SkillDecay
from looplab.oversight.humans.teachers import Teacher
from looplab.oversight.humans.tempo import Tempo
from looplab.oversight.humans.vigilance import Vigilance
from looplab.oversight.ledger import Ledger
from looplab.oversight.monitors import Cusum, Monitor, PageHinkley, WindowTest
from looplab.oversight.overseers.catch_trials import CatchTrials
from looplab.oversight.overseers.chain import Chain, Tier
from looplab.oversight.overseers.look_ahead import LookAheadOverseer
from looplab.oversight.overseers.panel import Panel
from looplab.oversight.overseers.recorded import Recorded
from looplab.oversight.overseers.roles import Roles
from looplab.oversight.overseers.rotation import Rotation
from looplab.oversight.overseers.scripted import ScriptedOverseer
from looplab.oversight.overseers.shared import Shared
from looplab.oversight.precedents import Precedents
from looplab.oversight.proposals import Proposals
from looplab.oversight.protocols.adaptive import Adaptive
from looplab.oversight.protocols.autonomous import Autonomous
from looplab.oversight.protocols.behind import Behind
from looplab.oversight.protocols.comparisons import Comparisons
from looplab.oversight.protocols.explained import Explained
from looplab.oversight.protocols.feedback import Feedback
from looplab.oversight.protocols.gate import Gate
from looplab.oversight.protocols.rules import Bounds, Forbid, RiskLimit, Rules
from looplab.oversight.protocols.stack import Stack
from looplab.oversight.protocols.veto import Veto
from looplab.oversight.protocols.veto_window import VetoWindow
from looplab.oversight.revision import Cells, HarmRate, Revision
from looplab.oversight.signals import AdditiveShaping, PotentialShaping, Signal
from looplab.oversight.triggers import (
    ActiveQueries,
    AllOf,
    Always,
    AnyOf,
    Audit,
    Budget,
    Chow,
    ConfidenceBelow,
    Disagreement,
    Learned,
    Never,
    Novelty,
    RiskAbove,
    ScoreAbove,
    Scored,
    Uncertainty,
)
from looplab.oversight.types import Verdicts
from looplab.oversight.wrapper import Overseen

if TYPE_CHECKING:
    from looplab.oversight.vec_wrapper import OverseenVecEnv

__all__ = [
    "Accuracy", "ActiveQueries", "Adaptive", "AdditiveShaping", "AllOf", "Always", "AnyOf",
    "Audit", "AutomationBias", "Autonomous", "Behind", "Bounds", "Budget", "CatchTrials", "Cells",
    "Chain", "Chow", "Comparisons", "ConfidenceBelow", "Correction", "Cusum", "Decision",
    "Disagreement", "Engine", "Explained", "Fatigue", "Feedback", "Forbid", "Gate", "Halt",
    "HarmRate", "Hold", "Learned", "Ledger", "LookAheadOverseer", "Monitor", "Never", "NextBest",
    "Novelty", "Overseen", "OverseenVecEnv", "PageHinkley", "Panel", "PotentialShaping",
    "Precedents", "PriorBias", "Proposals", "Rater", "Recorded", "Request", "Revision", "RiskAbove",
    "RiskLimit", "Roles", "Rotation", "Rules", "SafestAction", "ScoreAbove", "Scored",
    "ScriptedOverseer", "Settings", "Shared", "Signal", "SimulatedHuman", "SkillDecay", "Stack",
    "Teacher", "Tempo", "Tier", "Uncertainty", "Verdicts", "Veto", "VetoWindow", "Vigilance",
    "WindowTest", "explain",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Imports the Stable-Baselines3 face only where it is asked for: it brings torch along."""
    if name == "OverseenVecEnv":
        from looplab.oversight.vec_wrapper import OverseenVecEnv

        return OverseenVecEnv
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
