"""Tabular Q-learning (Watkins 1989; Sutton & Barto 2018, section 6.5) as an SB3 algorithm.

One table of values, a row for every observation that the task can show, is what is learned; several
lanes share it, and each step's transitions are learned from at once, lane by lane.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import MaybeCallback, Schedule

from looplab.agents.table_policy import TablePolicy
from looplab.envs.core import Actions, BoolArray, FloatArray, IntArray
from looplab.envs.errors import finite, probability

#: Training episodes between two lines of the log.
_LOG_EPISODES = 100


#: What is learned about after a step: from actions and rewards, (n,), those that count, and the
#: rewards of refused proposals, NaN in lanes where none was.
Credit = Callable[[Actions, FloatArray], tuple[Actions, FloatArray, FloatArray]]


class QLearning(BaseAlgorithm):
    """Off-policy temporal-difference control with a table (Watkins 1989).

    The defaults are those of Sutton & Barto's cliff (2018, example 6.6). A truncated episode is no
    end: its last state's value counts.

    Args:
        policy: ``TablePolicy``.
        env: with a Discrete action space.
        learning_rate: step size alpha in [0, 1], or a schedule of it.
        gamma: discount in [0, 1].
        epsilon: probability of a random action, in [0, 1].
        initial_value: of every action at the start; above what can be earned it makes agents try.
        policy_kwargs: ``observations``, see ``observations_of``.
        tensorboard_log: as everywhere in SB3, like those that follow.
        verbose: as in SB3.
        seed: as in SB3.
        device: a table lies in main memory, ``cpu``.
        _init_setup_model: whether to build the table now.

    Raises:
        UsageError: if an argument is out of range.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"TablePolicy": TablePolicy}
    policy: TablePolicy

    def __init__(
        self,
        policy: str | type[BasePolicy],
        env: Any,
        learning_rate: float | Schedule = 0.5,
        gamma: float = 1.0,
        epsilon: float = 0.1,
        initial_value: float = 0.0,
        policy_kwargs: dict[str, Any] | None = None,
        tensorboard_log: str | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "cpu",
        _init_setup_model: bool = True,
    ) -> None:
        if not callable(learning_rate):
            probability("learning_rate", learning_rate)
        self.gamma = probability("gamma", gamma)
        self.epsilon = probability("epsilon", epsilon)
        self.initial_value = finite("initial_value", initial_value, -np.inf)
        #: Which action is learned about; None: the proposed one.
        self.credit: Credit | None = None
        super().__init__(
            policy, env, learning_rate, policy_kwargs, tensorboard_log=tensorboard_log,
            verbose=verbose, device=device, support_multi_env=True, seed=seed,
            supported_action_spaces=(gym.spaces.Discrete,),
        )  # fmt: skip
        if _init_setup_model:
            self._setup_model()

    def _setup_model(self) -> None:
        self._setup_lr_schedule()
        self.set_random_seed(self.seed)
        settings = {"initial_value": self.initial_value, "epsilon": self.epsilon}
        make: Any = self.policy_class
        self.policy = make(
            self.observation_space, self.action_space, self.lr_schedule,
            **{**settings, **self.policy_kwargs},
        )  # fmt: skip

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = _LOG_EPISODES,
        tb_log_name: str = "QLearning",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> "QLearning":
        """Acts and learns until that many steps of all lanes together have run."""
        total, told = self._setup_learn(
            total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar
        )
        told.on_training_start(locals(), globals())
        env: Any = self.env
        rows = self.policy.rows(self._last_obs)  # type: ignore[arg-type]  # no dictionary
        while self.num_timesteps < total:
            actions = self.policy.choose(rows, self.epsilon)
            observation, rewards, dones, infos = env.step(actions)
            self.num_timesteps += env.num_envs
            told.update_locals(locals())
            if not told.on_step():
                break
            self._last_obs = observation
            self._update_info_buffer(infos, dones)
            self._update_current_progress_remaining(self.num_timesteps, total)
            begun = self.policy.rows(observation)
            self._learn_from(rows, actions, rewards, begun, dones, infos)
            before, self._episode_num = self._episode_num, self._episode_num + int(dones.sum())
            if before // log_interval != self._episode_num // log_interval:
                self.dump_logs()
            rows = begun
        told.on_training_end()
        return self

    def _learn_from(
        self, rows: IntArray, actions: Actions, rewards: Any, begun: IntArray, dones: BoolArray,
        infos: list[dict[str, Any]],
    ) -> None:  # fmt: skip
        """Learns from one step of all lanes; those that are done have begun anew in ``begun``."""
        following, ended = begun, dones
        if dones.any():
            following, ended = begun.copy(), dones.copy()
            for lane in np.flatnonzero(dones).tolist():
                last = infos[lane]["terminal_observation"]
                following[lane] = self.policy.rows(np.asarray(last)[None])[0]
                ended[lane] = not infos[lane].get("TimeLimit.truncated", False)
        alpha = float(self.lr_schedule(self._current_progress_remaining))
        gains = rewards.astype(np.float64)
        if self.credit is not None:
            proposed = actions
            actions, gains, refused = self.credit(proposed, gains)
            over = np.ones(len(rows), np.bool_)
            self.policy.learn_from(rows, proposed, (refused, following, over), alpha, self.gamma)
        self.policy.learn_from(rows, actions, (gains, following, ended), alpha, self.gamma)
        self._n_updates += len(rows)

    def dump_logs(self) -> None:
        """Writes a line to the logger."""
        episodes = list(self.ep_info_buffer or ())
        if episodes:
            self.logger.record("rollout/ep_rew_mean", float(np.mean([e["r"] for e in episodes])))
            self.logger.record("rollout/ep_len_mean", float(np.mean([e["l"] for e in episodes])))
        self.logger.record("time/episodes", self._episode_num)
        self.logger.record("train/n_updates", self._n_updates)
        self.logger.dump(step=self.num_timesteps)

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "credit"]
