"""A stopwatch: how long people took, without the time for which the lesson stood still."""

import time
from collections.abc import Callable


class Stopwatch:
    """Seconds for which it ran.

    Args:
        now: the time in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._before = 0.0
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds for which it ran so far."""
        running = 0.0 if self._since is None else self._now() - self._since
        return self._before + running

    def run(self, runs: bool) -> None:
        """Lets it run, or stops it; either may be said twice."""
        if runs and self._since is None:
            self._since = self._now()
        elif not runs and self._since is not None:
            self._before, self._since = self.seconds, None
