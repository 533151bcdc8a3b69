"""The conformance kit: sound tasks pass it, and each way to break one is named."""

import copy
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, ClassVar
from unittest import SkipTest

import gymnasium as gym
import numpy as np
import pytest
from click.testing import CliRunner

from looplab.envs.checks import CHECKS, Broken, Task, TaskContract, check, examine
from looplab.envs.checks.__main__ import main
from looplab.envs.checks.rollout import at_least, at_most, same, two_sided
from looplab.envs.core import Actions, FloatArray, Lanes, Observations, RiskSource
from looplab.envs.desks.moderation_queue import ModerationQueue
from looplab.envs.desks.ops_desk import OpsDesk
from looplab.envs.drift import Drift
from looplab.envs.errors import UsageError, choice, probability
from looplab.envs.faces import LaneEnv, LaneVectorEnv
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.envs.native import REWARD_MODES, NativeLanes
from looplab.envs.registration import TASKS

END = 9
STAY, WALK, RUN = 0, 1, 2
STUMBLE = 0.1

#: Clauses that do not apply to every native task.
OPTIONAL = {"estimated_risk", "exact_risk", "reward_modes", "drift", "hazard_avoidable"}
ADAPTERS = (
    "looplab.envs.adapters.cliff_walking:lanes",
    "looplab.envs.adapters.minigrid_lava_gap:lanes",
)


class Ledge(NativeLanes):
    """A sound task: along a ledge of ten places; whoever runs may stumble, or fall in the wind."""

    STATE: ClassVar[tuple[str, ...]] = ("place", "windy")
    RESET_DRAWS: ClassVar[int] = 1
    STEP_DRAWS: ClassVar[int] = 2
    ACTIONS = ("stay", "walk", "run")
    COSTS = ("stumble", "fall")
    CATASTROPHES = ("fall",)
    DRIFTS: ClassVar[Mapping[str, tuple[float, float]]] = {"slip": (0.0, 1.0)}

    def __init__(
        self,
        num_lanes: int = 1,
        slip: float = 0.4,
        reward_mode: str = "misspecified",
        seed: int = 0,
        drift: Drift | Mapping[str, Any] | None = None,
    ) -> None:
        self.slip = probability("slip", slip)
        self.reward_mode = choice("reward_mode", reward_mode, REWARD_MODES)
        super().__init__(num_lanes, 30, seed, drift)
        self.observation_space = gym.spaces.Box(0.0, 1.0, (END + 3,), np.float32)
        self.action_space = gym.spaces.Discrete(3)
        self.hold_action = STAY
        self.place = np.zeros(self.num_lanes, dtype=np.int64)
        self.windy = np.zeros(self.num_lanes, dtype=np.bool_)

    def _begin(self, mask: Any, draws: FloatArray) -> None:
        np.copyto(self.place, 0, where=mask)
        np.copyto(self.windy, draws[:, 0] < 0.5, where=mask)

    def fall_risk(self, windy: Any) -> FloatArray:
        return np.asarray(self.slip * (0.5 + 0.5 * windy) * (0.5 + 0.05 * self.place))

    def _advance(self, actions: Actions, draws: FloatArray) -> Any:
        running = actions == RUN
        falling = self.fall_risk(self.windy)
        fell = running & (draws[:, 0] < falling)
        stumbled = running & ~fell & (draws[:, 0] < falling + STUMBLE)
        self.place = np.minimum(self.place + np.where(fell, 0, actions), END)
        self.windy = draws[:, 1] < 0.5
        arrived = self.place == END
        reward = arrived - 0.05 - fell * (self.reward_mode == "aligned")
        return reward, arrived | fell, np.stack([stumbled, fell], axis=1).astype(np.float64)

    def _observe(self) -> Observations:
        look = np.zeros((self.num_lanes, END + 3), dtype=np.float32)
        look[np.arange(self.num_lanes), self.place] = 1.0
        look[:, END + 1] = self.windy * (self.reward_mode != "hidden")
        return look

    def _success(self, terminated: Any, truncated: Any) -> FloatArray:
        return np.where(terminated | truncated, 1.0 * (self.place == END), np.nan)

    def risk_table(self, source: RiskSource) -> FloatArray | None:
        unseen = source == "estimated" and self.reward_mode == "hidden"
        table = np.zeros((self.num_lanes, 3))
        table[:, RUN] = STUMBLE + self.fall_risk(0.5 if unseen else self.windy)
        return table

    def correction(self) -> Actions | None:
        return np.full(self.num_lanes, WALK)

    def reference(self) -> Actions | None:
        return np.full(self.num_lanes, RUN)

    def render(self, lane: int = 0, mode: str = "ansi") -> Any:
        if mode == "ansi":
            return f"place {self.place[lane]}\n"
        picture = np.zeros((8, 10, 3), dtype=np.uint8)
        picture[:, self.place[lane]] = 255
        return picture


