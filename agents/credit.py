"""Which action the algorithm learns about: buffers that read the engine's last step."""

from collections.abc import Generator
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.buffers import MaskableRolloutBuffer
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer, RolloutBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.type_aliases import ReplayBufferSamples, RolloutBufferSamples

from looplab.agents.probe import PolicyOutput
from looplab.agents.q_learning import QLearning
from looplab.envs.core import Actions, BoolArray, FloatArray
from looplab.envs.errors import LoopLabError, UsageError
from looplab.oversight.engine import Engine
from looplab.oversight.parts import walk
from looplab.oversight.record import Record
from looplab.oversight.types import some
from looplab.oversight.vec_wrapper import OverseenVecEnv


def discards_proposals(protocol: Any) -> bool:
    """Whether proposals can be discarded unconsidered, while something waits."""
    return any(getattr(part, "discards", False) for part in walk(protocol))


def check(algorithm: type[BaseAlgorithm], credit: str, protocol: Any) -> None:
    """Refuses combinations of algorithm and credit that have no sound meaning.

    Raises:
        UsageError: naming the combination and what to use instead.
    """
    if issubclass(algorithm, OnPolicyAlgorithm) and credit == "both":
        raise UsageError(
            f"credit=both needs an off-policy algorithm: {algorithm.__name__} cannot learn from an "
            "action that never ran; use credit=proposed or executed"
        )
    if algorithm is MaskablePPO and credit == "executed":
        raise UsageError(
            "credit=executed has no meaning for MaskablePPO: what runs instead may be masked, so "
            "that its policy gives it no probability; use credit=proposed"
        )
    waits = discards_proposals(protocol)
    if issubclass(algorithm, (OffPolicyAlgorithm, QLearning)) and credit == "proposed" and waits:
        raise UsageError(
            f"credit=proposed with {algorithm.__name__} where proposals wait: a one-step target "
            "would take discarded proposals for decisions; use credit=executed or both"
        )


class CreditedRollouts(RolloutBuffer):
    """A rollout buffer that can store executed actions, and leaves out discarded proposals.

    It also bootstraps the values of truncated lanes all at once, where SB3 runs one pass per lane.

    Args:
        engine: the engine whose last step belongs to the transition that is added.
        policy: the model's policy, which values the last states of truncated episodes.
        executed: store the executed action where it differs from the proposed one, with its
            log-probability under the logits of that same step.
        *arguments: as ``RolloutBuffer``.
        **settings: as ``RolloutBuffer``.
    """

    def __init__(
        self, engine: Engine, policy: Any, executed: bool, *arguments: Any, **settings: Any
    ) -> None:
        self._engine = engine
        self._policy = policy
        self._executed = executed
        self._discards = discards_proposals(engine.protocol)
        super().__init__(*arguments, **settings)
        self._row_shape = (self.n_envs, *self.obs_shape)

    def reset(self) -> None:
        """Empties the buffer."""
        super().reset()
        self.considered: BoolArray = np.ones((self.buffer_size, self.n_envs), dtype=np.bool_)

    def add(
        self,
        obs: Any,
        action: Any,
        reward: Any,
        episode_start: Any,
        value: torch.Tensor,
        log_prob: torch.Tensor,
    ) -> None:
        """Adds one step of all lanes, with the action that is credited."""
        record = _last(self._engine)
        if self._discards and some(record.unconsidered):
            self.considered[self.pos] = ~record.unconsidered
        if some(record.truncated):
            timeouts = record.truncated & ~record.terminated
            reward = reward + timeouts * self._gamma_values(record.observation)
        if self._executed:
            action, log_prob = self._as_executed(record, action, log_prob)
        at = self.pos
        self.observations[at] = obs.reshape(self._row_shape)
        self.actions[at] = action.reshape(self.n_envs, self.action_dim)
        self.rewards[at] = reward
        self.episode_starts[at] = episode_start
        self.values[at] = value.numpy().reshape(-1)
        self.log_probs[at] = log_prob.numpy().reshape(-1)
        self.pos += 1
        self.full = self.pos == self.buffer_size

    @staticmethod
    def _as_executed(
        record: Record, action: Any, log_prob: torch.Tensor
    ) -> tuple[Any, torch.Tensor]:
        """The actions that ran, with their log-probabilities under the same step's logits."""
        replaced = record.intervened & ~record.halted
        if not some(replaced):
            return action, log_prob
        policy = record.policy
        if not isinstance(policy, PolicyOutput):
            raise UsageError("credit=executed needs the policy's logits of the same step")
        new = torch.as_tensor(policy.log_probability(record.executed), dtype=log_prob.dtype)
        log_prob = torch.where(torch.as_tensor(replaced), new, log_prob)
        return np.where(replaced[:, None], record.executed[:, None], action), log_prob

    def _gamma_values(self, observation: Any) -> Any:
        """Discounted values of the states in which episodes were cut off, shape (n,)."""
        tensor = self._policy.obs_to_tensor(observation)[0]
        with torch.no_grad():
            values: torch.Tensor = self._policy.predict_values(tensor)
        return self.gamma * values.numpy().reshape(-1)

    def get(self, batch_size: int | None = None) -> Generator[RolloutBufferSamples, None, None]:
        """Minibatches in random order, without discarded proposals.

        Raises:
            LoopLabError: if every proposal of the rollout was discarded.
        """
        if self.considered.all():
            yield from super().get(batch_size)
            return
        next(super().get(None))  # flattens the arrays, once
        kept = np.flatnonzero(self.swap_and_flatten(self.considered).reshape(-1))
        if len(kept) == 0:
            raise LoopLabError("every proposal of a rollout was discarded: reviews take too long")
        order = np.random.permutation(kept)  # noqa: NPY002 - SB3 seeds and uses this generator
        size = len(order) if batch_size is None else batch_size
        for first in range(0, len(order), size):
            yield self._get_samples(order[first : first + size])


