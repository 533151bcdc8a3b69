"""Both faces give the same trajectories, and neither can be bypassed or applied twice."""

import copy
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    SubprocVecEnv,
    VecEnvWrapper,
    VecMonitor,
)

import looplab
from looplab.agents.lanes_vec_env import LanesVecEnv
from looplab.envs.annotated import Annotated
from looplab.envs.core import Lanes
from looplab.envs.desks.ops_desk import OpsDesk
from looplab.envs.errors import EnvironmentFault, UsageError
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.envs.gym_lanes import GymLanes
from looplab.oversight import (
    AdditiveShaping,
    Always,
    Audit,
    Autonomous,
    Correction,
    Feedback,
    Gate,
    Halt,
    Hold,
    Ledger,
    LookAheadOverseer,
    Overseen,
    OverseenVecEnv,
    PotentialShaping,
    RiskAbove,
    SafestAction,
    ScriptedOverseer,
    Signal,
    Stack,
    Veto,
    VetoWindow,
)

LANES = 3
SEED = 11
STEPS = 120


def erring() -> ScriptedOverseer:
    return ScriptedOverseer(miss_rate=0.3, false_alarm_rate=0.1, review_seconds=2.0)


#: Protocols and signals, made afresh for every face.
REGIMES: dict[str, Callable[[], tuple[Any, Signal]]] = {
    "autonomous": lambda: (Autonomous(), Signal()),
    "in_the_loop": lambda: (Gate(), Signal()),
    "in_the_loop_erring": lambda: (Gate(trigger=Audit(0.5), overseer=erring()), Signal()),
    "in_the_loop_correction": lambda: (Gate(fallback=Correction()), Signal()),
    "in_the_loop_penalty": lambda: (Gate(), Signal(penalty=0.2)),
    "in_the_loop_risk": lambda: (Gate(trigger=RiskAbove(0.05)), Signal(penalty=0.2)),
    "in_the_loop_running": lambda: (Gate(overseer=erring(), world="running"), Signal()),
    "in_the_loop_halt": lambda: (Gate(overseer=erring(), fallback=Halt()), Signal()),
    "on_the_loop": lambda: (Veto(), Signal(penalty=0.1)),
    "on_the_loop_lag_0": lambda: (Veto(lag=0, vigilance=0.7), Signal()),
    "on_the_loop_lag_3": lambda: (Veto(lag=3, vigilance=0.7, overseer=erring()), Signal()),
    "veto_window": lambda: (VetoWindow(), Signal()),
    "feedback": lambda: (Feedback(), Signal()),
    "gate_and_feedback": lambda: (
        Stack(Gate(trigger=Audit(0.5), overseer=erring()), Feedback(overseer=erring())),
        Signal(penalty=0.1, beta=0.5, shaping=AdditiveShaping(0.05)),
    ),
}


def fell(transition: Any) -> float:
    """Harm in Gymnasium's own grids: the cliff, and the holes of the frozen lake."""
    return float(transition.reward <= -100 or (transition.terminated and transition.reward == 0))


def hole(env: Any, action: Any) -> float:
    table = env.unwrapped.P[env.unwrapped.s][action]
    return float(sum(p for p, _, r, done in table if r <= -100 or (done and r == 0)))


def first(env: Any) -> int:
    """Some right action: the first of the least risky."""
    return int(np.argmin([hole(env, action) for action in range(4)]))


NATIVE = {
    "lava": (LavaShortcut, "looplab/LavaShortcut-v0"),
    "desk": (OpsDesk, "looplab/OpsDesk-v0"),
}
FOREIGN = {"cliff": "CliffWalking-v1", "lake": "FrozenLake-v1"}
FUNCTIONS: dict[str, Any] = {"cost": fell, "risk": hole, "hold": 0, "correction": first}


def single(task: str) -> gym.Env[Any, Any]:
    name = FOREIGN.get(task) or NATIVE[task][1]
    return gym.make(name, max_episode_steps=17) if task in FOREIGN else gym.make(name)


