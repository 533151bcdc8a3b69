"""The ``study`` command: participants, with consent, conditions in turn, and questionnaires."""

import csv
import io
import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pandas as pd
import yaml

from looplab.envs.errors import UsageError, choice, finite, unknown, whole
from looplab.experiments.compare import RESULTS
from looplab.experiments.files import write_whole
from looplab.experiments.live_service import RunningService, service
from looplab.experiments.own_words import settings_of, split_words
from looplab.experiments.practice.forms import QUESTIONNAIRES
from looplab.experiments.practice.participant import FORMS_FILE, Participant, Plan
from looplab.experiments.practice.practice import ANSWERS_FILE, block_of, task_of
from looplab.experiments.practice.seat import Block
from looplab.experiments.practice.study_tables import contrasts, scores_of
from looplab.experiments.store import check_writable, locked
from looplab.experiments.text_table import text_table
from looplab.experiments.words import parse

STUDY = "study"
LINKS_FILE, DATABASE_FILE, STUDY_FILE = "participants.csv", "study.db", "study.json"
LEDGER_FOLDER = "ledger"
SCORES_FILE, CONTRASTS_FILE = "scores.csv", "contrasts.csv"
#: What a condition may change.
_CHANGEABLE = ("questions", "unsafe_share", "limit", "show_risk", "pictures")
_MOST_PARTICIPANTS = 64
_HOURS_PER_DAY = 24.0


def study(words: Sequence[str], say: Callable[[str], None]) -> Path:
    """Runs a study until every participant is done; one that was interrupted goes on.

    Args:
        words: ``key=value``: keys of ``configs/study.yaml``, and of a run's task.
        say: prints a line.

    Returns:
        The study's folder.

    Raises:
        UsageError: before anything starts, if it cannot run.
    """
    own, rest = _settings(words)
    config = task_of(rest)
    asked = _plan(own, config)
    count = whole("participants", own["participants"], 1)
    if count > _MOST_PARTICIPANTS:
        raise UsageError(f"participants must be at most {_MOST_PARTICIPANTS}, got {count}")
    hours = finite("days", own["days"], 0.01) * _HOURS_PER_DAY
    default = RESULTS / STUDY / f"{STUDY}-{config['cell']['env']}-s{config['seed']}"
    folder = Path(config["out"]) if config["out"] is not None else default
    check_writable(folder, 1)
    with locked(folder):
        _check_same(folder, asked, own)
        database = (folder / DATABASE_FILE).absolute()
        served = {**own, "db": f"sqlite:///{database}", "deadlines": [None]}
        with service(served, lambda line: say(line.replace("open", "researcher"))) as running:
            running.enter()
            people = _participants(folder, count, hours, running)
            say(f"participants' links: {folder / LINKS_FILE}")
            _run_all(asked, people, folder, say)
        _write(folder, asked, people, say)
        _keep_ledger(f"sqlite:///{database}", folder / LEDGER_FOLDER)
    return folder


