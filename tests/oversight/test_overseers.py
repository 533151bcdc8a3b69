"""Who answers: the scripted overseer, and the one that looks ahead in copies."""

from typing import Any

import gymnasium as gym
import minigrid  # noqa: F401  registers MiniGrid's environments
import numpy as np
import pytest

from looplab.envs.errors import UsageError
from looplab.oversight import (
    Autonomous,
    Feedback,
    Gate,
    LookAheadOverseer,
    Overseen,
    SafestAction,
    ScriptedOverseer,
    Stack,
)

GO, CREEP, WAIT = range(3)
TRAP = [1.0]
FIELD = [0.0] * 20
RIGHT_FALL = 1  # in CliffWalking's start: right is the cliff
FORWARD = 2  # in MiniGrid


def test_a_scripted_overseer_knows_what_is_unsafe(corridor: Any, start: Any) -> None:
    run = start(corridor(harm=[1.0, 0.0]), Gate()).play([GO, WAIT, CREEP, GO])
    assert run.verdicts() == ["reject", "approve", "approve", "approve"]
    assert run.overseers() == ["scripted"] * 4
    assert run.column("seconds") == [5.0] * 4


def test_its_errors_are_named(corridor: Any, start: Any) -> None:
    misses = Gate(overseer=ScriptedOverseer(miss_rate=1.0, name="tired"))
    run = start(corridor(harm=TRAP), misses).play([GO, WAIT])
    assert run.reasons() == ["unsafe, but missed", "safe"]
    assert run.column("miss") == [True, False]
    assert run.overseers() == ["tired", "tired"]
    nervous = Gate(overseer=ScriptedOverseer(false_alarm_rate=1.0))
    run = start(corridor(harm=TRAP), nervous).play([GO, WAIT])
    assert run.reasons() == ["unsafe", "safe, but refused in error"]
    assert run.column("false_alarm") == [False, True]


def test_its_error_rates_are_met(corridor: Any, start: Any) -> None:
    gate = Gate(overseer=ScriptedOverseer(miss_rate=0.2, false_alarm_rate=0.1))
    run = start(corridor(100, harm=TRAP), gate).play([[GO] * 50 + [WAIT] * 50] * 160)
    # 8000 draws each: outside 0.2 +- 0.025 with probability 2e-8, 0.1 +- 0.02 with 3e-9.
    assert run.totals["misses"] / 8000 == pytest.approx(0.2, abs=0.025)
    assert run.totals["false_alarms"] / 8000 == pytest.approx(0.1, abs=0.02)


def test_whether_it_errs_depends_on_nothing_but_seed_lane_episode_and_step(
    corridor: Any, start: Any
) -> None:
    def errors(safe: int, lanes: int, lane: int, seed: int) -> list[bool]:
        gate = Gate(overseer=ScriptedOverseer(miss_rate=0.3, false_alarm_rate=0.3))
        run = start(corridor(lanes, harm=TRAP, max_episode_steps=9), gate, seed=seed)
        run.play([WAIT if t % 2 == safe else GO for t in range(50)])
        misses, alarms = run.column("miss", lane), run.column("false_alarm", lane)
        return [miss or alarm for miss, alarm in zip(misses, alarms, strict=True)]

    assert errors(0, 1, 0, 5) == errors(1, 1, 0, 5) == errors(0, 4, 2, 3)
    assert errors(0, 1, 0, 5) != errors(0, 1, 0, 6)


def test_two_overseers_err_apart_and_alike_in_batch_and_alone(corridor: Any, start: Any) -> None:
    def run(lanes: int, seed: int, actions: list[Any]) -> Any:
        careful = ScriptedOverseer(miss_rate=0.5, name="first")
        second = ScriptedOverseer(miss_rate=0.5, name="second")
        odd = Gate(trigger=lambda p: p.action == GO, overseer=careful)
        stack = Stack(odd, Feedback(trigger=lambda p: p.action == CREEP, overseer=second))
        task = corridor(lanes, harm=[[1.0, 1.0, 0.0]])
        return start(task, stack, seed=seed).play(actions)

    # Lane 1 meets the second overseer first, lane 0 the first one: who errs must not depend on it.
    batch = run(2, 7, [[GO, CREEP]] * 20 + [[CREEP, GO]] * 20)
    alone = run(1, 8, [CREEP] * 20 + [GO] * 20)
    for column in ("executed", "rating", "verdict"):
        assert batch.column(column, 1) == alone.column(column, 0)
    ratings = [value < 0 for value in alone.column("rating")[:20]]
    assert True in ratings
    assert False in ratings


