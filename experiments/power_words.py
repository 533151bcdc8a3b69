"""The words of ``looplab power``: a folder, two cells of it, and what is asked about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from looplab.envs.errors import UsageError, unknown, whole
from looplab.experiments.statistics.power import FEWEST, POWER, SIGNIFICANCE

#: Own keys with what they stand for where nothing is said; all else names an axis.
METRIC, OF, THAN, EFFECT, SPREAD, SEEDS = "metric", "of", "than", "effect", "sd", "seeds"
KEYS = (METRIC, OF, THAN, EFFECT, SPREAD, SEEDS, "power", "level")
#: Keys that mean something only with a folder.
OF_FOLDER = (METRIC, OF, THAN)
DEFAULT_METRIC = "alone_violations_per_1k"
#: The axis that a bare name belongs to: ``of=in_the_loop``.
BARE = "regime"
#: A level from here on is meant as confidence.
LARGEST_LEVEL = 0.5
#: From this likeness on, a word is a slip of one of the keys rather than an axis.
_SLIP = 0.8
_EXAMPLE = "of=regime=in_the_loop_correction than=regime=in_the_loop"


@dataclass(frozen=True)
class Asked:
    """What a command line asks for.

    Attributes:
        folder: the pilot's results folder; None: its standard deviation is given.
        metric: column of ``metrics.per_seed``.
        of: axes and values of the cell whose difference is asked about, as texts.
        than: those of the cell that it is compared with.
        both: those that both share.
        effects: differences that matter; empty if none is given.
        spread: standard deviation of the differences between equal seeds; None with a folder.
        seeds: how many there will be; None: not said.
        power: chance of finding an effect.
        level: chance of finding one that is not there.
    """

    folder: Path | None
    metric: str
    of: Mapping[str, str]
    than: Mapping[str, str]
    both: Mapping[str, str]
    effects: tuple[float, ...]
    spread: float | None
    seeds: int | None
    power: float
    level: float


def asked(words: Sequence[str]) -> Asked:
    """Reads the words of a command line.

    Args:
        words: a folder, if any, and ``key=value`` with the keys ``KEYS`` or axes of the folder.

    Raises:
        UsageError: one line, for a wrong word, key or value.
    """
    folder, given = _split(words)
    axes = {key: given.pop(key) for key in list(given) if key not in KEYS}
    _check_belonging(folder, given, axes)
    found = Asked(
        folder=folder,
        metric=given.get(METRIC, DEFAULT_METRIC),
        of=_cell(OF, given.get(OF)),
        than=_cell(THAN, given.get(THAN)),
        both=axes,
        effects=_effects(given.get(EFFECT)),
        spread=_number(SPREAD, given[SPREAD]) if SPREAD in given else None,
        seeds=_whole(SEEDS, given[SEEDS]) if SEEDS in given else None,
        power=_number("power", given.get("power", str(POWER)), 1.0),
        level=_level(given.get("level", str(SIGNIFICANCE))),
    )
    if not found.effects and found.seeds is None:
        raise UsageError(
            "say which difference matters, e.g. effect=10, or how many seeds there will be, "
            "e.g. seeds=5"
        )
    if found.power <= found.level:
        raise UsageError(f"power must exceed level {found.level:g}, got {found.power:g}")
    return found


def _split(words: Sequence[str]) -> tuple[Path | None, dict[str, str]]:
    folders = [word for word in words if "=" not in word]
    if len(folders) > 1:
        raise UsageError(f"power takes one folder at most, got {' '.join(folders)}")
    given: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            continue
        if key in given:
            raise UsageError(f"{key} is given twice")
        if not key or not value:
            raise UsageError(f"'{word}' is not of the form key=value")
        given[key] = value
    return (Path(folders[0]) if folders else None), given


def _check_belonging(
    folder: Path | None, given: Mapping[str, str], axes: Mapping[str, str]
) -> None:
    """Which words go together: a folder with two cells, or a standard deviation."""
    if folder is not None:
        for key in axes:
            if get_close_matches(key, KEYS, n=1, cutoff=_SLIP):
                raise unknown("key", key, (*KEYS, "axes of the comparison, such as env"))
        if SPREAD in given:
            raise UsageError(f"sd comes from {folder}; give the folder or sd=, not both")
        missing = [key for key in (OF, THAN) if key not in given]
        if missing:
            raise UsageError(f"{missing[0]} is not said; name two cells of {folder}: {_EXAMPLE}")
        return
    for key in (*axes, *(key for key in OF_FOLDER if key in given)):
        if key in OF_FOLDER or SPREAD not in given:
            raise UsageError(f"{key} is about a results folder: looplab power DIR {key}=...")
        raise unknown("key", key, [key for key in KEYS if key not in OF_FOLDER])
    if SPREAD not in given:
        raise UsageError(
            "give a pilot's results folder, or the standard deviation of the differences as sd="
        )


def _cell(key: str, text: str | None) -> dict[str, str]:
    """Axes and values, written ``axis=value,axis=value``; a bare name is a regime."""
    found: dict[str, str] = {}
    for part in (text or "").split(",") if text else ():
        axis, equals, value = part.partition("=")
        axis, value = (axis, value) if equals else (BARE, axis)
        if not axis or not value:
            raise UsageError(
                f"{key} must be axis=value, e.g. {key}=regime=in_the_loop, got '{text}'"
            )
        if axis in found:
            raise UsageError(f"{key} names {axis} twice: {text}")
        found[axis] = value
    return found


def _effects(text: str | None) -> tuple[float, ...]:
    """The given differences, or half and twice a single one with it."""
    found = tuple(_number(EFFECT, part) for part in text.split(",")) if text else ()
    return (found[0] / 2.0, found[0], found[0] * 2.0) if len(found) == 1 else found


def _level(text: str) -> float:
    level = _number("level", text, 1.0)
    if level >= LARGEST_LEVEL:
        raise UsageError(
            f"level is the chance of finding an effect that is not there, below {LARGEST_LEVEL:g}, "
            f"got {level:g}; did you mean level={1.0 - level:.4g}?"
        )
    return level


def _number(name: str, text: str, below: float = float("inf")) -> float:
    """A number above 0 and below ``below``."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0.0 < value < below:
        allowed = "above 0" if below == float("inf") else f"between 0 and {below:g}"
        raise UsageError(f"{name} must be a number {allowed}, got {text!r}")
    return value


def _whole(name: str, text: str) -> int:
    try:
        return whole(name, int(text), FEWEST)
    except ValueError as error:  # a UsageError is one too
        raise UsageError(
            f"{name} must be a whole number of at least {FEWEST}, got {text}"
        ) from error
