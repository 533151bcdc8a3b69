"""What a fleet's agents do between requests: nothing, or the steps of a task, run when needed."""

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from looplab.envs.core import Actions, FloatArray, Lanes
from looplab.envs.errors import EnvironmentFault, UsageError
from looplab.envs.streams import Streams
from looplab.oversight.fallbacks import Fallback, Hold, halts
from looplab.oversight.fleet.reviewers import Question
from looplab.oversight.memory import Memory
from looplab.oversight.parts import check, walk
from looplab.oversight.proposals import NEEDS_TRUTH, PolicyStep, Proposals, Standard
from looplab.oversight.protocols.base import triggered
from looplab.oversight.triggers import Always, Trigger
from looplab.oversight.types import put, some

#: What runs in a step: the proposal; the fallback, because nobody has answered yet or because
#: somebody refused; or an earlier proposal that was approved late.
PROPOSED, WITHHELD, REFUSED, LATE = range(4)

#: What is counted of the steps.
TOTALS = ("violations", "catastrophes", "task_return", "stale_approvals")

#: Who proposes: (lanes, uniform draws) -> actions, and what the policy knew of them, if anything.
#: The draws, shape (n, action components), are keyed by lane, episode and step: a policy that draws
#: from nothing else proposes the same in the same step, whenever it is asked.
Policy = Callable[[Lanes, FloatArray], tuple[Actions, PolicyStep | None]]


class Work(Protocol):
    """What N agents do; each agent proposes, is told what runs, and proposes again."""

    @property
    def least_asked(self) -> float:
        """Share of the proposals that are asked about, as far as it is known beforehand."""

    def propose(self, agent: int) -> Question | None:
        """The agent's next proposal, if a human is asked about it; None if it just runs."""

    def execute(self, agent: int, what: int, counted: bool) -> None:
        """The agent's step runs.

        Args:
            agent: index, from 0.
            what: ``PROPOSED``, ``WITHHELD`` or ``REFUSED``.
            counted: whether the warm-up is over.
        """

    def approve_late(self, agent: int, question: Question) -> None:
        """An earlier proposal of an agent that went on was approved."""

    def finish(self) -> Mapping[str, float]:
        """Runs what is left, and returns totals of the counted steps."""


class Requests:
    """Agents whose every proposal is a safe request, and who do nothing else: queueing alone."""

    least_asked = 1.0
    _question = Question(unsafe=False)

    def propose(self, agent: int) -> Question:
        """The same question each time."""
        return self._question

    def execute(self, agent: int, what: int, counted: bool) -> None:
        """Does nothing."""

    def approve_late(self, agent: int, question: Question) -> None:
        """Does nothing."""

    def finish(self) -> Mapping[str, float]:
        """Nothing to count."""
        return {}