def alone(task: str, regime: str, actions: Any, **settings: Any) -> list[list[Any]]:
    """Trajectory of ``Overseen``: per lane and step, what a face gives away."""
    lanes = []
    for lane in range(LANES):
        protocol, signal = REGIMES[regime]()
        given = FUNCTIONS if task in FOREIGN else {}
        env = Overseen(single(task), protocol, signal=signal, **given)
        seen = [np.asarray(env.reset(seed=SEED + lane)[0])]
        for action in actions[:, lane]:
            observation, reward, terminated, truncated, info = env.step(int(action))
            done = terminated or truncated
            final = np.asarray(observation) if done else None
            if done:
                observation = env.reset()[0]
            cut = bool(done and truncated and not terminated)
            seen.append(
                (
                    np.asarray(observation), np.float32(reward), done, final, cut, info["cost"],
                    info["reward"], info["oversight"],
                )
            )  # fmt: skip
        lanes.append(seen)
    return lanes


def batched(venv: Any, actions: Any) -> list[list[Any]]:
    """The same of an ``OverseenVecEnv``."""
    venv.seed(SEED)
    lanes: list[list[Any]] = [[row] for row in venv.reset()]
    for row in actions:
        observations, rewards, dones, infos = venv.step(row)
        for lane, info in enumerate(infos):
            done = bool(dones[lane])
            lanes[lane].append(
                (
                    observations[lane], rewards[lane], done,
                    info["terminal_observation"] if done else None,
                    info["TimeLimit.truncated"] if done else False,
                    info["cost"], info["reward"], info["oversight"],
                )
            )  # fmt: skip
    return lanes


def assert_same(left: list[list[Any]], right: list[list[Any]], single_precision: bool) -> None:
    """Element by element; SB3's own VecEnvs hand rewards on in single precision."""

    def near(reward: Any) -> Any:
        loose = single_precision and isinstance(reward, float | np.floating)
        return pytest.approx(reward, rel=1e-6, abs=1e-7) if loose else reward

    for lane, (ours, theirs) in enumerate(zip(left, right, strict=True)):
        np.testing.assert_array_equal(ours[0], theirs[0])
        for step, (mine, other) in enumerate(zip(ours[1:], theirs[1:], strict=True)):
            where = f"lane {lane}, step {step}"
            np.testing.assert_array_equal(mine[0], other[0], where)
            assert mine[1] == near(other[1]), where
            assert mine[2] == other[2], where
            if mine[2]:
                np.testing.assert_array_equal(mine[3], other[3], where)
            assert mine[4:6] == other[4:6], where
            assert mine[6] == near(other[6]), where
            assert mine[7] == {k: near(v) for k, v in other[7].items()}, where


def native_vec(task: str, regime: str) -> OverseenVecEnv:
    protocol, signal = REGIMES[regime]()
    lanes: Lanes = NATIVE[task][0](LANES)
    return OverseenVecEnv(LanesVecEnv(lanes), protocol, signal=signal, infos="full")


def dummy_vec(task: str, regime: str) -> OverseenVecEnv:
    protocol, signal = REGIMES[regime]()
    venv = DummyVecEnv([lambda: single(task)] * LANES)
    given = FUNCTIONS if task in FOREIGN else {}
    return OverseenVecEnv(venv, protocol, signal=signal, infos="full", **given)


def proposals(task: str) -> Any:
    count = 5 if task == "lava" else 4
    return np.random.default_rng(5).integers(0, count, (STEPS, LANES))


# Lockstep --------------------------------------------------------------------------------------


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("task", NATIVE)
def test_the_faces_agree_on_native_tasks(task: str, regime: str) -> None:
    actions = proposals(task)
    expected = alone(task, regime, actions)
    assert_same(batched(native_vec(task, regime), actions), expected, single_precision=False)
    assert_same(batched(dummy_vec(task, regime), actions), expected, single_precision=True)


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("task", FOREIGN)
def test_the_faces_agree_on_environments_that_others_wrote(task: str, regime: str) -> None:
    actions = proposals(task)
    expected = alone(task, regime, actions)
    assert_same(batched(dummy_vec(task, regime), actions), expected, single_precision=True)
    protocol, signal = REGIMES[regime]()
    lanes = GymLanes([Annotated(single(task), **FUNCTIONS) for _ in range(LANES)])
    venv = OverseenVecEnv(LanesVecEnv(lanes), protocol, signal=signal, infos="full")
    assert_same(batched(venv, actions), expected, single_precision=False)


