"""What does the agent learn from oversight?"""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from looplab.envs.core import Step
from looplab.envs.errors import UsageError
from looplab.envs.exact import (
    FiniteModel,
    exact_risk,
    optimal_values,
    policy_value,
    safe_actions,
)
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.envs.knowledge import GAMMA
from looplab.oversight import (
    AdditiveShaping,
    Autonomous,
    Feedback,
    Gate,
    Halt,
    PotentialShaping,
    ScriptedOverseer,
    Signal,
    Stack,
    Veto,
)

GO, CREEP, WAIT = range(3)
TRAP = [1.0]
FIELD = [0.0] * 20
PRAISE = 0.1


def test_without_a_signal_the_learning_reward_is_the_tasks(corridor: Any, start: Any) -> None:
    run = start(corridor(harm=TRAP), Gate()).play([GO, CREEP, WAIT])
    assert run.column("learning_reward") == run.column("reward") == [0.0, 0.5, 0.0]


def test_a_penalty_falls_for_each_refusal_and_touches_neither_return_nor_cost(
    corridor: Any, start: Any
) -> None:
    run = start(corridor(harm=TRAP), Gate(), signal=Signal(penalty=0.25)).play([GO, CREEP, GO])
    np.testing.assert_allclose(run.column("learning_reward"), [-0.25, 0.5, -0.25])
    assert run.totals["task_return"] == 0.5
    assert run.totals["learning_return"] == 0.0
    assert run.totals["cost"] == run.totals["violations"] == 0
    assert run.totals["penalties"] == 2


def test_a_penalty_falls_though_the_fallback_equals_the_proposal(corridor: Any, start: Any) -> None:
    gate = Gate(overseer=ScriptedOverseer(false_alarm_rate=1.0))
    run = start(corridor(harm=FIELD), gate, signal=Signal(penalty=0.25)).play([WAIT])
    assert run.column("learning_reward") == [-0.25]


def test_penalty_rating_and_shaping_add_up(corridor: Any, start: Any) -> None:
    signal = Signal(penalty=0.2, beta=3.0, shaping=lambda outcome: outcome.step.cost * 10.0)
    gate = Gate(trigger=lambda proposals: proposals.step == 0)
    run = start(corridor(harm=TRAP), Stack(gate, Feedback()), signal=signal).play([GO, GO])
    # step 0: refused (-0.2), waits (0); step 1: runs (+1), rated (-3), violates (+10)
    np.testing.assert_allclose(run.column("learning_reward"), [-0.2, 8.0])
    assert run.column("reward") == [0.0, 1.0]


def test_shaping_sees_the_tasks_own_reward(corridor: Any, start: Any) -> None:
    doubled = Signal(penalty=0.25, shaping=lambda outcome: outcome.step.reward)
    gate = Gate(overseer=lambda proposals: [False], fallback=lambda proposals: [CREEP])
    run = start(corridor(harm=FIELD), gate, signal=doubled).play([GO])
    assert run.column("learning_reward") == [0.5 - 0.25 + 0.5]


def test_shaping_sees_what_was_proposed_decided_and_done(corridor: Any, start: Any) -> None:
    seen: list[tuple[int, int, float]] = []

    def shaping(outcome: Any) -> Any:
        seen.append(
            (
                int(outcome.proposals.action[0]),
                int(outcome.decision.executed[0]),
                float(outcome.step.observation[0, 0]),
            )
        )
        return np.zeros(1)

    start(corridor(harm=[0.0, 1.0]), Gate(), signal=Signal(shaping=shaping)).play([GO, GO])
    assert seen == [(GO, GO, 1.0), (GO, WAIT, 1.0)]


def test_additive_shaping_praises_what_ran_safely(corridor: Any, start: Any) -> None:
    signal = Signal(shaping=AdditiveShaping(PRAISE))
    run = start(corridor(harm=TRAP), Autonomous(), signal=signal).play([GO, CREEP, WAIT])
    np.testing.assert_allclose(run.column("learning_reward"), [1.0, 0.6, 0.1])
    gated = start(corridor(harm=TRAP), Gate(), signal=signal).play([GO])
    np.testing.assert_allclose(gated.column("learning_reward"), [0.1])


def test_additive_shaping_goes_by_the_executed_action(corridor: Any, start: Any) -> None:
    def worse(proposals: Any) -> Any:
        return np.full(len(proposals), GO)

    gate = Gate(overseer=lambda proposals: ["reject"] * len(proposals), fallback=worse)
    signal = Signal(shaping=AdditiveShaping(PRAISE))
    run = start(corridor(harm=TRAP), gate, signal=signal).play([WAIT])
    assert run.column("cost") == [1.0]
    assert run.column("learning_reward") == [1.0]  # no praise: what ran was unsafe


@pytest.mark.parametrize("protocol", [Gate(fallback=Halt()), Veto(fallback=Halt(), lag=0)])
def test_a_stopped_episode_earns_no_praise(corridor: Any, start: Any, protocol: Any) -> None:
    signal = Signal(shaping=AdditiveShaping(PRAISE))
    run = start(corridor(harm=TRAP), protocol, signal=signal).play([GO])
    assert run.column("learning_reward") == [0.0]


def test_additive_shaping_can_be_farmed() -> None:
    finite = LavaShortcut().model()
    safe = safe_actions(exact_risk(finite, horizon=50))
    lanes = LavaShortcut(num_lanes=safe.size)
    states, actions = np.indices(safe.shape).reshape(2, -1)
    praise = _praise_of(lanes, states, actions).reshape(safe.shape)
    going = ~_over(finite)
    np.testing.assert_allclose(praise[going], PRAISE * safe[going])
    praised = replace(finite, gain=finite.gain + praise[:, :, None])
    assert _chance_to_finish(finite, optimal_values(finite, GAMMA)) > 0.99
    assert _chance_to_finish(praised, optimal_values(praised, GAMMA)) == 0.0


