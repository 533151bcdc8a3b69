"""How the service waits for people: deadlines by tier, claims, leases, and time to undo."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from looplab.envs.errors import UsageError, finite, unknown

_MOMENT = 0.001
MILLISECONDS = 1000


@dataclass(frozen=True)
class Settings:
    """What an administrator can change while the service runs.

    Attributes:
        deadlines: seconds within which each tier must answer, the first tier first; what the last
            one does not answer fails closed. None: that tier has all the time.
        claim_seconds: how long a request is kept for whom it was shown to, above 0.
        lease_seconds: how long a trainer may be silent before its open requests are withdrawn.
        undo_seconds: how long a verdict is kept back, so that it can be undone, at least 0.
        speed: steps per second at first where somebody watches, above 0.
    """

    deadlines: tuple[float | None, ...] = (60.0, 60.0)
    claim_seconds: float = 30.0
    lease_seconds: float = 60.0
    undo_seconds: float = 0.0
    speed: float = 2.0

    def __post_init__(self) -> None:
        """Checks the ranges."""
        tiers = self.deadlines
        if not isinstance(tiers, tuple | list) or not tiers:
            raise UsageError(f"deadlines must list the seconds of each tier, got {tiers!r}")
        for seconds in self.deadlines:
            if seconds is not None:
                finite("deadlines", seconds, _MOMENT)
        object.__setattr__(self, "deadlines", tuple(self.deadlines))
        finite("claim_seconds", self.claim_seconds, _MOMENT)
        finite("lease_seconds", self.lease_seconds, _MOMENT)
        finite("undo_seconds", self.undo_seconds, 0.0)
        finite("speed", self.speed, _MOMENT)

    @property
    def top(self) -> int:
        """The last tier, counted from 0."""
        return len(self.deadlines) - 1

    def deadline_at(self, tier: int, now: int) -> int | None:
        """When a tier's time is over that begins now, in milliseconds; None: never."""
        seconds = self.deadlines[min(tier, self.top)]
        return None if seconds is None else now + milliseconds(seconds)

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain values."""
        return {**asdict(self), "deadlines": list(self.deadlines)}

    def changed(self, changes: Mapping[str, Any]) -> "Settings":
        """These settings with some of them changed.

        Raises:
            UsageError: if there is no such setting, or its value is out of range.
        """
        known = self.as_dict()
        for name in changes:
            if name not in known:
                raise unknown("setting", name, known)
        return Settings(**{**known, **changes})


def milliseconds(seconds: float) -> int:
    """Whole milliseconds, at least as long as the seconds."""
    return -int(-seconds * MILLISECONDS // 1)
