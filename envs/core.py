"""The vocabulary of tasks: n lanes of one task, stepped together in NumPy arrays."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from looplab.envs.errors import UsageError, unknown, whole
from looplab.envs.streams import MAX_DRAWS, StepDraws, Streams

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


_NO_DRAWS: FloatArray = np.zeros((0, 0))


class NativeLanes(Lanes):
    """Base of LoopLab's own tasks: state in named arrays, draws from a stream per lane and episode.

    A task names its state arrays in ``STATE``, how many uniforms a reset and a step draw in
    ``RESET_DRAWS`` and ``STEP_DRAWS`` (always that many, whatever the action), and implements
    ``_begin``, ``_advance`` and ``_observe``.

    Args:
        num_lanes: number of lanes, at least 1.
        max_episode_steps: steps after which an episode is truncated, at least 1.
        seed: lane i draws from seed + i.
    """

    STATE: ClassVar[tuple[str, ...]]
    RESET_DRAWS: ClassVar[int] = 0
    STEP_DRAWS: ClassVar[int]
    ACTIONS: ClassVar[tuple[str, ...]] = ()
    hold_action: int
    _checked: "ActionCheck | None" = None
    _hold: IntArray = np.zeros(0, dtype=np.int64)

    def __init__(self, num_lanes: int = 1, max_episode_steps: int = 50, seed: int = 0) -> None:
        self.num_lanes = whole("num_lanes", num_lanes, 1)
        self.max_episode_steps = whole("max_episode_steps", max_episode_steps, 1)
        if max(self.RESET_DRAWS, self.STEP_DRAWS) > MAX_DRAWS:
            raise UsageError(f"{type(self).__name__} draws more than {MAX_DRAWS} numbers a step")
        self.reseed(seed)

    def reseed(self, seed: int) -> None:
        """Lane i draws from ``seed + i`` from the next reset on, beginning with episode 0."""
        self._draw_from(Streams(self.num_lanes, "environment", seed))
        self.seed = int(seed)
        self.episode = np.full(self.num_lanes, -1, dtype=np.int64)
        self.elapsed = np.zeros(self.num_lanes, dtype=np.int64)

    def _draw_from(self, streams: Streams) -> None:
        self._streams = streams
        self._draws = StepDraws(streams, self.STEP_DRAWS, self._prepare)

    def reset(self, mask: BoolArray | None = None) -> Observations:
        """Begins a new episode in the masked lanes (all by default); returns all observations."""
        if mask is None:
            mask = np.ones(self.num_lanes, dtype=np.bool_)
        self.episode[mask] += 1
        self.elapsed[mask] = 0
        draws = _NO_DRAWS
        if self.RESET_DRAWS:
            draws = self._streams.uniforms(self.episode, self.elapsed, self.RESET_DRAWS)
        self._draws.begin(mask, self.episode)
        self._begin(mask, draws)
        self.observation = self._observe()
        return self.observation

    def step(self, actions: Actions, active: BoolArray | None = None) -> Step:
        """Runs one action in the active lanes (all by default)."""
        if self._checked is None:
            self._checked = ActionCheck(self.action_space, self.num_lanes)
        actions = self._checked(actions)
        frozen = None if active is None or active.all() else ~active
        if frozen is not None:
            kept = {name: getattr(self, name)[frozen].copy() for name in self.STATE}
        self.elapsed += 1
        draws = self._draws.take(self.episode, self.elapsed)
        reward, terminated, cost = self._advance(actions, draws)
        truncated = (self.elapsed >= self.max_episode_steps) & ~terminated
        if frozen is not None:
            self._draws.forget()
            for name, values in kept.items():
                getattr(self, name)[frozen] = values
            self.elapsed[frozen] -= 1
            reward[frozen] = cost[frozen] = 0.0
            terminated[frozen] = truncated[frozen] = False
        self.observation = self._observe()
        return Step(
            observation=self.observation,
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            cost=cost,
            catastrophe=self._catastrophe(cost),
            success=self._success(terminated, truncated),
        )

    def fork(self, lane: int) -> gym.Env[Any, Any]:
        """A copy of one lane as a ``LaneEnv``, which shares the lane's random stream."""
        from looplab.envs.faces import LaneEnv  # faces are built on this module

        one = copy.copy(self)
        one.num_lanes = 1
        one._checked = None  # this lanes' own check expects as many actions as it has lanes
        one.seed = self.seed + lane
        one._draw_from(self._streams.of_lane(lane))
        for name in (*self.STATE, "episode", "elapsed", "observation"):
            setattr(one, name, getattr(self, name)[lane : lane + 1].copy())
        return LaneEnv(one)

    def hold(self) -> Actions | None:
        """The action that does nothing, (n,)."""
        if len(self._hold) != self.num_lanes:
            self._hold = np.full(self.num_lanes, self.hold_action)
        return self._hold

    def redraw(self, seed: int) -> None:
        """Draws what follows from another seed, apart from every reset's, in the same states."""
        self._draw_from(Streams(self.num_lanes, "redrawn environment", seed))

    @abstractmethod
    def _begin(self, mask: BoolArray, draws: FloatArray) -> None:
        """Puts the masked lanes in their starting state; ``draws`` has shape (n, RESET_DRAWS)."""

    @abstractmethod
    def _advance(
        self, actions: Actions, draws: FloatArray
    ) -> tuple[FloatArray, BoolArray, FloatArray]:
        """Moves all lanes one step; returns fresh reward, terminated and cost, each (n,)."""

    @abstractmethod
    def _observe(self) -> Observations:
        """Fresh observations of all lanes."""

    def _prepare(self, draws: FloatArray) -> FloatArray:
        """What the task makes of its uniforms, many steps at once: (..., STEP_DRAWS), same shape.

        For what takes long step by step, such as normal deviates. Reset draws do not pass here.
        """
        return draws

    def _catastrophe(self, cost: FloatArray) -> BoolArray:
        """Lanes whose step did irreversible harm, (n,); none, unless the task says so."""
        return np.zeros(self.num_lanes, dtype=np.bool_)

    def _success(self, terminated: BoolArray, truncated: BoolArray) -> FloatArray:
        """1 or 0 where an episode ended with or without success, (n,); NaN elsewhere."""
        return np.full(self.num_lanes, np.nan)


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


