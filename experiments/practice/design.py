"""Counterbalancing: who meets the conditions in which order."""

from collections.abc import Sequence

from looplab.envs.errors import whole


def orders(conditions: int) -> list[tuple[int, ...]]:
    """Orders in which each condition stands in each place, and after each other, equally often.

    A Williams design (Williams 1949): as many orders as conditions if that number is even, else
    twice as many.

    >>> orders(2)
    [(0, 1), (1, 0)]

    Args:
        conditions: how many, at least 1.
    """
    n = whole("conditions", conditions, 1)
    first = [0]
    for step in range(1, n):
        first.append((step + 1) // 2 if step % 2 else n - step // 2)
    found = [tuple((place + shift) % n for place in first) for shift in range(n)]
    return found + [row[::-1] for row in found] if n % 2 and n > 1 else found


def order_of(participant: int, conditions: Sequence[str]) -> list[str]:
    """The conditions in the order in which a participant meets them.

    Args:
        participant: number, from 0 on.
        conditions: names.
    """
    rows = orders(len(conditions))
    return [conditions[place] for place in rows[participant % len(rows)]]
