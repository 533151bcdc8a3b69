"""Somebody's seat before questions whose answers are known: asked, judged and kept."""

import hashlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from looplab.experiments.practice.forms import Questionnaire
from looplab.experiments.practice.judging import judged
from looplab.experiments.practice.questions import Questions, questions
from looplab.oversight.engine import Engine
from looplab.oversight.ledger import Ledger

if TYPE_CHECKING:
    pass

#: What a session of questions is called where a run names its regime.
PRACTICE = "practice"


@dataclass(frozen=True)
class Block:
    """Questions that belong together, and how they are asked.

    Attributes:
        questions: how many.
        unsafe_share: share of them whose proposal is unsafe.
        limit: seconds for each; None: all the time.
        show_risk: whether the exact risk is shown.
        pictures: whether pictures are.
        seed: of what is asked.
        feedback: whether each answer is judged at once.
    """

    questions: int
    unsafe_share: float
    limit: float | None
    show_risk: bool
    pictures: bool
    seed: int
    feedback: bool = False

    def drawn(self, config: Mapping[str, Any]) -> Questions:
        """Its questions, from a run's resolved configuration; see ``questions.questions``."""
        return questions(config, self.questions, self.unsafe_share, self.seed)


class Seat(AbstractContextManager["Seat"]):
    """One person, or whoever comes, before one block.

    Args:
        block: what is asked.
        asked: its questions.
        config: a run's resolved configuration.
        session: name of the session.
        journal: where answers are kept while it goes on; the same again takes them from there.
        people: pseudonyms of those who are asked; empty: whoever comes.
    """

    def __init__(
        self,
        block: Block,
        asked: Questions,
        config: Mapping[str, Any],
        session: str,
        journal: Path,
        people: tuple[str, ...] = (),
    ) -> None:
        from looplab.oversight.live.line import LiveRun
        from looplab.oversight.live.overseer import LiveOverseer

        self.overseer: LiveOverseer = LiveOverseer(
            show_risk=block.show_risk, pictures=block.pictures, limit=block.limit
        )
        #: Whether the session was stopped by the kill switch.
        self.stopped = False
        self._asked = asked
        self._tolerance = float(config["tolerance"])
        self._lanes = asked.lanes()
        env = str(config["cell"]["env"])
        self.overseer.bind(
            LiveRun(
                env=env, regime=PRACTICE, algo="", session=session,
                identity=_digest(f"{session}/{env}/{block}"), journal=journal, people=people,
                practice=block.feedback,
            )
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        self.overseer.close(finished=kind is None)

    def judge(self, ledger: Ledger | None = None) -> pd.DataFrame:
        """Asks every question; see ``judging.judged``. Fewer rows where the session was stopped."""

        def stopped(engine: Engine) -> bool:
            self.stopped = engine.state(self.overseer).stopped
            return self.stopped

        return judged(
            self._asked, self.overseer, tolerance=self._tolerance, ledger=ledger, stopped=stopped
        )

    def fill_in(
        self, name: str, form: Questionnaire | Mapping[str, Any], picture: bytes | None = None
    ) -> dict[str, float | str] | None:
        """Asks for a form; None where the session was stopped."""
        shown, fields = (
            (form.shown(), form.fields) if isinstance(form, Questionnaire) else (form, ())
        )
        answer = self.overseer.fill_in(self._lanes, name, shown, fields, picture)
        return None if answer is None else dict(answer["values"])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
