"""Simulated humans against their formulas, through the running engine."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from looplab.envs.errors import UsageError
from looplab.oversight import (
    Accuracy,
    AutomationBias,
    Fatigue,
    Gate,
    PriorBias,
    SafestAction,
    ScriptedOverseer,
    SimulatedHuman,
    SkillDecay,
    Tempo,
    Veto,
    Vigilance,
)
from looplab.oversight.detection import Detections
from looplab.oversight.humans.simulated import human

GO, CREEP, WAIT = range(3)
#: All tests of this file together fail an honest run with a chance below one in a thousand.
SIGNIFICANCE = 1e-5


def agrees(count: int, trials: int, chance: float) -> bool:
    return binomtest(int(count), int(trials), chance).pvalue > SIGNIFICANCE


def reviewed(corridor: Any, start: Any, person: Any, harm: list[float], lanes: int = 4000) -> Any:
    """One pass of many lanes through a corridor under a gate; refused lanes creep on."""
    gate = Gate(overseer=person, fallback=SafestAction())
    return start(corridor(lanes, harm=harm, ends=False), gate).play([GO] * len(harm))


def misses(run: Any, step: int) -> int:
    return int(run.records[step].miss.sum())


# Accuracy and tempo ------------------------------------------------------------------------------


@pytest.mark.parametrize(("d_prime", "criterion"), [(2.0, 0.0), (1.0, 0.7), (3.0, -0.5)])
def test_a_signal_detector_hits_and_blocks_as_the_formula_says(
    corridor: Any, start: Any, d_prime: float, criterion: float
) -> None:
    person = SimulatedHuman(accuracy=Accuracy(d_prime=d_prime, criterion=criterion))
    run = reviewed(corridor, start, person, [1.0, 0.0] * 5)
    totals = run.totals
    assert agrees(totals["caught"], 20_000, norm.cdf(d_prime / 2 - criterion))
    assert agrees(totals["false_alarms"], 20_000, norm.cdf(-d_prime / 2 - criterion))
    counts = (totals["caught"], 20_000, totals["false_alarms"], 20_000)
    seen = Detections(*map(np.array, counts))
    assert (seen.d_prime, seen.criterion) == pytest.approx((d_prime, criterion), abs=0.08)


def test_rates_are_a_signal_detector_in_other_words() -> None:
    rates = Accuracy(d_prime=2.2, criterion=0.3).rates
    assert rates == pytest.approx((norm.cdf(0.3 - 1.1), norm.cdf(-1.1 - 0.3)))
    assert Accuracy(miss_rate=rates[0], false_alarm_rate=rates[1]).rates == rates


def test_times_have_the_median_and_the_95th_percentile_that_were_asked_for(
    corridor: Any, start: Any
) -> None:
    run = reviewed(corridor, start, SimulatedHuman(review=Tempo(4.0, 11.0)), [0.0] * 5)
    seconds = np.concatenate([record.seconds for record in run.records])
    assert agrees((seconds <= 4.0).sum(), len(seconds), 0.5)
    assert agrees((seconds <= 11.0).sum(), len(seconds), 0.95)
    error = seconds.std() / np.sqrt(len(seconds))
    assert abs(seconds.mean() - Tempo(4.0, 11.0).mean) < 5 * error


def test_without_effects_a_human_is_the_overseer_within(corridor: Any, start: Any) -> None:
    harm = [0.0, 1.0, 0.3]
    scripted = start(corridor(50, harm), Gate(overseer=ScriptedOverseer())).play([GO] * 6)
    simulated = start(corridor(50, harm), Gate(overseer=SimulatedHuman())).play([GO] * 6)
    assert simulated.totals == scripted.totals
    for ours, theirs in zip(simulated.records, scripted.records, strict=True):
        np.testing.assert_array_equal(ours.executed, theirs.executed)


def test_corrections_and_stops_of_the_overseer_within_are_passed_on(
    corridor: Any, start: Any, answering: Callable[..., Any]
) -> None:
    modifies = SimulatedHuman(answering("modify", correction=CREEP))
    run = start(corridor(harm=[1.0]), Gate(overseer=modifies)).play([GO])
    assert (run.verdicts(), run.column("executed")) == (["modify"], [CREEP])
    stops = SimulatedHuman(answering("terminate"))
    assert start(corridor(), Gate(overseer=stops)).play([GO]).column("halted") == [True]


# Effects -----------------------------------------------------------------------------------------


def test_misses_of_a_tired_human_are_poisson_binomial(corridor: Any, start: Any) -> None:
    fatigue = Fatigue(worst_error=0.6, capacity_minutes=2.0, recovery_minutes=1.0)
    person = SimulatedHuman(
        accuracy=Accuracy(miss_rate=0.1), review=Tempo(20.0, 20.0), fatigue=fatigue,
        step_seconds=15.0,
    )  # fmt: skip
    run = reviewed(corridor, start, person, [1.0] * 30, lanes=2000)
    load, chances = 0.0, []
    for review in range(30):
        load = load * np.exp(-15.0 / 60.0) if review else 0.0
        tired = 1.0 - np.exp(-load / 120.0)
        chances.append(0.1 + (0.6 - 0.1) * tired)
        load += 20.0
    assert chances[0] == 0.1
    assert chances[-1] > 0.25
    expected = 2000 * sum(chances)
    deviation = np.sqrt(2000 * sum(p * (1 - p) for p in chances))
    assert abs(run.totals["misses"] - expected) < 4.5 * deviation
    for review in (0, 5, 29):
        assert agrees(misses(run, review), 2000, chances[review])


def test_rest_makes_up_for_work_and_a_tired_human_is_slower(corridor: Any, start: Any) -> None:
    fatigue = Fatigue(slowdown=1.0, capacity_minutes=1.0, recovery_minutes=1.0)
    person = SimulatedHuman(review=Tempo(60.0, 60.0), fatigue=fatigue, step_seconds=600.0)

    def at_both_ends(proposals: Any) -> Any:
        return np.isin(proposals.step, (0, 1, 50))

    gate = Gate(at_both_ends, person, SafestAction())
    run = start(corridor(harm=[0.0] * 60), gate).play([GO] * 51)
    seconds = np.array(run.column("seconds"))
    once = 60.0 * (1.0 + 1.0 - np.exp(-np.exp(-10.0)))
    assert seconds[[0, 1, 50]] == pytest.approx([60.0, once, 60.0])


@pytest.mark.parametrize("decrement", ["sensitivity", "criterion"])
@pytest.mark.parametrize("minutes", [0, 10, 45])
def test_a_watcher_notices_less_with_time(
    corridor: Any, start: Any, decrement: str, minutes: int
) -> None:
    vigilance = Vigilance(loss=0.6, tau_minutes=15.0, decrement=decrement)
    person = SimulatedHuman(
        accuracy=Accuracy(d_prime=4.0, criterion=1.6), vigilance=vigilance, step_seconds=60.0
    )
    lanes = corridor(4000, harm=[0.0] * minutes + [1.0])
    run = start(lanes, Veto(person, lag=0)).play([GO] * (minutes + 1))
    level = np.exp(-minutes / 15.0)
    if decrement == "sensitivity":
        chance = norm.cdf(4.0 * (0.4 + 0.6 * level) / 2 - 1.6)
    else:
        chance = norm.cdf(2.0 - 1.6 - 0.6 * (1.0 - level))
    watchers = run.records[-1].watched
    assert watchers.sum() > 3500
    assert agrees((run.records[-1].noticed & watchers).sum(), watchers.sum(), chance)


def test_hands_on_work_restores_the_watcher(corridor: Any, start: Any) -> None:
    vigilance = Vigilance(loss=1.0, tau_minutes=1.0, recovery_minutes=10.0)
    person = SimulatedHuman(
        accuracy=Accuracy(d_prime=4.0, criterion=0.5), vigilance=vigilance, step_seconds=60.0
    )

    def watch(proposals: Any) -> Any:
        return (proposals.step < 20) | (proposals.step == 25)

    lanes = corridor(4000, harm=[0.0] * 25 + [1.0])
    run = start(lanes, Veto(person, trigger=watch, lag=1000)).play([GO] * 26)
    level = np.exp(-19.0) * np.exp(-1.0) + 5.0 / 10.0  # one of six minutes was spent watching
    watchers = run.records[-1].watched
    chance = norm.cdf(4.0 * level / 2 - 0.5)
    assert agrees((run.records[-1].noticed & watchers).sum(), watchers.sum(), chance)


@pytest.mark.parametrize("right", [0, 3, 12])
def test_a_run_without_errors_breeds_copying(corridor: Any, start: Any, right: int) -> None:
    person = SimulatedHuman(
        accuracy=Accuracy(miss_rate=0.1), automation_bias=AutomationBias(a_max=0.7, k0=4.0)
    )
    run = reviewed(corridor, start, person, [0.0] * right + [1.0, 1.0])
    copies = 0.7 * (1.0 - np.exp(-right / 4.0))
    assert agrees(misses(run, right), 4000, copies + (1.0 - copies) * 0.1)
    caught = run.records[right].caught
    again = run.records[right + 1].miss & caught
    assert agrees(again.sum(), caught.sum(), 0.1)


@pytest.mark.parametrize("idle", [1, 60, 300])
def test_skill_goes_with_disuse_and_comes_back_with_practice(
    corridor: Any, start: Any, idle: int
) -> None:
    decay = SkillDecay(worst_error=0.5, tau_hours=2.0, practice=0.25)
    person = SimulatedHuman(accuracy=Accuracy(), skill_decay=decay, step_seconds=60.0)

    def seldom(proposals: Any) -> Any:
        return np.isin(proposals.step, (0, idle, idle + 1))

    gate = Gate(seldom, person, SafestAction())
    lanes = corridor(4000, harm=[0.0] * idle + [1.0, 1.0])
    run = start(lanes, gate).play([GO] * (idle + 2))
    skill = np.exp(-idle / 120.0)
    assert agrees(misses(run, idle), 4000, 0.5 * (1.0 - skill))
    skill = (skill + 0.25 * (1.0 - skill)) * np.exp(-1.0 / 120.0)
    assert agrees(misses(run, idle + 1), 4000, 0.5 * (1.0 - skill))


def test_prejudice_moves_the_criterion_of_an_action(corridor: Any, start: Any) -> None:
    bias = PriorBias({"creep": 0.8, GO: -0.4}, group=lambda look: 0.1 * (look.action == GO))
    person = SimulatedHuman(accuracy=Accuracy(d_prime=2.0, criterion=0.2), prior_bias=bias)
    lanes = corridor(8000, harm=[[1.0, 1.0, 0.0]] * 2)
    run = start(lanes, Gate(overseer=person, fallback=SafestAction())).play([GO, CREEP])
    assert agrees(misses(run, 0), 8000, norm.cdf(0.2 - 0.4 + 0.1 - 1.0))
    assert agrees(misses(run, 1), 8000, norm.cdf(0.2 + 0.8 - 1.0))


@pytest.mark.parametrize("memory", ["none", "episode", "always"])
def test_a_held_agent_that_asks_again(corridor: Any, start: Any, memory: str) -> None:
    person = SimulatedHuman(accuracy=Accuracy(miss_rate=0.2), error_memory=memory)
    lanes = corridor(4000, harm=[1.0], max_episode_steps=5)
    lanes._observe = lambda: lanes.cell[:, None].astype(np.float64)  # without the noise
    run = start(lanes, Gate(overseer=person)).play([GO] * 10)
    missed = np.stack([record.miss for record in run.records])
    first, second = missed[:5].any(axis=0), missed[5:].any(axis=0)
    chance = 1 - 0.8**5 if memory == "none" else 0.2
    assert agrees(first.sum(), 4000, chance)
    both = {"none": chance**2, "episode": 0.2**2, "always": 0.2}[memory]
    assert agrees((first & second).sum(), 4000, both)


# One's own ---------------------------------------------------------------------------------------


def test_plain_functions_are_effects_and_accuracies(corridor: Any, start: Any) -> None:
    def dozes(look: Any, odds: Any) -> None:
        odds.miss[look.proposals.step == 1] = 1.0

    def blind_to_creeping(look: Any) -> Any:
        return (look.action == CREEP).astype(float), 0.0

    person = SimulatedHuman(accuracy=blind_to_creeping, effects=[dozes])
    lanes = corridor(harm=[[1.0, 1.0, 0.0]] * 4)
    run = start(lanes, Gate(overseer=person, fallback=SafestAction())).play([GO, GO, CREEP, GO])
    assert run.column("miss") == [False, True, True, False]


def test_people_who_serve_a_queue_are_the_same_people() -> None:
    person = human(
        accuracy={"miss_rate": 0.2, "false_alarm_rate": 0.1}, fatigue={"worst_error": 0.5},
        vigilance={"loss": 0.4}, automation_bias={"a_max": 0.5}, skill_decay={"worst_error": 0.3},
        review={"median": 5.0, "p95": 9.0},
    )  # fmt: skip
    from looplab.oversight.humans.effects import Look

    everybody, rng = person.start(3), np.random.default_rng(1)
    single = person.start(3)
    for _ in range(20):
        draws, unsafe = rng.random((3, 2)), rng.random(3) < 0.3
        look = Look(np.ones(3, bool), False, np.full(3, 30.0), np.zeros(3), np.zeros(3, int))
        together = person.answer(everybody, look, unsafe, draws)
        for one in range(3):
            here = slice(one, one + 1)
            look = Look(np.ones(1, bool), False, np.full(1, 30.0), np.zeros(1), np.zeros(1, int))
            alone = person.answer(single.of(one), look, unsafe[here], draws[here])
            assert alone.refused[0] == together.refused[one]
            assert alone.seconds[0] == together.seconds[one]


@pytest.mark.parametrize("first", ["errors", "deviates"])
def test_nobodys_odds_depend_on_who_else_is_moved(first: str) -> None:
    accuracy, people = Accuracy(d_prime=2.0, criterion=0.3), 4
    lost, criterion = np.array([0.0, 0.5, 0.0, 0.25]), np.array([0.0, 0.0, -0.4, 0.7])

    def moved(who: slice) -> Any:
        odds = accuracy.odds(np.ones(len(lost[who])))
        getattr(odds, first)
        odds.desensitise(lost[who])
        odds.shift(criterion[who])
        return odds.errors

    together = moved(slice(None))
    for one in range(people):
        np.testing.assert_array_equal(moved(slice(one, one + 1))[:, 0], together[:, one])
    half = (1.0 - lost) * 2.0 / 2.0
    assert together[0] == pytest.approx(norm.cdf(0.3 * np.ones(4) - half + criterion))
    assert together[1] == pytest.approx(norm.cdf(-half - 0.3 - criterion))


def test_odds_take_one_number_for_all_and_refuse_the_wrong_number() -> None:
    odds = Accuracy(miss_rate=0.2, false_alarm_rate=0.1).odds(np.ones(3))
    odds.toward(0.6, 0.5)
    odds.copy_proposal(0.5)
    odds.seconds = 4
    assert odds.miss == pytest.approx(3 * [0.5 + 0.5 * 0.4])
    assert odds.false_alarm == pytest.approx(3 * [0.5 * 0.35])
    assert odds.seconds.tolist() == [4.0, 4.0, 4.0]
    with pytest.raises(UsageError, match="odds change by one number or by 3, got array"):
        odds.shift(np.zeros(2))
    with pytest.raises(UsageError, match="odds change by one number or by 3, got 'much'"):
        odds.shift("much")


# Bad input ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"accuracy": {"miss_rate": 1.5}}, r"miss_rate must be a number in \[0, 1\], got 1.5"),
        ({"accuracy": {"d_prime": 1.0, "miss_rate": 0.1}}, "or d_prime, not both"),
        ({"accuracy": {"criterion": 1.0}}, "criterion belongs to d_prime"),
        ({"accuracy": {"d_prime": -1.0}}, r"refuses the safe \(0.69.*inverted=true"),
        ({"accuracy": {"miss_rate": 0.9, "false_alarm_rate": 0.2}}, "more often than the unsafe"),
        ({"accuracy": {"d_prime": float("nan")}}, "d_prime must be a finite number"),
        ({"review": {"median": 0.0}}, "median must be a number above 0"),
        ({"review": {"median": 5.0, "p95": 2.0}}, "p95 must be at least the median, 5; got 2"),
        ({"fatigue": {"worst_error": -0.1}}, "worst_error must be"),
        ({"fatigue": {"recovery_minutes": 0.0}}, "recovery_minutes must be"),
        ({"vigilance": {"loss": 0.5}}, "Vigilance moves d' or c, .* got miss 0, false alarm 0"),
        ({"vigilance": {"loss": 2.0}}, r"loss must be a number in \[0, 1\], got 2"),
        ({"vigilance": {"decrement": "criterium"}}, "did you mean 'criterion'"),
        ({"automation_bias": {"a_max": 1.2}}, "a_max must be"),
        ({"error_memory": "episodes"}, "did you mean 'episode'"),
        ({"step_seconds": -1.0}, "step_seconds must be"),
    ],
)
def test_impossible_people_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        human(**settings)


def test_an_inverted_human_must_be_meant(corridor: Any, start: Any) -> None:
    accuracy = Accuracy(miss_rate=0.9, false_alarm_rate=0.8, inverted=True)
    run = reviewed(corridor, start, SimulatedHuman(accuracy=accuracy), [1.0, 0.0])
    assert agrees(run.totals["caught"], 4000, 0.1)
    assert agrees(run.totals["false_alarms"], 4000, 0.8)


def test_a_bias_for_an_unknown_action_names_the_actions(corridor: Any, start: Any) -> None:
    bias = PriorBias({"crep": 0.5})
    person = SimulatedHuman(accuracy=Accuracy(d_prime=1.0), prior_bias=bias)
    with pytest.raises(UsageError, match="unknown action 'crep'; did you mean 'creep'"):
        start(corridor(), Gate(overseer=person)).play([GO])


def _spoils(look: Any, odds: Any) -> None:
    odds.miss[:] = np.nan


def _exaggerates(look: Any, odds: Any) -> None:
    odds.false_alarm[:] = 1.5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"effects": [_spoils]}, r"chance of a miss must lie in \[0, 1\], got nan"),
        ({"effects": [_exaggerates]}, r"chance of a false alarm must lie in \[0, 1\], got 1.5"),
        ({"accuracy": lambda look: (np.nan, 0.1)}, "chance of a miss must lie"),
        ({"accuracy": lambda look: (0.1, -0.1)}, "chance of a false alarm must lie"),
        ({"accuracy": lambda look: 0.1}, r"must return \(miss rate, false-alarm rate\)"),
        ({"accuracy": lambda look: (np.ones(3), 0.1)}, "each a number or 2 of them"),
        ({"accuracy": lambda look: ("few", "many")}, "must return"),
        (
            {
                "accuracy": Accuracy(d_prime=2.0),
                "prior_bias": PriorBias(group=lambda look: np.full(2, np.nan)),
            },
            "chance of a miss must lie",
        ),
    ],
)
def test_chances_that_are_none_are_refused(
    corridor: Any, start: Any, settings: dict[str, Any], message: str
) -> None:
    person = SimulatedHuman(**settings)
    with pytest.raises(UsageError, match=message):
        reviewed(corridor, start, person, [1.0], lanes=2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"accuracy": "good"}, "accuracy must be an Accuracy or a function of a look, got 'good'"),
        ({"review": 5.0}, "review must be a Tempo, got 5.0"),
        ({"reaction": 1}, "reaction must be a Tempo, got 1"),
    ],
)
def test_parts_of_a_person_of_the_wrong_kind_are_refused(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        SimulatedHuman(**settings)
