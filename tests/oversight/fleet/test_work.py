"""Agents in the lanes of a task: what runs, what is seen of it, and that it may run later."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from looplab.envs.core import Actions, FloatArray, Lanes
from looplab.envs.desks.ops_desk import FAST, HOLD, SAFE, OpsDesk
from looplab.envs.errors import UsageError
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.oversight import (
    Audit,
    ConfidenceBelow,
    Correction,
    Halt,
    Hold,
    Never,
    RiskAbove,
    SafestAction,
)
from looplab.oversight.fleet import (
    Exponential,
    Fixed,
    FlatReviewers,
    Fleet,
    LaneWork,
    Period,
    Question,
    simulate,
)
from looplab.oversight.fleet.work import PROPOSED, WITHHELD

ALPHA = 1e-6
HOUR, QUARTER = Period(3600.0), Period(900.0)
#: As good as endless: the longest episode of any agent is far shorter.
LONG = 10**6


def at_random(lanes: Lanes, draws: FloatArray) -> tuple[Actions, None]:
    return (draws[:, 0] * lanes.action_space.n).astype(np.int64), None  # type: ignore[attr-defined]


def always(action: int) -> Any:
    return lambda lanes, draws: (np.full(lanes.num_lanes, action), None)


class Eager(LaneWork):
    """Runs every step at once, on its own."""

    def execute(self, agent: int, what: int, counted: bool) -> None:
        super().execute(agent, what, counted)
        self.propose(agent)


class Noting(FlatReviewers):
    """Notes what is unsafe of all that is asked."""

    def answer(self, reviewer: int, question: Question, now: float, rng: Any) -> tuple[bool, float]:
        asked.append(question)
        return super().answer(reviewer, question, now, rng)


asked: list[Question] = []


@pytest.fixture(autouse=True)
def _nothing_asked_yet() -> None:
    asked.clear()


@pytest.mark.parametrize(
    ("task", "waiting"), [(LavaShortcut, "blocking"), (OpsDesk, "non_blocking")]
)
@pytest.mark.parametrize(
    ("trigger", "fallback"), [(None, Hold()), (RiskAbove(0.1), Correction()), (Audit(0.5), Hold())]
)
def test_running_steps_later_and_together_changes_nothing(
    task: Any, waiting: str, trigger: Any, fallback: Any
) -> None:
    fleet = Fleet(7, 2, Exponential(10.0), waiting, "risk", deadline_seconds=9.0)
    people = FlatReviewers(Exponential(3.0), miss_rate=0.3, false_alarm_rate=0.2)
    runs = [
        simulate(fleet, people, QUARTER, kind(task(7), at_random, trigger, fallback, 5))
        for kind in (LaneWork, Eager)
    ]
    assert runs[0].steps > 300
    assert runs[0].totals == runs[1].totals
    assert len({total for total in runs[0].totals.values()}) > 2
    for name, column in runs[0].requests.items():
        assert column.tobytes() == runs[1].requests[name].tobytes()


def test_agents_act_in_the_lanes_of_their_seeds_whatever_the_others_do() -> None:
    """Each agent does in its steps what a single environment of seed + i does."""
    fleet = Fleet(3, 1, Exponential(10.0))
    run = simulate(
        fleet,
        FlatReviewers(Fixed(1.0)),
        HOUR,
        LaneWork(LavaShortcut(3), at_random, Never(), seed=8),
    )
    alone = [
        simulate(
            Fleet(1, 1, Fixed(3600.0 / steps)), FlatReviewers(Fixed(1.0)), HOUR,
            LaneWork(LavaShortcut(1), at_random, Never(), seed=8 + agent),
        )
        for agent, steps in enumerate(steps_of(fleet))
    ]  # fmt: skip
    assert sum(one.steps for one in alone) == run.steps
    assert sum(one.totals["violations"] for one in alone) == run.totals["violations"] > 0
    assert sum(one.totals["task_return"] for one in alone) == pytest.approx(
        run.totals["task_return"]
    )


def steps_of(fleet: Fleet) -> list[int]:
    """Steps of each agent, who thinks for the same times when every proposal is a request."""
    requests = simulate(fleet, FlatReviewers(Fixed(0.0)), HOUR).requests
    return [int((requests["agent"] == agent).sum()) for agent in range(fleet.agents)]


@pytest.mark.parametrize("fallback", [Hold(), Correction(), SafestAction()])
def test_a_perfect_gate_lets_nothing_happen(fallback: Any) -> None:
    for waiting in ("blocking", "non_blocking"):
        work = LaneWork(LavaShortcut(10), at_random, None, fallback, executes_late=False)
        run = simulate(Fleet(10, 4, Exponential(10.0), waiting), Noting(Fixed(1.0)), HOUR, work)
        assert sum(question.unsafe for question in asked) > 50
        assert run.totals["violations"] == run.totals["stale_approvals"] == 0


def test_what_reviewers_miss_is_binomial() -> None:
    work = LaneWork(OpsDesk(20), always(FAST), None, Correction())
    run = simulate(Fleet(20, 9, Fixed(5.0)), Noting(Fixed(1.0), miss_rate=0.2), HOUR, work)
    unsafe = sum(question.unsafe for question in asked)
    assert unsafe > 800
    assert binomtest(int(run.totals["violations"]), unsafe, 0.2).pvalue > ALPHA


def test_who_is_not_asked_does_not_answer() -> None:
    work = LaneWork(OpsDesk(20), always(FAST), Audit(0.3))
    run = simulate(Fleet(20, 9, Fixed(5.0)), FlatReviewers(Fixed(1.0)), HOUR, work)
    assert binomtest(len(run.requests["wait"]), run.steps, 0.3).pvalue > ALPHA
    assert run.totals["violations"] > 0


def test_what_was_approved_late_takes_the_next_step() -> None:
    """SAFE is always approved a second later: all steps run it but each agent's first."""
    fleet, people = Fleet(4, 4, Fixed(10.0), "non_blocking"), FlatReviewers(Fixed(1.0))
    for period, first in ((HOUR, 4), (Period(3600.0, 600.0), 0)):
        run = simulate(fleet, people, period, LaneWork(OpsDesk(4, LONG), always(SAFE)))
        assert run.steps == 4 * period.seconds / 10.0
        assert run.totals["stale_approvals"] == run.steps - first
    late = LaneWork(OpsDesk(4, LONG), always(SAFE), executes_late=False)
    discarded = simulate(fleet, people, HOUR, late)
    assert discarded.totals["stale_approvals"] == 0
    idle = simulate(fleet, people, HOUR, LaneWork(OpsDesk(4, LONG), always(HOLD)))
    assert discarded.totals["task_return"] == idle.totals["task_return"]  # only Hold ran