def test_every_episode_of_every_regime_can_end_and_be_stopped() -> None:
    """The trajectories that are compared hold ends, stops, refusals and harm."""
    found = [
        step
        for task, regime in (("lava", "in_the_loop_halt"), ("lake", "on_the_loop_lag_3"))
        for lane in alone(task, regime, proposals(task))
        for step in lane[1:]
    ]
    assert any(step[7]["halted"] and step[4] for step in found)
    assert any(step[2] and not step[4] for step in found)
    assert any(step[5] > 0 for step in found)
    assert any(step[7]["late"] for step in found)


def test_subprocesses_agree_too() -> None:
    actions = proposals("lava")[:60]
    protocol, signal = REGIMES["in_the_loop_halt"]()
    venv = OverseenVecEnv(
        SubprocVecEnv([partial(gym.make, "looplab:looplab/LavaShortcut-v0")] * LANES),
        protocol,
        signal=signal,
        infos="full",
    )
    try:
        expected = alone("lava", "in_the_loop_halt", actions)
        assert_same(batched(venv, actions), expected, single_precision=True)
    finally:
        venv.close()


def test_subprocesses_without_privileged_knowledge_can_be_watched() -> None:
    venv = OverseenVecEnv(
        SubprocVecEnv([partial(gym.make, "CliffWalking-v1")] * 2), Autonomous(), cost=fell
    )
    try:
        venv.seed(0)
        venv.reset()
        rewards = venv.step(np.array([1, 0]))[1]
        assert rewards.tolist() == [-100.0, -1.0]
        assert venv.oversight.totals["violations"] == 1
        with pytest.raises(UsageError, match="need the environments in this process"):
            OverseenVecEnv(venv.venv, Autonomous(), cost=fell, risk=hole)
    finally:
        venv.close()


def test_potentials_of_ones_own_agree_and_the_tasks_is_refused_behind_autoreset() -> None:
    def by_column(observations: Any) -> Any:
        return np.asarray(observations).reshape(-1) % 12.0

    own = Signal(shaping=PotentialShaping(0.9, potential=by_column))
    env = Overseen(single("cliff"), Autonomous(), signal=own, cost=fell)
    venv = OverseenVecEnv(
        DummyVecEnv([lambda: single("cliff")]), Autonomous(), signal=own, cost=fell
    )
    env.reset(seed=0)
    venv.seed(0)
    venv.reset()
    for action in np.random.default_rng(3).integers(0, 4, 60):
        _, reward, terminated, truncated, _ = env.step(int(action))
        assert venv.step(np.array([action]))[1][0] == np.float32(reward)
        if terminated or truncated:
            env.reset()
    with pytest.raises(UsageError, match=r"PotentialShaping: needs a potential.*pass potential="):
        OverseenVecEnv(
            DummyVecEnv([lambda: single("lava")]),
            Autonomous(),
            signal=Signal(shaping=PotentialShaping(0.9)),
        )


def test_looking_ahead_works_in_lanes_of_this_process() -> None:
    gate = Gate(overseer=LookAheadOverseer(copies=1), fallback=SafestAction())
    venv = OverseenVecEnv(DummyVecEnv([lambda: single("cliff")] * 2), gate, cost=fell, infos="full")
    venv.seed(0)
    venv.reset()
    infos = venv.step(np.array([1, 0]))[3]
    assert [info["oversight"]["verdict"] for info in infos] == ["reject", "approve"]
    assert venv.oversight.totals["violations"] == 0


# An overseer that approves all equals no wrapper -------------------------------------------------