def _praise_of(lanes: LavaShortcut, states: Any, actions: Any) -> Any:
    from looplab.oversight import Engine

    engine = Engine(lanes, Autonomous(), Signal(shaping=AdditiveShaping(PRAISE)))
    lanes.reset()
    lanes.state = states.copy()
    record = engine.step(actions)
    return record.learning_reward - record.reward


def _over(finite: FiniteModel) -> Any:
    """States in which every episode has ended, shape (S,)."""
    return finite.ends.all(axis=(1, 2))


def _chance_to_finish(finite: FiniteModel, action_value: Any) -> float:
    best = np.eye(action_value.shape[1])[action_value.argmax(axis=1)]
    return policy_value(finite, best, 1.0, 200, finite.expected(finite.ends.astype(float)))


def _random_model(rng: np.random.Generator, states: int, actions: int) -> FiniteModel:
    transition = rng.dirichlet(np.full(states, 0.3), (states, actions))
    terminal = np.zeros(states, dtype=np.bool_)
    terminal[-1] = True
    reward = rng.normal(size=(states, actions))
    start = np.full(states, 1.0 / states)
    return FiniteModel.dense(transition, reward, np.zeros_like(reward), terminal, start)


def _shaping_of(shaping: PotentialShaping, terminal: Any) -> Any:
    """What the shaping adds for every (s, s'), shape (S, S)."""
    states = len(terminal)
    added = np.zeros((states, states))
    for state in range(states):
        lanes = SimpleNamespace(observation=np.full(states, state))
        proposals: Any = SimpleNamespace(lanes=lanes)
        before = shaping.prepare(proposals)
        lanes.observation = np.arange(states)
        nothing = np.zeros(states)
        step = Step(
            lanes.observation, nothing, terminal, ~terminal, nothing, ~terminal, nothing
        )  # truncated in every state that does not end the episode
        added[state] = shaping(SimpleNamespace(proposals=proposals, step=step, before=before))
    return added


@pytest.mark.parametrize("draw", range(25))
def test_potential_shaping_leaves_optimal_policies_unchanged(draw: int) -> None:
    rng = np.random.default_rng(draw)
    finite = _random_model(rng, states=int(rng.integers(3, 9)), actions=3)
    gamma, scale = float(rng.uniform(0.5, 0.99)), float(rng.uniform(0.5, 5.0))
    over = _over(finite)
    potential = rng.normal(size=len(over)) * 3.0
    shaping = PotentialShaping(gamma, lambda states: potential[states], scale)
    added = _shaping_of(shaping, over)
    shaped = replace(finite, gain=finite.gain + added[:, None, :])  # outcome k leads to state k
    plain, with_shaping = optimal_values(finite, gamma), optimal_values(shaped, gamma)
    going = ~over
    np.testing.assert_array_equal(plain[going].argmax(axis=1), with_shaping[going].argmax(axis=1))
    np.testing.assert_allclose(
        with_shaping[going], (plain - scale * potential[:, None])[going], atol=1e-8
    )


def test_potential_is_0_where_the_episode_ends_and_kept_where_it_is_truncated(
    corridor: Any, start: Any
) -> None:
    signal = Signal(shaping=PotentialShaping(0.5, scale=2.0))  # the cell's own number
    ended = start(corridor(harm=[0.0] * 3, ends=True), Autonomous(), signal=signal)
    ended.play([CREEP] * 3)
    shaped = np.subtract(ended.column("learning_reward"), ended.column("reward"))
    np.testing.assert_allclose(shaped, [2 * (0.5 * 1 - 0), 2 * (0.5 * 2 - 1), 2 * (0 - 2)])
    cut = start(corridor(harm=FIELD, max_episode_steps=2), Autonomous(), signal=signal)
    cut.play([CREEP] * 2)
    assert cut.column("truncated") == [False, True]
    shaped = np.subtract(cut.column("learning_reward"), cut.column("reward"))
    np.testing.assert_allclose(shaped, [2 * (0.5 * 1 - 0), 2 * (0.5 * 2 - 1)])


def test_a_potential_of_ones_own_reads_observations(corridor: Any, start: Any) -> None:
    own = Signal(shaping=PotentialShaping(0.9, potential=lambda seen: seen[:, 0] ** 2))
    run = start(corridor(harm=FIELD), Autonomous(), signal=own).play([CREEP] * 3)
    shaped = np.subtract(run.column("learning_reward"), run.column("reward"))
    np.testing.assert_allclose(shaped, [0.9 * 1, 0.9 * 4 - 1, 0.9 * 9 - 4])


def test_learning_rewards_are_fresh_arrays(corridor: Any, start: Any) -> None:
    run = start(corridor(2, harm=TRAP), Autonomous())
    record = run.step(CREEP)
    record.learning_reward[:] = 99.0
    assert record.reward.tolist() == [0.5, 0.5]
    assert run.step(CREEP).learning_reward.tolist() == [0.5, 0.5]


def test_settings_are_checked() -> None:
    with pytest.raises(UsageError, match=r"unknown credit 'proposd'; did you mean 'proposed'\?"):
        Signal(credit="proposd")
    with pytest.raises(UsageError, match="penalty must be a number at least 0, got -1"):
        Signal(penalty=-1)
    with pytest.raises(UsageError, match="beta must be a number at least 0"):
        Signal(beta=float("nan"))
    with pytest.raises(UsageError, match="shaping must be a function of an outcome, got 3"):
        Signal(shaping=3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"gamma must be a number in \[0, 1\]"):
        PotentialShaping(1.5)