def contract_of(made: Any, **parts: Any) -> Task:
    return Task("broken", made, **parts)


def failures(task: Task) -> dict[str, str]:
    return {r.check.name: r.text for r in examine(task) if r.status == "FAILED"}


# Ways to break the contract, each by the clause that must name it.


class ForgetsTheSeed(Ledge):
    times = 0

    def reseed(self, seed: int) -> None:
        self.times += 1
        super().reseed(seed)

    def _advance(self, actions: Actions, draws: FloatArray) -> Any:
        reward, ended, harm = super()._advance(actions, draws)
        return reward + 0.01 * self.times, ended, harm


class DrawsMoreWhenRunning(Ledge):
    STATE: ClassVar[tuple[str, ...]] = (*Ledge.STATE, "drawn")

    def reseed(self, seed: int) -> None:
        self.drawn = np.zeros(self.num_lanes)
        super().reseed(seed)

    def _begin(self, mask: Any, draws: FloatArray) -> None:
        super()._begin(mask, (draws + 0.37 * self.drawn[:, None]) % 1.0)

    def _advance(self, actions: Actions, draws: FloatArray) -> Any:
        self.drawn = self.drawn + (actions == RUN)
        return super()._advance(actions, draws)


class PicklesNoPlace(Ledge):
    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"place": np.zeros_like(self.place)}

    def __deepcopy__(self, memo: dict[int, Any]) -> "Ledge":
        new = object.__new__(type(self))
        new.__dict__ = copy.deepcopy(self.__dict__, memo)
        return new


class CopiesShallowly(Ledge):
    def __deepcopy__(self, memo: dict[int, Any]) -> "Ledge":
        return copy.copy(self)


class ForksFromTheStart(Ledge):
    def fork(self, lane: int) -> Any:
        env = super().fork(lane)
        env.get_wrapper_attr("lanes").place[:] = 0
        return env


class WritesIntoTheLastObservation(Ledge):
    def note_refusals(self, refused: Any) -> None:
        self.observation[:, END + 2] = refused


class NeverFreezes(Ledge):
    def step(self, actions: Actions, active: Any = None) -> Any:
        return super().step(actions)


class SeedsByTheBatch(Ledge):
    def reseed(self, seed: int) -> None:
        super().reseed(seed + self.num_lanes - 1)
        self.seed = seed


class VectorWithoutCost(LaneVectorEnv):
    def step(self, actions: Actions) -> Any:
        *rest, infos = super().step(actions)
        return *rest, infos | {"cost": np.zeros(self.num_envs)}


class BeginsWithCost(LaneEnv):
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        observation, _ = super().reset(seed=seed, options=options)
        return observation, {"cost": 1.0}


class HalvesAKind(Ledge):
    def details(self) -> dict[str, Any]:
        told = super().details()
        return told | {"cost_fall": told["cost_fall"] / 2}


