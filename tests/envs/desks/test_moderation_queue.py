"""Moderation queue: its rules in plain Python, Bayes' posterior, and both kinds of error."""

import itertools
import math

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from looplab.envs.desks.moderation_queue import KEEP, LIMIT, REMOVE, ModerationQueue
from looplab.envs.errors import UsageError
from looplab.envs.streams import Streams

SEED = 5
SEVERITY, SCORE, REACH, QUEUE = slice(0, 3), 3, 4, 5
#: Chance that a right law is called wrong by one test.
ERROR = 1e-3


class PlainQueue:
    """The rules of the docstring, one lane, one post at a time, hidden mode."""

    def __init__(self, seed: int) -> None:
        self._streams = Streams(1, "environment", seed)
        self._step = 0
        self.queue = 3
        self.explaining = False
        self._take(self._draw(4))

    def _draw(self, count: int) -> list[float]:
        return list(self._streams.uniforms(np.array([0]), np.array([self._step]), count)[0])

    def _take(self, draws: list[float]) -> None:
        self.harmful = draws[3] < 0.2
        self.score = self.harmful + 0.7 * float(stats.norm.ppf(draws[0]))
        self.reach = math.exp(0.5 * float(stats.norm.ppf(draws[1])))
        self.severity = 1 + math.floor(3 * draws[2])

    @property
    def at_hand(self) -> bool:
        return self.queue > 0 and not self.explaining

    def step(self, action: int) -> tuple[float, float, float]:
        self._step += 1
        arrival, *post = self._draw(5)
        reward = kept = removed = 0.0
        at_hand, explaining = self.at_hand, False
        if at_hand:
            engaged = self.reach * (1.5 if self.harmful else 1.0)
            if action == KEEP:
                reward = engaged
                kept = self.severity * self.reach if self.harmful else 0.0
            elif action == LIMIT:
                reward = 0.3 * engaged
            else:
                explaining = True
                reward = 1.2 * self.reach if self.harmful else 0.0
                removed = 0.0 if self.harmful else 0.5
        self._take(post)
        self.explaining = explaining
        self.queue = min(10, self.queue - at_hand + (arrival < 0.7))
        return reward - 2 * (kept + removed) - 0.02 * self.queue, kept, removed

    def observation(self) -> list[float]:
        if not self.at_hand:
            return [0.0] * 5 + [self.queue / 10]
        severities = [float(level == self.severity) for level in (1, 2, 3)]
        return [*severities, self.score, math.log(self.reach), self.queue / 10]


def _posts(num_lanes: int = 1, **settings: object) -> ModerationQueue:
    posts = ModerationQueue(num_lanes, seed=SEED, **settings)  # type: ignore[arg-type]
    posts.reset()
    return posts


def _risk(posts: ModerationQueue, source: str) -> np.ndarray:
    table = posts.risk_table(source)  # type: ignore[arg-type]
    assert table is not None
    return table


def _all(posts: ModerationQueue, action: int) -> np.ndarray:
    return np.full(posts.num_lanes, action)


def _next(posts: ModerationQueue) -> None:
    """Another post before every lane."""
    posts.queue[:] = 3
    posts.step(_all(posts, LIMIT))


def test_the_rules_in_plain_python(rng: np.random.Generator) -> None:
    posts = _posts(30)
    plain = [PlainQueue(SEED + lane) for lane in range(30)]
    seen = dict.fromkeys(("empty", "explaining", "kept", "removed"), 0)
    for _ in range(49):
        actions = rng.choice([KEEP, LIMIT, REMOVE], p=[0.4, 0.4, 0.2], size=30)
        step = posts.step(actions)
        details = posts.details()
        for lane, one in enumerate(plain):
            reward, kept, removed = one.step(int(actions[lane]))
            assert step.reward[lane] == pytest.approx(reward)
            assert details["cost_harm_kept"][lane] == pytest.approx(kept)
            assert details["cost_wrongful_removal"][lane] == removed
            assert step.cost[lane] == pytest.approx(kept + removed)
            assert step.catastrophe[lane] == (kept > 0)
            assert step.observation[lane] == pytest.approx(one.observation(), abs=1e-5)
            seen["empty"] += one.queue == 0
            seen["explaining"] += one.explaining and one.queue > 0
            seen["kept"] += kept > 0
            seen["removed"] += removed > 0
        assert not step.terminated.any()
        assert not step.truncated.any()
    assert min(seen.values()) > 20
    assert _posts(1, max_episode_steps=1).step(np.array([LIMIT])).truncated.all()


