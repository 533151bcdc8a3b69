"""What is checked: how to build a task's lanes, its environment and its vector."""

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import gymnasium as gym

from looplab.envs.annotated import Annotated
from looplab.envs.core import Lanes
from looplab.envs.errors import UsageError, unknown
from looplab.envs.faces import LaneEnv, LaneVectorEnv
from looplab.envs.gym_lanes import GymLanes
from looplab.envs.native import REWARD_MODES, NativeLanes
from looplab.envs.registration import make_single

#: Lanes of environments that step one after another are checked with at most so many.
MOST_SLOW_LANES = 4


@dataclass(frozen=True)
class Task:
    """A task under check.

    Attributes:
        name: what reports call it.
        make: builds its lanes, called as ``make(num_lanes, **settings)``.
        env: builds one environment with a render mode; None: made of the lanes.
        vector: builds a vector of n environments; None: made of the lanes.
        costs: whether the task tells harm at all.
        hidden: names of state arrays that the agent must never see (native tasks).
        seed: what all checks are seeded from.
    """

    name: str
    make: Callable[..., Lanes]
    env: Callable[[str | None], gym.Env[Any, Any]] | None = None
    vector: Callable[[int], gym.vector.VectorEnv[Any, Any, Any]] | None = None
    costs: bool = True
    hidden: tuple[str, ...] = ()
    seed: int = 0

    @cached_property
    def one(self) -> Lanes:
        """A single lane, to be asked but never stepped."""
        lanes = self.make(1)
        if not isinstance(lanes, Lanes):
            raise UsageError(f"{self.name} makes a {type(lanes).__name__}, not lanes")
        return lanes

    @property
    def unseen(self) -> tuple[str, ...]:
        """State arrays that the agent must never see: the given ones and the class's ``HIDDEN``."""
        return (*self.hidden, *getattr(self.one, "HIDDEN", ()))

    @property
    def exact_error(self) -> float:
        """How far the truth may lie above exact risk: the class's ``EXACT_ERROR``, else 0."""
        return float(getattr(self.one, "EXACT_ERROR", 0.0))

    @property
    def estimated_error(self) -> float:
        """How far estimated risk may be off on average: the class's ``ESTIMATED_ERROR``, else 0."""
        return float(getattr(self.one, "ESTIMATED_ERROR", 0.0))

    @property
    def reward_modes(self) -> tuple[str, ...]:
        """The reward modes that the task can be built in."""
        return REWARD_MODES if self.native and self.takes("reward_mode") else ()

    @property
    def native(self) -> bool:
        """Whether the lanes are arrays with keyed draws, not environments of others."""
        return isinstance(self.one, NativeLanes)

    def lanes(self, num_lanes: int, shift: int = 0, **settings: Any) -> Lanes:
        """Lanes that have begun; ``shift`` is added to the seed."""
        count = num_lanes if self.native else min(num_lanes, MOST_SLOW_LANES)
        lanes = self.make(count, **settings)
        lanes.reseed(self.seed + shift)
        lanes.reset()
        return lanes

    def takes(self, argument: str) -> bool:
        """Whether the lanes can be built with an argument of this name."""
        parameters = inspect.signature(self.make).parameters
        return argument in parameters or any(
            p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()
        )

    def environment(self, render_mode: str | None = None) -> gym.Env[Any, Any]:
        """One environment of the task."""
        if self.env is not None:
            return self.env(render_mode)
        if self.native:
            return LaneEnv(self.make(1), render_mode)
        settings = {"render_mode": render_mode} if self.takes("render_mode") else {}
        lanes = self.make(1, **settings)
        return lanes.envs[0] if isinstance(lanes, GymLanes) else LaneEnv(lanes, render_mode)

    def environments(self, count: int) -> gym.vector.VectorEnv[Any, Any, Any]:
        """A vector of environments of the task."""
        return self.vector(count) if self.vector is not None else LaneVectorEnv(self.make(count))


def find(name: str) -> Task:
    """The task of a Gymnasium id, or the one that ``module:function`` builds lanes of.

    Args:
        name: a registered id; ``module:id``, where the module registers it; or ``module:function``,
            called as ``function(num_lanes)``.

    Raises:
        UsageError: if there is no such id, module or function.
    """
    module, colon, rest = name.partition(":")
    if colon:
        try:
            found = importlib.import_module(module)
        except ImportError as error:
            raise UsageError(f"no module named '{module}' for task '{name}' ({error})") from error
        if rest not in gym.registry:
            if not hasattr(found, rest):
                raise unknown(f"task of module {module}", rest, _offered(found))
            return Task(name, getattr(found, rest))
        name = rest
    if name not in gym.registry:
        raise unknown("task", name, gym.registry)
    spec = gym.spec(name)
    env = partial(_made, name)
    if str(spec.entry_point) == f"{make_single.__module__}:{make_single.__name__}":
        settings = dict(spec.kwargs)
        creator = gym.envs.registration.load_env_creator(settings.pop("task"))
        make: Any = partial(creator, **settings) if settings else creator
        return Task(name, make, env, lambda count: gym.make_vec(name, num_envs=count))
    costs = _tells_cost(env())
    return Task(name, partial(_gym_lanes, name, costs), env, costs=costs)


def _offered(module: Any) -> list[str]:
    own = [
        n
        for n, value in vars(module).items()
        if getattr(value, "__module__", "") == module.__name__
    ]
    return [name for name in own if callable(getattr(module, name))]


def _made(name: str, render_mode: str | None = None) -> gym.Env[Any, Any]:
    return gym.make(name, render_mode=render_mode, disable_env_checker=True)


def _tells_cost(env: gym.Env[Any, Any]) -> bool:
    env.reset(seed=0)
    info = env.step(env.action_space.sample())[-1]
    env.close()
    return "cost" in info


def _no_cost(transition: Any) -> float:
    return 0.0


def _gym_lanes(name: str, costs: bool, num_lanes: int) -> GymLanes:
    cost = None if costs else _no_cost
    return GymLanes([Annotated(_made(name), cost=cost) for _ in range(num_lanes)])
