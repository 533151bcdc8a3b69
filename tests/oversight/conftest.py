"""A scripted task whose risks are chosen by the test, and a driver that steps the bare engine."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest

from looplab.envs.core import Actions, BoolArray, FloatArray, Observations, RiskSource
from looplab.envs.native import NativeLanes
from looplab.oversight import Engine, Ledger, Settings, Signal, Verdicts
from looplab.oversight.engine import Record
from looplab.oversight.types import VERDICTS

GO, CREEP, WAIT = range(3)
REWARDS = np.array([1.0, 0.5, 0.0])


class Corridor(NativeLanes):
    """Cells in a row. Go (reward 1) and creep (0.5) move one cell on, wait (0) stays.

    Going violates in a cell with the probability that the test names; creeping and waiting never
    do, unless a whole table is given. The observation is the cell and one fresh random number, so
    that tests see whether the environment drew anything else.

    Args:
        num_lanes: number of lanes.
        harm: immediate risk of going in each cell, or of every action, shape (S,) or (S, 3).
        exact: exact risk, shape (S,) or (S, 3); None: the immediate one.
        estimated: estimated risk, likewise; None: not offered.
        ends: leaving the last cell ends the episode; if False, the last cell is never left.
        holds: whether the task names a no-op, wait.
        corrects: whether the task supplies a correction, creep.
        irreversible: whether a violation is a catastrophe.
        max_episode_steps: steps after which an episode is truncated.
    """

    STATE: ClassVar[tuple[str, ...]] = ("cell", "noise")
    RESET_DRAWS: ClassVar[int] = 1
    STEP_DRAWS: ClassVar[int] = 2
    ACTIONS: ClassVar[tuple[str, ...]] = ("go", "creep", "wait")

    def __init__(
        self,
        num_lanes: int = 1,
        harm: Sequence[Any] = (0.0,),
        *,
        exact: Sequence[Any] | None = None,
        estimated: Sequence[Any] | None = None,
        ends: bool = False,
        holds: bool = True,
        corrects: bool = True,
        irreversible: bool = False,
        max_episode_steps: int = 1000,
    ) -> None:
        super().__init__(num_lanes, max_episode_steps)
        self.tables: dict[str, FloatArray | None] = {
            "immediate": self._table(harm),
            "exact": self._table(harm if exact is None else exact),
            "estimated": None if estimated is None else self._table(estimated),
        }
        self.ends, self.holds, self.corrects = ends, holds, corrects
        self.irreversible = irreversible
        self.hold_action = WAIT
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float64)
        self.action_space = gym.spaces.Discrete(len(self.ACTIONS))
        self.cell = np.zeros(num_lanes, dtype=np.int64)
        self.noise = np.zeros(num_lanes)
        self.refusals: list[list[bool]] = []

    @staticmethod
    def _table(risk: Sequence[Any]) -> FloatArray:
        given = np.array(risk, dtype=np.float64)
        if given.ndim == 2:
            return given
        table = np.zeros((len(given), len(REWARDS)))
        table[:, GO] = given
        return table

    def _begin(self, mask: BoolArray, draws: FloatArray) -> None:
        self.cell[mask] = 0
        self.noise[mask] = draws[mask, 0]

    def _advance(
        self, actions: Actions, draws: FloatArray
    ) -> tuple[FloatArray, BoolArray, FloatArray]:
        harm = self.tables["immediate"]
        assert harm is not None
        cost = (draws[:, 0] < harm[self.cell, actions]).astype(np.float64)
        last = len(harm) - 1
        moved = self.cell + (actions != WAIT)
        left = moved > last
        self.cell = np.minimum(moved, last)
        self.noise = draws[:, 1].copy()
        return REWARDS[actions], left & self.ends, cost

    def _observe(self) -> Observations:
        return np.stack([self.cell.astype(np.float64), self.noise], axis=1)

    def _catastrophe(self, cost: FloatArray) -> BoolArray:
        return (cost > 0) & self.irreversible

    def risk_table(self, source: RiskSource) -> FloatArray | None:
        table = self.tables[source]
        return None if table is None else table[self.cell]

    def hold(self) -> Actions | None:
        return super().hold() if self.holds else None

    def correction(self) -> Actions | None:
        return np.full(self.num_lanes, CREEP) if self.corrects else None

    def potential(self) -> FloatArray | None:
        return self.cell.astype(np.float64)

    def note_refusals(self, refused: BoolArray) -> None:
        self.refusals.append(refused.tolist())


class Run:
    """Steps the bare engine, resets lanes that are done, and keeps every record."""

    def __init__(
        self,
        lanes: NativeLanes,
        protocol: Any,
        *,
        signal: Signal | None = None,
        settings: Settings | None = None,
        ledger: Ledger | None = None,
        policy: Any = None,
        seed: int = 0,
    ) -> None:
        self.lanes = lanes
        self.engine = Engine(lanes, protocol, signal, settings, ledger)
        self.engine.policy = policy
        self.engine.reseed(seed)
        lanes.reseed(seed)
        lanes.reset()
        self.engine.begin(np.ones(lanes.num_lanes, dtype=np.bool_))
        self.records: list[Record] = []

    def step(self, *actions: int) -> Record:
        """One step of all lanes; a single action goes for every lane."""
        given = actions * self.lanes.num_lanes if len(actions) == 1 else actions
        record = self.engine.step(np.array(given))
        self.records.append(record)
        if record.done.any():
            self.lanes.reset(record.done)
            self.engine.begin(record.done)
        return record

    def play(self, actions: Iterable[Any]) -> "Run":
        """Steps through actions: each one number for every lane, or one number per lane."""
        for action in actions:
            self.step(*np.atleast_1d(action).tolist())
        return self

    def column(self, name: str, lane: int = 0) -> list[Any]:
        """One column of the records, or of their decisions, in one lane."""
        owners = [r if hasattr(r, name) else r.decision for r in self.records]
        return [getattr(owner, name)[lane].tolist() for owner in owners]

    def verdicts(self, lane: int = 0) -> list[str]:
        """The verdicts by name."""
        return [VERDICTS[code] for code in self.column("verdict", lane)]

    def reasons(self, lane: int = 0) -> list[str]:
        """The reasons in words."""
        return [r.decision.reasons.texts[r.decision.reason[lane]] for r in self.records]

    def overseers(self, lane: int = 0) -> list[str]:
        """The overseers' names."""
        return [r.decision.names.texts[r.decision.overseer[lane]] for r in self.records]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One row per finished episode."""
        return self.engine.episodes

    @property
    def totals(self) -> dict[str, float | int]:
        return self.engine.totals


@pytest.fixture
def corridor() -> type[Corridor]:
    """The scripted task."""
    return Corridor


@pytest.fixture
def start() -> type[Run]:
    """Starts a run: ``start(lanes, protocol, **settings)``."""
    return Run


@pytest.fixture
def answering() -> Callable[..., Any]:
    """An overseer that gives the same verdict to all, with what comes along with it."""

    def make(
        verdict: str = "approve", seconds: float = 0.0, correction: int | None = None
    ) -> Callable[[Any], Verdicts]:
        def overseer(proposals: Any) -> Verdicts:
            n = len(proposals)
            return Verdicts(
                code=np.full(n, VERDICTS.index(verdict), dtype=np.int8),
                seconds=np.full(n, float(seconds)),
                reason=np.zeros(n, dtype=np.int64),
                reasons=("because",),
                overseer="someone",
                correction=None if correction is None else np.full(n, correction),
            )

        return overseer

    return make


class Probabilities:
    """A policy that anybody can ask: the same probabilities in every state, shape (A,)."""

    def __init__(self, *chances: float) -> None:
        self.chances = np.array(chances)
        self.probabilities = np.zeros((0, len(chances)))
        self.confidence = np.zeros(0)

    def __call__(self, actions: Actions) -> "Probabilities":
        self.probabilities = np.tile(self.chances, (len(actions), 1))
        self.confidence = self.chances[actions]
        return self


@pytest.fixture
def policy() -> type[Probabilities]:
    """A policy with the same probabilities in every state: ``policy(0.7, 0.2, 0.1)``."""
    return Probabilities
