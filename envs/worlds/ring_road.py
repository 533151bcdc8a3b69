"""A ring road of three lanes, seen from one car among others that follow the driver model."""

from dataclasses import dataclass, fields

import numpy as np

from looplab.envs.core import BoolArray, FloatArray, IntArray
from looplab.envs.worlds import idm

ROAD_LANES = 3
ROAD_METRES = 240.0
CAR_METRES = 5.0
STEP_SECONDS = 0.5
TOP_SPEED = 34.0  # m/s, of the ego
#: Time to collision below which two cars are in conflict.
CONFLICT_SECONDS = 1.5
#: Time gap below which the ego tailgates, unless it falls back at so many m/s.
TAILGATING_SECONDS, FALLING_BACK = 0.5, 1.0
#: Room that a driver who changes lane needs before and behind, in metres between bumpers: it minds
#: other cars, and overlooks the ego.
ROOM_TO_CARS, ROOM_TO_EGO = 10.0, 2.0


@dataclass(slots=True)
class Traffic:
    """m roads with one ego and C cars each.

    Attributes:
        ego_lane: road lane of the ego, 0 the left one, shape (m,).
        ego_speed: m/s, in [0, 34], shape (m,).
        lane: road lanes of the cars, shape (m, C).
        distance: metres that cars are ahead of the ego, in [-120, 120), shape (m, C).
        speed: m/s, shape (m, C).
        desired: speed on a free road in m/s, shape (m, C).
        target: road lane that a signalling car will move to, shape (m, C).
        countdown: steps until it does, the coming one being 1; 0: it signals nothing; (m, C).
    """

    ego_lane: IntArray
    ego_speed: FloatArray
    lane: IntArray
    distance: FloatArray
    speed: FloatArray
    desired: FloatArray
    target: IntArray
    countdown: IntArray

    def repeated(self, times: int) -> "Traffic":
        """Each road so many times, one after the other."""
        return Traffic(*(getattr(self, f.name).repeat(times, axis=0) for f in fields(self)))

    def of(self, road: int) -> "Traffic":
        """One road alone."""
        return Traffic(*(getattr(self, f.name)[road : road + 1] for f in fields(self)))


def advance(traffic: Traffic, turn: IntArray, push: FloatArray) -> tuple[Traffic, BoolArray]:
    """What half a second brings: lanes change first, then all accelerate (ballistic update).

    Args:
        traffic: m roads.
        turn: lanes that the ego moves to the right, -1, 0 or 1, (m,); the road's edge holds.
        push: acceleration of the ego in m/s^2, shape (m,).

    Returns:
        Fresh traffic, and where the ego collided, shape (m,).
    """
    rows = np.arange(len(turn))[:, None]
    ego_lane = np.minimum(np.maximum(traffic.ego_lane + turn, 0), ROAD_LANES - 1)
    places = np.concatenate((traffic.distance, np.zeros_like(push)[:, None]), axis=1)
    ahead = places[:, None, :] - traffic.distance[:, :, None]
    lane = _changed_lanes(traffic, ego_lane, ahead)
    lanes = np.concatenate((lane, ego_lane[:, None]), axis=1)
    speeds = np.concatenate((traffic.speed, traffic.ego_speed[:, None]), axis=1)
    # A car alone in its lane follows itself, all the way round.
    ahead += (ahead <= 0.0) * ROAD_METRES
    ahead += (lanes[:, None, :] != lane[:, :, None]) * (2.0 * ROAD_METRES)
    leader = ahead.argmin(axis=2)
    gap = ahead.min(axis=2) - CAR_METRES
    closing = traffic.speed - speeds[rows, leader]
    change = idm.acceleration(traffic.speed, traffic.desired, gap, closing) * STEP_SECONDS
    speed = np.maximum(traffic.speed + change, 0.0)
    ego_speed = np.minimum(np.maximum(traffic.ego_speed + push * STEP_SECONDS, 0.0), TOP_SPEED)
    after = traffic.distance + (traffic.speed + speed) * (STEP_SECONDS / 2)
    after -= ((traffic.ego_speed + ego_speed) * (STEP_SECONDS / 2))[:, None]
    touched: BoolArray = np.minimum(traffic.distance, after) < CAR_METRES
    touched &= np.maximum(traffic.distance, after) > -CAR_METRES
    touched &= lane == ego_lane[:, None]
    after += ((after < -ROAD_METRES / 2) * 1.0 - (after >= ROAD_METRES / 2)) * ROAD_METRES
    countdown = np.maximum(traffic.countdown - 1, 0)
    moved = Traffic(
        ego_lane, ego_speed, lane, after, speed, traffic.desired, traffic.target, countdown
    )
    return moved, np.asarray(touched.any(axis=1))


