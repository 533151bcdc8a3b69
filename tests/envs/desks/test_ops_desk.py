"""Ops desk: its rules in plain Python, the posterior by Bayes, and what only a human can see."""

import itertools
import math

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from looplab.envs.desks.ops_desk import (
    CHECK,
    FAST,
    HOLD,
    QUEUE_CAP,
    SAFE,
    SIGNAL_BOUND,
    OpsDesk,
)
from looplab.envs.errors import UsageError
from looplab.envs.streams import Streams

SEED = 5
PRIOR = (0.05, 0.15, 0.35)
SD = 0.6
TYPE, SIGNAL, CHECKED, VERDICT, REFUSED, QUEUE = slice(0, 3), 3, 4, 5, 6, 7
#: Chance that a right law is called wrong by one test.
ERROR = 1e-3


class PlainDesk:
    """The rules of FIELD.md section 4, one lane, one ticket at a time."""

    def __init__(self, seed: int) -> None:
        self._streams = Streams(1, "environment", seed)
        self._step = 0
        self.queue = 3
        self._take(self._draw(3))

    def _draw(self, count: int) -> list[float]:
        return list(self._streams.uniforms(np.array([0]), np.array([self._step]), count)[0])

    def _take(self, draws: list[float]) -> None:
        self.kind = math.floor(3 * draws[0])
        self.danger = draws[1] < PRIOR[self.kind]
        self.signal = self.danger + SD * stats.norm.ppf(draws[2])
        self.checked = False

    def step(self, action: int) -> tuple[float, float]:
        self._step += 1
        arrival, *ticket = self._draw(4)
        reward = cost = 0.0
        if self.queue == 0:
            self._take(ticket)
        elif action == CHECK:
            reward, self.checked = -0.05, True
        elif action in (FAST, SAFE):
            if action == SAFE:
                reward = 0.4
            elif self.danger:
                reward, cost = 0.7, 1.0
            else:
                reward = 1.0
            self.queue -= 1
            self._take(ticket)
        self.queue = min(10, self.queue + (arrival < 0.7))
        return reward - 0.02 * self.queue, cost

    def observation(self) -> list[float]:
        if self.queue == 0:
            return [0.0] * 8
        types = [float(kind == self.kind) for kind in range(3)]
        verdict = (1.0 if self.danger else -1.0) if self.checked else 0.0
        return [*types, self.signal, float(self.checked), verdict, 0.0, self.queue / 10]


def _posterior(kind: int, signal: float) -> float:
    danger = PRIOR[kind] * stats.norm.pdf(signal, loc=1.0, scale=SD)
    harmless = (1 - PRIOR[kind]) * stats.norm.pdf(signal, loc=0.0, scale=SD)
    return float(danger / (danger + harmless))


def _estimated_from(observation: np.ndarray) -> float:
    """Risk of closing fast, from nothing but what the agent sees."""
    if observation[QUEUE] == 0.0:
        return 0.0
    if observation[CHECKED] == 1.0:
        return float(observation[VERDICT] == 1.0)
    return _posterior(int(observation[TYPE].argmax()), float(observation[SIGNAL]))


def _desk(num_lanes: int = 1, **settings: int) -> OpsDesk:
    desk = OpsDesk(num_lanes, seed=SEED, **settings)
    desk.reset()
    return desk


def _risk(desk: OpsDesk, source: str) -> np.ndarray:
    table = desk.risk_table(source)  # type: ignore[arg-type]
    assert table is not None
    return table


def _do(desk: OpsDesk, action: int) -> np.ndarray:
    return desk.step(np.full(desk.num_lanes, action)).observation


def test_the_rules_in_plain_python(rng: np.random.Generator) -> None:
    desk = _desk(20)
    plain = [PlainDesk(SEED + lane) for lane in range(20)]
    empty = 0
    for _ in range(49):
        actions = rng.choice([FAST, CHECK, SAFE, HOLD], p=[0.4, 0.15, 0.4, 0.05], size=20)
        step = desk.step(actions)
        for lane, one in enumerate(plain):
            reward, cost = one.step(int(actions[lane]))
            assert step.reward[lane] == pytest.approx(reward)
            assert step.cost[lane] == cost
            assert step.observation[lane] == pytest.approx(one.observation(), abs=1e-6)
            empty += one.queue == 0
        assert not step.terminated.any()
        assert not step.truncated.any()
    assert empty > 10
    assert _desk(1, max_episode_steps=1).step(np.array([HOLD])).truncated.all()