def approving() -> list[Any]:
    def everybody(proposals: Any) -> list[bool]:
        return [True] * len(proposals)

    return [
        Autonomous(), Gate(overseer=everybody), Veto(overseer=everybody),
        VetoWindow(overseer=everybody, window=0), Feedback(overseer=everybody),
        Gate(overseer=everybody, world="running", step_seconds=1.0),
    ]  # fmt: skip


@pytest.mark.parametrize("place", range(6))
@pytest.mark.parametrize("task", [*NATIVE, *FOREIGN])
def test_an_overseer_that_approves_all_equals_no_wrapper(task: str, place: int) -> None:
    plain = single(task)
    given = FUNCTIONS if task in FOREIGN else {}
    env = Overseen(single(task), approving()[place], **given)
    np.testing.assert_array_equal(plain.reset(seed=3)[0], env.reset(seed=3)[0])
    for action in proposals(task)[:, 0]:
        left, right = plain.step(int(action)), env.step(int(action))
        np.testing.assert_array_equal(left[0], right[0])
        assert left[1:4] == right[1:4]
        assert {k: v for k, v in right[4].items() if k in left[4]} == left[4]
        if left[2] or left[3]:
            np.testing.assert_array_equal(plain.reset()[0], env.reset()[0])


@pytest.mark.parametrize("place", range(6))
@pytest.mark.parametrize("task", NATIVE)
def test_in_batches_too(task: str, place: int) -> None:
    plain = LanesVecEnv(NATIVE[task][0](LANES))
    venv = OverseenVecEnv(LanesVecEnv(NATIVE[task][0](LANES)), approving()[place])
    plain.seed(4)
    venv.seed(4)
    np.testing.assert_array_equal(plain.reset(), venv.reset())
    for row in proposals(task):
        left, right = plain.step(row), venv.step(row)
        for ours, theirs in zip(left[:3], right[:3], strict=True):
            np.testing.assert_array_equal(ours, theirs)
        for lane in np.flatnonzero(left[2]):
            np.testing.assert_array_equal(
                left[3][lane]["terminal_observation"], right[3][lane]["terminal_observation"]
            )
            assert left[3][lane]["TimeLimit.truncated"] == right[3][lane]["TimeLimit.truncated"]


class Counted(OpsDesk):
    """Writes down every random number that the environment draws."""

    def _advance(self, actions: Any, draws: Any) -> Any:
        self.drawn.append(draws.copy())
        return super()._advance(actions, draws)


@pytest.mark.parametrize("regime", [name for name in REGIMES if name != "in_the_loop_halt"])
def test_oversight_changes_no_random_number_of_the_environment(regime: str) -> None:
    drawn = {}
    for name in ("autonomous", regime):
        lanes = Counted(LANES)
        lanes.drawn = []  # type: ignore[attr-defined]
        protocol, signal = REGIMES[name]()
        venv = OverseenVecEnv(LanesVecEnv(lanes), protocol, signal=signal)
        batched_like(venv, proposals("desk"))
        drawn[name] = lanes.drawn  # type: ignore[attr-defined]
    np.testing.assert_array_equal(drawn["autonomous"], drawn[regime])


def batched_like(venv: Any, actions: Any) -> None:
    venv.seed(SEED)
    venv.reset()
    for row in actions:
        venv.step(row)


# Seeds -----------------------------------------------------------------------------------------


def trajectory(regime: str, seed: int) -> bytes:
    protocol, signal = REGIMES[regime]()
    venv = OverseenVecEnv(LanesVecEnv(LavaShortcut(LANES)), protocol, signal=signal)
    venv.seed(seed)
    parts = [venv.reset().tobytes()]
    for row in proposals("lava"):
        observations, rewards, dones, _ = venv.step(row)
        record = venv.oversight.last
        assert record is not None
        parts += [x.tobytes() for x in (observations, rewards, dones, record.verdict)]
    return b"".join(parts)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    for regime in ("autonomous", "in_the_loop_erring", "on_the_loop_lag_3"):
        assert trajectory(regime, 1) == trajectory(regime, 1)
        assert trajectory(regime, 1) != trajectory(regime, 2)


