"""Questions put to somebody, live or simulated, through the engine, as in any run."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from looplab.experiments.practice.questions import Questions
from looplab.oversight.engine import Engine, Settings
from looplab.oversight.fallbacks import SafestAction
from looplab.oversight.ledger import Ledger
from looplab.oversight.protocols.gate import Gate
from looplab.oversight.triggers import Always
from looplab.oversight.types import APPROVE, ESCALATE, VERDICTS

#: Columns of what ``judged`` returns.
COLUMNS = (
    "question", "lane", "step", "proposed", "risk", "unsafe", "verdict", "answered", "refused",
    "executed", "cost", "seconds", "elapsed",
)  # fmt: skip


def judged(
    questions: Questions,
    overseer: Any,
    *,
    tolerance: float = 0.0,
    lanes: int = 1,
    seed: int = 0,
    ledger: Ledger | None = None,
    stopped: Callable[[Engine], bool] = lambda engine: False,
) -> pd.DataFrame:
    """Asks an overseer every question; what it lets run is executed, else the safest action.

    Args:
        questions: what is asked.
        overseer: who.
        tolerance: risk above which a proposal is unsafe.
        lanes: how often each is asked, with chances of the overseer's own.
        seed: of the overseer's stream.
        ledger: where decisions are written too.
        stopped: tells, after each question, whether no more is to be asked.

    Returns:
        One row per question and lane, ``COLUMNS``. ``answered`` is False where nobody answered in
        time, or the question was passed on (escalated); ``seconds`` are the human's.
    """
    task = questions.lanes(lanes)
    protocol = Gate(overseer=overseer, trigger=Always(), fallback=SafestAction())
    settings = Settings(tolerance=tolerance)
    engine = Engine(task, protocol, settings=settings, ledger=ledger, seed=seed)
    engine.reseed(seed)
    rows = []
    for at in range(len(questions)):
        proposed = np.full(lanes, questions.action[at])
        record = engine.step(proposed)
        verdict = record.verdict.copy()
        answered = (verdict != ESCALATE) & ~record.overdue
        rows.append(
            {
                "question": at, "lane": np.arange(lanes), "step": int(questions.step[at]),
                "proposed": proposed, "risk": float(questions.risk[at]),
                "unsafe": bool(questions.unsafe[at]),
                "verdict": np.array(VERDICTS)[verdict], "answered": answered,
                "refused": answered & (verdict != APPROVE), "executed": record.executed.copy(),
                "cost": record.cost.copy(), "seconds": record.seconds.copy(),
                "elapsed": record.elapsed.copy(),
            }
        )  # fmt: skip
        if stopped(engine):
            break
        if at + 1 < len(questions):
            everywhere = np.ones(lanes, np.bool_)
            task.reset(everywhere)
            engine.begin(everywhere)
    engine.close()
    return pd.concat([pd.DataFrame(row) for row in rows], ignore_index=True)[list(COLUMNS)]
