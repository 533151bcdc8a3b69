"""Explanations: why a human is asked, what else could be done, and what was decided before."""

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pandas as pd
import pytest

from looplab.envs.desks.ops_desk import OpsDesk
from looplab.envs.errors import UsageError
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.oversight import (
    AnyOf,
    Audit,
    ConfidenceBelow,
    Correction,
    Explained,
    Feedback,
    Gate,
    Ledger,
    Novelty,
    Overseen,
    Precedents,
    RiskAbove,
    ScriptedOverseer,
    Veto,
    explain,
)

GO, CREEP, WAIT = range(3)
CELLS = [0.0, 0.6, 1.0]
PLACE = ("precedent_lane", "precedent_episode", "precedent_step")
COLUMNS = ("alternative", "alternative_probability", *PLACE)


def cell(observations: Any) -> Any:
    """The corridor's cell alone, without its noise."""
    return observations[:, :1]


class Reader:
    """An overseer who approves everything, and keeps the requests for one lane as they were."""

    def __init__(self, lane: int = 0, precedents: Precedents | None = None) -> None:
        self.lane, self.precedents = lane, precedents
        self.requests: list[Any] = []

    @property
    def parts(self) -> tuple[object, ...]:
        return () if self.precedents is None else (self.precedents,)

    def __call__(self, proposals: Any) -> list[bool]:
        self.requests.append(explain(proposals, self.lane, self.precedents))
        return [True] * len(proposals)


# Requests --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "protocol",
    [lambda t, o: Gate(t, o), lambda t, o: Veto(o, trigger=t), lambda t, o: Feedback(t, o)],
)
def test_an_overseer_can_read_why_he_is_asked(
    corridor: Any, start: Any, policy: Any, protocol: Any
) -> None:
    reader = Reader(lane=1)
    task = corridor(2, harm=CELLS, estimated=[0.0, 0.3, 0.4])
    trigger = AnyOf(RiskAbove(0.5, "exact"), ConfidenceBelow(0.3))
    run = start(task, protocol(trigger, reader), policy=policy(0.7, 0.2, 0.1))
    run.play([[WAIT, GO], [WAIT, CREEP], [WAIT, GO]])
    first, second, third = reader.requests
    assert first.because == ""  # only the other lane is asked about
    assert first.sentence == "Nobody is asked."
    assert (second.because, second.score, second.threshold) == ("confidence <= 0.3", 0.2, 0.3)
    assert second.name == "creep"
    assert (third.because, third.score, third.threshold) == ("exact risk (oracle) >= 0.5", 1.0, 0.5)
    assert (third.lane, third.episode, third.step, third.action) == (1, 0, 2, GO)
    assert third.risks == {"immediate": 1.0, "exact": 1.0, "estimated": 0.4}
    assert third.probability == 0.7
    assert [(a.action, a.name, a.probability) for a in third.alternatives] == [
        (CREEP, "creep", 0.2),
        (WAIT, "wait", 0.1),
    ]
    assert str(third) == (
        "Lane 1, episode 0, step 2: go (70% sure)\n"
        "Asked because of: exact risk (oracle) >= 0.5 (here 1 against 0.5).\n"
        "Instead: creep 20%, wait 10%\n"
        "Risk: immediate 1, exact 1, estimated 0.4"
    )
    assert json.loads(json.dumps(third.as_dict()))["alternatives"][0]["name"] == "creep"


def test_a_trigger_that_reads_nothing_is_named_all_the_same(corridor: Any, start: Any) -> None:
    reader = Reader()
    start(corridor(harm=CELLS), Gate(Audit(1.0), reader)).step(GO)
    assert reader.requests[0].sentence == "Asked because of: audit 1."
    assert reader.requests[0].alternatives == ()
    assert reader.requests[0].probability is None
    start(corridor(harm=CELLS), Gate(Novelty(), reader)).step(GO)
    assert reader.requests[1].sentence == "Asked because of: novelty >= 0.5."


