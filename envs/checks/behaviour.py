"""Clauses on determinism: seeds, copies, frozen lanes, and faces that equal one another."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np

from looplab.envs.checks.contract import Broken, Unchecked, clause
from looplab.envs.checks.rollout import (
    STEP_FIELDS,
    anew,
    generator,
    lockstep,
    over,
    same,
    same_step,
    sampled,
)
from looplab.envs.checks.task import Task
from looplab.envs.core import Lanes, Step
from looplab.envs.errors import UsageError
from looplab.envs.gym_lanes import GymLanes

LANES = 6
STEPS = 150
#: What is compared with a fork.
_FORKED = ("observation", "reward", "cost")
#: Steps before a copy is made, and steps that the copy and the original then take.
BEFORE, AFTER = 17, 60


def _run(lanes: Lanes, steps: int, rng: np.random.Generator, alike: bool = False) -> list[Step]:
    """Steps under random actions; ``alike``: the same action in every lane."""
    found = []
    for _ in range(steps):
        actions = sampled(lanes.action_space, 1 if alike else lanes.num_lanes, rng)
        if alike:
            actions = np.repeat(actions, lanes.num_lanes, axis=0)
        found.append(lanes.step(actions))
        if over(found[-1]).any():
            lanes.reset(over(found[-1]))
    return found


def _compare(found: list[Step], expected: list[Step], why: str) -> None:
    for t, (one, other) in enumerate(zip(found, expected, strict=True)):
        same_step(one, other, f"step {t} {why}")


@clause("the same seed gives the same everything, another seed something else")
def seeds(task: Task) -> str:
    """Also: lanes that were used and seeded again begin as fresh ones do."""
    rng = generator(task)
    used = task.lanes(LANES, shift=1)
    _run(used, BEFORE, generator(task, 1))
    used.reseed(task.seed)
    used.reset()
    lockstep(used, task.lanes(LANES), STEPS, rng, "after reseed(), against fresh lanes of the seed")
    one = task.lanes(LANES)
    ours = _run(one, STEPS, generator(task), alike=True)
    theirs = _run(task.lanes(LANES, shift=1000), STEPS, generator(task), alike=True)
    if any(_unlike(a, b) for a, b in zip(ours, theirs, strict=True)):
        return ""
    if any(_unlike(a, _first(a)) for a in ours):
        raise Broken(
            f"seeds {task.seed} and {task.seed + 1000} give the same {STEPS} steps, "
            "although lanes differ from one another"
        )
    return (
        f"nothing in {STEPS} steps depends on the seed: a seed that is ignored would go unnoticed"
    )


def _unlike(one: Step, other: Step) -> bool:
    try:
        same_step(one, other, "")
    except Broken:
        return True
    return False


def _first(step: Step) -> Step:
    """What the first lane did, as if all had."""
    return anew(step, lambda array: np.repeat(array[:1], len(array), axis=0))


@clause("what an episode draws depends on its seed and number, not on what was done before")
def draws(task: Task) -> str:
    """Two lanes of one seed act differently for a while, begin anew together, and then act alike.

    A task that draws more numbers after some actions than after others is found out here: behind
    an overseer it would meet another world than without one.
    """
    if not task.native:
        raise Unchecked("environments of others keep a stream of their own")
    one, other = task.lanes(LANES), task.lanes(LANES)
    for lanes, stream in ((one, 1), (other, 2)):
        rng = generator(task, stream)
        for _ in range(BEFORE):
            lanes.step(sampled(lanes.action_space, LANES, rng))
    why = "of an episode that follows other actions"
    same("first observation", one.reset(), other.reset(), why)
    lockstep(one, other, AFTER, generator(task), why)
    return ""


@clause("a pickled copy goes on as the original")
def pickling(task: Task) -> str:
    """Pickles lanes in the middle of episodes."""
    return _copied(task, lambda lanes: pickle.loads(pickle.dumps(lanes)), "pickled")


@clause("a deep copy goes on as the original, and leaves it alone")
def deep_copy(task: Task) -> str:
    """Copies lanes in the middle of episodes."""
    return _copied(task, copy.deepcopy, "deep")


def _copied(task: Task, duplicate: Callable[[Any], Any], kind: str) -> str:
    original, twin = task.lanes(LANES), task.lanes(LANES)
    _run(original, BEFORE, generator(task))
    _run(twin, BEFORE, generator(task))
    try:
        copied = duplicate(original)
    except Exception as error:
        reason = f"no {kind} copy can be made: {' '.join(str(error).split())}"
        raise (Broken if task.native else Unchecked)(reason) from error
    going_on = _run(copied, AFTER, generator(task, 1))
    expected = _run(twin, AFTER, generator(task, 1))
    _compare(going_on, expected, f"of the {kind} copy")
    rest = _run(original, AFTER, generator(task, 1))
    _compare(rest, expected, f"of the original, after its {kind} copy was run")
    lockstep(copied, original, BEFORE, generator(task, 2), f"of the {kind} copy")
    return ""


@clause("a fork goes on as its lane does, and leaves it alone, redrawn and reset or not")
def forks(task: Task) -> str:
    """Forks each lane as look-ahead overseers do."""
    lanes, twin = task.lanes(LANES), task.lanes(LANES)
    for each in (lanes, twin):
        _run(each, BEFORE, generator(task))
    try:
        copies = [lanes.fork(lane) for lane in range(lanes.num_lanes)]
        for seed, env in enumerate([lanes.fork(lane) for lane in range(lanes.num_lanes)]):
            env.get_wrapper_attr("redraw")(seed)
            env.step(sampled(env.action_space, 1, generator(task, seed))[0])
            env.reset(seed=seed)
    except UsageError as error:
        raise (Broken if task.native else Unchecked)(str(error)) from error
    rng = generator(task, 1)
    alive = np.ones(lanes.num_lanes, dtype=np.bool_)
    for t in range(AFTER):
        actions = sampled(lanes.action_space, lanes.num_lanes, rng)
        ours, theirs = lanes.step(actions), twin.step(actions)
        same_step(ours, theirs, f"step {t} after forks were run")
        for lane in np.flatnonzero(alive):
            observation, reward, _, _, info = copies[lane].step(actions[lane])
            where = f"step {t} of the fork of lane {lane}"
            found = zip((observation, reward, info["cost"]), _FORKED, strict=True)
            for value, name in found:
                same(name, np.array([value]), getattr(ours, name)[lane : lane + 1], where)
        alive &= ~over(ours)
        if over(ours).any():
            lanes.reset(over(ours))
            twin.reset(over(ours))
    return ""


@clause("what a step returned is never changed later")
def fresh_arrays(task: Task) -> str:
    """Keeps copies of a step's arrays and looks again after more steps, refusals and resets."""
    lanes = task.lanes(LANES)
    held: list[tuple[int, Step, Step]] = []
    rng = generator(task)
    for t in range(BEFORE):
        step = lanes.step(sampled(lanes.action_space, lanes.num_lanes, rng))
        held.append((t, step, anew(step, np.copy)))
        lanes.note_refusals(np.ones(lanes.num_lanes, dtype=np.bool_))
        if over(step).any():
            lanes.reset(over(step))
    lanes.reset()
    for t, step, kept in held:
        same_step(step, kept, f"step {t}, looked at again later")
    return ""


