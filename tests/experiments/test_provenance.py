"""Where results come from."""

import os
import re
import subprocess
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import pytest

from looplab.experiments import provenance as module
from looplab.experiments.provenance import LIBRARIES, commit, cores, provenance, versions


def test_every_library_that_is_installed_is_named_with_its_version() -> None:
    found = versions()
    assert set(found) <= set(LIBRARIES)
    for name in ("looplab", "torch", "numpy", "stable-baselines3", "gymnasium", "hydra-core"):
        assert found[name] == version(name)


def test_a_library_that_is_missing_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIBRARIES", ("numpy", "looplab-of-another-world"))
    assert versions() == {"numpy": version("numpy")}


def test_provenance_states_time_machine_and_python() -> None:
    found = provenance()
    age = datetime.now(UTC) - datetime.fromisoformat(found["created"])
    assert timedelta() <= age < timedelta(minutes=5)
    assert found["machine"]["cores"] == cores() <= (os.cpu_count() or 1)
    assert re.fullmatch(r"3\.\d+\.\d+.*", found["python"])


def test_the_commit_is_the_checkout_s(root: Path) -> None:
    if not (root / ".git").exists():
        assert commit() is None
        return
    head = subprocess.run(
        ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    )
    found = commit()
    assert found is not None
    assert found.removesuffix("-dirty") == head.stdout.strip()


def test_without_git_there_is_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert commit() is None


def test_outside_of_a_checkout_there_is_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "__file__", str(tmp_path / "experiments" / "provenance.py"))
    assert commit() is None
