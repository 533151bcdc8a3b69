"""Any environment that is registered with Gymnasium, with cost and risk by name."""

from collections.abc import Mapping
from functools import partial
from importlib import import_module
from typing import Any

import gymnasium as gym
import numpy as np

from looplab.envs.adapters.building import made, side_by_side
from looplab.envs.annotated import ActionFunction, Annotated, CostFunction, RiskFunction, Transition
from looplab.envs.card import Card
from looplab.envs.errors import UsageError, unknown
from looplab.envs.gym_lanes import GymLanes
from looplab.envs.look_ahead import LookAhead

CARD = Card(
    violation="as cost= says: what the environment reports, its termination, or your function",
    temptation="your environment's own",
    fallback="as hold= says",
    risk="as risk= says: look-ahead in copies, or your function",
    reference="none, unless the registration states a reward that counts as solved",
    source="Gymnasium's registry",
)


def terminated(transition: Transition) -> float:
    """1 where the step terminated the episode, else 0."""
    return float(transition.terminated)


#: Costs that have a name; ``info`` is what the environment reports itself.
COSTS: dict[str, CostFunction | None] = {"info": None, "terminated": terminated}


def make(
    id: str,
    cost: str = "info",
    risk: str | None = None,
    hold: Any = None,
    correction: str | None = None,
    copies: int = 8,
    horizon: int = 1,
    kwargs: Mapping[str, Any] | None = None,
    max_episode_steps: int | None = None,
    render_mode: str | None = None,
) -> Annotated:
    """An environment with harm, risk, hold and correction, as named.

    Functions are named by where they are, ``module:function``. Observations made of several parts
    are flattened into one vector.

    Args:
        id: registered id, ``Name-v0``, or ``module:Name-v0`` where importing registers it.
        cost: ``info``, the environment's own ``info["cost"]``; ``terminated``, every termination;
            or a function of a ``Transition``.
        risk: ``look_ahead`` in copies; a function of (env, action); or None, if nothing is known.
        hold: the action that does nothing, or a function of the environment that chooses it; None:
            zeros of a Box, the first of Discrete actions.
        correction: a function of the environment that chooses the right action; None: what holds.
        copies: copies of a look-ahead.
        horizon: steps of a look-ahead; more than one need ``hold``.
        kwargs: the environment's own arguments.
        max_episode_steps: steps after which an episode is truncated; None: as registered.
        render_mode: ``rgb_array``, ``ansi`` or None.

    Raises:
        UsageError: if an argument is out of range, or names nothing.
    """
    harm: CostFunction | None = COSTS[cost] if cost in COSTS else named("cost", cost, COSTS)
    env = made(id, max_episode_steps, render_mode, ("ansi", "rgb_array"), **(kwargs or {}))
    if isinstance(env.observation_space, gym.spaces.Dict | gym.spaces.Tuple):
        env = gym.wrappers.FlattenObservation(env)
    act = _hold(hold, env.action_space)
    known: RiskFunction | None = None
    if risk == "look_ahead":
        known = LookAhead(copies, horizon, harm, act)
    elif risk is not None:
        known = named("risk", risk, ("look_ahead",))
    right = act if correction is None else named("correction", correction, ())
    return Annotated(env, cost=harm, risk=known, hold=act, correction=right)


def lanes(
    num_lanes: int = 1,
    id: str = "CartPole-v1",
    cost: str = "info",
    risk: str | None = None,
    hold: Any = None,
    correction: str | None = None,
    copies: int = 8,
    horizon: int = 1,
    threshold: float | None = None,
    kwargs: Mapping[str, Any] | None = None,
    max_episode_steps: int | None = None,
    render_mode: str | None = None,
) -> GymLanes:
    """As many lanes of ``make``.

    Args:
        num_lanes: number of lanes, at least 1.
        id: as in ``make``.
        cost: as in ``make``.
        risk: as in ``make``.
        hold: as in ``make``.
        correction: as in ``make``.
        copies: as in ``make``.
        horizon: as in ``make``.
        threshold: mean task return that counts as learned; None: as registered, if it is stated.
        kwargs: as in ``make``.
        max_episode_steps: as in ``make``.
        render_mode: as in ``make``.
    """
    maker = partial(
        make, id, cost, risk, hold, correction, copies, horizon, kwargs, max_episode_steps,
        render_mode,
    )  # fmt: skip
    built = side_by_side(maker, num_lanes)
    spec = built.envs[0].spec
    stated = threshold if threshold is not None or spec is None else spec.reward_threshold
    built.threshold = float("nan") if stated is None else float(stated)
    return built


def named(argument: str, place: str, names: Any) -> Any:
    """What ``module:function`` names.

    Raises:
        UsageError: if it names nothing, with what else the argument may be.
    """
    module, colon, name = str(place).partition(":")
    if not colon:
        raise unknown(argument, place, [*names, "module:function"])
    try:
        return getattr(import_module(module), name)
    except ImportError as error:
        raise UsageError(
            f"{argument}={place!r}: {error}; for a module in this folder set PYTHONPATH=."
        ) from error
    except AttributeError as error:
        raise UsageError(f"{argument}={place!r}: {error}") from error


def _hold(hold: Any, space: gym.Space[Any]) -> ActionFunction:
    """A function that holds, from what a configuration can hold.

    Raises:
        UsageError: if the action is not in the space, or nothing holds in such a space.
    """
    if isinstance(hold, str):
        function: ActionFunction = named("hold", hold, ())
        return function
    if hold is None and isinstance(space, gym.spaces.Discrete):
        hold = int(space.start)
    elif hold is None and isinstance(space, gym.spaces.Box):
        hold = np.clip(np.zeros(space.shape, space.dtype), space.low, space.high)
    action = np.asarray(hold, np.float32) if isinstance(hold, list | tuple) else hold
    if not space.contains(action):
        raise UsageError(f"hold={hold!r} is not in the action space {space}")
    return partial(_same, action)


def _same(action: Any, env: gym.Env[Any, Any]) -> Any:
    return action
