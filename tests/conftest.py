"""What every test shares: quiet, single-threaded libraries, the root, and a generator."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Read by the libraries when they are first imported, also in worker processes and subprocesses.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
# Else every process that a test starts compiles the whole package again: a second each.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import numpy as np
import pytest
from hypothesis import settings

RNG_SEED = 20_260_101

# The same examples on every machine and no deadline: a busy machine is not a failing test.
settings.register_profile("looplab", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("looplab")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture
def rng() -> np.random.Generator:
    """A fresh generator with a fixed seed."""
    return np.random.default_rng(RNG_SEED)


#: Debian's chromium, kept from everything that it would do for itself.
CHROMIUM_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="module")  # no longer: while it lives, no test can run an event loop
def browser() -> Iterator[Any]:
    """A headless chromium, driven by Playwright."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    assert chromium, "tests of pages need chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM_FLAGS))
        yield found
        found.close()
