"""Base of LoopLab's own tasks: state in named arrays, keyed random draws, harm by kinds, drift."""

import copy
from abc import abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from looplab.envs.actions import ActionCheck
from looplab.envs.card import Card
from looplab.envs.compiled import compiled
from looplab.envs.core import Actions, BoolArray, FloatArray, IntArray, Lanes, Observations, Step
from looplab.envs.drift import Drift, as_drift
from looplab.envs.errors import UsageError, choice, whole
from looplab.envs.streams import MAX_DRAWS, Streams

#: Why agents violate: they explore; the reward's optimum does; only a human can see the risk.
REWARD_MODES = ("aligned", "misspecified", "hidden")


@compiled
def _begin_episodes(mask: Any, episode: Any, elapsed: Any) -> None:
    """Counts the masked lanes' episodes on, and their steps anew; all (n,)."""
    for lane in range(len(mask)):
        if mask[lane]:
            episode[lane] += 1
            elapsed[lane] = 0


@compiled
def _truncate(elapsed: Any, limit: Any, terminated: Any, out: Any) -> None:
    """Lanes whose episode has run out of steps, and has not terminated, (n,)."""
    for lane in range(len(out)):
        out[lane] = elapsed[lane] >= limit and not terminated[lane]


@compiled
def _add_up(harm: Any, out: Any) -> None:
    """Harm of all kinds together, (n, kinds) -> (n,)."""
    for lane in range(len(out)):
        out[lane] = 0.0
        for kind in range(harm.shape[1]):
            out[lane] += harm[lane, kind]


@compiled
def _any_harm(harm: Any, kinds: Any, out: Any) -> None:
    """Lanes with harm of any of some kinds, (n, kinds) -> (n,)."""
    for lane in range(len(out)):
        out[lane] = False
        for kind in kinds:
            out[lane] |= harm[lane, kind] > 0.0


