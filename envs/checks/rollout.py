"""How checks run tasks: random actions, states worth looking at, many copies of a state."""

from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils.env_checker import data_equivalence

from looplab.envs.checks.contract import Broken, Unchecked
from looplab.envs.checks.task import Task
from looplab.envs.core import (
    RISK_RESOLUTION,
    RISK_SOURCES,
    Actions,
    BoolArray,
    FloatArray,
    Lanes,
    Step,
)
from looplab.envs.native import NativeLanes

#: How far random actions go where their space has no bounds.
UNBOUNDED = 1000.0
#: Chance that a lane is reset although its episode goes on.
CUT = 0.02
#: Chance that a lane which follows the task's reference does so in a step.
FOLLOWED = 0.85
STEP_FIELDS = (
    "observation", "reward", "terminated", "truncated", "cost", "catastrophe", "success",
)  # fmt: skip
#: Arrays of native lanes beside ``STATE`` that a copy needs.
_KEPT = ("clock", "drift_level", "_drifted", "episode", "elapsed", "observation")


def generator(task: Task, stream: int = 0) -> np.random.Generator:
    """Random numbers of a check, apart from the task's own."""
    return np.random.default_rng([task.seed, stream])


def sampled(space: gym.Space[Any], count: int, rng: np.random.Generator) -> Actions:
    """Random actions of ``count`` lanes, uniform where the space is bounded."""
    if isinstance(space, gym.spaces.Discrete):
        return rng.integers(space.start, space.start + space.n, count)
    if isinstance(space, gym.spaces.Box):
        low, high = space.low.clip(-UNBOUNDED), space.high.clip(None, UNBOUNDED)
        return rng.uniform(low, high, (count, *space.shape)).astype(space.dtype)
    raise Unchecked(f"actions of {space} are not sampled")


def first_action(lanes: Lanes) -> int:
    """The lowest discrete action, which is the first column of a table of risks."""
    return int(getattr(lanes.action_space, "start", 0))


def over(step: Step) -> BoolArray:
    """Lanes whose episode has ended, (n,)."""
    return step.terminated | step.truncated


def anew(step: Step, change: Callable[[Any], Any]) -> Step:
    """A step of its own arrays: ``change`` of each."""
    parts: dict[str, Any] = {name: change(getattr(step, name)) for name in STEP_FIELDS}
    return Step(**parts)


def wander(lanes: Lanes, steps: int, rng: np.random.Generator) -> Iterator[Step]:
    """Runs lanes that have begun; every other lane mostly follows the reference, if there is one.

    Lanes that are done have begun anew when a step is yielded.
    """
    follows = np.arange(lanes.num_lanes) % 2 == 1
    for _ in range(steps):
        actions = sampled(lanes.action_space, lanes.num_lanes, rng)
        known = lanes.reference()
        if known is not None:
            led = follows & (rng.random(lanes.num_lanes) < FOLLOWED)
            actions[led] = known[led]
        step = lanes.step(actions)
        if over(step).any():
            lanes.reset(over(step))
        yield step


def at_random(lanes: Lanes, steps: int, rng: np.random.Generator) -> Iterator[Step]:
    """Runs lanes that have begun with random actions alone."""
    for _ in range(steps):
        step = lanes.step(sampled(lanes.action_space, lanes.num_lanes, rng))
        if over(step).any():
            lanes.reset(over(step))
        yield step


def spread(task: Task, lanes: Lanes, copies: int) -> NativeLanes:
    """Lanes that can hold each of these lanes' states ``copies`` times; see ``put``."""
    many = task.make(lanes.num_lanes * copies)
    assert isinstance(many, NativeLanes)  # callers have looked
    many.reset()
    return many


def put(many: NativeLanes, lanes: Lanes, seed: int) -> None:
    """Puts each lane's state in as many neighbours as there is room for, to be drawn anew."""
    copies = many.num_lanes // lanes.num_lanes
    for name in (*many.STATE, *_KEPT):
        setattr(many, name, np.repeat(getattr(lanes, name), copies, axis=0))
    many.redraw(seed)


