"""Loops over lanes as machine code, where small array operations cost more than their work.

A compiled function takes arrays and numbers, writes into arrays that it is given, and calls nothing
but compiled functions of its own file: what is kept on disk is renewed when that file changes, and
does not know of others. ``NUMBA_DISABLE_JIT=1`` runs all of them as plain Python, for a debugger.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compiles a function at its first call, and keeps the machine code for later processes.

    It is kept beside the source, else in the user's cache; where neither can be written, every
    process compiles for itself. Arithmetic follows IEEE 754 as NumPy's does, in the order in which
    it is written, and a division by zero gives infinity or NaN.
    """
    settings: dict[str, Any] = {"error_model": "numpy"}
    try:
        made: F = numba.njit(cache=True, **settings)(function)
    except RuntimeError:  # numba found no folder for the machine code
        made = numba.njit(**settings)(function)
    return made
