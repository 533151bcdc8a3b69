"""A trainer's line to the service: it keeps the session alive, and knows what people set of it."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from looplab.envs.errors import LoopLabError
from looplab.oversight.live.client import Connection, TrainerClient
from looplab.oversight.live.refusal import Refused
from looplab.oversight.live.session import Control

#: Seconds for which one question after what was set waits, and between two that failed.
_BEAT_SECONDS, _REST_SECONDS = 3.0, 0.2


@dataclass(frozen=True)
class LiveRun:
    """What a live overseer has to know of the run that it sits in.

    Attributes:
        env: name of the task, ``regime`` of the regime and ``algo`` of the algorithm.
        session: name of the session.
        identity: tells the run from all others; the same again goes on with the session.
        journal: where its answers are kept; None: nowhere but in the service.
        replay: answer from the journal alone, and call no service.
        regimes: presets that it can be switched to.
        people: pseudonyms of those whom it asks; empty: everybody who may answer.
        practice: whether people are told at once how right they were.
    """

    env: str
    regime: str
    algo: str
    session: str
    identity: str
    journal: Path | None = None
    replay: bool = False
    regimes: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    practice: bool = False


class Line:
    """Opens a session and holds it, from a thread of its own too.

    Args:
        connection: the way to the service.
        session: name of the session.
        about: what runs, as ``messages.SessionIn`` has it.

    Raises:
        Refused: if the service turns the session down.
        Unreachable: if there is no service.
    """

    def __init__(self, connection: Connection, session: str, about: Mapping[str, Any]) -> None:
        self.client = TrainerClient(connection, session, about)
        beating = Connection(connection.url, connection.token, patience=_BEAT_SECONDS)
        self._beating = TrainerClient(beating, session, about)
        self._control = Control(**self.client.open())
        self._resumed = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="live line", daemon=True)
        self._thread.start()

    @property
    def control(self) -> Control:
        """What people have set of the session, as far as is known here."""
        return self._control

    def learned(self, answer: Mapping[str, Any]) -> None:
        """Takes what an answer of the service says of the session."""
        self._control = Control(**answer["control"])
        if self._control.paused and not self._control.stopped:
            self._resumed.clear()
        else:
            self._resumed.set()

    def wait_while_paused(self) -> None:
        """Returns when nobody has the session paused, or it was stopped."""
        if self._control.paused and not self._control.stopped:
            self._resumed.wait()

    def _beat(self) -> None:
        """Says that the trainer lives, and learns at once what was set."""
        while not self._over.is_set() and not self._control.stopped:
            try:
                self.learned(self._beating.control(self._control.as_dict(), _BEAT_SECONDS))
            except Refused as refused:
                if refused.details.get("stopped"):
                    self.learned({"control": {**self._control.as_dict(), "stopped": True}})
                self._over.wait(_REST_SECONDS)  # given up: the run's next call opens it again
            except (LoopLabError, RuntimeError):
                self._over.wait(_REST_SECONDS)
        self._beating.connection.close()

    def end(self, counts: Mapping[str, float]) -> None:
        """Says that the run is over and what it has counted, and hangs up."""
        self._over.set()
        self.client.end(counts)  # which also ends the other thread's question
        self.hang_up()

    def hang_up(self) -> None:
        """Stops holding the session; the service gives it up after a while."""
        self._over.set()
        self._thread.join()
        self.client.connection.close()


def persist(call: Callable[[], Any], again: Callable[[], None], *codes: str) -> Any:
    """Calls; where that is refused with one of the codes, says again what came before, and calls.

    Args:
        call: what is wanted.
        again: what has to be there first, and is not any more: a service forgot it, or withdrew it.
        *codes: how the service says so.
    """
    while True:
        try:
            return call()
        except Refused as refused:
            if refused.code not in codes:
                raise
            again()
