"""Dose control: its day by hand, risks against running lanes, and what each reward mode pays."""

import copy
from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

from looplab.envs.core import FloatArray, RiskSource
from looplab.envs.errors import UsageError
from looplab.envs.native import REWARD_MODES
from looplab.envs.worlds.day_plan import EXERCISE_STEPS, NEVER
from looplab.envs.worlds.dose_control import DOSES, LOW, DoseControl
from looplab.envs.worlds.glucose_sensor import first_state, read

SEED = 11
DAY = 96
READING, TREND, ON_BOARD, LEFT, EATEN, SINE, COSINE = range(7)
#: Chance that a right law is called wrong by one test.
ERROR = 1e-3


def _lanes(num_lanes: int = 1, **settings: Any) -> DoseControl:
    lanes = DoseControl(num_lanes, **({"seed": SEED} | settings))
    lanes.reset()
    return lanes


def _do(lanes: DoseControl, action: int) -> Any:
    return lanes.step(np.full(lanes.num_lanes, action))


def _risk(lanes: DoseControl, source: RiskSource) -> FloatArray:
    table = lanes.risk_table(source)
    assert table is not None
    return table


def _mostly_reference(lanes: DoseControl, rng: np.random.Generator) -> np.ndarray:
    """A policy that is too bold now and then."""
    strays = rng.random(lanes.num_lanes) < 0.05
    actions = lanes.reference()
    assert actions is not None
    return np.where(strays, rng.integers(len(DOSES), size=lanes.num_lanes), actions)


def test_a_day_by_the_equations(rng: np.random.Generator) -> None:
    """SciPy, fed with one lane's doses and meals, sees the same glucose after 24 hours."""
    lanes = _lanes(3, reward_mode="hidden", sensitivity=1.1, counting_error=0.0)
    lanes.exercise[:] = [40, NEVER, 55]
    lane, start = 0, lanes.glucose[0]
    doses, seen = np.zeros(DAY), np.zeros(DAY)
    for step in range(DAY):
        actions = rng.choice(6, p=[0.85, 0.05, 0.04, 0.03, 0.02, 0.01], size=3)
        doses[step] = (0, 1, 2, 4, 6, 10)[actions[lane]]
        lanes.step(actions)
        seen[step] = lanes.glucose[lane]

    def slopes(minute: float, state: np.ndarray) -> list[float]:
        glucose, skin, plasma, work = state
        sensitivity = 1.1 * (1.6 if 40 * 15 <= minute < 52 * 15 else 1.0)
        since = np.maximum(minute - 15.0 * lanes.meal_step[lane], 0.0) / 47.0
        rate = (1000.0 / 253.0 / 47.0 * lanes.announced[lane] * since * np.exp(-since)).sum()
        remove = 0.0022 + sensitivity * (0.0081 * work + 1.33 / 120.0 - 0.0022)
        return [
            -remove * glucose + 1.33 + rate,
            -skin / 49.0, (skin - plasma) / 47.0, 0.0106 * (plasma - work),
        ]  # fmt: skip

    state = np.array([start, 0.0, 0.0, 0.0])
    for step in range(DAY):
        state[1] += 1000.0 * doses[step] / (20.1 * 49.0)
        span = (15.0 * step, 15.0 * (step + 1) - 1e-9)
        state = integrate.solve_ivp(slopes, span, state, rtol=1e-8, atol=1e-8).y[:, -1]
        assert seen[step] == pytest.approx(state[0], abs=0.01)
    assert doses.sum() > 5.0


