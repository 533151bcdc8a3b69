"""When garbage is looked for, and that it is as before afterwards."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from looplab.experiments.garbage import collected_once, collected_rarely


class Cycle:
    """An object that holds itself."""

    def __init__(self) -> None:
        self.own = self


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.enable()


def test_cycles_go_at_the_end_and_not_before() -> None:
    with collected_once():
        gone = weakref.ref(Cycle())
        assert not gc.isenabled()
        assert gone() is not None
    assert gone() is None
    assert gc.isenabled()


def test_whoever_collects_nothing_is_left_so() -> None:
    gc.disable()
    with collected_once():
        pass
    assert not gc.isenabled()
    gc.set_threshold(0)
    with collected_rarely():
        assert gc.get_threshold()[0] == 0


@pytest.mark.parametrize(("before", "during"), [(700, 20_000), (50_000, 50_000)])
def test_thresholds_are_raised_and_put_back_after_an_error(before: int, during: int) -> None:
    def work() -> None:
        assert gc.get_threshold() == (during, 10, 10)
        raise ArithmeticError

    gc.set_threshold(before, 10, 10)
    with pytest.raises(ArithmeticError), collected_rarely():
        work()
    assert gc.get_threshold() == (before, 10, 10)