def _changed_lanes(traffic: Traffic, ego_lane: IntArray, ahead: FloatArray) -> IntArray:
    """Lanes of the cars after those whose time has come changed theirs, where there is room."""
    due = traffic.countdown == 1
    if not due.any():
        return traffic.lane
    apart = np.minimum(np.abs(ahead), ROAD_METRES - np.abs(ahead)) - CAR_METRES
    beside = traffic.target[:, :, None]
    near = (apart[:, :, :-1] < ROOM_TO_CARS) & (traffic.lane[:, None, :] == beside)
    blocked: BoolArray = near.any(axis=2)
    blocked |= (apart[:, :, -1] < ROOM_TO_EGO) & (ego_lane[:, None] == traffic.target)
    return np.where(due & ~blocked, traffic.target, traffic.lane)


def too_near(traffic: Traffic, entered: BoolArray) -> BoolArray:
    """Whether the ego's headway is too short, shape (m,).

    It is where a car ahead in its lane is less than 1.5 seconds from collision at constant speeds,
    or less than half a second away while the ego does not fall back; and, where the ego has just
    ``entered`` the lane, where a car behind is less than 1.5 seconds from collision.
    """
    front = traffic.distance > 0.0
    closing = traffic.ego_speed[:, None] - traffic.speed
    tailgating = TAILGATING_SECONDS * traffic.ego_speed[:, None] * (closing > -FALLING_BACK)
    closing *= CONFLICT_SECONDS
    wanted = np.where(front, np.maximum(closing, tailgating), -closing)
    near: BoolArray = np.abs(traffic.distance) - CAR_METRES < wanted
    near &= traffic.lane == traffic.ego_lane[:, None]
    near &= front | entered[:, None]
    return np.asarray(near.any(axis=1))


@dataclass(slots=True)
class Neighbours:
    """The nearest car in each direction that the ego looks at, arrays of shape (m, 5).

    Ahead in its own lane; ahead and behind in the lane to the left; the same to the right.

    Attributes:
        car: index of the car; meaningless where none is in sight.
        distance: metres between the middles; the range of sight where there is none.
        speed: m/s; the ego's own where there is none.
        seen: whether there is one.
    """

    car: IntArray
    distance: FloatArray
    speed: FloatArray
    seen: BoolArray


#: Where the five neighbours are: lanes to the right, and ahead (1) or behind (-1).
SIDE = np.array([0, -1, -1, 1, 1])
SIGN = np.array([1.0, 1.0, -1.0, 1.0, -1.0])


def neighbours(traffic: Traffic, sight: float) -> Neighbours:
    """The cars around the ego, within so many metres."""
    side = traffic.lane - traffic.ego_lane[:, None]
    along = traffic.distance[:, None, :] * SIGN[:, None]
    hidden = (side[:, None, :] != SIDE[:, None]) | (along < 0.0)
    along += hidden * (2.0 * ROAD_METRES)
    car = along.argmin(axis=2)
    distance = along.min(axis=2)
    seen = distance < sight
    rows = np.arange(len(side))[:, None]
    speed = np.where(seen, traffic.speed[rows, car], traffic.ego_speed[:, None])
    return Neighbours(car, np.minimum(distance, sight), speed, seen)
