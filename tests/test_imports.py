"""The one direction of imports (DESIGN: rooms), read from the source of every module.

Every import counts: at the top, inside functions, under ``TYPE_CHECKING``, relative, by name
through ``importlib``, and through attributes (``looplab.envs.grids``).
"""

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("envs", "oversight", "agents", "experiments")

#: The part of looplab.envs that oversight may know: words, shapes and how any task is drawn, no
#: concrete environment.
CORE_VOCABULARY = frozenset(
    f"looplab.envs.{name}"
    for name in (
        "core",
        "compiled",
        "actions",
        "native",
        "errors",
        "gym_lanes",
        "streams",
        "annotated",
        "drawing",
        "faces",
        "overlay",
    )
)

#: Room -> the rooms that it must not import.
FORBIDDEN_ROOMS = {
    "looplab": ("looplab.oversight", "looplab.agents", "looplab.experiments"),
    "looplab.envs": ("looplab.oversight", "looplab.agents", "looplab.experiments"),
    "looplab.oversight": ("looplab.agents", "looplab.experiments"),
    "looplab.agents": ("looplab.experiments", "looplab.oversight.live"),
    "looplab.experiments": (),
}

#: Library -> the rooms or modules that alone may import it.
LIBRARY_HOMES = {
    "hydra": ("looplab.experiments",),
    "omegaconf": ("looplab.experiments",),
    "stable_baselines3": (
        "looplab.agents",
        "looplab.envs.checks.interfaces",  # inside one function: SB3's own check of environments
        "looplab.experiments",
        "looplab.oversight.vec_wrapper",
    ),
    "sb3_contrib": ("looplab.agents", "looplab.experiments", "looplab.oversight.vec_wrapper"),
    "fastapi": ("looplab.oversight.live",),
    "uvicorn": ("looplab.oversight.live",),
    "nicegui": ("looplab.oversight.live",),
    "starlette": ("looplab.oversight.live",),
    "sqlalchemy": ("looplab.oversight.live",),
    "httpx": ("looplab.oversight.live",),
    "numba": ("looplab.envs.compiled",),
    "simpy": ("looplab.oversight.fleet",),
    "matplotlib": ("looplab.experiments.figures",),
}

#: Libraries that `import looplab` must not load: heavy, or of one room only.
HEAVY = ("torch", "hydra", "omegaconf", "pandas", "matplotlib", "stable_baselines3", "scipy")


@dataclass(frozen=True)
class Import:
    """One imported name with the line that imports it."""

    name: str
    line: int


def within(name: str, *parents: str) -> bool:
    """Whether a dotted name is one of the parents or lies below one."""
    return any(name == parent or name.startswith(f"{parent}.") for parent in parents)