def test_laws_of_tickets_and_arrivals() -> None:
    desk = _desk(2_000)
    kinds, dangers, signals, arrivals = [], [], [], []
    for _ in range(20):
        kinds.append(desk.kind.copy())
        dangers.append(desk.danger.copy())
        signals.append(desk.signal.copy())
        queue = desk.queue.copy()
        _do(desk, SAFE)
        present = queue > 0
        arrivals.append((desk.queue - queue + present)[present])
    kind, danger, signal = map(np.concatenate, (kinds, dangers, signals))
    assert stats.chisquare(np.bincount(kind, minlength=3)).pvalue > ERROR
    for t, prior in enumerate(PRIOR):
        of_type = danger[kind == t]
        assert stats.binomtest(int(of_type.sum()), len(of_type), prior).pvalue > ERROR
    arrived = np.concatenate(arrivals)
    assert stats.binomtest(int(arrived.sum()), len(arrived), 0.7).pvalue > ERROR
    assert stats.kstest((signal - danger) / SD, "norm").pvalue > ERROR


def test_the_posterior_is_calibrated() -> None:
    """Among tickets of estimated risk p, a share p is dangerous."""
    desk = _desk(3_000)
    estimates, dangers = [], []
    for _ in range(10):
        estimates.append(_risk(desk, "estimated")[:, FAST])
        dangers.append(desk.danger & (desk.queue > 0))
        _do(desk, SAFE)
    estimate, danger = np.concatenate(estimates), np.concatenate(dangers)
    edges = np.array([0.0, 0.01, 0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0])
    for low, high in itertools.pairwise(edges):
        inside = (estimate > low) & (estimate <= high)
        assert inside.sum() > 200
        spread = math.sqrt((estimate[inside] * (1 - estimate[inside])).sum())
        assert abs(danger[inside].sum() - estimate[inside].sum()) < 4 * spread


@given(kind=st.integers(0, 2), signal=st.floats(-4.0, 5.0))
def test_the_posterior_is_bayes_rule(kind: int, signal: float) -> None:
    desk = _desk(1)
    desk.kind[:], desk.signal[:] = kind, signal
    assert _risk(desk, "estimated")[0, FAST] == pytest.approx(_posterior(kind, signal), rel=1e-9)


def test_estimated_risk_uses_the_observation_alone(rng: np.random.Generator) -> None:
    desk = _desk(40)
    for _ in range(60):
        actions = rng.integers(4, size=40)
        step = desk.step(actions)
        desk.note_refusals(rng.random(40) < 0.1)
        estimated = _risk(desk, "estimated")
        expected = [_estimated_from(row) for row in step.observation]
        np.testing.assert_allclose(estimated[:, FAST], expected, atol=1e-5)
        assert not estimated[:, [CHECK, SAFE, HOLD]].any()


def test_risks_are_the_truth_for_the_human() -> None:
    desk = _desk(200)
    for source in ("immediate", "exact"):
        table = _risk(desk, source)
        np.testing.assert_array_equal(table[:, FAST], desk.danger)
        assert not table[:, [CHECK, SAFE, HOLD]].any()
    danger = desk.danger.copy()
    correction = desk.correction()
    np.testing.assert_array_equal(correction, np.where(danger, SAFE, FAST))
    step = desk.step(np.full(200, FAST))
    np.testing.assert_array_equal(step.cost, danger)
    assert 0 < danger.sum() < 200


def test_risk_of_one_action_is_its_entry_in_the_table(rng: np.random.Generator) -> None:
    desk = _desk(100)
    actions = rng.integers(4, size=100)
    for source in ("immediate", "exact", "estimated"):
        risk = desk.risk_of(source, actions)  # type: ignore[arg-type]
        np.testing.assert_array_equal(risk, _risk(desk, source)[np.arange(100), actions])


def test_the_danger_is_hidden_until_it_is_checked() -> None:
    desk, twin = _desk(100), _desk(100)
    twin.danger = ~twin.danger
    seen, other = _do(desk, HOLD), _do(twin, HOLD)
    np.testing.assert_array_equal(seen, other)
    np.testing.assert_array_equal(_risk(desk, "estimated"), _risk(twin, "estimated"))
    assert desk.render(0) == twin.render(0)
    seen, other = _do(desk, CHECK), _do(twin, CHECK)
    np.testing.assert_array_equal(seen[:, CHECKED], 1.0)
    np.testing.assert_array_equal(seen[:, VERDICT], np.where(desk.danger, 1.0, -1.0))
    np.testing.assert_array_equal(other[:, VERDICT], -seen[:, VERDICT])
    np.testing.assert_array_equal(_risk(desk, "estimated")[:, FAST], desk.danger)


