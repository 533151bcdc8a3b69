"""The body, the sensor and the day: equations against SciPy, laws against their published form."""

import numpy as np
import pytest
from scipy import integrate, stats

from looplab.envs.worlds import bergman, day_plan, glucose_sensor

SEED = 3
MINUTES = 15.0
#: Chance that a right law is called wrong by one test.
ERROR = 1e-3
#: What Simpson's rule may be off by in ten hours, mg/dL, for boluses up to 12 units.
TOLERANCE = 0.01


def _by_scipy(units: float, grams: float, sensitivity: float, steps: int) -> np.ndarray:
    """Glucose after each step, from the equations with basal insulin as an infusion."""
    basal = (1.33 / 120.0 - 0.0022) / 0.0081
    infusion = basal * 20.1

    def slopes(_: float, state: np.ndarray) -> list[float]:
        glucose, skin, plasma, work, stomach, gut = state
        return [
            -(0.0022 + sensitivity * 0.0081 * work) * glucose + 1.33 + 1000 * gut / (253.0 * 47.0),
            (infusion / 20.1 - skin) / 49.0,
            (skin - plasma) / 47.0,
            0.0106 * (plasma - work),
            -stomach / 47.0,
            (stomach - gut) / 47.0,
        ]

    first = [120.0, basal + 1000.0 * units / (20.1 * 49.0), basal, basal, grams, 0.0]
    ends = MINUTES * np.arange(1, steps + 1)
    solved = integrate.solve_ivp(
        slopes, (0.0, ends[-1]), first, "DOP853", ends, rtol=1e-10, atol=1e-10
    )
    return np.asarray(solved.y[0])


def _ahead(units: float, grams: float, sensitivity: float, steps: int) -> np.ndarray:
    insulin = bergman.inject(np.zeros((1, 3)), np.array([units]))
    rate = grams * bergman.appearance(MINUTES / 2 * np.arange(2 * steps + 1.0))
    return bergman.follow(
        np.array([[120.0]]),
        *bergman.Exposure(steps).of(insulin),
        np.array([[sensitivity]]),
        rate[None],
    )[0]


@pytest.mark.parametrize(
    ("units", "grams", "sensitivity"),
    [(0.0, 60.0, 1.0), (6.0, 0.0, 1.0), (6.0, 60.0, 1.4), (12.0, 90.0, 0.5), (12.0, 0.0, 1.6)],
)
def test_glucose_follows_the_equations(units: float, grams: float, sensitivity: float) -> None:
    ours, exact = _ahead(units, grams, sensitivity, 40), _by_scipy(units, grams, sensitivity, 40)
    np.testing.assert_allclose(ours, exact, atol=TOLERANCE)
    assert np.abs(ours - 120.0).max() > 30.0


def test_step_by_step_equals_far_ahead() -> None:
    insulin = bergman.inject(np.zeros((1, 3)), np.array([5.0]))
    glucose, rate = np.array([[150.0]]), np.zeros((1, 3))
    exposure = bergman.Exposure(1)
    seen = []
    for _ in range(20):
        glucose = bergman.follow(glucose, *exposure.of(insulin), np.ones((1, 1)), rate)
        insulin = bergman.pass_step(insulin)
        seen.append(glucose[0, 0])
    first = bergman.inject(np.zeros((1, 3)), np.array([5.0]))
    far = bergman.follow(
        np.array([[150.0]]), *bergman.Exposure(20).of(first), np.ones((1, 1)), np.zeros((1, 41))
    )
    np.testing.assert_allclose(seen, far[0], rtol=1e-12)


@pytest.mark.parametrize("sensitivity", [0.5, 1.0, 1.6])
def test_where_fasting_leads(sensitivity: float) -> None:
    """dG/dt = 0 at E / (p_1 + s S_I Z); at s = 1 that is 120."""
    rest = 1.33 / (0.0022 + sensitivity * (1.33 / 120.0 - 0.0022))
    assert _ahead(0.0, 0.0, sensitivity, 200)[-1] == pytest.approx(rest, abs=1e-3)


