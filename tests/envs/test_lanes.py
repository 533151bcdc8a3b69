"""Lanes of native tasks: equal to single environments, and deaf to actions in their draws."""

from collections.abc import Callable
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest

from looplab.envs.actions import checked_actions
from looplab.envs.core import Actions, Lanes, Step, safest
from looplab.envs.errors import UsageError
from looplab.envs.native import NativeLanes

SEED = 7
NUM_LANES = 3
STEPS = 260
RESET_CHANCE = 0.03

SameStep = Callable[[Step, Step], None]
SameKnowledge = Callable[[Lanes, Lanes], None]
RandomActions = Callable[[Lanes, np.random.Generator], Actions]
Snapshot = Callable[[NativeLanes], dict[str, Any]]


def _done_or_cut(step: Step, rng: np.random.Generator) -> np.ndarray:
    """Lanes that ended, and some that are reset in the middle of an episode."""
    return step.terminated | step.truncated | (rng.random(len(step.reward)) < RESET_CHANCE)


def test_lane_i_equals_gym_make_of_seed_plus_i(
    native_id: str,
    native: type[NativeLanes],
    rng: np.random.Generator,
    random_actions: RandomActions,
    same_knowledge: SameKnowledge,
) -> None:
    lanes = native(NUM_LANES, seed=SEED)
    singles = [gym.make(native_id) for _ in range(NUM_LANES)]
    observations = lanes.reset()
    for i, single in enumerate(singles):
        np.testing.assert_array_equal(single.reset(seed=SEED + i)[0], observations[i])
    episodes = np.zeros(NUM_LANES, dtype=int)
    resets_apart = 0
    for _ in range(STEPS):
        actions = random_actions(lanes, rng)
        step = lanes.step(actions)
        for i, single in enumerate(singles):
            observation, reward, terminated, truncated, info = single.step(actions[i])
            np.testing.assert_array_equal(observation, step.observation[i])
            assert (reward, info["cost"]) == (step.reward[i], step.cost[i])
            assert (terminated, truncated) == (step.terminated[i], step.truncated[i])
            assert info["catastrophe"] == step.catastrophe[i]
            assert info.get("is_success", np.nan) == pytest.approx(step.success[i], nan_ok=True)
        again = _done_or_cut(step, rng)
        episodes += again
        resets_apart += again.any() and not again.all()
        if again.any():
            observations = lanes.reset(again)
            for i in map(int, np.flatnonzero(again)):
                np.testing.assert_array_equal(singles[i].reset()[0], observations[i])
        for i, single in enumerate(singles):
            alone = single.get_wrapper_attr("lanes")
            one = lanes.fork(i)
            same_knowledge(one.get_wrapper_attr("lanes"), alone)
    assert (episodes >= 2).all()
    assert resets_apart > 0


def test_same_seed_same_lanes_other_seed_other(
    native: type[NativeLanes], draws: bool, rng: np.random.Generator, random_actions: RandomActions
) -> None:
    batches = [native(64, seed=seed) for seed in (SEED, SEED, SEED + 64)]
    seen: list[list[np.ndarray]] = [[], [], []]
    for lanes in batches:
        lanes.reset()
    for _ in range(30):
        actions = random_actions(batches[0], rng)
        for lanes, kept in zip(batches, seen, strict=True):
            step = lanes.step(actions)
            kept.append(np.column_stack([step.observation.reshape(64, -1), step.reward]))
    np.testing.assert_array_equal(seen[0], seen[1])
    assert np.array_equal(seen[0], seen[2]) != draws


def test_reseed_begins_again(
    native: type[NativeLanes],
    rng: np.random.Generator,
    random_actions: RandomActions,
    same_step: SameStep,
) -> None:
    used, fresh = native(4, seed=1), native(4, seed=SEED)
    used.reset()
    for _ in range(9):
        used.step(random_actions(used, rng))
    used.reseed(SEED)
    np.testing.assert_array_equal(used.reset(), fresh.reset())
    for _ in range(40):
        actions = random_actions(used, rng)
        same_step(used.step(actions), fresh.step(actions))


def _spied(native: type[NativeLanes]) -> type[NativeLanes]:
    """The task, which keeps what it drew by lane, episode and step."""

    class Spy(native):  # type: ignore[misc, valid-type]
        seen: ClassVar[dict[tuple[int, int, int], tuple[float, ...]]]

        def _run(self, actions: Actions, draws: np.ndarray) -> Any:
            for lane, row in enumerate(draws):
                key = (lane, int(self.episode[lane]), int(self.elapsed[lane]))
                type(self).seen[key] = tuple(row)
            return super()._run(actions, draws)

    Spy.seen = {}
    return Spy


