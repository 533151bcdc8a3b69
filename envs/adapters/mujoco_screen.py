"""MuJoCo's pictures, drawn in memory: they need OpenGL, but neither a window nor a display."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes.util import find_library
from functools import lru_cache
from importlib import import_module
from typing import Any

import gymnasium as gym

from looplab.envs.adapters.building import require
from looplab.envs.annotated import name_of
from looplab.envs.errors import UsageError, choice

#: The variable that chooses what draws, as MuJoCo and Gymnasium read it.
CHOICE = "MUJOCO_GL"
#: What can draw without a display, best first, and the library that it needs.
LIBRARIES = {"egl": "EGL", "osmesa": "OSMesa"}
WITH_DISPLAY = "glfw"
ADVICE = "on Debian: apt-get install libegl1 libgl1-mesa-dri"
_TRIAL_PIXELS = 16


class OffScreen(gym.Wrapper[Any, Any, Any, Any]):
    """Draws with what the machine has: EGL, OSMesa, or a display; ``MUJOCO_GL`` overrules."""

    def render(self) -> Any:
        """The scene, in pixels.

        Raises:
            UsageError: if the machine lacks what draws.
        """
        if self.render_mode is None:
            return None
        name = backend()
        try:
            _try(name)
        except Exception as error:  # each way fails in its own manner
            raise lacking(name_of(self), name) from error
        with _chosen(name):
            return self.env.render()


def load(module: str, wanted_by: str, install: str) -> Any:
    """Imports MuJoCo, or what is built on it; see ``require``.

    Raises:
        UsageError: if it is missing, or ``MUJOCO_GL`` names what the machine lacks.
    """
    try:
        return require(module, wanted_by, install)
    except AttributeError as error:  # PyOpenGL's answer where a library is missing
        raise lacking(wanted_by, os.environ.get(CHOICE, "")) from error


def backend() -> str:
    """What draws: as ``MUJOCO_GL`` says, else the first whose library is there.

    Raises:
        UsageError: if ``MUJOCO_GL`` names no way of drawing.
    """
    wanted = os.environ.get(CHOICE)
    if wanted:
        return choice(CHOICE, wanted, (*LIBRARIES, WITH_DISPLAY))
    there = [name for name, library in LIBRARIES.items() if find_library(library)]
    return there[0] if there else WITH_DISPLAY


def lacking(wanted_by: str, name: str) -> UsageError:
    """Says that a machine cannot draw, and what to install."""
    return UsageError(
        f"{wanted_by} cannot be drawn with {CHOICE}={name}: OpenGL is missing; {ADVICE}"
    )


@lru_cache(maxsize=3)
def _try(name: str) -> None:
    """Fails where drawing would: a viewer that fails half-way leaves a traceback behind."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name == WITH_DISPLAY and not import_module(name).init():
            raise OSError("no display")
    context = import_module(f"mujoco.{name}").GLContext(_TRIAL_PIXELS, _TRIAL_PIXELS)
    context.make_current()
    context.free()


@contextmanager
def _chosen(name: str) -> Iterator[None]:
    """Tells Gymnasium what draws."""
    before = os.environ.get(CHOICE)
    os.environ[CHOICE] = name
    try:
        yield
    finally:
        if before is None:
            del os.environ[CHOICE]
        else:
            os.environ[CHOICE] = before
