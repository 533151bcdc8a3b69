"""Runs the examples in the docstrings of every module, imported by its full name.

``pytest --doctest-modules`` would import ``envs/core.py`` a second time, as ``envs.core``, whose
classes are not those of ``looplab.envs.core``.
"""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("envs", "agents", "oversight", "experiments")
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def modules() -> list[str]:
    """Full names of the modules whose source holds an example."""
    return [
        "looplab."
        + ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for room in ROOMS
        for path in sorted((ROOT / room).rglob("*.py"))
        if ">>> " in path.read_text(encoding="utf-8")
    ]


def test_some_module_has_an_example() -> None:
    assert "looplab.envs.errors" in modules()


@pytest.mark.parametrize("name", modules())
def test_the_examples_of_a_module_are_true(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = doctest.testmod(importlib.import_module(name), optionflags=OPTIONS)
    assert outcome.attempted > 0
    assert outcome.failed == 0, capsys.readouterr().out
