"""Runs with a live person in the overseer's seat: what that needs beside the run itself."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from looplab.envs.errors import UsageError
from looplab.experiments.build import Parts, make
from looplab.experiments.store import identity, run_name
from looplab.oversight.parts import walk

if TYPE_CHECKING:
    from looplab.oversight.live.overseer import LiveOverseer
    from looplab.oversight.protocols.base import OversightProtocol

#: Answers of a live run, in its folder.
JOURNAL_FILE = "journal.jsonl"
#: Key of a configuration: presets that the run can be switched to, and their protocols.
REGIMES = "live_regimes"
_OWN = "looplab.oversight.live."


@dataclass(frozen=True)
class LiveSeat:
    """A live overseer in a run.

    Attributes:
        overseer: who sits there.
        journal: where the answers are kept while it runs.
        kept: whether they are the run's own; else those of a run that is replayed.
    """

    overseer: "LiveOverseer"
    journal: Path
    kept: bool = True

    def leave(self, folder: Path) -> None:
        """Hangs up, and leaves the journal in the run's folder."""
        self.overseer.close()
        if self.kept and self.journal.exists():
            os.replace(self.journal, folder / JOURNAL_FILE)


def seated(
    built: Parts, config: Mapping[str, Any], folder: Path, replayed: Path | None = None
) -> tuple[Parts, LiveSeat | None]:
    """The parts of a run, with what a live overseer needs among them if one is there.

    The journal is kept beside the run's folder, because a folder that a killed run left unfinished
    is removed: the same run, started again, takes its answers from there.

    Args:
        built: the parts.
        config: the run's resolved configuration.
        folder: where its files go.
        replayed: folder of a run whose journal answers; None: people do.

    Raises:
        UsageError: if several parts would ask people.
    """
    found = {id(part): part for part in walk(built.protocol) if _is_live(part)}
    if not found:
        return built, None
    if len(found) > 1:
        raise UsageError("overseer=live: one part of a run can ask people, not several")
    from looplab.oversight.live.controlled import Controlled
    from looplab.oversight.live.line import LiveRun

    (overseer,) = found.values()
    cell, name = config["cell"], run_name(config)
    others = {
        regime: _sharing(make(protocol), overseer)
        for regime, protocol in (config.get(REGIMES) or {}).items()
        if regime != cell["regime"]
    }
    journal = folder.parent / f".{name}.{JOURNAL_FILE}"
    if replayed is not None:
        journal = replayed / JOURNAL_FILE
    run = LiveRun(
        env=str(cell["env"]), regime=str(cell["regime"]), algo=str(cell["algo"]), session=name,
        identity=identity(config), journal=journal, replay=replayed is not None,
        regimes=(str(cell["regime"]), *others) if others else (),
    )  # fmt: skip
    overseer.bind(run)
    protocol = Controlled({str(cell["regime"]): built.protocol, **others}, overseer)
    return replace(built, protocol=protocol), LiveSeat(overseer, journal, replayed is None)


def _is_live(part: object) -> bool:
    """Whether a part asks people; tells without importing what that needs."""
    return type(part).__module__.startswith(_OWN) and hasattr(part, "bind")


def _sharing(protocol: "OversightProtocol", overseer: "LiveOverseer") -> "OversightProtocol":
    """A protocol of another preset, whose questions go to the same people."""
    if hasattr(protocol, "overseer"):
        protocol.overseer = overseer
    return protocol
