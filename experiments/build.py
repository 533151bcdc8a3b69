"""From a resolved configuration to running parts; the one place that knows all rooms."""

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate

from looplab.agents.lanes_vec_env import LanesVecEnv
from looplab.agents.loading import begin_from
from looplab.agents.sb3 import Agent
from looplab.envs.core import Lanes
from looplab.envs.errors import LoopLabError, UsageError, unknown
from looplab.experiments.composition import one_line
from looplab.oversight.engine import Settings
from looplab.oversight.ledger import Ledger
from looplab.oversight.protocols.autonomous import Autonomous
from looplab.oversight.protocols.base import OversightProtocol
from looplab.oversight.protocols.stack import Stack
from looplab.oversight.signals import Signal
from looplab.oversight.vec_wrapper import OverseenVecEnv

#: Seeds of Gymnasium and of torch fit into this many bits.
_SEED_BITS = 31
_TARGET = "_target_"


@dataclass(frozen=True)
class Parts:
    """What one run is made of, apart from its environment."""

    agent: Agent
    protocol: OversightProtocol
    signal: Signal
    settings: Settings


@dataclass(frozen=True)
class Seeds:
    """Seeds of one run's streams; other streams never share numbers with these.

    Attributes:
        environment: lane i of training draws from this + i; the overseers' streams are keyed by
            the same number under other names.
        policy: initial weights, exploration and minibatches.
        evaluation: held-out environments, the same for every evaluation of the run.
        evaluation_policy: action noise of the evaluations.
    """

    environment: int
    policy: int
    evaluation: int
    evaluation_policy: int

    @classmethod
    def of(cls, seed: int) -> "Seeds":
        """Spawns the streams of a run from its seed."""
        spawned = np.random.SeedSequence(seed).spawn(4)
        return cls(*(int(s.generate_state(1)[0]) % (1 << _SEED_BITS) for s in spawned))


def make(config: Any, **settings: Any) -> Any:
    """Instantiates one node of a configuration.

    Args:
        config: a mapping with ``_target_``.
        **settings: further constructor arguments.

    Raises:
        LoopLabError: the constructor's own complaint, if it has one in LoopLab's words.
        UsageError: if a part is given a key that its constructor does not know.
        UsageError: if the constructor refuses its arguments.
    """
    _check_keys(config, settings)
    try:
        return instantiate({**config, **settings, "_convert_": "all"})
    except InstantiationException as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, LoopLabError):
                raise cause from None
            cause = cause.__cause__ or cause.__context__
        reason = error.__cause__ if isinstance(error.__cause__, Exception) else error
        raise UsageError(f"{config.get('_target_')}: {one_line(reason)}") from error


def _check_keys(node: Any, settings: Collection[str] = ()) -> None:
    """Refuses keys that no argument of the part answers to, here and in the parts within.

    Args:
        node: part of a configuration.
        settings: arguments that the configuration does not choose.
    """
    if isinstance(node, list | tuple):
        for item in node:
            _check_keys(item)
    if not isinstance(node, Mapping):
        return
    if _TARGET in node:
        _check_arguments(node, settings)
    for value in node.values():
        _check_keys(value)


def _check_arguments(node: Mapping[Any, Any], settings: Collection[str]) -> None:
    try:
        found = get_object(node[_TARGET])
        named = _named_arguments(found)
    except Exception:  # what is no part at all, instantiating it will tell
        return
    if named is None:
        return
    allowed = named.difference(settings)
    for key in node:
        if key not in allowed and not str(key).startswith("_"):
            raise unknown(f"key of {found.__name__}", key, allowed)


@cache
def _named_arguments(found: Callable[..., Any]) -> frozenset[str] | None:
    """Names of the arguments of a part; None where it takes any."""
    arguments = inspect.signature(found).parameters.values()
    if any(argument.kind is argument.VAR_KEYWORD for argument in arguments):
        return None
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return frozenset(argument.name for argument in arguments if argument.kind in kinds)


def parts(config: Mapping[str, Any]) -> Parts:
    """Builds agent, protocol, signal and settings."""
    return Parts(
        agent=make(config["agent"]),
        protocol=make(config["protocol"]),
        signal=make(config["signal"]),
        settings=Settings(
            tolerance=config["tolerance"],
            wage_per_hour=config["wage_per_hour"],
            fee_per_review=config["fee_per_review"],
        ),
    )


def lanes(config: Mapping[str, Any], num_lanes: int, drawn: bool = False) -> Lanes:
    """Builds the task's lanes.

    Args:
        config: a run's resolved configuration; its ``env`` is used.
        num_lanes: number of lanes.
        drawn: whether they are to be drawn in pixels, where that must be said when they are made.
    """
    env, mode = config["env"], {}
    if drawn and "render_mode" in inspect.signature(get_object(env["_target_"])).parameters:
        mode = {"render_mode": "rgb_array"}
    built: Lanes = make(env, num_lanes=num_lanes, **mode)
    return built


def oversee(
    task: Lanes,
    built: Parts,
    seed: int,
    overseen: bool = True,
    ledger: Ledger | None = None,
    beside: OversightProtocol | None = None,
) -> OverseenVecEnv:
    """Puts lanes under the run's oversight, or under none, with lane i drawing from seed + i.

    Args:
        task: the lanes.
        built: the run's parts.
        seed: of the environment and of the overseers.
        overseen: whether the run's protocol oversees; else nobody does.
        ledger: where decisions are written.
        beside: a further protocol, which sees what the other lets run.
    """
    protocol = built.protocol if overseen else Autonomous()
    venv = OverseenVecEnv(
        LanesVecEnv(task),
        protocol if beside is None else Stack(protocol, beside),
        signal=built.signal if overseen else Signal(),
        settings=built.settings,
        ledger=ledger,
    )
    venv.seed(seed)
    return venv


def check(config: Mapping[str, Any]) -> None:
    """Builds everything once, untrained, before anything runs.

    Raises:
        UsageError: naming what does not fit.
    """
    built = parts(config)
    task = lanes(config, built.agent.lanes)
    built.agent.check(task, built.protocol, built.signal.credit)
    seeds = Seeds.of(config["seed"])
    venv = oversee(task, built, seeds.environment)
    try:
        model = built.agent.build(venv, seeds.policy)
        begin_from(config.get("start_from"), model, venv)
    finally:
        venv.close()
