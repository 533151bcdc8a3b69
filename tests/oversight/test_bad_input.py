"""Bad input is answered by one clear line: what was given, what is allowed, the nearest name."""

import re
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from looplab.agents.lanes_vec_env import LanesVecEnv
from looplab.envs.errors import EnvironmentFault, UsageError
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.oversight import (
    Adaptive,
    AllOf,
    Audit,
    Autonomous,
    Behind,
    Budget,
    Cells,
    Chow,
    Comparisons,
    ConfidenceBelow,
    Cusum,
    Feedback,
    Gate,
    Learned,
    NextBest,
    Overseen,
    OverseenVecEnv,
    Revision,
    RiskAbove,
    Rotation,
    SafestAction,
    ScoreAbove,
    ScriptedOverseer,
    Shared,
    Signal,
    SimulatedHuman,
    Stack,
    Verdicts,
    Veto,
    VetoWindow,
)
from looplab.oversight.triggers import describe

GO, CREEP, WAIT = range(3)
FIELD = [0.0] * 20
INFINITE = float("inf")


def said(make: Callable[[], Any], kind: type[Exception] = UsageError) -> str:
    """The one line with which something is refused."""
    with pytest.raises(kind) as caught:
        make()
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 300
    return text


def lava(protocol: Any, **settings: Any) -> Overseen:
    env = Overseen(gym.make("looplab/LavaShortcut-v0"), protocol, **settings)
    env.reset(seed=0)
    return env


# Settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Gate(world="runing"), ["unknown world 'runing'", "did you mean 'running'?"]),
        (lambda: Gate(timeout="opened"), ["unknown timeout", "'open'", "closed, open"]),
        (lambda: Gate(step_seconds=0.0), ["step_seconds must be a number"]),
        (lambda: Gate(deadline_seconds=-1.0), ["deadline_seconds must be a number at least 0"]),
        (lambda: Veto(lag=-1), ["lag must be a whole number of at least 0, got -1"]),
        (lambda: Veto(lag=1.5), ["lag must be a whole number"]),  # type: ignore[arg-type]
        (lambda: Veto(vigilance=1.2), ["vigilance must be a number in [0, 1], got 1.2"]),
        (lambda: Veto(override=0), ["override must be a whole number of at least 1"]),
        (lambda: Veto(watch_seconds=-1.0), ["watch_seconds must be a number at least 0"]),
        (lambda: VetoWindow(window=-1), ["window must be a whole number of at least 0"]),
        (lambda: VetoWindow(vigilance=-0.1), ["vigilance must be a number in [0, 1]"]),
        (lambda: VetoWindow(window_seconds=-1.0), ["window_seconds must be a number"]),
        (lambda: Audit(1.1), ["probability must be a number in [0, 1], got 1.1"]),
        (lambda: RiskAbove(float("nan")), ["tau must be a number in [0, 1], got nan"]),
        (lambda: RiskAbove(0.1, "exakt"), ["unknown risk source 'exakt'", "'exact'"]),
        (lambda: ConfidenceBelow(-0.1), ["tau must be a number in [0, 1], got -0.1"]),
    ],
)
def test_settings(make: Callable[[], Any], words: list[str]) -> None:
    text = said(make)
    for word in words:
        assert word in text


# What is put together ---------------------------------------------------------------------------


def test_parts_that_are_no_parts() -> None:
    task = "looplab/LavaShortcut-v0"
    assert said(lambda: Overseen(gym.make(task), Gate)) == (
        "Gate is a class; pass an object, Gate(...)"
    )
    assert "must be callable, got 'gate'" in said(lambda: Overseen(gym.make(task), "gate"))
    assert "must be callable, got 0.5" in said(lambda: Overseen(gym.make(task), Gate(trigger=0.5)))
    assert "Audit is a class" in said(lambda: Overseen(gym.make(task), Gate(trigger=AllOf(Audit))))
    assert "must be callable, got 'penalty'" in said(
        lambda: Overseen(gym.make(task), Gate(), signal="penalty")
    )


