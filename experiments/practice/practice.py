"""The ``practice`` command: questions with known answers, feedback at once, and a score card."""

import json
import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from looplab.envs.errors import UsageError, choice, finite, probability, whole
from looplab.experiments.compare import RESULTS
from looplab.experiments.composition import groups
from looplab.experiments.figures.score_card import picture
from looplab.experiments.files import write_whole
from looplab.experiments.live_seat import JOURNAL_FILE
from looplab.experiments.live_service import service
from looplab.experiments.overrides import plan
from looplab.experiments.own_words import split_words
from looplab.experiments.practice.card import card
from looplab.experiments.practice.scores import Score, score, simulated
from looplab.experiments.practice.seat import PRACTICE, Block, Seat
from looplab.experiments.store import check_writable, locked, written_whole
from looplab.experiments.text_table import text_table
from looplab.oversight.ledger import Ledger

ANSWERS_FILE, SCORE_FILE = "answers.parquet", "score.json"
YOU = "you"


def practice(words: Sequence[str], say: Callable[[str], None]) -> Path:
    """Asks questions whose answers are known, on the review service's page, and shows the score.

    One that was interrupted goes on with the same command, with what was answered.

    Args:
        words: ``key=value``: keys of ``configs/practice.yaml``, and of a run's task.
        say: prints a line.

    Returns:
        The folder with answers, decisions and score.

    Raises:
        UsageError: before anything starts, if it cannot run.
    """
    own, rest = split_words(PRACTICE, words)
    config = task_of(rest)
    block = block_of(own, config["seed"], feedback=_truth("feedback", own["feedback"]))
    judges = judges_of(own["judges"])
    asked = block.drawn(config)
    others = list(simulated(asked, judges, config["tolerance"], config["seed"]).values())
    name = f"{PRACTICE}-{config['cell']['env']}-s{config['seed']}"
    folder = Path(config["out"]) if config["out"] is not None else RESULTS / PRACTICE / name
    if (folder / SCORE_FILE).exists():
        say(f"you have answered these already: {folder}; another seed= asks others")
        return folder
    check_writable(folder, 1)
    journal = folder.parent / f".{folder.name}.{JOURNAL_FILE}"
    with locked(folder.parent), service(own, say) as running:
        running.enter()
        session = session_of(journal, name)
        with (
            written_whole(folder) as partial,
            Seat(block, asked, config, session, journal) as seat,
        ):
            answers = seat.judge(Ledger(partial))
            mine = score(answers, YOU)
            write_answers(partial, answers)
            write_whole(partial / SCORE_FILE, _as_json(mine, others))
            seat.fill_in("card", card(mine, others), picture(mine, others))
            seat.overseer.close()
            os.replace(journal, partial / JOURNAL_FILE)
            journal.with_suffix(".session").unlink()
    table = card(mine, others)["table"]
    say(text_table(pd.DataFrame(table[1:], columns=table[0])))
    return folder


def task_of(words: Sequence[str]) -> dict[str, Any]:
    """The resolved configuration of a run, of which the task is used.

    Raises:
        UsageError: for a key that has nothing to do with the task.
    """
    for word in words:
        root = word.lstrip("+").partition("=")[0].partition(".")[0]
        choice("key", root, ("env", "tolerance", "seed", "out"))
    found = plan([*words, "regime=in_the_loop"], sweeps=False)
    return {**found.cells[0], "seed": found.seeds[0], "out": found.running["out"]}


def block_of(own: dict[str, Any], seed: int, feedback: bool = False) -> Block:
    """A block as it is set, its ranges checked.

    Raises:
        UsageError: naming what is out of range.
    """
    limit = own["limit"]
    return Block(
        questions=whole("questions", own["questions"], 1),
        unsafe_share=probability("unsafe_share", own["unsafe_share"]),
        limit=None if limit is None else finite("limit", limit, 1.0),
        show_risk=_truth("show_risk", own["show_risk"]),
        pictures=_truth("pictures", own["pictures"]),
        seed=seed, feedback=feedback,
    )  # fmt: skip


def judges_of(names: Any) -> list[str]:
    """Presets of simulated humans.

    Raises:
        UsageError: if one of them is none.
    """
    given = names if isinstance(names, list) else [names]
    simulated_ones = [name for name in groups()["overseer"] if not name.startswith("live")]
    return [choice("judge", str(name), simulated_ones) for name in given]


def session_of(journal: Path, name: str) -> str:
    """A new session's name, or that of the one that was interrupted: it stands beside its journal.

    A service remembers what was answered in a session, so that asking again needs another name.
    """
    file = journal.with_suffix(".session")
    if not (journal.exists() and file.exists()):
        journal.unlink(missing_ok=True)
        write_whole(file, f"{name}-{secrets.token_hex(4)}".encode())
    return file.read_text(encoding="utf-8")


def write_answers(folder: Path, answers: pd.DataFrame) -> None:
    """Writes ``answers.parquet``, one row per question."""
    hidden = folder / f".{ANSWERS_FILE}"
    answers.to_parquet(hidden, index=False)
    os.replace(hidden, folder / ANSWERS_FILE)


def _as_json(mine: Score, others: Sequence[Score]) -> bytes:
    scores = {one.name: one.as_dict() for one in (mine, *others)}
    return (json.dumps(scores, indent=2) + "\n").encode()


def _truth(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{name} must be true or false, got {value!r}")
    return value