class Remembering:
    """A trigger with a memory that hears of new episodes."""

    def __call__(self, proposals: Any) -> Any:
        proposals.memory(self)
        return np.ones(len(proposals), np.bool_)

    def start(self, num_lanes: int) -> FloatArray:
        return np.zeros(num_lanes)

    def begin(self, begun: FloatArray, mask: Any) -> None:
        begun += mask
        heard[:] = begun.tolist()


heard: list[float] = []


def test_oversight_hears_of_new_episodes() -> None:
    lanes = OpsDesk(3, max_episode_steps=20)
    simulate(
        Fleet(3, 3, Fixed(10.0)), FlatReviewers(Fixed(0.0)), HOUR,
        LaneWork(lanes, always(SAFE), Remembering()),
    )  # fmt: skip
    assert heard == lanes.episode.tolist() == [18, 18, 18]


def test_an_approval_does_not_outlive_its_episode() -> None:
    work = LaneWork(OpsDesk(1, max_episode_steps=2), always(SAFE))
    fleet = Fleet(1, 1, Fixed(10.0), "non_blocking")
    run = simulate(fleet, FlatReviewers(Fixed(1.0)), HOUR, work)
    assert run.totals["stale_approvals"] == run.steps / 2  # of two steps the first falls back


def test_a_refusal_that_halts_ends_the_episode_without_a_step() -> None:
    lanes = OpsDesk(2, LONG)
    work = LaneWork(lanes, always(SAFE), None, Halt())
    people = FlatReviewers(Fixed(0.0), false_alarm_rate=1.0)
    run = simulate(Fleet(2, 2, Fixed(10.0)), people, HOUR, work)
    assert run.totals["task_return"] == 0.0
    assert lanes.episode.tolist() == [360, 360]


def test_the_task_hears_of_refusals_but_not_of_silence() -> None:
    class Hearing(OpsDesk):
        def note_refusals(self, refused: Any) -> None:
            refusals.append(int(refused.sum()))

    people = FlatReviewers(Fixed(1.0), false_alarm_rate=0.5)
    for waiting in ("blocking", "non_blocking"):
        refusals: list[int] = []
        work = LaneWork(Hearing(3), always(SAFE))
        run = simulate(Fleet(3, 3, Exponential(10.0), waiting), people, HOUR, work)
        refused = int((run.requests["ending"] == 1).sum())
        assert refused > 100
        assert sum(refusals) == (refused if waiting == "blocking" else 0)


def test_the_riskiest_come_first_by_what_the_agent_could_know() -> None:
    lanes = OpsDesk(30)
    work = LaneWork(lanes, always(FAST), seed=2)
    question = work.propose(7)
    assert question is not None
    estimated = lanes.risk_of("estimated", np.full(30, FAST))
    assert estimated is not None
    assert question.risk == estimated[7]
    assert question.unsafe in (True, False)
    work.execute(7, PROPOSED, True)
    work.execute(8, WITHHELD, False)
    assert work.finish()["task_return"] != 0.0


class Learner:
    """A trigger that wants to see how every step went."""

    def __call__(self, proposals: Any) -> Any:
        return np.ones(len(proposals), np.bool_)

    def see(self, state: Any, record: Any) -> None:
        raise AssertionError("nobody calls this")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"trigger": ConfidenceBelow(0.5)}, "the policy's probabilities are not known here"),
        ({"trigger": lambda proposals: np.zeros(3)}, "must answer 5 booleans"),
        ({"trigger": Learner()}, "Learner looks at every step of all lanes together"),
    ],
)
def test_what_cannot_run_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        LaneWork(OpsDesk(5), at_random, **arguments)
