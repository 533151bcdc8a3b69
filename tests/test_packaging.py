"""What is built holds everything that runs, and nothing else; what is pinned agrees everywhere."""

import ast
import configparser
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from email.parser import HeaderParser
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("envs", "agents", "oversight", "experiments")
FOLDERS = ("looplab", "configs", *ROOMS, "tests")
FILES = ("pyproject.toml", "setup.py", "README.md", "LICENSE")
CACHES = shutil.ignore_patterns("__pycache__", "*.egg-info")

PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of everything that a build reads, with the tests, which it must leave out."""
    copy = tmp_path_factory.mktemp("checkout")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, copy / folder, ignore=CACHES)
    for file in FILES:
        shutil.copy(ROOT / file, copy / file)
    return copy


@pytest.fixture(scope="module")
def wheel(checkout: Path) -> Iterator[zipfile.ZipFile]:
    """The wheel, built through a source archive as a release is, without any network."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", "dist", "."]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = (checkout / "dist").glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        yield archive


def expected_in_wheel() -> set[str]:
    """Names that the wheel must hold, from the files of the checkout."""
    names = {"looplab/__init__.py", "looplab/py.typed"}
    for room in ROOMS:
        data = ("templates/*", "references.json", "live/console/static/*")
        found = [*(ROOT / room).rglob("*.py"), *(f for d in data for f in (ROOT / room).glob(d))]
        names |= {f"looplab/{path.relative_to(ROOT).as_posix()}" for path in found}
    configs = (ROOT / "configs").rglob("*.yaml")
    return names | {f"looplab/{path.relative_to(ROOT).as_posix()}" for path in configs}


def in_metadata(wheel: zipfile.ZipFile, file: str) -> str:
    """The text of a file of the wheel's metadata folder."""
    (name,) = (n for n in wheel.namelist() if n.endswith(f".dist-info/{file}"))
    return wheel.read(name).decode()


def test_the_wheel_holds_every_module_and_configuration_and_nothing_else(
    wheel: zipfile.ZipFile,
) -> None:
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == expected_in_wheel()


def test_something_of_every_room_is_expected() -> None:
    rooms = {name.split("/")[1] for name in expected_in_wheel()}
    assert rooms == {*ROOMS, "configs", "__init__.py", "py.typed"}


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {path.parent for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    assert [f for f in sorted(folders) if not (f / "__init__.py").is_file()] == []


def test_the_wheel_installs_the_command(wheel: zipfile.ZipFile) -> None:
    entry_points = configparser.ConfigParser()
    entry_points.read_string(in_metadata(wheel, "entry_points.txt"))
    assert dict(entry_points["console_scripts"]) == {"looplab": "looplab.experiments.cli:main"}


def test_the_wheel_states_version_and_licence(wheel: zipfile.ZipFile) -> None:
    metadata = HeaderParser().parsestr(in_metadata(wheel, "METADATA"))
    assert metadata["Version"] == PYPROJECT["project"]["version"]
    assert metadata["License-Expression"] == "MIT"
    assert "The LoopLab authors" in in_metadata(wheel, "licenses/LICENSE")


def test_the_version_has_one_source() -> None:
    import looplab

    assert looplab.__version__ == PYPROJECT["project"]["version"]


def test_the_configuration_is_found_from_anywhere(tmp_path: Path) -> None:
    program = "import looplab; print(looplab.CONFIG_DIR)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert list(Path(done.stdout.strip()).rglob("*.yaml"))


def requirements(*, dev: bool) -> dict[str, Requirement]:
    """Canonical name -> requirement, as pyproject.toml declares it."""
    project = PYPROJECT["project"]
    extras: Mapping[str, list[str]] = project["optional-dependencies"]
    lines = [*project["dependencies"]]
    lines += [line for name, extra in extras.items() if dev or name != "dev" for line in extra]
    return {canonicalize_name(r.name): r for r in map(Requirement, lines)}


def pins() -> dict[str, str]:
    """Canonical name -> version, as constraints.txt pins it."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pinned}


def test_every_requirement_is_pinned_within_its_range() -> None:
    pinned = pins()
    wrong = [
        str(requirement)
        for name, requirement in requirements(dev=True).items()
        if not requirement.specifier.contains(pinned.get(name, ""))
    ]
    assert wrong == []


def third_party(source: str) -> set[str]:
    """Top-level names that a module imports from outside the standard library and LoopLab."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.add(node.module.split(".")[0])
    return names - sys.stdlib_module_names - {"looplab"}


def test_every_library_that_is_imported_is_declared() -> None:
    declared = requirements(dev=False)
    providers = packages_distributions()
    missing = {
        f"{path.relative_to(ROOT)}: {name}"
        for room in ("looplab", *ROOMS)
        for path in (ROOT / room).rglob("*.py")
        for name in third_party(path.read_text(encoding="utf-8"))
        if not any(canonicalize_name(d) in declared for d in providers.get(name, ()))
    }
    assert missing == set()


def test_an_undeclared_library_would_be_seen() -> None:
    source = "import os, numpy.linalg\nfrom . import core\ndef f():\n    from requests import get"
    assert third_party(source) == {"numpy", "requests"}


def test_pre_commit_runs_the_pinned_ruff() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    (revision,) = re.findall(r"ruff-pre-commit\s+rev: v(\S+)", text)
    assert revision == pins()["ruff"]


def test_the_workflow_and_ci_call_the_make_target_that_the_readme_names() -> None:
    workflow = (ROOT / ".github" / "workflows" / "check.yml").read_text(encoding="utf-8")
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.findall(r"- run: (.+)", workflow) == ["make test"]
    assert ci.splitlines()[-1] == "make test"
    assert "make test" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_make_help_lists_every_target_with_a_word_on_it(root: Path) -> None:
    command = ["make", "--no-print-directory", "help"]  # inside of another make it would say where
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    listed = dict(line.split(maxsplit=2)[1:] for line in done.stdout.splitlines())
    targets = {"help", "setup", "compare", "test", "check", "format", "types", "bench", "clean"}
    assert set(listed) == targets
    assert all(listed.values())