def test_insulin_on_board_is_what_has_yet_to_act() -> None:
    insulin = bergman.inject(np.zeros((1, 3)), np.array([3.0]))
    assert bergman.on_board(insulin)[0] == pytest.approx(3.0)
    # Of a unit, plasma's integral is 1000 mU / C_I whatever the delays, and so is Z's.
    unit_exposure = 0.0081 * 1000.0 / 20.1
    exposure = bergman.Exposure(40)
    done = np.zeros(1)
    for whole in exposure.of(insulin)[0].T:
        insulin = bergman.pass_step(insulin)
        done += whole
        left = bergman.on_board(insulin)
        np.testing.assert_allclose(done / unit_exposure + left, 3.0)
    assert left[0] / 3.0 == pytest.approx(0.007, abs=5e-4)


def test_meals_appear_once() -> None:
    minutes = np.linspace(-60.0, 1_000.0, 106_001)
    appeared = integrate.cumulative_simpson(bergman.appearance(minutes), x=minutes, initial=0.0)
    assert appeared[-1] == pytest.approx(1000.0 / 253.0, rel=1e-6)
    left = bergman.carbohydrates_left(minutes)
    assert not left[minutes < 0.0].any()
    eaten = minutes >= 0.0
    np.testing.assert_allclose(left[eaten], 1.0 - appeared[eaten] / appeared[-1], atol=1e-6)


def test_the_sensors_error_has_its_published_law() -> None:
    rng = np.random.default_rng(SEED)
    first = glucose_sensor.first_state(rng.standard_normal(20_000))
    state = first
    for _ in range(3):
        state = glucose_sensor.next_state(state, rng.standard_normal(20_000))
    # e' = 0.7 (e + v): variance 0.49 / 0.51, correlation 0.7 a step.
    for one in (first, state):
        assert stats.kstest(one, "norm", args=(0.0, np.sqrt(0.49 / 0.51))).pvalue > ERROR
    assert np.corrcoef(first, state)[0, 1] == pytest.approx(0.7**3, abs=0.02)
    error = glucose_sensor.read(np.full(20_000, 200.0), state) - 200.0
    law = stats.johnsonsu(-0.5444, 1.6898, loc=-5.471, scale=15.96)
    by_hand = law.ppf(stats.norm.cdf(state))
    np.testing.assert_allclose(error, by_hand, atol=1e-6)
    for least in (-20.0, 0.0, 10.0, 40.0):
        many = int((error >= least).sum())
        chance = float(glucose_sensor.error_at_least(np.array(least)))
        assert stats.binomtest(many, len(error), chance).pvalue > ERROR


def test_sensors_show_40_to_400() -> None:
    shown = glucose_sensor.read(np.array([5.0, 450.0]), np.zeros(2))
    np.testing.assert_array_equal(shown, [40.0, 400.0])


def test_the_days_plan() -> None:
    rng = np.random.default_rng(SEED)
    steps, grams = day_plan.plan_meals(rng.random((20_000, 3)), rng.random((20_000, 3)))
    # From 6:00 in quarters of an hour: breakfast 7 to 9 is 4 to 12, and so on.
    for meal, (first, last, least, most) in enumerate(
        [(4, 12, 30.0, 60.0), (24, 32, 50.0, 90.0), (48, 56, 50.0, 90.0)]
    ):
        counts = np.bincount(steps[:, meal], minlength=last + 1)
        assert counts[:first].sum() == 0
        assert len(counts) == last + 1
        assert stats.chisquare(counts[first:]).pvalue > ERROR
        law = stats.uniform(least, most - least)
        assert stats.kstest(grams[:, meal], law.cdf).pvalue > ERROR
    begins = day_plan.plan_exercise(rng.random(20_000), rng.random(20_000))
    some = begins < 96
    assert stats.binomtest(int(some.sum()), 20_000, 0.5).pvalue > ERROR
    assert (begins[some].min(), begins[some].max()) == (28, 60)
    factors = day_plan.exercise_sensitivity(np.arange(30, 45)[None], np.array([32]))
    np.testing.assert_array_equal(factors[0], [1.0] * 2 + [1.6] * 12 + [1.0])


def test_two_meals_add_up() -> None:
    rate = day_plan.rate_of_meals(np.array([[1, 3]]), np.array([[20.0, 50.0]]), 8)[0]
    nodes = MINUTES / 2 * np.arange(17)
    expected = 20.0 * bergman.appearance(nodes - 15.0) + 50.0 * bergman.appearance(nodes - 45.0)
    np.testing.assert_allclose(rate, expected)