def _settings(words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """The study's settings: the file's, changed by the words; and words of the task."""
    own, rest = split_words(STUDY, words, hidden=("conditions", "consent", "thanks"))
    found = settings_of(STUDY)
    if own["file"] is not None:
        found |= _read(Path(str(own["file"])), found)
    given = {word.key for word in parse(words)}
    return {**found, **{key: own[key] for key in own.keys() & given}}, rest


def _read(file: Path, known: Mapping[str, Any]) -> dict[str, Any]:
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        line = str(error).splitlines()[0]
        raise UsageError(f"file={file} cannot be read: {line}") from error
    if not isinstance(found, dict):
        raise UsageError(f"file={file} must hold keys and values")
    for key in found:
        if key not in known:
            raise unknown(f"key in {file.name}", str(key), known)
    return found


def _plan(own: Mapping[str, Any], config: Mapping[str, Any]) -> Plan:
    """What every participant goes through, checked."""
    conditions = own["conditions"]
    if not isinstance(conditions, dict) or not conditions:
        raise UsageError("conditions must name at least one condition, each with what it changes")
    blocks: dict[str, Block] = {}
    for name, changes in conditions.items():
        if not isinstance(changes, dict):
            raise UsageError(f"condition {name} must be a mapping of what it changes")
        for key in changes:
            choice(f"key of condition {name}", str(key), _CHANGEABLE)
        blocks[str(name)] = block_of({**own, **changes}, config["seed"])
    warm_up = whole("warm_up", own["warm_up"], 0)
    forms = own["forms"] if isinstance(own["forms"], list) else [own["forms"]]
    return Plan(
        title=str(own["title"]), consent=str(own["consent"]), thanks=str(own["thanks"]),
        conditions=blocks,
        warm_up=block_of({**own, "questions": warm_up}, config["seed"], True) if warm_up else None,
        forms=tuple(choice("form", str(name), QUESTIONNAIRES) for name in forms),
        config=config,
    )  # fmt: skip


def _check_same(folder: Path, asked: Plan, own: Mapping[str, Any]) -> None:
    """Refuses to go on with another study in the same folder; a new one writes down what it is.

    Raises:
        UsageError: if the folder holds another.
    """
    described = asked.described()
    file = folder / STUDY_FILE
    if not file.exists():
        write_whole(file, (json.dumps(described, indent=2) + "\n").encode())
        return
    if json.loads(file.read_text(encoding="utf-8")) != described:
        raise UsageError(f"{folder} holds another study; give another out=")


@dataclass(frozen=True)
class Person:
    """A participant: pseudonym, and the link by which they come in."""

    id: str
    link: str


def _participants(folder: Path, count: int, hours: float, running: RunningService) -> list[Person]:
    """The participants, with their links; who was there before keeps pseudonym and token."""
    from looplab.oversight.live.client import Connection

    file = folder / LINKS_FILE
    kept = _kept(file)
    people: list[tuple[str, str]] = kept[:]
    connection = Connection(running.url, running.admin, patience=20.0)
    try:
        for number in range(len(kept), count):
            body = {"name": f"participant {number + 1}", "role": "reviewer", "hours": hours}
            made = connection.call("POST", "/api/people", body)
            people.append((made["person"], made["token"]))
    finally:
        connection.close()
    found = [Person(who, f"{running.url}/#token={token}") for who, token in people]
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(("number", "pseudonym", "link"))
    table.writerows((at + 1, one.id, one.link) for at, one in enumerate(found))
    hidden = folder / f".{LINKS_FILE}"
    hidden.unlink(missing_ok=True)
    with os.fdopen(os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as written:
        written.write(stream.getvalue())
    os.replace(hidden, file)
    return found[:count]


def _kept(file: Path) -> list[tuple[str, str]]:
    if not file.exists():
        return []
    with file.open(encoding="utf-8", newline="") as rows:
        found = list(csv.DictReader(rows))
    return [(row["pseudonym"], row["link"].partition("#token=")[2]) for row in found]


def _run_all(
    asked: Plan, people: Sequence[Person], folder: Path, say: Callable[[str], None]
) -> None:
    """Lets all participants go through it side by side, each at their own pace."""
    ended: SimpleQueue[tuple[int, str | BaseException]] = SimpleQueue()

    def go(at: int) -> None:
        try:
            ended.put((at, Participant(at, people[at].id, asked, folder).run()))
        except BaseException as error:
            ended.put((at, error))

    for at in range(len(people)):  # they wait for people: none of them keeps the process alive
        threading.Thread(target=go, args=(at,), name=f"participant {at + 1}", daemon=True).start()
    for _ in people:
        at, outcome = ended.get()
        if isinstance(outcome, BaseException):
            raise outcome
        say(f"participant {at + 1} of {len(people)}: {outcome}")


def _keep_ledger(url: str, folder: Path) -> None:
    """Exports what the service has written down, as ``looplab audit export`` does."""
    from looplab.oversight.live.audit import export
    from looplab.oversight.live.database import connect

    engine = connect(url, must_exist=True)
    try:
        export(engine, folder)
    finally:
        engine.dispose()


def _write(folder: Path, asked: Plan, people: Sequence[Person], say: Callable[[str], None]) -> None:
    """Writes everybody's answers and forms as tables, and what they come to."""
    answers: list[pd.DataFrame] = []
    forms: list[pd.DataFrame] = []
    for at in range(len(people)):
        place = Participant(at, people[at].id, asked, folder).folder
        for name, parts in ((ANSWERS_FILE, answers), (FORMS_FILE, forms)):
            if (place / name).exists():
                parts.append(pd.read_parquet(place / name))
    for name, parts in ((ANSWERS_FILE, answers), (FORMS_FILE, forms)):
        if parts:
            stream = io.BytesIO()
            pd.concat(parts, ignore_index=True).to_parquet(stream, index=False)
            write_whole(folder / name, stream.getvalue())
    if not answers:
        say("nobody has answered any question")
        return
    scores = scores_of(pd.concat(answers), pd.concat(forms) if forms else None)
    write_whole(folder / SCORES_FILE, scores.to_csv(index=False).encode())
    compared = contrasts(scores, list(asked.conditions))
    write_whole(folder / CONTRASTS_FILE, compared.to_csv(index=False).encode())
    say(text_table(compared))