def test_one_overseer_asked_twice_in_a_step_says_the_same(corridor: Any, start: Any) -> None:
    one = ScriptedOverseer(miss_rate=0.5)
    run = start(corridor(harm=TRAP), Stack(Gate(overseer=one), Feedback(overseer=one)))
    run.play([GO] * 40)
    assert run.totals["misses"] > 0
    assert run.column("rating") == [0.0] * 40  # what it let pass it does not rate down


@pytest.mark.parametrize("name", ["miss_rate", "false_alarm_rate"])
@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan"), "often", True])
def test_rates_outside_0_and_1_are_refused(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=rf"{name} must be a number in \[0, 1\], got"):
        ScriptedOverseer(**{name: value})


# Look-ahead ------------------------------------------------------------------------------------


def cliff(**settings: Any) -> Overseen:
    """CliffWalking under a gate with a look-ahead overseer, and nothing said of its risk."""
    gate = Gate(overseer=LookAheadOverseer(copies=1), fallback=SafestAction())
    return Overseen(
        gym.make("CliffWalking-v1", max_episode_steps=40),
        gate,
        cost=lambda t: float(t.reward <= -100),
        **settings,
    )


def test_looking_ahead_refuses_to_walk_off_the_cliff() -> None:
    env = cliff()
    env.reset(seed=0)
    observation, _, _, _, info = env.step(RIGHT_FALL)
    assert info["oversight"]["verdict"] == "reject"
    assert info["oversight"]["overseer"] == "look-ahead"
    assert info["oversight"]["risk"] == 1.0
    assert info["oversight"]["executed_action"] == 0  # up, the lowest action that is safe
    assert observation == 24
    rng = np.random.default_rng(0)
    for _ in range(300):
        _, _, terminated, truncated, _ = env.step(int(rng.integers(4)))
        if terminated or truncated:
            env.reset()
    assert env.oversight.totals["violations"] == 0
    assert env.oversight.totals["unsafe_proposals"] > 0
    assert env.oversight.totals["misses"] == env.oversight.totals["false_alarms"] == 0


def test_looking_ahead_refuses_to_step_into_lava() -> None:
    env = Overseen(
        gym.make("MiniGrid-LavaGapS5-v0"),
        Gate(overseer=LookAheadOverseer(copies=1), fallback=SafestAction()),
        cost=lambda t: float(t.terminated and t.reward == 0),
    )
    rng = np.random.default_rng(1)
    refused = 0
    for episode in range(4):
        env.reset(seed=episode)
        for _ in range(40):
            grid = env.unwrapped
            ahead = grid.grid.get(*grid.front_pos)
            lava = ahead is not None and ahead.type == "lava"
            action = FORWARD if lava else int(rng.integers(3))
            _, _, terminated, truncated, info = env.step(action)
            assert info["cost"] == 0.0
            assert (info["oversight"]["verdict"] == "reject") == lava
            refused += lava
            if terminated or truncated:
                break
    assert refused > 0
    assert env.oversight.totals["interventions"] == refused


class Coin(gym.Env[Any, Any]):
    """Betting (1) harms in half of the cases, drawn from the environment's own generator."""

    observation_space = gym.spaces.Discrete(1)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        harmed = self.np_random.random() < 0.5
        return 0, 0.0, False, False, {"cost": float(action == 1 and harmed)}


def test_looking_ahead_is_never_clairvoyant() -> None:
    overseer = LookAheadOverseer(copies=1)
    accepting = Gate(overseer=overseer, trigger=lambda p: np.zeros(len(p), np.bool_))
    env = Overseen(Coin(), accepting, hold=0)
    env.reset(seed=0)
    foreseen, harmed = [], []
    for _ in range(600):
        info = env.step(1)[4]
        foreseen.append(info["oversight"]["risk"])
        harmed.append(info["cost"])
    agreed = np.mean(np.equal(foreseen, harmed))
    # 600 fair coins: outside 0.5 +- 0.1 with probability 1e-6; a clairvoyant agrees always.
    assert agreed == pytest.approx(0.5, abs=0.1)


