"""When Python looks for garbage: it goes through the objects of all libraries, again and again."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

#: Runs make many objects and few cycles; Python's 700 costs them a tenth of their time.
_OBJECTS = 20_000


@contextmanager
def collected_rarely() -> Iterator[None]:
    """Looks for cycles more rarely, as where they are few."""
    before = gc.get_threshold()
    gc.set_threshold(max(_OBJECTS, before[0]) if before[0] else 0, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def collected_once() -> Iterator[None]:
    """Looks for cycles at the end alone, as where all of them become garbage then."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.collect(0)
        if enabled:
            gc.enable()
