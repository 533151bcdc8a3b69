"""Labels that stand at the ends of lines, where there are few enough to be read there."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from looplab.experiments.curves import Curve
from looplab.experiments.figures.marks import Mark
from looplab.experiments.figures.sheet import TASKS_TWO_ABREAST, Material

#: Lines up to which each is labelled at its end, and the longest label beside two panels abreast.
MOST_LINES, LONGEST_ABREAST = 6, 14
POINTS = 6.5
#: Least distance of two labels, and places of marker and text beyond the panel, as shares of it.
APART, MARKER_AT, TEXT_AT = 0.078, 1.025, 1.05
INK, LEADER = "#333333", "#999999"


def stands_at_ends(material: Material) -> bool:
    """Whether labels fit beside the panels, so that no legend is needed."""
    labels = {mark.label for mark in material.marks}
    tasks = len(material.tasks())
    short = max(map(len, labels)) <= LONGEST_ABREAST
    return len(labels) <= MOST_LINES and (tasks == 1 or (short and tasks <= TASKS_TWO_ABREAST))


def label_ends(axes: Axes, curves: Sequence[Curve], marks: Sequence[Mark]) -> None:
    """Writes each line's label to the right of the panel, at the height of its last point.

    Call it when the panel's limits are final.
    """
    low, high = axes.get_ylim()
    ends = [
        (float(np.clip((curve.mean[-1] - low) / (high - low), 0.0, 1.0)), mark)
        for curve, mark in zip(curves, marks, strict=True)
        if len(curve.mean)
    ]
    ends.sort(key=lambda end: end[0])
    places = spread([place for place, _ in ends], APART)
    for place, (end, mark) in zip(places, ends, strict=True):
        beyond: dict[str, Any] = {"transform": axes.transAxes, "clip_on": False}
        axes.plot([1.0, MARKER_AT], [end, place], color=LEADER, linewidth=0.5, **beyond)
        axes.plot(
            [MARKER_AT], [place], color=mark.colour, marker=mark.marker, markersize=4, **beyond
        )
        axes.text(TEXT_AT, place, mark.label, fontsize=POINTS, color=INK, va="center", **beyond)


def spread(places: Sequence[float], apart: float) -> list[float]:
    """Moves rising places as little as need be, so that neighbours lie ``apart`` or more.

    >>> [round(place, 2) for place in spread([0.5, 0.5, 0.9], 0.1)]
    [0.45, 0.55, 0.9]
    """
    groups: list[list[float]] = []
    for place in places:
        groups.append([place])
        while len(groups) > 1 and _start(groups[-1], apart) < _end(groups[-2], apart) + apart:
            groups[-2:] = [groups[-2] + groups[-1]]
    return [_start(group, apart) + k * apart for group in groups for k in range(len(group))]


def _start(group: Sequence[float], apart: float) -> float:
    return sum(group) / len(group) - apart * (len(group) - 1) / 2.0


def _end(group: Sequence[float], apart: float) -> float:
    return _start(group, apart) + apart * (len(group) - 1)