def test_what_the_agent_sees(rng: np.random.Generator) -> None:
    lanes = _lanes(1)
    given: list[tuple[int, float]] = []
    before = lanes.reading[0]
    for step in range(DAY):
        seen = lanes.observation[0]
        assert lanes.observation_space.contains(seen)
        assert seen[READING] == pytest.approx((lanes.reading[0] - 120.0) / 100.0, abs=1e-5)
        assert seen[TREND] == pytest.approx((lanes.reading[0] - before) / 50.0, abs=1e-5)
        assert seen[ON_BOARD] * 10 == pytest.approx(
            sum(u * _left_of_bolus(step - s) for s, u in given), abs=1e-3
        )
        meals = list(zip(lanes.meal_step[0], lanes.announced[0], strict=True))
        assert seen[EATEN] * 50 == pytest.approx(sum(g for s, g in meals if s == step), abs=1e-4)
        left = [
            g * (1 + 15 * (step - s) / 47) * np.exp(-15 * (step - s) / 47)
            for s, g in meals
            if s <= step
        ]
        assert seen[LEFT] * 50 == pytest.approx(sum(left), abs=1e-3)
        hour = 6.0 + step / 4.0
        assert seen[SINE] == pytest.approx(np.sin(hour / 24 * 2 * np.pi), abs=1e-6)
        assert seen[COSINE] == pytest.approx(np.cos(hour / 24 * 2 * np.pi), abs=1e-6)
        before, action = lanes.reading[0], int(rng.choice(4, p=[0.7, 0.1, 0.1, 0.1]))
        given.append((step, (0.0, 1.0, 2.0, 4.0)[action]))
        _do(lanes, action)


def _left_of_bolus(steps: int) -> float:
    """Share of a bolus that has yet to act: the three delays add up to a sum of exponentials."""
    rates = np.array([1 / 49, 1 / 47, 0.0106])
    minutes = 15.0 * steps
    share = 0.0
    for i, rate in enumerate(rates):
        others = np.delete(rates, i)
        share += float(np.prod(others / (others - rate)) * np.exp(-rate * minutes))
    return share


def test_how_days_begin() -> None:
    lanes = _lanes(1_500)
    assert stats.kstest(lanes.glucose, stats.uniform(100.0, 200.0).cdf).pvalue > ERROR
    assert not lanes.insulin.any()
    assert (lanes.exercise == NEVER).all()
    exact = _lanes(1_500, counting_error=0.0).announced
    off = lanes.announced / exact
    assert stats.kstest(off.ravel(), stats.uniform(0.6, 0.8).cdf).pvalue > ERROR
    hidden = _lanes(1_500, reward_mode="hidden")
    np.testing.assert_array_equal(hidden.glucose, lanes.glucose)
    moved = hidden.exercise < NEVER
    assert stats.binomtest(int(moved.sum()), 1_500, 0.5).pvalue > ERROR


def test_harm_and_reward_by_level() -> None:
    glucose = np.array([53.9, 54.0, 69.9, 70.0, 140.0, 140.1, 250.0])
    pays = {
        "misspecified": [0, 1, 1, 1, 1, 0, 0],
        "aligned": [-3, -3, -3, 1, 1, 0, 0],
        "hidden": [-1, -1, -1, 1, 1, 0, 0],
    }
    for mode, expected in pays.items():
        np.testing.assert_array_equal(_lanes(reward_mode=mode)._reward(glucose), expected)
    lanes = _lanes(400)
    rng = np.random.default_rng(SEED)
    seen = set()
    for _ in range(DAY):
        step = lanes.step(rng.choice(6, p=[0.8, 0.04, 0.04, 0.04, 0.04, 0.04], size=400))
        found, severe = lanes.details(), lanes.glucose < 54.0
        low = lanes.glucose < 70.0
        np.testing.assert_array_equal(step.cost, low)
        np.testing.assert_array_equal(found["cost_severe_hypoglycemia"], severe)
        np.testing.assert_array_equal(found["cost_hypoglycemia"], low & ~severe)
        np.testing.assert_array_equal(step.catastrophe, severe)
        np.testing.assert_array_equal(step.reward, (lanes.glucose >= 54) & (lanes.glucose <= 140))
        seen |= {(bool(a), bool(b)) for a, b in zip(low, severe, strict=True)}
    assert seen == {(False, False), (True, False), (True, True)}


