"""Questions whose answers are known: states of a task, each with a safe or an unsafe proposal."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from looplab.envs.core import RISK_RESOLUTION, BoolArray, FloatArray, IntArray, Lanes, RiskSource
from looplab.envs.errors import UsageError, probability, whole
from looplab.envs.situations import Situations, snapshot
from looplab.experiments.build import lanes

#: Who plays between two questions takes the safest action so often, else any.
_CAREFUL = 0.7
#: Steps between two questions, at most.
_LONGEST_WALK = 12
#: Steps after which no more states are looked for, for each question that is wanted.
_PATIENCE = 400


@dataclass(frozen=True)
class Questions:
    """States with proposals, and what is known of these.

    Attributes:
        states: lanes of one lane each.
        action: proposals, shape (q,).
        unsafe: whether each exceeds the tolerance and the least risk of its state, (q,).
        risk: of each, (q,).
        step: how far into its episode each state lies, (q,).
    """

    states: tuple[Lanes, ...]
    action: IntArray
    unsafe: BoolArray
    risk: FloatArray
    step: IntArray

    def __len__(self) -> int:
        return len(self.states)

    def lanes(self, num_lanes: int = 1) -> Situations:
        """The states as a task, one step in each."""
        return Situations(self.states, num_lanes)


def questions(config: Mapping[str, Any], count: int, unsafe_share: float, seed: int) -> Questions:
    """Draws questions from a task: states that a half careful agent comes into.

    The same seed draws the same questions. A state is asked about only where it has an action of
    the kind that is to be shown; actions of that kind are equally likely.

    Args:
        config: a run's resolved configuration; its ``env`` and ``tolerance`` are used.
        count: how many, at least 1.
        unsafe_share: share of them whose proposal is unsafe, in [0, 1], as exactly as it can be.
        seed: of the task and of what is chosen.

    Raises:
        UsageError: if the task's actions are no list with known risks, or no such states are found.
    """
    whole("questions", count, 1)
    wanted = np.arange(count) < round(count * probability("unsafe_share", unsafe_share))
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    rng.shuffle(wanted)
    task = lanes(config, 1, drawn=True)
    task.reseed(int(rng.integers(1 << 31)))
    task.reset()
    source = _known_risk(task)
    states: list[Lanes] = []
    action, risk, step = [], [], []
    wait, left = 0, _PATIENCE * count
    while len(states) < count:
        table = _table(task, source)[0]
        kind = _kind(table, config["tolerance"], bool(wanted[len(states)]))
        if wait <= 0 and kind.any():
            chosen = int(rng.choice(np.flatnonzero(kind)))
            states.append(snapshot(task))
            action.append(chosen)
            risk.append(float(table[chosen]))
            step.append(int(task.elapsed[0]))
            wait = int(rng.integers(1, _LONGEST_WALK))
        careful = rng.random() < _CAREFUL
        choices = np.flatnonzero(table <= table.min() + RISK_RESOLUTION)
        taken = rng.choice(choices if careful else np.arange(len(table)))
        told = task.step(np.array([taken]))
        if told.terminated[0] or told.truncated[0]:
            task.reset()
        wait, left = wait - 1, left - 1
        if left <= 0:
            what = "unsafe" if wanted[len(states)] else "safe"
            raise UsageError(
                f"found {len(states)} of {count} questions, and then no state with an action that "
                f"is {what}; set unsafe_share= or env="
            )
    return Questions(tuple(states), np.array(action), wanted.copy(), np.array(risk), np.array(step))


def _kind(table: FloatArray, tolerance: float, unsafe: bool) -> BoolArray:
    """Actions that are unsafe, as ``Proposals.unsafe`` has it, or those that are not, (A,)."""
    risky = table > tolerance + RISK_RESOLUTION
    if risky.all():
        risky &= table > table.min() + RISK_RESOLUTION
    found: BoolArray = risky if unsafe else ~risky
    return found


def _known_risk(task: Lanes) -> RiskSource:
    """The risk by which proposals are judged."""
    sources: tuple[RiskSource, ...] = ("exact", "immediate")
    for source in sources:
        if task.offers(source):
            if task.risk_table(source) is None:
                break
            return source
    raise UsageError(
        f"{type(task).__name__} cannot be practised on: it does not say how risky each action is"
    )


def _table(task: Lanes, source: RiskSource) -> FloatArray:
    table = task.risk_table(source)
    assert table is not None  # offered, and asked for before
    return table