def test_environments_that_a_face_does_not_take() -> None:
    one, lanes = gym.make("CliffWalking-v1"), gym.make_vec("looplab/LavaShortcut-v0", 2)
    assert "use OverseenVecEnv" in said(lambda: Overseen(lanes, Gate()))
    assert "use Overseen" in said(lambda: OverseenVecEnv(one, Gate()))
    native = LanesVecEnv(LavaShortcut(2))
    assert "put VecMonitor outside of OverseenVecEnv" in said(
        lambda: OverseenVecEnv(VecMonitor(native), Gate())
    )
    assert said(lambda: OverseenVecEnv(native, Gate(), cost=lambda t: 0.0)) == (
        "LavaShortcut knows its own cost"
    )
    assert "unknown infos 'ful'; did you mean 'full'?" in said(
        lambda: OverseenVecEnv(native, Gate(), infos="ful")
    )


class Spaces(gym.Env[Any, Any]):
    """An environment of chosen spaces that does nothing."""

    def __init__(self, action_space: Any, observation_space: Any = None) -> None:
        self.action_space = action_space
        self.observation_space = observation_space or gym.spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> Any:
        return self.observation_space.sample(), 0.0, False, False, {"cost": 0.0}


def test_action_spaces_that_are_not_supported() -> None:
    pair = gym.spaces.Discrete(2)
    for space in (
        gym.spaces.MultiDiscrete([2, 2]), gym.spaces.Dict(a=pair), gym.spaces.Tuple([pair, pair]),
    ):  # fmt: skip
        for protocol in (Gate(), Autonomous()):
            line = said(lambda s=space, p=protocol: Overseen(Spaces(s), p))
            assert line == f"only Discrete and Box action spaces are supported, got {space}"
    venv = DummyVecEnv([lambda: Spaces(gym.spaces.MultiDiscrete([2, 2]))])
    assert "only Discrete and Box action spaces" in said(lambda: OverseenVecEnv(venv, Gate()))
    shifted = gym.spaces.Discrete(3, start=1)
    assert "must count from 0" in said(lambda: Overseen(Spaces(shifted), Autonomous()))


def test_continuous_actions_have_no_table_of_risks() -> None:
    box = Spaces(gym.spaces.Box(-1, 1, (2,), np.float32))
    text = said(lambda: Overseen(box, Gate(fallback=SafestAction()), risk=lambda e, a: 0.0))
    assert text == "SafestAction: needs the risk of every action, so a Discrete action space"


def test_continuous_actions_are_overseen_too() -> None:
    env = Overseen(
        Spaces(gym.spaces.Box(-1, 1, (2,), np.float32)),
        Gate(),
        risk=lambda env, action: float(action[0] > 0),
    )
    env.reset(seed=0)
    kept = env.step(np.array([-0.5, 0.5], np.float32))[4]["oversight"]
    np.testing.assert_array_equal(kept["executed_action"], np.array([-0.5, 0.5], np.float32))
    held = env.step(np.array([0.5, 0.5], np.float32))[4]["oversight"]
    np.testing.assert_array_equal(held["executed_action"], np.zeros(2, np.float32))
    assert held["intervened"]
    assert not kept["intervened"]


def test_observations_that_sb3_could_not_stack() -> None:
    space = gym.spaces.Dict({"seen": gym.spaces.Discrete(2)})
    venv = OverseenVecEnv(
        DummyVecEnv([lambda: Spaces(gym.spaces.Discrete(2), space)]), Autonomous()
    )
    assert "needs array observations; flatten Dict and Tuple ones" in said(venv.reset)


