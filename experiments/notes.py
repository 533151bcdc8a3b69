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
    judges = [[part for part in _parts(cell["protocol"]) if _judges(part)] for cell in cells]
    overseen = sum(map(bool, judges))
    perfect = sum(any(map(_never_errs, own)) for own in judges)
    if perfect:
        which = "" if perfect == overseen else f"In {perfect} of {overseen} overseen cells "
        found.append(
            f"{which}{'t' if which else 'T'}he overseers are simulated, see the true risk of every "
            "action and never err: what they prevent is the most that anybody could. Sweep "
            "overseer.miss_rate and overseer.false_alarm_rate, or take overseer=typical, before "
            "you trust it."
        )
    for cell in cells:
        for part in _parts(cell["protocol"]):
            if str(part.get("_target_", "")).endswith(".Shared"):
                found.append(
                    "Lanes share reviewers, an approximation: requests of one step come at the "
                    "same time and are served in random order. Queues are exact in looplab fleet."
                )
            if part.get("tau") is not None and part.get("source") == "exact":
                found.append(
                    "A trigger reads the exact risk (oracle): it is a perfect detector for free."
                )
        found += _drift_not_reached(cell)
    return list(dict.fromkeys(found))


def _drift_not_reached(cell: Mapping[str, Any]) -> Iterator[str]:
    """That a world which should change never did, in a sentence."""
    drift = cell["env"].get("drift") if isinstance(cell.get("env"), Mapping) else None
    if not isinstance(drift, Mapping):
        return
    lanes, steps = int(cell["agent"]["lanes"]), int(cell["total_steps"])
    if int(drift.get("at_step", 0)) * lanes >= steps:
        yield (
            f"The drift of {drift['parameter']} at step {drift['at_step']} of each lane was not "
            f"reached in training: {steps} steps over {lanes} lanes."
        )


def _judges(part: Mapping[str, Any]) -> bool:
    """Whether this is somebody whose judgement may err."""
    return isinstance(part.get("accuracy"), Mapping) or all(rate in part for rate in _ERRORS)


def _never_errs(part: Mapping[str, Any]) -> bool:
    """Whether this is somebody whose judgement is without errors."""
    accuracy = part.get("accuracy")
    if isinstance(accuracy, Mapping):
        return accuracy.get("d_prime") is None and not any(accuracy.get(e) for e in _ERRORS)
    return all(part.get(rate) == 0 for rate in _ERRORS)


def _parts(node: Any) -> Iterator[Mapping[str, Any]]:
    """Every part of a protocol's configuration, the protocol itself first."""
    if isinstance(node, Mapping):
        yield node
        for value in node.values():
            yield from _parts(value)
    elif isinstance(node, list):
        for value in node:
            yield from _parts(value)