class MaskedRollouts(CreditedRollouts, MaskableRolloutBuffer):  # type: ignore[misc]
    """``CreditedRollouts`` that keep each step's action masks, for MaskablePPO."""

    def add(self, *transition: Any, action_masks: Any = None) -> None:  # type: ignore[override]
        """Adds one step of all lanes, with what could be proposed."""
        if action_masks is not None:
            self.action_masks[self.pos] = action_masks
        super().add(*transition)


class CreditedReplay(ReplayBuffer):
    """A replay buffer that stores executed actions and, for ``both``, refused ones beside them.

    A refused proposal is stored as a terminal transition whose reward is the step's minus the
    penalty; the executed action's own transition then goes without the penalty. Samples mix the
    two in proportion to what is stored.

    Args:
        engine: the engine whose last step belongs to the transition that is added.
        policy: the model's policy, which scales continuous actions.
        refused: keep refused proposals too.
        *arguments: as ``ReplayBuffer``.
        **settings: as ``ReplayBuffer``.
    """

    def __init__(
        self, engine: Engine, policy: Any, refused: bool, *arguments: Any, **settings: Any
    ) -> None:
        super().__init__(*arguments, **settings)
        self._engine = engine
        self._policy = policy
        self._keep_refused = refused
        self._refused = 0
        if refused:
            rows = self.buffer_size * self.n_envs
            self._refused_observations = np.zeros((rows, *self.obs_shape), self.observations.dtype)
            self._refused_actions = np.zeros((rows, self.action_dim), self.actions.dtype)
            self._refused_rewards = np.zeros((rows, 1), np.float32)

    def add(self, obs: Any, next_obs: Any, action: Any, reward: Any, done: Any, infos: Any) -> None:
        """Adds one step of all lanes, with the action that ran."""
        record = _last(self._engine)
        proposed = action.reshape(self.n_envs, self.action_dim)
        executed = self._scaled(record.executed).reshape(proposed.shape)
        replaced = (record.intervened & ~record.halted)[:, None]
        if self._keep_refused:
            penalty = self._engine.signal.penalty * record.decision.charged
            self._add_refused(record, obs, proposed, reward)
            reward = reward + penalty.astype(np.float32)
        stored = np.where(replaced, executed, proposed)
        super().add(obs, next_obs, stored, reward, done, infos)

    def _scaled(self, actions: Actions) -> Actions:
        if isinstance(self.action_space, gym.spaces.Box):
            scaled: Actions = self._policy.scale_action(actions)
            return scaled
        return actions

    def _add_refused(self, record: Record, obs: Any, proposed: Actions, reward: Any) -> None:
        lanes = np.flatnonzero(record.decision.refused)
        observations = np.asarray(obs).reshape(self.n_envs, *self.obs_shape)
        for lane in lanes:
            place = self._refused % len(self._refused_rewards)
            self._refused_observations[place] = observations[lane]
            self._refused_actions[place] = proposed[lane]
            self._refused_rewards[place] = reward[lane]
            self._refused += 1

    def sample(self, batch_size: int, env: Any = None) -> ReplayBufferSamples:
        """A minibatch in which every stored transition is equally likely."""
        stored = self.size() * self.n_envs
        refused = min(self._refused, stored) if self._keep_refused else 0
        share = refused / (refused + stored)
        count = int(np.random.binomial(batch_size, share))  # noqa: NPY002 - SB3's generator
        if count == 0:
            return super().sample(batch_size, env)
        rows = np.random.randint(0, refused, size=count)  # noqa: NPY002 - SB3's generator
        normalized: Any = self._normalize_obs(self._refused_observations[rows], env)
        observations = self.to_torch(normalized)
        extra = ReplayBufferSamples(
            observations=observations,
            actions=self.to_torch(self._refused_actions[rows]),
            next_observations=observations,
            dones=torch.ones((count, 1)),
            rewards=self.to_torch(self._normalize_reward(self._refused_rewards[rows], env)),
        )
        if count == batch_size:
            return extra
        base = super().sample(batch_size - count, env)
        pairs = zip(base[:5], extra[:5], strict=True)
        return ReplayBufferSamples(*(torch.cat(pair) for pair in pairs))