@pytest.mark.parametrize(
    "space",
    [
        gym.spaces.Tuple([gym.spaces.Discrete(2), gym.spaces.Discrete(3)]),
        gym.spaces.Graph(gym.spaces.Box(-1, 1, (2,)), gym.spaces.Discrete(3)),
        gym.spaces.Sequence(gym.spaces.Discrete(3)),
        gym.spaces.Text(5),
        gym.spaces.MultiBinary(3),
    ],
    ids=lambda space: type(space).__name__,
)
def test_observations_of_every_kind_come_back_as_they_were(space: Any) -> None:
    env = Overseen(Spaces(gym.spaces.Discrete(2), space), Autonomous())
    assert space.contains(env.reset(seed=0)[0])
    assert space.contains(env.step(1)[0])


class Grows(Spaces):
    """From the second step on, an observation has one number too many."""

    def __init__(self, first: int = 2, later: int = 3) -> None:
        super().__init__(gym.spaces.Discrete(2), gym.spaces.Box(-1, 1, (2,), np.float32))
        self.first, self.later, self.steps = first, later, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.steps = 0
        return np.zeros(self.first, np.float32), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        seen = np.zeros(2 if self.steps < 2 else self.later, np.float32)
        return seen, 0.0, False, False, {"cost": 0.0}


def test_an_observation_of_another_shape_is_a_fault_with_lane_and_step() -> None:
    env = Overseen(Grows(), Autonomous())
    env.reset(seed=0)
    env.step(0)
    assert said(lambda: env.step(0), EnvironmentFault) == (
        "the environment returned an observation of shape (3,), not (2,), in lane 0 at step 2 "
        "of episode 0"
    )
    assert "shape (4,), not (2,), in lane 0 at step 0 of episode 0" in said(
        lambda: Overseen(Grows(4), Autonomous()).reset(seed=0), EnvironmentFault
    )


def test_an_observation_of_another_shape_is_a_fault_in_lanes_too() -> None:
    venv = OverseenVecEnv(DummyVecEnv([lambda: Grows(later=2), Grows]), Autonomous())
    venv.reset()
    venv.step(np.zeros(2, np.int64))
    assert said(lambda: venv.step(np.zeros(2, np.int64)), EnvironmentFault) == (
        "the environment returned an observation of shape (3,), not (2,), in lane 1 at step 2 "
        "of episode 0"
    )
    first = OverseenVecEnv(DummyVecEnv([lambda: Grows(4)]), Autonomous())
    assert "(4,), not (2,), in lane 0 at step 0" in said(first.reset, EnvironmentFault)


def test_a_fault_within_an_environment_keeps_its_trace() -> None:
    class Raises(Grows):
        def step(self, action: Any) -> Any:
            raise ValueError("its own")

    venv = OverseenVecEnv(DummyVecEnv([Raises]), Autonomous())
    venv.reset()
    with pytest.raises(ValueError, match=r"^its own$"):
        venv.step(np.zeros(1, np.int64))


def test_structured_observations_are_fine_alone() -> None:
    space = gym.spaces.Dict({"seen": gym.spaces.Discrete(2)})
    env = Overseen(Spaces(gym.spaces.Discrete(2), space), Autonomous())
    assert set(env.reset(seed=0)[0]) == {"seen"}
    assert set(env.step(1)[0]) == {"seen"}


# What is proposed -------------------------------------------------------------------------------


@pytest.mark.parametrize("action", [5, -1, 1.0, True, [0, 1]])
def test_proposals_outside_the_action_space(action: Any) -> None:
    env = lava(Gate())
    said(lambda: env.step(action))
    assert env.oversight.totals["steps"] == 0
    env.step(4)
    assert env.oversight.totals["steps"] == 1


def test_a_proposal_that_is_not_in_the_space_is_named_with_its_lane() -> None:
    venv = OverseenVecEnv(LanesVecEnv(LavaShortcut(3)), Gate())
    venv.reset()
    assert said(lambda: venv.step(np.array([0, 1, 7]))) == "action 7 of lane 2 is not in 0..4"