def test_the_last_step_is_explained_afterwards(corridor: Any, start: Any, policy: Any) -> None:
    gate = Gate(AnyOf(RiskAbove(0.5), ConfidenceBelow(0.1)), lambda p: [True])
    run = start(corridor(harm=CELLS), gate, policy=policy(0.7, 0.2, 0.1))
    with pytest.raises(UsageError, match="the engine has made no step"):
        explain(run.engine, 0)
    run.play([GO, GO, GO])
    request = explain(run.engine, 0)
    assert (request.because, request.score, request.name) == ("risk >= 0.5", 1.0, "go")
    assert request.risks == {"risk": 1.0}
    assert [other.name for other in request.alternatives] == ["creep", "wait"]
    earlier = explain(run.records[0], 0)
    assert (earlier.because, earlier.name, earlier.step) == ("", "0", 0)
    with pytest.raises(UsageError, match="lane must be below 1, got 1"):
        explain(run.engine, 1)
    with pytest.raises(UsageError, match="lane must be a whole number of at least 0"):
        explain(run.records[0], -1)


# Precedents ------------------------------------------------------------------------------------


def test_the_nearest_past_decisions_come_with_the_same_action_first(
    corridor: Any, start: Any
) -> None:
    reader = Reader(precedents=Precedents(count=4, features=cell))
    task = corridor(harm=[0.0] * 3, max_episode_steps=4)
    run = start(task, Gate(overseer=reader)).play([GO, CREEP, WAIT, GO, WAIT, GO])
    places = [[(p.episode, p.step) for p in request.precedents] for request in reader.requests]
    assert places[0] == []  # nothing was reviewed yet
    assert places[1] == [(0, 0)]
    # Cells 0, 1, 2, 2 in the first episode, 0, 0 in the second.
    assert places[3] == [(0, 0), (0, 2), (0, 1)]  # go, then by distance
    assert places[4] == [(0, 2), (0, 0), (0, 1), (0, 3)]
    assert places[5] == [(0, 0), (0, 3), (1, 0), (0, 1)]
    found = reader.requests[5].precedents[0]
    assert (found.lane, found.action, found.verdict, found.distance) == (0, GO, "approve", 0.0)
    assert f"Before: approve ({found.reason}) in episode 0, step 0, at distance 0" in str(
        reader.requests[5]
    )
    assert run.totals["reviews"] == 6


def test_precedents_are_the_nearest_by_brute_force(start: Any) -> None:
    """Against loops over everything that was reviewed."""
    gate = Gate(Audit(0.5), fallback=Correction())
    run = start(OpsDesk(4), Explained(gate, Precedents(count=1, memory=100_000)))
    rng = np.random.default_rng(0)
    past: list[tuple[Any, int, tuple[int, ...]]] = []
    for _ in range(60):
        before = run.lanes.observation.astype(np.float64)
        record = run.step(*rng.integers(0, 4, 4).tolist())
        asked = np.flatnonzero(record.asked).tolist()
        for lane in asked:
            found = tuple(int(record.decision.extra[name][lane]) for name in PLACE)
            if not past:
                assert found == (-1, -1, -1)
                continue
            seen = np.array([row for row, *_ in past])
            scale = np.sqrt(seen.var(axis=0) + 1e-6 * seen.var(axis=0).mean() + 1e-10)
            far = np.sqrt((((seen - before[lane]) / scale) ** 2).mean(axis=1))
            other = np.array([action != record.proposed[lane] for _, action, _ in past])
            best = np.where(other & ~other.all(), np.inf, far).min()
            chosen = [place for *_, place in past].index(found)
            assert far[chosen] == pytest.approx(best, rel=1e-3)
        past += [
            (before[i], int(record.proposed[i]), (i, int(record.episode[i]), int(record.step[i])))
            for i in asked
        ]
    assert len(past) > 80


def test_old_precedents_are_forgotten(corridor: Any, start: Any) -> None:
    reader = Reader(precedents=Precedents(count=9, memory=2, features=cell))
    start(corridor(harm=[0.0] * 5), Gate(overseer=reader)).play([GO] * 5)
    assert [(p.step) for p in reader.requests[-1].precedents] == [3, 2]


def test_another_engine_goes_on_with_the_precedents(corridor: Any, start: Any) -> None:
    def reader() -> Reader:
        return Reader(precedents=Precedents(count=1, features=cell))

    former = start(corridor(harm=[0.0] * 3), Gate(overseer=reader())).play([GO] * 3)
    heir = reader()
    run = start(corridor(harm=[0.0] * 3), Gate(overseer=heir))
    run.engine.inherit(former.engine)
    run.play([GO] * 2)
    assert [request.precedents[0].distance for request in heir.requests] == [0.0, 0.0]