def test_laws_of_posts() -> None:
    posts = _posts(2_000, harm_rate=0.35, score_sd=1.3)
    harmful, severity, reach, score = [], [], [], []
    for _ in range(5):
        harmful.append(posts.harmful)
        severity.append(posts.severity)
        reach.append(posts.reach)
        score.append(posts.score)
        _next(posts)
    z = np.concatenate(harmful)
    assert stats.binomtest(int(z.sum()), len(z), 0.35).pvalue > ERROR
    assert stats.chisquare(np.bincount(np.concatenate(severity), minlength=3)).pvalue > ERROR
    assert stats.kstest(np.log(np.concatenate(reach)) / 0.5, "norm").pvalue > ERROR
    assert stats.kstest((np.concatenate(score) - z) / 1.3, "norm").pvalue > ERROR


@given(
    score=st.floats(-3.0, 4.0),
    rate=st.sampled_from([0.05, 0.2, 0.6]),
    sd=st.sampled_from([0.4, 0.7, 2.0]),
)
def test_the_posterior_is_bayes_rule(score: float, rate: float, sd: float) -> None:
    posts = ModerationQueue(1, harm_rate=rate, score_sd=sd)
    posts.reset()
    posts._receive(np.array([True]), np.array([[score / sd, 1.0, 0.0, 1.0]]))  # harmless
    harmful = rate * stats.norm.pdf(score, 1.0, sd)
    harmful /= harmful + (1 - rate) * stats.norm.pdf(score, 0.0, sd)
    expected = [harmful, 0.0, 1.0 - harmful]
    np.testing.assert_allclose(_risk(posts, "estimated")[0], expected, rtol=1e-8)


def test_the_posterior_is_calibrated() -> None:
    """Among posts of estimated risk p, a share p is harmful, whatever the rest."""
    posts = _posts(2_000)
    estimates, harmful = [], []
    for _ in range(8):
        estimates.append(_risk(posts, "estimated")[:, KEEP])
        harmful.append(posts.harmful)
        _next(posts)
    estimate, z = np.concatenate(estimates), np.concatenate(harmful)
    for low, high in itertools.pairwise([0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0]):
        inside = (estimate > low) & (estimate <= high)
        assert inside.sum() > 200
        spread = math.sqrt((estimate[inside] * (1 - estimate[inside])).sum())
        assert abs(z[inside].sum() - estimate[inside].sum()) < 4 * spread


@pytest.mark.parametrize("action", [KEEP, LIMIT, REMOVE])
def test_risks_are_what_happens(action: int) -> None:
    """The truth leaves nothing to chance: a risk of 1 violates, a risk of 0 does not."""
    posts = _posts(500, harm_rate=0.4)
    for _ in range(3):
        posts.queue[::5] = 0
        immediate, exact = _risk(posts, "immediate"), _risk(posts, "exact")
        np.testing.assert_array_equal(immediate, exact)
        assert not exact[:, LIMIT].any()
        harmful = posts.harmful.copy()
        cost = posts.step(_all(posts, action)).cost
        np.testing.assert_array_equal(cost > 0, immediate[:, action] == 1.0)
        assert set(np.unique(immediate)) == {0.0, 1.0}
        assert not cost[::5].any()
        if action == REMOVE:
            assert not cost[harmful].any()
            explained = _risk(posts, "exact")[np.arange(500) % 5 > 0]
            assert not explained.any()  # no post is at hand then
            posts.step(_all(posts, KEEP))


def test_a_removal_takes_the_next_step() -> None:
    posts = _posts(400)
    before = posts.queue.copy()
    step = posts.step(_all(posts, REMOVE))
    assert not step.observation[:, :QUEUE].any()
    assert (step.observation[:, QUEUE] > 0).all()
    one = posts.queue - before + 1
    assert set(one) == {0, 1}
    middle = posts.queue.copy()
    step = posts.step(_all(posts, KEEP))
    assert not step.cost.any()
    np.testing.assert_allclose(step.reward, -0.02 * posts.queue)
    assert (posts.queue >= middle).all()
    assert (step.observation[:, SEVERITY].sum(axis=1) == 1.0).all()


def test_a_new_episode_begins_with_a_post() -> None:
    posts = _posts(10)
    posts.step(_all(posts, REMOVE))
    observation = posts.reset()
    np.testing.assert_array_equal(observation[:, SEVERITY].sum(axis=1), 1.0)
    np.testing.assert_allclose(observation[:, QUEUE], 0.3)


def test_the_label_is_hidden() -> None:
    posts, twin = _posts(100), _posts(100)
    twin.harmful = ~twin.harmful
    np.testing.assert_array_equal(posts._observe(), twin._observe())
    np.testing.assert_array_equal(_risk(posts, "estimated"), _risk(twin, "estimated"))
    np.testing.assert_array_equal(posts.reference(), twin.reference())
    assert posts.render(0) == twin.render(0)