# What plain functions answer --------------------------------------------------------------------


@pytest.mark.parametrize("answer", [None, 1, "yes", [1], [True, False], [True] * 3, np.ones(2)])
def test_triggers_that_answer_something_else(corridor: Any, start: Any, answer: Any) -> None:
    def asks(proposals: Any) -> Any:
        return answer

    run = start(corridor(2, harm=FIELD), Gate(trigger=asks))
    if isinstance(answer, list) and answer == [True, False]:
        assert run.play([GO]).totals["reviews"] == 1  # a list of booleans will do
    else:
        assert "trigger asks must answer 2 booleans" in said(lambda: run.step(GO))


def verdicts(**changes: Any) -> Verdicts:
    """Verdicts of two lanes, well formed but for the changes."""
    given: dict[str, Any] = {
        "code": np.zeros(2, np.int8), "seconds": np.zeros(2), "reason": np.zeros(2, np.int64),
        "reasons": ("fine",), "overseer": "someone",
    }  # fmt: skip
    return Verdicts(**(given | changes))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "must answer Verdicts, or 2 verdicts by name (approve, modify"),
        (3, "must answer Verdicts, or 2 verdicts by name"),
        ([True], "must answer Verdicts, or 2 verdicts by name"),
        ([True] * 300, "must answer Verdicts, or 2 verdicts by name"),
        (["approve", "rejekt"], "unknown verdict 'rejekt'; did you mean 'reject'?"),
        ([1, 0], "unknown verdict '1'"),
        (verdicts(code=np.zeros(3, np.int8)), "code must be 2 whole numbers"),
        (verdicts(code=np.array([0.0, 2.0])), "code must be 2 whole numbers"),
        (verdicts(code=np.array([0, 5])), "code must lie in 0..4, got [0, 5]"),
        (verdicts(code=np.array([-1, 0])), "code must lie in 0..4, got [-1, 0]"),
        (verdicts(reason=np.array([0, 1])), "reason must lie in 0..0, got [0, 1]"),
        (verdicts(reason=np.array([True, False])), "reason must be 2 whole numbers"),
        (verdicts(seconds=np.array([1.0, -1.0])), "seconds must be 2 finite numbers"),
        (verdicts(seconds=float("nan")), "seconds must be 2 finite numbers"),
        (verdicts(seconds=float("inf")), "seconds must be 2 finite numbers"),
        (verdicts(seconds=np.zeros(3)), "seconds must be 2 finite numbers"),
        (
            verdicts(code=np.array([1, 1]), correction=np.array([0, 9])),
            "overseer someone: action 9 of lane 1 is not in 0..2",
        ),
        (
            verdicts(code=np.array([1, 1]), correction=np.array([0.5, 0.5])),
            "overseer someone must answer 2 actions of Discrete(3)",
        ),
    ],
)
@pytest.mark.parametrize(
    "protocol", [Gate, Veto, VetoWindow, Feedback, lambda overseer: Veto(overseer, lag=0)]
)
def test_overseers_that_answer_something_else(
    corridor: Any, start: Any, protocol: Any, answer: Any, words: str
) -> None:
    def judge(proposals: Any) -> Any:
        return answer

    corrects = "actions" in words or "action" in words
    if corrects and (protocol is Veto or protocol is Feedback):
        return  # who rates or reacts late has no use for the correction
    run = start(corridor(2, harm=FIELD), protocol(overseer=judge))
    text = said(lambda: run.play([GO, GO]))
    assert words in text
    assert "verdict '" in text or "overseer judge" in text or "overseer someone" in text


@pytest.mark.parametrize(
    "code", [[0, 2], (0, 2), np.array([0, 2]), np.array([0, 2], dtype=np.uint8)]
)
def test_verdicts_may_hold_any_whole_numbers(corridor: Any, start: Any, code: Any) -> None:
    answer = verdicts(code=code, reason=[0, 0], seconds=2)
    run = start(corridor(2, harm=FIELD), Gate(overseer=lambda proposals: answer)).play([GO])
    assert run.verdicts(0) + run.verdicts(1) == ["approve", "reject"]
    assert run.column("executed", 0) + run.column("executed", 1) == [GO, WAIT]


