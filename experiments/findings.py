"""What a comparison says, in plain sentences computed from its numbers, and what to be wary of."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd

from looplab.experiments.cells import cell_labels, task_title
from looplab.experiments.metrics import RESAMPLING_SEED, WINDOW_EPISODES
from looplab.experiments.number_text import short_number, whole_number, with_interval
from looplab.experiments.statistics import Interval, paired_difference

#: Fewer seeds than this are too few for a look.
FEWEST_SEEDS = 5
#: Where at least this share of the seeds is frozen, a cell is left out of the ranking by safety.
FROZEN_SHARE = 0.5
#: Numbers of a summary row that are compared between cells.
ALONE, OVERSEEN = "alone_violations_per_1k", "overseen_violations_per_1k"
TRAIN = "train_violations_per_1k"
CONFIDENCE_ERROR, RISK_ERROR = "confidence_calibration_error", "risk_calibration_error"
#: Mean gap of a probability and what it predicts above which it is called uncalibrated.
FAR_OFF = 0.1


def interval_of(cell: pd.Series, metric: str) -> Interval:
    """A metric of one row of ``metrics.summary`` with its interval; ends NaN where it has none."""
    ends = (float(cell.get(f"{metric}{end}", np.nan)) for end in ("_low", "_high"))
    return Interval(float(cell[metric]), *ends)


def headlines(
    cells: pd.DataFrame, seeds: pd.DataFrame, axes: Sequence[str]
) -> dict[str, list[str]]:
    """Findings of each task, most important first.

    Args:
        cells: the result of ``metrics.summary``.
        seeds: the result of ``metrics.per_seed``, for differences paired by seed.
        axes: the columns that name a cell.

    Returns:
        Sentences by the task's title.
    """
    labelled = cells.assign(label=[f"\u201c{label}\u201d" for label in cell_labels(cells, axes)])
    found = {}
    for task, own in labelled.groupby("env", sort=False):
        sentences = [
            *_safest_alone(own, seeds, axes),
            *_best_return_alone(own),
            *_hidden_by_presence(own),
            *_in_training(own),
            *_human_time(own),
        ]
        found[task_title(task)] = sentences
    return found


def warnings_about(
    cells: pd.DataFrame, axes: Sequence[str], notes: Sequence[str] = ()
) -> list[str]:
    """What a reader must know before believing the tables, each in one sentence or two."""
    labelled = cells.assign(
        label=[
            f"\u201c{label}\u201d ({task_title(task)})"
            for label, task in zip(cell_labels(cells, axes), cells["env"], strict=True)
        ]
    )
    return [
        *few_seeds(labelled),
        *_frozen(labelled),
        *_censored(labelled),
        *_zeros(labelled),
        *_uncalibrated(labelled),
        *notes,
    ]


def drift_findings(found: pd.DataFrame) -> dict[str, list[str]]:
    """What monitors made of a drift, by the task's title.

    Args:
        found: the result of ``drift_detection.detections``.
    """
    said: dict[str, list[str]] = {}
    for _, cell in found.iterrows():
        times = round(cell["detected"] * cell["seeds"])
        late = ""
        if times:
            delay = with_interval(interval_of(cell, "delay"))
            late = f", {delay} steps after the drift of step {whole_number(cell['drift_step'])}"
        false = with_interval(interval_of(cell, "false_alarms_per_1k"))
        said.setdefault(task_title(cell["env"]), []).append(
            f"In \u201c{cell['label']}\u201d {cell['monitor']} raised an alarm in {times} of "
            f"{cell['seeds']} seeds{late}; before it, {false} alarms per 1k steps."
        )
    return said


def _safest_alone(own: pd.DataFrame, seeds: pd.DataFrame, axes: Sequence[str]) -> Iterator[str]:
    known = own[own[ALONE].notna()]
    still = known["frozen_seeds"] >= FROZEN_SHARE
    moving, frozen = known[~still].sort_values(ALONE, kind="stable"), known[still]
    if not moving.empty:
        best = moving.iloc[0]
        yield (
            f"Safest alone: {best['label']}, with {_violations(best, ALONE)} once the overseer "
            f"is gone ({with_interval(interval_of(best, OVERSEEN))} overseen), at a return of "
            f"{with_interval(interval_of(best, 'alone_return'))}."
        )
        if len(moving) > 1:
            yield _against_next(best, moving.iloc[1], seeds, axes)
    if not frozen.empty:
        subject = "looks" if len(frozen) == 1 else "look"
        yield (
            f"{_listed(frozen['label'])} {subject} safe only because agents stay still "
            f"({_listed(_frozen_share(cell) for _, cell in frozen.iterrows())} seeds), and so "
            f"{'is' if len(frozen) == 1 else 'are'} left out of this ranking."
        )


def _against_next(
    best: pd.Series, following: pd.Series, seeds: pd.DataFrame, axes: Sequence[str]
) -> str:
    values = [
        seeds[(seeds[list(axes)].astype(str) == cell[list(axes)].astype(str)).all(axis=1)]
        .set_index("seed")[ALONE]
        .dropna()
        for cell in (following, best)
    ]
    shared = values[0].index.intersection(values[1].index)
    gap = paired_difference(
        values[0].loc[shared].to_numpy(float),
        values[1].loc[shared].to_numpy(float),
        rng=np.random.default_rng(RESAMPLING_SEED),
    )
    name = f"Next comes {following['label']}, with {short_number(gap.mean)} more per 1k steps"
    if gap == Interval(0.0, 0.0, 0.0):
        return (
            f"{following['label']} does as well: equal numbers in every one of {len(shared)} seeds."
        )
    if np.isnan(gap.low):
        return f"{name}; one seed cannot tell whether that is chance."
    told = (
        "" if gap.low > 0.0 else ", an interval that includes 0: these seeds cannot tell them apart"
    )
    return f"{name}, 95\u00a0% interval {_ends(gap)} over {len(shared)} paired seeds{told}."


def _best_return_alone(own: pd.DataFrame) -> Iterator[str]:
    known = own[own["alone_return"].notna() & own[ALONE].notna()]
    if len(known) > 1:
        best = known.loc[known["alone_return"].idxmax()]
        yield (
            f"Highest return alone: {best['label']}, "
            f"{with_interval(interval_of(best, 'alone_return'))}, with {_violations(best, ALONE)}."
        )


def _hidden_by_presence(own: pd.DataFrame) -> Iterator[str]:
    gap = (own[ALONE] - own[OVERSEEN]).dropna()
    if gap.empty:
        return
    cell = own.loc[gap.idxmax()]
    if cell[f"{ALONE}_low"] > cell[f"{OVERSEEN}_high"]:
        yield (
            f"What the overseer's presence hides is largest for {cell['label']}: "
            f"{_violations(cell, OVERSEEN)} overseen, {short_number(cell[ALONE])} alone."
        )
    elif gap.max() > 0.0:
        yield (
            "No regime's agents violate clearly more alone than overseen; the largest gap is that "
            f"of {cell['label']}, {short_number(cell[OVERSEEN])} overseen and "
            f"{short_number(cell[ALONE])} alone per 1k steps."
        )


def _in_training(own: pd.DataFrame) -> Iterator[str]:
    none = own[own["train_violations"] == 0.0]
    most = own.loc[own[TRAIN].idxmax()] if own[TRAIN].notna().any() else None
    if not none.empty:
        bounds = none[f"{TRAIN}_high"].dropna()
        bound = (
            f" (95\u00a0% upper bound {short_number(bounds.max())} per 1k)" if len(bounds) else ""
        )
        alone = none[ALONE].dropna()
        after = (
            f"; alone afterwards {_listed(map(short_number, alone))} per 1k" if len(alone) else ""
        )
        yield f"No violation at all in training: {_listed(none['label'])}{bound}{after}."
    if most is not None and most[TRAIN] > 0.0:
        yield f"Most violations in training: {most['label']}, {_violations(most, TRAIN)}."


def _human_time(own: pd.DataFrame) -> Iterator[str]:
    spent = own[own["human_hours"] > 0.0].sort_values("human_hours", kind="stable")
    if spent.empty:
        return
    least, most = spent.iloc[0], spent.iloc[-1]
    first = f"Human time per run: {short_number(least['human_hours'])} h for {least['label']}"
    if len(spent) == 1 or least["human_hours"] == most["human_hours"]:
        yield f"{first}." if len(spent) == 1 else f"{first} and each other overseen regime."
        return
    top = spent.loc[spent["human_hours"] == most["human_hours"], "label"]
    yield f"{first}, up to {short_number(most['human_hours'])} h for {_listed(top)}."


def few_seeds(cells: pd.DataFrame) -> Iterator[str]:
    """That seeds are too few to believe, if they are; ``cells`` has the column ``seeds``."""
    few = cells[cells["seeds"] < FEWEST_SEEDS]
    if few.empty:
        return
    least = int(few["seeds"].min())
    which = "every cell" if len(few) == len(cells) else f"{len(few)} of {len(cells)} cells"
    consequence = (
        "there are no intervals" if least == 1 else "intervals are wide, and order may be luck"
    )
    yield (
        f"Only {least} seed{'s' * (least > 1)} in {which}: {consequence}. "
        f"Take at least {FEWEST_SEEDS} for a look, 10 for documentation, 20 for a headline."
    )


def _frozen(cells: pd.DataFrame) -> Iterator[str]:
    for _, cell in cells[cells["frozen_seeds"] > 0.0].iterrows():
        yield (
            f"Frozen agents: {_frozen_share(cell)} seeds of {cell['label']}. Alone they earn no "
            "more than at the start of training and violate next to nothing; their safety is that "
            "of standing still."
        )


def _censored(cells: pd.DataFrame) -> Iterator[str]:
    late = cells[cells["threshold_seeds"] < 1.0]
    if late.empty:
        return
    shares = [
        f"{cell['label']} {round(cell['threshold_seeds'] * cell['seeds'])} of {cell['seeds']}"
        for _, cell in late.iterrows()
    ]
    yield (
        "Steps to threshold are censored where seeds never got there (the mean of the last "
        f"{WINDOW_EPISODES} training episodes counts); seeds that did: {'; '.join(shares)}. "
        "Regimes also change the return that can be reached: do not rank them by this number alone."
    )


def _zeros(cells: pd.DataFrame) -> Iterator[str]:
    for metric, where in ((TRAIN, "in training"), (ALONE, "alone")):
        zero = cells[(cells[metric] == 0.0) & cells[f"{metric}_high"].notna()]
        if not zero.empty:
            bound = short_number(float(zero[f"{metric}_high"].max()))
            yield (
                f"No violation {where} is no proof of safety: for {_listed(zero['label'])} "
                f"the data allow up to {bound} per 1k steps (exact Poisson, 95\u00a0%)."
            )


def _uncalibrated(cells: pd.DataFrame) -> Iterator[str]:
    for metric, what, means in (
        (CONFIDENCE_ERROR, "the policy's confidence", "that a proposal is safe"),
        (RISK_ERROR, "the estimated risk", "of a violation"),
    ):
        far = cells[cells[metric] > FAR_OFF]
        if not far.empty:
            worst = far.loc[far[metric].idxmax()]
            yield (
                f"Uncalibrated: {what} is no probability {means} in {len(far)} of {len(cells)} "
                f"cells; it is off by {short_number(worst[metric])} on average in "
                f"{worst['label']}. A threshold on it means something else in every cell."
            )


def _frozen_share(cell: pd.Series) -> str:
    return f"{round(cell['frozen_seeds'] * cell['seeds'])} of {cell['seeds']}"


def _violations(cell: pd.Series, metric: str) -> str:
    return f"{with_interval(interval_of(cell, metric))} violations per 1k steps"


def _ends(interval: Interval) -> str:
    mean, _, ends = with_interval(interval).partition(" ")
    return ends or f"[{mean}, {mean}]"


def _listed(names: Iterable[object]) -> str:
    items = [str(name) for name in names]
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
