"""Human oversight of agents: protocols, triggers, overseers, fallbacks and signals."""

from typing import TYPE_CHECKING, Any

from looplab.oversight.decision import Decision
from looplab.oversight.engine import Engine, Settings
from looplab.oversight.fallbacks import Correction, Halt, Hold, NextBest, SafestAction
from looplab.oversight.ledger import Ledger
from looplab.oversight.overseers.look_ahead import LookAheadOverseer
from looplab.oversight.overseers.scripted import ScriptedOverseer
from looplab.oversight.proposals import Proposals
from looplab.oversight.protocols.autonomous import Autonomous
from looplab.oversight.protocols.feedback import Feedback
from looplab.oversight.protocols.gate import Gate
from looplab.oversight.protocols.stack import Stack
from looplab.oversight.protocols.veto import Veto
from looplab.oversight.protocols.veto_window import VetoWindow
from looplab.oversight.signals import AdditiveShaping, PotentialShaping, Signal
from looplab.oversight.triggers import (
    AllOf,
    Always,
    AnyOf,
    Audit,
    ConfidenceBelow,
    Never,
    RiskAbove,
)
from looplab.oversight.types import Verdicts
from looplab.oversight.wrapper import Overseen

if TYPE_CHECKING:
    from looplab.oversight.vec_wrapper import OverseenVecEnv

__all__ = [
    "AdditiveShaping", "AllOf", "Always", "AnyOf", "Audit", "Autonomous", "ConfidenceBelow",
    "Correction", "Decision", "Engine", "Feedback", "Gate", "Halt", "Hold", "Ledger",
    "LookAheadOverseer", "Never", "NextBest", "Overseen", "OverseenVecEnv", "PotentialShaping",
    "Proposals", "RiskAbove", "SafestAction", "ScriptedOverseer", "Settings", "Signal", "Stack",
    "Verdicts", "Veto", "VetoWindow",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Imports the Stable-Baselines3 face only where it is asked for: it brings torch along."""
    if name == "OverseenVecEnv":
        from looplab.oversight.vec_wrapper import OverseenVecEnv

        return OverseenVecEnv
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
