"""Any registered environment, with its harm and risk by name."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from looplab.envs.adapters import registered
from looplab.envs.annotated import Transition
from looplab.envs.errors import UsageError

HERE = "sample_harm"
POLE: dict[str, Any] = {"id": "CartPole-v1", "cost": "terminated"}


@pytest.fixture(autouse=True)
def functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of a user's own functions."""

    class Module:
        @staticmethod
        def fast(transition: Transition) -> float:
            return float(abs(transition.observation[1]) > 0.5)

        @staticmethod
        def half(env: gym.Env[Any, Any], action: Any) -> float:
            return 0.5 * action

        @staticmethod
        def lean(env: gym.Env[Any, Any]) -> int:
            world: Any = env.unwrapped
            return int(world.state[2] > 0)

    monkeypatch.setitem(__import__("sys").modules, HERE, Module)


@pytest.mark.filterwarnings("ignore:.*different from the unwrapped version")
@pytest.mark.filterwarnings("ignore:.*Box observation space .* value is -?infinity")
def test_gymnasium_finds_nothing() -> None:
    check_env(registered.make(**POLE), skip_render_check=True, skip_close_check=True)


def test_termination_is_harm_and_is_foreseen() -> None:
    env = registered.make(**POLE, risk="look_ahead", copies=1)
    env.reset(seed=0)
    terminated = False
    while not terminated:
        risk = env.risk_of("immediate", 1)
        _, _, terminated, _, info = env.step(1)
        assert info["cost"] == risk == float(terminated)
    assert env.hold() == 0


def test_functions_by_name() -> None:
    env = registered.make(
        "CartPole-v1", f"{HERE}:fast", f"{HERE}:half", f"{HERE}:lean", f"{HERE}:lean"
    )
    env.reset(seed=0)
    assert [env.risk_of("immediate", action) for action in (0, 1)] == [0.0, 0.5]
    costs = [(env.step(1), env.step(1))[1][4]["cost"] for _ in range(2)]
    assert costs == [0.0, 1.0]  # each push adds 0.195
    world: Any = env.unwrapped
    world.state = np.array([0, 0, 0.1, 0])
    assert (env.hold(), env.correction()) == (1, 1)


def test_actions_that_are_real_numbers() -> None:
    env = registered.make("Pendulum-v1", "terminated", "look_ahead", hold=[0.5], horizon=2)
    env.reset(seed=0)
    np.testing.assert_array_equal(env.hold(), np.float32([0.5]))
    assert env.risk_of("immediate", np.zeros(1, np.float32)) == 0.0
    np.testing.assert_array_equal(registered.make("Pendulum-v1").hold(), [0.0])


def test_observations_of_several_parts_are_flattened() -> None:
    env = registered.make("Blackjack-v1", "terminated")
    assert isinstance(env.observation_space, gym.spaces.Box | gym.spaces.MultiBinary)
    assert env.observation_space.shape == (32 + 11 + 2,)


def test_lanes_and_their_threshold() -> None:
    lanes = registered.lanes(2, **POLE)
    assert (lanes.num_lanes, lanes.threshold) == (2, 475.0)
    assert registered.lanes(1, **POLE, threshold=100).threshold == 100.0
    assert np.isnan(registered.lanes(1, id="Pendulum-v1").threshold)
    lanes = registered.lanes(1, "FrozenLake-v1", "terminated", kwargs={"is_slippery": False})
    world: Any = lanes.envs[0].unwrapped
    assert len(world.P[0][0]) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"id": "CartPol-v1"}, "CartPol-v1: .*Did you mean: `CartPole`"),
        ({"id": "nowhere:Task-v0"}, "nowhere:Task-v0: .*nowhere"),
        ({"id": "CartPole-v1", "kwargs": {"x": 1}}, "CartPole-v1: .*unexpected keyword"),
        ({**POLE, "cost": "terminate"}, "unknown cost 'terminate'; did you mean 'terminated'"),
        ({**POLE, "cost": "nowhere:f"}, "cost='nowhere:f': .*set PYTHONPATH=."),
        ({**POLE, "risk": f"{HERE}:g"}, f"risk='{HERE}:g': .*'g'"),
        ({**POLE, "risk": "ahead"}, "unknown risk 'ahead'; .*look_ahead"),
        ({**POLE, "hold": "left"}, "unknown hold 'left'; allowed: module:function"),
        ({**POLE, "hold": 7}, "hold=7 is not in the action space"),
        ({**POLE, "risk": "look_ahead", "copies": 0}, "copies must be a whole number"),
        ({**POLE, "max_episode_steps": 0}, "max_episode_steps must be a whole number"),
    ],
)
def test_bad_arguments(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        registered.make(**settings)
    assert "\n" not in str(caught.value)
