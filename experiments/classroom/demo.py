"""The ``demo`` command: a lesson about oversight on one page, or as a recording."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from looplab.envs.errors import UsageError, unknown, whole
from looplab.experiments.classroom.lesson_file import lesson_file
from looplab.experiments.classroom.tasks import LEARNING, task
from looplab.experiments.files import write_whole
from looplab.experiments.overrides import plan
from looplab.experiments.own_words import settings_of
from looplab.experiments.words import Word, parse
from looplab.oversight.live.classroom.lesson import Lesson
from looplab.oversight.live.classroom.recording import record
from looplab.oversight.live.classroom.settings import SLIDERS, LessonSettings

DEFAULT_ENV = "lava_shortcut"
MOST_PORT = 65535
EXTRA = "live"
SUFFIXES = (".html", ".htm")


@dataclass(frozen=True)
class Asked:
    """What a command line asks for.

    Attributes:
        own: settings with keys as in ``configs/demo.yaml``.
        lesson: the lesson, before its first step.
    """

    own: dict[str, Any]
    lesson: Lesson


def asked(words: Sequence[str]) -> Asked:
    """Reads the words of a command line.

    Args:
        words: ``key=value``: keys of ``configs/demo.yaml``, ``env`` and what is below it, ``seed``.

    Raises:
        UsageError: one line, for a wrong word, key or value.
    """
    own = settings_of("demo")
    rest, name = [], DEFAULT_ENV
    for word, text in zip(parse(words), words, strict=True):
        if word.sweeps:
            raise UsageError(f"a lesson takes one value of {word.key}, got {text}")
        if word.key in own:
            own[word.key] = _checked(word)
        elif word.key.split(".")[0] in ("env", "seed"):
            name = str(word.values[0].label) if word.key == "env" else name
            rest.append(text)
        else:
            raise unknown("key", word.key, [*own, "env", "seed"])
    rest += [] if any(text.startswith("env=") for text in rest) else [f"env={DEFAULT_ENV}"]
    if name not in LEARNING:
        raise unknown("env for a class", name, LEARNING)
    config = plan(rest, sweeps=False).cells[0]
    settings = LessonSettings(**{key: own[key] for key in SLIDERS})
    return Asked(own, Lesson(task(name, config), settings, config["seed"]))


def _checked(word: Word) -> Any:
    """The value of a key of ``configs/demo.yaml``; sliders check their own."""
    key, value = word.key, word.raw
    if key in ("port", "steps", "alone_steps"):
        whole(key, value, 0 if key == "port" else 1)
    if key == "port" and value > MOST_PORT:
        raise UsageError(f"port must be at most {MOST_PORT}, got {value}")
    if key == "open" and not isinstance(value, bool):
        raise UsageError(f"open must be true or false, got {value!r}")
    return str(value) if key == "host" else value


def show(words: Sequence[str], say: Callable[[str], None]) -> None:
    """Shows a lesson in a browser until Ctrl-C.

    Raises:
        UsageError: before anything is served.
    """
    found = asked(words)
    try:
        from looplab.oversight.live.classroom.server import serve
    except ModuleNotFoundError as error:
        raise UsageError(
            f"looplab demo needs {error.name}, which is not installed: "
            f"pip install 'looplab[{EXTRA}]'; --export needs nothing more"
        ) from error
    own = found.own
    serve(found.lesson, own["host"], own["port"], say, own["open"])


def export(words: Sequence[str], file: Path, say: Callable[[str], None]) -> Path:
    """Writes a recording of a lesson, one file that needs no server, whole or not at all.

    Args:
        words: as of ``show``.
        file: where to write it; ends with .html.
        say: prints what was counted.

    Raises:
        UsageError: before anything runs, for a wrong word or file.
    """
    if file.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{file} must end with {' or '.join(SUFFIXES)}")
    if file.is_dir():
        raise UsageError(f"{file} is a folder; name a file in it")
    found = asked(words)
    made = record(found.lesson, found.own["steps"], found.own["alone_steps"])
    command = shlex.join(["looplab", "demo", "--export", "lesson.html", *words])
    write_whole(file, lesson_file(made, command).encode())
    for phase, held in made["phases"].items():
        for name, totals in held["totals"].items():
            say(_line(phase, name, totals))
    return file


def _line(phase: str, lane: str, totals: Mapping[str, float]) -> str:
    """What was counted of a lane, in one line."""
    return (
        f"{phase:8}  {lane:11}  {totals['violations']:5.0f} violations in {totals['steps']:5.0f} "
        f"steps  {totals['human_seconds']:6.0f} human seconds  {totals['tasks']:4.0f} of "
        f"{totals['episodes']:4.0f} tasks done  reward {totals['reward']:8.1f}"
    )