def test_seeding_again_begins_the_same_again() -> None:
    protocol, signal = REGIMES["in_the_loop_erring"]()
    env = Overseen(single("lava"), protocol, signal=signal)

    def play() -> list[Any]:
        env.reset(seed=9)
        return [env.step(a)[4]["oversight"] for a in (3, 0, 3, 3, 0, 3, 3)]

    assert play() == play()


def test_without_a_seed_overseers_are_not_all_alike() -> None:
    def asked() -> list[bool]:
        env = Overseen(single("lava"), Gate(trigger=Audit(0.5)))
        env.reset()
        return [env.step(4)[4]["oversight"]["asked"] for _ in range(40)]

    assert asked() != asked()  # equal by chance with probability 2 ** -40
    venvs = [OverseenVecEnv(LanesVecEnv(OpsDesk(4)), Autonomous()) for _ in range(2)]
    assert not np.array_equal(venvs[0].reset(), venvs[1].reset())


@pytest.mark.parametrize("regime", ["in_the_loop_erring", "on_the_loop_lag_3", "veto_window"])
@pytest.mark.parametrize("how", ["pickle", "deepcopy"])
def test_a_copy_made_in_mid_episode_goes_on_identically(regime: str, how: str) -> None:
    def copied(env: Any) -> Any:
        return pickle.loads(pickle.dumps(env)) if how == "pickle" else copy.deepcopy(env)

    protocol, signal = REGIMES[regime]()
    actions = proposals("lava")
    env = Overseen(single("lava"), protocol, signal=signal)
    env.reset(seed=2)
    for action in (0, 3, 0, 3, 3):
        env.step(action)
    twin = copied(env)
    for action in actions[:, 0]:
        left, right = env.step(int(action)), twin.step(int(action))
        np.testing.assert_array_equal(left[0], right[0])
        assert left[1:] == right[1:]
        if left[2] or left[3]:
            np.testing.assert_array_equal(env.reset()[0], twin.reset()[0])
    assert env.oversight.totals == twin.oversight.totals

    protocol, signal = REGIMES[regime]()
    for venv in (native_vec("desk", regime), dummy_vec("desk", regime)):
        venv.seed(2)
        venv.reset()
        for row in actions[:7]:
            venv.step(row % 4)
        other = copied(venv)
        for row in actions[7:] % 4:
            ours, theirs = venv.step(row), other.step(row)
            for mine, its in zip(ours[:3], theirs[:3], strict=True):
                np.testing.assert_array_equal(mine, its)
        assert venv.oversight.totals == other.oversight.totals
        assert isinstance(other, VecEnvWrapper)
        assert other.oversight.totals["steps"] == STEPS * LANES


def test_a_copy_counts_for_itself() -> None:
    env = Overseen(single("lava"), Gate())
    env.reset(seed=0)
    twin = copy.deepcopy(env)
    twin.step(0)
    assert env.oversight.totals["steps"] == 0
    assert twin.oversight.totals["steps"] == 1


# No way around, and never twice -----------------------------------------------------------------


def test_no_face_is_applied_twice(tmp_path: Any) -> None:
    def overseen() -> Overseen:
        return Overseen(single("lava"), Gate())

    venv = OverseenVecEnv(LanesVecEnv(LavaShortcut(2)), Gate())
    twice: list[Callable[[], Any]] = [
        lambda: Overseen(overseen(), Gate()),
        lambda: Overseen(gym.wrappers.TimeLimit(overseen(), 5), Gate()),
        lambda: OverseenVecEnv(venv, Gate()),
        lambda: OverseenVecEnv(VecMonitor(venv), Gate()),
        lambda: OverseenVecEnv(DummyVecEnv([overseen]), Gate()),
        lambda: OverseenVecEnv(DummyVecEnv([lambda: Monitor(overseen())]), Gate()),
        lambda: OverseenVecEnv(VecMonitor(DummyVecEnv([overseen])), Gate()),
        lambda: OverseenVecEnv(LanesVecEnv(GymLanes([overseen()])), Gate()),
    ]
    for make in twice:
        with pytest.raises(UsageError, match=r"overseen already; stack protocols in one Stack"):
            make()