def test_an_overseers_own_verdicts_are_never_written_into(corridor: Any, start: Any) -> None:
    from looplab.oversight import Correction

    answer = verdicts(code=np.array([0, 2], np.int8), seconds=np.array([9.0, 1.0]))
    gate = Gate(overseer=lambda p: answer, fallback=Correction(), deadline_seconds=5.0)
    window = VetoWindow(overseer=lambda p: answer, vigilance=0.5, window=0, fallback=Correction())
    for protocol in (gate, window, Veto(overseer=lambda p: answer)):
        start(corridor(2, harm=FIELD), protocol).play([GO] * 5)
        assert answer.code.tolist() == [0, 2]
        assert np.asarray(answer.seconds).tolist() == [9.0, 1.0]
        assert answer.reasons == ("fine",)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "must answer 2 actions of Discrete(3), got None"),
        (WAIT, "must answer 2 actions of Discrete(3), got 2"),
        (np.array([0.7, 1.2]), "must answer 2 actions of Discrete(3), got array([0.7, 1.2])"),
        (np.array([0, 1, 2]), "must answer 2 actions of Discrete(3)"),
        (np.array([1, 3]), "action 3 of lane 1 is not in 0..2"),
        (np.array([-1, 1]), "action -1 of lane 0 is not in 0..2"),
    ],
)
def test_fallbacks_that_answer_something_else(
    corridor: Any, start: Any, answer: Any, words: str
) -> None:
    def instead(proposals: Any) -> Any:
        return answer

    gate = Gate(overseer=lambda p: [False] * len(p), fallback=instead)
    text = said(lambda: start(corridor(2, harm=FIELD), gate).step(GO))
    assert "fallback instead" in text
    assert words in text


def test_what_a_fallback_says_of_other_lanes_is_ignored(corridor: Any, start: Any) -> None:
    gate = Gate(overseer=lambda p: [False, True], fallback=lambda p: [CREEP, -99])
    run = start(corridor(2, harm=FIELD), gate).play([GO])
    assert run.column("executed", 0) + run.column("executed", 1) == [CREEP, GO]


@pytest.mark.parametrize("answer", [None, 1.0, np.zeros(3), np.array([0.0, np.nan]), ["a", "b"]])
def test_shapings_that_answer_something_else(corridor: Any, start: Any, answer: Any) -> None:
    def shape(outcome: Any) -> Any:
        return answer

    run = start(corridor(2, harm=FIELD), Gate(), signal=Signal(shaping=shape))
    assert "shaping shape must answer 2 finite numbers" in said(lambda: run.step(GO))


def test_shapings_may_answer_a_list_of_whole_numbers(corridor: Any, start: Any) -> None:
    run = start(corridor(2, harm=FIELD), Gate(), signal=Signal(shaping=lambda o: [1, 2]))
    assert run.step(GO).learning_reward.tolist() == [2.0, 3.0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("executed", np.array([0.5, 0.5])),
        ("executed", np.array([0])),
        ("executed", 7),
        ("halted", np.array([0.5, 0.5])),
        ("seconds", "long"),
    ],
)
def test_protocols_that_leave_something_else(
    corridor: Any, start: Any, name: str, value: Any
) -> None:
    def spoils(proposals: Any, decision: Any) -> None:
        setattr(decision, name, value)

    run = start(corridor(2, harm=FIELD), spoils)
    assert "must leave 2 values of" in said(lambda: run.step(GO))
    assert run.totals["steps"] == 0


