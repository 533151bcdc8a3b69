"""The ``live`` command: the review service, its page and a training run, in one go."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from looplab.envs.errors import LoopLabError, UsageError, whole
from looplab.experiments.collecting import EPISODES_FILE
from looplab.experiments.compare import RESULTS, check_cells
from looplab.experiments.evaluate import summarise
from looplab.experiments.live_seat import REGIMES
from looplab.experiments.overrides import plan
from looplab.experiments.own_words import settings_of, value_of
from looplab.experiments.progress import display
from looplab.experiments.run import run
from looplab.experiments.serving import STARTER
from looplab.experiments.store import (
    check_writable,
    is_finished,
    locked,
    run_name,
    written_whole,
)
from looplab.experiments.text_table import text_table
from looplab.experiments.training import single_job, train_one
from looplab.experiments.words import check_roots, parse

_LISTS = ("defaults", "watching")
_FOLDER = "live"
_CHECKPOINTS = "checkpoints"
#: Presets that a session can be switched to while it runs: those that people sit in, and none.
SWITCHABLE = (
    "autonomous", "in_the_loop", "in_the_loop_correction", "on_the_loop", "veto_window",
)  # fmt: skip
_START_SECONDS = 60.0
_OPEN, _TOKENS = "open: ", "LOOPLAB_TOKEN is in "


@dataclass(frozen=True)
class Asked:
    """What a command line asks for.

    Attributes:
        own: the session's own settings, keys as in ``configs/live.yaml``.
        words: those of the run.
    """

    own: dict[str, Any]
    words: tuple[str, ...]


def asked(words: Sequence[str]) -> Asked:
    """Reads the words of a command line, and adds what fits people.

    Args:
        words: ``key=value``, as in Hydra: keys of ``configs/live.yaml`` and of a run.

    Raises:
        UsageError: one line, for a wrong word, key or value.
    """
    own = settings_of(_FOLDER)
    lists = {name: own.pop(name) for name in _LISTS}
    given = parse(words)
    check_roots(given, {*own, *_keys_of_runs()})
    rest = []
    for word, text in zip(given, words, strict=True):
        if word.key in own:
            own[word.key] = value_of(word)
        else:
            rest.append(text)
    keys = {word.key for word in given}
    if not any(key in keys for key in ("regime", "protocol")):
        rest.append("regime=in_the_loop")
    if "overseer" not in keys:
        rest.append("overseer=live")
    watches = plan(rest, sweeps=False).cells[0]["protocol"]["_target_"].endswith(".Veto")
    fitting = lists["watching" if watches else "defaults"]
    return Asked(own, (*_missing(fitting, keys), *rest))


def _keys_of_runs() -> set[str]:
    from looplab.experiments.composition import CHOICES, EXPERIMENT, SWEEP, composed

    return {*composed([])} - {CHOICES, SWEEP, EXPERIMENT}


def _missing(fitting: Sequence[str], keys: set[str]) -> list[str]:
    """What fits people and was not asked for otherwise, by its key or by the group above it."""
    found = []
    for word in fitting:
        key = word.partition("=")[0]
        groups = {key, key.partition(".")[0]} if key.partition(".")[0] == "trigger" else {key}
        if not groups & keys:
            found.append(word)
    return found


def live(words: Sequence[str], say: Callable[[str], None]) -> Path:
    """Starts a service, prepares an agent, and trains it under people's eyes.

    A session that was killed goes on with the same command: it runs again from its start, and what
    people have answered is not asked again.

    Args:
        words: ``key=value``, as in Hydra.
        say: prints a line.

    Returns:
        The run's folder.

    Raises:
        UsageError: before anything starts, if it cannot run.
    """
    request = asked(words)
    own, extra = request.own, _switches(request.words)
    start = _checkpoint(request, say)
    named = [*request.words, *([] if start is None else [f"start_from={start}"])]
    found, job = single_job(named)
    config = {**job.config, REGIMES: extra} if extra else dict(job.config)
    out = found.running["out"]
    folder = RESULTS / _FOLDER / run_name(config) if out is None else Path(out)
    if is_finished(folder):
        say(f"this session is finished already: {folder}; another seed= begins a new one")
        return folder
    check_cells(found)
    check_writable(folder, 1)
    with locked(folder.parent), _service(own, say) as service:
        os.environ.update(service)
        _knock(service)
        name = run_name(config)
        cells = {name: f"{config['cell']['env']} {config['cell']['regime']}"}
        with display(found.running["display"], cells, {name: config["total_steps"]}) as shown:
            shown.started(name)
            with written_whole(folder) as partial:
                run(config, partial, lambda done: shown.advanced(name, done))
            shown.finished(name, None)
    say(text_table(summarise(pd.read_parquet(folder / EPISODES_FILE))))
    say(f"session: {folder}")
    return folder


def _knock(service: Mapping[str, str]) -> None:
    """Looks whether the service is there, before an agent is built."""
    from looplab.oversight.live.client import Connection

    connection = Connection(service["LOOPLAB_URL"], service["LOOPLAB_TOKEN"], patience=10.0)
    connection.call("GET", "/health")
    connection.close()


def _switches(words: Sequence[str]) -> dict[str, Any]:
    """Protocols of the presets that the session can be switched to, by name.

    Only those whose signal is the session's own: what is learned from a refusal stays the same.
    """
    plain = [word for word in words if word.partition("=")[0] not in ("regime", "protocol")]
    plain = [word for word in plain if not word.startswith("protocol.")]
    signal = plan(words, sweeps=False).cells[0]["signal"]
    found = {}
    for regime in SWITCHABLE:
        cell = plan([f"regime={regime}", *plain], sweeps=False).cells[0]
        if cell["signal"] == signal:
            found[regime] = cell["protocol"]
    return found


def _checkpoint(request: Asked, say: Callable[[str], None]) -> Path | None:
    """A model to start from: trained alone beforehand, once, unless one is named."""
    steps = whole("checkpoint_steps", request.own["checkpoint_steps"], 0)
    if any(word.startswith("start_from=") for word in request.words) or not steps:
        return None
    kept = ("env", "agent", "seed")
    words = [
        word for word in request.words if word.partition("=")[0] in kept or word.startswith("env.")
    ]
    words += ["regime=autonomous", f"total_steps={steps}", "eval_episodes=20", "display=none"]
    _, job = single_job(words)
    folder = RESULTS / _FOLDER / _CHECKPOINTS / job.name
    if not is_finished(folder):
        say(f"preparing an agent: {steps} steps alone")
    train_one([*words, f"out={folder}"], lambda line: None)
    return folder / "model.zip"


@contextlib.contextmanager
def _service(own: Mapping[str, Any], say: Callable[[str], None]) -> Iterator[dict[str, str]]:
    """A service of its own process for as long as the session runs, or the one that is named.

    Yields:
        Its address and the trainer's token, as the environment's variables.
    """
    from looplab.oversight.live.client import token_from
    from looplab.oversight.live.places import TOKEN_VARIABLE, URL_VARIABLE

    if own["url"] is not None:
        yield {URL_VARIABLE: str(own["url"]), TOKEN_VARIABLE: token_from()}
        return
    words = [
        f"{key}={json.dumps(own[key])}"
        for key in ("port", "host", "deadlines", "undo_seconds", "speed")
    ]
    words += [] if own["db"] is None else [f"db={own['db']}"]
    command = [sys.executable, "-m", "looplab.experiments.cli", "serve", *words]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, STARTER: str(os.getpid())},
    )  # fmt: skip
    try:
        tokens, link = _started(process)
        say(link)
        yield {URL_VARIABLE: tokens["url"], TOKEN_VARIABLE: tokens["trainer"]}
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20.0)
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