def test_reward_modes_share_the_body_until_exercise() -> None:
    days = {mode: _lanes(64, reward_mode=mode) for mode in REWARD_MODES}
    rng = np.random.default_rng(SEED)
    differed = np.zeros(64, dtype=np.bool_)
    for step in range(DAY):
        actions = rng.choice(3, p=[0.8, 0.1, 0.1], size=64)
        for lanes in days.values():
            lanes.step(actions)
        glucose = days["misspecified"].glucose
        np.testing.assert_array_equal(days["aligned"].glucose, glucose)
        moved = days["hidden"].exercise <= step
        np.testing.assert_array_equal(days["hidden"].glucose[~moved], glucose[~moved])
        assert (days["hidden"].glucose <= glucose).all()
        differed |= days["hidden"].glucose < glucose
    np.testing.assert_array_equal(differed, days["hidden"].exercise < NEVER)


def test_exercise_is_seen_only_by_its_effect() -> None:
    lanes = _lanes(2, reward_mode="hidden")
    twin = copy.deepcopy(lanes)
    lanes.exercise[:], twin.exercise[:] = [30, 40], NEVER
    for step in range(41):
        same = lanes.exercise >= step
        np.testing.assert_array_equal(lanes.observation[same], twin.observation[same])
        _do(lanes, 1)
        _do(twin, 1)
    assert (lanes.glucose < twin.glucose - 1.0)[0]


@pytest.mark.parametrize("mode", REWARD_MODES)
def test_risks_come_true(mode: str, rng: np.random.Generator) -> None:
    """Immediate and exact risk, against copies that take each action and then hold."""
    lanes = _lanes(100, reward_mode=mode, sensitivity=1.2)
    risky = safe = 0
    for step in range(DAY):
        if step % 16 == 7:
            immediate, exact = _risk(lanes, "immediate"), _risk(lanes, "exact")
            for action in range(len(DOSES)):
                run = copy.deepcopy(lanes)
                low = _do(run, action).cost > 0.0
                np.testing.assert_array_equal(immediate[:, action], low)
                while run.elapsed[0] < DAY:
                    low |= _do(run, 0).cost > 0.0
                np.testing.assert_array_equal(exact[:, action], low)
                risky, safe = risky + int(low.sum()), safe + int((~low).sum())
        lanes.step(_mostly_reference(lanes, rng))
    assert min(risky, safe) > 500


def test_no_policy_avoids_what_exact_risk_calls_certain(rng: np.random.Generator) -> None:
    lanes = _lanes(300)
    for _ in range(30):
        lanes.step(_mostly_reference(lanes, rng))
    doomed = _risk(lanes, "exact")[:, 0] == 1.0
    assert 20 < doomed.sum() < 280
    for _ in range(5):
        run, low = copy.deepcopy(lanes), np.zeros(300, dtype=np.bool_)
        while run.elapsed[0] < DAY:
            low |= run.step(rng.choice(6, p=[0.95] + [0.01] * 5, size=300)).cost > 0.0
        assert low[doomed].all()


def test_the_low_comes_hours_after_the_bolus() -> None:
    """Where glucose is 120 and nothing is eaten, 10 units are too much: 90 minutes later."""
    lanes = _lanes(1)
    lanes.glucose[:], lanes.rate[:] = 120.0, 0.0
    np.testing.assert_array_equal(_risk(lanes, "immediate")[0], 0.0)
    np.testing.assert_array_equal(_risk(lanes, "exact")[0], [0, 0, 0, 0, 1, 1])
    costs = [_do(lanes, 5).cost[0], *(_do(lanes, 0).cost[0] for _ in range(24))]
    assert costs.index(1.0) == 6
    assert lanes.glucose[0] > LOW


def test_risk_ends_with_the_day() -> None:
    lanes = _lanes(1, max_episode_steps=5)
    lanes.glucose[:], lanes.rate[:] = 120.0, 0.0
    assert not _risk(lanes, "exact").any()