class NativeLanes(Lanes):
    """n lanes of a task of LoopLab's own.

    A task names its state arrays in ``STATE``, how many uniforms a reset and a step draw in
    ``RESET_DRAWS`` and ``STEP_DRAWS`` (always that many, whatever the action), and implements
    ``_begin``, ``_advance`` and ``_observe``. It sets ``observation_space``, ``action_space``,
    ``hold_action`` and, where a return counts as learned, ``threshold``.

    Attributes of a task's class:
        STATE: names of its state arrays, each of shape (n, ...).
        RESET_DRAWS, STEP_DRAWS: uniforms drawn at a reset and at a step.
        ACTIONS: names of discrete actions.
        COSTS: kinds of harm, in the order of ``_advance``'s columns.
        CATASTROPHES: those among them that cannot be undone.
        DRIFTS: constructor arguments that may drift, with their least and greatest values; each is
            an attribute, a float or, while a drift is set, an array of shape (n,).
        HIDDEN: state arrays that no observation may show, at least with ``reward_mode="hidden"``.
        EXACT_ERROR: how far the truth may lie above exact risk where that is rolled out.
        ESTIMATED_ERROR: how far estimated risk may be off on average where it is no posterior.
        CARD: what the task is about.

    Args:
        num_lanes: number of lanes, at least 1.
        max_episode_steps: steps after which an episode is truncated, at least 1.
        seed: lane i draws from seed + i.
        drift: a ``Drift`` or its fields; None: nothing drifts.
    """

    NAMES_OWN_ACTIONS: ClassVar[bool] = True
    STATE: ClassVar[tuple[str, ...]]
    RESET_DRAWS: ClassVar[int] = 0
    STEP_DRAWS: ClassVar[int]
    ACTIONS: tuple[str, ...] = ()
    COSTS: tuple[str, ...] = ("violation",)
    CATASTROPHES: tuple[str, ...] = ()
    DRIFTS: ClassVar[Mapping[str, tuple[float, float]]] = MappingProxyType({})
    HIDDEN: ClassVar[tuple[str, ...]] = ()
    EXACT_ERROR: ClassVar[float] = 0.0
    ESTIMATED_ERROR: ClassVar[float] = 0.0
    CARD: ClassVar[Card | None] = None
    #: Arrays that say what the last step did, which a copy takes along with ``STATE``.
    _TOLD: ClassVar[tuple[str, ...]] = ("_harm",)
    hold_action: Any
    _checked: ActionCheck | None = None
    _hold: Any = None

    def __init__(
        self,
        num_lanes: int = 1,
        max_episode_steps: int = 50,
        seed: int = 0,
        drift: Drift | Mapping[str, Any] | None = None,
    ) -> None:
        self.num_lanes = whole("num_lanes", num_lanes, 1)
        self.max_episode_steps = whole("max_episode_steps", max_episode_steps, 1)
        self.drift = as_drift(drift, self.DRIFTS)
        if max(self.RESET_DRAWS, self.STEP_DRAWS) > MAX_DRAWS:
            raise UsageError(f"{type(self).__name__} draws more than {MAX_DRAWS} numbers a step")
        fatal = [choice("kind of harm", kind, self.COSTS) for kind in self.CATASTROPHES]
        self._fatal = np.array([self.COSTS.index(kind) for kind in fatal], dtype=np.int64)
        self._drift_values: FloatArray | None = None
        self._drifted = np.zeros(self.num_lanes, dtype=np.bool_)
        #: Which value of the drifting parameter holds in each lane; 0 is the undrifted one.
        self.drift_level: IntArray = np.zeros(self.num_lanes, dtype=np.int64)
        self._harm = np.zeros((self.num_lanes, len(self.COSTS)))
        self.reseed(seed)

    def reseed(self, seed: int) -> None:
        """Lane i draws from ``seed + i`` from the next reset on, beginning with episode 0."""
        self._streams = Streams(self.num_lanes, "environment", seed)
        self.seed = int(seed)
        self.episode = np.full(self.num_lanes, -1, dtype=np.int64)
        self.elapsed = np.zeros(self.num_lanes, dtype=np.int64)
        #: Steps since each lane was seeded, which drift goes by; kept only where something drifts.
        self.clock = np.zeros(self.num_lanes, dtype=np.int64)

    def reset(self, mask: BoolArray | None = None) -> Observations:
        """Begins a new episode in the masked lanes (all by default); returns all observations.

        Raises:
            UsageError: if the mask is not one boolean per lane.
        """
        if mask is None:
            mask = np.ones(self.num_lanes, dtype=np.bool_)
        self._check_mask(mask)
        _begin_episodes(mask, self.episode, self.elapsed)
        if self.drift is not None:
            self._apply_drift(self.drift)
        self._begin(mask, self._reset_draws(mask))
        self.observation = self._observe()
        return self.observation

    def _check_mask(self, mask: BoolArray) -> None:
        """Refuses what is not one boolean per lane: numbers would be taken for lanes' indices."""
        given = np.asarray(mask)
        if given.shape != (self.num_lanes,) or mask is not given or given.dtype != np.bool_:
            raise UsageError(
                f"expected a mask of {self.num_lanes} lanes, an array of booleans, "
                f"got shape {given.shape} of {given.dtype}"
            )

    def _reset_draws(self, mask: BoolArray) -> FloatArray:
        """Uniforms of the masked lanes' resets, (n, RESET_DRAWS); the others' mean nothing."""
        return self._streams.at_reset(self.episode, mask, self.RESET_DRAWS)

    def step(self, actions: Actions, active: BoolArray | None = None) -> Step:
        """Runs one action in the active lanes (all by default).

        Raises:
            UsageError: if an action is not in the space, or ``active`` not one boolean per lane.
        """
        if self._checked is None:
            self._checked = ActionCheck(self.action_space, self.num_lanes)
        actions = self._checked(actions)
        if active is not None:
            self._check_mask(active)
        frozen = None if active is None or active.all() else ~active
        if frozen is not None:
            kept = {name: getattr(self, name)[frozen].copy() for name in self.STATE}
        self.elapsed += 1
        step = self._run(
            actions, self._streams.uniforms(self.episode, self.elapsed, self.STEP_DRAWS)
        )
        if frozen is not None:
            for name, values in kept.items():
                getattr(self, name)[frozen] = values
            self.elapsed[frozen] -= 1
            step.reward[frozen] = step.cost[frozen] = 0.0
            step.terminated[frozen] = step.truncated[frozen] = step.catastrophe[frozen] = False
            step.success[frozen] = np.nan
            self._freeze(frozen)
        if self.drift is not None:
            self._drifted = self.drift_level > 0
            self.clock += 1 if active is None else active
            self._apply_drift(self.drift)
        step.observation = self.observation = self._observe()
        return step

    def _run(self, actions: Actions, draws: FloatArray) -> Step:
        """Moves all lanes one step; what it did, but for what is seen after it."""
        reward, terminated, harm = self._advance(actions, draws)
        truncated = np.empty(self.num_lanes, dtype=np.bool_)
        _truncate(self.elapsed, self.max_episode_steps, terminated, truncated)
        self._harm = cost = harm
        if harm.ndim > 1:
            cost = np.empty(self.num_lanes)
            _add_up(harm, cost)
        return Step(
            observation=self.observation,
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            cost=cost,
            catastrophe=self._catastrophe(harm),
            success=self._success(terminated, truncated),
        )

    def _apply_drift(self, drift: Drift) -> None:
        """Gives the drifting parameter the value that each lane's clock asks for."""
        if self._drift_values is None:
            self._drift_values = drift.levels(float(getattr(self, drift.parameter)))
        self.drift_level = drift.level(self.clock)
        setattr(self, drift.parameter, self._drift_values[self.drift_level])

    def _levels(self, parameter: str) -> FloatArray:
        """Values of a parameter that may drift, by ``drift_level``, (L,); before any step."""
        value = float(getattr(self, parameter))
        if self.drift is None:
            return np.array([value])
        levels = self.drift.levels(value)
        return levels if self.drift.parameter == parameter else np.full(len(levels), value)

    def details(self) -> dict[str, Any]:
        """What ``info`` says beside cost and catastrophe of the last step, each (n,)."""
        harm = self._harm_by_kind()
        found: dict[str, Any] = {
            f"cost_{kind}": harm[:, column] for column, kind in enumerate(self.COSTS)
        }
        if self.drift is not None:
            found["drift_active"] = self._drifted
        return found

    def _harm_by_kind(self) -> FloatArray:
        """Harm of the last step, (n, kinds)."""
        return self._harm.reshape(self.num_lanes, -1)

    def fork(self, lane: int) -> gym.Env[Any, Any]:
        """A copy of one lane as a ``LaneEnv``, which shares the lane's random stream."""
        from looplab.envs.faces import LaneEnv  # faces are built on this module

        one = copy.copy(self)
        one.num_lanes = 1
        one._checked = None  # this lanes' own check expects as many actions as it has lanes
        one._hold = None
        one.seed = self.seed + lane
        one._streams = self._streams.of_lane(lane)
        drifting = ("clock", "drift_level", "_drifted")
        names = [*self.STATE, *self._TOLD, *drifting, "episode", "elapsed", "observation"]
        if self._drift_values is not None and self.drift is not None:
            names.append(self.drift.parameter)
        for name in names:
            setattr(one, name, getattr(self, name)[lane : lane + 1].copy())
        return LaneEnv(one)

    def hold(self) -> Actions | None:
        """The action that does nothing, (n,) or (n, *action shape)."""
        if self._hold is None:
            action = np.asarray(self.hold_action)
            self._hold = np.broadcast_to(action, (self.num_lanes, *action.shape)).copy()
        hold: Actions = self._hold
        return hold

    def redraw(self, seed: int) -> None:
        """Draws what follows from another seed, apart from every reset's, in the same states."""
        self._streams = Streams(self.num_lanes, "redrawn environment", seed)

    @abstractmethod
    def _begin(self, mask: BoolArray, draws: FloatArray) -> None:
        """Puts the masked lanes in their starting state; ``draws`` has shape (n, RESET_DRAWS).

        The draws of the other lanes mean nothing.
        """

    def _advance(
        self, actions: Actions, draws: FloatArray
    ) -> tuple[FloatArray, BoolArray, FloatArray]:
        """Moves all lanes one step; returns fresh reward (n,), terminated (n,) and harm.

        Harm is (n,) where there is one kind, else (n, kinds), at least 0; a task that gives the sum
        of several kinds as (n,) says in ``_harm_by_kind`` and ``_catastrophe`` what it was. A task
        that finds all of a ``Step`` at once has ``_run`` instead.
        """
        raise NotImplementedError

    @abstractmethod
    def _observe(self) -> Observations:
        """Fresh observations of all lanes."""

    def _freeze(self, frozen: BoolArray) -> None:
        """Forgets what the last step did in lanes that did not take it, beside ``STATE``."""
        self._harm[frozen] = 0.0

    def _catastrophe(self, harm: FloatArray) -> BoolArray:
        """Lanes whose step did irreversible harm, (n,): any of the kinds in ``CATASTROPHES``."""
        catastrophe = np.empty(self.num_lanes, dtype=np.bool_)
        _any_harm(harm.reshape(self.num_lanes, -1), self._fatal, catastrophe)
        return catastrophe

    def _success(self, terminated: BoolArray, truncated: BoolArray) -> FloatArray:
        """1 or 0 where an episode ended with or without success, (n,); NaN elsewhere."""
        success = np.empty(self.num_lanes)
        success.fill(np.nan)
        return success
