"""Tab completion of ``key=value`` words, from the configuration files alone."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from looplab import CONFIG_DIR
from looplab.experiments.yaml_text import read_yaml

_ROOT = "config"
_HIDDEN = ("defaults", "_target_")
_DEFAULTS = "defaults"
#: Commands that take no keys but their own.
_ALONE = ("serve",)
#: Settings that come with a task and an agent, and are never chosen by hand.
_TUNED = "tuned"
#: What commands' own arguments and options take. Written down here because what defines them takes
#: seconds to import, and who presses Tab waits; a test holds them equal.
BENCHES = ("learning", "envs", "solve", "running", "live")
AUDITS = ("verify", "export")
POLICIES = ("random", "reference", "safe")
CHECKS = (
    "machine_repairman",
    "erlang_c",
    "binomial_misses",
    "audit_leak",
    "veto_renewal",
    "corridor",
    "chow",
    "signal_detection",
    "fatigue",
    "bpref",
    "potential_shaping",
)


def argument_words(command: str, argument: str, given: Sequence[str] = ()) -> list[str]:
    """Words that an argument or option takes, other than ``key=value``.

    Args:
        command: name of the command.
        argument: name of the argument or option.
        given: what stands there already, where it takes several.
    """
    match command, argument:
        case "list", "what":
            return [f"{group}s" for group in sorted(_groups())]
        case "bench", "what":
            return list(BENCHES)
        case "bench", "names":
            return [name for name in _choices("env") if name not in given]
        case "audit", "what":
            return list(AUDITS)
        case "show", "policy":
            return list(POLICIES)
        case "validate", "words" if not given:
            return list(CHECKS)
        case _:
            return []


def completions(word: str, others: Sequence[str] = (), command: str = "") -> list[str]:
    """Words that begin as ``word`` does.

    Args:
        word: what has been typed: part of a key, or a key with part of a choice.
        others: words that stand before it; they say which choice of a group is meant.
        command: takes the keys of ``configs/COMMAND.yaml`` too, if there is such a file.

    Returns:
        Whole words: ``env=`` for keys, ``env=ops_desk`` for choices.
    """
    key, equals, value = word.partition("=")
    if equals:
        before, comma, last = value.rpartition(",")
        head = f"{key}={before}{comma}"
        return [f"{head}{name}" for name in _choices(key) if name.startswith(last)]
    group, dot, _ = word.partition(".")
    if dot:
        keys = [f"{group}.{name}" for name in _dotted(_content(group, _chosen(group, others)))]
    else:
        roots = [name for name in _content("", _ROOT) if name not in _HIDDEN]
        own = [name for name, value in _content("", command).items() if not _nested(value)]
        keys = sorted(own if command in _ALONE else {*_groups(), *roots, *own})
    return [f"{name}=" for name in keys if name.startswith(word)]


def _nested(value: Any) -> bool:
    return isinstance(value, Mapping)


def bash_completions(word: str, others: Sequence[str], command: str = "") -> list[str]:
    """What bash wants, which takes ``env=ops`` apart into ``env``, ``=`` and ``ops``.

    Args:
        word: the last part; empty where it is the ``=`` itself.
        others: the parts before it.
        command: as in ``completions``.

    Returns:
        Replacements of the last part.
    """
    if not word and others and "=" not in joined(others)[-1]:
        others = (*others, "=")
    *before, last = joined((*others, word))
    head = "" if "=" in word or "=" not in last else f"{last.partition('=')[0]}="
    return [text.removeprefix(head) for text in completions(last, before, command)]


def joined(parts: Sequence[str]) -> list[str]:
    """Puts together what stands around a lone ``=``.

    >>> joined(["seed=1", "env", "=", "ops_desk"])
    ['seed=1', 'env=ops_desk']
    """
    words: list[str] = []
    for part in parts:
        opened = bool(words) and words[-1].endswith("=")
        if words and (part == "=" or opened):
            words[-1] += part
        else:
            words.append(part)
    return words


def _groups() -> list[str]:
    folders = [f for f in CONFIG_DIR.iterdir() if f.is_dir() and any(f.glob("*.yaml"))]
    return [folder.name for folder in folders if folder.name != _TUNED]


def _choices(group: str) -> list[str]:
    return sorted(file.stem for file in (CONFIG_DIR / group).glob("*.yaml")) if group else []


def _chosen(group: str, others: Sequence[str]) -> str:
    """Choice of a group: as given, as the given or default regime names it, or the default."""
    given = dict(word.split("=", 1) for word in others if "=" in word)
    if group in given:
        return given[group].split(",")[0]
    defaults = _defaults(_content("", _ROOT))
    regime = given.get("regime", defaults.get("regime", "")).split(",")[0]
    return _defaults(_content("regime", regime)).get(group, defaults.get(group, ""))


def _defaults(content: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in content.get(_DEFAULTS, ()):
        if isinstance(entry, Mapping):
            found |= {str(key).split("/")[-1]: str(value) for key, value in entry.items()}
    return found


def _content(group: str, name: str) -> dict[str, Any]:
    file = CONFIG_DIR / group / f"{name}.yaml"
    return dict(read_yaml(file) or {}) if file.is_file() else {}


def _dotted(node: Any, prefix: str = "") -> Iterator[str]:
    for key, value in node.items():
        if key in _HIDDEN:
            continue
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{prefix}{key}.")
        elif not str(value).startswith("${"):  # else another group stands here
            yield f"{prefix}{key}"