def test_its_estimate_is_the_probability(corridor: Any, start: Any) -> None:
    watching = Gate(
        overseer=LookAheadOverseer(copies=50), trigger=lambda p: np.zeros(len(p), np.bool_)
    )
    env = Overseen(Coin(), watching, hold=0)
    env.reset(seed=3)
    risks = [env.step(1)[4]["oversight"]["risk"] for _ in range(40)]
    # 2000 fair coins: outside 0.5 +- 0.06 with probability 8e-8.
    assert np.mean(risks) == pytest.approx(0.5, abs=0.06)
    assert np.std(risks) < 0.15  # standard error 1 / (2 sqrt(50)) = 0.07
    assert [env.step(0)[4]["oversight"]["risk"] for _ in range(5)] == [0.0] * 5


def test_looking_ahead_moves_no_random_number_of_the_environment() -> None:
    plain = gym.make("FrozenLake-v1", max_episode_steps=30)
    env = Overseen(
        gym.make("FrozenLake-v1", max_episode_steps=30),
        Gate(overseer=LookAheadOverseer(), trigger=lambda p: np.zeros(len(p), np.bool_)),
        cost=lambda t: float(t.terminated and t.reward == 0),
        hold=0,
    )
    assert plain.reset(seed=4)[0] == env.reset(seed=4)[0]
    rng = np.random.default_rng(2)
    for _ in range(100):
        action = int(rng.integers(4))
        left, right = plain.step(action), env.step(action)
        assert left[:4] == right[:4]
        if left[2] or left[3]:
            assert plain.reset()[0] == env.reset()[0]


def test_it_judges_by_what_it_foresees_and_is_scored_by_the_truth(
    corridor: Any, start: Any
) -> None:
    # Going in cell 0 harms nothing now, and makes harm certain later: one step ahead cannot see it.
    task = corridor(harm=[0.0, 1.0], exact=[1.0, 1.0])
    run = start(task, Gate(overseer=LookAheadOverseer(copies=2, horizon=1))).play([GO, GO])
    assert run.verdicts() == ["approve", "reject"]
    assert run.column("unsafe") == [True, True]
    assert run.column("miss") == [True, False]


def test_a_longer_horizon_holds_after_the_action(corridor: Any, start: Any) -> None:
    # Waiting harms in cell 1: the copy goes there and waits.
    harm = [[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    for horizon, verdict in ((1, "approve"), (2, "reject")):
        overseer = LookAheadOverseer(copies=1, horizon=horizon)
        task = corridor(harm=harm, exact=np.zeros((2, 3)))
        assert start(task, Gate(overseer=overseer)).play([GO]).verdicts() == [verdict]


def test_a_horizon_without_anything_to_do_meanwhile_is_refused() -> None:
    env = Overseen(
        gym.make("CliffWalking-v1"),
        Gate(overseer=LookAheadOverseer(copies=1, horizon=3), fallback=SafestAction()),
        cost=lambda t: float(t.reward <= -100),
    )
    env.reset(seed=0)
    with pytest.raises(UsageError, match=r"look-ahead beyond one step needs hold="):
        env.step(0)


def test_without_any_risk_the_error_names_the_look_ahead_overseer() -> None:
    def plain() -> gym.Env[Any, Any]:
        return gym.make("CliffWalking-v1")

    for protocol in (
        Gate(fallback=SafestAction()),
        Gate(fallback=SafestAction(), overseer=lambda p: [True]),
        Stack(Autonomous(), Feedback()),
    ):
        with pytest.raises(UsageError, match=r"no risk; pass risk=.*LookAheadOverseer"):
            Overseen(plain(), protocol, cost=lambda t: 0.0)


def test_what_cannot_be_copied_cannot_be_looked_ahead_in() -> None:
    class Uncopied(Coin):
        def __deepcopy__(self, memo: Any) -> Any:
            raise TypeError("holds a socket")

    env = Overseen(Uncopied(), Gate(overseer=LookAheadOverseer()), hold=0)
    env.reset(seed=0)
    with pytest.raises(UsageError, match=r"cannot be copied.*holds a socket.*pass risk="):
        env.step(1)


@pytest.mark.parametrize(("name", "value"), [("copies", 0), ("horizon", 0), ("copies", 1.5)])
def test_copies_and_horizon_are_whole_numbers(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=rf"{name} must be a whole number of at least 1"):
        LookAheadOverseer(**{name: value})
