"""The vocabulary of tasks: n lanes of one task, stepped together in NumPy arrays."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from looplab.envs.errors import UsageError, unknown

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
#: Actions of n lanes: (n,) integers for discrete tasks, (n, *shape) floats for continuous ones.
Actions = NDArray[Any]
#: Observations of n lanes, shape (n, *observation shape).
Observations = NDArray[Any]

#: Whose knowledge a risk is: this step's, the best that is still possible, or the agent's own.
RiskSource = Literal["immediate", "exact", "estimated"]
RISK_SOURCES: tuple[RiskSource, ...] = get_args(RiskSource)

#: Risks closer than this are the same: sums of probabilities are not exact in floating point.
RISK_RESOLUTION = 1e-9


@dataclass(slots=True)
class Step:
    """What one step did in every lane; arrays of shape (n, ...), owned by the receiver.

    ``observation`` is the one after the step, before any reset. ``success`` is NaN where the task
    does not define it or the episode goes on. ``infos`` are the environments' own dictionaries,
    where there are any.
    """

    observation: Observations
    reward: FloatArray
    terminated: BoolArray
    truncated: BoolArray
    cost: FloatArray
    catastrophe: BoolArray
    success: FloatArray
    infos: Sequence[dict[str, Any]] | None = field(default=None, repr=False)


class Lanes(ABC):
    """n independent copies of one task.

    The engine of oversight, and every face, speaks to tasks through this class alone. Lanes never
    reset themselves: whoever steps them resets the lanes that are done. Risks, corrections and
    potentials are privileged: overseers may read them, observations never hold them.

    Attributes:
        num_lanes: number of lanes n.
        observation_space: of one lane.
        action_space: of one lane.
        threshold: mean task return that counts as learned; NaN if the task states none.
        seed: lane i draws its environment from seed + i.
        episode: index of each lane's episode, shape (n,).
        elapsed: steps since each lane's reset, shape (n,).
        observation: current observation of all lanes, shape (n, *observation shape).
    """

    #: Whether the actions that a task names itself are known to lie in its space.
    NAMES_OWN_ACTIONS: ClassVar[bool] = False

    num_lanes: int
    observation_space: gym.Space[Any]
    action_space: gym.Space[Any]
    threshold: float = float("nan")

    seed: int
    episode: IntArray
    elapsed: IntArray
    observation: Observations

    @abstractmethod
    def reset(self, mask: BoolArray | None = None) -> Observations:
        """Begins a new episode in the masked lanes (all by default); returns all observations."""

    @abstractmethod
    def reseed(self, seed: int) -> None:
        """Lane i draws from ``seed + i`` from the next reset on, beginning with episode 0."""

    @abstractmethod
    def step(self, actions: Actions, active: BoolArray | None = None) -> Step:
        """Runs one action per lane.

        Args:
            actions: shape (n,) or (n, *action shape).
            active: lanes that step; the others stay as they are, with reward and cost 0. None: all.

        Raises:
            UsageError: if an action lies outside the action space.
        """

    def risk_table(self, source: RiskSource) -> FloatArray | None:
        """Risk of every action in each lane's state, shape (n, A); None if it is not known.

        Args:
            source: ``immediate``, the probability that this step violates; ``exact``, the least
                probability of a violation in the rest of the episode that any policy can still
                achieve after the action; ``estimated``, the immediate risk given only what the
                agent observes.
        """
        return None

    def risk_of(self, source: RiskSource, actions: Actions) -> FloatArray | None:
        """Risk of one action per lane, shape (n,); None if it is not known."""
        table = self.risk_table(source)
        return None if table is None else take(table, actions)

    def least_risk(self, source: RiskSource) -> FloatArray | None:
        """Risk of the safest action in each lane's state, shape (n,); None if not known."""
        table = self.risk_table(source)
        return None if table is None else table.min(axis=1)

    def offers(self, what: str) -> bool:
        """Whether a risk (by its source), ``hold``, ``correction`` or ``potential`` is known."""
        if what in RISK_SOURCES:
            return self.risk_table(check_source(what)) is not None
        known = {"hold": self.hold, "correction": self.correction, "potential": self.potential}
        return what in known and known[what]() is not None

    def hold(self) -> Actions | None:
        """The action that does nothing (or least) in each lane; None if the task has none."""
        return None

    def correction(self) -> Actions | None:
        """The action that a perfect overseer would take in each lane; None if none is known."""
        return None

    def reference(self) -> Actions | None:
        """What a stated good policy would do for the reward alone; None if the task has none."""
        return None

    def all_observations(self) -> Observations | None:
        """Every observation that the task can show, (S, *observation shape); None: not listed.

        The same one may stand there several times, where states look alike.
        """
        return None

    def details(self) -> dict[str, Any]:
        """What ``info`` says beside cost and catastrophe of the last step, arrays of shape (n,)."""
        return {}

    def potential(self) -> FloatArray | None:
        """A potential of each lane's state for shaping, shape (n,); None if the task has none."""
        return None

    def note_refusals(self, refused: BoolArray) -> None:  # noqa: B027  # an offer, not a duty
        """Tells the task whose proposals a human refused, shape (n,); most tasks do not care."""

    def fork(self, lane: int) -> gym.Env[Any, Any]:
        """A copy of one lane as an environment of its own, in the same state.

        The copy shares the lane's random stream: whoever looks ahead must reseed it.

        Raises:
            UsageError: if the task cannot be copied.
        """
        raise UsageError(f"{type(self).__name__} cannot be copied, so nothing can look ahead in it")

    def render(self, lane: int = 0, mode: str = "ansi") -> Any:
        """Draws one lane: text for ``ansi``, uint8 (height, width, 3) for ``rgb_array``."""
        raise UsageError(f"{type(self).__name__} has no picture")


def take(table: FloatArray, actions: Actions) -> FloatArray:
    """Entry of each row that the row's action names: (n, A), (n,) -> (n,)."""
    return table[np.arange(len(table)), actions]


def safest(table: FloatArray, actions: Actions) -> IntArray:
    """The safest action of each row: the given one if it is among the safest, else the lowest.

    Args:
        table: risk of every action, shape (n, A).
        actions: proposed action of each row, shape (n,).
    """
    least = table.min(axis=1) + RISK_RESOLUTION
    lowest = (table <= least[:, None]).argmax(axis=1)
    return np.where(take(table, actions) <= least, actions, lowest).astype(np.int64)


def check_source(source: str) -> RiskSource:
    """Returns the source if it is one, else raises ``UsageError`` naming the nearest."""
    for known in RISK_SOURCES:
        if source == known:
            return known
    raise unknown("risk source", source, RISK_SOURCES)
