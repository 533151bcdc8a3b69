"""Stable-Baselines3 algorithms with settings that learn well and run fast on small tasks."""

import inspect
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import Any

import gymnasium as gym
import torch
from sb3_contrib import MaskablePPO
from stable_baselines3 import DQN, PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from looplab.agents import credit
from looplab.agents.lean import lean
from looplab.agents.probe import CONFIDENCES, ActorProbe, QProbe, has_probabilities, probe
from looplab.agents.q_learning import QLearning
from looplab.agents.table_policy import observations_of
from looplab.envs.core import Lanes
from looplab.envs.errors import UsageError, choice, probability, unknown, whole
from looplab.oversight.engine import Engine
from looplab.oversight.parts import CONFIDENCE, PROBABILITIES, needs, walk
from looplab.oversight.protocols.rules import ruling
from looplab.oversight.vec_wrapper import OverseenVecEnv

#: Algorithms by name, with the action spaces that they can act in.
ALGORITHMS: dict[str, tuple[type[BaseAlgorithm], tuple[type[gym.Space[Any]], ...]]] = {
    "ppo": (PPO, (gym.spaces.Discrete, gym.spaces.Box)),
    "dqn": (DQN, (gym.spaces.Discrete,)),
    "sac": (SAC, (gym.spaces.Box,)),
    "maskable_ppo": (MaskablePPO, (gym.spaces.Discrete,)),
    "q_learning": (QLearning, (gym.spaces.Discrete,)),
}
#: Settings of theirs that are probabilities or discounts, and whole numbers of at least 1: their
#: constructors take any number, and fail later or learn nothing.
_FRACTIONS = (
    "gamma", "gae_lambda", "tau", "epsilon",
    "exploration_fraction", "exploration_initial_eps", "exploration_final_eps",
)  # fmt: skip
_COUNTS = ("n_steps", "n_epochs", "batch_size", "buffer_size")
#: Arguments of their constructors that LoopLab gives itself.
_OWN = (
    "policy", "env", "seed", "device", "verbose", "policy_kwargs", "_init_setup_model",
)  # fmt: skip


@dataclass(frozen=True)
class Agent:
    """An algorithm and its settings.

    Attributes:
        algorithm: ``ppo``, ``dqn``, ``sac``, ``q_learning`` (a table, no network), or
            ``maskable_ppo``, which proposes only what the protocol's rules allow (Huang & Ontanon
            2020, "A closer look at invalid action masking in policy gradient algorithms").
        lanes: lanes of the training environment, at least 1.
        settings: arguments of the algorithm's constructor, as Stable-Baselines3 names them.
        hidden: widths of the hidden layers of policy and value networks.
        confidence: ``softmax_q`` to let a DQN's Q-values count as logits; None: no confidence.
        temperature: of that softmax, above 0.
    """

    algorithm: str = "ppo"
    lanes: int = 16
    settings: Mapping[str, Any] = field(default_factory=dict)
    hidden: tuple[int, ...] = (64, 64)
    confidence: str | None = None
    temperature: float = 1.0

    def __post_init__(self) -> None:
        """Checks the settings that are LoopLab's own."""
        choice("algorithm", self.algorithm, ALGORITHMS)
        whole("lanes", self.lanes, 1)
        for width in self.hidden:
            whole("each of hidden", width, 1)
        arguments = set(inspect.signature(self.kind).parameters).difference(_OWN)
        for name in self.settings:
            if name not in arguments:
                raise unknown("key of agent.settings", name, arguments)
            _check_finite(f"agent.settings.{name}", self.settings[name])
            if name in _FRACTIONS:
                probability(name, self.settings[name])
            elif name in _COUNTS:
                whole(name, self.settings[name], 1)
        if self.confidence not in CONFIDENCES:
            raise unknown("agent.confidence", self.confidence, CONFIDENCES)

    @property
    def kind(self) -> type[BaseAlgorithm]:
        """Class of the algorithm."""
        return ALGORITHMS[self.algorithm][0]

    def check(self, lanes: Lanes, protocol: Any, credited: str) -> None:
        """Refuses what cannot run, before anything trains.

        Args:
            lanes: the task.
            protocol: the protocol, with its parts.
            credited: the signal's credit.

        Raises:
            UsageError: naming what does not fit and what would.
        """
        spaces = ALGORITHMS[self.algorithm][1]
        if not isinstance(lanes.action_space, spaces):
            fit = [n for n, (_, s) in ALGORITHMS.items() if isinstance(lanes.action_space, s)]
            raise UsageError(
                f"agent={self.algorithm} cannot act in {lanes.action_space}; "
                f"use one of: {', '.join(fit) or 'none fits'}"
            )
        if self.kind is QLearning:
            observations_of(lanes)
        credit.check(self.kind, credited, protocol)
        if self.kind is MaskablePPO and not ruling(protocol):
            raise UsageError(
                "agent=maskable_ppo proposes what rules allow, and this protocol has none: use "
                "regime=rules or behind_the_loop, or agent=ppo"
            )
        if not self.probe_needed(protocol, credited):
            return
        if self.algorithm == "sac" or not isinstance(lanes.action_space, gym.spaces.Discrete):
            raise UsageError(
                f"agent={self.algorithm} on {lanes.action_space} has no action probabilities, "
                "which this trigger, fallback or credit needs"
            )
        if self.algorithm == "dqn" and self.confidence is None and self._asks(protocol):
            raise UsageError(
                "agent=dqn has no confidence of its own: set agent.confidence=softmax_q, "
                "or use agent=ppo or a trigger on risk"
            )
        if self.algorithm == "q_learning":
            raise UsageError(
                "agent=q_learning has no confidence: a table holds values, no probabilities; use "
                "agent=ppo or a trigger on risk"
            )

    @staticmethod
    def _asks(protocol: Any) -> bool:
        return bool(needs(protocol) & {CONFIDENCE, PROBABILITIES})

    def probe_needed(self, protocol: Any, credited: str = "proposed") -> bool:
        """Whether a part, or the credit, needs the policy's probabilities."""
        on_policy = issubclass(self.kind, OnPolicyAlgorithm)
        return self._asks(protocol) or (on_policy and credited == "executed")

    @staticmethod
    def _wanted(engine: Engine) -> bool:
        """Whether a part would show the policy's probabilities, and can do without."""
        return any(getattr(part, "wants_probabilities", False) for part in walk(engine.protocol))

    def probe(self, model: BaseAlgorithm, engine: Engine) -> ActorProbe | QProbe | None:
        """Lets the engine read the model's own forward pass, where a part needs or wants it."""
        needed = self.probe_needed(engine.protocol, engine.signal.credit)
        if not needed and not (self._wanted(engine) and has_probabilities(model)):
            return None
        reader = probe(model, self.confidence, self.temperature)
        engine.policy = reader
        return reader

    def build(self, venv: OverseenVecEnv, seed: int, gamma: float | None = None) -> BaseAlgorithm:
        """Builds the model on an overseen environment.

        Args:
            venv: the environment; its seed is set apart.
            seed: of the policy's own stream.
            gamma: discount; None: the algorithm's own setting.

        Raises:
            UsageError: if the algorithm refuses a setting.
        """
        torch.set_num_threads(1)
        settings = dict(self.settings)
        if gamma is not None:
            settings["gamma"] = gamma
        kind: Any = self.kind
        environment_seed = venv.oversight.lanes.seed
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings(
                    "ignore", message=".*mini-batch size.*", category=UserWarning
                )
                policy, policy_settings = self._policy(venv.oversight.lanes)
                model: BaseAlgorithm = kind(
                    policy, venv, seed=seed, device="cpu", verbose=0,
                    policy_kwargs=policy_settings, **settings,
                )  # fmt: skip
        except (TypeError, ValueError, AssertionError) as error:
            raise UsageError(f"agent={self.algorithm} refuses its settings: {error}") from error
        venv.seed(environment_seed)  # the constructor seeded it with the policy's seed
        credit.credit(model, venv)
        return model

    def _policy(self, lanes: Lanes) -> tuple[str, dict[str, Any]]:
        """Name and settings of the policy: a table, or networks."""
        if self.kind is QLearning:
            return "TablePolicy", {"observations": observations_of(lanes)}
        return "MlpPolicy", {"net_arch": list(self.hidden)}