def absolute(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    """The module that a ``from`` import names, relative dots resolved."""
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    parts = parts[: len(parts) - node.level + is_package]
    return ".".join([*parts, *([node.module] if node.module else [])])


def dotted(node: ast.expr) -> str | None:
    """``a.b.c`` for a chain of attributes that begins at a plain name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (head := dotted(node.value)):
        return f"{head}.{node.attr}"
    return None


def imported_by_call(node: ast.Call) -> str | None:
    """The constant name given to ``import_module`` or ``__import__``."""
    called = (dotted(node.func) or "").rpartition(".")[2]
    if called in ("import_module", "__import__") and node.args:
        first = node.args[0]
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            return first.value
    return None


def imports(source: str, module: str, *, is_package: bool = False) -> Iterator[Import]:
    """Every name that the source of ``module`` imports, wherever in the file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            origin = absolute(node, module, is_package)
            for alias in node.names:
                yield Import(f"{origin}.{alias.name}", node.lineno)
        elif isinstance(node, ast.Attribute):
            name = dotted(node)
            if name and name.startswith("looplab."):
                yield Import(name, node.lineno)
        elif isinstance(node, ast.Call) and (name := imported_by_call(node)):
            yield Import(name, node.lineno)


def reexports(source: str, module: str) -> dict[str, str]:
    """Name offered by a package -> the full name of what it stands for."""
    return {
        f"{module}.{alias.asname or alias.name}": f"{absolute(node, module, True)}.{alias.name}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def violations(
    source: str,
    module: str,
    *,
    is_package: bool = False,
    offered: Mapping[str, str] | None = None,
) -> list[str]:
    """What in the source of ``module`` goes against the direction of imports.

    Args:
        source: the module's text.
        module: its full name, e.g. ``looplab.oversight.engine``.
        is_package: whether the text is that of an ``__init__.py``.
        offered: re-exports of ``looplab.envs``, so that a concrete environment is recognised also
            where the package offers it.

    Returns:
        One line for each fault; empty where there is none.
    """
    room = ".".join(module.split(".")[:2])
    faults = []
    for found in imports(source, module, is_package=is_package):
        name = (offered or {}).get(found.name, found.name)
        where = f"{module}:{found.line} imports {found.name}"
        if within(name, *FORBIDDEN_ROOMS[room]):
            faults.append(f"{where}: {room} must not know that room")
        if room == "looplab.oversight" and concrete_environment(name):
            faults.append(f"{where}: oversight knows the core vocabulary of envs only")
        homes = LIBRARY_HOMES.get(name.split(".")[0])
        if homes and not within(module, *homes):
            faults.append(f"{where}: only {', '.join(homes)} may")
    return faults


def concrete_environment(name: str) -> bool:
    """Whether a full name below ``looplab.envs`` lies in a module outside the core vocabulary."""
    parts = name.split(".")
    if parts[:2] != ["looplab", "envs"] or len(parts) == 2:
        return False
    below = ROOT.joinpath("envs", parts[2])
    is_module = below.is_dir() or below.with_suffix(".py").is_file()
    return is_module and not within(name, *CORE_VOCABULARY)


def modules() -> list[tuple[str, Path]]:
    """Full name and file of every module of the package."""
    found = [("looplab", ROOT / "looplab" / "__init__.py")]
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            found.append((".".join(["looplab", *parts]), path))
    return found


def offered_by_envs() -> dict[str, str]:
    """The re-exports of ``looplab.envs``."""
    return reexports((ROOT / "envs" / "__init__.py").read_text(encoding="utf-8"), "looplab.envs")


def test_every_room_is_read() -> None:
    rooms = {name.split(".")[1] for name, _ in modules() if name != "looplab"}
    assert rooms == set(ROOMS)


@pytest.mark.parametrize(("module", "path"), [pytest.param(*m, id=m[0]) for m in modules()])
def test_imports_go_one_way(module: str, path: Path) -> None:
    faults = violations(
        path.read_text(encoding="utf-8"),
        module,
        is_package=path.name == "__init__.py",
        offered=offered_by_envs(),
    )
    assert faults == []


PLANTED = {
    "room at the top": ("envs.core", "from looplab.oversight import Gate"),
    "room as a name": ("envs.core", "from looplab import oversight"),
    "room under TYPE_CHECKING": (
        "envs.core",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import looplab.agents.sb3",
    ),
    "room in a function": ("agents.sb3", "def f():\n    from looplab.experiments import run"),
    "room by import_module": (
        "envs.core",
        "import importlib\nimportlib.import_module('looplab.experiments')",
    ),
    "room through attributes": ("envs.core", "import looplab\nlooplab.oversight.Gate"),
    "relative, two rooms up": ("oversight.live.queue", "from ...agents import sb3"),
    "live service in agents": ("agents.sb3", "import looplab.oversight.live.queue"),
    "concrete environment": ("oversight.engine", "from looplab.envs.grids import lava_shortcut"),
    "concrete environment as a name": ("oversight.engine", "from looplab.envs import desks"),
    "re-exported environment": ("oversight.engine", "from looplab.envs import Lava"),
    "hydra in oversight": ("oversight.engine", "from hydra.utils import instantiate"),
    "omegaconf in agents": ("agents.sb3", "from omegaconf import OmegaConf"),
    "sb3 in the engine": ("oversight.engine", "import stable_baselines3.common.vec_env as v"),
    "sb3 in envs": ("envs.faces", "def f():\n    from stable_baselines3 import PPO"),
    "web outside live": ("experiments.cli", "import uvicorn"),
    "matplotlib in the report": ("experiments.report", "import matplotlib.pyplot as plt"),
    "room at the front door": ("", "from looplab.experiments.run import run"),
}
ALLOWED = {
    "gymnasium": ("envs.core", "import gymnasium as gym\nimport numpy as np"),
    "own room, relative": ("envs.grids.classics", "from ..core import Lanes"),
    "core vocabulary": (
        "oversight.engine",
        "from looplab.envs.core import Lanes\nfrom looplab.envs import errors",
    ),
    "core word offered by envs": ("oversight.engine", "from looplab.envs import Lanes"),
    "the one SB3 face": (
        "oversight.vec_wrapper",
        "from stable_baselines3.common.vec_env import VecEnvWrapper",
    ),
    "agents know oversight": ("agents.credit", "from looplab.oversight.engine import Engine"),
    "experiments know all": (
        "experiments.build",
        "import hydra\nfrom looplab.agents import sb3\nimport looplab.envs.grids.lava_shortcut",
    ),
    "figures draw": ("experiments.figures", "import matplotlib.pyplot as plt"),
    "a name that only begins alike": ("envs.core", "import looplab.envs.overlay, hydrants"),
}
OFFERED = {
    "looplab.envs.Lava": "looplab.envs.grids.lava_shortcut.Lava",
    "looplab.envs.Lanes": "looplab.envs.core.Lanes",
}


def full_name(short: str) -> str:
    """``looplab`` or a module below it."""
    return f"looplab.{short}" if short else "looplab"


@pytest.mark.parametrize(("module", "source"), PLANTED.values(), ids=PLANTED)
def test_a_planted_violation_is_caught(module: str, source: str) -> None:
    faults = violations(source, full_name(module), offered=OFFERED)
    assert faults
    assert all(f"{full_name(module)}:{len(source.splitlines())} imports " in f for f in faults)


@pytest.mark.parametrize(("module", "source"), ALLOWED.values(), ids=ALLOWED)
def test_allowed_imports_pass(module: str, source: str) -> None:
    assert violations(source, full_name(module), offered=OFFERED) == []


def test_relative_imports_of_a_package_count_from_the_package_itself() -> None:
    source = "from .errors import UsageError\nfrom ..oversight import Gate"
    found = [f.name for f in imports(source, "looplab.envs", is_package=True)]
    assert found == ["looplab.envs.errors.UsageError", "looplab.oversight.Gate"]
    assert len(violations(source, "looplab.envs", is_package=True)) == 1


def test_reexports_are_traced_to_their_module() -> None:
    source = "from looplab.envs.grids.lava_shortcut import LavaShortcut as Lava"
    assert reexports(source, "looplab.envs") == {
        "looplab.envs.Lava": "looplab.envs.grids.lava_shortcut.LavaShortcut"
    }


def test_importing_looplab_loads_nothing_heavy(tmp_path: Path) -> None:
    program = f"import sys, looplab; print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
