"""Where results come from: versions, commit, machine and time."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

#: Libraries whose version can change a number.
LIBRARIES = (
    "looplab", "gymnasium", "stable-baselines3", "torch", "numpy", "scipy", "pandas", "pyarrow",
    "hydra-core", "omegaconf", "matplotlib", "minigrid", "simpy",
)  # fmt: skip
_GIT_SECONDS = 10


def provenance() -> dict[str, Any]:
    """Versions, commit, Python, machine and the present time (UTC)."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **_code(),
        "python": platform.python_version(),
        "machine": {
            "system": platform.platform(),
            "processor": platform.machine(),
            "cores": cores(),
        },
    }


@cache
def _code() -> dict[str, Any]:
    """What a process has loaded stays: asking takes as long as a small run."""
    return {"versions": versions(), "commit": commit()}


def versions() -> dict[str, str]:
    """Installed version of every library that matters."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def commit() -> str | None:
    """Commit of the checkout that runs, with ``-dirty`` if it has changes; None outside of one."""
    here = Path(__file__).resolve().parent
    if not (here.parent / ".git").exists():
        return None
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=_GIT_SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
