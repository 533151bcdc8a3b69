"""Annotated: harm, risk, hold and correction from a user's functions, or from the environment."""

import copy
import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from looplab.envs.annotated import Annotated, Transition
from looplab.envs.errors import EnvironmentFault, UsageError


def fell(transition: Transition) -> float:
    return float(transition.reward <= -100)


def cliff_risk(env: gym.Env[Any, Any], action: Any) -> float:
    world: Any = env.unwrapped
    return float(sum(p for p, _, r, _ in world.P[world.s][action] if r <= -100))


def up(env: gym.Env[Any, Any]) -> int:
    return 0


def _cliff(**functions: Any) -> Annotated:
    env = Annotated(gym.make("CliffWalking-v1"), **functions)
    env.reset(seed=0)
    return env


class Slider(gym.Env[Any, Any]):
    """A point on a line, pushed by one noisy force; reports its own cost where asked to."""

    def __init__(self, info: dict[str, Any] | None = None) -> None:
        self.action_space = gym.spaces.Box(0.5, 1.0, (1,), np.float32)
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (1,), np.float64)
        self.info = info or {}
        self.place = 0.0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.place = 0.0
        return np.array([self.place]), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.place += float(action[0]) + self.np_random.normal()
        return np.array([self.place]), 1.0, False, False, dict(self.info)


def test_cost_sees_the_transition_and_original_info_stays() -> None:
    seen: list[Transition] = []

    def cost(transition: Transition) -> float:
        seen.append(transition)
        return fell(transition)

    env = _cliff(cost=cost)
    observation, reward, _, _, info = env.step(1)
    assert (observation, reward, info["cost"]) == (36, -100, 1.0)
    assert info["prob"] == 1.0
    assert seen[0].observation == observation
    assert (seen[0].action, seen[0].reward) == (1, -100.0)
    assert (seen[0].terminated, seen[0].truncated) == (False, False)
    assert "cost" not in seen[0].info
    assert env.step(0)[4]["cost"] == 0.0


def test_a_missing_cost_is_named() -> None:
    env = _cliff()
    with pytest.raises(EnvironmentFault, match=r"CliffWalking-v1 reports no info\['cost'\]; pass"):
        env.step(0)
    own = Annotated(Slider({"cost": 2.5}))
    own.reset(seed=0)
    assert own.step(np.array([0.5]))[4]["cost"] == 2.5


def test_risk_of_every_action() -> None:
    env = _cliff(cost=fell, risk=cliff_risk)
    assert [env.risk_of("immediate", action) for action in range(4)] == [0.0, 1.0, 0.0, 0.0]
    np.testing.assert_array_equal(env.risk_table("immediate"), [0.0, 1.0, 0.0, 0.0])
    for source in ("exact", "estimated"):
        assert env.risk_of(source, 1) is None  # type: ignore[arg-type]
        assert env.risk_table(source) is None  # type: ignore[arg-type]
        assert not env.offers(source)
    assert env.offers("immediate")


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_risk_must_be_a_probability(value: float) -> None:
    env = _cliff(cost=fell, risk=lambda env, action: value)
    with pytest.raises(
        UsageError, match=f"risk= must return a probability, got {value} for action"
    ):
        env.risk_of("immediate", 2)
    with pytest.raises(UsageError, match=r"got .* for action 0"):
        env.risk_table("immediate")


def test_rounding_above_one_is_one() -> None:
    env = _cliff(cost=fell, risk=lambda env, action: 1.0 + 1e-12)
    assert env.risk_of("immediate", 0) == 1.0


def test_hold_is_an_action_or_a_function_or_zeros_for_a_box() -> None:
    assert _cliff(cost=fell, hold=3).hold() == 3
    assert _cliff(cost=fell, hold=up).hold() == 0
    none = _cliff(cost=fell)
    assert none.hold() is None
    assert not none.offers("hold")
    box = Annotated(Slider())
    assert box.offers("hold")
    np.testing.assert_array_equal(box.hold(), np.array([0.5], np.float32))  # the nearest to 0


