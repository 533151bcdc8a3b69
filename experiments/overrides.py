"""From the words of a command line to the resolved configurations of its cells."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from looplab.envs.errors import UsageError, choice, finite, probability, whole
from looplab.experiments.cells import GROUP_AXES
from looplab.experiments.composition import (
    CHOICES,
    EXPERIMENT,
    SWEEP,
    TRIAL,
    WITHOUT,
    composed,
)
from looplab.experiments.result_folder import TRAIN
from looplab.experiments.selection import matches
from looplab.experiments.versions import OTHER_VERSION
from looplab.experiments.words import Value, Word, check_keys, check_roots, parse, value_of

#: Keys that say how to run, not what: no result depends on them.
RUNNING = ("out", "other_version", "executor", "tracker", "workers", "display", "dry_run")
#: Keys of a comparison or an experiment, which no single run has.
SHARED = ("seeds", SWEEP, WITHOUT, EXPERIMENT)
DISPLAYS = ("auto", "rich", "plain", "none")
#: Words that no axis can have, by their first part: how to run, and which seeds.
_NO_AXIS = {
    **dict.fromkeys(RUNNING, "give one value"),
    "seed": "use seeds=N or seeds=3,7",
}


@dataclass(frozen=True)
class Plan:
    """What a command line asks for.

    Attributes:
        cells: resolved configuration of every cell; ``cell`` in it names the cell by its axes. A
            comparison's have no seed of their own.
        seeds: seeds that every cell runs.
        trial: the kind of the runs.
        axes: columns that name a cell.
        settings: what all cells share, beside the axes: root scalars and fixed overrides.
        running: the keys of ``RUNNING``.
        experiment: the experiment's question and claims; None without one.
    """

    cells: tuple[dict[str, Any], ...]
    seeds: tuple[int, ...]
    trial: str
    axes: tuple[str, ...]
    settings: dict[str, Any]
    running: dict[str, Any]
    experiment: dict[str, Any] | None


def plan(words: Sequence[str], sweeps: bool = True) -> Plan:
    """Composes every cell that the words ask for.

    Args:
        words: ``key=value``, as in Hydra; commas sweep.
        sweeps: a comparison: several cells and ``seeds``; else one cell and ``seed``.

    Raises:
        UsageError: one line, before anything runs.
    """
    given = parse(words)
    named = {word.key: word for word in given}
    _check_seed_words(named, sweeps)
    experiment = [word for key, word in named.items() if key == EXPERIMENT]
    if experiment and len(experiment[0].values) > 1:
        raise UsageError("experiment names several; a comparison is one experiment")
    prepared = [word.with_value(word.values[0]) for word in experiment]
    if TRIAL in named:
        prepared.append(_trial_word(named[TRIAL], sweeps))
    base = composed(prepared)
    check_roots(given, {*base, *SHARED} - {CHOICES, SWEEP, WITHOUT})
    if experiment:
        _check_experiment(base)
    swept, fixed = _split(given, base)
    if not sweeps:
        _check_single(swept)
    axes = tuple(dict.fromkeys((*GROUP_AXES.values(), *map(_axis, swept))))
    fixed_words = [word.with_value(word.values[0]) for word in fixed]
    cells = [
        _cell(dict(zip(swept, values, strict=True)), [*prepared, *fixed_words], named)
        for values in product(*swept.values())
        if not _done_without(dict(zip(swept, values, strict=True)), base)
    ]
    if not cells:
        raise UsageError(f"experiment {base[EXPERIMENT]['name']} does without every cell asked for")
    hidden = (*RUNNING, *SHARED, *(("seed",) if sweeps else ()))
    return Plan(
        cells=tuple(_without(cell, hidden) for cell in cells),
        seeds=_seeds(base["seeds"], named.get("seeds")) if sweeps else (cells[0]["seed"],),
        trial=base[CHOICES][TRIAL],
        axes=axes,
        settings=_settings(cells[0], fixed, swept),
        running={key: cells[0][key] for key in RUNNING},
        experiment=cells[0].get(EXPERIMENT),
    )


def _check_seed_words(named: Mapping[str, Word], sweeps: bool) -> None:
    if sweeps and "seed" in named:
        raise UsageError("seed is for one run; compare takes seeds=N, or the seeds: seeds=3,7")
    if not sweeps and "seeds" in named:
        raise UsageError("seeds is for `looplab compare`; one run takes seed=N")


def _split(
    words: Sequence[Word], base: Mapping[str, Any]
) -> tuple[dict[str, list[Value]], list[Word]]:
    """Axes with their values, those of the experiment first; and the words that are fixed."""
    swept: dict[str, list[Value]] = {}
    for key, values in (base.get(SWEEP) or {}).items():
        swept[key] = _different(map(value_of, values if isinstance(values, list) else [values]))
    fixed = []
    for word in words:
        if word.key in (EXPERIMENT, TRIAL, "seeds"):
            continue
        if word.sweeps and _root(word.key) in _NO_AXIS:
            raise UsageError(f"{word.key} cannot be swept; {_NO_AXIS[_root(word.key)]}")
        if word.sweeps or word.key in GROUP_AXES or word.key in swept:
            swept[word.key] = _different(word.values)
        else:
            fixed.append(word)
    return swept, fixed


def _trial_word(word: Word, sweeps: bool) -> str:
    """The word for the kind of trial."""
    if word.sweeps:
        raise UsageError(f"{TRIAL} cannot be swept; give one value")
    if not sweeps and word.values[0].label != TRAIN:
        raise UsageError(f"{TRIAL}={word.values[0].label} is for `looplab compare`")
    return word.with_value(word.values[0])


def _different(values: Iterable[Value]) -> list[Value]:
    """A value that is named twice is one cell."""
    return list({str(value.label): value for value in values}.values())


def _check_experiment(base: Mapping[str, Any]) -> None:
    from looplab.experiments.experiment import check_experiment  # imports what draws figures

    check_experiment(base)


def _done_without(values: Mapping[str, Value], base: Mapping[str, Any]) -> bool:
    """Whether the experiment leaves out the cell with these values."""
    labels = {axis: base[CHOICES][group] for group, axis in GROUP_AXES.items()}
    labels |= {_axis(key): value.label for key, value in values.items()}
    return any(matches(labels, wanted) for wanted in base.get(WITHOUT) or ())


def _check_single(swept: Mapping[str, Sequence[Value]]) -> None:
    many = [key for key, values in swept.items() if len(values) > 1]
    if many:
        raise UsageError(f"{many[0]} names several values; only `looplab compare` sweeps")


def _cell(
    values: Mapping[str, Value], shared: Sequence[str], named: Mapping[str, Word]
) -> dict[str, Any]:
    """Composes one cell and labels it."""
    words = [
        f"{named[key].prefix if key in named else ''}{key}={value.text}"
        for key, value in values.items()
    ]
    words += shared
    check_keys(words)
    config = composed(words)
    chosen = config.pop(CHOICES)
    labels = {axis: chosen[group] for group, axis in GROUP_AXES.items()}
    config["cell"] = labels | {
        key: value.label for key, value in values.items() if key not in GROUP_AXES
    }
    _check_scalars(config)
    return config


def _root(key: str) -> str:
    return key.partition(".")[0]


def _axis(key: str) -> str:
    return GROUP_AXES.get(key, key)


def _seeds(default: Any, word: Word | None) -> tuple[int, ...]:
    given: Any = default
    if word is not None:
        given = [value.label for value in word.values] if word.sweeps else word.raw
    if not isinstance(given, list):
        return tuple(range(whole("seeds", given, 1)))
    seeds = tuple(whole("each of seeds", seed, 0) for seed in given)
    if not seeds:
        raise UsageError("seeds names no seed; give how many, seeds=N, or which, seeds=3,7")
    twice = [seed for seed in seeds if seeds.count(seed) > 1]
    if twice:
        raise UsageError(
            f"seeds names {twice[0]} twice, which would be one run; give different whole numbers"
        )
    return seeds


def _check_scalars(config: Mapping[str, Any]) -> None:
    whole("seed", config["seed"], 0)
    whole("total_steps", config["total_steps"], 1)
    whole("eval_episodes", config["eval_episodes"], 1)
    whole("max_decisions", config["max_decisions"], 0)
    probability("tolerance", config["tolerance"])
    finite("wage_per_hour", config["wage_per_hour"], 0.0)
    finite("fee_per_review", config["fee_per_review"], 0.0)
    choice("display", config["display"], DISPLAYS)
    choice("other_version", config["other_version"], OTHER_VERSION)
    if config["workers"] is not None:
        whole("workers", config["workers"], 1)
    if not isinstance(config["dry_run"], bool):
        raise UsageError(f"dry_run must be true or false, got {config['dry_run']!r}")
    out = config["out"]
    if out is not None and (not isinstance(out, str) or not out):
        raise UsageError(f"out must be a folder, got {out!r}")


def _settings(
    config: Mapping[str, Any], fixed: Sequence[Word], swept: Iterable[str]
) -> dict[str, Any]:
    """What all cells share: root scalars, and what was fixed within or instead of groups."""
    hidden = (*RUNNING, *SHARED, "seed", "cell", *swept)
    scalars = {
        key: value
        for key, value in config.items()
        if key not in hidden and not isinstance(value, dict)
    }
    words = {
        word.key: word.values[0].label
        for word in fixed
        if _root(word.key) not in hidden and word.key not in scalars
    }
    return {**scalars, **dict(sorted(words.items()))}


def _without(config: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    hidden = tuple(keys)
    return {key: value for key, value in config.items() if key not in hidden}
