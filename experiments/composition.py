"""Hydra's configuration groups, composed into plain dictionaries."""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from looplab import CONFIG_DIR
from looplab.envs.errors import UsageError, choice
from looplab.experiments.composer import Composer
from looplab.experiments.yaml_text import read_yaml

#: Where a composed configuration names the choice of every group.
CHOICES = "choices"
#: An experiment's axes with their values.
SWEEP = "sweep"
#: Cells of an experiment's axes that it does without, by some of their values.
WITHOUT = "without"
EXPERIMENT = "experiment"
#: The group that says what a run does.
TRIAL = "trial"
_ROOT = "config"
#: Holds what one task needs of one agent; it is chosen with them, never by hand.
_TUNED = "tuned"
#: The key whose value may need settings of its own.
MODE = "env.reward_mode"
_CACHED = 64


@lru_cache(maxsize=1)
def groups() -> dict[str, tuple[str, ...]]:
    """Choices of every configuration group."""
    return {
        folder.name: tuple(sorted(file.stem for file in folder.glob("*.yaml")))
        for folder in sorted(CONFIG_DIR.iterdir())
        if folder.is_dir() and folder.name != _TUNED and any(folder.glob("*.yaml"))
    }


def composed(words: Iterable[str]) -> dict[str, Any]:
    """Composes Hydra's words into a resolved plain dictionary.

    Its entry ``CHOICES`` names the choice of every group. What a task needs of an agent in one of
    its reward modes, ``tuned/ENV_MODE_AGENT.yaml``, replaces what it needs in the others.

    Raises:
        UsageError: one line, if Hydra cannot.
    """
    words = list(words)
    deciding = {*groups(), MODE}
    special = _special(tuple(w for w in words if w.partition("=")[0] in deciding))
    return _composed([*words, *special])


@lru_cache(maxsize=_CACHED)
def _special(words: tuple[str, ...]) -> tuple[str, ...]:
    """The word for what the chosen task needs of the chosen agent in its reward mode, if any."""
    named = [word.partition("=")[2] for word in words if word.startswith("env=")]
    if named and not any((CONFIG_DIR / _TUNED).glob(f"{named[0]}_*_*.yaml")):
        return ()  # whatever is chosen beside it, without composing it
    found = _composed(words)
    chosen, mode = found[CHOICES], found["env"].get(MODE.rpartition(".")[2])
    name = f"{chosen['env']}_{mode}_{chosen['agent']}"
    return (f"{_TUNED}={name}",) if (CONFIG_DIR / _TUNED / f"{name}.yaml").is_file() else ()


def _composed(words: Iterable[str]) -> dict[str, Any]:
    words = list(words)
    try:
        found, choices = _composer(str(CONFIG_DIR)).compose(words)
    except (HydraException, OmegaConfBaseException) as error:
        raise UsageError(f"cannot compose {' '.join(words)}: {one_line(error)}") from error
    return {**found, CHOICES: choices}


@lru_cache(maxsize=1)
def _composer(folder: str) -> Composer:
    """Remembers what it has read: a comparison composes many cells from the same few files."""
    return Composer(folder, _ROOT)


@lru_cache(maxsize=_CACHED)
def keys_under(choices: tuple[str, ...]) -> tuple[str, ...]:
    """Every dotted key that exists where the groups have been chosen so.

    Args:
        choices: ``group=choice`` words, and ``MODE``'s.
    """
    return tuple(_dotted(composed(choices)))


def _dotted(node: Any, prefix: str = "") -> Iterator[str]:
    if not isinstance(node, Mapping):
        return
    for key, value in node.items():
        if prefix or key not in (CHOICES, SWEEP, WITHOUT, EXPERIMENT):
            yield f"{prefix}{key}"
            yield from _dotted(value, f"{prefix}{key}.")


def choices_with(key: str) -> list[str]:
    """Which choices of a dotted key's group have that key.

    >>> choices_with("protocol.lag")
    ['veto']
    """
    group, *rest = key.split(".")
    return [name for name in groups().get(group, ()) if _has(_inherited(group, name), rest)]


def class_of_trial(name: str) -> str:
    """Full name of the class of a kind of trial.

    Raises:
        UsageError: if there is no such kind.
    """
    return str(_file(TRIAL, choice(TRIAL, name, groups()[TRIAL]))["_target_"])


def _has(node: Any, path: list[str]) -> bool:
    for part in path:
        if not isinstance(node, Mapping) or part not in node:
            return False
        node = node[part]
    return True


def _inherited(group: str, name: str) -> Any:
    """A choice's own keys and those of the files that it is built on."""
    own = _file(group, name)
    if not isinstance(own, dict):
        return own
    found: dict[str, Any] = {}
    for entry in own.get("defaults", ()):
        if isinstance(entry, str) and entry != "_self_":
            other, _, place = entry.partition("@")  # /fleet@_here_, typical@overseer
            beside = other.startswith("/")  # in the folder of all configurations, no group
            keys = _inherited("" if beside else group, other.strip("/"))
            found |= keys if place in ("", "_here_") else {place: keys}
    return found | own


def _file(group: str, name: str) -> Any:
    return read_yaml(CONFIG_DIR / group / f"{name}.yaml")


def one_line(error: Exception) -> str:
    """The first line of an error's text, or its name where it has none."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
