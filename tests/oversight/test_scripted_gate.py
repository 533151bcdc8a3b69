"""A gate in one compiled loop decides and records what a gate of separate parts does."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from looplab.agents.probe import PolicyOutput
from looplab.envs.desks.ops_desk import OpsDesk
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.oversight import (
    Always,
    AnyOf,
    Chow,
    ConfidenceBelow,
    Correction,
    Feedback,
    Gate,
    Halt,
    Hold,
    NextBest,
    RiskAbove,
    SafestAction,
    ScriptedOverseer,
    Settings,
    Signal,
    Stack,
)
from looplab.oversight.columns import COLUMNS, STORES
from looplab.oversight.protocols import gate, scripted_gate

from .conftest import Corridor, Run

STEPS, LANES = 300, 6


#: The same person in a class of its own, who is therefore asked like anybody else; streams go by
#: the class's name.
Told = type("ScriptedOverseer", (ScriptedOverseer,), {})


class Sure(RiskAbove):
    """A trigger that says why it asks in its own words."""

    def reasons(self, proposals: Any, asked: Any) -> Any:
        return super().reasons(proposals, asked)


def _policy(seed: int) -> Callable[[Any], PolicyOutput]:
    rng = np.random.default_rng(seed)

    def read(proposed: Any) -> PolicyOutput:
        chances = rng.dirichlet(np.ones(4), len(proposed))
        return PolicyOutput(np.log(chances), proposed)

    return read


def _play(lanes: Any, protocol: Any, **settings: Any) -> Run:
    run = Run(lanes, protocol, policy=_policy(5), seed=11, **settings)
    rng = np.random.default_rng(2)
    for _ in range(STEPS):
        run.step(*rng.integers(0, 4, LANES).tolist())
    return run


def _same(together: Run, apart: Run) -> None:
    """Every column of every step, what was executed, and every text, are the same."""
    for one, other in zip(together.records, apart.records, strict=True):
        block, at = one.decision.row
        other_block, other_at = other.decision.row
        codes = COLUMNS["codes"]
        for store in STORES:
            mine, theirs = getattr(block, store)[at], getattr(other_block, store)[other_at]
            if store != "codes":
                np.testing.assert_array_equal(mine, theirs)
        for name in codes:
            lexicons = [d.names if name == "overseer" else d.reasons
                        for d in (one.decision, other.decision)]  # fmt: skip
            texts = [[lexicon.texts[code] for code in getattr(record, name)]
                     for lexicon, record in zip(lexicons, (one, other), strict=True)]  # fmt: skip
            assert texts[0] == texts[1]
        np.testing.assert_array_equal(one.executed, other.executed)
        np.testing.assert_array_equal(one.observation, other.observation)
    assert together.engine.totals == apart.engine.totals
    np.testing.assert_equal(together.rows, apart.rows)


TRIGGERS = {
    "risk": lambda: RiskAbove(0.05),
    "exact risk": lambda: RiskAbove(0.05, "exact"),
    "chow": lambda: Chow(review_cost=0.02),
    "confidence": lambda: ConfidenceBelow(0.4),
}


@pytest.mark.parametrize("trigger", TRIGGERS)
@pytest.mark.parametrize(("miss", "false_alarm"), [(0.0, 0.0), (0.3, 0.0), (0.2, 0.25)])
@pytest.mark.parametrize("fallback", [Hold, SafestAction, Correction, NextBest, Halt])
def test_both_ways_decide_and_record_the_same(
    trigger: str, miss: float, false_alarm: float, fallback: type
) -> None:
    def played(person: type[ScriptedOverseer]) -> Run:
        overseer = person(miss, false_alarm, review_seconds=3.5, name="Ada")
        return _play(OpsDesk(LANES), Gate(TRIGGERS[trigger](), overseer, fallback()))

    together, apart = played(ScriptedOverseer), played(Told)
    assert scripted_gate.fits(TRIGGERS[trigger](), ScriptedOverseer())
    assert not scripted_gate.fits(TRIGGERS[trigger](), Told())
    _same(together, apart)
    asked = np.stack([record.asked for record in together.records])
    refused = np.stack([record.refused for record in together.records])
    assert 0 < asked.sum() < asked.size
    assert 0 < refused.sum() <= asked.sum()


@pytest.mark.parametrize("lanes", [OpsDesk, LavaShortcut])
def test_they_do_so_after_other_protocols_and_with_penalties_and_tolerance(lanes: type) -> None:
    def played(person: type[ScriptedOverseer]) -> Run:
        first = Gate(Always(), lambda p: p.lanes.elapsed % 3 > 0, Hold())
        second = Gate(RiskAbove(0.01), person(0.1, 0.1), Hold())
        protocol = Stack([first, second, Feedback(overseer=person(0.2, 0.2))])
        signal, settings = Signal(penalty=0.5), Settings(tolerance=0.02)
        return _play(lanes(LANES), protocol, signal=signal, settings=settings)

    _same(played(ScriptedOverseer), played(Told))


def test_trapped_lanes_are_told_apart_from_unsafe_ones() -> None:
    def played(person: type[ScriptedOverseer]) -> Run:
        harm = [(0.5, 0.2, 0.1), (0.9, 0.0, 0.0), (0.3, 0.3, 0.3)]
        run = Run(Corridor(LANES, harm, ends=True), Gate(RiskAbove(0.2), person(), Hold()))
        return run.play(np.random.default_rng(1).integers(0, 3, (STEPS, LANES)))

    together = played(ScriptedOverseer)
    _same(together, played(Told))
    assert together.engine.totals["unavoidable"] > 0


def test_a_threshold_that_moves_between_steps_is_heeded() -> None:
    trigger = RiskAbove(1.0)
    run = Run(OpsDesk(LANES), Gate(trigger, ScriptedOverseer()))
    assert not run.step(0).asked.any()
    trigger.tau = 0.0
    record = run.step(0)
    assert record.asked.all()
    assert record.decision.reasons.texts[record.because[0]] == "risk >= 0"
    assert record.threshold.tolist() == [0.0] * LANES


@pytest.mark.parametrize(
    ("trigger", "overseer", "settings"),
    [
        (Always(), ScriptedOverseer(), {}),
        (AnyOf(RiskAbove(0.1), RiskAbove(0.2)), ScriptedOverseer(), {}),
        (Sure(0.1), ScriptedOverseer(), {}),
        (RiskAbove(0.1), Told(), {}),
        (RiskAbove(0.1), ScriptedOverseer(), {"world": "running"}),
        (RiskAbove(0.1), ScriptedOverseer(), {"deadline_seconds": 9.0}),
    ],
)
def test_whatever_does_more_goes_part_by_part(
    trigger: Any, overseer: Any, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*given: Any) -> None:
        raise AssertionError("the loop does not know of this")

    monkeypatch.setattr(gate.scripted_gate, "review", never)
    run = Run(OpsDesk(LANES), Gate(trigger, overseer, **settings))
    for _ in range(5):
        run.step(0)
    assert run.engine.totals["reviews"] > 0
