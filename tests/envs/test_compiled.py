"""Compiled loops: kept on disk where they can be, and never staler than their own file."""

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
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
from looplab.envs.compiled import compiled

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


def test_a_compiled_function_calls_only_those_of_its_own_file() -> None:
    """What is kept on disk is renewed when its own file changes, and knows of no other."""
    found = kernels()
    assert "looplab.envs.streams._fill" in found
    for name, kernel in found.items():
        function = kernel.py_func
        for used in function.__code__.co_names:
            other = function.__globals__.get(used)
            if isinstance(other, Dispatcher):
                assert other.__module__ == function.__module__, f"{name} calls {used}"


def test_a_compiled_function_takes_constants_of_other_files_as_arguments() -> None:
    """For the same reason: what it names itself is compiled into it."""
    for name, kernel in kernels().items():
        function = kernel.py_func
        tree = ast.parse(Path(function.__code__.co_filename).read_text(encoding="utf-8"))
        imported = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        named = imported & set(function.__code__.co_names)
        assert not named, f"{name} names {named}"


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