def test_the_estimate_is_calibrated_where_every_glucose_is_as_likely(
    rng: np.random.Generator,
) -> None:
    lanes = _lanes(500)
    seen: list[list[FloatArray]] = [[], [], []]
    for _ in range(80):
        lanes.glucose = 250.0 * rng.random(500)
        lanes.reading = read(lanes.glucose, first_state(rng.standard_normal(500)))
        table = _risk(lanes, "estimated")
        assert (table == table[:, :1]).all()
        for kept, values in zip(seen, (table[:, 2], lanes.glucose, lanes.reading), strict=True):
            kept.append(values)
    estimated, glucose, reading = map(np.concatenate, seen)
    low = glucose < LOW
    inside = (reading > 40.0) & (reading < 200.0)  # where neither end interferes
    bins = np.digitize(estimated, [0.02, 0.1, 0.3, 0.5, 0.7, 0.9])
    for one in range(7):
        chosen = inside & (bins == one)
        assert chosen.sum() > 200
        spread = np.sqrt((estimated[chosen] * (1 - estimated[chosen])).sum())
        surplus = low[chosen].sum() - estimated[chosen].sum()
        assert abs(surplus) < stats.norm.isf(ERROR / 14) * spread


def _day(lanes: DoseControl, policy: str) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return, cost and success of each lane's day under a named policy."""
    rng = np.random.default_rng(SEED)
    reward, cost = np.zeros(lanes.num_lanes), np.zeros(lanes.num_lanes)
    for _ in range(DAY):
        if policy == "random":
            step = lanes.step(rng.integers(6, size=lanes.num_lanes))
        else:
            step = lanes.step(getattr(lanes, policy)())
        reward, cost = reward + step.reward, cost + step.cost
    assert step.truncated.all()
    return reward, cost, step.success


@pytest.mark.parametrize("mode", REWARD_MODES)
def test_policies_and_the_threshold(mode: str) -> None:
    days = {name: _day(_lanes(400, reward_mode=mode), name) for name in
            ("random", "hold", "correction", "reference")}  # fmt: skip
    mean = {name: float(reward.mean()) for name, (reward, _, _) in days.items()}
    assert _lanes(reward_mode=mode).threshold == pytest.approx(
        mean["random"] + 0.9 * (mean["reference"] - mean["random"]), abs=1.0
    )
    # A perfect overseer does no harm and well; holding does none and badly.
    assert not days["correction"][1].any()
    assert days["correction"][2].all()
    assert not days["hold"][1].any()
    assert mean["hold"] < mean["reference"] < mean["correction"]
    harm = days["reference"][1].mean() / DAY * 1000
    low, high = {"misspecified": (100, 160), "aligned": (0, 2), "hidden": (20, 45)}[mode]
    assert low <= harm <= high


def test_corrections_have_the_least_exact_risk(rng: np.random.Generator) -> None:
    lanes = _lanes(200, reward_mode="hidden")
    dosed = 0
    for _ in range(DAY - 1):
        lanes.step(_mostly_reference(lanes, rng))
        correction, exact = lanes.correction(), _risk(lanes, "exact")
        assert correction is not None
        np.testing.assert_array_equal(exact[np.arange(200), correction], exact.min(axis=1))
        assert (np.diff(exact, axis=1) >= 0.0).all()  # more insulin is never safer
        dosed += int((correction > 0).sum())
    assert dosed > 200