def _check_finite(name: str, value: Any) -> None:
    """Refuses numbers that are not finite, also within lists and mappings."""
    if isinstance(value, Real) and not math.isfinite(value):
        raise UsageError(f"{name} must be finite, got {value!r}")
    if isinstance(value, Mapping):
        for key, item in value.items():
            _check_finite(f"{name}.{key}", item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_finite(name, item)


class _Progress(BaseCallback):
    """Reports steps at the end of every rollout, or about every ``every`` steps."""

    def __init__(self, report: Callable[[int], None], every: int) -> None:
        super().__init__()
        self._report = report
        self._every = every
        self._reported = 0

    def _on_step(self) -> bool:
        if self.num_timesteps - self._reported >= self._every:
            self._report(self.num_timesteps - self._reported)
            self._reported = self.num_timesteps
        return True

    def _on_training_end(self) -> None:
        self._report(self.num_timesteps - self._reported)
        self._reported = self.num_timesteps


_REPORT_STEPS = 2048


def train(
    model: BaseAlgorithm, total_steps: int, report: Callable[[int], None] | None = None
) -> int:
    """Trains for ``total_steps``, rounded up to whole steps of all lanes; returns the steps run.

    An on-policy algorithm's last rollout shrinks to what is left, so that no run is longer than it
    was asked to be.

    Args:
        model: the model.
        total_steps: steps over all lanes together, at least 1.
        report: called with the steps since the last call.
    """
    whole("total_steps", total_steps, 1)
    callback = _Progress(report or (lambda steps: None), _REPORT_STEPS)
    with lean(model):
        return _train(model, total_steps, callback)


def _train(model: BaseAlgorithm, total_steps: int, callback: BaseCallback) -> int:
    if not isinstance(model, OnPolicyAlgorithm):
        model.learn(total_steps, callback=callback)
        return model.num_timesteps
    rollout = model.n_steps * model.n_envs
    if total_steps >= rollout:
        model.learn(total_steps // rollout * rollout, callback=callback)
    rest = -(-(total_steps - model.num_timesteps) // model.n_envs)
    if rest > 0:
        full = model.n_steps
        model.n_steps = model.rollout_buffer.buffer_size = rest
        first = model.num_timesteps == 0
        model.learn(rest * model.n_envs, callback=callback, reset_num_timesteps=first)
        model.n_steps = model.rollout_buffer.buffer_size = full
    return model.num_timesteps


def save(model: BaseAlgorithm, path: Path) -> None:
    """Saves a model that plain Stable-Baselines3 loads, whole or not at all."""
    hidden = path.with_name(f".{path.name}.tmp.zip")
    model.save(hidden)
    hidden.replace(path)
