"""Clauses on what a task says of its risks, and of what should be done about them."""

import math
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np

from looplab.envs.checks.contract import Broken, Unchecked, clause
from looplab.envs.checks.rollout import (
    at_random,
    first_action,
    generator,
    same,
    sampled,
    wander,
)
from looplab.envs.checks.task import Task
from looplab.envs.core import (
    RISK_RESOLUTION,
    RISK_SOURCES,
    Actions,
    FloatArray,
    Lanes,
    RiskSource,
)

LANES = 32
#: Steps after which states are looked at.
MOMENTS = (0, 3, 11, 37)
#: Actions tried per state where they are continuous.
CONTINUOUS_TRIES = 4
#: Steps of a random policy over which estimates are averaged, in whole episodes.
ESTIMATED_STEPS = 200
#: Standard errors by which a mean may be off.
MOST_ERRORS = 4.5


def moments(task: Task, lanes: Lanes) -> Iterator[int]:
    """Runs lanes that have begun and stops at states worth looking at; yields the step."""
    yield 0
    steps = wander(lanes, MOMENTS[-1], generator(task))
    for t, _ in enumerate(steps, start=1):
        if t in MOMENTS:
            yield t


def choices(lanes: Lanes, rng: np.random.Generator) -> list[Actions]:
    """Every discrete action, or some continuous ones, each for all lanes."""
    space = lanes.action_space
    if isinstance(space, gym.spaces.Discrete):
        return [np.full(lanes.num_lanes, first_action(lanes) + a) for a in range(int(space.n))]
    tries = [sampled(space, lanes.num_lanes, rng) for _ in range(CONTINUOUS_TRIES)]
    return [*tries, *(a for a in (lanes.hold(), lanes.correction()) if a is not None)]


def needs(task: Task, *sources: RiskSource) -> None:
    """Raises ``Unchecked`` if the task does not know each of these risks."""
    lanes = task.lanes(1)
    actions = sampled(lanes.action_space, lanes.num_lanes, generator(task))
    for source in sources:
        if lanes.risk_of(source, actions) is None:
            raise Unchecked(f"it knows no {source} risk")


@clause("risks are probabilities; table, single and least agree; exact is at least immediate")
def risk_form(task: Task) -> str:
    """Looks at all sources that the task offers."""
    lanes, rng = task.lanes(LANES), generator(task)
    offered: set[str] = set()
    for t in moments(task, lanes):
        for actions in choices(lanes, rng):
            found = {}
            for source in RISK_SOURCES:
                risk = lanes.risk_of(source, actions)
                if risk is None:
                    continue
                offered.add(source)
                found[source] = risk
                _probabilities(risk, lanes, f"step {t}: {source} risk")
                table = lanes.risk_table(source)
                if table is not None and actions.ndim == 1:
                    column = table[:, actions[0] - first_action(lanes)]
                    same(f"{source} risk", risk, column, f"step {t}")
                    least = table.min(axis=1)
                    same(f"least {source} risk", lanes.least_risk(source), least, f"step {t}")
            if {"immediate", "exact"} <= found.keys():
                short = found["exact"] < found["immediate"] - RISK_RESOLUTION
                for lane in np.flatnonzero(short):
                    raise Broken(
                        f"lane {lane}, step {t}, action {actions[lane]}: exact risk is "
                        f"{found['exact'][lane]:g}, expected at least the immediate "
                        f"{found['immediate'][lane]:g}"
                    )
    if not offered:
        raise Unchecked("it knows no risk")
    missing = [source for source in RISK_SOURCES if source not in offered]
    return f"it knows no {' and no '.join(missing)} risk" if missing else ""


def _probabilities(risk: FloatArray, lanes: Lanes, what: str) -> None:
    if risk.shape != (lanes.num_lanes,):
        raise Broken(f"{what} has shape {risk.shape}, expected {(lanes.num_lanes,)}")
    for lane in np.flatnonzero(~((risk >= -RISK_RESOLUTION) & (risk <= 1.0 + RISK_RESOLUTION))):
        raise Broken(f"{what} of lane {lane} is {risk[lane]}, expected a probability")


@clause("hold, correction and reference are actions; the correction is among the safest")
def answers(task: Task) -> str:
    """Looks at them in states of random and good policies."""
    lanes = task.lanes(LANES)
    missing = [n for n in ("hold", "correction", "reference") if getattr(lanes, n)() is None]
    for t in moments(task, lanes):
        for name in ("hold", "correction", "reference"):
            actions = getattr(lanes, name)()
            for place, action in enumerate(actions if actions is not None else ()):
                if not lanes.action_space.contains(action):
                    raise Broken(f"lane {place}, step {t}: {name} is {action}, not an action")
        correction, least = lanes.correction(), lanes.least_risk("exact")
        if correction is not None and least is not None:
            risk = lanes.risk_of("exact", correction)
            assert risk is not None  # a task that knows the least risk knows each
            for lane in np.flatnonzero(risk > least + RISK_RESOLUTION):
                raise Broken(
                    f"lane {lane}, step {t}: correction {correction[lane]} has exact risk "
                    f"{risk[lane]:g}, expected the least, {least[lane]:g}"
                )
    return f"it knows no {' and no '.join(missing)}" if missing else ""


@clause("estimated risk follows from the observation, and is right on average")
def estimated_risk(task: Task) -> str:
    """Compares states that look the same, and means over a random policy's states."""
    needs(task, "estimated", "immediate")
    lanes = task.lanes(LANES)
    seen: dict[bytes, Any] = {}
    alike = 0
    off = np.zeros(lanes.num_lanes)
    limit = getattr(lanes, "max_episode_steps", ESTIMATED_STEPS)
    steps = limit * math.ceil(ESTIMATED_STEPS / limit)
    for t, _ in enumerate(_with_start(lanes, steps, generator(task))):
        estimated, immediate = lanes.risk_table("estimated"), lanes.risk_table("immediate")
        if estimated is None or immediate is None:
            raise Unchecked("it has no table of risks")
        off += (estimated - immediate).mean(axis=1)
        for lane, look in enumerate(lanes.observation):
            known = seen.setdefault(np.asarray(look).tobytes(), estimated[lane])
            alike += known is not estimated[lane]
            if np.abs(known - estimated[lane]).max() > RISK_RESOLUTION:
                raise Broken(
                    f"lane {lane}, step {t}: estimated risks are {estimated[lane]}, "
                    f"expected {known} as in an earlier state that looks the same"
                )
    return _mean_zero(off / steps, alike, task.estimated_error)


def _with_start(lanes: Lanes, steps: int, rng: np.random.Generator) -> Iterator[None]:
    yield
    for _ in at_random(lanes, steps - 1, rng):
        yield


def _mean_zero(off: FloatArray, alike: int, tolerance: float) -> str:
    mean, error = off.mean(), off.std(ddof=1) / np.sqrt(len(off))
    allowed = MOST_ERRORS * error + RISK_RESOLUTION + tolerance
    if abs(mean) > allowed:
        raise Broken(
            f"estimated risk is {mean:+.4f} off the immediate one on average of a random "
            f"policy's states, expected 0 within {allowed:.4f}"
        )
    return "" if alike else "no two states looked the same"