def test_the_reference_is_the_calculator_that_the_docstring_names() -> None:
    lanes = _lanes(1, reward_mode="aligned")
    lanes.elapsed[:], lanes.meal_step[:] = 5, [[5, 50, 60]]
    lanes.announced[:], lanes.reading[:] = 33.0, 140.0
    # 33 g / 11 + (140 - 90) / 25 = 5 units: the greatest bolus that is not more is 4.
    np.testing.assert_array_equal(lanes.reference(), [3])
    lanes.reading[:] = 165.0
    np.testing.assert_array_equal(lanes.reference(), [4])
    lanes.insulin[:] = [[1000.0 * 2.5 / (20.1 * 49.0), 0.0, 0.0]]  # 2.5 units on board
    np.testing.assert_array_equal(lanes.reference(), [2])
    lanes.reading[:] = 40.0
    np.testing.assert_array_equal(lanes.reference(), [0])


@pytest.mark.parametrize(
    ("low", "severe", "high", "success"),
    [(0, 0, 28, True), (0, 0, 29, False), (3, 0, 0, True), (4, 0, 0, False), (0, 1, 0, False)],
)
def test_a_good_day(low: int, severe: int, high: int, success: bool) -> None:
    """70 % of 96 steps are 67.2, 4 % are 3.84, 1 % is 0.96."""
    lanes = _lanes(1)
    lanes.chart[0, 0, 1:] = (
        [60.0] * low + [50.0] * severe + [181.0] * high + [100.0] * (DAY - low - severe - high)
    )
    yes = np.ones(1, dtype=np.bool_)
    assert lanes._success(~yes, yes)[0] == success


def test_drift_of_sensitivity() -> None:
    drift = {"parameter": "sensitivity", "value": 1.4, "at_step": 10}
    drifting, plain = _lanes(4, drift=drift), _lanes(4)
    for step in range(30):
        np.testing.assert_array_equal(drifting.glucose < plain.glucose, np.full(4, step > 10))
        _do(drifting, 1)
        _do(plain, 1)
    other = copy.deepcopy(drifting)
    other.sensitivity = np.full(4, 1.0)
    for lanes in (drifting, other):
        lanes.glucose[:], lanes.insulin[:], lanes.rate[:] = 120.0, 0.0, 0.0
    assert _risk(drifting, "exact").sum() > _risk(other, "exact").sum()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sensitivity": 2.0}, r"sensitivity must be a number in \[0.5, 1.4\], got 2.0"),
        ({"counting_error": -0.1}, r"counting_error must be a number in \[0, 1\], got -0.1"),
        ({"max_episode_steps": 97}, "max_episode_steps must be at most 96, a day, got 97"),
        ({"reward_mode": "align"}, "unknown reward_mode 'align'; did you mean 'aligned'"),
        ({"drift": {"parameter": "sensitivity", "value": 3.0}}, "drift.value must be a number in"),
        ({"drift": {"parameter": "glucose", "value": 3.0}}, "unknown drifting parameter 'glucose'"),
    ],
)
def test_bad_arguments(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        DoseControl(**settings)


def test_the_picture_in_words() -> None:
    lanes = _lanes(1, reward_mode="hidden")
    lanes.glucose[:], lanes.exercise[:] = 200.0, 32
    lanes.meal_step[:], lanes.announced[:], lanes.rate[:] = [[4, 24, 48]], 45.0, 0.0
    for action in (5, 0, 2, 0, 0, 5, 0, 0, 0):
        _do(lanes, action)
    lines = lanes.render(0, "ansi").splitlines()
    assert lines[0].startswith(f"08:15   glucose {lanes.glucose[0]:.0f} mg/dL   sensor ")
    assert lines[1] == "glucose  ^^---" if lanes.glucose[0] >= LOW else "glucose  ^^--v"
    assert lines[2] == "bolus    *2*.."
    assert lines[3] == "meal     ..m.."
    assert lines[4] == "exercise from 14:00 to 17:00"
    pixels = lanes.render(0, "rgb_array")
    assert (pixels.shape, pixels.dtype) == ((340, 480, 3), np.uint8)
    calm = copy.deepcopy(lanes)
    calm.exercise[:] = NEVER
    assert "exercise" not in calm.render(0, "ansi")
    assert (pixels != calm.render(0, "rgb_array")).any(axis=2).sum() > EXERCISE_STEPS