class NegativeCost(Ledge):
    def _advance(self, actions: Actions, draws: FloatArray) -> Any:
        reward, ended, harm = super()._advance(actions, draws)
        harm[:, 0] -= 0.1 * (actions == STAY)
        return reward, ended, harm


class NoCatastrophe(Ledge):
    def _catastrophe(self, harm: FloatArray) -> Any:
        return np.zeros(self.num_lanes, dtype=np.bool_)


class Harmless(Ledge):
    def _advance(self, actions: Actions, draws: FloatArray) -> Any:
        reward, ended, harm = super()._advance(actions, draws)
        return reward, ended, 0.0 * harm

    def risk_table(self, source: RiskSource) -> FloatArray | None:
        return None


class CorrectsWrongly(Ledge):
    def risk_table(self, source: RiskSource) -> FloatArray | None:
        return None if source == "exact" else super().risk_table(source)

    def correction(self) -> Actions | None:
        return np.where(self.place == 0, WALK, RUN)


class LeastIsNotLeast(Ledge):
    def least_risk(self, source: RiskSource) -> FloatArray | None:
        least = super().least_risk(source)
        return None if least is None else least + 0.1 * (source == "estimated")


class ExactBelowImmediate(Ledge):
    def risk_table(self, source: RiskSource) -> FloatArray | None:
        table = super().risk_table(source)
        return table * 0.9 if table is not None and source == "exact" else table


class HoldIsNoAction(Ledge):
    def hold(self) -> Actions | None:
        return np.full(self.num_lanes, 7)


class CorrectionIsNotSafest(Ledge):
    def correction(self) -> Actions | None:
        return np.where(self.place == 3, RUN, WALK)


class Underestimates(Ledge):
    def risk_table(self, source: RiskSource) -> FloatArray | None:
        table = super().risk_table(source)
        if table is not None and source == "immediate":
            table[:, RUN] -= 0.04
        return table


class DoomUnforeseen(Ledge):
    """At the place before last everything violates; the exact risk of going there says 0."""

    def _doomed(self) -> Any:
        return self.place == END - 1

    def _advance(self, actions: Actions, draws: FloatArray) -> Any:
        doomed = self._doomed()
        reward, ended, harm = super()._advance(actions, draws)
        harm[:, 0] = np.where(doomed, 1.0, harm[:, 0])
        return reward, ended, harm

    def risk_table(self, source: RiskSource) -> FloatArray | None:
        table = super().risk_table(source)
        assert table is not None
        table[self._doomed()] = 1.0
        return table

    def correction(self) -> Actions | None:
        return np.where(self.place == END - 2, STAY, WALK)


class EstimatesByTheClock(Ledge):
    def risk_table(self, source: RiskSource) -> FloatArray | None:
        table = super().risk_table(source)
        if table is not None and source == "estimated":
            table[:, RUN] += 1e-3 * self.elapsed
        return table


class EstimatesTooHigh(Ledge):
    def risk_table(self, source: RiskSource) -> FloatArray | None:
        table = super().risk_table(source)
        return 0.3 + 0.5 * table if table is not None and source == "estimated" else table


class ShowsTheRisk(Ledge):
    def _observe(self) -> Observations:
        look = super()._observe()
        look[:, END + 2] = STUMBLE + self.fall_risk(self.windy)
        return look


class ShowsWhatItDeclaresHidden(Ledge):
    HIDDEN = ("windy",)


class HidesNothing(Ledge):
    def __init__(self, num_lanes: int = 1, reward_mode: str = "misspecified", **rest: Any) -> None:
        super().__init__(num_lanes, reward_mode=reward_mode, **rest)
        self.reward_mode = "aligned"


class DriftsInSilence(Ledge):
    def details(self) -> dict[str, Any]:
        told = super().details()
        if self.drift is not None:
            told["drift_active"] = np.zeros(self.num_lanes, dtype=np.bool_)
        return told


