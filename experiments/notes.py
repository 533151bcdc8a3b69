"""What a reader must know of how a comparison was overseen: who saw what, and who never erred."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_ERRORS = ("miss_rate", "false_alarm_rate")


def overseer_notes(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """Sentences for the report's warnings, each once, in the order of the cells.

    Args:
        cells: resolved configurations.
    """
    found: list[str] = []
    for cell in cells:
        for part in _parts(cell["protocol"]):
            if all(part.get(rate) == 0 for rate in _ERRORS):
                found.append(
                    "The overseers are simulated, see the true risk of every action and never "
                    "err: what they prevent is the most that anybody could. Sweep "
                    "overseer.miss_rate and overseer.false_alarm_rate before you trust it."
                )
            if part.get("tau") is not None and part.get("source") == "exact":
                found.append(
                    "A trigger reads the exact risk (oracle): it is a perfect detector for free."
                )
    return list(dict.fromkeys(found))


def _parts(node: Any) -> Iterator[Mapping[str, Any]]:
    """Every part of a protocol's configuration, the protocol itself first."""
    if isinstance(node, Mapping):
        yield node
        for value in node.values():
            yield from _parts(value)
    elif isinstance(node, list):
        for value in node:
            yield from _parts(value)
