"""Counterbalanced orders: each condition in each place, and after each other, equally often."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looplab.envs.errors import UsageError
from looplab.experiments.practice.design import order_of, orders
from looplab.experiments.practice.participant import Plan
from looplab.experiments.practice.seat import Block


@given(st.integers(1, 9))
def test_places_and_neighbours_are_balanced(conditions: int) -> None:
    found = orders(conditions)
    assert all(sorted(order) == list(range(conditions)) for order in found)
    places = Counter((order.index(c), c) for order in found for c in range(conditions))
    assert len({*places.values()}) == 1
    assert len(places) == conditions**2
    neighbours = Counter(pair for order in found for pair in pairwise(order))
    assert len(neighbours) == conditions * (conditions - 1)
    assert len({*neighbours.values()}) <= 1


def test_an_even_number_needs_as_many_orders_and_an_odd_one_twice_as_many() -> None:
    assert [len(orders(n)) for n in (1, 2, 3, 4, 5)] == [1, 2, 6, 4, 10]


def test_participants_take_the_orders_in_turn() -> None:
    names = ["hidden", "shown"]
    assert [order_of(at, names) for at in range(3)] == [names, names[::-1], names]
    with pytest.raises(UsageError, match="conditions"):
        orders(0)


def test_what_is_asked_depends_on_the_place_and_not_on_the_condition() -> None:
    blocks = {name: Block(4, 0.5, None, name == "shown", True, 3) for name in ("hidden", "shown")}
    plan = Plan("", "", "", blocks, None, (), {})
    seeds = {(name, at): plan.block(name, at).seed for name in blocks for at in range(3)}
    assert all(seeds["hidden", at] == seeds["shown", at] for at in range(3))
    assert len({seeds["hidden", at] for at in range(3)}) == 3
    assert plan.block("shown", 1).show_risk
    other = Plan("", "", "", {"only": Block(4, 0.5, None, False, True, 4)}, None, (), {})
    assert other.block("only", 0).seed != seeds["hidden", 0]
