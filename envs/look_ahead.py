"""Risk of an action by trying it in copies of the environment; a function for any adapter."""

from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import gymnasium as gym

from looplab.envs.annotated import ActionFunction, Annotated, CostFunction, name_of
from looplab.envs.copies import copied
from looplab.envs.errors import UsageError, whole

_SEED_BYTES = 8


class LookAhead:
    """Share of copies in which an action violates, followed by a stated way to go on.

    Each copy is re-seeded, from the present state of the environment's generator scrambled by a
    hash (Blake2b): it knows nothing of the draws to come, takes none of them, and the same state
    has the same estimate. The standard error is at most 1 / (2 sqrt(copies)). Where going on so is
    not the safest course, the estimate is an upper one of the exact risk within the horizon.

    Args:
        copies: copies per action, at least 1; 1 is enough where the environment is deterministic.
        horizon: steps that are looked ahead, at least 1.
        cost: harm of a transition; None: ``info["cost"]`` as the environment reports it.
        then: what is done after the action, a function of the environment; None: it holds.
        redraw: re-seeds a copy, as in ``Annotated``.
    """

    def __init__(
        self,
        copies: int = 8,
        horizon: int = 1,
        cost: CostFunction | None = None,
        then: ActionFunction | None = None,
        redraw: Callable[[gym.Env[Any, Any], int], None] | None = None,
    ) -> None:
        self.copies = whole("copies", copies, 1)
        self.horizon = whole("horizon", horizon, 1)
        self._settings: dict[str, Any] = {"cost": cost, "hold": then, "redraw": redraw}

    def __call__(self, env: gym.Env[Any, Any], action: Any) -> float:
        """Estimated probability that the action violates within the horizon.

        Raises:
            UsageError: if the environment cannot be copied, or nothing says how to go on.
        """
        state = repr(env.unwrapped.np_random.bit_generator.state)
        seeds = [_scrambled(f"{state} {number}") for number in range(self.copies)]
        return sum(self._harms(env, action, seed) for seed in seeds) / self.copies

    def _harms(self, env: gym.Env[Any, Any], action: Any, seed: int) -> bool:
        fork = Annotated(copied(env, name_of(env)), **self._settings)
        fork.redraw(seed)
        for _ in range(self.horizon):
            _, _, terminated, truncated, info = fork.step(action)
            if info["cost"] > 0:
                return True
            if terminated or truncated:
                return False
            action = fork.hold() if self.horizon > 1 else None
            if action is None and self.horizon > 1:
                raise UsageError(
                    f"{name_of(env)}: look-ahead beyond one step needs hold=, what to do meanwhile"
                )
        return False


def _scrambled(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=_SEED_BYTES).digest())
