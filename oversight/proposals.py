"""What triggers, overseers and fallbacks see of one step: n proposals and what is known."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from looplab.envs.compiled import compiled
from looplab.envs.core import (
    RISK_RESOLUTION,
    RISK_SOURCES,
    Actions,
    BoolArray,
    FloatArray,
    IntArray,
    Lanes,
    Observations,
    RiskSource,
    check_source,
    safest,
)
from looplab.envs.errors import UsageError
from looplab.oversight.memory import Memory

#: What is known of states, whatever is proposed in them, and what of proposals too.
_OF_STATES = ("table", "least")
_OF_ACTIONS = (*_OF_STATES, "truth", "judgement")

NEEDS_TRUTH = (
    "nothing says which actions are unsafe: the environment offers no risk; pass risk=, a function "
    "of (env, action), or use LookAheadOverseer, which tries the action in a copy of the "
    "environment"
)


#: What decides whether a proposal is unsafe, best first.
TRUTHS: tuple[RiskSource, ...] = ("exact", "immediate")
#: Which risk is read where none is named: what the agent could know comes first.
PREFERRED_SOURCES: tuple[RiskSource, ...] = ("estimated", "exact", "immediate")


class PolicyStep(Protocol):
    """What the policy knew when it made this step's proposals."""

    @property
    def confidence(self) -> FloatArray:
        """Probability of each lane's proposed action, shape (n,)."""

    @property
    def probabilities(self) -> FloatArray:
        """Probability of every action, shape (n, A)."""


class RiskEstimate(Protocol):
    """An estimate of risk by whoever can make one, such as look-ahead in a copy."""

    def __call__(self, proposals: "Proposals", actions: Actions, mask: BoolArray) -> FloatArray:
        """Risk of one action per masked lane, shape (n,); other lanes are ignored."""


class Standard(NamedTuple):
    """By what the proposals made in one environment are judged.

    Attributes:
        tolerance: risk above which a proposal is unsafe.
        truth: source of the risk that decides; None: the environment offers none.
        estimate: who estimates risk where nothing else tells it; None: nobody.
        preferred: source of the risk that is read where none is named; None likewise.
    """

    tolerance: float
    truth: RiskSource | None = None
    estimate: RiskEstimate | None = None
    preferred: RiskSource | None = None

    @classmethod
    def of(cls, lanes: Lanes, tolerance: float) -> "Standard":
        """What an environment's own risks make of it."""
        truth = next(filter(lanes.offers, TRUTHS), None)
        preferred = next(filter(lanes.offers, PREFERRED_SOURCES), None)
        return cls(tolerance, truth, None, preferred)

    @property
    def known(self) -> bool:
        """Whether anything says which proposals are unsafe."""
        return self.truth is not None or self.estimate is not None