def test_correction() -> None:
    env = _cliff(cost=fell, correction=up)
    assert env.offers("correction")
    assert env.correction() == 0
    assert _cliff(cost=fell).correction() is None
    assert not _cliff(cost=fell).offers("correction")
    assert _cliff(cost=fell).potential() is None


def test_what_the_environment_knows_is_passed_on() -> None:
    env = Annotated(gym.make("looplab/OpsDesk-v0"))
    env.reset(seed=3)
    lanes: Any = env.get_wrapper_attr("lanes")
    for source in ("immediate", "exact", "estimated"):
        table = env.risk_table(source)  # type: ignore[arg-type]
        np.testing.assert_array_equal(table, lanes.risk_table(source)[0])
        assert env.risk_of(source, 0) == lanes.risk_table(source)[0, 0]  # type: ignore[arg-type]
        assert env.offers(source)
    assert env.hold() == 3
    assert env.correction() == lanes.correction()[0]
    env.note_refused(True)
    assert lanes.observation[0, 6] == 1.0
    grid = Annotated(gym.make("looplab/LavaShortcut-v0"))
    grid.reset(seed=3)
    assert grid.potential() == pytest.approx(0.047, abs=0.0005)


def test_a_users_function_goes_before_the_environments_own() -> None:
    env = Annotated(
        gym.make("looplab/OpsDesk-v0"),
        cost=lambda t: 7.0,
        risk=lambda env, action: 0.25,
        hold=2,
        correction=lambda env: 1,
    )
    env.reset(seed=3)
    assert env.step(3)[4]["cost"] == 7.0
    assert env.risk_of("immediate", 0) == 0.25
    np.testing.assert_array_equal(env.risk_table("immediate"), np.full(4, 0.25))
    assert (env.hold(), env.correction()) == (2, 1)
    assert env.risk_of("exact", 3) == 0.0


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        ({"cost": 1.0}, "cost= must be a function, got 1.0"),
        ({"risk": "high"}, "risk= must be a function, got 'high'"),
        ({"correction": 2}, "correction= must be a function, got 2"),
        ({"hold": 9}, r"hold=9 is not in the action space Discrete\(4\)"),
    ],
)
def test_bad_arguments(functions: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Annotated(gym.make("CliffWalking-v1"), **functions)


def _noise(env: Annotated, steps: int = 5) -> list[float]:
    return [float(env.step(np.array([0.5]))[0][0]) for _ in range(steps)]


def test_a_redrawn_copy_is_not_clairvoyant_and_leaves_the_original_alone() -> None:
    env, twin = Annotated(Slider({"cost": 0.0})), Annotated(Slider({"cost": 0.0}))
    env.reset(seed=4)
    twin.reset(seed=4)
    futures = [_noise(copy.deepcopy(env))]
    for seed in (1, 1, 2):
        fork = copy.deepcopy(env)
        fork.redraw(seed)
        futures.append(_noise(fork))
    ours = _noise(env)
    assert ours == _noise(twin)
    assert futures[0] == ours
    assert futures[1] == futures[2]
    assert len({tuple(f) for f in (futures[0], futures[1], futures[3])}) == 3


def test_a_users_redraw_is_called() -> None:
    calls: list[int] = []
    env = _cliff(cost=fell, redraw=lambda env, seed: calls.append(seed))
    env.redraw(12)
    assert calls == [12]


def test_pickled_it_answers_the_same() -> None:
    env = _cliff(cost=fell, risk=cliff_risk, hold=3, correction=up)
    env.step(0)
    twin = pickle.loads(pickle.dumps(env))
    for action in (1, 2, 1, 0):
        np.testing.assert_array_equal(env.risk_table("immediate"), twin.risk_table("immediate"))
        assert env.step(action) == twin.step(action)


@pytest.mark.parametrize("answer", [None, "much", [1.0]])
def test_functions_that_answer_no_number_are_named(answer) -> None:
    env = Annotated(gym.make("CliffWalking-v1"), cost=lambda t: answer, risk=lambda e, a: answer)
    env.reset(seed=0)
    with pytest.raises(UsageError, match="cost= must return a number"):
        env.step(0)
    with pytest.raises(UsageError, match="risk= must return a number"):
        env.risk_of("immediate", 0)
