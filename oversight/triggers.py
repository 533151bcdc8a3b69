"""When is a human asked? Each trigger maps n proposals to n booleans; a plain function will do."""

from collections.abc import Callable

import numpy as np

from looplab.envs.core import BoolArray, check_source
from looplab.envs.errors import UsageError, probability
from looplab.oversight.parts import ANY_RISK, CONFIDENCE
from looplab.oversight.proposals import Proposals

#: Lanes about whose proposal a human is asked, shape (n,).
Trigger = Callable[[Proposals], BoolArray]

#: Which risk a trigger reads where none is named: what the agent could know comes first.
PREFERRED_SOURCES = ("estimated", "exact", "immediate")


class Always:
    """Asks about every proposal."""

    def __call__(self, proposals: Proposals) -> BoolArray:
        """True in all lanes, shape (n,)."""
        return np.ones(len(proposals), dtype=np.bool_)

    def __str__(self) -> str:
        return "always"


class Never:
    """Asks about no proposal."""

    def __call__(self, proposals: Proposals) -> BoolArray:
        """False in all lanes, shape (n,)."""
        return np.zeros(len(proposals), dtype=np.bool_)

    def __str__(self) -> str:
        return "never"


class RiskAbove:
    """Asks where the risk of the proposal is at least ``tau``.

    Args:
        tau: threshold in [0, 1].
        source: ``estimated``, ``exact`` or ``immediate``; None: the first of estimated, exact and
            immediate that the task offers. ``exact`` is an oracle, a perfect detector for free.
    """

    def __init__(self, tau: float, source: str | None = None) -> None:
        self.tau = probability("tau", tau)
        self.source = None if source is None else check_source(source)

    @property
    def needs(self) -> tuple[str, ...]:
        """The named risk, or any."""
        return (ANY_RISK if self.source is None else self.source,)

    def reads(self, proposals: Proposals) -> str:
        """The source of risk that is read in this task."""
        if self.source is not None:
            return self.source
        for source in PREFERRED_SOURCES:
            if proposals.lanes.offers(source):
                return source
        raise UsageError("RiskAbove: the environment offers no risk; pass risk=")

    def __call__(self, proposals: Proposals) -> BoolArray:
        """Lanes whose risk is at least ``tau``, shape (n,)."""
        if self.source is None:
            source = proposals.memory(self)
            if "source" not in source:
                source["source"] = self.reads(proposals)
            return proposals.risk(source["source"]) >= self.tau
        return proposals.risk(self.source) >= self.tau

    def start(self, num_lanes: int) -> dict[str, str]:
        """Remembers which source was found, so that it is looked up once."""
        return {}

    def __str__(self) -> str:
        kind = {"exact": "exact risk (oracle)", None: "risk"}.get(
            self.source, f"{self.source} risk"
        )
        return f"{kind} >= {self.tau:g}"


class ConfidenceBelow:
    """Asks where the policy's probability of its own proposal is at most ``tau``.

    Args:
        tau: threshold in [0, 1].
    """

    needs = (CONFIDENCE,)

    def __init__(self, tau: float) -> None:
        self.tau = probability("tau", tau)

    def __call__(self, proposals: Proposals) -> BoolArray:
        """Lanes whose confidence is at most ``tau``, shape (n,)."""
        return proposals.confidence <= self.tau

    def __str__(self) -> str:
        return f"confidence <= {self.tau:g}"


class Audit:
    """Asks at random, independently of everything.

    Args:
        probability: chance in [0, 1] that a proposal is audited.
    """

    def __init__(self, probability: float) -> None:
        self.probability = _checked("probability", probability)

    def __call__(self, proposals: Proposals) -> BoolArray:
        """Audited lanes, shape (n,)."""
        return proposals.uniform(self) < self.probability

    def __str__(self) -> str:
        return f"audit {self.probability:g}"


_checked = probability


class _Combined:
    word: str

    def __init__(self, *triggers: Trigger | list[Trigger]) -> None:
        flat: list[Trigger] = []
        for trigger in triggers:
            flat.extend([trigger] if callable(trigger) else trigger)
        if not flat:
            raise UsageError(f"{type(self).__name__} needs at least one trigger")
        self.parts = tuple(flat)

    def __str__(self) -> str:
        return f" {self.word} ".join(describe(trigger) for trigger in self.parts)


class AnyOf(_Combined):
    """Asks where any of several triggers does."""

    word = "or"

    def __call__(self, proposals: Proposals) -> BoolArray:
        """Lanes where at least one trigger asks, shape (n,)."""
        asked: BoolArray = np.logical_or.reduce([trigger(proposals) for trigger in self.parts])
        return asked


class AllOf(_Combined):
    """Asks where all of several triggers do."""

    word = "and"

    def __call__(self, proposals: Proposals) -> BoolArray:
        """Lanes where every trigger asks, shape (n,)."""
        asked: BoolArray = np.logical_and.reduce([trigger(proposals) for trigger in self.parts])
        return asked


def describe(part: object) -> str:
    """A trigger, or another part, in words: its own, or a plain function's name."""
    return getattr(part, "__name__", None) or str(part)