def test_protocols_may_replace_arrays(corridor: Any, start: Any) -> None:
    def stops(proposals: Any, decision: Any) -> None:
        decision.executed = np.where(proposals.action == GO, CREEP, proposals.action)
        decision.halted = proposals.action == WAIT
        decision.reviews = decision.reviews + 1
        decision.seconds = np.full(2, 3.0)

    run = start(corridor(2, harm=FIELD), stops).play([(GO, WAIT)])
    assert run.column("executed", 0) == [CREEP]
    assert run.records[0].done.tolist() == [False, True]
    assert run.totals["reviews"] == 2
    assert run.totals["human_seconds"] == 6.0
    assert run.totals["interventions"] == 2


def test_protocols_that_choose_no_action_of_the_space() -> None:
    def leaps(proposals: Any, decision: Any) -> None:
        decision.executed[:] = 9

    env = Overseen(gym.make("CliffWalking-v1"), leaps, cost=lambda t: 0.0)
    env.reset(seed=0)
    assert said(lambda: env.step(0)) == "action 9 of lane 0 is not in 0..3"


def test_protocols_of_another_shape() -> None:
    env = lava(Stack(Gate(), Autonomous()))
    env.step(0)
    with pytest.raises(TypeError):
        lava(lambda proposals: None).step(0)  # a fault of the user's code keeps its own trace


# What environments do not say -------------------------------------------------------------------


def test_an_environment_without_cost() -> None:
    env = Overseen(gym.make("CliffWalking-v1"), Autonomous())
    env.reset(seed=0)
    text = said(lambda: env.step(0), EnvironmentFault)
    assert text == (
        "CliffWalking-v1 reports no info['cost']; pass cost=, a function of a transition"
    )
    venv = OverseenVecEnv(DummyVecEnv([lambda: gym.make("CliffWalking-v1")]), Autonomous())
    venv.reset()
    text = said(lambda: venv.step(np.array([0])), EnvironmentFault)
    assert text == "lane 0 reports no info['cost']; pass cost=, a function of a transition"


@pytest.mark.parametrize("risk", [1.5, -0.1, float("nan")])
def test_a_risk_that_is_no_probability(risk: float) -> None:
    env = Overseen(
        gym.make("CliffWalking-v1"),
        Gate(fallback=SafestAction()),
        cost=lambda t: 0.0,
        risk=lambda env, action: risk,
    )
    env.reset(seed=0)
    assert "risk= must return a probability, got" in said(lambda: env.step(0))


@pytest.mark.parametrize(
    "chances", [[0.5, 0.5], [0.2] * 5 + [0.0], [0.5] * 5, [[0.2] * 4], [-1.0, 2.0, 0.0, 0.0, 0.0]]
)
def test_a_policy_that_gives_no_probabilities(chances: Any) -> None:
    env = lava(Gate(trigger=ConfidenceBelow(0.5)), policy=lambda seen: np.array(chances))
    assert said(lambda: env.step(0)) == ("policy= must return 5 probabilities that sum to 1")


def test_a_policy_function_is_asked_about_the_state_before_the_step() -> None:
    seen: list[int] = []

    def policy(observation: Any) -> Any:
        seen.append(int(observation.argmax()))
        return np.array([0.1, 0.2, 0.0, 0.6, 0.1])

    env = lava(Gate(fallback=NextBest()), policy=policy)
    for action in (0, 0, 0):
        before = int(env.unwrapped.lanes.observation[0].argmax())
        env.step(action)
        assert seen == [before]
        record = env.oversight.last
        assert record is not None
        assert record.policy is not None
        assert record.policy.confidence.tolist() == [0.1]
        seen.clear()


