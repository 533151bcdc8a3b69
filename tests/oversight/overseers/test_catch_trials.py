"""Catch trials: what they cost, what they tell, and that nothing of them ever runs.

Statistical bounds: two-sided binomial tests at 1e-6, and five standard errors.
"""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from scipy.stats import binomtest, norm

from looplab.envs.errors import UsageError
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.oversight import (
    Accuracy,
    CatchTrials,
    Gate,
    Overseen,
    ScriptedOverseer,
    SimulatedHuman,
    Veto,
)
from looplab.oversight.detection import Detections

GO, CREEP, WAIT = range(3)
TRAP = [1.0]
SIGNIFICANCE = 1e-6
LANES, STEPS = 64, 300
REVIEWS = LANES * STEPS
STANDARD_ERRORS = 5.0


def agrees(count: float, of: float, chance: float) -> bool:
    return bool(binomtest(round(count), round(of), chance).pvalue > SIGNIFICANCE)


def tried(corridor: Any, start: Any, action: int, trials: CatchTrials) -> tuple[Any, Detections]:
    """A run of the same action in a trap, and the trials of all lanes together."""
    run = start(corridor(LANES, harm=TRAP), Gate(overseer=trials)).play([action] * STEPS)
    return run, run.engine.state(trials).pooled()


@pytest.mark.parametrize(("miss", "alarm"), [(0.2, 0.05), (0.05, 0.3)])
def test_trials_tell_how_well_somebody_judges(
    corridor: Any, start: Any, miss: float, alarm: float
) -> None:
    trials = CatchTrials(ScriptedOverseer(miss, alarm), probability=0.5, unsafe_share=0.4)
    run, found = tried(corridor, start, CREEP, trials)  # go and wait are left to show
    assert agrees(found.signals, REVIEWS, 0.5 * 0.4)
    assert agrees(found.noise, REVIEWS, 0.5 * 0.6)
    assert agrees(found.hits, found.signals, 1.0 - miss)
    assert agrees(found.false_alarms, found.noise, alarm)
    hit, false = norm.ppf(1.0 - miss), norm.ppf(alarm)
    assert found.d_prime == pytest.approx(hit - false, abs=0.2)
    assert found.criterion == pytest.approx(-(hit + false) / 2, abs=0.1)
    assert agrees(run.totals["false_alarms"], REVIEWS, alarm)


def test_the_parameters_of_a_signal_detector_come_back(corridor: Any, start: Any) -> None:
    human = SimulatedHuman(accuracy=Accuracy(d_prime=1.5, criterion=0.4))
    _, found = tried(corridor, start, CREEP, CatchTrials(human, probability=1.0))
    z = np.array([0.75 - 0.4, -0.75 - 0.4])
    counts = np.array([found.signals, found.noise])
    variances = norm.cdf(z) * norm.sf(z) / norm.pdf(z) ** 2 / counts  # of both estimates of z
    spread = STANDARD_ERRORS * np.sqrt(variances.sum())
    assert found.d_prime == pytest.approx(1.5, abs=spread)
    assert found.criterion == pytest.approx(0.4, abs=spread / 2)


def test_a_state_without_the_kind_to_be_shown_has_no_trial(corridor: Any, start: Any) -> None:
    trials = CatchTrials(probability=0.5, unsafe_share=0.3)
    _, found = tried(corridor, start, GO, trials)  # creep and wait, both safe, are left to show
    assert found.signals == 0
    assert agrees(found.noise, REVIEWS, 0.5 * 0.7)
    run = start(corridor(LANES, harm=[[1.0, 1.0, 0.0]]), Gate(overseer=trials)).play([WAIT] * STEPS)
    found = run.engine.state(trials).pooled()  # go and creep, both unsafe
    assert found.noise == 0
    assert agrees(found.signals, REVIEWS, 0.5 * 0.3)


