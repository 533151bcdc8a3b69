"""Copies in the present state, and risk by trying an action in them."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils import EzPickle

from looplab.envs.adapters import cliff_walking
from looplab.envs.adapters.registered import terminated
from looplab.envs.annotated import Annotated
from looplab.envs.copies import copied
from looplab.envs.errors import UsageError
from looplab.envs.look_ahead import LookAhead


class Fuse(gym.Env[int, int], EzPickle):
    """Burns for a number of steps, then harms with a chance; pickled by its arguments."""

    observation_space = gym.spaces.Discrete(100)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, length: int = 3, chance: float = 1.0) -> None:
        EzPickle.__init__(self, length, chance)
        self.length, self.chance, self.burnt = length, chance, 0

    def reset(self, **settings: Any) -> tuple[int, dict[str, Any]]:
        super().reset(**settings)
        self.burnt = 0
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        self.burnt += action
        harms = self.burnt >= self.length and self.np_random.random() < self.chance
        return self.burnt, 0.0, False, False, {"cost": float(harms)}


def _fuse(burnt: int, **settings: Any) -> Fuse:
    env = Fuse(**settings)
    env.reset(seed=0)
    env.burnt = burnt
    return env


def _on(env: gym.Env[Any, Any]) -> int:
    return 1


def test_a_copy_of_what_is_pickled_by_its_arguments_keeps_its_state() -> None:
    env = gym.wrappers.TimeLimit(Fuse(), 10)
    env.reset(seed=0)
    env.step(1)
    env.step(1)
    twin: Any = copied(env, "fuse")
    assert twin.unwrapped.burnt == 2
    assert twin.unwrapped is not env.unwrapped
    twin.step(1)
    world: Any = env.unwrapped
    assert world.burnt == 2


def test_a_wrapper_may_say_how_to_copy_the_world_below() -> None:
    class Knows(gym.Wrapper[Any, Any, Any, Any]):
        def twin_world(self) -> Fuse:
            return _fuse(7)

    twin: Any = copied(Knows(_fuse(1)), "fuse")
    assert twin.unwrapped.burnt == 7


def test_a_copy_after_drawing() -> None:
    env = gym.make("CartPole-v1", render_mode="rgb_array")
    env.reset(seed=0)
    env.render()
    twin = copied(env, "pole")
    np.testing.assert_array_equal(env.step(1)[0], twin.step(1)[0])


@pytest.mark.parametrize(("burnt", "action", "horizon", "risk"), [
    (2, 1, 1, 1.0), (2, 0, 1, 0.0), (1, 1, 1, 0.0), (1, 1, 2, 1.0), (1, 0, 2, 0.0), (1, 0, 3, 1.0),
])  # fmt: skip
def test_looks_as_far_as_its_horizon(burnt: int, action: int, horizon: int, risk: float) -> None:
    env = _fuse(burnt)
    assert LookAhead(1, horizon, then=_on)(env, action) == risk
    assert env.burnt == burnt


def test_the_estimate_is_a_share_of_independent_copies() -> None:
    chance, copies = 0.3, 4000
    error = 4 * np.sqrt(chance * (1 - chance) / copies)
    assert abs(LookAhead(copies)(_fuse(3, chance=chance), 0) - chance) < error


def test_it_does_not_know_the_draws_to_come_nor_take_them() -> None:
    look, agree, env = LookAhead(1), 0, _fuse(3, chance=0.5)
    plain = _fuse(3, chance=0.5)
    for _ in range(400):
        foreseen = look(env, 0)
        assert look(env, 0) == foreseen  # the same state, the same estimate
        cost = env.step(0)[4]["cost"]
        assert plain.step(0)[4]["cost"] == cost
        agree += foreseen == cost
    assert abs(agree - 200) < 4 * 10  # a clairvoyant copy would agree 400 times


def test_it_agrees_with_a_table() -> None:
    env = cliff_walking.make()
    env.reset(seed=0)
    look = LookAhead(1)
    for action in range(4):
        assert look(env, action) == env.risk_of("immediate", action)


def test_a_cost_of_ones_own_and_holding() -> None:
    env = gym.make("CartPole-v1")
    env.reset(seed=0)
    look = LookAhead(1, horizon=30, cost=terminated, then=_on)
    assert look(env, 1) == 1.0
    known = Annotated(env, cost=terminated, risk=look, hold=1)
    np.testing.assert_array_equal(known.risk_table("immediate"), [1.0, 1.0])
    with pytest.raises(UsageError, match="beyond one step needs hold="):
        LookAhead(1, horizon=2, cost=terminated)(env, 1)


@pytest.mark.parametrize("name", ["copies", "horizon"])
def test_bad_arguments(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} must be a whole number of at least 1, got 0"):
        LookAhead(**{name: 0})