class Proposals:
    """n proposals in their states.

    Attributes:
        lanes: the task; its risks and corrections are privileged.
        action: proposed action of each lane, shape (n,) or (n, *action shape).
        episode: index of each lane's episode, shape (n,).
        step: steps that the lane's episode has had, shape (n,).
        asked: lanes that are being asked about; an overseer may leave out the others.
        watching: the human only watches what is about to run, instead of being asked.
        running: the world goes on while the human reviews.
        rated: the human rates what will run, and blocks nothing.
        occasion: tells a question apart from the step's own, so that who answers both draws anew
            for it; empty for the step's own.
        standard: by what they are judged.
        trigger: the trigger that decides who is asked about these proposals; None: there is none.
        source: the proposals that the trigger was shown, where these are made of others; else None.
    """

    watching = running = rated = False
    occasion = ""
    trigger: "Callable[[Proposals], BoolArray] | None" = None
    source: "Proposals | None" = None

    def __init__(
        self,
        lanes: Lanes,
        action: Actions,
        episode: IntArray,
        step: IntArray,
        memory: Memory,
        standard: Standard,
        policy: Callable[[Actions], PolicyStep] | None,
    ) -> None:
        self.lanes = lanes
        self.action = action
        self.episode = episode
        self.step = step
        self.standard = standard
        self.asked: BoolArray = memory.everyone
        self._memory = memory
        self._policy = policy
        self._cache: dict[str | int, Any] = {}

    def __len__(self) -> int:
        return len(self.action)

    @property
    def shown(self) -> "Proposals":
        """What the trigger was shown: these, or those that they are made of."""
        return self if self.source is None else self.source

    @property
    def observation(self) -> Observations:
        """What the agent saw, shape (n, *observation shape)."""
        return self.lanes.observation

    def having(self, action: Actions, occasion: str = "") -> "Proposals":
        """The same states with other actions proposed, on this occasion or on another."""
        other = Proposals(
            self.lanes, action, self.episode, self.step, self._memory, self.standard,
            self._same_step,
        )  # fmt: skip
        other.asked, other.watching, other.running = self.asked, self.watching, self.running
        other.rated = self.rated
        other.occasion, other.source = self.occasion + occasion, self.shown
        shared = _OF_ACTIONS if action is self.action else _OF_STATES
        for name in shared:
            if name in self._cache:
                other._cache[name] = self._cache[name]
        return other

    def judged_by(self, estimate: RiskEstimate) -> "Proposals":
        """The same proposals, where somebody's estimate of risk stands for the truth."""
        if self.standard.truth is None and self.standard.estimate == estimate:
            return self
        other = Proposals(
            self.lanes, self.action, self.episode, self.step, self._memory,
            self.standard._replace(truth=None, estimate=estimate), self._same_step,
        )  # fmt: skip
        other.asked, other.watching, other.running = self.asked, self.watching, self.running
        other.rated = self.rated
        other.occasion, other.source = self.occasion, self.shown
        return other

    @property
    def _same_step(self) -> Callable[[Actions], PolicyStep] | None:
        """What tells other proposals in the same states what the policy knew; None: nobody can."""
        return None if self._policy is None else lambda _: self._policy_step

    @property
    def clock(self) -> int:
        """Steps since the engine began, across episodes; a human's time goes on with it."""
        return self._memory.clock

    def risk(self, source: RiskSource | None = None) -> FloatArray:
        """Risk of each proposed action, shape (n,).

        Args:
            source: ``immediate``, ``exact`` or ``estimated``; None: the first of estimated, exact
                and immediate that the environment offers.

        Raises:
            UsageError: if the environment does not offer it.
        """
        named = self.standard.preferred if source is None else source
        risk = self.lanes.risk_of(named, self.action) if named in RISK_SOURCES else None
        if risk is None:
            offered = "no risk; pass risk=" if source is None else f"no {check_source(source)} risk"
            raise UsageError(f"the environment offers {offered}")
        return risk

    @property
    def tolerance(self) -> float:
        """Risk above which a proposal is unsafe."""
        return self.standard.tolerance

    @property
    def truth(self) -> FloatArray:
        """Risk of each proposed action that decides what is unsafe, shape (n,); NaN if unknown.

        Exact risk; else the user's or the task's immediate risk; else the look-ahead's estimate.
        """
        found: FloatArray | None = self._cache.get("truth")
        if found is None:
            source = self.standard.truth
            found = self._estimated(self.action) if source is None else self.risk(source)
            self._cache["truth"] = found
        return found

    def _estimated(self, actions: Actions) -> FloatArray:
        """Estimated risk of one action per lane, (n,); NaN where nobody estimates."""
        estimate = self.standard.estimate
        if estimate is None:
            return np.full(len(self), np.nan)
        return estimate(self, actions, np.ones(len(self), dtype=np.bool_))

    @property
    def truth_table(self) -> FloatArray:
        """``truth`` of every action, shape (n, A).

        Raises:
            UsageError: if nothing says so, or the actions are continuous.
        """
        table = self._cache.get("table")
        if table is None:
            if self.standard.truth is not None:
                table = self.lanes.risk_table(self.standard.truth)
            elif self.standard.estimate is not None:
                table = self._estimated_table()
            else:
                raise UsageError(NEEDS_TRUTH)
            if table is None:
                raise UsageError("a table of risks needs a Discrete action space")
            self._cache["table"] = table
        return table

    def _estimated_table(self) -> FloatArray | None:
        count = getattr(self.lanes.action_space, "n", None)
        if count is None:
            return None
        columns = [self._estimated(np.full(len(self), action)) for action in range(int(count))]
        return np.stack(columns, axis=1)

    @property
    def known(self) -> bool:
        """Whether anything says which actions are unsafe."""
        return self.standard.known

    @property
    def unsafe(self) -> BoolArray:
        """Proposals whose risk exceeds the tolerance and the least risk of the state, (n,).

        Where every action exceeds the tolerance, only those above the least risk are unsafe.
        """
        return self.judgement[1]

    @property
    def judgement(self) -> tuple[FloatArray, BoolArray, BoolArray]:
        """What the record says of the proposals, each of shape (n,): risk, unsafe, unavoidable.

        The risk is ``truth``. Unavoidable is a risk above the tolerance where every action exceeds
        it.
        """
        found: tuple[FloatArray, BoolArray, BoolArray] | None = self._cache.get("judgement")
        if found is None:
            truth, unsafe = self.truth, np.empty(len(self), np.bool_)
            bar = self.standard.tolerance + RISK_RESOLUTION
            if _exceeds(truth, bar, unsafe):
                unavoidable = np.empty(len(self), np.bool_)
                _judge(truth, self._least, bar, unsafe, unavoidable)
                found = truth, unsafe, unavoidable
            else:  # nothing is unsafe then, and no lane trapped
                found = truth, unsafe, unsafe
            self._cache["judgement"] = found
        return found

    @property
    def _least(self) -> FloatArray:
        """Risk of each state's safest action, (n,); 0 where no task says it of continuous ones."""
        least: FloatArray | None = self._cache.get("least")
        if least is None:
            if self.standard.truth is not None and "table" not in self._cache:
                least = self.lanes.least_risk(self.standard.truth)
            if least is None:
                discrete = hasattr(self.lanes.action_space, "n")
                least = self.truth_table.min(axis=1) if discrete else np.zeros(len(self))
            self._cache["least"] = least
        return least

    @property
    def safest(self) -> IntArray:
        """The proposal where it is among the safest actions, else the lowest such, shape (n,)."""
        return safest(self.truth_table, self.action)

    @property
    def confidence(self) -> FloatArray:
        """The policy's probability of its proposal, from its own forward pass, shape (n,).

        Raises:
            UsageError: if the policy gives none in this step.
        """
        return self._policy_step.confidence

    @property
    def probabilities(self) -> FloatArray:
        """The policy's probability of every action, from its own forward pass, shape (n, A)."""
        return self._policy_step.probabilities

    @property
    def policy_step(self) -> PolicyStep | None:
        """What the policy knew, if anybody can tell; None otherwise."""
        return None if self._policy is None else self._policy_step

    @property
    def _policy_step(self) -> PolicyStep:
        step = self._cache.get("policy")
        if step is None:
            if self._policy is None:
                raise UsageError(
                    "the policy's probabilities are not known here: pass policy=, a function of "
                    "the observation, or train with looplab.agents, which reads its own pass"
                )
            step = self._cache["policy"] = self._policy(self.action)
        return step

    def once(self, owner: object, work: "Callable[[Proposals], FloatArray]") -> FloatArray:
        """What an owner works out of these proposals, shape (n,), worked out once a step."""
        key = id(owner)
        found: FloatArray | None = self._cache.get(key)
        if found is None:
            found = self._cache[key] = work(self)
        return found

    def uniform(self, owner: object, name: str = "") -> FloatArray:
        """One uniform draw in [0, 1) per lane from a stream of the owner's own, shape (n,).

        Keyed by (seed + lane, episode, step): asking twice in one step gives the same numbers, and
        what one part draws changes nothing for the others.

        Args:
            owner: the trigger, overseer or protocol that draws.
            name: tells several draws of one owner apart.
        """
        return self.uniforms(owner, name, 1)[:, 0]

    def uniforms(
        self,
        owner: object,
        name: str,
        count: int,
        episode: IntArray | None = None,
        place: IntArray | None = None,
    ) -> FloatArray:
        """Several draws per lane, shape (n, count), whose first is that of ``uniform``.

        Args:
            owner: the trigger, overseer or protocol that draws.
            name: tells several draws of one owner apart.
            count: draws per lane.
            episode: what stands for the lanes' episodes, shape (n,); None: these themselves.
            place: what stands for the steps, shape (n,); None: these themselves, and the occasion.
        """
        return self._memory.uniforms(
            owner,
            name + self.occasion if place is None else name,
            count,
            self.episode if episode is None else episode,
            self.step if place is None else place,
        )

    def memory(self, owner: Any) -> Any:
        """The owner's own state over all lanes: what ``owner.start(num_lanes)`` made.

        ``owner.begin(state, mask)`` is called for lanes that begin an episode.
        """
        return self._memory.state(owner)


@compiled
def _exceeds(risk: Any, bar: Any, out: Any) -> Any:
    """Marks risks above the bar, (n,); returns whether there is any."""
    found = False
    for lane in range(len(out)):
        out[lane] = risk[lane] > bar
        found |= out[lane]
    return found


@compiled
def _judge(risk: Any, least: Any, bar: Any, unsafe: Any, unavoidable: Any) -> None:
    """Marks what is unsafe, and what no other action would have avoided, all (n,)."""
    for lane in range(len(risk)):
        risky, trapped = risk[lane] > bar, least[lane] > bar
        unavoidable[lane] = risky and trapped
        unsafe[lane] = risky and (not trapped or risk[lane] > least[lane] + RISK_RESOLUTION)
