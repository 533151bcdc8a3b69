"""Performance profiles: of all runs of a label, the share with a higher return, at every return."""

import numpy as np
import pandas as pd
from matplotlib.ticker import PercentFormatter

from looplab.experiments.cells import task_title
from looplab.experiments.figures.sheet import Material, Painted, line_handles, titled_panels
from looplab.experiments.statistics import Profile, performance_profile

#: Runs of a label, over all tasks, from which a distribution says something.
FEWEST_RUNS = 5
#: Up to this many labels profiles have their bands.
MOST_WITH_BANDS = 4
BAND_ALPHA = 0.14
MEASURE = "alone_return"


def are_enough(material: Material) -> bool:
    """Whether at least two labels have runs enough on every task."""
    return len(scores_by_label(material)) > 1


def performance_profiles(material: Material) -> Painted:
    """Share of runs above every return alone; returns of several tasks are put on one scale."""
    scores = scores_by_label(material)
    tasks = [task for task, _ in material.tasks()]
    scaled = len(tasks) > 1
    x_label = (
        "Return alone: 0 is the lowest of a task's runs, 1 the highest"
        if scaled
        else "Task return per episode, alone"
    )
    title = f"{len(tasks)} tasks together" if scaled else task_title(tasks[0])
    canvas, (axes,) = titled_panels([title], x_label, "Runs with a higher return")
    marks = {mark.label: mark for mark in material.marks}
    for label, own in scores.items():
        found, mark = profile(own), marks[label]
        axes.plot(
            found.thresholds, found.share, color=mark.colour, linestyle=mark.line,
            drawstyle="steps-post", marker=mark.marker, markevery=(1, max(1, len(own) // 4)),
            markeredgecolor="white", markeredgewidth=0.4,
        )  # fmt: skip
        if len(scores) <= MOST_WITH_BANDS:
            axes.fill_between(
                found.thresholds, found.low, found.high, step="post", color=mark.colour,
                alpha=BAND_ALPHA, linewidth=0,
            )  # fmt: skip
    axes.set_ylim(-0.03, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    handles = [one for one in line_handles(material) if one.get_label() in scores]
    return canvas, [*handles]


def profile(scores: np.ndarray) -> Profile:
    """The profile of runs at their own scores, from just outside of them on."""
    room = 0.02 * max(float(np.ptp(scores)), 1e-9)
    at = np.concatenate([[scores.min() - room], np.unique(scores), [scores.max() + room]])
    return performance_profile(scores, at)


def scores_by_label(material: Material) -> dict[str, np.ndarray]:
    """Scores of every label that has runs enough on every task, all tasks together.

    Returns of several tasks are scaled to [0, 1] by the lowest and the highest of a task's runs.
    """
    tasks = [task for task, _ in material.tasks()]
    seeds = pd.concat(
        [
            own.assign(label=mark.label)
            for own, mark in zip(material.seeds_of_cells, material.marks, strict=True)
        ]
    )
    seeds = seeds[seeds[MEASURE].notna()]
    if len(tasks) > 1:
        of_task = seeds.groupby("env")[MEASURE]
        low, high = of_task.transform("min"), of_task.transform("max")
        seeds = seeds.assign(
            **{MEASURE: (seeds[MEASURE] - low) / (high - low).where(high > low, 1)}
        )
    return {
        str(label): own[MEASURE].to_numpy(float)
        for label, own in seeds.groupby("label", sort=False)
        if own["env"].nunique() == len(tasks) and len(own) >= FEWEST_RUNS
    }
