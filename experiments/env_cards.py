"""What there is to know of every environment, in a few lines each."""

import sys
from collections.abc import Callable
from typing import Any

from looplab.envs.card import Card
from looplab.envs.registration import TASKS
from looplab.experiments.catalogue import catalogue, target
from looplab.experiments.references import references

_INDENT = "    "


def card_of(env: str) -> Card | None:
    """The card of a preset's task: its class's, or its module's."""
    found = target(env)
    card = getattr(found, "CARD", None) or getattr(sys.modules[found.__module__], "CARD", None)
    return card if isinstance(card, Card) else None


def gymnasium_id(env: str) -> str | None:
    """Id under which Gymnasium knows a preset's task; None for other people's environments."""
    found = target(env)
    place = f"{found.__module__}:{found.__qualname__}"
    return next((name for name, task in TASKS.items() if task == place), None)


def list_envs(say: Callable[[str], None]) -> None:
    """Prints every preset: id, description, violation, oracle, and measured returns."""
    say("env=")
    for env, text in catalogue("env")["env"].items():
        name = gymnasium_id(env)
        say(f"  {env}{f'  ({name})' if name else ''}")
        say(f"{_INDENT}{text}")
        card = card_of(env)
        if card is not None:
            say(f"{_INDENT}violation: {card.violation}; temptation: {card.temptation}")
            say(f"{_INDENT}oracle: {card.risk}; safe fallback: {card.fallback}")
            say(f"{_INDENT}reference: {card.reference}")
        measured = references().get(env)
        if measured is not None:
            for line in _measured(measured):
                say(f"{_INDENT}{line}")


def _measured(values: dict[str, Any]) -> list[str]:
    """Returns of the policies that a task is measured by, and how an agent fared."""
    names = ("random", "optimum", "safe optimum")
    if not values["exact"]:
        names = ("random", "reference", "safe policy")
    parts = [
        f"{name} {_number(values[key])} ({values[key]['violations_per_1k']:.1f} violations per 1k)"
        for name, key in zip(names, ("random", "reference", "safe"), strict=True)
    ]
    solved = values["solved"]
    return [
        f"return: {', '.join(parts)}{'; exact' if values['exact'] else ''}",
        f"agent={solved['agent']}: {solved['score']:.2f} of the way from random to the "
        f"{names[1]} (worst of {solved['seeds']} seeds {solved['worst']:.2f}) "
        f"in {solved['steps']:,} steps, {solved['cpu_seconds']:.0f} s of CPU",
    ]


def _number(value: dict[str, Any]) -> str:
    if value["low"] == value["high"]:
        return f"{value['mean']:.4g}"
    return f"{value['mean']:.4g} [{value['low']:.4g}, {value['high']:.4g}]"