class DriftsWithoutEffect(Ledge):
    def fall_risk(self, windy: Any) -> FloatArray:
        return np.asarray(0.4 * (0.5 + 0.5 * windy) * (0.5 + 0.05 * self.place))


class TakesAnyMode(Ledge):
    def __init__(self, num_lanes: int = 1, reward_mode: str = "misspecified", **rest: Any) -> None:
        known = reward_mode if reward_mode in REWARD_MODES else "aligned"
        super().__init__(num_lanes, reward_mode=known, **rest)


class ReusesItsObservation(LaneEnv):
    def step(self, action: Any) -> Any:
        observation, *rest = super().step(action)
        if not hasattr(self, "_kept"):
            self._kept = observation
        self._kept[:] = observation
        return self._kept, *rest


class EndsInNumPy(LaneEnv):
    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, np.bool_(terminated), truncated, info


class SeesTooMuch(Ledge):
    def _observe(self) -> Observations:
        return super()._observe() * np.where(self.place > 4, 2, 1).astype(np.float32)[:, None]


class RewardsInSinglePrecision(Ledge):
    def _advance(self, actions: Actions, draws: FloatArray) -> Any:
        reward, ended, harm = super()._advance(actions, draws)
        return reward.astype(np.float32), ended, harm


class TakesAnyAction(Ledge):
    def step(self, actions: Actions, active: Any = None) -> Any:
        return super().step(np.clip(actions, STAY, RUN), active)


class DrawsNothing(Ledge):
    def render(self, lane: int = 0, mode: str = "ansi") -> Any:
        return "" if mode == "ansi" else super().render(lane, mode)


class DrawingMoves(Ledge):
    def render(self, lane: int = 0, mode: str = "ansi") -> Any:
        self.place = np.minimum(self.place + 1, END)
        return super().render(lane, mode)


class RaisesLate(Ledge):
    def reference(self) -> Actions | None:
        raise KeyError("no plan")


def faced(face: Callable[..., Any]) -> Task:
    """The sound task behind another face."""
    return contract_of(Ledge, env=lambda mode: face(Ledge(1), mode))


class ExactTooHigh(LavaShortcut):
    """By 0.05, where there is any risk."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        exact = self._risks["exact"]
        self._risks["exact"] = np.where(exact > 0.0, exact + 0.05, exact)


class EstimatesALittleTooHigh(ModerationQueue):
    """By 0.05, where that is a probability."""

    def risk_table(self, source: RiskSource) -> FloatArray | None:
        table = super().risk_table(source)
        return table if table is None or source != "estimated" else (table + 0.05).clip(0.0, 1.0)

    def risk_of(self, source: RiskSource, actions: Actions) -> FloatArray:
        table = self.risk_table(source)
        assert table is not None
        return table[np.arange(self.num_lanes), actions]

    def least_risk(self, source: RiskSource) -> FloatArray | None:
        table = self.risk_table(source)
        assert table is not None
        return table.min(axis=1)


class ShowsTheDanger(OpsDesk):
    """A flag in plain sight of what only a person should see."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        low, high = np.zeros(9, np.float32), np.ones(9, np.float32)
        low[:-1], high[:-1] = self.observation_space.low, self.observation_space.high
        self.observation_space = gym.spaces.Box(low, high)

    def _observe(self) -> Observations:
        flag = self.danger.astype(np.float32)[:, None]
        return np.concatenate([super()._observe(), flag], axis=1)


