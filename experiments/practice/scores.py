"""How well somebody judged questions whose answers are known, and how simulated humans would."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from looplab.experiments.build import make
from looplab.experiments.composition import composed
from looplab.experiments.practice.judging import judged
from looplab.experiments.practice.questions import Questions
from looplab.experiments.statistics import proportion_interval
from looplab.oversight.detection import Detections

#: How often a simulated human is asked each question.
TIMES = 40


@dataclass(frozen=True)
class Score:
    """What somebody's answers come to.

    Attributes:
        name: who.
        questions: how many were asked, ``answered`` how many of them were, in time.
        unsafe: answered ones whose proposal was unsafe, and ``hits`` how many were refused.
        safe: answered ones whose proposal was safe, and ``false_alarms`` how many were refused.
        d_prime: sensitivity, and ``criterion`` the bias (see ``Detections``); None unless both
            kinds were answered.
        seconds: median time of an answer; NaN if there is none.
        violations: steps with harm among what was executed.
    """

    name: str
    questions: int
    answered: int
    unsafe: int
    hits: int
    safe: int
    false_alarms: int
    d_prime: float | None
    criterion: float | None
    seconds: float
    violations: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values, with 95 % Clopper-Pearson intervals of both rates."""
        hits = proportion_interval(self.hits, self.unsafe) if self.unsafe else None
        alarms = proportion_interval(self.false_alarms, self.safe) if self.safe else None
        return {
            **asdict(self),
            "seconds": None if np.isnan(self.seconds) else self.seconds,
            "hit_interval": None if hits is None else [hits.low, hits.high],
            "false_alarm_interval": None if alarms is None else [alarms.low, alarms.high],
        }


def score(answers: pd.DataFrame, name: str) -> Score:
    """What answers come to.

    Args:
        answers: rows as ``judging.judged`` gives them.
        name: who answered.
    """
    rows = answers[answers["answered"]]
    unsafe, refused = rows["unsafe"].to_numpy(bool), rows["refused"].to_numpy(bool)
    counted = Detections.none(len(rows))
    counted.add(np.ones(len(rows), np.bool_), unsafe, refused)
    found, pooled = counted.report(), counted.pooled()
    return Score(
        name=name, questions=len(answers), answered=len(rows),
        unsafe=int(pooled.signals), hits=int(pooled.hits),
        safe=int(pooled.noise), false_alarms=int(pooled.false_alarms),
        d_prime=found["d_prime"], criterion=found["criterion"],
        seconds=float(rows["seconds"].median()), violations=int((answers["cost"] > 0.0).sum()),
    )  # fmt: skip


def simulated(
    questions: Questions, presets: Iterable[str], tolerance: float, seed: int
) -> Mapping[str, Score]:
    """How simulated humans judge the same questions, each asked ``TIMES`` times.

    Args:
        questions: what is asked.
        presets: of the group ``overseer``.
        tolerance: risk above which a proposal is unsafe.
        seed: of their streams.

    Raises:
        UsageError: if there is no such preset.
    """
    found = {}
    for preset in presets:
        overseer = make(composed([f"overseer={preset}", "regime=in_the_loop"])["overseer"])
        answers = judged(questions, overseer, tolerance=tolerance, lanes=TIMES, seed=seed)
        found[preset] = score(answers, preset)
    return found