@pytest.mark.parametrize("method", ["step", "reset"])
def test_single_lanes_cannot_be_moved_past_oversight(method: str) -> None:
    for venv in (dummy_vec("lava", "in_the_loop"), native_vec("lava", "in_the_loop")):
        venv.reset()
        with pytest.raises(UsageError, match=rf"{method}\(\) of single lanes would bypass"):
            venv.env_method(method, 0)
        with pytest.raises(UsageError, match=rf"{method}\(\) of single lanes would bypass"):
            VecMonitor(venv).env_method(method, 0)
    # what moves nothing may be called
    assert dummy_vec("lava", "in_the_loop").env_method("offers", "hold") == [True] * LANES


def test_a_step_needs_a_reset_before_it() -> None:
    env = Overseen(single("lava"), Gate())
    with pytest.raises(UsageError, match=r"call reset\(\) first"):
        env.step(0)
    env.reset(seed=0)
    for _ in range(50):
        ended = env.step(4)[3]
    assert ended
    with pytest.raises(UsageError, match=r"call reset\(\) first"):
        env.step(4)
    venv = native_vec("lava", "in_the_loop")
    with pytest.raises(UsageError, match=r"call reset\(\) first"):
        venv.step(np.zeros(LANES, np.int64))
    venv.reset()
    with pytest.raises(UsageError, match=r"step_wait\(\) was called without step_async\(\)"):
        venv.step_wait()


def test_a_seed_takes_effect_with_a_reset() -> None:
    venv = native_vec("desk", "in_the_loop")
    venv.seed(0)
    venv.reset()
    venv.step(np.zeros(LANES, np.int64))
    venv.seed(1)
    with pytest.raises(UsageError, match=r"call reset\(\) first"):
        venv.step(np.zeros(LANES, np.int64))
    first = venv.reset()
    fresh = native_vec("desk", "in_the_loop")
    fresh.seed(1)
    np.testing.assert_array_equal(first, fresh.reset())


def test_gymnasiums_next_step_autoreset_proposes_nothing() -> None:
    env = gym.wrappers.Autoreset(Overseen(single("lava"), Gate()))
    env.reset(seed=0)
    for _ in range(153):  # 50 steps, a step that only resets, and so on
        env.step(4)
    overseen = env.env
    assert isinstance(overseen, Overseen)
    assert overseen.oversight.totals["steps"] == overseen.oversight.totals["reviews"] == 150
    assert overseen.oversight.totals["episodes"] == 3


# Stable-Baselines3 ------------------------------------------------------------------------------


def test_what_sb3_must_know_of_ends() -> None:
    venv = OverseenVecEnv(LanesVecEnv(LavaShortcut(2, max_episode_steps=4)), Gate())
    venv.seed(0)
    venv.reset()
    for _ in range(3):
        _, _, dones, infos = venv.step(np.array([4, 4]))
        assert not dones.any()
        assert infos == [{}, {}]
    observations, rewards, dones, infos = venv.step(np.array([4, 4]))
    assert dones.all()
    assert rewards.dtype == np.float32
    for lane, info in enumerate(infos):
        assert info["TimeLimit.truncated"] is True
        assert info["episode"] == {"r": pytest.approx(-0.2), "l": 4}
        assert info["is_success"] is False
        np.testing.assert_array_equal(info["terminal_observation"], observations[lane])


def test_a_stopped_lane_is_bootstrapped_from_where_it_stood() -> None:
    for venv in (native_vec("lava", "in_the_loop_halt"), dummy_vec("lava", "in_the_loop_halt")):
        venv.seed(SEED)
        before = venv.reset()
        stopped = 0
        for row in proposals("lava"):
            observations, _, dones, infos = venv.step(row)
            record = venv.oversight.last
            assert record is not None
            for lane in np.flatnonzero(record.halted):
                stopped += 1
                assert dones[lane]
                assert infos[lane]["TimeLimit.truncated"] is True
                np.testing.assert_array_equal(infos[lane]["terminal_observation"], before[lane])
                assert infos[lane]["cost"] == infos[lane]["reward"] == 0.0
            before = observations
        assert stopped > 0


