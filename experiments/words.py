"""Words of a command line, ``key=value``, read by Hydra's own grammar and checked by name."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.errors import HydraException

from looplab.envs.errors import UsageError, unknown
from looplab.experiments.composition import (
    EXPERIMENT,
    MODE,
    choices_with,
    groups,
    keys_under,
    one_line,
)

_NEAR = 0.5
_ADDING = ("+", "++")
_TARGET = "_target_"


@dataclass(frozen=True)
class Value:
    """One value of a key.

    Attributes:
        label: the value itself, as a plain scalar; lists and mappings as text.
        text: how Hydra's grammar writes it.
    """

    label: Any
    text: str


@dataclass(frozen=True)
class Word:
    """One ``key=value`` word.

    Attributes:
        prefix: ``+`` or ``++`` if the key is added, else empty.
        key: group or dotted key.
        values: one value, or several where the word sweeps.
        sweeps: whether it was written as a sweep, perhaps with a single value.
        raw: the value as Python, where it is one.
    """

    prefix: str
    key: str
    values: tuple[Value, ...]
    sweeps: bool
    raw: Any = None

    def with_value(self, value: Value) -> str:
        """The word for Hydra with one of its values."""
        return f"{self.prefix}{self.key}={value.text}"


def parse(words: Iterable[str]) -> list[Word]:
    """Parses words and checks the names of groups and of their choices.

    Raises:
        UsageError: naming the word, what is allowed and the nearest valid name.
    """
    found: list[Word] = []
    for text in words:
        word = _parsed(text)
        if any(word.key == other.key for other in found):
            raise UsageError(f"{word.key} is given twice; give each key once, commas sweep")
        found.append(word)
    return found


def _parsed(text: str) -> Word:
    if "=" not in text or text.startswith(("~", "=", "-")) or "@" in text.split("=")[0]:
        raise UsageError(f"'{text}' is not of the form key=value")
    if "oc.env" in text:
        raise UsageError(
            f"'{text}' reads an environment variable: secrets stay out of configurations"
        )
    try:
        override = OverridesParser.create().parse_override(text)
    except HydraException as error:
        raise UsageError(
            f"'{text}' cannot be read as key=value or key=value,value: {_fault(text, error)}; "
            "quote what holds spaces, commas or brackets"
        ) from error
    key = override.key_or_group
    prefix = text[: len(text) - len(text.lstrip("+"))]
    values = _values(override, text)
    if key in groups():
        for value in values:
            if value.label not in groups()[key]:
                raise unknown(key, value.label, groups()[key])
    if prefix in _ADDING and key.split(".")[0] not in groups():
        raise UsageError(f"'{text}' adds a key outside of any group; allowed: +GROUP.key=value")
    raw = None if override.is_sweep_override() else override.value()
    return Word(prefix, key, values, override.is_sweep_override(), raw)


def _fault(text: str, error: Exception) -> str:
    """What a person did wrong where the grammar's parser names its tokens."""
    value = text.partition("=")[2]
    said = one_line(error)
    named = re.search(r"(?:input|error at:) '(.)'?", said)
    if "HydraException while" in said:  # about a function, in words already
        return said.partition(": ")[2]
    if re.search(r",\s*([,)}\]]|$)", value):
        return "nothing follows one of its commas"
    if re.search(r"(^|[\[({])\s*,", value):
        return "nothing stands before its first comma"
    if any(value.count(quote) % 2 for quote in "'\""):
        return "a quote is not closed"
    if any(value.count(left) != value.count(right) for left, right in ("()", "[]", "{}")):
        return "its brackets do not pair"
    return f"{named[1]} is not expected where it stands" if named else "its value has no known form"


def _values(override: Override, text: str) -> tuple[Value, ...]:
    if not override.is_sweep_override():
        written = text.split("=", maxsplit=1)[1]
        return (Value(plain(override.value()), written),)
    swept = override.value()
    if isinstance(swept, Glob):
        names = swept.filter(list(groups().get(override.key_or_group, ())))
        if not names:
            raise UsageError(f"'{text}' names no choice of a group")
        return tuple(Value(name, name) for name in names)
    try:
        labels = [plain(value) for value in override.sweep_iterator()]
        written_values = [str(value) for value in override.sweep_string_iterator()]
    except (HydraException, NotImplementedError) as error:
        raise UsageError(f"'{text}' names no list of values; give them with commas") from error
    return tuple(map(Value, labels, written_values))


def plain(value: Any) -> Any:
    """A scalar as it is; everything else as text.

    >>> plain([64, 64]), plain(None), plain(0.5)
    ('[64, 64]', None, 0.5)
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    text = getattr(value, "text", value)  # Hydra's quoted strings keep their text apart
    return text if isinstance(text, str) else str(text)


def value_of(value: Any) -> Value:
    """A Python value as Hydra's grammar writes it: for experiments' axes and Python callers."""
    return Value(plain(value), _written(value))


def _written(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_written, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_written(item)}" for key, item in value.items()) + "}"
    text = str(value)
    if text.replace("_", "").replace("/", "").isalnum():
        return text
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def check_roots(words: Sequence[Word], roots: Iterable[str]) -> None:
    """Checks the first part of every key; what follows depends on the groups' choices.

    Raises:
        UsageError: naming the nearest valid key.
    """
    allowed = {*roots, *groups()}
    for word in words:
        if word.key.split(".")[0] not in allowed:
            raise _unknown_key(word.key, allowed, [*allowed, *keys_under(())])


def check_keys(words: Sequence[str]) -> None:
    """Checks every dotted key under the groups that the words choose.

    Args:
        words: ``key=value``, one value each.

    Raises:
        UsageError: naming the nearest valid key, or the choice that has it.
    """
    keys = [word.split("=", maxsplit=1)[0] for word in words]
    pairs = list(zip(words, keys, strict=True))
    chosen = tuple(word for word, key in pairs if key in groups())
    if MODE in keys and MODE in keys_under(chosen):
        chosen += tuple(word for word, key in pairs if key == MODE)
    for key in keys:
        if key in groups() or key.startswith("+") or ("." not in key and key in keys_under(())):
            continue
        known = keys_under(chosen)
        if key not in known:
            raise _unknown_inner_key(key, known)


def _unknown_inner_key(key: str, known: Sequence[str]) -> UsageError:
    root = key.split(".")[0]
    having = choices_with(key)
    if having:
        names = " or ".join(f"{root}={name}" for name in having)
        return UsageError(f"unknown key '{key}' under the chosen {root}; {names} has it")
    inside = [k for k in known if k.startswith(f"{root}.") and _TARGET not in k]
    if not inside:
        return UsageError(f"unknown key '{key}'; the chosen {root} takes no keys")
    return _unknown_key(key, inside, inside)


def _unknown_key(key: str, allowed: Iterable[str], candidates: Iterable[str]) -> UsageError:
    usable = [name for name in candidates if name != EXPERIMENT and _TARGET not in name]
    inner = [name for name in usable if name.rsplit(".", 1)[-1] == key]
    near = inner[:1] or get_close_matches(key, usable, n=1, cutoff=_NEAR)
    hint = f"; did you mean '{near[0]}'?" if near else ";"
    return UsageError(f"unknown key '{key}'{hint} allowed: {', '.join(sorted(allowed))}")
