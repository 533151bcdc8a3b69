"""The ``serve`` and ``audit`` commands: the review service alone, and its ledger."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from looplab.envs.errors import UsageError, choice
from looplab.experiments.own_words import read_own
from looplab.experiments.words import parse

#: What is set of the service itself; all else of ``configs/serve.yaml`` is the queue's.
_SERVICE = ("port", "host", "db", "token_hours")
AUDITS = ("verify", "export")
_PATIENCE_SECONDS = 10.0
#: Names, in the environment, the process with which a service ends.
STARTER = "LOOPLAB_SERVE_FOR"


def serve_words(words: Sequence[str], say: Callable[[str], None]) -> None:
    """Runs the service until it is told to end.

    Args:
        words: ``key=value``, keys of ``configs/serve.yaml``.
        say: prints lines.

    Raises:
        UsageError: before it starts, if it cannot.
    """
    from looplab.oversight.live.serve import Serving, serve

    own = read_own("serve", words)
    settings = {
        name: value for name, value in own.items() if name not in _SERVICE and value is not None
    }
    serve(
        Serving(
            host=_text("host", own["host"]), port=own["port"], db=_text("db", own["db"]),
            token_hours=own["token_hours"], ends_with=_starter(), settings=settings,
        ),
        say,
    )  # fmt: skip


def _starter() -> int | None:
    """The process that started this one for itself alone, if one did: ``looplab live``."""
    named = os.environ.get(STARTER, "")
    return int(named) if named.isdigit() else None


def _text(name: str, value: Any) -> str:
    if value is not None and not isinstance(value, str):
        raise UsageError(f"{name} must be text, got {value!r}")
    return value or ""


def audit(what: str, words: Sequence[str], say: Callable[[str], None]) -> bool:
    """Verifies a service's ledger, or exports it.

    Args:
        what: one of ``AUDITS``.
        words: ``db=``, and for an export ``out=`` and ``session=``.
        say: prints lines.

    Returns:
        Whether nothing was found.

    Raises:
        UsageError: if there is no such ledger, or it cannot be read.
    """
    from looplab.oversight.live.audit import export, verify
    from looplab.oversight.live.chain import key_from
    from looplab.oversight.live.database import connect
    from looplab.oversight.live.places import ANCHORS, KEY_FILE, default_database, home

    choice("audit", what, AUDITS)
    given: dict[str, Any] = {
        "db": None,
        **({"out": None, "session": None} if what == "export" else {}),
    }
    for word in parse(words):
        choice("key", word.key, given)
        given[word.key] = word.values[0].label
    url = given["db"] or default_database()
    engine = connect(url, must_exist=True)
    try:
        if what == "export":
            out = Path(given["out"] or "results/audit")
            for file in export(engine, out, given["session"]):
                say(f"written: {file}")
            return True
        found = verify(engine, key_from(home() / KEY_FILE, make=False), home() / ANCHORS)
    finally:
        engine.dispose()
    for finding in found.findings:
        say(str(finding))
    state = "nothing was changed" if not found.findings else f"{len(found.findings)} found"
    say(f"{found.events} events: {state}")
    return not found.findings


def review(url: str) -> None:
    """Opens the terminal client.

    Args:
        url: of the service; a token behind a ``#token=`` stands for the environment's.

    Raises:
        UsageError: if the URL is none, or there is no token.
        LoopLabError: if there is no service, or it does not know the token.
    """
    from looplab.oversight.live.client import ReviewerClient
    from looplab.oversight.live.terminal import ReviewTerminal

    address, _, token = url.partition("/#token=")
    with ReviewerClient(address, token or None, patience=_PATIENCE_SECONDS) as client:
        client.me()  # says at once if nobody is known there
        ReviewTerminal(client).run()