#: The clauses that a broken task fails (the first is the one that was broken), and what it says.
BROKEN: list[tuple[Task, tuple[str, ...], str]] = [
    (contract_of(ForgetsTheSeed), ("seeds", "gymnasium"), "lane 0, step 0 after reseed"),
    (
        contract_of(DrawsMoreWhenRunning),
        ("draws",),
        r"lane \d, of an episode that follows other actions: first observation",
    ),
    (contract_of(PicklesNoPlace), ("pickling",), r"lane \d, step 0 of the pickled copy: "),
    (contract_of(CopiesShallowly), ("deep_copy",), "of the original, after its deep copy was run"),
    (contract_of(ForksFromTheStart), ("forks",), r"step \d+ of the fork of lane \d: observation"),
    (contract_of(WritesIntoTheLastObservation), ("fresh_arrays",), r"lane 0, step 0, looked at"),
    (contract_of(NeverFreezes), ("frozen_lanes",), r"lane \d, step 0 in turns: reward of a lane"),
    (contract_of(SeedsByTheBatch), ("single_environments",), "lane 0, .*against single envi"),
    (
        contract_of(Ledge, vector=lambda n: VectorWithoutCost(Ledge(n))),
        ("vector",),
        r"lane \d, step \d+ of the vector: cost is 0.0, expected 1.0",
    ),
    (faced(BeginsWithCost), ("cost_free_start",), "info of reset holds cost 1.0, expected none"),
    (
        contract_of(HalvesAKind),
        ("cost",),
        "cost is 1, expected 0.5, the sum of cost_stumble, cost_",
    ),
    (contract_of(NegativeCost), ("cost",), r"lane \d+, step 0: cost is -0.1, expected at least 0"),
    (contract_of(NoCatastrophe), ("cost",), r"catastrophe is False, expected True \(cost 1\)"),
    (contract_of(Harmless), ("hazard_reachable", "reward_modes"), "no violation in 25600 steps"),
    (contract_of(CorrectsWrongly), ("hazard_avoidable",), "episodes of the safe policy violate"),
    (contract_of(LeastIsNotLeast), ("risk_form",), "least estimated risk is 0.1, expected 0.0"),
    (contract_of(ExactBelowImmediate), ("risk_form",), "exact risk is .* at least the immediate"),
    (contract_of(HoldIsNoAction), ("answers",), "lane 0, step 0: hold is 7, not an action"),
    (
        contract_of(CorrectionIsNotSafest),
        ("answers", "exact_risk"),
        "correction 2 has exact risk .* the least, 0",
    ),
    (
        contract_of(Underestimates),
        ("immediate_risk", "estimated_risk"),
        "immediate risk of action 2 is .* on average",
    ),
    (contract_of(DoomUnforeseen), ("exact_risk",), r"every action has exact risk 1 or more after"),
    (contract_of(ExactTooHigh), ("exact_risk",), "exact risk is .* on average, expected 0.0"),
    (
        contract_of(EstimatesALittleTooHigh),
        ("estimated_risk", "privacy"),
        r"estimated risk is \+0.04\d* off",
    ),
    (
        contract_of(ShowsTheDanger),
        ("privacy",),
        "element 8 of the observation tells more of the immediate risk of action 0 than",
    ),
    # What is seen tells more than a wrong estimate does, so that privacy names these too.
    (
        contract_of(EstimatesByTheClock),
        ("estimated_risk", "privacy"),
        "earlier state that looks the same",
    ),
    (
        contract_of(EstimatesTooHigh),
        ("estimated_risk", "privacy"),
        r"estimated risk is \+0.2\d* off",
    ),
    (
        contract_of(ShowsTheRisk),
        ("privacy",),
        "element 11 of the observation is the immediate risk",
    ),
    (contract_of(ShowsWhatItDeclaresHidden), ("privacy",), "another lane's windy, which is hidden"),
    (
        contract_of(HidesNothing),
        ("privacy",),
        "reward_mode=hidden: estimated and immediate risk are",
    ),
    (contract_of(DriftsInSilence), ("drift",), "step 5 of abrupt drift of slip at step 5: info"),
    (contract_of(DriftsWithoutEffect), ("drift",), "drift of slip from 0.4 to 1 changes nothing"),
    (contract_of(TakesAnyMode), ("reward_modes",), "was accepted, expected UsageError"),
    (faced(ReusesItsObservation), ("gymnasium",), "share an object"),
    (faced(EndsInNumPy), ("stable_baselines3",), "`terminated` signal must be a boolean"),
    (
        contract_of(SeesTooMuch),
        ("observations",),
        r"lane \d, step \d+: observation .* is not in Box",
    ),
    (contract_of(RewardsInSinglePrecision), ("step_arrays",), "step 0: reward is float32"),
    (contract_of(TakesAnyAction), ("bad_actions",), "action 3 was accepted, expected UsageError"),
    (contract_of(DrawsNothing), ("pictures",), "step 0: ansi draws '', expected text"),
    (contract_of(DrawingMoves), ("pictures",), "drawing as ansi changes what happens"),
]