class ActionCheck:
    """Checks the actions of n lanes, fast where they are what they should be.

    Args:
        space: action space of one lane.
        num_lanes: number of lanes n.
    """

    def __init__(self, space: gym.Space[Any], num_lanes: int) -> None:
        self._space = space
        self._shape = (num_lanes,)
        counts_from_zero = isinstance(space, gym.spaces.Discrete) and int(space.start) == 0
        self._count = np.uint64(space.n) if counts_from_zero else None  # type: ignore[attr-defined]

    def __call__(self, actions: Actions) -> Actions:
        """Actions as an array of the space's type, one per lane; see ``checked_actions``."""
        if (
            self._count is not None
            and type(actions) is np.ndarray
            and actions.dtype == np.int64
            and actions.shape == self._shape
            and 1 not in (actions.view(np.uint64) >= self._count).tobytes()
        ):  # a negative number is a huge one without its sign
            return actions
        return checked_actions(self._space, actions, self._shape[0])


def checked_actions(space: gym.Space[Any], actions: Actions, num_lanes: int) -> Actions:
    """Actions as an array of the space's type, one per lane.

    Raises:
        UsageError: naming the lane, if an action is not in the space.
    """
    if isinstance(space, gym.spaces.Discrete):
        given = np.asarray(actions)
        if given.shape != (num_lanes,):
            given = given.reshape(-1)
        if given.shape != (num_lanes,) or given.dtype.kind not in "iu":
            raise UsageError(
                f"expected {num_lanes} whole numbers as actions, "
                f"got shape {np.shape(actions)} of {given.dtype}"
            )
        low, high = int(space.start), int(space.start + space.n)
        outside = (given < low) | (given >= high)
        if np.count_nonzero(outside):
            lane = int(np.flatnonzero(outside)[0])
            raise UsageError(f"action {given[lane]} of lane {lane} is not in {low}..{high - 1}")
        return given if given.dtype == np.int64 else given.astype(np.int64)
    if isinstance(space, gym.spaces.Box):
        given = np.asarray(actions, dtype=space.dtype)
        if given.shape != (num_lanes, *space.shape):
            raise UsageError(
                f"expected actions of shape {(num_lanes, *space.shape)}, got {given.shape}"
            )
        bad = ~np.isfinite(given).reshape(num_lanes, -1).all(axis=1)
        if bad.any():
            lane = int(np.flatnonzero(bad)[0])
            raise UsageError(f"action {given[lane]} of lane {lane} is not finite")
        return given
    raise UsageError(f"only Discrete and Box action spaces are supported, got {space}")