@pytest.mark.parametrize(
    "make",
    [
        lambda: ScriptedOverseer(review_seconds=float("inf")),
        lambda: Signal(penalty=float("inf")),
        lambda: Signal(beta=float("inf")),
        lambda: Gate(step_seconds=INFINITE),
        lambda: Gate(deadline_seconds=INFINITE),
        lambda: Veto(step_seconds=INFINITE),
        lambda: Veto(watch_seconds=INFINITE),
        lambda: VetoWindow(window_seconds=INFINITE),
        lambda: VetoWindow(step_seconds=INFINITE),
        lambda: VetoWindow(watch_seconds=INFINITE),
        lambda: SimulatedHuman(step_seconds=INFINITE),
        lambda: Behind(step_seconds=INFINITE),
        lambda: Adaptive(budget_seconds=INFINITE),
        lambda: Comparisons(review_seconds=INFINITE),
        lambda: Comparisons(cost_weight=INFINITE),
        lambda: Shared(ScriptedOverseer(), step_seconds=INFINITE),
        lambda: Rotation([ScriptedOverseer()] * 2, shift_seconds=INFINITE),
        lambda: Rotation([ScriptedOverseer()] * 2, shift_steps=1, handover_seconds=INFINITE),
        lambda: Budget(share=0.1, step_seconds=INFINITE),
        lambda: Budget(share=0.1, gain=INFINITE),
        lambda: Budget(total=INFINITE),
        lambda: Chow(violation_cost=INFINITE),
        lambda: Learned(optimism=INFINITE),
        lambda: Learned(prior=INFINITE),
        lambda: Cells(width=INFINITE),
        lambda: Revision(seconds=INFINITE),
        lambda: Cusum(reference=INFINITE, threshold=1.0),
    ],
)
def test_infinite_time_and_reward_are_refused(make: Callable[[], Any]) -> None:
    assert re.search(r"must be a finite number.*, got inf$", said(make))


def test_numpy_s_numbers_are_taken() -> None:
    assert Veto(lag=np.int64(2), override=np.int32(3)).lag == 2  # type: ignore[arg-type]
    assert describe(Audit(np.float32(0.5))) == "audit 0.5"
    assert Gate(step_seconds=np.float64(2.0)).step_seconds == 2.0


def test_a_window_of_any_length_is_whole_steps() -> None:
    assert VetoWindow(window_seconds=2.5).window == 3
    assert VetoWindow(window_seconds=1e300).window > 10**15


def test_a_missing_risk_is_answered_with_those_that_there_are() -> None:
    env = gym.make("CartPole-v1")
    gate = Gate(trigger=RiskAbove(0.1, source="exact"), fallback=SafestAction())
    line = said(lambda: Overseen(env, gate, cost=lambda t: 0.0, risk=lambda env, action: 0.0))
    assert line == "RiskAbove: needs the exact risk, and the environment offers: immediate"


def test_parts_that_do_not_describe_themselves_are_named_by_their_class() -> None:
    assert describe(SafestAction()) == "SafestAction"
    assert describe(Audit(0.5)) == "audit 0.5"


def test_a_score_that_is_no_number_asks_nobody_and_is_refused() -> None:
    env = lava(Gate(ScoreAbove(lambda proposals: np.full(len(proposals), np.nan), 0.5)))
    assert "must answer numbers, got array([nan])" in said(lambda: env.step(GO))


def test_answers_whose_rows_differ_in_length_are_refused() -> None:
    env = lava(Gate(lambda proposals: [[True], [True, False]]))
    assert "must answer 1 booleans" in said(lambda: env.step(GO))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("overdue", ["late"], "overdue must hold 1 booleans"),
        ("rating", ["bad"], "rating must hold 1 numbers"),
        ("disagreement", [np.nan], "disagreement must be finite"),
    ],
)
def test_columns_of_verdicts_of_the_wrong_kind_are_refused(
    name: str, value: list[Any], words: str
) -> None:
    def answers(proposals: Any) -> Verdicts:
        nothing = np.zeros(1, np.int8)
        return Verdicts(nothing, 1.0, nothing, ("x",), "somebody", **{name: np.array(value)})

    env = lava(Gate(overseer=answers))
    assert words in said(lambda: env.step(GO))
