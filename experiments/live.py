"""The ``live`` command: the review service, its page and a training run, in one go."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from looplab.envs.core import Lanes
from looplab.envs.errors import UsageError, whole
from looplab.experiments.build import lanes, make
from looplab.experiments.collecting import EPISODES_FILE
from looplab.experiments.compare import RESULTS, check_cells
from looplab.experiments.evaluate import summarise
from looplab.experiments.live_seat import REGIMES
from looplab.experiments.live_service import service
from looplab.experiments.overrides import plan
from looplab.experiments.own_words import settings_of, split_words
from looplab.experiments.progress import display
from looplab.experiments.run import run
from looplab.experiments.store import (
    check_writable,
    is_finished,
    locked,
    run_name,
    written_whole,
)
from looplab.experiments.text_table import text_table
from looplab.experiments.training import single_job, train_one
from looplab.oversight.engine import Engine

_PEOPLE = "people"
_FOLDER = "live"
_CHECKPOINTS = "checkpoints"
#: Presets that a session can be switched to while it runs: those that people sit in, and none.
SWITCHABLE = (
    "autonomous", "in_the_loop", "in_the_loop_correction", "on_the_loop", "veto_window",
)  # fmt: skip
#: Keys that say which regime it is.
_REGIME = ("regime", "protocol")


@dataclass(frozen=True)
class Asked:
    """What a command line asks for.

    Attributes:
        own: the session's own settings, keys as in ``configs/live.yaml``.
        given: words of the run, as they were given.
    """

    own: dict[str, Any]
    given: tuple[str, ...]

    @property
    def words(self) -> list[str]:
        """Words of the run, with what fits people where nothing else was asked for."""
        return self._fitted(self.given)

    def switched(self, regime: str) -> list[str]:
        """The same under another preset."""
        rest = [word for word in self.given if _key(word).partition(".")[0] not in _REGIME]
        return self._fitted([f"regime={regime}", *rest])

    @staticmethod
    def _fitted(given: Sequence[str]) -> list[str]:
        keys = {_key(word) for word in given}
        words = list(given)
        if not keys & {*_REGIME}:
            words.append("regime=in_the_loop")
        if "overseer" not in keys:
            words.append("overseer=live")
        watches = plan(words, sweeps=False).cells[0]["protocol"]["_target_"].endswith(".Veto")
        fitting = settings_of(_FOLDER)[_PEOPLE]["on_the_loop" if watches else "in_the_loop"]
        chosen = keys | {"trigger." for key in keys if key.partition(".")[0] == "trigger"}
        return [word for word in fitting if not _is_chosen(_key(word), chosen)] + words


def _key(word: str) -> str:
    return word.lstrip("+").partition("=")[0]


def _is_chosen(key: str, chosen: set[str]) -> bool:
    """Whether a key was asked for; a trigger that was touched at all is wholly the asker's."""
    return key in chosen or (key.partition(".")[0] == "trigger" and "trigger." in chosen)


def asked(words: Sequence[str]) -> Asked:
    """Reads the words of a command line.

    Args:
        words: ``key=value``, as in Hydra: keys of ``configs/live.yaml`` and of a run.

    Raises:
        UsageError: one line, for a wrong word, key or value.
    """
    own, rest = split_words(_FOLDER, words, hidden=(_PEOPLE,))
    return Asked(own, tuple(rest))


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
    prepared = _checkpoint(request)
    start = [] if prepared is None else [f"start_from={prepared.folder / 'model.zip'}"]
    found, job = single_job([*request.words, *start])
    config = {**job.config, REGIMES: _switches(request)}
    out = found.running["out"]
    folder = RESULTS / _FOLDER / run_name(config) if out is None else Path(out)
    if is_finished(folder):
        say(f"this session is finished already: {folder}; another seed= begins a new one")
        return folder
    check_cells(plan(request.words, sweeps=False))
    check_writable(folder, 1)
    if prepared is not None:
        if not is_finished(prepared.folder):
            say(f"preparing an agent: {prepared.steps} steps alone")
        train_one(prepared.words, lambda line: None)
    check_cells(found)
    with locked(folder.parent), service(request.own, say) as running:
        running.enter()
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


def _switches(request: Asked) -> dict[str, Any]:
    """Protocols of the presets that the session can be switched to, by name.

    Only those that fit the task, and whose signal is the session's own: what is learned from a
    refusal stays the same.
    """
    own = plan(request.words, sweeps=False).cells[0]
    task = lanes(own, 1)
    found = {}
    for regime in SWITCHABLE:
        cell = plan(request.switched(regime), sweeps=False).cells[0]
        if cell["signal"] == own["signal"] and _fits(cell["protocol"], task):
            found[regime] = cell["protocol"]
    return found


def _fits(protocol: Mapping[str, Any], task: Lanes) -> bool:
    """Whether a task offers what a protocol has to know."""
    try:
        Engine(task, make(protocol))
    except UsageError:
        return False
    return True


class Prepared(NamedTuple):
    """An agent that a session begins with, trained alone beforehand, once.

    Attributes:
        words: of its training.
        folder: where it is, or will be.
        steps: how long it trains.
    """

    words: list[str]
    folder: Path
    steps: int


def _checkpoint(request: Asked) -> Prepared | None:
    """What a session begins with; None where a model is named, or none is wanted."""
    steps = whole("checkpoint_steps", request.own["checkpoint_steps"], 0)
    if not steps or any(_key(word) == "start_from" for word in request.given):
        return None
    words = [word for word in request.given if _shapes(_key(word))]
    words += ["regime=autonomous", f"total_steps={steps}", "eval_episodes=20", "display=none"]
    _, job = single_job(words)
    folder = RESULTS / _FOLDER / _CHECKPOINTS / job.name
    return Prepared([*words, f"out={folder}"], folder, steps)


def _shapes(key: str) -> bool:
    """Whether a key says what an agent is, and where it acts; not how it goes on among people."""
    group = key.partition(".")[0]
    return key in ("seed", "agent.hidden", "agent.algorithm", "agent", "env") or group == "env"
