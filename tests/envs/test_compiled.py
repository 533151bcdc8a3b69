"""Compiled loops: kept on disk where they can be, and never stale."""

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numba
import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher

import looplab.agents
import looplab.envs
import looplab.experiments
import looplab.oversight
from looplab.envs.compiled import compiled, fingerprint

ROOMS = (looplab.envs, looplab.oversight, looplab.agents, looplab.experiments)


def modules() -> Iterator[ModuleType]:
    for room in ROOMS:
        for found in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
            if not found.name.endswith("__main__"):
                yield importlib.import_module(found.name)


def kernels() -> dict[str, Dispatcher]:
    """Every compiled function of the package by its full name."""
    return {
        f"{module.__name__}.{name}": value
        for module in modules()
        for name, value in vars(module).items()
        if isinstance(value, Dispatcher) and value.__module__ == module.__name__
    }


def test_machine_code_is_kept_under_a_name_that_tells_its_constants_and_calls() -> None:
    """Numba looks at the function's own file alone; what comes from others must show as well."""

    def made(constant: Any, inner_constant: float) -> str:
        inner: dict[str, Any] = {"compiled": compiled, "STEP": inner_constant}
        exec("@compiled\ndef inner(x): return x + STEP", inner)
        outer = {"CONSTANT": constant, "inner": inner["inner"]}
        exec("def outer(x): return inner(x) * CONSTANT", outer)
        return fingerprint(outer["outer"])

    assert made(2.0, 1.0) == made(2.0, 1.0)
    assert made(3.0, 1.0) != made(2.0, 1.0)
    assert made(2.0, 4.0) != made(2.0, 1.0)
    assert made(np.array([2.0]), 1.0) != made(np.array([3.0]), 1.0)


def test_every_compiled_function_has_its_fingerprint() -> None:
    found = kernels()
    assert "looplab.envs.streams._fill" in found
    for kernel in found.values():
        name, _, mark = kernel.py_func.__qualname__.rpartition(".")
        assert name
        assert mark == fingerprint(kernel.py_func)


def test_a_division_by_zero_is_as_numpy_has_it() -> None:
    @compiled
    def divide(a: Any, b: Any, out: Any) -> None:
        for i in range(len(out)):
            out[i] = a[i] / b[i]

    out = np.empty(2)
    divide(np.array([1.0, 0.0]), np.zeros(2), out)
    assert out[0] == np.inf
    assert np.isnan(out[1])


def test_without_a_folder_for_machine_code_each_process_compiles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = numba.njit

    def njit(*args: Any, **kwargs: Any) -> Any:
        if kwargs.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return real(*args, **kwargs)

    monkeypatch.setattr(numba, "njit", njit)

    @compiled
    def double(a: Any) -> Any:
        return 2 * a

    assert double(21) == 42
