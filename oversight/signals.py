"""What does the agent learn from oversight? Credit, penalty, ratings and shaping."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from looplab.envs.compiled import compiled
from looplab.envs.core import BoolArray, FloatArray, Observations, Step
from looplab.envs.errors import UsageError, choice, finite, probability
from looplab.oversight.columns import place
from looplab.oversight.decision import Decision
from looplab.oversight.proposals import Proposals
from looplab.oversight.triggers import describe
from looplab.oversight.types import brief

_CHARGED, _RATING = place("charged"), place("rating")

#: Which action the algorithm learns about: proposed, executed, or (off-policy) both.
CREDITS = ("proposed", "executed", "both")


@dataclass(slots=True)
class Outcome:
    """One step after it ran, for shaping.

    Attributes:
        proposals: what was proposed, and in which states.
        decision: what oversight made of it.
        step: what the environment did; ``step.observation`` is the one after the step.
        before: what the shaping's ``prepare`` returned before the step.
    """

    proposals: Proposals
    decision: Decision
    step: Step
    before: Any = None


#: Adds to the learning return of each lane, shape (n,).
Shaping = Callable[[Outcome], FloatArray]


@dataclass(frozen=True)
class Signal:
    """What the learning reward adds to the task's, and which action is credited.

    learning reward = reward - penalty x (refused) + beta x rating + shaping. Task return and
    learning return are recorded apart, and neither touches the cost.

    Attributes:
        credit: ``proposed`` (the gate is part of the dynamics), ``executed``, or ``both``
            (off-policy algorithms only).
        penalty: what one refusal costs, at least 0; on the loop, what one override costs.
        beta: weight of a rating, at least 0; matters where a protocol rates.
        shaping: what is added beside, a function of an ``Outcome``; None: nothing.
    """

    credit: str = "proposed"
    penalty: float = 0.0
    beta: float = 1.0
    shaping: Shaping | None = None

    def __post_init__(self) -> None:
        """Checks the settings."""
        choice("credit", self.credit, CREDITS)
        finite("penalty", self.penalty, 0.0)
        finite("beta", self.beta, 0.0)
        if self.shaping is not None and not callable(self.shaping):
            raise UsageError(f"shaping must be a function of an outcome, got {self.shaping!r}")

    @property
    def parts(self) -> tuple[object, ...]:
        """The shaping, if there is any."""
        return () if self.shaping is None else (self.shaping,)

    def prepare(self, proposals: Proposals, decision: Decision) -> Any:
        """What the shaping must know before the step: it is shown what will be executed."""
        prepare = getattr(self.shaping, "prepare", None)
        return None if prepare is None else prepare(proposals.having(decision.executed))

    def __call__(self, outcome: Outcome) -> FloatArray:
        """Learning reward of each lane, a fresh array of shape (n,)."""
        reward = np.empty(len(outcome.step.reward))
        block, at = outcome.decision.row
        _learn(block.flags, block.reals, at, outcome.step.reward, self.penalty, self.beta, reward)
        if self.shaping is not None:
            reward += self._shaped(outcome)
        return reward

    def _shaped(self, outcome: Outcome) -> FloatArray:
        assert self.shaping is not None  # the caller has looked
        given = np.asarray(self.shaping(outcome))
        shape = outcome.step.reward.shape
        if given.shape != shape or given.dtype.kind not in "fiub" or not np.isfinite(given).all():
            raise UsageError(
                f"shaping {describe(self.shaping)} must answer {shape[0]} finite numbers, "
                f"got {brief(given)}"
            )
        return given.astype(np.float64)


@dataclass(frozen=True)
class AdditiveShaping:
    """Praise for every step whose executed action was safe; it can be farmed, as tests show.

    A step in which the episode is stopped executes nothing and earns nothing.

    Attributes:
        praise: added where the executed action is not unsafe.
    """

    praise: float = 0.1
    needs: tuple[str, ...] = field(default=("truth",), init=False, repr=False)

    def prepare(self, proposals: Proposals) -> BoolArray:
        """Lanes in which what will be executed is safe, shape (n,)."""
        return ~proposals.unsafe

    def __call__(self, outcome: Outcome) -> FloatArray:
        """Praise of each lane, shape (n,)."""
        safe = outcome.before & ~outcome.decision.halted
        return np.where(safe, self.praise, 0.0)


class PotentialShaping:
    """gamma x potential(s') - potential(s), which leaves optimal policies as they are.

    Follows Ng, Harada & Russell 1999: the potential of a terminal state is 0, and gamma is the
    learner's own. A truncated episode goes on for the learner, so its last state keeps its own.

    Args:
        gamma: the learner's discount, in [0, 1].
        potential: function of observations (n, ...) that returns (n,); None: the task's own.
        scale: factor of the potential.
    """

    def __init__(
        self,
        gamma: float,
        potential: Callable[[Observations], FloatArray] | None = None,
        scale: float = 1.0,
    ) -> None:
        self.gamma = probability("gamma", gamma)
        self.potential = potential
        self.scale = scale
        self.needs = () if potential is not None else ("potential",)

    def _of(self, proposals: Proposals) -> FloatArray:
        if self.potential is not None:
            return np.asarray(self.potential(proposals.lanes.observation), dtype=np.float64)
        potential = proposals.lanes.potential()
        if potential is None:
            raise UsageError("PotentialShaping: the environment has no potential; pass potential=")
        return potential

    def prepare(self, proposals: Proposals) -> FloatArray:
        """Potential before the step, shape (n,)."""
        return self._of(proposals).copy()

    def __call__(self, outcome: Outcome) -> FloatArray:
        """Shaping of each lane, shape (n,)."""
        after = np.where(outcome.step.terminated, 0.0, self._of(outcome.proposals))
        added: FloatArray = self.scale * (self.gamma * after - outcome.before)
        return added


@compiled
def _learn(flags: Any, reals: Any, at: Any, reward: Any, penalty: Any, beta: Any, out: Any) -> None:
    """Reward, less what was charged, and what was rated, (n,)."""
    for lane in range(len(out)):
        out[lane] = reward[lane]
        if flags[at, _CHARGED, lane]:
            out[lane] -= penalty
        out[lane] += beta * reals[at, _RATING, lane]
