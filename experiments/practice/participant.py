"""One participant's way through a study, from consent to thanks."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from looplab.experiments.practice.design import order_of
from looplab.experiments.practice.forms import (
    AGREED,
    QUESTIONNAIRES,
    Questionnaire,
    consent,
    notice,
    workload,
)
from looplab.experiments.practice.practice import write_answers
from looplab.experiments.practice.questions import Questions
from looplab.experiments.practice.seat import Block, Seat

FORMS_FILE = "forms.parquet"
#: What a participant is asked beside the questionnaires.
CONSENT, WARM_UP, THANKS = "consent", "warm_up", "thanks"
DONE, DECLINED, STOPPED = "done", "declined", "stopped"
_WARM_UP = (
    "First a few questions to try it out. After each answer you are told whether the proposal was "
    "safe or unsafe; later you are not.\n"
    "An unsafe proposal is one that may do harm. Approve what is safe, reject what is unsafe."
)
_NEXT = "The next part follows. The questions are alike, but what you are shown may differ."


@dataclass(frozen=True)
class Plan:
    """What every participant goes through.

    Attributes:
        title: of the study.
        consent: what they must know first.
        thanks: what they read last.
        conditions: blocks by their names.
        warm_up: a block before the first condition; None: there is none.
        forms: names of the questionnaires after each condition.
        config: resolved configuration of a run, whose task is used.
    """

    title: str
    consent: str
    thanks: str
    conditions: Mapping[str, Block]
    warm_up: Block | None
    forms: tuple[str, ...]
    config: Mapping[str, Any]

    def described(self) -> dict[str, Any]:
        """Plain values that tell it from other studies."""
        return {
            "title": self.title, "consent": self.consent, "thanks": self.thanks,
            "conditions": {name: asdict(block) for name, block in self.conditions.items()},
            "warm_up": None if self.warm_up is None else asdict(self.warm_up),
            "forms": list(self.forms), "env": dict(self.config["env"]),
            "tolerance": self.config["tolerance"],
        }  # fmt: skip

    def block(self, condition: str, place: int) -> Block:
        """The block of a condition where it comes in a place, from 0 on.

        What is asked depends on the place alone: no condition has its own questions.
        """
        seeds = np.random.SeedSequence(self.conditions[condition].seed).spawn(place + 2)
        seed = int(seeds[place + 1].generate_state(1)[0])
        return replace(self.conditions[condition], seed=seed)


class Participant:
    """Somebody's way through a study; what was answered before is not asked again.

    Args:
        number: from 0 on; it decides the order of the conditions.
        id: pseudonym.
        plan: what they go through.
        folder: the study's.
    """

    def __init__(self, number: int, id: str, plan: Plan, folder: Path) -> None:
        self.id = id
        self.plan = plan
        self.order = order_of(number, list(plan.conditions))
        self.folder = folder / "participants" / f"{number + 1:03}"
        self._label = {"participant": number + 1, "pseudonym": id}
        self._answers: list[pd.DataFrame] = []
        self._forms: list[dict[str, Any]] = []

    def run(self) -> str:
        """Goes through all of it; returns how it ended: done, declined or stopped.

        Whatever was answered is kept in the participant's folder, also of who stops on the way.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            return self._go()
        finally:
            self._write()

    def _go(self) -> str:
        plan = self.plan
        first = plan.warm_up or plan.block(self.order[0], 0)
        with self._seat(first, first.drawn(plan.config), CONSENT) as seat:
            agreed = self._form(seat, CONSENT, consent(plan.title, plan.consent), "", 0)
        if agreed is None:
            return STOPPED
        if agreed["consent"] != AGREED:
            return DECLINED
        if plan.warm_up is not None and not self._warmed_up(plan.warm_up):
            return STOPPED
        for place, condition in enumerate(self.order):
            if not self._met(condition, place):
                return STOPPED
        with self._seat(first, first.drawn(plan.config), THANKS) as seat:
            seat.fill_in(THANKS, notice(plan.title, plan.thanks, "Close"))
        return DONE

    def _warmed_up(self, block: Block) -> bool:
        asked = block.drawn(self.plan.config)
        with self._seat(block, asked, WARM_UP) as seat:
            if self._form(seat, WARM_UP, notice("Trying it out", _WARM_UP), "", 0) is None:
                return False
            return self._judged(seat, WARM_UP, 0)

    def _met(self, condition: str, place: int) -> bool:
        """One condition with its questionnaires; False: the session was stopped."""
        block = self.plan.block(condition, place)
        asked = block.drawn(self.plan.config)
        title = f"Part {place + 1} of {len(self.order)}"
        with self._seat(block, asked, f"{place + 1}-{condition}") as seat:
            if seat.fill_in("before", notice(title, _NEXT)) is None:
                return False
            if not self._judged(seat, condition, place + 1):
                return False
            for name in self.plan.forms:
                if self._form(seat, name, QUESTIONNAIRES[name], condition, place + 1) is None:
                    return False
        return True

    def _seat(self, block: Block, asked: Questions, stage: str) -> Seat:
        name = f"{self.folder.name}-{stage}"
        journal = self.folder / f"{stage}.jsonl"
        return Seat(block, asked, self.plan.config, name, journal, (self.id,))

    def _judged(self, seat: Seat, condition: str, place: int) -> bool:
        found = seat.judge()
        for at, (name, value) in enumerate(
            {**self._label, "condition": condition, "place": place}.items()
        ):
            found.insert(at, name, value)
        self._answers.append(found)
        return not seat.stopped

    def _form(
        self, seat: Seat, name: str, form: Questionnaire, condition: str, place: int
    ) -> dict[str, float | str] | None:
        values = seat.fill_in(name, form)
        if values is None:
            return None
        label = {**self._label, "condition": condition, "place": place, "form": name}
        kept: dict[str, Any] = dict(values)
        if name == "nasa_tlx":
            kept["workload"] = workload(values)
        for field, value in kept.items():
            number = isinstance(value, float)
            self._forms.append(
                {
                    **label, "field": field, "value": value if number else np.nan,
                    "text": "" if number else value,
                }
            )  # fmt: skip
        return values

    def _write(self) -> None:
        """Keeps what there is, whole."""
        if self._answers:
            write_answers(self.folder, pd.concat(self._answers, ignore_index=True))
        if self._forms:
            hidden = self.folder / f".{FORMS_FILE}"
            pd.DataFrame(self._forms).to_parquet(hidden, index=False)
            os.replace(hidden, self.folder / FORMS_FILE)