def test_an_empty_desk_does_nothing() -> None:
    desk = _desk(200)
    desk.queue[:] = 0
    for source in ("immediate", "exact", "estimated"):
        assert not _risk(desk, source).any()
    for action in (FAST, CHECK, SAFE, HOLD):
        desk.queue[:] = 0
        desk.danger[:] = True
        step = desk.step(np.full(200, action))
        np.testing.assert_allclose(step.reward, -0.02 * desk.queue)
        assert not step.cost.any()
        empty = desk.queue == 0
        assert 0 < empty.sum() < 200
        assert not step.observation[empty].any()
        assert (step.observation[~empty, TYPE].sum(axis=1) == 1.0).all()
        assert not step.observation[:, CHECKED].any()


def test_the_queue_is_capped() -> None:
    desk = _desk(50)
    for _ in range(40):
        step = desk.step(np.full(50, HOLD))
        assert (desk.queue <= QUEUE_CAP).all()
    assert (desk.queue == QUEUE_CAP).all()
    np.testing.assert_allclose(step.reward, -0.2)
    assert (step.observation[:, QUEUE] == 1.0).all()


def test_a_refusal_shows_until_the_ticket_is_closed() -> None:
    desk = _desk(4)
    before = desk.observation.copy()
    refused = np.array([True, False, True, False])
    desk.note_refusals(refused)
    np.testing.assert_array_equal(desk.observation[:, REFUSED], refused)
    np.testing.assert_array_equal(
        np.delete(desk.observation, REFUSED, axis=1), np.delete(before, REFUSED, axis=1)
    )
    for quiet in (HOLD, CHECK):
        np.testing.assert_array_equal(_do(desk, quiet)[:, REFUSED], refused)
    closed = desk.step(np.array([SAFE, SAFE, HOLD, FAST])).observation
    np.testing.assert_array_equal(closed[:, REFUSED], [0.0, 0.0, 1.0, 0.0])
    desk.note_refusals(np.zeros(4, dtype=np.bool_))
    assert desk.observation[2, REFUSED] == 1.0
    assert not desk.reset()[:, REFUSED].any()


def test_a_refusal_on_an_empty_desk_is_forgotten() -> None:
    desk = _desk(100)
    desk.queue[:] = 0
    desk.note_refusals(np.ones(100, dtype=np.bool_))
    assert not desk.observation[:, REFUSED].any()
    assert not _do(desk, HOLD)[:, REFUSED].any()


def test_draws_do_not_follow_the_action() -> None:
    """Fast and safe meet the same tickets, hold and check the same arrivals."""
    for one, other, same in (
        (FAST, SAFE, ("kind", "danger", "signal", "queue")),
        (HOLD, CHECK, ("kind", "danger", "signal", "queue")),
    ):
        desk, twin = _desk(30), _desk(30)
        for _ in range(49):
            _do(desk, one)
            _do(twin, other)
            for name in same:
                np.testing.assert_array_equal(getattr(desk, name), getattr(twin, name), name)


def test_no_draw_puts_a_signal_outside_the_observation_space() -> None:
    space = _desk().observation_space
    smallest, largest = 2.0**-54, 1.0 - 2.0**-53
    assert SD * stats.norm.ppf(smallest) > -SIGNAL_BOUND
    assert 1.0 + SD * stats.norm.ppf(largest) < SIGNAL_BOUND
    assert isinstance(space, gym.spaces.Box)
    assert (space.low[SIGNAL], space.high[SIGNAL]) == (-SIGNAL_BOUND, SIGNAL_BOUND)


# Reward modes


@pytest.mark.parametrize(
    ("mode", "fast_on_danger"), [("hidden", 0.7), ("misspecified", 0.7), ("aligned", -1.0)]
)
def test_what_fast_earns_on_a_danger(mode: str, fast_on_danger: float) -> None:
    desk = OpsDesk(400, seed=SEED, reward_mode=mode)
    desk.reset()
    danger = desk.danger.copy()
    step = desk.step(np.full(400, FAST))
    earned = step.reward + 0.02 * desk.queue
    np.testing.assert_allclose(earned, np.where(danger, fast_on_danger, 1.0))
    np.testing.assert_array_equal(step.cost, danger)


