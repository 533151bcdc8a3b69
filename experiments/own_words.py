"""Words of a command that has settings of its own, in a file beside the groups."""

from collections.abc import Sequence
from typing import Any

from looplab import CONFIG_DIR
from looplab.envs.errors import UsageError, unknown
from looplab.experiments.words import Word, check_roots, parse
from looplab.experiments.yaml_text import read_yaml


def settings_of(name: str) -> dict[str, Any]:
    """A command's own settings with their defaults, as ``configs/NAME.yaml`` has them."""
    return dict(read_yaml(CONFIG_DIR / f"{name}.yaml"))


def read_own(name: str, words: Sequence[str]) -> dict[str, Any]:
    """Settings of a command that takes no others.

    Args:
        name: of the command.
        words: ``key=value``.

    Raises:
        UsageError: one line, for a wrong word or key.
    """
    own = settings_of(name)
    for word in parse(words):
        if word.key not in own:
            raise unknown("key", word.key, own)
        own[word.key] = value_of(word)
    return own


def value_of(word: Word) -> Any:
    """The one value of a word; a list where it was written as one.

    Raises:
        UsageError: if it was written as a sweep.
    """
    if word.sweeps:
        raise UsageError(f"{word.key} takes one value; a list is written [a,b]")
    return word.raw if isinstance(word.raw, list) else word.values[0].label


def split_words(
    name: str, words: Sequence[str], hidden: Sequence[str] = ()
) -> tuple[dict[str, Any], list[str]]:
    """Settings of a command beside which words of a run stand, and those words as they were given.

    Args:
        name: of the command.
        words: ``key=value``.
        hidden: its settings that no word can name.

    Raises:
        UsageError: one line, for a wrong word or key.
    """
    own = {key: value for key, value in settings_of(name).items() if key not in hidden}
    given = parse(words)
    check_roots(given, {*own, *_keys_of_runs()})
    rest = []
    for word, text in zip(given, words, strict=True):
        if word.key in own:
            own[word.key] = value_of(word)
        else:
            rest.append(text)
    return own, rest


def _keys_of_runs() -> set[str]:
    from looplab.experiments.composition import CHOICES, EXPERIMENT, SWEEP, composed  # needs Hydra

    return {*composed([])} - {CHOICES, SWEEP, EXPERIMENT}
