"""From the words of a command line to the resolved configurations of its cells."""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from looplab import CONFIG_DIR
from looplab.envs.errors import UsageError, choice, probability, unknown, whole, within

#: Column that names the choice of each group that is always an axis of a comparison.
GROUP_AXES = {"env": "env", "regime": "regime", "agent": "algo"}
#: Keys that say how to run, not what: no result depends on them.
RUNNING = ("out", "executor", "workers", "display", "dry_run")
#: Keys of a comparison or an experiment, which no single run has.
SHARED = ("seeds", "sweep", "experiment")
DISPLAYS = ("auto", "rich", "plain", "none")
_EXPERIMENT = "experiment"


@dataclass(frozen=True)
class Plan:
    """What a command line asks for.

    Attributes:
        cells: resolved configuration of every cell, without a seed of its own; ``cell`` in it names
            the cell by its axes.
        seeds: seeds that every cell runs.
        axes: columns that name a cell.
        settings: what all cells share, beside the axes: root scalars and fixed overrides.
        running: the keys of ``RUNNING``.
        experiment: the experiment's question and claim; None without one.
    """

    cells: tuple[dict[str, Any], ...]
    seeds: tuple[int, ...]
    axes: tuple[str, ...]
    settings: dict[str, Any]
    running: dict[str, Any]
    experiment: dict[str, Any] | None


@lru_cache(maxsize=1)
def groups() -> dict[str, tuple[str, ...]]:
    """Choices of every configuration group."""
    return {
        folder.name: tuple(sorted(file.stem for file in folder.glob("*.yaml")))
        for folder in sorted(CONFIG_DIR.iterdir())
        if folder.is_dir() and any(folder.glob("*.yaml"))
    }


def parse(words: Iterable[str]) -> list[Override]:
    """Parses ``key=value`` words and checks the names of groups and their choices.

    Raises:
        UsageError: naming the word, what is allowed and the nearest valid name.
    """
    found = []
    for word in words:
        if "=" not in word or word.startswith(("~", "=")):
            raise UsageError(f"'{word}' is not of the form key=value")
        try:
            override = OverridesParser.create().parse_override(word)
        except HydraException as error:
            raise UsageError(f"'{word}' cannot be read: {_one_line(error)}") from error
        key = override.key_or_group
        if key in groups():
            for value in _values(override):
                if not isinstance(value, str) or value not in groups()[key]:
                    raise unknown(key, value, groups()[key])
        found.append(override)
    return found


def _values(override: Override) -> list[Any]:
    if override.is_sweep_override():
        return [_plain(value) for value in override.sweep_iterator()]
    return [_plain(override.value())]


def _plain(value: Any) -> Any:
    return str(value) if not isinstance(value, bool | int | float | list | dict | None) else value


def plan(words: Sequence[str], sweeps: bool = True) -> Plan:
    """Composes every cell that the words ask for.

    Args:
        words: ``key=value``, as in Hydra; commas sweep.
        sweeps: whether commas and experiments are allowed.

    Raises:
        UsageError: one line, before anything is composed or run.
    """
    overrides = parse(words)
    named = {o.key_or_group: o for o in overrides}
    base = _composed([o.input_line or "" for o in overrides if o.key_or_group == _EXPERIMENT])
    swept, fixed = _split(overrides, base)
    if not sweeps and any(key != "seeds" for key in swept if len(swept[key]) > 1):
        many = next(key for key in swept if len(swept[key]) > 1)
        raise UsageError(f"{many} names several values; only `looplab compare` sweeps")
    axes = tuple(dict.fromkeys((*GROUP_AXES.values(), *(_axis(key) for key in swept))))
    cells = []
    for values in product(*swept.values()):
        cell_words = [f"{key}={_word(value)}" for key, value in zip(swept, values, strict=True)]
        if _EXPERIMENT in named:
            cell_words.append(named[_EXPERIMENT].input_line or "")
        cells.append(_cell([*cell_words, *fixed.values()], dict(zip(swept, values, strict=True))))
    first = cells[0]
    seeds = _seeds(base, named.get("seeds"))
    for cell in cells:
        _check_scalars(cell)
    return Plan(
        cells=tuple(_without(cell, (*RUNNING, *SHARED, "seed")) for cell in cells)
        if sweeps
        else tuple(_without(cell, (*RUNNING, *SHARED)) for cell in cells),
        seeds=seeds,
        axes=axes,
        settings=_settings(first, fixed),
        running={key: first[key] for key in RUNNING},
        experiment=first.get(_EXPERIMENT),
    )


def _split(
    overrides: Sequence[Override], base: Mapping[str, Any]
) -> tuple[dict[str, list[Any]], dict[str, str]]:
    """Axes with their values, groups of ``GROUP_AXES`` always among them; and the fixed words."""
    swept: dict[str, list[Any]] = {}
    for key, values in (base.get("sweep") or {}).items():
        swept[key] = list(values) if isinstance(values, list) else [values]
    fixed: dict[str, str] = {}
    for override in overrides:
        key = override.key_or_group
        if key in (_EXPERIMENT, "seeds"):
            continue
        if override.is_sweep_override() or key in GROUP_AXES or key in swept:
            swept[key] = list(dict.fromkeys(_values(override)))
        else:
            fixed[key] = override.input_line or ""
    for key in swept:
        if key in RUNNING or key == "seed":
            hint = "use seeds=N or seeds=[3,7]" if key == "seed" else "give one value"
            if len(swept[key]) > 1:
                raise UsageError(f"{key} cannot be swept; {hint}")
    _check_keys([*swept, *fixed], base, overrides)
    return swept, fixed