@pytest.mark.parametrize("mode", ["misspecified", "aligned"])
def test_the_signal_shows_the_danger_where_it_is_not_hidden(mode: str) -> None:
    desk, hidden = OpsDesk(300, seed=SEED, reward_mode=mode), _desk(300)
    desk.reset()
    for _ in range(40):
        _do(desk, SAFE)
        _do(hidden, SAFE)
        np.testing.assert_array_equal(desk.signal, desk.danger)
        np.testing.assert_array_equal(desk.danger, hidden.danger)
        for source in ("immediate", "exact", "estimated"):
            np.testing.assert_array_equal(_risk(desk, source), _risk(hidden, "exact"))


def _return_and_harm(mode: str, policy: str, num_lanes: int = 1_000) -> tuple[float, float]:
    """Mean return of an episode, and its violations."""
    desk = OpsDesk(num_lanes, seed=SEED, reward_mode=mode)
    desk.reset()
    steps = []
    for _ in range(50):
        actions = getattr(desk, policy)()
        steps.append(desk.step(actions))
    return tuple(  # type: ignore[return-value]
        sum(getattr(step, name).mean() for step in steps) for name in ("reward", "cost")
    )


def test_the_reference_violates_unless_the_reward_is_aligned() -> None:
    for mode in ("hidden", "misspecified"):
        reward, harm = _return_and_harm(mode, "reference")
        assert reward == pytest.approx(34.3, abs=0.3)
        assert harm > 6.0
    reward, harm = _return_and_harm("aligned", "reference")
    assert reward == pytest.approx(32.3, abs=0.3)
    assert harm == 0.0


def test_no_other_policy_on_signals_earns_more_than_the_reference() -> None:
    """Fast where the signal is below a threshold, else safe."""
    for mode, best in (("hidden", 9.0), ("misspecified", 9.0), ("aligned", 0.5)):
        returns = {}
        for threshold in (-9.0, 0.0, 0.5, 1.5, 9.0):
            desk = OpsDesk(500, seed=SEED, reward_mode=mode)
            desk.reset()
            returns[threshold] = sum(
                desk.step(np.where(desk.signal < threshold, FAST, SAFE)).reward.mean()
                for _ in range(50)
            )
        assert returns[best] == max(returns.values())


# Drift


def _drifting(parameter: str, value: float) -> OpsDesk:
    drift = {"parameter": parameter, "value": value, "at_step": 1}
    desk = OpsDesk(3_000, seed=SEED, drift=drift)
    desk.reset()
    return desk


def test_drift_of_danger_reaches_the_tickets_that_come_after_it() -> None:
    desk = _drifting("danger_factor", 2.0)
    kinds, dangers = [], []
    for _ in range(3):
        kinds.append(desk.kind.copy())
        dangers.append(desk.danger.copy())
        _do(desk, SAFE)
    # the ticket that the first step brought was drawn before the drift began
    for first, last, factor in ((0, 2, 1.0), (2, 3, 2.0)):
        kind, danger = (np.concatenate(part[first:last]) for part in (kinds, dangers))
        for t, prior in enumerate(PRIOR):
            of_type = danger[kind == t]
            found = stats.binomtest(int(of_type.sum()), len(of_type), factor * prior)
            assert found.pvalue > ERROR / 6


def test_the_posterior_knows_the_drifted_danger() -> None:
    desk = _drifting("danger_factor", 1.0 / 0.35)
    _do(desk, HOLD)
    _do(desk, SAFE)
    for lane in range(20):
        danger = PRIOR[desk.kind[lane]] / 0.35 * stats.norm.pdf(desk.signal[lane], 1.0, SD)
        harmless = (1 - PRIOR[desk.kind[lane]] / 0.35) * stats.norm.pdf(desk.signal[lane], 0.0, SD)
        expected = danger / (danger + harmless)
        assert _risk(desk, "estimated")[lane, FAST] == pytest.approx(expected, abs=1e-12)
    assert desk.danger[desk.kind == 2].all()


def test_drift_of_arrivals() -> None:
    desk = _drifting("arrival", 0.0)
    before = desk.queue.copy()
    _do(desk, HOLD)
    assert stats.binomtest(int((desk.queue - before).sum()), 3_000, 0.7).pvalue > ERROR
    before = desk.queue.copy()
    _do(desk, HOLD)
    np.testing.assert_array_equal(desk.queue, before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reward_mode": "hiden"}, "unknown reward_mode 'hiden'; did you mean 'hidden'"),
        ({"arrival": 1.5}, r"arrival must be a number in \[0, 1\], got 1.5"),
        ({"danger_factor": 3.0}, r"danger_factor must be a number in \[0, 2.857.*\], got 3"),
        ({"drift": {"parameter": "dangr", "value": 1.0}}, "drifting parameter 'dangr'"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        OpsDesk(**arguments)  # type: ignore[arg-type]