def test_draws_depend_on_neither_actions_nor_the_length_of_earlier_episodes(
    native: type[NativeLanes], rng: np.random.Generator, random_actions: RandomActions
) -> None:
    kinds = [_spied(native), _spied(native)]
    for kind in kinds:
        lanes = kind(NUM_LANES, seed=SEED)
        lanes.reset()
        for _ in range(STEPS):
            step = lanes.step(random_actions(lanes, rng))
            again = _done_or_cut(step, rng)
            if again.any():
                lanes.reset(again)
    one, other = kinds[0].seen, kinds[1].seen  # type: ignore[attr-defined]
    shared = one.keys() & other.keys()
    assert len(shared) > STEPS / 2
    assert max(episode for _, episode, _ in shared) >= 2
    assert one.keys() != other.keys()
    assert all(one[key] == other[key] for key in shared)
    assert len(set(one.values())) == len(one)


def test_inactive_lanes_do_not_move(
    native: type[NativeLanes],
    rng: np.random.Generator,
    random_actions: RandomActions,
    same_step: SameStep,
    snapshot: Snapshot,
) -> None:
    lanes, twin = native(8, seed=SEED), native(8, seed=SEED)
    lanes.reset()
    twin.reset()
    for _ in range(40):
        before, actions = snapshot(lanes), random_actions(lanes, rng)
        active = rng.random(8) < 0.5
        step = lanes.step(actions, active)
        for name, values in snapshot(lanes).items():
            np.testing.assert_array_equal(values[~active], before[name][~active], err_msg=name)
        for quiet in (step.reward, step.cost, step.terminated, step.truncated, step.catastrophe):
            assert not quiet[~active].any()
        assert np.isnan(step.success[~active]).all()
        np.testing.assert_array_equal(lanes.elapsed, before["elapsed"] + active)
        # The lanes that stood still now take the same actions, and are where the twin is.
        late = lanes.step(actions, ~active)
        reference = twin.step(actions)
        np.testing.assert_array_equal(step.reward + late.reward, reference.reward)
        np.testing.assert_array_equal(step.cost + late.cost, reference.cost)
        for name, values in snapshot(twin).items():
            np.testing.assert_array_equal(getattr(lanes, name), values, err_msg=name)
        done = reference.terminated | reference.truncated
        if done.any():
            lanes.reset(done)
            twin.reset(done)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_lanes": 0}, "num_lanes must be a whole number of at least 1, got 0"),
        ({"num_lanes": 2.0}, "num_lanes must be a whole number of at least 1, got 2.0"),
        ({"max_episode_steps": 0}, "max_episode_steps must be a whole number of at least 1, got 0"),
        ({"seed": -3}, "seed must be a whole number of at least 0, got -3"),
        ({"seed": 0.5}, "seed must be a whole number of at least 0, got 0.5"),
    ],
)
def test_bad_arguments(native: type[NativeLanes], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        native(**arguments)


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ([0, 99, 0], "action 99 of lane 1 is not in 0"),
        ([0, 0, -1], "action -1 of lane 2 is not in 0"),
        ([0, 0], "expected 3 whole numbers as actions"),
        ([0.0, 1.0, 2.0], "expected 3 whole numbers as actions.*float64"),
        ([np.nan, 0, 0], "expected 3 whole numbers as actions"),
    ],
)
def test_bad_actions(
    native: type[NativeLanes], snapshot: Snapshot, actions: list[Any], message: str
) -> None:
    lanes = native(NUM_LANES)
    if not isinstance(lanes.action_space, gym.spaces.Discrete):
        pytest.skip("its actions are continuous: the next test")
    lanes.reset()
    before = snapshot(lanes)
    with pytest.raises(UsageError, match=message):
        lanes.step(np.array(actions))
    for name, values in snapshot(lanes).items():
        np.testing.assert_array_equal(values, before[name], err_msg=name)


def test_continuous_actions_must_be_finite_and_of_the_right_shape() -> None:
    space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
    good = np.array([[0.5, -0.5], [1.0, 0.0]])
    np.testing.assert_array_equal(checked_actions(space, good, 2), good)
    for value in (np.nan, np.inf):
        bad = good.copy()
        bad[1, 0] = value
        with pytest.raises(UsageError, match=r"action \[.*\] of lane 1 is not finite"):
            checked_actions(space, bad, 2)
    with pytest.raises(UsageError, match=r"expected actions of shape \(3, 2\), got \(2, 2\)"):
        checked_actions(space, good, 3)


def test_the_safest_action_is_the_proposal_if_it_is_among_them_else_the_lowest() -> None:
    table = np.array([[0.1, 0.0, 0.0], [0.2, 0.2, 0.2], [0.5, 0.1 + 1e-12, 0.1]])
    np.testing.assert_array_equal(safest(table, np.array([2, 1, 0])), [2, 1, 1])


def test_unknown_render_modes_and_risk_sources(native: type[NativeLanes]) -> None:
    lanes = native(1)
    lanes.reset()
    with pytest.raises(
        UsageError, match="unknown render_mode 'rgb_arry'; did you mean 'rgb_array'"
    ):
        lanes.render(0, "rgb_arry")
    assert not lanes.offers("nonsense")