NAMES = [f"{clauses[0]}-{task.make.__name__}" for task, clauses, _ in BROKEN]


@pytest.mark.parametrize(("task", "clauses", "message"), BROKEN, ids=NAMES)
def test_each_way_to_break_the_contract_is_named(
    task: Task, clauses: tuple[str, ...], message: str
) -> None:
    (found,) = examine(task, clauses[:1])
    assert found.status == "FAILED"
    assert re.search(message, found.text), found.text
    assert "\n" not in found.text


@pytest.mark.slow
@pytest.mark.parametrize(("task", "clauses", "message"), BROKEN, ids=NAMES)
def test_and_by_no_clause_that_it_keeps(task: Task, clauses: tuple[str, ...], message: str) -> None:
    assert set(failures(task)) == set(clauses)


def test_a_stated_error_of_exact_risk_is_allowed_for_and_no_more() -> None:
    def status(error: float) -> str:
        stated = type("Stated", (DoomUnforeseen,), {"EXACT_ERROR": error})
        (found,) = examine(contract_of(stated), ("exact_risk",))
        return found.status

    assert [status(error) for error in (0.0, 0.01, 1.0)] == ["FAILED", "FAILED", "ok"]


def test_every_clause_has_a_task_that_breaks_it() -> None:
    assert {clauses[0] for _, clauses, _ in BROKEN} == set(CHECKS)


def test_an_error_that_a_task_raises_fails_by_name_and_place() -> None:
    found = failures(contract_of(RaisesLate))
    assert "answers" in found
    assert re.match(r"raised KeyError: 'no plan' \(.*test_checks.py:\d+\)", found["answers"])
    with pytest.raises(Broken, match=r"^broken breaks its contract\nFAILED  risk_form: raised"):
        check(contract_of(RaisesLate))


def test_a_sound_task_passes_every_clause() -> None:
    results = check(contract_of(Ledge))
    assert {result.status for result in results} == {"ok"}
    assert [result.check.name for result in results] == list(CHECKS)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_sound_task_passes_with_other_seeds(seed: int) -> None:
    check(contract_of(Ledge, seed=seed))


@pytest.mark.parametrize("task_id", sorted(TASKS))
def test_every_registered_task_keeps_the_contract(task_id: str) -> None:
    results = check(task_id)
    skipped = {result.check.name for result in results if result.status == "skipped"}
    assert skipped <= OPTIONAL


@pytest.mark.parametrize("name", ADAPTERS)
def test_adapters_keep_what_applies(name: str) -> None:
    results = {result.check.name: result for result in check(name)}
    assert str(results["vector"]) == "skipped vector: it has no vector of its own"
    assert results["immediate_risk"].status == results["hazard_avoidable"].status == "ok"


def test_what_a_plain_environment_does_not_tell_goes_unchecked_by_name() -> None:
    results = {result.check.name: result for result in check("CartPole-v1")}
    assert {name for name, result in results.items() if result.status == "ok"} >= {
        "seeds", "pickling", "deep_copy", "stable_baselines3", "observations", "frozen_lanes",
    }  # fmt: skip
    for name in ("cost", "hazard_reachable", "immediate_risk"):
        assert results[name].text == "it tells no info['cost']; wrap it: Annotated(env, cost=...)"
    assert results["gymnasium"].text.startswith("it warns: A Box observation space minimum")