def _check_keys(
    keys: Iterable[str], base: Mapping[str, Any], overrides: Sequence[Override]
) -> None:
    """Checks root keys; keys within groups are checked where their group is known."""
    added = {o.key_or_group for o in overrides if o.is_add() or o.is_force_add()}
    for key in keys:
        root = key.split(".")[0].split("@")[0]
        if root not in base and root not in groups() and key not in added:
            allowed = {*base, *groups()} - {"_choices", "sweep"}
            raise unknown("key", key, allowed)


def _cell(words: Sequence[str], values: Mapping[str, Any]) -> dict[str, Any]:
    _check_inner_keys(words)
    config = _composed(words)
    chosen = config.pop("_choices")
    labels = {axis: chosen[group] for group, axis in GROUP_AXES.items()}
    for key, value in values.items():
        if key not in GROUP_AXES:
            labels[_axis(key)] = value
    config["cell"] = labels
    return config


def _axis(key: str) -> str:
    return GROUP_AXES.get(key, key)


@lru_cache(maxsize=64)
def _keys_of(group_words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_dotted(_composed(group_words)))


def _check_inner_keys(words: Sequence[str]) -> None:
    """Names the nearest key where a dotted one does not exist under the chosen groups."""
    split = [(word, re.split(r"=", word, maxsplit=1)[0]) for word in words]
    chosen = tuple(word for word, key in split if key in groups())
    known = _keys_of(chosen)
    for word, key in split:
        if key not in groups() and not word.startswith("+") and key not in known:
            root = key.split(".")[0]
            allowed = [k for k in known if "_target_" not in k and k.startswith(f"{root}.")]
            raise unknown("key", key, allowed or known)


def _dotted(node: Any, prefix: str = "") -> Iterable[str]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key in ("_choices", "sweep", _EXPERIMENT) and not prefix:
                continue
            yield f"{prefix}{key}"
            yield from _dotted(value, f"{prefix}{key}.")


@contextmanager
def _hydra() -> Any:
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONFIG_DIR), version_base=None):
            yield
    finally:
        GlobalHydra.instance().clear()


def _composed(words: Iterable[str]) -> dict[str, Any]:
    """A resolved configuration as a plain dictionary; ``_choices`` names the groups' choices."""
    try:
        with _hydra():
            config = compose("config", overrides=list(words), return_hydra_config=True)
            choices = dict(config.hydra.runtime.choices)
            OmegaConf.set_struct(config, False)
            del config["hydra"]
            plain = OmegaConf.to_container(config, resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise UsageError(f"cannot compose {' '.join(words)}: {_one_line(error)}") from error
    assert isinstance(plain, dict)  # the root of a configuration is a mapping
    found: dict[str, Any] = {str(key): value for key, value in plain.items()}
    found["_choices"] = choices
    return found


def _one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _word(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(_word(item) for item in value)}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_word(item)}" for key, item in value.items()) + "}"
    return str(value)


def _seeds(base: Mapping[str, Any], override: Override | None) -> tuple[int, ...]:
    given: Any = base["seeds"]
    if override is not None:
        values = _values(override)
        given = values if override.is_sweep_override() else values[0]
    if isinstance(given, list):
        seeds = [whole("seeds", seed, 0) for seed in given]
        if not seeds or len(set(seeds)) != len(seeds):
            raise UsageError(f"seeds must be different whole numbers, got {given}")
        return tuple(seeds)
    return tuple(range(whole("seeds", given, 1)))


def _check_scalars(config: Mapping[str, Any]) -> None:
    from looplab.experiments.executors import EXECUTORS

    whole("seed", config["seed"], 0)
    whole("total_steps", config["total_steps"], 1)
    whole("eval_episodes", config["eval_episodes"], 1)
    whole("max_decisions", config["max_decisions"], 0)
    probability("tolerance", config["tolerance"])
    within("wage_per_hour", config["wage_per_hour"], 0.0)
    within("fee_per_review", config["fee_per_review"], 0.0)
    choice("display", config["display"], DISPLAYS)
    choice("executor", config["executor"], EXECUTORS)
    if config["workers"] is not None:
        whole("workers", config["workers"], 1)
    if not isinstance(config["dry_run"], bool):
        raise UsageError(f"dry_run must be true or false, got {config['dry_run']!r}")
    if config["out"] is not None and (not isinstance(config["out"], str) or not config["out"]):
        raise UsageError(f"out must be a folder, got {config['out']!r}")


def _settings(config: Mapping[str, Any], fixed: Mapping[str, str]) -> dict[str, Any]:
    """What all cells share: root scalars, and what was fixed within or instead of groups."""
    hidden = (*RUNNING, *SHARED, "seed", "cell")
    scalars = {
        key: value
        for key, value in config.items()
        if key not in hidden and not isinstance(value, dict)
    }
    words = {
        key: word.split("=", maxsplit=1)[1]
        for key, word in fixed.items()
        if key not in hidden and key not in scalars
    }
    return {**scalars, **dict(sorted(words.items()))}


def _without(config: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in tuple(keys)}
