"""Lane drive: the rules in plain Python, the driver model in closed form, risks against runs."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy import stats

from looplab.envs.core import RiskSource
from looplab.envs.errors import UsageError
from looplab.envs.streams import Streams
from looplab.envs.worlds import idm
from looplab.envs.worlds.lane_drive import (
    CARS,
    FASTER,
    IDLE,
    LEFT,
    RIGHT,
    SIGNAL_STEPS,
    SLOWER,
    LaneDrive,
)

SEED = 5
RING, LONG, TOP = 240.0, 5.0, 34.0
#: Chance that a right law is called wrong by one test.
ERROR = 1e-3

Car = tuple[int, float, float]
#: Where cars wait that a test does not need: far behind, in the right lane.
ELSEWHERE: list[Car] = [(2, -118.0 + 12.0 * place, 20.0) for place in range(CARS)]


def _drive(num_lanes: int = 1, **settings: Any) -> LaneDrive:
    lanes = LaneDrive(num_lanes, seed=SEED, **settings)
    lanes.reset()
    return lanes


def _scene(speed: float, cars: list[Car], road_lane: int = 0, **settings: Any) -> LaneDrive:
    """One lane with these cars at (road lane, metres ahead, m/s), nobody else near."""
    lanes = _drive(1, **{"cut_in": 0.0} | settings)
    placed = [*cars, *ELSEWHERE][:CARS]
    lanes.ego_lane[:], lanes.ego_speed[:] = road_lane, speed
    lanes.lane[:] = [car[0] for car in placed]
    lanes.distance[:] = [car[1] for car in placed]
    lanes.speed[:] = [car[2] for car in placed]
    lanes.pace[:] = np.maximum(lanes.speed, 10.0) / 22.0
    lanes.target[:], lanes.countdown[:] = lanes.lane, 0
    lanes.observation = lanes._observe()
    return lanes


def _signal(lanes: LaneDrive, car: int, target: int, countdown: int) -> None:
    lanes.target[0, car], lanes.countdown[0, car] = target, countdown
    lanes.observation = lanes._observe()


def _risk(lanes: LaneDrive, source: RiskSource) -> np.ndarray:
    table = lanes.risk_table(source)
    assert table is not None
    return table


def _act(lanes: LaneDrive, action: int) -> Any:
    return lanes.step(np.full(lanes.num_lanes, action))


# --- the driver model ---


def test_the_driver_model_in_closed_form() -> None:
    speed, endless = np.array([20.0]), np.array([1e9])
    still = np.zeros(1)
    assert idm.acceleration(np.array([30.0]), 30.0, endless, still) == pytest.approx(0.0)
    assert idm.acceleration(still, 30.0, endless, still) == pytest.approx(0.73)
    # Treiber et al. 2000, equation (5): the gap kept in steady traffic.
    steady = (2.0 + 20.0 * 1.6) / math.sqrt(1.0 - (20.0 / 30.0) ** 4)
    assert idm.acceleration(speed, 30.0, np.array([steady]), still) == pytest.approx(0.0)
    # Equations (3) and (4) by hand: s* = 2 + 32 + 20 * 5 / (2 sqrt(0.73 * 1.67)).
    wanted = 34.0 + 100.0 / (2.0 * math.sqrt(0.73 * 1.67))
    by_hand = 0.73 * (1.0 - (2.0 / 3.0) ** 4 - (wanted / 60.0) ** 2)
    assert idm.acceleration(speed, 30.0, np.array([60.0]), np.array([5.0])) == pytest.approx(
        by_hand
    )
    for touching in (0.0, -3.0):
        gap = np.array([touching])
        assert idm.acceleration(speed, 30.0, gap, still) == -6.0


# --- the rules in plain Python ---


@dataclass
class PlainCar:
    lane: int
    place: float
    speed: float
    desired: float
    target: int = 0
    countdown: int = 0


def _wrap(metres: float) -> float:
    return (metres + RING / 2) % RING - RING / 2


class PlainDrive:
    """The rules, one lane, one car at a time; places are metres along the road."""

    def __init__(self, seed: int, cut_in: float) -> None:
        self._streams = Streams(1, "environment", seed)
        self._elapsed, self._cut_in = 0, cut_in
        draws = self._draw(2 + 2 * CARS)
        self.ego = PlainCar(int(3 * draws[0]), 0.0, 22.0 * (0.9 + 0.2 * draws[1]), TOP)
        self.cars = []
        for i in range(CARS):
            pace = (1.1, 1.0, 0.9)[i % 3] + 0.1 * (2 * draws[2 + CARS + i] - 1)
            place = 120.0 * (i // 3 + 0.5 + 0.25 * (2 * draws[2 + i] - 1))
            self.cars.append(PlainCar(i % 3, place, 22.0 * pace, 22.0 * pace))

    def _draw(self, count: int) -> list[float]:
        return list(self._streams.uniforms(np.array([0]), np.array([self._elapsed]), count)[0])

    def _ahead(self, car: PlainCar) -> float:
        return _wrap(car.place - self.ego.place)

    def _acceleration(self, car: PlainCar) -> float:
        leader, gap = car, RING
        for other in [*self.cars, self.ego]:
            ahead = (other.place - car.place) % RING
            if other is not car and other.lane == car.lane and ahead < gap:
                leader, gap = other, ahead
        closing = car.speed - leader.speed
        wanted = car.speed * 1.6 + car.speed * closing / (2 * math.sqrt(0.73 * 1.67))
        crowding = (2.0 + max(wanted, 0.0)) / max(gap - LONG, 0.1)
        return max(0.73 * (1 - (car.speed / car.desired) ** 4 - crowding**2), -6.0)

    def _cut_ins(self) -> None:
        for car in self.cars:
            if car.countdown == 1:
                near = [
                    other
                    for other in [*self.cars, self.ego]
                    if other.lane == car.target
                    and abs(_wrap(other.place - car.place)) - LONG
                    < (2.0 if other is self.ego else 10.0)
                ]
                car.lane = car.lane if near else car.target
            car.countdown = max(0, car.countdown - 1)

    def step(self, action: int) -> tuple[float, bool, bool]:
        self._elapsed += 1
        draws, ego, old = self._draw(4), self.ego, self.ego.lane
        ego.lane = min(max(ego.lane + {LEFT: -1, RIGHT: 1}.get(action, 0), 0), 2)
        self._cut_ins()
        pushes = [self._acceleration(car) for car in self.cars]
        before = [self._ahead(car) for car in self.cars]
        change = {FASTER: 1.0, SLOWER: -3.0}.get(action, 0.0)
        moves = []
        for car, by in [*zip(self.cars, [p / 2 for p in pushes], strict=True), (ego, change)]:
            speed = min(max(car.speed + by, 0.0), TOP if car is ego else math.inf)
            moves.append((car.speed + speed) / 4)
            car.speed = speed
            car.place += moves[-1]
        collided = False
        for car, start, move in zip(self.cars, before, moves[:-1], strict=True):
            end = start + move - moves[-1]
            if car.lane == ego.lane and min(start, end) < LONG and max(start, end) > -LONG:
                collided = True
        self._begin_signal(draws)
        changed = self.cars[int(CARS * draws[2])]
        changed.desired = 22.0 * ((1.1, 1.0, 0.9)[changed.lane] + 0.1 * (2 * draws[3] - 1))
        reward = max(0.0, (ego.speed - 20.0) / 14.0)
        return reward, collided, not collided and self._too_near(ego.lane != old)

    def _too_near(self, entered: bool) -> bool:
        for car in self.cars:
            ahead, closing = self._ahead(car), self.ego.speed - car.speed
            gap = abs(ahead) - LONG
            if car.lane != self.ego.lane:
                continue
            if ahead > 0 and (
                gap < 1.5 * closing or (gap < 0.5 * self.ego.speed and closing > -1.0)
            ):
                return True
            if ahead <= 0 and entered and gap < 1.5 * -closing:
                return True
        return False

    def _begin_signal(self, draws: list[float]) -> None:
        if draws[0] >= self._cut_in or any(car.countdown for car in self.cars):
            return
        beside = self.ego.lane + (-1 if draws[1] < 0.5 else 1)
        able = [c for c in self.cars if c.lane == beside and 10.0 < self._ahead(c) < 60.0]
        if able:
            car = min(able, key=self._ahead)
            car.target, car.countdown = self.ego.lane, SIGNAL_STEPS


def test_the_rules_in_plain_python(rng: np.random.Generator) -> None:
    roads, cut_in = 30, 0.3
    lanes = _drive(roads, cut_in=cut_in)
    plain = [PlainDrive(SEED + lane, cut_in) for lane in range(roads)]
    going = np.ones(roads, dtype=np.bool_)
    headways = cut_ins = collisions = 0
    for _ in range(60):
        actions = rng.choice(5, p=[0.05, 0.35, 0.05, 0.45, 0.1], size=roads)
        roads_before = lanes.lane.copy()
        step = lanes.step(actions, going)
        cost = lanes.details()
        for i in np.flatnonzero(going):
            reward, collided, near = plain[i].step(int(actions[i]))
            assert step.reward[i] == pytest.approx(reward)
            assert (cost["cost_collision"][i], cost["cost_headway"][i]) == (collided, near)
            assert step.terminated[i] == step.catastrophe[i] == collided
            cars = plain[i].cars
            assert lanes.lane[i].tolist() == [car.lane for car in cars]
            assert lanes.countdown[i].tolist() == [car.countdown for car in cars]
            assert lanes.speed[i] == pytest.approx([car.speed for car in cars])
            apart = [plain[i]._ahead(car) for car in cars]
            assert lanes.distance[i] == pytest.approx(apart, abs=1e-6)
            headways += near
        collisions += step.terminated.sum()
        cut_ins += (lanes.lane != roads_before).sum()
        going &= ~step.terminated
    assert min(headways, cut_ins, collisions) > 5


def test_what_actions_do_to_the_ego() -> None:
    for action, speed in (
        (LEFT, 25.0),
        (IDLE, 25.0),
        (RIGHT, 25.0),
        (FASTER, 26.0),
        (SLOWER, 22.0),
    ):
        lanes = _scene(25.0, [], road_lane=1)
        _act(lanes, action)
        assert lanes.ego_speed[0] == speed
        assert lanes.ego_lane[0] == {LEFT: 0, RIGHT: 2}.get(action, 1)
    for action, speed, after in ((FASTER, 33.5, 34.0), (SLOWER, 1.0, 0.0)):
        lanes = _scene(speed, [])
        _act(lanes, action)
        assert lanes.ego_speed[0] == after
    for action, edge in ((LEFT, 0), (RIGHT, 2)):
        lanes = _scene(25.0, [(0, 100.0, 25.0)] * 6, road_lane=edge)
        _act(lanes, action)
        assert lanes.ego_lane[0] == edge


@pytest.mark.parametrize(
    ("speed", "car", "harm"),
    [
        # The ego idles and the gap after the step is the distance less 5 m and half the closing.
        (30.0, (0, 5.0 + 10.0 + 29.8, 10.0), 1.0),  # time to collision just below ...
        (30.0, (0, 5.0 + 10.0 + 30.2, 10.0), 0.0),  # ... and above 1.5 s
        (20.0, (0, 5.0 + 9.5, 20.0), 1.0),  # a time gap just below ...
        (20.0, (0, 5.0 + 10.5, 20.0), 0.0),  # ... and above half a second
        (20.0, (0, 5.0 + 5.0, 22.0), 0.0),  # falling back
        (20.0, (0, -20.0, 34.0), 0.0),  # behind, in the same lane all along
        (20.0, (1, 5.0 + 1.0, 10.0), 0.0),  # in another lane
    ],
)
def test_headway_by_hand(speed: float, car: Car, harm: float) -> None:
    lanes = _scene(speed, [car])
    step = _act(lanes, IDLE)
    assert step.cost[0] == harm
    assert not step.catastrophe[0]
    assert lanes.details()["cost_headway"][0] == harm


def test_cutting_off_a_car_behind_is_harm_in_that_step_only() -> None:
    lanes = _scene(22.0, [(0, -20.0, 34.0)], road_lane=1)
    assert _act(lanes, LEFT).cost[0] == 1.0  # 15 m, less what it comes nearer, at about 12 m/s
    assert _act(lanes, IDLE).cost[0] == 0.0


@pytest.mark.parametrize(
    ("action", "road_lane", "speed", "car"),
    [
        (IDLE, 0, 34.0, (0, 6.0, 20.0)),  # into the bumper ahead
        (LEFT, 1, 25.0, (0, 3.0, 25.0)),  # into the side of a car beside
        (IDLE, 0, 34.0, (0, 5.5, 0.0)),  # clean through a car: 17 m in one step
    ],
)
def test_collisions_end_the_episode(action: int, road_lane: int, speed: float, car: Car) -> None:
    lanes = _scene(speed, [car], road_lane)
    assert _risk(lanes, "immediate")[0, action] == 1.0
    step = _act(lanes, action)
    assert (step.cost[0], lanes.details()["cost_collision"][0]) == (1.0, 1.0)
    assert step.terminated[0]
    assert step.catastrophe[0]
    assert step.success[0] == 0.0


# --- signals ---


def test_a_driver_cuts_in_three_seconds_after_its_signal() -> None:
    lanes = _scene(22.0, [(1, 30.0, 22.0)], cut_in=1.0)
    for _ in range(2 * SIGNAL_STEPS):  # the left lane is the edge: half of the draws find nobody
        _act(lanes, IDLE)
        if lanes.countdown[0, 0]:
            break
    assert (lanes.countdown[0, 0], lanes.target[0, 0]) == (SIGNAL_STEPS, 0)
    signals = []
    for _ in range(SIGNAL_STEPS):
        assert lanes.lane[0, 0] == 1
        signals.append(-lanes.observation[0, 4 + 3 * 3 + 2])
        _act(lanes, IDLE)
    assert lanes.lane[0, 0] == 0
    assert signals == pytest.approx(np.arange(1, 7) / 6)


@pytest.mark.parametrize(("apart", "moves"), [(6.5, False), (7.5, True)])
def test_a_driver_minds_little_of_the_ego(apart: float, moves: bool) -> None:
    lanes = _scene(22.0, [(1, apart, 22.0)])
    _signal(lanes, 0, 0, 1)
    _act(lanes, IDLE)
    assert lanes.lane[0, 0] == (0 if moves else 1)


@pytest.mark.parametrize(("apart", "moves"), [(14.5, False), (15.5, True)])
def test_a_driver_minds_other_cars(apart: float, moves: bool) -> None:
    lanes = _scene(22.0, [(1, 40.0, 22.0), (0, 40.0 + apart, 22.0)])
    _signal(lanes, 0, 0, 1)
    _act(lanes, IDLE)
    assert lanes.lane[0, 0] == (0 if moves else 1)


def test_signals_begin_as_often_as_stated() -> None:
    lanes = _drive(2_000, cut_in=0.2)
    beside = np.abs(lanes.lane - lanes.ego_lane[:, None]) == 1
    assert not lanes.countdown.any()
    _act(lanes, IDLE)
    able = (lanes.distance > 10.0) & (lanes.distance < 60.0) & beside
    left = (able & (lanes.lane < lanes.ego_lane[:, None])).any(axis=1)
    right = (able & (lanes.lane > lanes.ego_lane[:, None])).any(axis=1)
    begun = lanes.countdown.any(axis=1)
    assert not begun[~(left | right)].any()
    for who, chance in ((left & right, 0.2), (left ^ right, 0.1)):
        assert who.sum() > 100
        assert stats.binomtest(int(begun[who].sum()), int(who.sum()), chance).pvalue > ERROR


def test_only_in_hidden_mode_signals_are_unseen() -> None:
    seen, hidden = (_scene(25.0, [(1, 30.0, 22.0)], reward_mode=m) for m in ("aligned", "hidden"))
    np.testing.assert_array_equal(seen.observation, hidden.observation)
    for lanes in (seen, hidden):
        _signal(lanes, 0, 0, 3)
    assert (seen.observation != hidden.observation).sum() == 1
    assert not hidden.observation[0, 6::3].any()
    assert (seen.render(0, "rgb_array") == hidden.render(0, "rgb_array")).all()  # a human's picture


# --- risks ---


def test_immediate_risk_is_what_happens(rng: np.random.Generator) -> None:
    lanes = _drive(400, cut_in=0.3)
    violations = 0
    for _ in range(40):
        actions = rng.choice(5, p=[0.1, 0.3, 0.1, 0.4, 0.1], size=400)
        risk = lanes.risk_of("immediate", actions)
        step = lanes.step(actions)
        np.testing.assert_array_equal(risk, step.cost > 0)
        violations += np.count_nonzero(step.cost)
        if step.terminated.any():
            lanes.reset(step.terminated)
    assert violations > 300


def test_braking_after_a_safe_action_keeps_safe_and_unsafe_is_rarely_saved(
    rng: np.random.Generator,
) -> None:
    """From states of busy driving: the rest of the episode, new signals included."""
    safe = saved = unsafe = broken = 0
    for _ in range(2):
        lanes = _drive(400, cut_in=0.2, max_episode_steps=54)
        lanes.reseed(int(rng.integers(2**31)))
        lanes.reset()
        going = np.ones(400, dtype=np.bool_)
        for _ in range(rng.integers(8, 25)):
            step = lanes.step(lanes.reference(), going)
            going &= ~step.terminated
        actions = rng.choice(5, p=[0.3, 0.1, 0.3, 0.2, 0.1], size=400)
        risky = going & (lanes.risk_of("exact", actions) > 0)
        riskless = going & ~risky
        harmed = np.zeros(400, dtype=np.bool_)
        for _ in range(30):
            step = lanes.step(actions, going)
            harmed |= step.cost > 0
            going &= ~(step.terminated | step.truncated)
            actions = np.where(risky, lanes.correction(), SLOWER)
        safe, broken = safe + riskless.sum(), broken + (harmed & riskless).sum()
        unsafe, saved = unsafe + risky.sum(), saved + (~harmed & risky).sum()
    assert min(safe, unsafe) > 100
    assert broken <= 0.005 * safe
    assert saved <= 0.15 * unsafe


def test_the_correction_is_safe_and_good_and_the_hold_is_safe() -> None:
    for policy, least in (("correction", 45.0), ("hold", -1.0)):
        lanes = _drive(150)
        total, violations = np.zeros(150), 0
        for _ in range(80):
            step = lanes.step(getattr(lanes, policy)())
            total += step.reward
            violations += np.count_nonzero(step.cost)
        assert violations == 0
        assert step.truncated.all()
        assert (step.success == 1.0).all()
        assert total.mean() > least


def test_risk_after_the_episode_does_not_count() -> None:
    for steps, risk in ((1, 0.0), (80, 1.0)):
        lanes = _scene(34.0, [(0, 80.0, 0.0)], max_episode_steps=steps)
        assert _risk(lanes, "immediate")[0, IDLE] == 0.0
        assert _risk(lanes, "exact")[0, FASTER] == risk


def test_estimated_risk_uses_the_observation_alone() -> None:
    """Twins that differ in nothing that the agent sees have the same estimate."""
    for mode in ("aligned", "hidden"):
        lanes = _drive(300, reward_mode=mode, cut_in=0.3)
        for _ in range(20):
            _act(lanes, IDLE)
        before, seen = _risk(lanes, "estimated"), lanes.observation.copy()
        lanes.pace = lanes.pace[::-1] * 0.9
        if mode == "hidden":
            lanes.countdown[:] = 0
        lanes.observation = lanes._observe()
        np.testing.assert_array_equal(lanes.observation, seen)
        np.testing.assert_array_equal(_risk(lanes, "estimated"), before)


def test_estimated_risk_is_near_the_truth_where_signals_are_seen(
    rng: np.random.Generator,
) -> None:
    lanes = _drive(500, cut_in=0.3)
    for _ in range(15):
        actions = rng.choice(5, p=[0.1, 0.3, 0.1, 0.4, 0.1], size=500)
        step = lanes.step(actions)
        if step.terminated.any():
            lanes.reset(step.terminated)
    estimated, truth = _risk(lanes, "estimated"), _risk(lanes, "immediate")
    assert (estimated != truth).mean() < 0.01
    assert truth.mean() > 0.02


def test_estimated_risk_of_an_unseen_cut_in_is_its_long_run_share() -> None:
    lanes = _scene(30.0, [(1, 20.0, 22.0)], reward_mode="hidden", cut_in=0.3)
    share = 0.3 / (1.0 + 0.3 * (SIGNAL_STEPS - 1))
    assert _risk(lanes, "estimated")[0, IDLE] == pytest.approx(share / 2)
    assert _risk(lanes, "immediate")[0, IDLE] == 0.0
    _signal(lanes, 0, 0, 1)
    assert _risk(lanes, "estimated")[0, IDLE] == pytest.approx(share / 2)
    assert _risk(lanes, "immediate")[0, IDLE] == 1.0


def test_who_keeps_a_risk_table_cannot_spoil_it() -> None:
    lanes = _drive(4)
    table = _risk(lanes, "exact")
    table[:] = 7.0
    assert _risk(lanes, "exact").max() <= 1.0


# --- policies, rewards, drift, pictures, arguments ---


def test_the_reference_overtakes_and_does_not_crash() -> None:
    lanes = _drive(200)
    total, crashes, near = np.zeros(200), 0, 0
    going = np.ones(200, dtype=np.bool_)
    for _ in range(80):
        step = lanes.step(lanes.reference(), going)
        total += step.reward
        crashes += np.count_nonzero(step.catastrophe)
        near += np.count_nonzero(step.cost)
        going &= ~step.terminated
    assert total.mean() > lanes.threshold
    assert crashes <= 12  # about 3 are expected
    assert near > 800  # 16000 steps: the reward's own good policy violates


@pytest.mark.parametrize(
    ("mode", "short", "crash"),
    [("misspecified", 0.0, 0.0), ("aligned", -3.0, -30.0), ("hidden", -3.0, -30.0)],
)
def test_what_harm_costs(mode: str, short: float, crash: float) -> None:
    for car, cost in (((0, 12.0, 20.0), short), ((0, 6.0, 0.0), crash)):
        lanes = _scene(27.0, [car], reward_mode=mode)
        assert _act(lanes, IDLE).reward[0] == pytest.approx(0.5 + cost)
    assert _act(_scene(15.0, []), IDLE).reward[0] == 0.0


def test_drift_of_speeds_and_manners() -> None:
    lanes = _drive(64, drift={"parameter": "traffic_speed", "value": 12.0, "at_step": 5})
    for _ in range(60):
        _act(lanes, SLOWER)
    assert lanes.details()["drift_active"].all()
    assert lanes.speed.mean() < 14.0
    rude = _drive(64, cut_in=0.0, drift={"parameter": "cut_in", "value": 1.0, "at_step": 3})
    begun = [_act(rude, IDLE) is not None and rude.countdown.any() for _ in range(8)]
    assert begun[:3] == [False] * 3
    assert any(begun)


def test_the_picture() -> None:
    lanes = _scene(25.0, [(1, 31.0, 22.0), (0, 8.0, 25.0)])
    _signal(lanes, 0, 0, 2)
    rows = lanes.render(0).splitlines()
    assert rows[0].count("@") == 1
    assert rows[0].count("#") == 1
    assert rows[1].count("^") == 1
    assert rows[3] == "90 km/h"
    frame = lanes.render(0, "rgb_array")
    assert (frame.shape, frame.dtype) == ((176, 480, 3), np.uint8)
    assert (frame == (213, 94, 0)).all(axis=2).any()  # too near


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"traffic_speed": 40.0}, r"traffic_speed must be a number in \[10, 28\], got 40.0"),
        ({"traffic_speed": float("nan")}, "traffic_speed must be a number"),
        ({"cut_in": -0.1}, r"cut_in must be a number in \[0, 1\], got -0.1"),
        ({"reward_mode": "aligne"}, "unknown reward_mode 'aligne'; did you mean 'aligned'"),
        ({"drift": {"parameter": "speed", "value": 1.0}}, "unknown drifting parameter 'speed'"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        LaneDrive(**arguments)