class Spy(VecEnvWrapper):
    """Keeps the very reward arrays that SB3 gets, and copies of what they were."""

    def __init__(self, venv: Any) -> None:
        super().__init__(venv)
        self.given: list[tuple[Any, Any]] = []

    def reset(self) -> Any:
        return self.venv.reset()

    def step_wait(self) -> Any:
        result = self.venv.step_wait()
        self.given.append((result[1], result[1].copy()))
        return result


def test_what_sb3_adds_to_rewards_reaches_neither_counters_nor_ledger(tmp_path: Any) -> None:
    import pyarrow.parquet as pq

    inner = OverseenVecEnv(
        LanesVecEnv(LavaShortcut(4, max_episode_steps=10)),
        Gate(),
        signal=Signal(penalty=0.3),
        ledger=Ledger(tmp_path),
    )
    spy = Spy(inner)
    PPO("MlpPolicy", spy, n_steps=32, batch_size=64, n_epochs=1, seed=0, device="cpu").learn(256)
    assert any((now != then).any() for now, then in spy.given)  # SB3 bootstrapped in place
    sums = sum(float(then.sum()) for _, then in spy.given)
    assert inner.oversight.totals["steps"] == 256
    assert inner.oversight.totals["learning_return"] == pytest.approx(sums, abs=1e-3)
    inner.close()
    frame = pq.read_table(tmp_path / "decisions.parquet").to_pandas()
    then = np.concatenate([then for _, then in spy.given])
    np.testing.assert_allclose(frame["learning_reward"], then, atol=1e-6)
    assert inner.oversight.totals["penalties"] == (frame["verdict"] == "reject").sum() > 0


