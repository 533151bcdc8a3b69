"""Nobody: in place of an agent where none is trained."""

from dataclasses import dataclass
from typing import Any

from looplab.envs.errors import UsageError


@dataclass(frozen=True)
class Nobody:
    """Takes an agent's place in trials that train none, such as ``trial=fleet``."""

    algorithm: str = "none"
    lanes: int = 1
    confidence: None = None
    temperature: float = 1.0

    def check(self, lanes: Any, protocol: Any, credited: str) -> None:
        """Refuses to be trained.

        Raises:
            UsageError: always.
        """
        raise UsageError("agent=none learns nothing; use agent=ppo, or a trial that trains nobody")
