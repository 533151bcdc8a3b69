"""A review service for one command: in a process of its own, or one that runs already."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from looplab.envs.errors import LoopLabError, UsageError
from looplab.experiments.serving import STARTER

_START_SECONDS, _END_SECONDS = 60.0, 20.0
_OPEN, _TOKENS = "open: ", "LOOPLAB_TOKEN is in "
#: Keys of a command's own settings that are the service's.
_PASSED = ("port", "host", "deadlines", "undo_seconds", "speed")


@dataclass(frozen=True)
class RunningService:
    """Where a service is, and by which tokens one comes in.

    Attributes:
        url: of the service.
        trainer: a trainer's token.
        admin: an administrator's token; empty where the service is somebody else's.
        link: what to open in a browser; empty where the service is somebody else's.
    """

    url: str
    trainer: str
    admin: str = ""
    link: str = ""

    def enter(self) -> None:
        """Lets this process's trainers know of it, and looks whether it is there.

        Raises:
            LoopLabError: if it does not answer.
        """
        from looplab.oversight.live.client import Connection
        from looplab.oversight.live.places import TOKEN_VARIABLE, URL_VARIABLE

        os.environ.update({URL_VARIABLE: self.url, TOKEN_VARIABLE: self.trainer})
        connection = Connection(self.url, self.trainer, patience=10.0)
        connection.call("GET", "/health")
        connection.close()


@contextlib.contextmanager
def service(own: Mapping[str, Any], say: Callable[[str], None]) -> Iterator[RunningService]:
    """A service of its own process until the block ends, or the one that ``own["url"]`` names.

    Args:
        own: settings of the command: ``url``, ``db``, and what is the service's.
        say: is told the link to open; nothing where the service is somebody else's.

    Raises:
        UsageError: if it cannot start, in its own words.
    """
    from looplab.oversight.live.client import token_from

    if own.get("url") is not None:
        yield RunningService(str(own["url"]), token_from())
        return
    words = [f"{key}={json.dumps(own[key])}" for key in _PASSED if key in own]
    words += [] if own["db"] is None else [f"db={own['db']}"]
    command = [sys.executable, "-m", "looplab.experiments.cli", "serve", *words]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, STARTER: str(os.getpid())},
    )  # fmt: skip
    try:
        tokens, link = _started(process)
        say(link)
        yield RunningService(
            tokens["url"], tokens["trainer"], tokens["admin"], link.removeprefix(_OPEN)
        )
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def _started(process: "subprocess.Popen[str]") -> tuple[dict[str, str], str]:
    """The tokens of a service that has just been started, and the link that it prints.

    Raises:
        UsageError: if it could not start, in its own words.
    """
    assert process.stdout is not None
    assert process.stderr is not None
    tokens: dict[str, str] = {}
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        line = process.stdout.readline()
        if not line:
            said = process.stderr.read().strip().splitlines()
            raise UsageError((said or ["the service did not start"])[-1].removeprefix("looplab: "))
        if _TOKENS in line:
            file = Path(line.strip().partition(_TOKENS)[2])
            tokens = json.loads(file.read_text(encoding="utf-8"))
        if line.startswith(_OPEN):
            return tokens, line.strip()
    raise LoopLabError(f"the service did not start within {_START_SECONDS:g} s")