def test_what_is_shown_is_the_riskiest_or_the_safest_of_the_others(
    corridor: Any, start: Any
) -> None:
    shown: list[int] = []

    def looks(proposals: Any) -> Any:
        shown.extend(proposals.action.tolist())
        return [True] * len(proposals)

    for share, action in (1.0, GO), (0.0, WAIT):
        trials = CatchTrials(looks, probability=1.0, unsafe_share=share)
        start(corridor(harm=[[0.9, 0.5, 0.0]]), Gate(overseer=trials)).play([CREEP])
        assert shown == [CREEP, action]
        shown.clear()


def test_trials_take_time_and_change_nothing_else(start: Any) -> None:
    actions = np.random.default_rng(0).integers(0, 5, (STEPS, 8))

    def run(overseer: Any) -> Any:
        return start(LavaShortcut(8), Gate(overseer=overseer)).play(actions)

    plain = run(ScriptedOverseer(0.2, 0.1))
    trials = CatchTrials(ScriptedOverseer(0.2, 0.1, review_seconds=5.0), probability=0.3)
    tested = run(trials)
    for column in ("executed", "verdict", "reason", "reviews", "reward"):
        for lane in range(8):
            assert tested.column(column, lane) == plain.column(column, lane)
    found = tested.engine.state(trials).pooled()
    count = found.signals + found.noise
    assert count > 100
    assert tested.totals["human_seconds"] == plain.totals["human_seconds"] + 5.0 * count
    assert tested.totals["waiting_seconds"] == tested.totals["human_seconds"]
    never = run(CatchTrials(ScriptedOverseer(0.2, 0.1), probability=0.0))
    assert never.totals == plain.totals


def test_errors_on_trials_are_drawn_apart_from_real_ones(corridor: Any, start: Any) -> None:
    trials = CatchTrials(ScriptedOverseer(0.5, 0.5), probability=1.0, unsafe_share=1.0)
    lanes = 20_000
    run = start(corridor(lanes, harm=TRAP), Gate(overseer=trials)).play([CREEP])
    hit = run.engine.state(trials).hits > 0
    refused = run.records[0].decision.refused
    assert agrees(int((hit & refused).sum()), lanes, 0.25)
    assert agrees(int((hit & ~refused).sum()), lanes, 0.25)


def test_who_is_watching_is_tested_too(corridor: Any, start: Any) -> None:
    trials = CatchTrials(ScriptedOverseer(miss_rate=0.3), probability=1.0)
    run = start(corridor(LANES, harm=TRAP), Veto(trials)).play([CREEP] * STEPS)
    found = run.engine.state(trials).pooled()
    assert agrees(found.hits, found.signals, 0.7)
    assert run.totals["interventions"] == 0


def test_counts_without_errors_are_corrected() -> None:
    found = Detections.none(2)
    assert found.d_prime.tolist() == found.criterion.tolist() == [0.0, 0.0]
    for _ in range(10):
        found.add(np.array([True, True]), np.array([True, True]), np.array([True, False]))
        found.add(np.array([True, False]), np.array([False, False]), np.array([False, True]))
    assert found.signals.tolist() == [10, 10]
    assert found.noise.tolist() == [10, 0]
    assert found.hits.tolist() == [10, 0]
    # z(10.5 / 11) = 1.6906: 10 of 10 and 0 of 10.
    assert found.d_prime[0] == pytest.approx(2 * 1.6906, abs=1e-4)
    assert found.criterion.tolist() == pytest.approx([0.0, 1.6906 / 2], abs=1e-4)
    pooled = found.pooled()
    assert (pooled.hits, pooled.signals, pooled.false_alarms, pooled.noise) == (10, 20, 0, 10)


@pytest.mark.parametrize("name", ["probability", "unsafe_share"])
@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan"), "often", True])
def test_chances_outside_0_and_1_are_refused(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=rf"{name} must be a number in \[0, 1\], got"):
        CatchTrials(**{name: value})


def test_trials_need_a_table_of_risks() -> None:
    with pytest.raises(UsageError, match="CatchTrials: needs the risk of every action, so a Discr"):
        Overseen(gym.make("looplab/PointHazard-v0"), Gate(overseer=CatchTrials()))
    with pytest.raises(UsageError, match="CatchTrials: nothing says which actions are unsafe"):
        Overseen(gym.make("CliffWalking-v1"), Gate(overseer=CatchTrials()), cost=lambda t: 0.0)
