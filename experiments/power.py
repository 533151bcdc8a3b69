"""The ``power`` command: how many seeds does a difference need?"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import pandas as pd

from looplab.envs.errors import UsageError
from looplab.experiments.findings import FEWEST_SEEDS
from looplab.experiments.metrics import RESAMPLING_SEED
from looplab.experiments.number_text import short_number, whole_number, with_interval
from looplab.experiments.pilot import Pilot, read_pilot
from looplab.experiments.power_words import Asked, asked
from looplab.experiments.result_folder import load
from looplab.experiments.statistics import (
    Floats,
    Interval,
    detectable_effect,
    mean_interval,
    seeds_needed,
    spread_interval,
)
from looplab.experiments.statistics.power import MOST_SEEDS
from looplab.experiments.text_table import text_table


def show_power(words: Sequence[str], say: Callable[[str], None]) -> None:
    """Shows the seeds that differences need, and the difference that seeds can show.

    Args:
        words: a results folder and ``key=value``, see ``power_words.asked``.
        say: prints lines; nothing is written.

    Raises:
        UsageError: if the words, the folder or what they name cannot be used.
    """
    request = asked(words)
    pilot = None if request.folder is None else read_pilot(load(request.folder), request)
    spread = _spread(request, pilot)
    if pilot is not None:
        say("\n".join(_about(pilot, spread)))
    say(
        f"paired t test of equal seeds, two-sided at level {request.level:g}, "
        f"power {request.power:g}"
    )
    if request.effects:
        say(text_table(_needed(request, spread)))
    for seeds in _counts(request, pilot):
        say(_shown(request, spread, seeds))
    for warning in _warnings(request, pilot, spread):
        say(f"warning: {warning}")


def _spread(request: Asked, pilot: Pilot | None) -> Interval:
    """Standard deviation of the differences; without a pilot it has no interval."""
    if pilot is None:
        return Interval(float(request.spread or 0.0), float("nan"), float("nan"))
    if np.ptp(pilot.differences) == 0.0:
        raise UsageError(
            f"the pilot's {pilot.differences.size} differences are all "
            f"{short_number(float(pilot.differences[0]))}: without a spread nothing can be "
            "planned; take a larger pilot, or give sd= instead of the folder"
        )
    return spread_interval(float(pilot.differences.std(ddof=1)), pilot.differences.size)


def _about(pilot: Pilot, spread: Interval) -> Iterator[str]:
    mean = mean_interval(pilot.differences, rng=np.random.default_rng(RESAMPLING_SEED))
    yield pilot.title
    yield (
        f"pilot of {pilot.differences.size} paired seeds: difference {with_interval(mean)}, "
        f"standard deviation {with_interval(spread)}, 95 % intervals"
    )


def _needed(request: Asked, spread: Interval) -> pd.DataFrame:
    count = partial(seeds_needed, power=request.power, significance=request.level)
    rows = []
    for effect in request.effects:
        row = {"effect": short_number(effect), "seeds needed": _count(count(effect, spread.mean))}
        if not np.isnan(spread.low):
            for sd in (spread.low, spread.high):
                row[f"if sd is {short_number(sd)}"] = _count(count(effect, sd))
        rows.append(row)
    return pd.DataFrame(rows)


def _counts(request: Asked, pilot: Pilot | None) -> list[int]:
    """Numbers of seeds of which the reverse is told: the pilot's, and what was asked about."""
    own = None if pilot is None else pilot.differences.size
    return [seeds for seeds in dict.fromkeys((own, request.seeds)) if seeds is not None]


def _shown(request: Asked, spread: Interval, seeds: int) -> str:
    show = partial(detectable_effect, seeds, power=request.power, significance=request.level)
    effects = Interval(*(show(sd) if sd == sd else float("nan") for sd in spread))
    return f"{seeds} seeds can show a difference of {with_interval(effects)} or more"


def _warnings(request: Asked, pilot: Pilot | None, spread: Interval) -> Iterator[str]:
    if pilot is not None and pilot.differences.size < FEWEST_SEEDS:
        yield (
            f"{pilot.differences.size} seeds hardly know their own spread: the seeds needed may "
            "be any number between the last two columns; take at least "
            f"{FEWEST_SEEDS} for a pilot"
        )
    few = [e for e in request.effects if _seeds(request, e, spread.mean) < FEWEST_SEEDS]
    if few:
        yield (
            f"fewer than {FEWEST_SEEDS} seeds are too few for a look, whatever the test finds: "
            "take 10 for documentation, 20 for a headline"
        )
    if pilot is not None and _zeros(pilot.differences):
        yield "most differences are 0: rare events are not normal, and may need many more seeds"


def _seeds(request: Asked, effect: float, spread: float) -> int:
    return seeds_needed(effect, spread, power=request.power, significance=request.level)


def _zeros(differences: Floats) -> bool:
    return bool((differences == 0.0).mean() >= 0.5)


def _count(seeds: int) -> str:
    return f"{whole_number(seeds)} or more" if seeds >= MOST_SEEDS else whole_number(seeds)