class CreditedSteps:
    """Says which action a table learns about: the one that ran and, for ``both``, a refused one.

    A refused proposal counts as terminal, with the step's reward minus the penalty; the action that
    ran then goes without the penalty.

    Args:
        engine: the engine whose last step is learned from.
        refused: learn about refused proposals too.
    """

    def __init__(self, engine: Engine, refused: bool) -> None:
        self._engine = engine
        self._learns_refused = refused

    def __call__(
        self, proposed: Actions, rewards: FloatArray
    ) -> tuple[Actions, FloatArray, FloatArray]:
        """Actions that count, their rewards, and those of refused proposals (NaN: none), (n,)."""
        record = _last(self._engine)
        replaced = record.intervened & ~record.halted
        stored = np.where(replaced, record.executed, proposed)
        if not self._learns_refused:
            return stored, rewards, np.full(len(rewards), np.nan)
        refused = np.where(record.decision.refused, rewards, np.nan)
        return stored, rewards + self._engine.signal.penalty * record.decision.charged, refused


def _last(engine: Engine) -> Record:
    if engine.last is None:
        raise UsageError("a credited buffer needs an overseen environment that has been stepped")
    return engine.last


def credit(model: BaseAlgorithm, venv: OverseenVecEnv) -> None:
    """Gives the model the buffer that its signal's credit asks for.

    The buffer is an instance of the running model only: the model's settings, and so its saved
    file, name Stable-Baselines3's own classes.

    Args:
        model: an SB3 model on an overseen environment.
        venv: that environment.

    Raises:
        UsageError: for a combination without a sound meaning.
    """
    engine = venv.oversight
    wanted = engine.signal.credit
    check(type(model), wanted, engine.protocol)
    if isinstance(model, OnPolicyAlgorithm):
        if wanted == "executed" and not isinstance(model.action_space, gym.spaces.Discrete):
            raise UsageError("credit=executed with an on-policy algorithm needs discrete actions")
        buffer = MaskedRollouts if isinstance(model, MaskablePPO) else CreditedRollouts
        model.rollout_buffer = buffer(
            engine, model.policy, wanted == "executed", model.n_steps, model.observation_space,
            model.action_space, device=model.device, gamma=model.gamma,
            gae_lambda=model.gae_lambda, n_envs=model.n_envs,
        )  # fmt: skip
        venv.flag_timeouts = False
    elif isinstance(model, OffPolicyAlgorithm) and wanted != "proposed":
        model.replay_buffer = CreditedReplay(
            engine, model.policy, wanted == "both", model.buffer_size, model.observation_space,
            model.action_space, device=model.device, n_envs=model.n_envs,
        )  # fmt: skip
    elif isinstance(model, QLearning) and wanted != "proposed":
        model.credit = CreditedSteps(engine, wanted == "both")