class LaneWork:
    """Agents that act in the lanes of a task, agent i in lane i.

    What an agent proposes depends on its own lane alone. So a step need not run when it is decided:
    the first agent whose next proposal is wanted lets all decided steps run together, followed by
    one pass of policy, trigger and fallback. The results are those of running every step at once.

    ``proposals.asked`` marks the lanes that propose anew; the others show a trigger their last
    proposal once more.

    Args:
        lanes: the task; begun afresh.
        policy: who proposes.
        trigger: when a human is asked; default always.
        fallback: what runs instead of a refused action; default ``Hold``.
        seed: lane i, its policy and its oversight draw from streams keyed by seed + i.
        tolerance: risk above which a proposal is unsafe.
        executes_late: whether an approval that comes after the agent went on takes its next step,
            if the episode is still the same; else it is discarded.

    Raises:
        UsageError: if the task lacks what trigger or fallback need, nothing says what is unsafe, or
            the trigger learns from every step, which agents do not take together here.
        EnvironmentFault: while it runs, if the task returns NaN or a negative cost.
    """

    def __init__(
        self,
        lanes: Lanes,
        policy: Policy,
        trigger: Trigger | None = None,
        fallback: Fallback | None = None,
        seed: int = 0,
        tolerance: float = 0.0,
        executes_late: bool = True,
    ) -> None:
        self.lanes = lanes
        self._policy = policy
        self._trigger: Trigger = Always() if trigger is None else trigger
        self._fallback: Fallback = Hold() if fallback is None else fallback
        self._executes_late = executes_late
        self._standard = Standard.of(lanes, tolerance)
        if not self._standard.known:
            raise UsageError(f"fleet: {NEEDS_TRUTH}")
        n, space = lanes.num_lanes, lanes.action_space
        self._memory = Memory(n, seed)
        for part in (self._trigger, self._fallback):
            check(part, lanes, True)
            for inner in walk(part):
                if hasattr(inner, "see"):
                    raise UsageError(
                        f"{type(inner).__name__} looks at every step of all lanes together, and a "
                        "fleet's agents step each at a time of its own; use a trigger that goes by "
                        "the proposal alone, e.g. risk"
                    )
                self._memory.know(inner)
        self._streams = Streams(n, "fleet/policy", seed)
        self._components = int(np.prod(space.shape or (1,)))
        self._action: Actions = np.zeros((n, *(space.shape or ())), space.dtype)
        self._instead = self._action.copy()
        self._decided = np.ones(n, np.bool_)
        self._counted = np.zeros(n, np.bool_)
        self._what = np.full(n, PROPOSED)
        self._asked = np.zeros(n, np.bool_)
        self._unsafe = np.zeros(n, np.bool_)
        self._risk = np.zeros(n)
        self._late: dict[int, Question] = {}
        #: By lane, so that it does not matter which steps run together.
        self._totals = {name: np.zeros(n) for name in TOTALS}
        lanes.reseed(seed)
        lanes.reset()
        self._propose()

    @property
    def least_asked(self) -> float:
        """Share of the proposals that are asked about, as far as it is known beforehand."""
        return 1.0 if isinstance(self._trigger, Always) else 0.0

    def propose(self, agent: int) -> Question | None:
        """The agent's next proposal, if a human is asked about it; None if it just runs."""
        if self._decided[agent]:
            self._run()
            self._propose()
        if not self._asked[agent]:
            return None
        return Question(
            bool(self._unsafe[agent]),
            float(self._risk[agent]),
            self._action[agent].copy(),
            int(self.lanes.episode[agent]),
        )

    def execute(self, agent: int, what: int, counted: bool) -> None:
        """Decides what runs; it runs when somebody needs to know what came of it."""
        late = self._late.pop(agent, None)
        if late is not None and late.episode == self.lanes.episode[agent]:
            what = LATE
            self._action[agent] = late.action
        self._what[agent] = what
        self._counted[agent] = counted
        self._decided[agent] = True

    def approve_late(self, agent: int, question: Question) -> None:
        """The newest approved proposal takes the agent's next step."""
        if self._executes_late:
            self._late[agent] = question

    def finish(self) -> Mapping[str, float]:
        """Runs what is left, and returns totals of the counted steps."""
        self._run()
        return {name: float(values.sum()) for name, values in self._totals.items()}

    def _run(self) -> None:
        """Runs all decided steps."""
        lanes, due, what = self.lanes, self._decided, self._what
        withheld = (what == WITHHELD) | (what == REFUSED)
        executed = self._action.copy()
        put(executed, withheld, self._instead)
        halted = due & withheld if halts(self._fallback) else np.zeros_like(due)
        active = due & ~halted
        refused = active & (what == REFUSED)
        if some(refused):
            lanes.note_refusals(refused)
        step = lanes.step(executed, active)
        broken = ~np.isfinite(step.reward + step.cost) | (step.cost < 0.0)
        if some(broken):
            lane = int(np.flatnonzero(broken)[0])
            raise EnvironmentFault(
                f"the environment returned reward {step.reward[lane]} and cost {step.cost[lane]} "
                f"in lane {lane}; both must be finite, and a cost at least 0"
            )
        counted = due & self._counted
        found = (step.cost > 0.0, step.catastrophe, step.reward, what == LATE)
        for name, values in zip(TOTALS, found, strict=True):
            self._totals[name] += values * counted
        done = step.terminated | step.truncated | halted
        if some(done):
            lanes.reset(done)
            self._memory.begin(done)

    def _propose(self) -> None:
        """Lets policy and trigger look at all lanes, and keeps what they say of the fresh ones."""
        lanes, fresh = self.lanes, self._decided
        draws = self._streams.uniforms(lanes.episode, lanes.elapsed, self._components)
        actions, known = self._policy(lanes, draws)
        proposals = Proposals(
            lanes, actions, lanes.episode, lanes.elapsed, self._memory, self._standard,
            None if known is None else lambda _: known,
        )  # fmt: skip
        proposals.asked = fresh.copy()
        asked = triggered(self._trigger, proposals)
        everybody = np.ones_like(fresh) if asked is None else asked
        instead = self._fallback(proposals) if some(everybody & fresh) else actions
        put(self._action, fresh, actions)
        put(self._instead, fresh, instead)
        np.copyto(self._asked, everybody, where=fresh)
        np.copyto(self._unsafe, proposals.unsafe, where=fresh)
        np.copyto(self._risk, proposals.risk(), where=fresh)
        fresh[:] = False