def same(what: str, got: Any, expected: Any, where: str) -> None:
    """Compares arrays of shape (n, ...) element by element.

    Args:
        what: name of the quantity.
        got: what is found; None: it is not known.
        expected: what it should be.
        where: step and comparison, e.g. ``"step 3 of the pickled copy"``.

    Raises:
        Broken: naming the first lane that differs.
    """
    if got is None and expected is None:
        return
    if got is None or expected is None:
        raise Broken(f"{where}: {what} is {got}, expected {expected}")
    got, expected = np.asarray(got), np.asarray(expected)
    if got.shape != expected.shape:
        raise Broken(f"{where}: {what} has shape {got.shape}, expected {expected.shape}")
    for lane in np.flatnonzero(_differs(got, expected)):
        raise Broken(f"lane {lane}, {where}: {what} {_at(got, expected, int(lane))}")


def _differs(got: Any, expected: Any) -> BoolArray:
    if not got.size:
        return np.zeros(0, dtype=np.bool_)
    if got.dtype == object:
        pairs = zip(got, expected, strict=True)
        return np.array([not data_equivalence(one, other) for one, other in pairs])
    differs = got != expected
    if got.dtype.kind == "f" and expected.dtype.kind == "f":
        differs &= ~(np.isnan(got) & np.isnan(expected))
    return np.asarray(differs.reshape(len(got), -1).any(axis=1), dtype=np.bool_)


def _at(got: Any, expected: Any, lane: int) -> str:
    one, other = got[lane], expected[lane]
    if got.dtype == object or np.ndim(one) == 0:
        return f"is {one}, expected {other}"
    place = tuple(int(i) for i in np.argwhere(one != other)[0])
    return f"{list(place)} is {one[place]}, expected {other[place]}"


def details_of(lanes: Lanes, step: Step) -> dict[str, Any]:
    """The costs by kind and whatever else ``info`` tells, as arrays (n,)."""
    if step.infos is None:
        return lanes.details()
    names = [name for name, value in step.infos[0].items() if np.ndim(value) == 0]
    return {name: [info.get(name) for info in step.infos] for name in names}


def same_step(one: Step, other: Step, where: str) -> None:
    """Compares all that two steps did."""
    for name in STEP_FIELDS:
        same(name, getattr(one, name), getattr(other, name), where)


def same_knowledge(one: Lanes, other: Lanes, where: str) -> None:
    """Compares risks, hold, correction and potential of two lanes.

    Risks may differ by ``RISK_RESOLUTION``: NumPy rounds sums of other lengths otherwise.
    """
    for source in RISK_SOURCES:
        ours, theirs = one.risk_table(source), other.risk_table(source)
        if ours is None or theirs is None or np.abs(ours - theirs).max() > RISK_RESOLUTION:
            same(f"{source} risk", ours, theirs, where)
    same("hold", one.hold(), other.hold(), where)
    same("correction", one.correction(), other.correction(), where)
    same("potential", one.potential(), other.potential(), where)


def lockstep(one: Lanes, other: Lanes, steps: int, rng: np.random.Generator, why: str) -> None:
    """Runs two lanes that have begun under the same actions and compares everything.

    Raises:
        Broken: naming lane, step and quantity, if ``one`` is not as ``other``.
    """
    same("first observation", one.observation, other.observation, why)
    for t in range(steps):
        actions = sampled(one.action_space, one.num_lanes, rng)
        where = f"step {t} {why}"
        ours, theirs = one.step(actions), other.step(actions)
        same_step(ours, theirs, where)
        known = details_of(other, theirs)
        for name, values in details_of(one, ours).items():
            same(f"info['{name}']", values, known.get(name), where)
        same_knowledge(one, other, where)
        again = over(ours) | (rng.random(one.num_lanes) < CUT)
        if again.any():
            same("observation at reset", one.reset(again), other.reset(again), where)


def two_sided(counts: Any, trials: Any, chance: FloatArray) -> FloatArray:
    """P-values of so many violations in so many trials of a given chance, two-sided."""
    return np.minimum(
        1.0, 2.0 * np.minimum(at_most(counts, trials, chance), at_least(counts, trials, chance))
    )


def at_most(counts: Any, trials: Any, chance: Any) -> FloatArray:
    """Probability of ``counts`` violations or fewer in ``trials``."""
    from scipy.special import bdtr

    return np.asarray(bdtr(counts, trials, np.clip(chance, 0.0, 1.0)), dtype=np.float64)


def at_least(counts: Any, trials: Any, chance: Any) -> FloatArray:
    """Probability of ``counts`` violations or more in ``trials``."""
    from scipy.special import bdtrc

    tail = bdtrc(np.maximum(counts, 1) - 1, trials, np.clip(chance, 0.0, 1.0))
    return np.where(np.asarray(counts) == 0, 1.0, tail)