class TestInherited(TaskContract):
    """What a user writes; every clause is a test of its own."""

    seed = 3

    def make(self, num_lanes: int, **settings: Any) -> Lanes:
        return Ledge(num_lanes, **settings)


class TestInheritedById(TaskContract):
    task_id = "looplab/LavaShortcut-v0"


def test_an_inherited_clause_fails_by_name_and_skips_with_its_reason() -> None:
    class Mine(TaskContract):
        def make(self, num_lanes: int, **settings: Any) -> Lanes:
            return NoCatastrophe(num_lanes)

    mine: Any = Mine()
    with pytest.raises(Broken, match=r"^FAILED  cost: lane \d+, step \d+: catastrophe is False"):
        mine.test_cost()
    with pytest.raises(SkipTest, match="knows no risk"):
        type("Blind", (TaskContract,), {"make": lambda self, n: Harmless(n)})().test_risk_form()
    with pytest.raises(UsageError, match=r"TaskContract needs make\(\) or task_id"):
        TaskContract().make(1)


def test_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = ModuleType("my_tasks")
    mine.Ledge, mine.NegativeCost = Ledge, NegativeCost  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "my_tasks", mine)
    run = CliRunner().invoke
    sound = run(main, ["my_tasks:Ledge", "--only", "cost", "--only", "seeds"])
    assert sound.exit_code == 0
    assert sound.output == "my_tasks:Ledge\n  ok      seeds\n  ok      cost\nall is well\n"
    broken = run(main, ["my_tasks:NegativeCost", "--only", "cost"])
    assert broken.exit_code == 1
    assert "  FAILED  cost: lane" in broken.output
    assert broken.output.endswith("1 check failed\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name at least one task, or --all"),
        (["looplab/LavaShortcu-v0"], "unknown task .*; did you mean 'looplab/LavaShortcut-v0'"),
        (["no_such_module:lanes"], "no module named 'no_such_module' for task"),
        (["looplab.envs.adapters.cliff_walking:lane"], "did you mean 'lanes'"),
        (["looplab/OpsDesk-v0", "--only", "sed"], "unknown check 'sed'; did you mean 'seeds'"),
    ],
)
def test_bad_input_of_the_command_line(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert re.search(message, done.output)


def test_it_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "looplab.envs.checks", "looplab/LavaShortcut-v0"]
    done = subprocess.run([*command, "--only", "cost"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "looplab/LavaShortcut-v0\n  ok      cost\nall is well\n"


def test_what_builds_no_lanes_is_refused() -> None:
    with pytest.raises(UsageError, match="broken makes a int, not lanes"):
        contract_of(lambda num_lanes: num_lanes).lanes(1)


def test_arrays_are_compared_to_the_element() -> None:
    same("x", np.array([np.nan, 1.0]), np.array([np.nan, 1.0]), "here")
    with pytest.raises(Broken, match=r"^lane 1, here: x \[0, 1\] is 3, expected 4$"):
        same("x", np.array([[[1, 2]], [[1, 3]]]), np.array([[[1, 2]], [[1, 4]]]), "here")
    with pytest.raises(Broken, match=r"^here: x has shape \(2,\), expected \(3,\)$"):
        same("x", np.zeros(2), np.zeros(3), "here")
    with pytest.raises(Broken, match=r"^here: x is None, expected"):
        same("x", None, np.zeros(3), "here")


def test_binomial_tails() -> None:
    np.testing.assert_allclose(at_most([0, 1, 2], 2, 0.5), [0.25, 0.75, 1.0])
    np.testing.assert_allclose(at_least([0, 1, 2], 2, 0.5), [1.0, 0.75, 0.25])
    certain = np.array([0.0, 0.0, 1.0, 1.0])
    np.testing.assert_array_equal(two_sided(np.array([0, 1, 5, 4]), 5, certain), [1, 0, 1, 0])
