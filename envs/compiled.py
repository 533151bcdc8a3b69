"""Loops over lanes as machine code, where small array operations cost more than their work.

A compiled function takes arrays and numbers and writes into arrays that it is given.
``NUMBA_DISABLE_JIT=1`` runs all of them as plain Python, for a debugger.
"""

import hashlib
import pickle
from collections.abc import Callable, Iterator
from functools import cache
from types import FunctionType
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba.extending import overload

F = TypeVar("F", bound=Callable[..., Any])

#: Values that a compiled function keeps as they are when it is compiled.
_FROZEN = (bool, int, float, str, tuple, np.generic, np.ndarray)
#: Types of numbers in arrays that compiled functions take.
_TAKEN = frozenset(map(np.dtype, "?bhilqBHILQfd"))
#: Characters of a fingerprint.
_FINGERPRINT = 12


def compiled(function: F) -> F:
    """Compiles a function at its first call, and keeps the machine code for later processes.

    It is kept beside the source, else in the user's cache; where neither can be written, every
    process compiles for itself. Arithmetic follows IEEE 754 as NumPy's does, in the order in which
    it is written, and a division by zero gives infinity or NaN.
    """
    settings: dict[str, Any] = {"error_model": "numpy"}
    function.__qualname__ += f".{fingerprint(function)}"
    try:
        made: F = numba.njit(cache=True, **settings)(function)
    except RuntimeError:  # numba found no folder for the machine code
        made = numba.njit(**settings)(function)
    return made


def fingerprint(function: Callable[..., Any]) -> str:
    """Tells apart what a function would be compiled to, whatever its own file says.

    Numba renews what it keeps on disk when the function's file changes. It does not know of
    constants and of compiled functions that come from other files, so they go into the name under
    which the machine code is kept; those that a function reaches through a module are not seen.
    """
    digest = hashlib.sha256()
    for part in _parts(cast(FunctionType, function), set()):
        digest.update(part)
    return digest.hexdigest()[:_FINGERPRINT]


def _parts(function: FunctionType, seen: set[int]) -> Iterator[bytes]:
    seen.add(id(function))
    code = function.__code__
    yield code.co_code
    yield repr(code.co_consts).encode()
    for name in code.co_names:
        value = function.__globals__.get(name)
        inner = getattr(value, "py_func", None)
        if isinstance(value, _FROZEN):
            yield name.encode() + pickle.dumps(value)
        elif inner is not None and id(inner) not in seen:
            yield from _parts(inner, seen)


@cache
def takes(dtype: np.dtype[Any]) -> bool:
    """Whether compiled functions take arrays of a type: no half, long or foreign floats."""
    return dtype in _TAKEN and dtype.isnative


def element(values: Any, lane: Any) -> Any:
    """In compiled functions, a lane's entry of an array, shape (n,); one number stands for all."""
    if np.ndim(values) == 0:
        return values
    return values[lane if len(values) > 1 else 0]


@overload(element, strict=False)
def _element(values: Any, lane: Any) -> Callable[[Any, Any], Any]:
    if getattr(values, "ndim", 0) == 0:
        return lambda values, lane: values
    return lambda values, lane: values[lane if len(values) > 1 else 0]