@clause("lanes that are not active stay as they are, and lose no draw")
def frozen_lanes(task: Task) -> str:
    """Steps lanes in turns and compares with lanes that step together."""
    lanes, twin = task.lanes(LANES), task.lanes(LANES)
    rng = generator(task)
    n = lanes.num_lanes
    for t in range(STEPS // 3):
        actions, active = sampled(lanes.action_space, n, rng), rng.random(n) < 0.5
        before = lanes.observation.copy()
        early, late = lanes.step(actions, active), lanes.step(actions, ~active)
        expected = twin.step(actions)
        where = f"step {t} in turns"
        rest = np.where(~active, early.reward, 0.0) + np.where(active, late.reward, 0.0)
        same("reward of a lane that does not step", rest, np.zeros(n), where)
        rest = np.where(~active, early.cost, 0.0) + np.where(active, late.cost, 0.0)
        same("cost of a lane that does not step", rest, np.zeros(n), where)
        stayed = early.observation[~active]
        same("observation of a lane that does not step", stayed, before[~active], where)
        joined = anew(early, np.copy)
        for name in STEP_FIELDS:
            getattr(joined, name)[~active] = getattr(late, name)[~active]
        same_step(joined, expected, where)
        same("observation afterwards", lanes.observation, twin.observation, where)
        if over(expected).any():
            same("reset", lanes.reset(over(expected)), twin.reset(over(expected)), where)
    return ""


@clause("lane i of a batch equals the single environment of seed + i, step by step")
def single_environments(task: Task) -> str:
    """Compares also risks, corrections, potentials and ``info``."""
    if not task.native:
        raise Unchecked("its lanes are single environments, stepped one after another")
    singles = GymLanes([task.environment() for _ in range(LANES)])
    singles.reseed(task.seed)
    singles.reset()
    lockstep(task.lanes(LANES), singles, STEPS, generator(task), "against single environments")
    return ""


@clause("the vector entry point equals the lanes")
def vector(task: Task) -> str:
    """Compares with same-step autoreset, and looks for the last observation of an episode."""
    if not task.native:
        raise Unchecked("it has no vector of its own")
    lanes, vectors = task.lanes(LANES), task.environments(LANES)
    same("observation", vectors.reset(seed=task.seed)[0], lanes.observation, "at reset")
    rng = generator(task)
    for t in range(STEPS):
        actions, where = sampled(lanes.action_space, LANES, rng), f"step {t} of the vector"
        step = lanes.step(actions)
        done = over(step)
        last = step.observation.copy()
        if done.any():
            lanes.reset(done)
        observation, reward, terminated, truncated, infos = vectors.step(actions)
        same("observation", observation, lanes.observation, where)
        same("reward", reward, step.reward, where)
        same("terminated", terminated, step.terminated, where)
        same("truncated", truncated, step.truncated, where)
        same("cost", infos["cost"], step.cost, where)
        same("catastrophe", infos["catastrophe"], step.catastrophe, where)
        for lane in np.flatnonzero(done):
            final = infos["final_obs"][lane][None]
            same("final_obs", final, last[lane : lane + 1], f"{where}, lane {lane}")
    return ""
