"""What a study found: each participant's scores, and differences between conditions."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from looplab.experiments.practice.participant import WARM_UP
from looplab.experiments.practice.scores import score
from looplab.experiments.statistics import paired_difference

#: Measures that conditions are compared by.
MEASURES = (
    "d_prime", "criterion", "hit_rate", "false_alarm_rate", "seconds", "unanswered", "workload",
    "trust",
)  # fmt: skip
_LEAST_PAIRS = 2


def scores_of(answers: pd.DataFrame, forms: pd.DataFrame | None) -> pd.DataFrame:
    """One row per participant and condition, with the ``MEASURES``; the warm-up is left out.

    Args:
        answers: rows of ``answers.parquet``.
        forms: rows of ``forms.parquet``; None: there are none.
    """
    rows = []
    counted = answers[answers["condition"] != WARM_UP]
    keys = ["participant", "pseudonym", "condition", "place"]
    for (number, who, condition, place), own in counted.groupby(keys, sort=False):
        found = score(own, str(who))
        rows.append(
            {
                "participant": number, "pseudonym": who, "condition": condition, "place": place,
                "questions": found.questions, "answered": found.answered,
                "d_prime": found.d_prime, "criterion": found.criterion,
                "hit_rate": found.hits / found.unsafe if found.unsafe else None,
                "false_alarm_rate": found.false_alarms / found.safe if found.safe else None,
                "seconds": found.seconds, "unanswered": found.questions - found.answered,
                "workload": _of_form(forms, number, condition, "nasa_tlx", "workload"),
                "trust": _of_form(forms, number, condition, "trust", None),
            }
        )  # fmt: skip
    table = pd.DataFrame(rows)
    for name in MEASURES:
        table[name] = pd.to_numeric(table[name]) if name in table else None
    return table


def _of_form(
    forms: pd.DataFrame | None, number: int, condition: str, form: str, field: str | None
) -> float | None:
    """A field of a form, or the mean of all its fields; None where it was not filled in."""
    if forms is None:
        return None
    mine = (forms["participant"] == number) & (forms["condition"] == condition)
    rows = forms[mine & (forms["form"] == form)]
    values = rows["value"] if field is None else rows.loc[rows["field"] == field, "value"]
    return float(values.mean()) if len(values) else None


def contrasts(scores: pd.DataFrame, conditions: Sequence[str]) -> pd.DataFrame:
    """Differences between conditions, paired by participants, with 95 % intervals.

    Over participants who met both (see ``statistics.mean_interval``); no ends with fewer than two.

    Args:
        scores: the result of ``scores_of``.
        conditions: their names, in order; each is compared with those before it.
    """
    rows = []
    for before, after in combinations(conditions, 2):
        for name in MEASURES:
            wide = scores.pivot(index="participant", columns="condition", values=name)
            if before not in wide or after not in wide:
                continue
            pairs = wide[[before, after]].dropna()
            if pairs.empty:
                continue
            row = {
                "measure": name, "of": after, "than": before, "participants": len(pairs),
                "mean_of": float(pairs[after].mean()), "mean_than": float(pairs[before].mean()),
                "difference": float((pairs[after] - pairs[before]).mean()),
                "low": float("nan"), "high": float("nan"),
            }  # fmt: skip
            if len(pairs) >= _LEAST_PAIRS:
                found = paired_difference(
                    pairs[after].to_numpy(), pairs[before].to_numpy(), rng=np.random.default_rng(0)
                )
                row |= {"low": found.low, "high": found.high}
            rows.append(row)
    return pd.DataFrame(
        rows,
        columns=["measure", "of", "than", "participants", "mean_of", "mean_than", "difference",
                 "low", "high"],
    )  # fmt: skip