# Explained -------------------------------------------------------------------------------------


@pytest.mark.parametrize("explained", [False, True])
def test_the_ledger_names_alternatives_and_precedents_where_they_are_asked_for(
    start: Any, policy: Any, tmp_path: Path, explained: bool
) -> None:
    gate: Any = Gate(RiskAbove(0.1, "immediate"))
    protocol = Explained(gate, Precedents()) if explained else gate
    actions = np.random.default_rng(0).integers(0, 5, (200, 4))
    run = start(
        LavaShortcut(4), protocol, ledger=Ledger(tmp_path), policy=policy(0.1, 0.2, 0.3, 0.15, 0.25)
    ).play(actions)
    run.engine.close()
    frame = pd.read_parquet(tmp_path / "decisions.parquet")
    assert {"because", "score", "threshold"} < set(frame.columns)
    assert [name in frame.columns for name in COLUMNS] == [explained] * 5
    if not explained:
        return
    asked, rest = frame[frame["asked"]], frame[~frame["asked"]]
    assert len(asked) > 50
    assert (asked["alternative"] == np.where(asked["proposed"] == 2, 4, 2)).all()
    likely = np.where(asked["proposed"] == 2, 0.25, 0.3)
    assert asked["alternative_probability"].to_numpy() == pytest.approx(likely)
    assert (rest[["alternative", *PLACE]] == -1).all(axis=None)
    assert rest["alternative_probability"].isna().all()
    assert (asked["precedent_step"] >= 0).mean() > 0.9
    places = set(asked[["lane", "episode", "step"]].itertuples(index=False, name=None))
    named = asked.loc[asked["precedent_step"] >= 0, list(PLACE)]
    assert set(named.itertuples(index=False, name=None)) <= places


def test_explaining_changes_no_decision(start: Any, policy: Any) -> None:
    actions = np.random.default_rng(0).integers(0, 5, (200, 4))
    chances = policy(0.1, 0.2, 0.3, 0.15, 0.25)
    overseer = ScriptedOverseer(miss_rate=0.3, false_alarm_rate=0.2)
    plain, explained = (
        start(LavaShortcut(4), protocol, policy=chances).play(actions)
        for protocol in (
            Gate(Audit(0.5), overseer),
            Explained(Gate(Audit(0.5), overseer), Precedents()),
        )
    )
    assert plain.column("executed") == explained.column("executed")
    assert plain.totals == explained.totals


def test_without_a_policy_there_are_precedents_but_no_alternatives(start: Any) -> None:
    protocol = Explained(Gate(), Precedents(), alternatives=False)
    run = start(LavaShortcut(2), protocol).play([[1, 3]] * 5)
    assert set(run.records[0].decision.extra) == set(PLACE)
    assert (run.records[-1].decision.extra["precedent_step"] >= 0).all()


def test_info_holds_alternatives_and_precedents() -> None:
    env = Overseen(
        gym.make("looplab/LavaShortcut-v0"),
        Explained(Gate(), Precedents(count=1)),
        policy=lambda seen: np.array([0.1, 0.2, 0.3, 0.15, 0.25]),
    )
    env.reset(seed=0)
    infos = [env.step(action)[4]["oversight"] for action in (0, 4)]
    assert infos[0]["because"] == "always"
    assert infos[0]["precedents"] == []
    assert [other["action"] for other in infos[0]["alternatives"]] == [2, 4, 1]
    assert infos[1]["alternatives"][0] == {"action": 2, "probability": 0.3}
    (before,) = infos[1]["precedents"]
    assert (before["step"], before["action"], before["verdict"]) == (0, 0, "approve")
    plain = Overseen(gym.make("looplab/LavaShortcut-v0"), Gate())
    plain.reset(seed=0)
    info = plain.step(0)[4]["oversight"]
    assert info["alternatives"] == info["precedents"] == []


def test_bad_arguments(corridor: Any, start: Any) -> None:
    with pytest.raises(UsageError, match="count must be a whole number of at least 1, got 0"):
        Precedents(count=0)
    with pytest.raises(UsageError, match="memory must be a whole number of at least 1, got 0"):
        Precedents(memory=0)
    with pytest.raises(UsageError, match="must be callable, got 'gate'"):
        start(corridor(harm=[0.0]), Explained("gate"))  # type: ignore[arg-type]