def test_arrays_that_come_back_may_be_written_into() -> None:
    def play(spoil: bool) -> Any:
        venv = native_vec("desk", "in_the_loop")
        venv.seed(1)
        venv.reset()
        rows = []
        for row in proposals("desk")[:40]:
            result = venv.step(row)
            rows.append([part.copy() for part in result[:3]])
            if spoil:
                result[0][:] = -7.0
                result[1][:] = -7.0
                result[2][:] = True
        return rows, venv.oversight.totals

    clean, spoiled = play(spoil=False), play(spoil=True)
    for left, right in zip(clean[0], spoiled[0], strict=True):
        for ours, theirs in zip(left, right, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert clean[1] == spoiled[1]


# The block of the tracker, as it stands ---------------------------------------------------------


SHOWN = """
import gymnasium as gym
import looplab
from looplab.oversight import Always, Gate, Overseen, SafestAction, ScriptedOverseer

env = Overseen(
    gym.make("CliffWalking-v1"),
    Gate(trigger=Always(), overseer=ScriptedOverseer(), fallback=SafestAction()),
    cost=lambda t: float(t.reward <= -100),
    risk=lambda env, action: sum(p for p, _, r, _ in env.unwrapped.P[env.unwrapped.s][action] if r <= -100),
)
env.reset(seed=0)
fell = 0.0
for _ in range(5000):
    _, _, terminated, truncated, info = env.step(env.action_space.sample())
    fell += info["cost"]
    if terminated or truncated:
        env.reset()
print(fell, env.oversight.totals)  # reviews, interventions, misses, false_alarms, violations, human_seconds, ...
"""  # noqa: E501


def test_the_block_that_is_promised_runs_as_it_stands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    exec(SHOWN, {})
    printed = capsys.readouterr().out
    assert printed.startswith("0.0 {")
    for name in ("reviews", "interventions", "misses", "false_alarms", "violations"):
        assert f"'{name}': " in printed
    assert "'human_seconds': 25000.0" in printed


def test_the_lines_for_an_environment_that_looplab_has_never_seen() -> None:
    assert looplab.__version__
    env = Overseen(
        gym.make("CliffWalking-v1"),
        Gate(trigger=Always(), overseer=ScriptedOverseer(), fallback=SafestAction()),
        cost=lambda t: float(t.reward <= -100),
        risk=lambda env, action: sum(
            p for p, _, r, _ in env.unwrapped.P[env.unwrapped.s][action] if r <= -100
        ),
    )
    env.reset(seed=0)
    env.action_space.seed(0)
    fell = 0.0
    for _ in range(5000):
        _, _, terminated, truncated, info = env.step(env.action_space.sample())
        fell += info["cost"]
        if terminated or truncated:
            env.reset()
    totals = env.oversight.totals
    assert fell == totals["violations"] == totals["misses"] == totals["false_alarms"] == 0
    assert totals["reviews"] == totals["steps"] == 5000
    assert totals["interventions"] == totals["unsafe_proposals"] > 100
    assert totals["human_seconds"] == 25_000


def test_info_says_what_was_decided() -> None:
    env = Overseen(single("cliff"), Gate(fallback=Hold()), **FUNCTIONS)
    env.reset(seed=0)
    info = env.step(1)[4]  # right, off the cliff
    said = info["oversight"]
    assert said["proposed_action"] == 1
    assert said["executed_action"] == 0
    assert said["verdict"] == "reject"
    assert said["reviewed"] is True
    assert said["intervened"] is True
    assert said["reason"] == "unsafe"
    assert said["overseer"] == "scripted"
    assert said["human_seconds"] == 5.0
    assert said["risk"] == 1.0
    assert info["cost"] == 0.0
    assert info["reward"] == -1.0


def test_cost_is_a_function_of_a_transition() -> None:
    seen: list[Any] = []

    def cost(transition: Any) -> float:
        seen.append(transition)
        return 0.25

    env = Overseen(single("cliff"), Autonomous(), cost=cost)
    env.reset(seed=0)
    info = env.step(0)[4]
    (transition,) = seen
    assert transition.observation == 24
    assert transition.action == 0
    assert transition.reward == -1.0
    assert (transition.terminated, transition.truncated) == (False, False)
    assert transition.info["prob"] == 1.0
    assert info["cost"] == 0.25
    assert env.oversight.totals["cost"] == 0.25
    assert env.oversight.totals["violations"] == 1


class Typed(gym.Env[Any, Any]):
    """One state, observed and acted in numbers of some types."""

    def __init__(self, observed: Any, acted: Any, what: float = 1.0) -> None:
        self.observation_space = gym.spaces.Box(-9, 9, (3,), observed)
        self.action_space = gym.spaces.Box(-1, 1, (2,), acted)
        self._observed, self._what = observed, what

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return np.zeros(3, self._observed), {}

    def step(self, action: Any) -> Any:
        return np.full(3, self._what, self._observed), 1.0, False, False, {}


@pytest.mark.parametrize("observed", ["f2", "f4", "f8", "g", ">f8", "i8"])
@pytest.mark.parametrize("acted", ["f2", "f4", "f8", "g"])
def test_numbers_of_any_type_are_overseen(observed: str, acted: str) -> None:
    env = Overseen(
        Typed(np.dtype(observed), np.dtype(acted)),
        Gate(RiskAbove(0.0), fallback=lambda p: np.zeros_like(p.action)),
        cost=lambda t: 0.0, risk=lambda env, action: 0.5,
    )  # fmt: skip
    env.reset(seed=0)
    for _ in range(3):
        *_, info = env.step(np.full(2, 0.5, acted))
        told = info["oversight"]
        assert told["proposed_action"].tolist() == [0.5, 0.5]
        assert told["executed_action"].tolist() == [0.0, 0.0]
        assert told["reviewed"]


@pytest.mark.parametrize("observed", ["f2", "f4", "f8", "g", ">f8"])
def test_nan_is_found_in_observations_of_any_type(observed: str) -> None:
    env = Overseen(Typed(np.dtype(observed), np.float32, np.nan), Autonomous(), cost=lambda t: 0.0)
    env.reset(seed=0)
    with pytest.raises(EnvironmentFault, match="observation that is not finite in lane 0"):
        env.step(np.zeros(2, np.float32))
