"""A recorded lesson as one HTML file, which needs no server and asks for nothing outside."""

import json
from typing import Any

from looplab import __version__
from looplab.experiments.rendering import rendered
from looplab.oversight.live.classroom.assets import STATIC
from looplab.oversight.live.classroom.lesson import SPEEDS

TEMPLATE = "lesson.html.j2"


def lesson_file(recording: dict[str, Any], command: str) -> str:
    """The file's text; the same recording and command give the same text.

    Args:
        recording: see ``recording.record``.
        command: the command line that makes it.
    """
    told = recording["settings"]
    data = json.dumps(recording, separators=(",", ":"), allow_nan=False)
    return rendered(
        TEMPLATE,
        recording=recording,
        data=data.replace("<", "\\u003c"),  # so that no text of it can end the script
        style=_asset("stage.css"),
        script=_asset("stage.js"),
        player=_asset("player.js"),
        speeds=SPEEDS,
        settings=", ".join(f"{name.lower()} {value}" for name, value in told.items()),
        command=command,
        version=__version__,
    )


def _asset(name: str) -> str:
    """Style or script of our own, which stands in the page as it is."""
    return (STATIC / name).read_text(encoding="utf-8")