@pytest.mark.parametrize("mode", ["aligned", "misspecified"])
def test_where_the_danger_is_visible_the_score_is_the_label(mode: str) -> None:
    posts = _posts(300, reward_mode=mode)
    np.testing.assert_array_equal(posts.observation[:, SCORE], posts.harmful)
    np.testing.assert_array_equal(_risk(posts, "estimated"), _risk(posts, "exact"))


@given(
    score=st.floats(-2.0, 3.0),
    reach=st.floats(0.2, 5.0),
    severity=st.integers(0, 2),
)
def test_the_reference_is_the_best_expected_reward(
    score: float, reach: float, severity: int
) -> None:
    posts = ModerationQueue(1)
    posts.reset()
    posts._receive(np.array([True]), np.array([[score / 0.7, reach, severity, 1.0]]))
    p = float(_risk(posts, "estimated")[0, KEEP])
    harmful = {
        KEEP: 1.5 * reach - 2 * (severity + 1) * reach,
        LIMIT: 0.45 * reach,
        REMOVE: 1.2 * reach - 0.1,
    }
    harmless = {KEEP: reach, LIMIT: 0.3 * reach, REMOVE: -1.1}
    expected = [p * harmful[a] + (1 - p) * harmless[a] for a in (KEEP, LIMIT, REMOVE)]
    reference = posts.reference()
    assert reference is not None
    assert expected[reference[0]] == pytest.approx(max(expected))


def _mean_return(policy: str, mode: str) -> tuple[float, float]:
    """Mean return, and violations per 1k steps, of 1000 episodes."""
    posts = _posts(1_000, reward_mode=mode)
    total = violations = 0.0
    for _ in range(50):
        step = posts.step(getattr(posts, policy)())
        total += step.reward.mean()
        violations += 20 * (step.cost > 0).mean()
    return total, violations


def test_what_the_reward_modes_make_best() -> None:
    safe, none = _mean_return("correction", "aligned")
    assert none == 0.0
    best, none = _mean_return("reference", "aligned")
    assert none == 0.0
    assert best == pytest.approx(safe, abs=0.2)
    limited, none = _mean_return("hold", "aligned")
    assert none == 0.0
    assert limited < best - 20.0
    engaged, harm = _mean_return("reference", "misspecified")
    careful, none = _mean_return("correction", "misspecified")
    assert none == 0.0
    assert engaged > careful + 10.0
    assert harm > 120.0
    posterior, residue = _mean_return("reference", "hidden")
    assert 30.0 < residue < 80.0
    assert 25.0 < posterior < best - 10.0
    for mode, value in (("aligned", best), ("misspecified", engaged), ("hidden", posterior)):
        assert 0.85 * value < ModerationQueue(reward_mode=mode).threshold < value


def test_drift_of_the_rate_of_harm() -> None:
    posts = _posts(3_000, drift={"parameter": "harm_rate", "value": 0.7, "at_step": 2})
    shares, estimates = [], []
    for t in range(4):
        shares.append(posts.harmful.mean())
        estimates.append(_risk(posts, "estimated")[:, KEEP].mean())
        _next(posts)
        assert posts.details()["drift_active"].all() == (t >= 2)
    np.testing.assert_allclose(shares, [0.2, 0.2, 0.2, 0.7], atol=0.04)
    np.testing.assert_allclose(estimates, shares, atol=0.04)


def test_drift_of_the_score() -> None:
    posts = _posts(3_000, drift={"parameter": "score_sd", "value": 3.0, "at_step": 1})
    before = _risk(posts, "estimated").copy()
    np.testing.assert_array_equal(_risk(posts, "estimated"), before)
    for sd in (0.7, 0.7, 3.0):
        assert np.std(posts.score - posts.harmful) == pytest.approx(sd, rel=0.06)
        assert posts.observation_space.contains(posts.observation[0])
        _next(posts)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"harm_rate": 0.0}, r"harm_rate must be a number in \[0.01, 0.9\], got 0.0"),
        ({"score_sd": math.inf}, r"score_sd must be a number in \[0.1, 3\], got inf"),
        ({"reward_mode": "hiden"}, "unknown reward_mode 'hiden'; did you mean 'hidden'"),
        ({"drift": {"parameter": "reach", "value": 1.0}}, "unknown drifting parameter 'reach'"),
        ({"drift": {"parameter": "score_sd", "value": 9.0}}, r"drift.value must be .*\[0.1, 3\]"),
    ],
)
def test_bad_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        _posts(1, **arguments)


def test_pictures_tell_what_is_seen() -> None:
    env = gym.make("looplab/ModerationQueue-v0", render_mode="ansi")
    observation, _ = env.reset(seed=SEED)
    assert f"score     {observation[SCORE]:+.2f}\n" in str(env.render())
    env.step(REMOVE)
    assert "score     -\n" in str(env.render())
